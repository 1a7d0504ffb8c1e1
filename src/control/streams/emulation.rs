//! The emulation endpoint: commands of a client whose replies go into a stream.
//!
//! Invariant: knowing the session is the permission, so an answer says nothing about sessions that exist elsewhere.
//! Commands are not looked into; requests of one client may come in any order.

use super::Streams;
use super::cross::Cross;
use super::figures::Route;
use super::opening::{is_binary, parse_id};
use super::refusal::Refusal;
use crate::proto::Codec;
use crate::proto::command::Emulation;
use crate::shard::stream::StreamInput;
use axum::body::Body;
use axum::extract::Request;
use axum::http::request::Parts;
use axum::http::{Method, StatusCode};
use axum::response::{IntoResponse, Response};

impl Streams {
    pub(super) async fn emulate(&self, request: Request) -> Response {
        let refuse = |refusal: Refusal| {
            self.figures.count_refused(Route::Emulation, refusal);
            refusal.into_response()
        };
        let (head, body) = request.into_parts();
        let cross = match Cross::check(&self.options.origins.get(), &head.headers) {
            Ok(cross) => cross,
            Err(refusal) => return refuse(refusal),
        };
        if head.method == Method::OPTIONS {
            return cross.preflight(&head.headers, METHODS);
        }
        let response = self.pass_on(&head, body).await.map_or_else(refuse, |()| {
            self.figures.count_emulated();
            StatusCode::NO_CONTENT.into_response()
        });
        cross.sign(response)
    }

    async fn pass_on(&self, head: &Parts, body: Body) -> Result<(), Refusal> {
        if head.method != Method::POST {
            return Err(Refusal::Method { allow: METHODS });
        }
        let body = self.read(body).await?;
        let codec = if is_binary(&head.headers) { Codec::Protobuf } else { Codec::Json };
        let Emulation { session, node, data } = codec.decode_emulation(&body).map_err(|_| MALFORMED)?;
        if session.is_empty() || node.is_empty() || data.is_empty() {
            return Err(MALFORMED);
        }
        self.command(&session, &node, data.into_owned())
    }

    fn command(&self, session: &str, node: &str, commands: Vec<u8>) -> Result<(), Refusal> {
        let (session, node) = (parse_id(session)?, parse_id(node)?);
        if node != self.node {
            return Err(Refusal::UnknownSession);
        }
        let seat = self.sessions.find(session).ok_or(Refusal::UnknownSession)?;
        let input = StreamInput::Commands(commands);
        if self.cores.stream(seat.core, seat.stream, input) { Ok(()) } else { Err(Refusal::Overloaded) }
    }
}

const METHODS: &str = "POST";
const MALFORMED: Refusal = Refusal::BadRequest("this is no emulation request");
