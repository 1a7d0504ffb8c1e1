//! Keys that are ready to work. An expanded key costs some six hundred bytes, its secret forty-four; expanding one costs
//! a fraction of a send. So a core keeps the keys of the connections that were busy last, and no others.
//!
//! Invariant: a key belongs to the connection in whose name it was made; whoever changes a secret forgets its key.

use crate::ids::ConnId;
use aws_lc_rs::aead::{AES_128_GCM, AES_256_GCM, Algorithm, CHACHA20_POLY1305, LessSafeKey, UnboundKey};
use rustls::ConnectionTrafficSecrets as Secrets;
use std::fmt;

/// The keys of one core, by slot: two connections whose slots fall together drive each other out.
pub struct Keys {
    entries: Vec<Option<Box<Entry>>>,
    count_max: usize,
}

struct Entry {
    conn: ConnId,
    sealing: Option<LessSafeKey>,
    opening: Option<LessSafeKey>,
}

impl Keys {
    /// Of the last `count_max` connections, more or less.
    pub const fn new(count_max: usize) -> Self {
        Self { entries: Vec::new(), count_max }
    }

    pub(super) fn sealing(&mut self, conn: ConnId, secrets: &Secrets) -> Option<&LessSafeKey> {
        let key = &mut self.entry(conn)?.sealing;
        if key.is_none() {
            *key = expand(secrets);
        }
        key.as_ref()
    }

    pub(super) fn opening(&mut self, conn: ConnId, secrets: &Secrets) -> Option<&LessSafeKey> {
        let key = &mut self.entry(conn)?.opening;
        if key.is_none() {
            *key = expand(secrets);
        }
        key.as_ref()
    }

    /// To be called when a secret of `conn` changes, and when the connection ends.
    pub fn forget(&mut self, conn: ConnId) {
        let at = self.place(conn);
        if let Some(entry) = self.entries.get_mut(at) {
            entry.take_if(|entry| entry.conn == conn);
        }
    }

    fn entry(&mut self, conn: ConnId) -> Option<&mut Entry> {
        let at = self.place(conn);
        if self.entries.len() <= at {
            self.entries.resize_with(at + 1, || None);
        }
        let entry = self.entries.get_mut(at)?;
        if entry.as_ref().is_none_or(|entry| entry.conn != conn) {
            *entry = Some(Box::new(Entry { conn, sealing: None, opening: None }));
        }
        entry.as_deref_mut()
    }

    fn place(&self, conn: ConnId) -> usize {
        conn.index() % self.count_max.max(1)
    }
}

impl fmt::Debug for Keys {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let count = self.entries.iter().flatten().count();
        f.debug_struct("Keys").field("count", &count).finish_non_exhaustive()
    }
}

/// None cannot happen: rustls makes secrets of the right length.
fn expand(secrets: &Secrets) -> Option<LessSafeKey> {
    let (algorithm, key): (&'static Algorithm, _) = match secrets {
        Secrets::Aes128Gcm { key, .. } => (&AES_128_GCM, key),
        Secrets::Aes256Gcm { key, .. } => (&AES_256_GCM, key),
        Secrets::Chacha20Poly1305 { key, .. } => (&CHACHA20_POLY1305, key),
        _ => return None,
    };
    let key = key.as_ref().get(..algorithm.key_len())?;
    UnboundKey::new(algorithm, key).ok().map(LessSafeKey::new)
}
