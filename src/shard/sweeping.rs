//! Dropping what is over from the streams of the channels that this core owns.
//! Invariant: every stream has an entry here until it is gone; an entry that comes up too early is put back, so that a
//! publication costs nothing here.

use super::Shard;
use super::guarding::Underway;
use crate::ids::ChannelId;
use crate::stats::Work;
use crate::time::Moment;
use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::sync::Arc;
use std::time::Duration;

#[derive(Debug, Default)]
pub(super) struct Sweeps {
    heap: BinaryHeap<Reverse<(Moment, Arc<str>)>>,
}

impl Sweeps {
    pub(super) fn deadline(&self) -> Option<Moment> {
        self.heap.peek().map(|Reverse((due, _))| *due)
    }
}

impl Shard {
    /// A stream has begun.
    pub(super) fn watch_stream(&mut self, channel: ChannelId) {
        let Some(channel) = self.hub.channel(channel) else { return };
        if let Some(stream) = channel.stream() {
            self.sweeps.heap.push(Reverse((stream.deadline() + SWEEP_DELAY, Arc::clone(&channel.name))));
        }
    }

    pub(super) fn sweep(&mut self) {
        while self.sweeps.deadline().is_some_and(|due| due <= self.now)
            && let Some(Reverse((_, name))) = self.sweeps.heap.pop()
        {
            if let Some(id) = self.hub.find(&name) {
                self.attempt(Work::Deadline, |shard| shard.sweep_channel(id, name));
                self.mend();
            }
        }
    }

    fn sweep_channel(&mut self, id: ChannelId, name: Arc<str>) {
        let now = self.now;
        self.wreckage.underway.push(Underway::Stream(id));
        if let Some(channel) = self.hub.channel_mut(id) {
            // A position that subscribers rely on is not forgotten under them.
            let is_in_use = channel.is_occupied();
            if let Some(stream) = channel.stream_mut() {
                if stream.expire(now) || is_in_use {
                    let due = stream.deadline().max(now) + SWEEP_DELAY;
                    self.sweeps.heap.push(Reverse((due, name)));
                } else {
                    channel.drop_stream();
                    self.hub.remove_if_deserted(id);
                }
            }
        }
        self.wreckage.underway.pop();
    }

    /// Whether streams of other cores are followed here.
    pub(super) fn follows_streams(&self) -> bool {
        self.options.core_count > 1
            && self.hub.iter().any(|id| {
                self.hub
                    .channel(id)
                    .is_some_and(|channel| channel.place.is_some() && !channel.members().is_empty())
            })
    }
}

/// Expired publications are never given out; their memory can wait until several are due.
const SWEEP_DELAY: Duration = Duration::from_secs(1);
