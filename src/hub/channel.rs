//! A channel on one core: the dense array of those who listen, those who wait, and the cores that listen elsewhere.
//!
//! Invariant: members hear every publication from the moment of their admission on; whoever waits is admitted or told
//! otherwise. Only an owner knows other cores and keeps a stream.

use super::filters::Filters;
use super::member::{FilterId, Member};
use crate::channels::Policy;
use crate::filter::Filter;
use crate::history::Stream;
use crate::ids::CoreId;
use crate::publication::{Publication, Tags};
use std::sync::Arc;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Joined {
    /// Publications flow: admit the member.
    Up,
    /// The first of this core: the owner has to be asked for the link.
    Ask,
    /// Somebody of this core has asked already.
    Wait,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Left {
    /// The slot of the member that now stands at the index of the one that left.
    pub moved: Option<u32>,
    /// Nobody of this core is left: the owner has to be told.
    pub unlink: bool,
}

/// How far this core has heard the stream of a channel.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Place {
    pub epoch: Arc<str>,
    pub offset: u64,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Link {
    /// This core is the owner, or the owner knows of us.
    Up,
    /// The owner has been asked and has not answered. The channel stays until it has, even if nobody waits any more:
    /// asking again meanwhile would let the first answer pass for the second, while the owner still has our farewell
    /// to read and tells us nothing.
    Asked,
    /// Nobody here listens.
    Down,
}

#[derive(Debug)]
pub struct Channel {
    pub name: Arc<str>,
    pub policy: Arc<Policy>,
    pub(super) members: Vec<Member>,
    /// Slots of those who wait for the link.
    waiters: Vec<u32>,
    /// Members to be, who wait for the publications that they have missed; or for anything else that must not outlive
    /// the channel.
    holds: u32,
    link: Link,
    /// The application was told that somebody listens.
    is_occupied: bool,
    /// Where the stream stands; none in a channel without history.
    pub place: Option<Box<Place>>,
    /// The publication that the next patch is made on; kept only where patches are allowed.
    pub last: Option<Arc<Publication>>,
    pub(super) filters: Option<Box<Filters>>,
    /// On the owner only.
    owned: Option<Box<Owned>>,
}

/// What only the owner of a channel has.
#[derive(Debug, Default)]
pub struct Owned {
    /// Other cores with members.
    remotes: Vec<CoreId>,
    /// The history; none in a channel without, and while it is being loaded.
    pub stream: Option<Box<Stream>>,
}

impl Channel {
    pub(super) fn new(name: Arc<str>, policy: Arc<Policy>, owned: bool) -> Self {
        Self {
            name,
            policy,
            members: Vec::new(),
            waiters: Vec::new(),
            holds: 0,
            is_occupied: false,
            link: if owned { Link::Up } else { Link::Down },
            place: None,
            last: None,
            filters: None,
            owned: None,
        }
    }

    pub fn members(&self) -> &[Member] {
        &self.members
    }

    pub fn waiters(&self) -> &[u32] {
        &self.waiters
    }

    pub fn remotes(&self) -> &[CoreId] {
        self.owned.as_ref().map_or(&[], |owned| &owned.remotes)
    }

    pub fn stream(&self) -> Option<&Stream> {
        self.owned.as_ref()?.stream.as_deref()
    }

    pub fn stream_mut(&mut self) -> Option<&mut Stream> {
        self.owned.as_mut()?.stream.as_deref_mut()
    }

    pub fn set_stream(&mut self, stream: Stream) {
        self.owned.get_or_insert_default().stream = Some(Box::new(stream));
    }

    pub fn drop_stream(&mut self) {
        if let Some(owned) = &mut self.owned {
            owned.stream = None;
            if owned.remotes.is_empty() {
                self.owned = None;
            }
        }
    }

    /// Whether anybody of the node listens. Asked of the owner.
    pub fn is_occupied(&self) -> bool {
        !self.members.is_empty() || !self.remotes().is_empty()
    }

    /// True if that is news.
    pub fn set_occupied(&mut self, is_occupied: bool) -> bool {
        std::mem::replace(&mut self.is_occupied, is_occupied) != is_occupied
    }

    pub(super) fn join(&mut self, slot: u32) -> Joined {
        match self.link {
            Link::Up => Joined::Up,
            Link::Asked => {
                self.waiters.push(slot);
                Joined::Wait
            }
            Link::Down => {
                self.link = Link::Asked;
                self.waiters.push(slot);
                Joined::Ask
            }
        }
    }

    /// The owner's word has come: who waited is to be admitted, in the order of asking.
    pub(super) fn link_up(&mut self) -> Vec<u32> {
        if self.link == Link::Asked {
            self.link = Link::Up;
        }
        std::mem::take(&mut self.waiters)
    }

    pub(super) fn give_up(&mut self) -> Vec<u32> {
        std::mem::take(&mut self.waiters)
    }

    pub(super) fn admit(&mut self, member: Member) -> u32 {
        self.members.push(member);
        self.members.len() as u32 - 1
    }

    /// Takes out the member at `index`; refuses when somebody else stands there.
    pub(super) fn leave(&mut self, slot: u32, index: u32, owned: bool) -> Left {
        let index = index as usize;
        if self.members.get(index).is_none_or(|member| member.slot != slot) {
            return Left::default();
        }
        let filter = self.members.swap_remove(index).filter;
        self.release_filter(filter);
        // A channel that was full once and is nearly empty now gives its memory back.
        if self.members.capacity() > 64 && self.members.len() < self.members.capacity() / 4 {
            self.members.shrink_to(self.members.len() * 2);
        }
        let moved = self.members.get(index).map(|member| member.slot);
        Left { moved, unlink: self.unlink_if_deserted(owned) }
    }

    pub(super) fn stop_waiting(&mut self, slot: u32) {
        self.waiters.retain(|&waiter| waiter != slot);
    }

    pub(super) fn hold(&mut self) {
        self.holds += 1;
    }

    pub(super) fn release(&mut self) {
        self.holds = self.holds.saturating_sub(1);
    }

    /// None: the channel has too many different filters.
    pub fn share_filter(&mut self, filter: Filter) -> Option<FilterId> {
        self.filters.get_or_insert_default().share(filter)
    }

    pub fn release_filter(&mut self, id: FilterId) {
        if id != FilterId::NONE
            && let Some(filters) = &mut self.filters
        {
            filters.release(id);
            if filters.is_empty() {
                self.filters = None;
            }
        }
    }

    pub fn passes(&self, id: FilterId, tags: &Tags) -> bool {
        self.filters.as_ref().is_none_or(|filters| filters.passes(id, tags))
    }

    /// Everybody of this core leaves at once.
    pub(super) fn expel(&mut self) -> Vec<Member> {
        self.filters = None;
        std::mem::take(&mut self.members)
    }

    /// Takes the link down if nobody here needs it. True: the owner has to be told.
    pub(super) fn unlink_if_deserted(&mut self, owned: bool) -> bool {
        let deserted = self.members.is_empty() && self.waiters.is_empty() && self.holds == 0;
        if owned || !deserted || self.link != Link::Up {
            return false;
        }
        self.link = Link::Down;
        true
    }

    pub(super) fn add_remote(&mut self, core: CoreId) {
        let remotes = &mut self.owned.get_or_insert_default().remotes;
        if !remotes.contains(&core) {
            remotes.push(core);
        }
    }

    pub(super) fn remove_remote(&mut self, core: CoreId) {
        if let Some(owned) = &mut self.owned {
            owned.remotes.retain(|&remote| remote != core);
            if owned.remotes.is_empty() && owned.stream.is_none() {
                self.owned = None;
            }
        }
    }

    pub(super) fn is_deserted(&self) -> bool {
        let is_unused = self.members.is_empty() && self.waiters.is_empty() && self.holds == 0;
        is_unused && self.owned.is_none() && self.link != Link::Asked
    }

    /// Members to be, as it counts them.
    pub fn holds(&self) -> u32 {
        self.holds
    }

    pub fn set_holds(&mut self, holds: u32) {
        self.holds = holds;
    }

    /// What is wrong with it.
    pub(super) fn examine(&self, owned: bool) -> Option<&'static str> {
        let rules = [
            (!owned || self.link == Link::Up, "an owner is not linked to itself"),
            (
                owned || self.owned.is_none(),
                "somebody else than the owner knows other cores or keeps a stream",
            ),
            (self.waiters.is_empty() || self.link == Link::Asked, "somebody waits for a link that is up"),
            (self.members.is_empty() || self.link == Link::Up, "members without a link"),
            (!self.is_deserted(), "a deserted channel is still there"),
        ];
        rules.into_iter().find(|(holds, _)| !holds).map(|(_, what)| what)
    }
}
