//! Why a call fails, as the caller sees it.
//! Invariant: a code has one message and one status. The reason of a bad request is for people and never in the JSON, whose
//! two fields are all that clients of this API know.

use crate::proto::Object;
use crate::shard::call::{Failure, Outcome};
use axum::http::StatusCode;

#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum ApiError {
    Internal,
    UnknownChannel,
    NotFound,
    /// The parameters are no JSON object of the method's form: 400 where a body is one call.
    Unreadable(String),
    BadRequest(&'static str),
    /// What was to be done has been looked at, and found wrong.
    Refused(String),
    NotAvailable,
    TooManyRequests,
    Unrecoverable,
}

/// Where an error shows.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum ErrorMode {
    /// In the body of a 200.
    #[default]
    Body,
    /// As HTTP status, for callers whose tools look at nothing else.
    Transport,
}

impl ApiError {
    pub(super) const fn code(&self) -> u32 {
        match self {
            Self::Internal => 100,
            Self::UnknownChannel => 102,
            Self::NotFound => 104,
            Self::Unreadable(_) | Self::BadRequest(_) | Self::Refused(_) => 107,
            Self::NotAvailable => 108,
            Self::TooManyRequests => 111,
            Self::Unrecoverable => 112,
        }
    }

    pub(super) const fn message(&self) -> &'static str {
        match self {
            Self::Internal => "internal server error",
            Self::UnknownChannel => "unknown channel",
            Self::NotFound => "not found",
            Self::Unreadable(_) | Self::BadRequest(_) | Self::Refused(_) => "bad request",
            Self::NotAvailable => "not available",
            Self::TooManyRequests => "too many requests",
            Self::Unrecoverable => "unrecoverable position",
        }
    }

    pub(super) const fn status(&self) -> StatusCode {
        match self {
            Self::Internal => StatusCode::INTERNAL_SERVER_ERROR,
            Self::UnknownChannel | Self::NotFound => StatusCode::NOT_FOUND,
            Self::Unreadable(_) | Self::BadRequest(_) | Self::Refused(_) | Self::NotAvailable => {
                StatusCode::BAD_REQUEST
            }
            Self::TooManyRequests => StatusCode::TOO_MANY_REQUESTS,
            Self::Unrecoverable => StatusCode::RANGE_NOT_SATISFIABLE,
        }
    }

    /// What exactly is wrong, if that can be said in a header.
    pub(super) fn reason(&self) -> Option<&str> {
        match self {
            Self::BadRequest(reason) => Some(reason),
            Self::Refused(reason) => Some(reason),
            Self::Internal
            | Self::UnknownChannel
            | Self::NotFound
            | Self::Unreadable(_)
            | Self::NotAvailable
            | Self::TooManyRequests
            | Self::Unrecoverable => None,
        }
    }

    /// `{"code":..,"message":".."}`
    pub(super) fn write(&self, out: &mut Vec<u8>) {
        let mut object = Object::open(out);
        object.number_always("code", self.code());
        object.text_always("message", self.message());
        object.close();
    }

    /// `{"error":{..}}`
    pub(super) fn write_wrapped(&self, out: &mut Vec<u8>) {
        let mut object = Object::open(out);
        self.write(object.name("error"));
        object.close();
    }

    /// A core answered another question than it was asked: our bug, which costs the caller an error.
    pub(super) fn of(outcome: &Outcome) -> Self {
        match outcome {
            Outcome::Failed(failure) => Self::from(*failure),
            Outcome::Published { .. }
            | Outcome::History { .. }
            | Outcome::Cursor { .. }
            | Outcome::People(_)
            | Outcome::Tally { .. }
            | Outcome::Channels(_)
            | Outcome::Info { .. }
            | Outcome::Connections(_)
            | Outcome::Done { .. } => Self::Internal,
        }
    }
}

impl From<Failure> for ApiError {
    fn from(failure: Failure) -> Self {
        match failure {
            Failure::Internal => Self::Internal,
            Failure::UnknownChannel => Self::UnknownChannel,
            Failure::BadRequest => Self::BadRequest("the channel does not take this"),
            Failure::NotAvailable => Self::NotAvailable,
            Failure::Unrecoverable => Self::Unrecoverable,
            Failure::TooManyRequests => Self::TooManyRequests,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_error_is_its_code_and_its_message() {
        let mut out = Vec::new();
        ApiError::BadRequest("the reason stays out").write_wrapped(&mut out);
        assert_eq!(out, br#"{"error":{"code":107,"message":"bad request"}}"#);
    }
}
