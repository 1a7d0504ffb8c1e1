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
