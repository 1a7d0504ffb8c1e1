//! Channels by name and by id.
//!
//! Invariant: a channel exists exactly as long as it has a member, a waiter or a linked core; its id is reused after
//! that, so an id may be kept only by those who are in the channel.

use super::channel::{Channel, Joined, Left};
use super::engine::{Seat, Seating};
use super::fanout::{Sink, Walked, announce, fan_out};
use super::member::Member;
use crate::channels::Policy;
use crate::ids::{ChannelId, CoreId};
use crate::publication::Tags;
use hashbrown::HashTable;
use std::sync::Arc;

#[derive(Debug)]
pub struct Hub {
    seating: Seating,
    by_name: HashTable<ChannelId>,
    channels: Vec<Option<Channel>>,
    free: Vec<ChannelId>,
}

impl Hub {
    pub fn new(core: CoreId, core_count: u16, hash_seed: u64) -> Self {
        Self {
            seating: Seating::new(core, core_count, hash_seed),
            by_name: HashTable::new(),
            channels: Vec::new(),
            free: Vec::new(),
        }
    }

    /// Who puts publications of this channel in order.
    pub fn seat(&self, name: &str) -> Seat {
        self.seating.seat(name)
    }

    /// The same on all cores of the node.
    pub fn hash(&self, name: &str) -> u64 {
        self.seating.hash(name)
    }

    pub fn owns(&self, name: &str) -> bool {
        self.seat(name) == Seat::Here
    }

    pub fn find(&self, name: &str) -> Option<ChannelId> {
        let hash = self.seating.hash(name);
        self.by_name.find(hash, |&id| self.channel(id).is_some_and(|channel| &*channel.name == name)).copied()
    }

    pub fn name(&self, id: ChannelId) -> Option<&Arc<str>> {
        self.channel(id).map(|channel| &channel.name)
    }

    pub fn channel_count(&self) -> usize {
        self.channels.len() - self.free.len()
    }

    pub fn members(&self, id: ChannelId) -> &[Member] {
        self.channel(id).map_or(&[], Channel::members)
    }

    /// Slots of those who wait for the owner's answer.
    pub fn waiters(&self, id: ChannelId) -> &[u32] {
        self.channel(id).map_or(&[], Channel::waiters)
    }

    /// Other cores that have to be told of a publication; empty where we are not the owner.
    pub fn remotes(&self, id: ChannelId) -> &[CoreId] {
        self.channel(id).map_or(&[], Channel::remotes)
    }

    /// `policy` is that of a channel which is not there yet.
    pub fn join(&mut self, name: &str, policy: &Arc<Policy>, slot: u32) -> (ChannelId, Joined) {
        let id = self.find_or_create(name, policy);
        let joined = self.channel_mut(id).map_or(Joined::Wait, |channel| channel.join(slot));
        (id, joined)
    }

    /// Makes the channel if need be. It vanishes with the next departure unless something of it is kept.
    pub fn open(&mut self, name: &str, policy: &Arc<Policy>) -> ChannelId {
        self.find_or_create(name, policy)
    }

    /// The owner has answered: everyone who waited, in order; `admit` makes each a member.
    pub fn link_up(&mut self, name: &str) -> Option<(ChannelId, Vec<u32>)> {
        let id = self.find(name)?;
        Some((id, self.channel_mut(id)?.link_up()))
    }

    /// The owner has not answered in time: everyone who waited. Its answer is still awaited.
    pub fn give_up(&mut self, name: &str) -> Option<(ChannelId, Vec<u32>)> {
        let id = self.find(name)?;
        Some((id, self.channel_mut(id)?.give_up()))
    }

    /// The owner cannot be asked: everyone who waited.
    pub fn link_failed(&mut self, name: &str) -> Vec<u32> {
        let Some((id, waiters)) = self.link_up(name) else {
            return Vec::new();
        };
        let owned = self.owns(name);
        if let Some(channel) = self.channel_mut(id) {
            channel.unlink_if_deserted(owned);
        }
        self.remove_if_deserted(id);
        waiters
    }

    pub fn admit(&mut self, id: ChannelId, member: Member) -> u32 {
        self.channel_mut(id).map_or(0, |channel| channel.admit(member))
    }

    pub fn leave(&mut self, id: ChannelId, slot: u32, index: u32) -> Left {
        self.depart(id, |channel, owned| channel.leave(slot, index, owned))
    }

    /// Keeps the channel, and its link, for somebody who is on the way in.
    pub fn hold(&mut self, id: ChannelId) {
        if let Some(channel) = self.channel_mut(id) {
            channel.hold();
        }
    }

    /// That somebody has come in or gone. True if the owner has to be told that nobody is left.
    pub fn release(&mut self, id: ChannelId) -> bool {
        let release = |channel: &mut Channel, owned: bool| {
            channel.release();
            Left { moved: None, unlink: channel.unlink_if_deserted(owned) }
        };
        self.depart(id, release).unlink
    }

    /// The owner's answer is awaited even if nobody is left to hear it.
    pub fn stop_waiting(&mut self, id: ChannelId, slot: u32) {
        if let Some(channel) = self.channel_mut(id) {
            channel.stop_waiting(slot);
        }
    }

    /// Gives up a link that nobody here needs. True if the owner has to be told.
    pub fn unlink_if_deserted(&mut self, id: ChannelId) -> bool {
        self.depart(id, |channel, owned| Left { moved: None, unlink: channel.unlink_if_deserted(owned) })
            .unlink
    }

    /// Empties a channel of its local members, because they missed something. The second value says whether the
    /// owner has to be told.
    pub fn expel(&mut self, id: ChannelId) -> (Vec<Member>, bool) {
        let mut expelled = Vec::new();
        let left = self.depart(id, |channel, owned| {
            expelled = channel.expel();
            Left { moved: None, unlink: channel.unlink_if_deserted(owned) }
        });
        (expelled, left.unlink)
    }

    /// Another core has members now. Called on the owner.
    pub fn add_remote(&mut self, id: ChannelId, core: CoreId) {
        if let Some(channel) = self.channel_mut(id) {
            channel.add_remote(core);
        }
    }

    /// Another core has lost its last member. Called on the owner.
    pub fn remove_remote(&mut self, name: &str, core: CoreId) {
        let Some(id) = self.find(name) else {
            return;
        };
        if let Some(channel) = self.channel_mut(id) {
            channel.remove_remote(core);
        }
        self.remove_if_deserted(id);
    }

    /// Delivers a publication to the members of this core, except the one in the slot `exclude`.
    pub fn fan_out(&mut self, id: ChannelId, tags: &Tags, exclude: u32, sink: &mut impl Sink) -> Walked {
        let Some(channel) = self.channel_mut(id) else {
            return Walked::default();
        };
        fan_out(&mut channel.members, channel.filters.as_deref(), tags, exclude, sink)
    }

    /// Tells the members of this core that want to know who comes and goes.
    pub fn announce(&self, id: ChannelId, sink: &mut impl Sink) -> Walked {
        announce(self.members(id), sink)
    }

    /// Tells `found` of every channel with which something is wrong, and of the hub itself as no channel.
    pub fn examine(&self, found: &mut impl FnMut(Option<ChannelId>, &'static str)) {
        for id in self.iter() {
            let Some(channel) = self.channel(id) else { continue };
            if let Some(what) = channel.examine(self.owns(&channel.name)) {
                found(Some(id), what);
            }
            if self.find(&channel.name) != Some(id) {
                found(None, "a channel is not found by its name");
            }
        }
        if self.by_name.len() != self.channel_count() {
            found(None, "a name without a channel");
        }
    }

    /// All channels of this core.
    pub fn iter(&self) -> impl Iterator<Item = ChannelId> + '_ {
        (0..self.channels.len() as u32).map(ChannelId).filter(|&id| self.channel(id).is_some())
    }

    fn depart(&mut self, id: ChannelId, act: impl FnOnce(&mut Channel, bool) -> Left) -> Left {
        let owned = self.name(id).is_some_and(|name| self.owns(name));
        let left = self.channel_mut(id).map_or_else(Left::default, |channel| act(channel, owned));
        self.remove_if_deserted(id);
        left
    }

    fn find_or_create(&mut self, name: &str, policy: &Arc<Policy>) -> ChannelId {
        if let Some(id) = self.find(name) {
            return id;
        }
        let channel = Channel::new(Arc::from(name), Arc::clone(policy), self.owns(name));
        let id = if let Some(id) = self.free.pop() {
            self.channels[id.0 as usize] = Some(channel);
            id
        } else {
            self.channels.push(Some(channel));
            ChannelId(self.channels.len() as u32 - 1)
        };
        let (channels, seating) = (&self.channels, &self.seating);
        let rehash = |id: &ChannelId| name_of(channels, *id).map_or(0, |name| seating.hash(name));
        self.by_name.insert_unique(seating.hash(name), id, rehash);
        id
    }

    /// To be called after something that kept a channel has gone.
    pub fn remove_if_deserted(&mut self, id: ChannelId) {
        let Some(Some(channel)) = self.channels.get(id.0 as usize) else {
            return;
        };
        if !channel.is_deserted() {
            return;
        }
        let hash = self.seating.hash(&channel.name);
        if let Ok(entry) = self.by_name.find_entry(hash, |&other| other == id) {
            entry.remove();
        }
        self.channels[id.0 as usize] = None;
        self.free.push(id);
    }

    pub fn channel(&self, id: ChannelId) -> Option<&Channel> {
        self.channels.get(id.0 as usize)?.as_ref()
    }

    pub fn channel_mut(&mut self, id: ChannelId) -> Option<&mut Channel> {
        self.channels.get_mut(id.0 as usize)?.as_mut()
    }
}

fn name_of(channels: &[Option<Channel>], id: ChannelId) -> Option<&str> {
    channels.get(id.0 as usize)?.as_ref().map(|channel| &*channel.name)
}
