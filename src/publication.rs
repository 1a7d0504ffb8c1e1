//! A publication as it is ordered, kept and passed between cores: before any codec.
//!
//! Invariant: nobody changes a publication after its owner has given it an offset; everyone shares it by reference.
//! Knows nothing of channels, codecs or connections.

use crate::ids::ClientId;
use std::sync::Arc;

#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Publication {
    /// Place in the stream of its channel, from 1; 0 in a channel without history.
    pub offset: u64,
    /// Opaque. If `is_json`: one valid document without raw line breaks.
    pub data: Box<[u8]>,
    /// Whether clients of the JSON codec can have it.
    pub is_json: bool,
    /// Who published; nobody when a back end did.
    pub info: Option<Box<Person>>,
    pub tags: Tags,
    /// Unix time of its acceptance, in milliseconds.
    pub time_ms: i64,
}

impl Publication {
    /// Memory that it occupies, with all that belongs to it, as if nothing of it were shared.
    pub fn bytes(&self) -> u64 {
        let tags: usize = self.tags.iter().map(|(key, value)| key.len() + value.len()).sum();
        let own = size_of::<Self>() + self.data.len() + size_of_val(&*self.tags) + tags;
        own as u64 + self.info.as_ref().map_or(0, |person| person.bytes())
    }
}

/// In the order in which they were given.
pub type Tags = Box<[(Box<str>, Box<str>)]>;

/// A client as others may see it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Person {
    pub client: ClientId,
    /// Empty for anonymous users.
    pub user: Box<str>,
    /// What its connection token or hook says of it: JSON, or opaque to Protobuf clients.
    pub conn_info: Option<Arc<[u8]>>,
    /// What its subscription token or hook says of it.
    pub chan_info: Option<Arc<[u8]>>,
}

impl Person {
    fn bytes(&self) -> u64 {
        let info = |info: &Option<Arc<[u8]>>| info.as_ref().map_or(0, |info| info.len());
        (size_of::<Self>() + self.user.len() + info(&self.conn_info) + info(&self.chan_info)) as u64
    }
}
