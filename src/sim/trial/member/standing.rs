//! One subscription as its client knows it.
//! Invariant: live from the reply or push that tells of it to the one that ends it; the position outlives that.

use crate::delta;
use crate::sim::message::Fields;
use crate::sim::trial::issuer::Token;
use crate::sim::trial::lease::{End, Lease};
use crate::sim::trial::truth::Tick;
use serde_json::Value;
use std::collections::BTreeMap;

#[derive(Debug, Default)]
pub struct Standing {
    /// The client wants it.
    pub is_wanted: bool,
    /// In a row, with a token.
    pub denials: u32,
    /// The server made it, or will with the connection.
    pub is_server: bool,
    pub is_live: bool,
    pub(super) is_leaving: bool,
    pub(super) waiting: u32,
    pub(super) position: Option<(String, u64)>,
    pub filter: Option<&'static str>,
    pub wants_delta: bool,
    pub(super) has_delta: bool,
    pub(super) base: Option<Vec<u8>>,
    /// The latest publication may come on top of a position that includes it.
    pub(super) may_repeat_top: bool,
    /// When the reply to subscribe was heard.
    pub since: Tick,
    /// The latest word on others: whether they are there.
    pub others: BTreeMap<String, bool>,
    /// The token that it was made by.
    pub token: Option<Token>,
    pub(super) lease: Lease,
    /// The application has asked for it on this connection, each time with this end.
    pub may_be_server: bool,
    pub(super) offers: Vec<End>,
}

impl Standing {
    /// The server brings it, in the plainest form.
    pub(super) fn serve(&mut self) {
        self.is_server = true;
        (self.is_wanted, self.filter, self.wants_delta) = (false, None, false);
    }

    /// The application subscribes this client.
    pub fn offer(&mut self, expire_at: u64) {
        self.may_be_server = true;
        self.offers.push(End { command: 0, expire_at, has_grace: false });
    }

    pub(super) fn lose_connection(&mut self) {
        (self.waiting, self.is_leaving, self.may_be_server) = (0, false, false);
        self.offers.clear();
        self.lease = Lease::default();
        self.token = None;
    }

    pub(super) fn begin(&mut self, tick: Tick, position: (String, u64), has_delta: bool) {
        self.is_live = true;
        self.since = tick;
        self.position = Some(position);
        self.has_delta = has_delta;
        self.base = None;
        self.others.clear();
    }

    /// The document of a publication, out of whatever form it came in.
    pub(super) fn read(&mut self, publication: &Fields, is_binary: bool, what: &str) -> Value {
        let raw = publication.raw("data");
        let is_patch = publication.flag("delta");
        if !self.has_delta {
            assert!(!is_patch, "a patch that nobody asked for: {what}");
            return serde_json::from_slice(raw).unwrap_or_default();
        }
        let bytes = if is_binary {
            raw.to_vec()
        } else {
            serde_json::from_slice::<String>(raw).unwrap_or_default().into_bytes()
        };
        let text = match (&self.base, is_patch) {
            (_, false) => Ok(bytes),
            (Some(base), true) => delta::apply(base, &bytes, 1 << 20),
            (None, true) => Err(delta::Corrupt::Command),
        };
        assert!(text.is_ok(), "a patch that does not fit {:?}: {what}", self.base);
        let text = text.unwrap_or_default();
        let document = serde_json::from_slice(&text).unwrap_or_default();
        self.base = Some(text);
        document
    }
}
