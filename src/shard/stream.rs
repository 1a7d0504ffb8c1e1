//! Connections without a socket of their own: HTTP streams and server-sent events, whose HTTP the control plane speaks.
//!
//! The shard serves them like any other client. What comes from the client is mail, what goes to it is a memo, and the
//! control plane says when a memo has been written, so that a slow reader is noticed here as everywhere.
//! Invariant: at most one `Bytes` is under way until its `Sent`; nothing follows `End`.

use crate::ids::ClientId;
use std::sync::Arc;

/// Names a stream on its core; the control plane gives it out and never reuses it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct StreamId(pub u64);

/// What the control plane says.
#[derive(Debug)]
pub enum StreamInput {
    Open(Box<Opening>),
    /// More commands, in the codec of the stream: each POST of the emulation endpoint is one of these.
    Commands(Vec<u8>),
    /// The bytes that were under way have been written.
    Sent,
    /// The peer has gone.
    Gone,
}

#[derive(Clone, Debug)]
pub struct Opening {
    pub kind: StreamKind,
    pub is_protobuf: bool,
    /// Names the stream to the emulation endpoint; secret, because whoever knows it speaks as this client.
    pub session: ClientId,
    /// Names this node to the emulation endpoint.
    pub node: ClientId,
    /// Request headers that hooks may get, names in lower case.
    pub headers: Arc<[(Box<str>, Box<str>)]>,
    /// Bidirectional: commands, connect first. Unidirectional: one ConnectRequest without a wrapper.
    pub first: Vec<u8>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StreamKind {
    HttpStream,
    Sse,
    UniHttpStream,
    UniSse,
}

/// What the shard says. Bytes are ready for the body of the response: lines, events or length-prefixed messages.
#[derive(Debug)]
pub enum StreamOutput {
    Bytes(Vec<u8>),
    /// All has been said: end the response.
    End,
}
