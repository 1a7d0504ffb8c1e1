//! The client protocol (Centrifuge v2): commands in, replies and pushes out.
//!
//! Invariant: a value of this module means the same in every codec; only `json` and `protobuf` know how it looks
//! on the wire. Knows nothing of frames, connections, channels or permissions: whether a command is allowed
//! now is the connection's business.

pub mod codec;
pub mod codes;
pub mod command;
pub mod ending;
mod json;
mod protobuf;
pub mod push;
pub mod raw;
pub mod reply;

pub use codec::{Codec, Commands, Malformed};
pub use codes::{Disconnect, Reject, Unsubscribed};
pub use command::{Command, Request};
pub use ending::Ending;
pub use json::Object;
pub use push::{Push, Subject};
pub use raw::Raw;
pub use reply::Reply;
