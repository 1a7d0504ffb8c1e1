//! What the owner core of a channel asks of the store, and what it hears of it.
//! Knows nothing of how anything is kept.

use super::fault::StoreError;
use crate::ids::CoreId;
use crate::publication::Publication;
use std::sync::Arc;

/// Names an order to the one who gave it. The store passes it on and reads nothing into it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Ticket {
    pub core: CoreId,
    pub request: u64,
}

#[derive(Clone, Debug)]
pub enum Order {
    /// What is known of a channel, with its newest `limit` publications. Every owner loads before it appends: an epoch
    /// of its own making would begin the stream anew.
    Load { ticket: Ticket, channel: Arc<str>, limit: u32 },
    /// The next publication. In an epoch that the store has, its offset follows the last one; another epoch begins a
    /// stream, with any offset, and the old one goes.
    Append {
        ticket: Ticket,
        channel: Arc<str>,
        epoch: Arc<str>,
        publication: Arc<Publication>,
        keep: Keep,
        idempotency: Option<Idempotency>,
        version: Option<Box<Version>>,
    },
    /// The publications go, the position stays.
    Remove { ticket: Ticket, channel: Arc<str> },
    /// A user has acknowledged the channel up to here. Goes with the epoch.
    Cursor { ticket: Ticket, channel: Arc<str>, user: Box<str>, offset: u64 },
    /// Something of the node itself, of no channel.
    Note { ticket: Ticket, note: Note },
    /// Publications up to here are too old for their owner. Has no answer: what gets lost the sweep finds.
    Expire { channel: Arc<str>, up_to_offset: u64 },
}

/// What the node keeps under a name. The store reads nothing into it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Note {
    pub name: Vec<u8>,
    /// None: it goes, or, when it was read, it was not what had been written.
    pub value: Option<Vec<u8>>,
}

impl Order {
    /// Bytes that wait with it, near enough.
    pub(super) fn bytes(&self) -> u64 {
        match self {
            Self::Append { publication, .. } => publication.data.len() as u64,
            Self::Note { note, .. } => note.value.as_ref().map_or(0, Vec::len) as u64,
            Self::Load { .. } | Self::Remove { .. } | Self::Cursor { .. } | Self::Expire { .. } => 0,
        }
    }

    /// Empty: it is about none.
    pub(super) fn channel(&self) -> &str {
        match self {
            Self::Note { .. } => "",
            Self::Load { channel, .. }
            | Self::Append { channel, .. }
            | Self::Remove { channel, .. }
            | Self::Cursor { channel, .. }
            | Self::Expire { channel, .. } => channel,
        }
    }

    pub const fn ticket(&self) -> Option<Ticket> {
        match self {
            Self::Load { ticket, .. }
            | Self::Append { ticket, .. }
            | Self::Remove { ticket, .. }
            | Self::Cursor { ticket, .. }
            | Self::Note { ticket, .. } => Some(*ticket),
            Self::Expire { .. } => None,
        }
    }
}

/// How long the history of a channel lives.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Keep {
    /// Newest publications that are kept. 0: none, the position alone.
    pub size: u32,
    /// The publications go this long after the newest one. 0: never by age.
    pub ttl_ms: u64,
    /// The position goes this long after the newest publication, and never before the publications. 0: never by age.
    pub meta_ttl_ms: u64,
}

/// A second publication with this key is answered with the position of the first: remembered for that.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Idempotency {
    pub key: Box<str>,
    /// Unix time in milliseconds.
    pub until_ms: u64,
}

/// The version that the publication brought, which later ones are measured against.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Version {
    pub version: u64,
    pub epoch: Box<str>,
}

#[derive(Clone, Debug)]
pub enum Fate {
    /// None: the store knows nothing of the channel; its owner makes an epoch.
    Loaded {
        ticket: Ticket,
        state: Option<Box<ChannelState>>,
    },
    Done {
        ticket: Ticket,
    },
    /// The store takes back whatever of it may have reached the disk. Only a process that ends before a full disk has
    /// space again may find the order done, whole. The appends behind a failed one fail as well: they are out of order.
    Failed {
        ticket: Ticket,
        why: StoreError,
    },
}

impl Fate {
    pub const fn ticket(&self) -> Ticket {
        match self {
            Self::Loaded { ticket, .. } | Self::Done { ticket } | Self::Failed { ticket, .. } => *ticket,
        }
    }
}

#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ChannelState {
    /// Another than the owner's clients remember if the store lost something: then their positions are void.
    pub epoch: Arc<str>,
    /// Offset of the newest publication that there was; the next one gets one more.
    pub top: u64,
    /// Oldest first, without a hole, ending with `top` unless they are gone.
    pub publications: Vec<Arc<Publication>>,
    /// Zero and empty: none was ever given.
    pub version: Version,
    pub cursors: Vec<(Box<str>, u64)>,
    /// Those that still live, by offset.
    pub idempotency: Vec<Remembered>,
}

/// A publication of this epoch that had a key, whether it is still kept or not.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Remembered {
    pub key: Box<str>,
    pub offset: u64,
    /// Unix time in milliseconds.
    pub until_ms: u64,
}
