//! What a connection is owed, as a list of shared payloads.
//!
//! Invariant: `queued_bytes` is the sum of the listed payloads; `in_flight_bytes` is what the one send that is under
//! way carries, zero when there is none. The nodes of all lists of a core live in one arena, so that a publication
//! to ten thousand subscribers allocates nothing and an idle connection owns nothing.

use crate::payload::Payload;

const NONE: u32 = u32::MAX;

/// The list of one connection: 16 bytes.
#[derive(Debug)]
pub struct Outbox {
    first: u32,
    last: u32,
    queued_bytes: u32,
    in_flight_bytes: u32,
}

/// The arena of one core.
#[derive(Debug, Default)]
pub struct Nodes {
    list: Vec<Node>,
    free: u32,
    used: u32,
    /// Of the listed payloads, one that is in several lists as often.
    bytes: u64,
    /// Of the sends that are under way, in the same way.
    flying_bytes: u64,
}

#[derive(Debug)]
struct Node {
    /// None: the place is reserved.
    payload: Option<Payload>,
    next: u32,
}

/// A reserved place in the list of one connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Place(u32);

/// A payload did not fit: the reader is slow.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Overflow;

impl Default for Outbox {
    fn default() -> Self {
        Self { first: NONE, last: NONE, queued_bytes: 0, in_flight_bytes: 0 }
    }
}

impl Outbox {
    /// Appends. An empty outbox takes any payload: a limit on one message is not the business of a queue.
    pub fn push(&mut self, nodes: &mut Nodes, payload: Payload, bytes_max: u32) -> Result<(), Overflow> {
        let waiting = self.waiting_bytes();
        let total = waiting.saturating_add(payload.len());
        if waiting > 0 && total > bytes_max {
            return Err(Overflow);
        }
        self.queued_bytes = self.queued_bytes.saturating_add(payload.len());
        let node = nodes.take(Some(payload));
        self.link(nodes, node);
        Ok(())
    }

    fn link(&mut self, nodes: &mut Nodes, node: u32) {
        if self.last == NONE {
            self.first = node;
        } else {
            nodes.list[self.last as usize].next = node;
        }
        self.last = node;
    }

    /// Keeps a place for a payload that is not known yet: nothing behind it leaves before it is filled.
    pub fn reserve(&mut self, nodes: &mut Nodes) -> Place {
        let node = nodes.take(None);
        self.link(nodes, node);
        Place(node)
    }

    /// Fills the place, which must be of this list and not yet filled or cleared.
    pub fn fill(&mut self, nodes: &mut Nodes, Place(node): Place, payload: Payload) {
        self.queued_bytes = self.queued_bytes.saturating_add(payload.len());
        nodes.bytes += u64::from(payload.len());
        nodes.list[node as usize].payload = Some(payload);
    }

    /// Gives a reserved place up, and with it everything behind it. One that is not in this list is none.
    pub fn truncate(&mut self, nodes: &mut Nodes, Place(place): Place) {
        let (mut at, mut before) = (self.first, NONE);
        while at != NONE && at != place {
            before = at;
            at = nodes.list[at as usize].next;
        }
        while at != NONE {
            self.queued_bytes -= nodes.peek_len(at);
            at = nodes.give(at).1;
        }
        if before == NONE {
            self.first = if self.first == place { NONE } else { self.first };
        } else {
            nodes.list[before as usize].next = NONE;
        }
        self.last = before;
    }

    /// Takes everything that one send may carry, in order, into `run`. At least one payload if there is any; a large
    /// one ends the run, because it is sent from where it lies.
    pub fn take_run(&mut self, nodes: &mut Nodes, run: &mut Vec<Payload>, gather: Gather) {
        let mut bytes = 0_u32;
        while self.first != NONE && !nodes.is_reserved(self.first) {
            let len = nodes.peek_len(self.first);
            let fits = bytes.saturating_add(len) <= gather.bytes_max && len < gather.copy_bytes_max;
            if !run.is_empty() && !fits {
                break;
            }
            let (payload, next) = nodes.give(self.first);
            self.first = next;
            self.queued_bytes = self.queued_bytes.saturating_sub(len);
            bytes = bytes.saturating_add(len);
            run.extend(payload);
            if !fits {
                break;
            }
        }
        if self.first == NONE {
            self.last = NONE;
        }
        self.fly(nodes, bytes);
    }

    /// The send that is under way carries so many bytes, none if there is none: records are longer than what is in them.
    pub fn fly(&mut self, nodes: &mut Nodes, bytes: u32) {
        let before = std::mem::replace(&mut self.in_flight_bytes, bytes);
        nodes.flying_bytes = (nodes.flying_bytes + u64::from(bytes)).saturating_sub(before.into());
    }

    /// The send that was under way is done.
    pub fn landed(&mut self, nodes: &mut Nodes) {
        self.fly(nodes, 0);
    }

    /// Drops what is queued; what is in flight stays there.
    pub fn clear(&mut self, nodes: &mut Nodes) {
        while self.first != NONE {
            let (_, next) = nodes.give(self.first);
            self.first = next;
        }
        self.last = NONE;
        self.queued_bytes = 0;
    }

    /// Bytes queued and in flight.
    pub const fn waiting_bytes(&self) -> u32 {
        self.queued_bytes.saturating_add(self.in_flight_bytes)
    }

    /// Bytes in flight.
    pub const fn flying_bytes(&self) -> u32 {
        self.in_flight_bytes
    }

    pub fn is_sending(&self) -> bool {
        self.in_flight_bytes > 0
    }

    pub fn has_queued(&self) -> bool {
        self.first != NONE
    }

    /// Nothing queued and nothing in flight.
    pub fn is_idle(&self) -> bool {
        !self.has_queued() && !self.is_sending()
    }

    /// What is wrong with the list. Adds its nodes to `nodes_seen`.
    pub fn examine(&self, nodes: &Nodes, nodes_seen: &mut u32) -> Option<&'static str> {
        let (mut at, mut bytes, mut last, mut count) = (self.first, 0_u64, NONE, 0);
        while at != NONE {
            let Some(node) = nodes.list.get(at as usize).filter(|_| count < nodes.used) else {
                return Some("the list of the outbox has no end");
            };
            bytes += u64::from(node.payload.as_ref().map_or(0, Payload::len));
            count += 1;
            last = at;
            at = node.next;
        }
        *nodes_seen += count;
        if last != self.last {
            return Some("the list of the outbox ends where it does not say");
        }
        (bytes != u64::from(self.queued_bytes)).then_some("the sum of the outbox is wrong")
    }

    /// Whether the reply at its head is still awaited.
    pub fn is_held_back(&self, nodes: &Nodes) -> bool {
        self.first != NONE && nodes.is_reserved(self.first)
    }
}

/// How payloads are put together into one send.
#[derive(Clone, Copy, Debug)]
pub struct Gather {
    /// Upper bound of a gathered send.
    pub bytes_max: u32,
    /// Payloads of this size are not copied.
    pub copy_bytes_max: u32,
}

impl Nodes {
    /// Nodes in use: zero when every outbox is empty.
    pub fn used(&self) -> u32 {
        self.used
    }

    /// Bytes in all lists.
    pub fn bytes(&self) -> u64 {
        self.bytes
    }

    /// What all payloads that are listed or under way take in memory, each as often as it is owed.
    pub fn held_bytes(&self) -> u64 {
        self.bytes + self.flying_bytes + u64::from(self.used) * PAYLOAD_COST_BYTES
    }

    /// Bytes of all sends that are under way.
    pub fn flying_bytes(&self) -> u64 {
        self.flying_bytes
    }

    /// What the connections say that it is: after a bug.
    pub fn set_flying_bytes(&mut self, bytes: u64) {
        self.flying_bytes = bytes;
    }

    fn take(&mut self, payload: Option<Payload>) -> u32 {
        self.used += 1;
        self.bytes += payload.as_ref().map_or(0, |payload| u64::from(payload.len()));
        let node = Node { payload, next: NONE };
        if self.free == 0 {
            self.list.push(node);
            return self.list.len() as u32 - 1;
        }
        // The free list counts from one, so that a default arena has an empty one.
        let at = self.free - 1;
        let slot = &mut self.list[at as usize];
        self.free = slot.next;
        *slot = node;
        at
    }

    fn give(&mut self, at: u32) -> (Option<Payload>, u32) {
        self.used -= 1;
        let node = &mut self.list[at as usize];
        let (payload, next) = (node.payload.take(), node.next);
        self.bytes -= payload.as_ref().map_or(0, |payload| u64::from(payload.len()));
        if self.used == 0 {
            // All lists are empty: start over, in order of memory, and give a burst's memory back.
            self.free = 0;
            self.list.clear();
            if self.list.capacity() > NODES_KEPT {
                self.list = Vec::new();
            }
        } else {
            node.next = self.free;
            self.free = at + 1;
        }
        (payload, next)
    }

    fn is_reserved(&self, at: u32) -> bool {
        self.list[at as usize].payload.is_none()
    }

    fn peek_len(&self, at: u32) -> u32 {
        self.list[at as usize].payload.as_ref().map_or(0, Payload::len)
    }
}

/// A payload beside its bytes: node, reference counts, and what the allocator adds. Small ones cost more than they say.
const PAYLOAD_COST_BYTES: u64 = 80;
/// Nodes that stay allocated when every queue is empty.
const NODES_KEPT: usize = 16 * 1024;

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[track_caller]
    fn check(outbox: &Outbox, nodes: &Nodes) {
        assert_eq!(outbox.examine(nodes, &mut 0), None);
    }

    const GATHER: Gather = Gather { bytes_max: 100, copy_bytes_max: 50 };

    fn payload(len: usize) -> Payload {
        Payload::new(vec![len as u8; len])
    }

    fn lens(run: &[Payload]) -> Vec<u32> {
        run.iter().map(Payload::len).collect()
    }

    #[test]
    fn an_empty_outbox_takes_any_payload_and_a_waiting_one_refuses_beyond_its_limit() {
        let (mut nodes, mut outbox) = (Nodes::default(), Outbox::default());
        assert_eq!(outbox.push(&mut nodes, payload(90), 40), Ok(()));
        assert_eq!(outbox.push(&mut nodes, payload(1), 40), Err(Overflow));
        outbox.clear(&mut nodes);
        assert_eq!(nodes.used(), 0);
        assert!(outbox.is_idle());
    }

    #[test]
    fn bytes_in_flight_count_as_waiting() {
        let (mut nodes, mut outbox, mut run) = (Nodes::default(), Outbox::default(), Vec::new());
        outbox.push(&mut nodes, payload(30), 40).unwrap();
        outbox.take_run(&mut nodes, &mut run, GATHER);
        assert_eq!(outbox.push(&mut nodes, payload(11), 40), Err(Overflow));
        outbox.landed(&mut nodes);
        assert_eq!(outbox.push(&mut nodes, payload(11), 40), Ok(()));
    }

    #[test]
    fn a_run_gathers_small_payloads_and_a_large_one_goes_alone() {
        let (mut nodes, mut outbox, mut run) = (Nodes::default(), Outbox::default(), Vec::new());
        for len in [40, 40, 40, 60, 10] {
            outbox.push(&mut nodes, payload(len), 1000).unwrap();
        }
        for want in [vec![40, 40], vec![40], vec![60], vec![10], vec![]] {
            run.clear();
            outbox.take_run(&mut nodes, &mut run, GATHER);
            assert_eq!(lens(&run), want);
            check(&outbox, &nodes);
            outbox.landed(&mut nodes);
        }
        assert_eq!(nodes.used(), 0);
    }

    #[test]
    fn nothing_behind_a_reserved_place_leaves_before_it_is_filled() {
        let (mut nodes, mut outbox, mut run) = (Nodes::default(), Outbox::default(), Vec::new());
        outbox.push(&mut nodes, payload(3), 1000).unwrap();
        let place = outbox.reserve(&mut nodes);
        outbox.push(&mut nodes, payload(5), 1000).unwrap();
        for want in [vec![3], vec![]] {
            run.clear();
            outbox.take_run(&mut nodes, &mut run, GATHER);
            assert_eq!(lens(&run), want);
            outbox.landed(&mut nodes);
            check(&outbox, &nodes);
        }
        let other = outbox.reserve(&mut nodes);
        outbox.push(&mut nodes, payload(6), 1000).unwrap();
        outbox.truncate(&mut nodes, other);
        check(&outbox, &nodes);
        outbox.fill(&mut nodes, place, payload(4));
        check(&outbox, &nodes);
        outbox.take_run(&mut nodes, &mut run, GATHER);
        assert_eq!(lens(&run), [4, 5]);
        assert_eq!(nodes.used(), 0);
    }

    proptest! {
        #[test]
        fn interleaved_outboxes_keep_their_order(steps in prop::collection::vec((0..4_usize, 0..3_u8), 1..200)) {
            let mut nodes = Nodes::default();
            let mut boxes: [Outbox; 4] = std::array::from_fn(|_| Outbox::default());
            let mut model: [Vec<u32>; 4] = std::array::from_fn(|_| Vec::new());
            for (count, (at, act)) in steps.into_iter().enumerate() {
                if act < 2 {
                    let len = count % 7 + 1;
                    boxes[at].push(&mut nodes, payload(len), u32::MAX).unwrap();
                    model[at].push(len as u32);
                } else {
                    let mut run = Vec::new();
                    boxes[at].take_run(&mut nodes, &mut run, Gather { bytes_max: 9, copy_bytes_max: 9 });
                    let taken: Vec<u32> = model[at].drain(..run.len()).collect();
                    prop_assert_eq!(lens(&run), taken);
                }
                for outbox in &boxes {
                    check(outbox, &nodes);
                }
                prop_assert_eq!(nodes.used() as usize, model.iter().map(Vec::len).sum::<usize>());
            }
        }
    }
}
