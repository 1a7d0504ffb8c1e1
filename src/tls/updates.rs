//! The secrets that follow those of the handshake. RFC 8446 sections 7.1 and 7.2.
//!
//! rustls would derive them, too, but keeps nearly 1 KiB for it. The two secrets that they follow from pass by in the
//! handshake, through the door that is there for logs of keys (`Overheard`); nothing is logged.
//! Invariant: a secret is gone as soon as the next one has been made.

use rustls::crypto::cipher::{AeadKey, Iv, NONCE_LEN};
use rustls::crypto::tls13::{HkdfExpander, OkmBlock};
use rustls::{CipherSuite, ConnectionTrafficSecrets as Secrets, KeyLog, Tls13CipherSuite};
use std::fmt;
use std::sync::{Mutex, PoisonError};

pub(super) struct Updates {
    suite: &'static Tls13CipherSuite,
    sealing: OkmBlock,
    opening: OkmBlock,
}

/// What is overheard of one handshake of a server.
#[derive(Default)]
pub(super) struct Overheard(Mutex<[Option<OkmBlock>; 2]>);

impl Overheard {
    /// None: this was no handshake of TLS 1.3.
    pub(super) fn updates(&self, suite: &'static Tls13CipherSuite) -> Option<Updates> {
        let [sealing, opening] = &mut *self.0.lock().unwrap_or_else(PoisonError::into_inner);
        Some(Updates { suite, sealing: sealing.take()?, opening: opening.take()? })
    }
}

impl KeyLog for Overheard {
    fn log(&self, label: &str, _: &[u8], secret: &[u8]) {
        let at = usize::from(label == OPENING);
        if self.will_log(label)
            && secret.len() <= OkmBlock::MAX_LEN
            && let Some(place) = self.0.lock().unwrap_or_else(PoisonError::into_inner).get_mut(at)
        {
            *place = Some(OkmBlock::new(secret));
        }
    }

    fn will_log(&self, label: &str) -> bool {
        label == SEALING || label == OPENING
    }
}

impl fmt::Debug for Overheard {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Overheard(hidden)")
    }
}

impl Updates {
    pub(super) fn next_sealing(&mut self) -> Option<Secrets> {
        next(self.suite, &mut self.sealing)
    }

    pub(super) fn next_opening(&mut self) -> Option<Secrets> {
        next(self.suite, &mut self.opening)
    }
}

/// None cannot happen: these suites and lengths are those of RFC 8446.
fn next(suite: &Tls13CipherSuite, secret: &mut OkmBlock) -> Option<Secrets> {
    let expander = suite.hkdf_provider.expander_for_okm(secret);
    let len = (expander.hash_len() as u16).to_be_bytes();
    let update = b"tls13 traffic upd";
    let next = expander.expand_block(&[&len, &[update.len() as u8], update, NO_CONTEXT]);
    *secret = next;
    let expander = suite.hkdf_provider.expander_for_okm(secret);
    let (mut key, mut iv) = ([0; KEY_LEN_MAX], [0; NONCE_LEN]);
    expand(&*expander, b"tls13 key", key.get_mut(..suite.aead_alg.key_len())?)?;
    expand(&*expander, b"tls13 iv", &mut iv)?;
    // A shorter key has zeros behind it, which `keys` does not look at.
    let (key, iv) = (AeadKey::from(key), Iv::from(iv));
    let name = suite.common.suite;
    if name == CipherSuite::TLS13_AES_128_GCM_SHA256 {
        Some(Secrets::Aes128Gcm { key, iv })
    } else if name == CipherSuite::TLS13_AES_256_GCM_SHA384 {
        Some(Secrets::Aes256Gcm { key, iv })
    } else if name == CipherSuite::TLS13_CHACHA20_POLY1305_SHA256 {
        Some(Secrets::Chacha20Poly1305 { key, iv })
    } else {
        None
    }
}

/// HKDF-Expand-Label without a context.
fn expand(expander: &dyn HkdfExpander, label: &[u8], output: &mut [u8]) -> Option<()> {
    let len = (output.len() as u16).to_be_bytes();
    expander.expand_slice(&[&len, &[label.len() as u8], label, NO_CONTEXT], output).ok()
}

const NO_CONTEXT: &[u8] = &[0];
const KEY_LEN_MAX: usize = 32;
/// As the log of keys calls them: the server's own, and the client's.
const SEALING: &str = "SERVER_TRAFFIC_SECRET_0";
const OPENING: &str = "CLIENT_TRAFFIC_SECRET_0";
