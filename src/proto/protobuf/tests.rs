//! The Protobuf wire, compared with generated types and with JSON.

mod commands;
mod hostile;
mod results;

use crate::proto::codec::{Codec, Malformed};
use crate::proto::command::Command;

fn all(message: &[u8]) -> Vec<Result<Command<'_>, Malformed>> {
    Codec::Protobuf.decode(message).collect()
}

fn framed(message: &impl prost::Message) -> Vec<u8> {
    message.encode_length_delimited_to_vec()
}
