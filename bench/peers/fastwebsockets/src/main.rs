//! A peer to compare with: fastwebsockets as its authors recommend it.
//!
//! - Upgrade by hyper, `FragmentCollector` and `task::unconstrained`, as in the library's own `echo_server` example;
//!   the `simd` feature (on by default) checks UTF-8; frames below 1 KiB are copied into one write, its default.
//! - The current-thread runtime when it has one core, again as in the example.
//! - `TCP_NODELAY`, no compression (the library has none), no logging, mimalloc as in Ringway.
//! - Broadcast: reading a frame must not be cancelled half-way, so the socket is split as in `echo_server_split` and
//!   a second task writes. The payload is shared by count. The library writes each frame by itself.

use std::convert::Infallible;
use std::future::ready;

use bytes::Bytes;
use fastwebsockets::upgrade::{UpgradeFut, upgrade};
use fastwebsockets::{
    FragmentCollector, FragmentCollectorRead, Frame, OpCode, Payload, WebSocketError, WebSocketWrite,
};
use http_body_util::Empty;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::upgrade::Upgraded;
use hyper::{Request, Response};
use hyper_util::rt::TokioIo;
use peer_options::{Hub, Mode, Options};
use tokio::io::WriteHalf;
use tokio::net::TcpStream;
use tokio::sync::mpsc::UnboundedReceiver;
use tokio::task::unconstrained;

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// What one connection said, for all of them.
#[derive(Clone)]
struct Message {
    opcode: OpCode,
    payload: Bytes,
}

static HUB: Hub<Message> = Hub::new();

fn main() -> std::io::Result<()> {
    let options = Options::from_args();
    options.runtime()?.block_on(async {
        let listener = options.listener()?;
        loop {
            // Out of descriptors, or a peer that hung up in the queue: the next accept may do better.
            let Ok((stream, _)) = listener.accept().await else {
                tokio::task::yield_now().await;
                continue;
            };
            tokio::spawn(serve(stream, options.mode));
        }
    })
}

async fn serve(stream: TcpStream, mode: Mode) {
    if stream.set_nodelay(true).is_err() {
        return;
    }
    let service = service_fn(move |request| async move { respond(request, mode) });
    // An error here is a peer that left during the handshake.
    let _ = http1::Builder::new().serve_connection(TokioIo::new(stream), service).with_upgrades().await;
}

fn respond(mut request: Request<Incoming>, mode: Mode) -> Result<Response<Empty<Bytes>>, WebSocketError> {
    let (response, upgraded) = upgrade(&mut request)?;
    tokio::spawn(async move {
        // An error here is a peer that broke the protocol or left: the connection ends either way.
        let _ = match mode {
            Mode::Echo => unconstrained(echo(upgraded)).await,
            Mode::Broadcast => unconstrained(broadcast(upgraded)).await,
        };
    });
    Ok(response)
}

async fn echo(upgraded: UpgradeFut) -> Result<(), WebSocketError> {
    let mut socket = FragmentCollector::new(upgraded.await?);
    loop {
        let frame = socket.read_frame().await?;
        match frame.opcode {
            OpCode::Close => return Ok(()),
            OpCode::Text | OpCode::Binary => socket.write_frame(frame).await?,
            OpCode::Continuation | OpCode::Ping | OpCode::Pong => {}
        }
    }
}

async fn broadcast(upgraded: UpgradeFut) -> Result<(), WebSocketError> {
    let (reader, writer) = upgraded.await?.split(tokio::io::split);
    let (key, queue) = HUB.join();
    tokio::spawn(unconstrained(deliver(writer, queue)));
    let mut reader = FragmentCollectorRead::new(reader);
    let outcome = loop {
        // Pongs and the reply to a close frame.
        let mut obliged = |frame: Frame<'_>| {
            HUB.send(key, Message { opcode: frame.opcode, payload: Bytes::copy_from_slice(&frame.payload) });
            ready(Ok::<(), Infallible>(()))
        };
        match reader.read_frame(&mut obliged).await {
            Ok(Frame { opcode: OpCode::Close, .. }) => break Ok(()),
            Ok(Frame { opcode: opcode @ (OpCode::Text | OpCode::Binary), payload, .. }) => {
                HUB.broadcast(&Message { opcode, payload: Bytes::from(Vec::from(payload)) });
            }
            Ok(_) => {}
            Err(error) => break Err(error),
        }
    };
    HUB.leave(key);
    outcome
}

/// Ends when the hub drops the queue or the peer is gone.
async fn deliver(
    mut writer: WebSocketWrite<WriteHalf<TokioIo<Upgraded>>>,
    mut queue: UnboundedReceiver<Message>,
) -> Result<(), WebSocketError> {
    while let Some(message) = queue.recv().await {
        writer
            .write_frame(Frame::new(true, message.opcode, None, Payload::Borrowed(&message.payload)))
            .await?;
    }
    Ok(())
}
