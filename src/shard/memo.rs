//! Words of a shard for the control plane of its node.

use super::ask::{Ask, AskId, Event};
use super::call::{CallId, Outcome};
use super::stream::{StreamId, StreamOutput};
use crate::ids::CoreId;

#[derive(Debug)]
pub enum Memo {
    /// A call is answered, as far as this core is concerned.
    Answered {
        core: CoreId,
        call: CallId,
        outcome: Outcome,
    },
    /// Answer with `Mail::Answer`.
    Ask {
        id: AskId,
        ask: Ask,
    },
    Stream {
        core: CoreId,
        stream: StreamId,
        output: StreamOutput,
    },
    Event(Event),
}
