//! What was heard from a connection that goes to the control plane with its socket.
//! Invariant: every byte that was read is in here once, in order; those behind the last opened record are still sealed.

use crate::tls::Session;

#[derive(Debug, Default)]
pub struct Heard {
    pub plain: Vec<u8>,
    /// Of a connection over TLS: the means to read and write on.
    pub sealed: Option<Box<Sealed>>,
}

#[derive(Debug)]
pub struct Sealed {
    pub session: Box<Session>,
    /// Received behind `plain` and not opened.
    pub records: Vec<u8>,
}

impl Heard {
    /// More has come from the socket.
    pub fn extend_from_slice(&mut self, bytes: &[u8]) {
        let place = match &mut self.sealed {
            Some(sealed) => &mut sealed.records,
            None => &mut self.plain,
        };
        place.extend_from_slice(bytes);
    }
}

impl From<Vec<u8>> for Heard {
    fn from(plain: Vec<u8>) -> Self {
        Self { plain, sealed: None }
    }
}
