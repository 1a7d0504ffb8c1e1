//! One channel as one core sees it.
//!
//! Invariant: a member is either in the dense array (it gets publications) or waits for the owner's word, never both.
//! The array has no order of its own: leaving moves the last member into the gap, and the mover is told.

use super::Member;
use crate::ids::CoreId;
use std::sync::Arc;

/// What joining led to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Joined {
    /// In the array at this index: publications flow.
    Live { index: u32 },
    /// The first of this core: the owner has to be asked for the link.
    Ask,
    /// Somebody of this core has asked already.
    Wait,
}

/// What leaving led to.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Left {
    /// The member that now stands at the index of the one that left.
    pub moved: Option<Member>,
    /// Nobody of this core is left: the owner has to be told.
    pub unlink: bool,
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
pub(super) struct Channel {
    pub(super) name: Arc<str>,
    members: Vec<Member>,
    waiters: Vec<Member>,
    link: Link,
    /// On the owner only: other cores with members.
    remotes: Vec<CoreId>,
}

impl Channel {
    pub(super) fn new(name: Arc<str>, owned: bool) -> Self {
        let link = if owned { Link::Up } else { Link::Down };
        Self { name, members: Vec::new(), waiters: Vec::new(), link, remotes: Vec::new() }
    }

    pub(super) fn members(&self) -> &[Member] {
        &self.members
    }

    pub(super) fn waiters(&self) -> &[Member] {
        &self.waiters
    }

    pub(super) fn remotes(&self) -> &[CoreId] {
        &self.remotes
    }

    pub(super) fn join(&mut self, member: Member) -> Joined {
        match self.link {
            Link::Up => Joined::Live { index: self.admit(member) },
            Link::Asked => {
                self.waiters.push(member);
                Joined::Wait
            }
            Link::Down => {
                self.link = Link::Asked;
                self.waiters.push(member);
                Joined::Ask
            }
        }
    }

    /// The owner's word has come: who waited is to be admitted, in the order of asking.
    pub(super) fn link_up(&mut self) -> Vec<Member> {
        if self.link == Link::Asked {
            self.link = Link::Up;
        }
        std::mem::take(&mut self.waiters)
    }

    pub(super) fn give_up(&mut self) -> Vec<Member> {
        std::mem::take(&mut self.waiters)
    }

    pub(super) fn admit(&mut self, member: Member) -> u32 {
        self.members.push(member);
        self.members.len() as u32 - 1
    }

    /// Takes out the member at `index`; refuses when somebody else stands there.
    pub(super) fn leave(&mut self, member: Member, index: u32, owned: bool) -> Left {
        let index = index as usize;
        if self.members.get(index) != Some(&member) {
            return Left::default();
        }
        self.members.swap_remove(index);
        // A channel that was full once and is nearly empty now gives its memory back.
        if self.members.capacity() > 64 && self.members.len() < self.members.capacity() / 4 {
            self.members.shrink_to(self.members.len() * 2);
        }
        Left { moved: self.members.get(index).copied(), unlink: self.unlink_if_deserted(owned) }
    }

    pub(super) fn stop_waiting(&mut self, member: Member) {
        self.waiters.retain(|&waiter| waiter != member);
    }

    /// Everybody of this core leaves at once.
    pub(super) fn expel(&mut self) -> Vec<Member> {
        std::mem::take(&mut self.members)
    }

    /// Takes the link down if nobody here needs it. True: the owner has to be told.
    pub(super) fn unlink_if_deserted(&mut self, owned: bool) -> bool {
        let deserted = self.members.is_empty() && self.waiters.is_empty();
        if owned || !deserted || self.link != Link::Up {
            return false;
        }
        self.link = Link::Down;
        true
    }

    pub(super) fn add_remote(&mut self, core: CoreId) {
        if !self.remotes.contains(&core) {
            self.remotes.push(core);
        }
    }

    pub(super) fn remove_remote(&mut self, core: CoreId) {
        self.remotes.retain(|&remote| remote != core);
    }

    pub(super) fn is_deserted(&self) -> bool {
        let is_unused = self.members.is_empty() && self.waiters.is_empty() && self.remotes.is_empty();
        is_unused && self.link != Link::Asked
    }

    pub(super) fn check(&self, owned: bool) {
        assert!(!owned || self.link == Link::Up, "an owner is linked to itself");
        assert!(owned || self.remotes.is_empty(), "only an owner knows other cores");
        assert!(self.waiters.is_empty() || self.link == Link::Asked, "nobody waits for a link that is up");
        assert!(self.members.is_empty() || self.link == Link::Up, "members hear only through a link");
        assert!(!self.is_deserted(), "a deserted channel is removed");
    }
}
