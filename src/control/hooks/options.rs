//! What the hooks are told: each back end with its address, its patience, and what holds when it does not answer.

use super::breaker::Rules;
use crate::shard::ask::Answer;
use std::time::Duration;

#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct HookOptions {
    pub connect: Option<BackendOptions>,
    pub refresh: Option<BackendOptions>,
    pub subscribe: Option<BackendOptions>,
    pub publish: Option<BackendOptions>,
    pub sub_refresh: Option<BackendOptions>,
    pub cache_empty: Option<BackendOptions>,
    pub rpc: Option<BackendOptions>,
    /// By name, for namespaces that choose one.
    pub named: Vec<(Box<str>, BackendOptions)>,
    pub events: Option<EventOptions>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BackendOptions {
    pub endpoint: String,
    /// From the question to the answer, waiting for a turn included, while the breaker is closed.
    pub timeout: Duration,
    /// Request headers of clients that it gets, in lower case.
    pub headers: Vec<Box<str>>,
    /// Sent with every request.
    pub static_headers: Vec<(String, String)>,
    pub transforms: Vec<Transform>,
    /// It gets the `meta` of connections.
    pub include_meta: bool,
    /// Data travels as base64.
    pub is_binary: bool,
    pub fallback: Fallback,
    /// Requests under way at one time.
    pub concurrency: u32,
    /// Questions that wait for their turn. Beyond: the fallback, at once.
    pub queue: u32,
    pub answer_bytes_max: usize,
    pub breaker: Rules,
    /// For the answer to a probe.
    pub probe_timeout: Duration,
    /// How long a question waits for an open breaker before it gets the fallback.
    pub open_timeout: Duration,
}

/// What a question is answered when the back end does not.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Fallback {
    /// Error 100, temporary: clients try again.
    #[default]
    Error,
    /// As if the back end had agreed without a word.
    Allow,
    /// As if it had refused.
    Deny,
}

/// An answer for a status that is not 200.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Transform {
    pub status: u16,
    pub to: TransformTo,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum TransformTo {
    Error { code: u32, message: Box<str>, temporary: bool },
    Disconnect { code: u16, reason: Box<str> },
}

impl TransformTo {
    pub(super) fn answer(&self) -> Answer {
        match self {
            Self::Error { code, message, temporary } => {
                Answer::Error { code: *code, message: message.clone(), temporary: *temporary }
            }
            Self::Disconnect { code, reason } => Answer::Disconnect { code: *code, reason: reason.clone() },
        }
    }
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EventOptions {
    pub backend: BackendOptions,
    /// Events in one request.
    pub batch_count_max: usize,
    /// From the first event of a batch to its request.
    pub batch_delay: Duration,
    /// Events that wait. Beyond: dropped, and counted.
    pub queue_count_max: usize,
    /// Attempts after the first. Beyond: the batch is dropped, and counted.
    pub retry_count_max: u32,
}
