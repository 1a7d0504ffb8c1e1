//! Why a request was refused, and the complete answer to it. RFC 9110 section 15.
//! Invariant: every answer ends the connection, because what follows a refused head cannot be trusted to be a request.

#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    #[error("{0}")]
    BadRequest(&'static str),
    #[error("this origin is not allowed")]
    Forbidden,
    #[error("nothing here")]
    NotFound,
    #[error("only GET opens a WebSocket")]
    MethodNotAllowed,
    #[error("the request head did not arrive in time")]
    RequestTimeout,
    #[error("the request line is too long")]
    UriTooLong,
    #[error("the header fields are too many or too long")]
    HeadersTooLarge,
    #[error("this is a WebSocket endpoint: upgrade required")]
    UpgradeRequired,
    #[error("Sec-WebSocket-Version must be 13")]
    VersionRequired,
    #[error("internal error")]
    Internal,
    #[error("only HTTP/1.1 is spoken here")]
    HttpVersion,
    #[error("too many handshakes, try again later")]
    Overloaded { retry_after_s: u32 },
}

impl Refusal {
    pub const fn status(&self) -> u16 {
        match self {
            Self::BadRequest(_) => 400,
            Self::Forbidden => 403,
            Self::NotFound => 404,
            Self::MethodNotAllowed => 405,
            Self::RequestTimeout => 408,
            Self::UriTooLong => 414,
            Self::UpgradeRequired | Self::VersionRequired => 426,
            Self::HeadersTooLarge => 431,
            Self::Internal => 500,
            Self::Overloaded { .. } => 503,
            Self::HttpVersion => 505,
        }
    }

    /// Status line, headers and a one-line body that says what was wrong.
    pub fn response(&self) -> Vec<u8> {
        let body = format!("{self}\n");
        format!(
            "HTTP/1.1 {} {}\r\nConnection: {}\r\n{}Content-Type: text/plain; charset=utf-8\r\n\
             Content-Length: {}\r\n\r\n{body}",
            self.status(),
            self.phrase(),
            // "A sender of Upgrade MUST also send an "Upgrade" connection option" (RFC 9110 7.8).
            if self.status() == 426 { "close, upgrade" } else { "close" },
            self.fields(),
            body.len()
        )
        .into_bytes()
    }

    const fn phrase(&self) -> &'static str {
        match self {
            Self::BadRequest(_) => "Bad Request",
            Self::Forbidden => "Forbidden",
            Self::NotFound => "Not Found",
            Self::MethodNotAllowed => "Method Not Allowed",
            Self::RequestTimeout => "Request Timeout",
            Self::UriTooLong => "URI Too Long",
            Self::UpgradeRequired | Self::VersionRequired => "Upgrade Required",
            Self::HeadersTooLarge => "Request Header Fields Too Large",
            Self::Internal => "Internal Server Error",
            Self::Overloaded { .. } => "Service Unavailable",
            Self::HttpVersion => "HTTP Version Not Supported",
        }
    }

    /// What the status obliges us to say in the header.
    fn fields(&self) -> String {
        match self {
            // "The origin server MUST generate an Allow header field in a 405 response" (RFC 9110 15.5.6).
            Self::MethodNotAllowed => "Allow: GET\r\n".to_owned(),
            // "The server MUST send an Upgrade header field in a 426 response" (RFC 9110 15.5.22).
            Self::UpgradeRequired => "Upgrade: websocket\r\n".to_owned(),
            // RFC 6455 4.4: the versions that we are willing to use.
            Self::VersionRequired => "Upgrade: websocket\r\nSec-WebSocket-Version: 13\r\n".to_owned(),
            Self::Overloaded { retry_after_s } => format!("Retry-After: {retry_after_s}\r\n"),
            Self::BadRequest(_)
            | Self::Forbidden
            | Self::NotFound
            | Self::RequestTimeout
            | Self::UriTooLong
            | Self::HeadersTooLarge
            | Self::Internal
            | Self::HttpVersion => String::new(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ALL: [Refusal; 12] = [
        Refusal::BadRequest("a bare line feed"),
        Refusal::Forbidden,
        Refusal::NotFound,
        Refusal::MethodNotAllowed,
        Refusal::RequestTimeout,
        Refusal::UriTooLong,
        Refusal::HeadersTooLarge,
        Refusal::Internal,
        Refusal::UpgradeRequired,
        Refusal::VersionRequired,
        Refusal::HttpVersion,
        Refusal::Overloaded { retry_after_s: 3 },
    ];

    #[test]
    fn every_response_is_whole_and_closes() {
        for refusal in ALL {
            let response = refusal.response();
            let mut headers = [httparse::EMPTY_HEADER; 16];
            let mut parsed = httparse::Response::new(&mut headers);
            let head = parsed.parse(&response).unwrap().unwrap();
            assert_eq!(parsed.code, Some(refusal.status()));
            let value = |name: &str| {
                let field = parsed.headers.iter().find(|field| field.name == name);
                field.map(|field| std::str::from_utf8(field.value).unwrap().to_owned())
            };
            assert!(value("Connection").unwrap().starts_with("close"));
            assert_eq!(value("Upgrade").is_some(), value("Connection").unwrap().contains("upgrade"));
            assert_eq!(value("Content-Length").unwrap(), (response.len() - head).to_string());
            assert!(response.ends_with(b"\n"));
        }
    }

    #[test]
    fn a_refusal_names_the_way_out() {
        let text = |refusal: Refusal| String::from_utf8(refusal.response()).unwrap();
        assert!(text(Refusal::MethodNotAllowed).contains("\r\nAllow: GET\r\n"));
        assert!(text(Refusal::UpgradeRequired).contains("\r\nUpgrade: websocket\r\n"));
        assert!(text(Refusal::VersionRequired).contains("\r\nSec-WebSocket-Version: 13\r\n"));
        assert!(text(Refusal::Overloaded { retry_after_s: 3 }).contains("\r\nRetry-After: 3\r\n"));
    }
}
