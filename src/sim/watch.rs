//! What mail may cause: a core that has missed nothing throws nobody out.
//!
//! Invariant: from word of a gap until it has heard anew where the stream stands, a core may find that it has missed
//! something; at any other time, offsets that do not fit are its own fault. Sees letters from outside, and knows nothing
//! of what a core makes of them.

use crate::shard::mail::{Mail, Query, RequestId};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

#[derive(Debug, Default)]
pub struct Watch {
    /// Channels of which a core has missed something, and has not heard since where they stand.
    shaken: BTreeSet<(usize, Arc<str>)>,
    /// What each core has asked about the position of a stream.
    asked: BTreeMap<(usize, u64), Arc<str>>,
}

/// A letter, as far as it matters here.
#[derive(Debug)]
pub enum Opened {
    /// The core hears that it has missed something.
    Gap(Arc<str>),
    /// It hears where a stream stands, and goes on from there.
    Place(Arc<str>),
    /// It hears from the disk, which may not agree with it.
    Fate,
    Other,
}

impl Watch {
    pub fn posted(&mut self, letter: &Mail) {
        if let Mail::Query { from, request, channel, query: Query::Recover(_) } = letter {
            self.asked.insert((from.index(), request.0), Arc::clone(channel));
        }
    }

    /// A core is about to read `letter`.
    pub fn opened(&mut self, core: usize, letter: &Mail) -> Opened {
        if let Mail::Gap { channel } = letter {
            self.shaken.insert((core, Arc::clone(channel)));
            Opened::Gap(Arc::clone(channel))
        } else if let Mail::Linked { channel, .. } = letter {
            Opened::Place(Arc::clone(channel))
        } else if let Mail::Reply { request: RequestId(request), .. } = letter {
            self.asked.remove(&(core, *request)).map_or(Opened::Other, Opened::Place)
        } else if let Mail::Fate(_) = letter {
            Opened::Fate
        } else {
            Opened::Other
        }
    }

    /// The core has read it. `before` and `after`: gaps and subscriptions that it counts.
    pub fn judge(&mut self, core: usize, letter: &Opened, before: (u64, u64), after: (u64, u64)) {
        let has_expelled = after.0 > before.0 && after.1 < before.1;
        let is_shaken =
            matches!(letter, Opened::Fate) || self.shaken.iter().any(|(shaken, _)| *shaken == core);
        assert!(!has_expelled || is_shaken, "core {core} has missed nothing and throws out: {letter:?}");
        if let Opened::Place(channel) = letter {
            self.shaken.remove(&(core, Arc::clone(channel)));
        }
    }
}
