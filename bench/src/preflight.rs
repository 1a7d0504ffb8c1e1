//! One connection before all others, to say in plain words why none would come up.

use crate::handshake::{self, Refused};
use crate::plan::{Compression, Protocol, Trust};
use crate::tls::Tls;
use crate::url::Url;
use rustls::StreamOwned;
use std::io::{Read, Write};
use std::net::TcpStream;
use std::time::Duration;

const PATIENCE: Duration = Duration::from_secs(5);

#[derive(Debug, thiserror::Error)]
pub enum PreflightError {
    #[error(
        "nothing listens on {address}: start the server first, for example with \
         `ringway serve --listen {address}`{hint}"
    )]
    NotListening { address: String, hint: &'static str },
    #[error("cannot connect to {address}: {reason}")]
    Unreachable { address: String, reason: String },
    #[error("{host} answers {path} with {reason}{hint}")]
    Refused { host: String, path: String, reason: String, hint: &'static str },
}

/// Connects, upgrades and hangs up.
pub fn check(
    url: &Url,
    request: &[u8],
    protocol: Protocol,
    compression: Compression,
    trust: Option<&Trust>,
) -> Result<(), PreflightError> {
    let address = url.address.to_string();
    let stream = TcpStream::connect_timeout(&url.address, PATIENCE).map_err(|error| {
        if error.kind() == std::io::ErrorKind::ConnectionRefused {
            PreflightError::NotListening { address: address.clone(), hint: routes_hint(protocol) }
        } else {
            PreflightError::Unreachable { address: address.clone(), reason: error.to_string() }
        }
    })?;
    let refused = |reason: String, hint| PreflightError::Refused {
        host: url.host.clone(),
        path: url.path.clone(),
        reason,
        hint,
    };
    let broken = |error: std::io::Error| refused(error.to_string(), "");
    stream.set_read_timeout(Some(PATIENCE)).map_err(broken)?;
    let mut stream: Box<dyn Stream> = match trust {
        None => Box::new(stream),
        Some(trust) => {
            let tls = Tls::new(trust).and_then(|tls| tls.connect());
            Box::new(StreamOwned::new(tls.map_err(|error| refused(error.to_string(), ""))?, stream))
        }
    };
    stream.write_all(request).map_err(broken)?;
    let mut head = Vec::new();
    let mut bytes = [0; 4096];
    loop {
        let count = stream.read(&mut bytes).map_err(broken)?;
        head.extend_from_slice(&bytes[..count]);
        match handshake::check(&head, compression != Compression::None) {
            Ok(Some(_)) => return Ok(()),
            Ok(None) if count > 0 => {}
            Ok(None) => return Err(refused("a closed connection".into(), "")),
            Err(error) => return Err(refused(error.to_string(), hint(&error, protocol))),
        }
    }
}

/// With TLS or without.
trait Stream: Read + Write {}

impl<T: Read + Write> Stream for T {}

fn routes_hint(protocol: Protocol) -> &'static str {
    match protocol {
        Protocol::Raw => " with `[routes] echo = true`",
        Protocol::Centrifuge | Protocol::CentrifugeProtobuf => "",
    }
}

fn hint(refused: &Refused, protocol: Protocol) -> &'static str {
    if *refused == Refused::Compression {
        return ": the server has to allow it (`[websocket] compression = true`)";
    }
    let Refused::Status(status) = refused else { return "" };
    match (status.get(..3).unwrap_or_default(), protocol) {
        ("404", Protocol::Raw) => {
            ": the path of the echo route is /echo, and it has to be enabled (`[routes] echo = true`)"
        }
        ("404", Protocol::Centrifuge | Protocol::CentrifugeProtobuf) => {
            ": the path of the client protocol is /connection/websocket"
        }
        ("403", _) => ": its allowed origins exclude us; --header 'Origin: ...' sets one",
        ("503", _) => ": the server is at its connection limit, or is being stopped",
        _ => "",
    }
}
