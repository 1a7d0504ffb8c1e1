//! One publication to all members of a channel on this core.
//! The loop runs over a dense array and allocates nothing: what a delivery costs is what the sink does.

use super::Member;
use crate::payload::Payload;

/// Takes deliveries. The shard's sink queues them to connections, a test's sink is a list.
pub trait Sink {
    fn deliver(&mut self, member: Member, payload: &Payload);
}

impl Sink for Vec<(Member, Payload)> {
    fn deliver(&mut self, member: Member, payload: &Payload) {
        self.push((member, payload.clone()));
    }
}

pub(super) fn fan_out(members: &[Member], payload: &Payload, sink: &mut impl Sink) {
    for &member in members {
        sink.deliver(member, payload);
    }
}
