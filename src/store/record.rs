//! What lies on disk: rkyv, behind a checksum over key and record.
//!
//! Invariant: `open` gives out only what `seal` got for that very key; a record that was moved, cut or changed is not one.

use super::fault::StoreError;
use crate::ids::ClientId;
use crate::publication::{Person, Publication};
use rkyv::api::high::{HighDeserializer, HighSerializer, HighValidator};
use rkyv::bytecheck::CheckBytes;
use rkyv::rancor::Error;
use rkyv::ser::allocator::ArenaHandle;
use rkyv::util::AlignedVec;
use rkyv::{Archive, Deserialize, Serialize};
use std::sync::Arc;

/// What is known of a channel apart from its publications.
#[derive(Archive, Serialize, Deserialize, Clone, Debug, PartialEq, Eq)]
pub(super) struct Card {
    pub(super) stream: u64,
    pub(super) epoch: Box<str>,
    /// In which era the epoch was given.
    pub(super) era: u64,
    /// Offset of the newest publication.
    pub(super) top: u64,
    /// Offset of the oldest one that is kept; `top + 1` when there is none.
    pub(super) first: u64,
    pub(super) version: u64,
    pub(super) version_epoch: Box<str>,
    pub(super) ttl_ms: u64,
    pub(super) meta_ttl_ms: u64,
    /// When the newest publication was stored.
    pub(super) touched_ms: u64,
    pub(super) cursor_count: u32,
    /// When the last idempotency key expires; 0: there are none.
    pub(super) results_until_ms: u64,
}

impl Card {
    pub(super) const fn is_history_over(&self, now_ms: u64) -> bool {
        self.ttl_ms > 0 && self.touched_ms.saturating_add(self.ttl_ms) <= now_ms
    }

    pub(super) const fn is_over(&self, now_ms: u64) -> bool {
        let life_ms = if self.ttl_ms > self.meta_ttl_ms { self.ttl_ms } else { self.meta_ttl_ms };
        self.meta_ttl_ms > 0
            && (self.ttl_ms > 0 || self.first > self.top)
            && self.touched_ms.saturating_add(life_ms) <= now_ms
    }
}

#[derive(Archive, Serialize, Deserialize, Debug)]
pub(super) struct Sheet {
    data: Box<[u8]>,
    is_json: bool,
    person: Option<PersonSheet>,
    tags: Vec<(Box<str>, Box<str>)>,
    time_ms: i64,
}

#[derive(Archive, Serialize, Deserialize, Debug)]
struct PersonSheet {
    client: [u8; 16],
    user: Box<str>,
    conn_info: Option<Box<[u8]>>,
    chan_info: Option<Box<[u8]>>,
}

/// An idempotency key; its offset is in the record's own key.
#[derive(Archive, Serialize, Deserialize, Debug)]
pub(super) struct Key {
    pub(super) key: Box<str>,
    pub(super) until_ms: u64,
}

/// What of a stream is to be taken away.
#[derive(Archive, Serialize, Deserialize, Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Refuse {
    /// Publications up to here.
    pub(super) up_to: u64,
    /// And everything else of it: the stream has ended.
    pub(super) is_all: bool,
}

impl Sheet {
    pub(super) fn of(publication: &Publication) -> Self {
        let copy = |bytes: &Option<Arc<[u8]>>| bytes.as_deref().map(Box::from);
        Self {
            data: publication.data.clone(),
            is_json: publication.is_json,
            person: publication.info.as_ref().map(|person| PersonSheet {
                client: person.client.0,
                user: person.user.clone(),
                conn_info: copy(&person.conn_info),
                chan_info: copy(&person.chan_info),
            }),
            tags: publication.tags.to_vec(),
            time_ms: publication.time_ms,
        }
    }

    pub(super) fn publication(self, offset: u64) -> Publication {
        Publication {
            offset,
            data: self.data,
            is_json: self.is_json,
            info: self.person.map(|person| {
                Box::new(Person {
                    client: ClientId(person.client),
                    user: person.user,
                    conn_info: person.conn_info.map(Arc::from),
                    chan_info: person.chan_info.map(Arc::from),
                })
            }),
            tags: self.tags.into_boxed_slice(),
            time_ms: self.time_ms,
        }
    }
}

/// Checksum, then the record.
pub(super) fn seal<T>(key: &[u8], record: &T) -> Result<Vec<u8>, StoreError>
where
    T: for<'a> Serialize<HighSerializer<AlignedVec, ArenaHandle<'a>, Error>>,
{
    let body = rkyv::to_bytes::<Error>(record).map_err(|_| StoreError::Unwritable)?;
    let mut sealed = Vec::with_capacity(CHECKSUM_BYTES + body.len());
    sealed.extend_from_slice(&checksum(key, &body).to_le_bytes());
    sealed.extend_from_slice(&body);
    Ok(sealed)
}

/// None: not what was sealed under this key.
pub(super) fn open<T>(key: &[u8], sealed: &[u8]) -> Option<T>
where
    T: Archive,
    T::Archived: for<'a> CheckBytes<HighValidator<'a, Error>> + Deserialize<T, HighDeserializer<Error>>,
{
    let (sum, body) = sealed.split_at_checked(CHECKSUM_BYTES)?;
    if sum != checksum(key, body).to_le_bytes() {
        return None;
    }
    let mut aligned: AlignedVec = AlignedVec::with_capacity(body.len());
    aligned.extend_from_slice(body);
    rkyv::from_bytes::<T, Error>(&aligned).ok()
}

fn checksum(key: &[u8], body: &[u8]) -> u32 {
    let mut sum = crc32fast::Hasher::new();
    sum.update(&(key.len() as u32).to_le_bytes());
    sum.update(key);
    sum.update(body);
    sum.finalize()
}

/// Reads a body as each kind of record, behind a checksum that is right, and writes what it finds back: the fuzzer's door.
#[cfg(debug_assertions)]
pub fn read_any(body: &[u8]) {
    const KEY: &[u8] = b"key";
    let sealed = [&checksum(KEY, body).to_le_bytes()[..], body].concat();
    if let Some(card) = open::<Card>(KEY, &sealed) {
        let again = seal(KEY, &card).ok().and_then(|sealed| open::<Card>(KEY, &sealed));
        assert_eq!(again.as_ref(), Some(&card));
        let _ = (card.is_over(0), card.is_history_over(u64::MAX));
    }
    if let Some(sheet) = open::<Sheet>(KEY, &sealed) {
        let publication = sheet.publication(1);
        let sealed = seal(KEY, &Sheet::of(&publication)).ok();
        let again = sealed.and_then(|sealed| open::<Sheet>(KEY, &sealed)).map(|sheet| sheet.publication(1));
        assert_eq!(again.map(|again| again.data), Some(publication.data));
    }
    let _ = open::<Key>(KEY, &sealed);
    let _ = open::<Refuse>(KEY, &sealed);
    // Without a checksum of its own a body is no record at all.
    assert!(open::<Card>(b"another key", &sealed).is_none());
}

const CHECKSUM_BYTES: usize = 4;
