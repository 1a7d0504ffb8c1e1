//! One connection's TLS, from the first byte to the last.
//!
//! Contract: feed what arrives to `next` until it gives nothing more; take what it wants to say with `take_outgoing` and
//! send it before anything that is sealed later.
//! Invariant: an open session between records owns no memory beyond its secrets. What is said before the handshake is
//! done, or after a failure, is never plaintext of the layer above.

use super::failure::{Alert, Failure};
use super::greeting::{Greeting, Opened, Progress};
use super::keys::Keys;
use super::record::{self, ALERT, HEADER_LEN, Place};
use super::tunnel::{Inside, Tunnel};
use crate::ids::ConnId;
use rustls::ServerConfig;
use std::fmt;
use std::mem;
use std::ops::Range;
use std::sync::Arc;

pub struct Session {
    stage: Stage,
    /// A record that has not come whole, or that was given out last.
    partial: Vec<u8>,
    /// What rustls or we want to say beside the data.
    outgoing: Vec<u8>,
    /// `partial` was given out: it goes with the next call.
    is_spent: bool,
    /// Our last word has been sealed.
    is_closed: bool,
}

enum Stage {
    /// Nothing has come whole: a silent peer costs no more than this.
    Expecting(Arc<ServerConfig>),
    /// The first record is here; the expensive part begins with the next call.
    Called(Arc<ServerConfig>, Vec<u8>),
    Greeting(Box<Greeting>),
    /// Boxed, so that no copy of its secrets stays behind when the session moves on.
    Open(Box<Tunnel>),
    /// Failed or ended: nothing that arrives matters.
    Over,
}

/// What happened.
#[derive(Debug)]
pub enum Event<'a> {
    /// A peer wants to shake hands. Going on costs a signature: whoever has to save drops the session now.
    Hello,
    Opened(Opened),
    Data(&'a mut [u8]),
    /// The peer has finished sending.
    Ended,
}

/// An event before it borrows what it is about.
enum Found<'a> {
    Hello,
    Opened(Opened),
    Fresh(&'a mut [u8], Range<usize>),
    Kept(Range<usize>),
    Ended,
}

enum Whole<'a> {
    /// In the input.
    Fresh(&'a mut [u8]),
    /// In `partial`.
    Kept,
}

impl Session {
    pub(super) fn new(config: Arc<ServerConfig>) -> Self {
        Self {
            stage: Stage::Expecting(config),
            partial: Vec::new(),
            outgoing: Vec::new(),
            is_spent: false,
            is_closed: false,
        }
    }

    /// The next event of `input`, which it shortens by what it has read. None: more has to arrive.
    #[expect(clippy::mut_mut, reason = "the caller's slice is shortened by what was read")]
    pub fn next<'a>(
        &'a mut self,
        input: &mut &'a mut [u8],
        keys: &mut Keys,
        conn: ConnId,
    ) -> Result<Option<Event<'a>>, Failure> {
        let found = match self.find(input, keys, conn) {
            Ok(found) => found,
            Err(failure) => {
                self.fail(&failure, keys, conn);
                return Err(failure);
            }
        };
        Ok(found.map(|found| match found {
            Found::Hello => Event::Hello,
            Found::Opened(opened) => Event::Opened(opened),
            Found::Fresh(record, plain) => Event::Data(record.get_mut(plain).unwrap_or_default()),
            Found::Kept(plain) => Event::Data(self.partial.get_mut(plain).unwrap_or_default()),
            Found::Ended => Event::Ended,
        }))
    }

    #[expect(clippy::mut_mut, reason = "the caller's slice is shortened by what was read")]
    fn find<'a>(
        &mut self,
        input: &mut &'a mut [u8],
        keys: &mut Keys,
        conn: ConnId,
    ) -> Result<Option<Found<'a>>, Failure> {
        if let Stage::Called(..) = self.stage
            && let Some(opened) = self.answer_call()?
        {
            return Ok(Some(Found::Opened(opened)));
        }
        while let Some(whole) = self.whole(input)? {
            let found = match &self.stage {
                Stage::Open(_) => self.open(whole, keys, conn)?,
                Stage::Greeting(_) => self.greet_on(whole)?,
                Stage::Expecting(config) => {
                    let config = Arc::clone(config);
                    self.stage = Stage::Called(config, self.bytes_of(whole));
                    Some(Found::Hello)
                }
                Stage::Called(..) | Stage::Over => None,
            };
            if found.is_some() {
                return Ok(found);
            }
        }
        Ok(None)
    }

    fn greet_on<'a>(&mut self, whole: Whole<'a>) -> Result<Option<Found<'a>>, Failure> {
        let record = self.bytes_of(whole);
        let Stage::Greeting(greeting) = mem::replace(&mut self.stage, Stage::Over) else {
            return Ok(None);
        };
        Ok(self.greet(greeting, &record)?.map(Found::Opened))
    }

    fn answer_call(&mut self) -> Result<Option<Opened>, Failure> {
        let Stage::Called(config, first) = mem::replace(&mut self.stage, Stage::Over) else {
            return Ok(None);
        };
        match Greeting::new(&config) {
            Ok(greeting) => self.greet(Box::new(greeting), &first),
            Err(failure) => {
                // Nothing has been said: the alert is a plain one.
                self.stage = Stage::Expecting(config);
                Err(failure)
            }
        }
    }

    fn greet(&mut self, greeting: Box<Greeting>, record: &[u8]) -> Result<Option<Opened>, Failure> {
        let (rest, progress) = greeting.advance(record, &mut self.outgoing)?;
        if let Some(greeting) = rest {
            self.stage = Stage::Greeting(greeting);
        }
        Ok(match progress {
            Progress::Waiting => None,
            Progress::Done(tunnel, opened) => {
                self.stage = Stage::Open(tunnel);
                Some(opened)
            }
        })
    }

    fn open<'a>(
        &mut self,
        whole: Whole<'a>,
        keys: &mut Keys,
        conn: ConnId,
    ) -> Result<Option<Found<'a>>, Failure> {
        let Self { stage: Stage::Open(tunnel), partial, outgoing, is_closed, .. } = self else {
            return Ok(None);
        };
        let mut unsaid = Vec::new();
        // Behind our last word there is nothing, not even an answer to a key update (RFC 8446 section 6.1).
        let outgoing = if *is_closed { &mut unsaid } else { outgoing };
        let found = match whole {
            Whole::Fresh(record) => match tunnel.open(record, outgoing, keys, conn)? {
                Inside::Data(plain) => Some(Found::Fresh(record, plain)),
                Inside::Nothing => None,
                Inside::End => Some(Found::Ended),
            },
            Whole::Kept => match tunnel.open(partial, outgoing, keys, conn)? {
                Inside::Data(plain) => Some(Found::Kept(plain)),
                Inside::Nothing => None,
                Inside::End => Some(Found::Ended),
            },
        };
        Ok(found)
    }

    /// A record that is complete, if there is one; the beginning of the next is kept.
    #[expect(clippy::mut_mut, reason = "the caller's slice is shortened by what was read")]
    fn whole<'a>(&mut self, input: &mut &'a mut [u8]) -> Result<Option<Whole<'a>>, Failure> {
        if mem::take(&mut self.is_spent) {
            self.partial = Vec::new();
        }
        let place = match self.stage {
            Stage::Expecting(_) => Place::First,
            Stage::Greeting(_) | Stage::Open(_) => Place::Later,
            Stage::Called(..) => return Ok(None),
            Stage::Over => {
                *input = &mut [];
                return Ok(None);
            }
        };
        if self.partial.is_empty()
            && let Some(len) = record::length(input, place)?
            && len <= input.len()
        {
            let (record, rest) = mem::take(input).split_at_mut(len);
            *input = rest;
            return Ok(Some(Whole::Fresh(record)));
        }
        loop {
            let known = record::length(&self.partial, place)?;
            if known == Some(self.partial.len()) {
                self.is_spent = true;
                return Ok(Some(Whole::Kept));
            }
            if input.is_empty() {
                return Ok(None);
            }
            let missing = known.unwrap_or(HEADER_LEN).saturating_sub(self.partial.len());
            let count = missing.min(input.len());
            let (part, rest) = mem::take(input).split_at_mut(count);
            self.keep(part, missing);
            *input = rest;
        }
    }

    /// Adds to the record that has not come whole. It grows with what has come, never to what was declared, and not beyond
    /// its end, of which `missing` is the distance.
    fn keep(&mut self, part: &[u8], missing: usize) {
        let (len, needed) = (self.partial.len(), self.partial.len() + part.len());
        if needed > self.partial.capacity() {
            let wanted = (2 * len).min(len + missing).max(needed);
            self.partial.reserve_exact(wanted - len);
        }
        self.partial.extend_from_slice(part);
    }

    fn bytes_of(&mut self, whole: Whole<'_>) -> Vec<u8> {
        match whole {
            Whole::Fresh(record) => record.to_vec(),
            Whole::Kept => mem::take(&mut self.partial),
        }
    }

    /// Appends `plain` as records. Nothing is, unless the session is open.
    pub fn seal(
        &mut self,
        plain: &[u8],
        out: &mut Vec<u8>,
        keys: &mut Keys,
        conn: ConnId,
    ) -> Result<(), Failure> {
        let Stage::Open(tunnel) = &mut self.stage else { return Ok(()) };
        if self.is_closed {
            return Ok(());
        }
        let result = tunnel.seal(plain, out, keys, conn);
        if let Err(failure) = &result {
            self.fail(failure, keys, conn);
        }
        result
    }

    /// Appends our last word: nothing can be sealed any more, but the peer may go on.
    pub fn close(&mut self, out: &mut Vec<u8>, keys: &mut Keys, conn: ConnId) {
        if let Stage::Open(tunnel) = &mut self.stage
            && !mem::replace(&mut self.is_closed, true)
        {
            tunnel.alert(Alert::CloseNotify, out, keys, conn);
        }
    }

    /// Whether there is something to send that is not data.
    pub fn has_outgoing(&self) -> bool {
        !self.outgoing.is_empty()
    }

    pub fn take_outgoing(&mut self) -> Vec<u8> {
        if let Stage::Open(tunnel) = &mut self.stage {
            tunnel.landed();
        }
        mem::take(&mut self.outgoing)
    }

    /// The handshake is done.
    pub fn is_open(&self) -> bool {
        matches!(self.stage, Stage::Open(_))
    }

    /// A record has begun and has not come whole.
    pub fn is_amid(&self) -> bool {
        !self.is_spent && !self.partial.is_empty()
    }

    /// Memory of what the peer has begun to say and we to answer, beside what rustls owns.
    pub fn held_bytes(&self) -> usize {
        let waiting = match &self.stage {
            Stage::Called(_, first) => first.capacity(),
            Stage::Greeting(greeting) => greeting.held_bytes(),
            Stage::Expecting(_) | Stage::Open(_) | Stage::Over => 0,
        };
        self.partial.capacity() + self.outgoing.capacity() + waiting
    }

    /// Nothing more will be read: what had not come whole goes.
    pub fn forget_partial(&mut self) {
        self.partial = Vec::new();
        self.is_spent = false;
    }

    fn fail(&mut self, failure: &Failure, keys: &mut Keys, conn: ConnId) {
        let stage = mem::replace(&mut self.stage, Stage::Over);
        self.partial = Vec::new();
        let out = &mut self.outgoing;
        match (stage, failure.alert()) {
            (Stage::Open(mut tunnel), Some(alert)) if !self.is_closed => {
                tunnel.alert(alert, out, keys, conn);
                if alert == Alert::NoRenegotiation {
                    tunnel.alert(Alert::CloseNotify, out, keys, conn);
                }
            }
            (Stage::Greeting(mut greeting), Some(_)) => greeting.give_up(out),
            (Stage::Expecting(_) | Stage::Called(..), Some(alert)) => {
                out.extend_from_slice(&record::header(ALERT, 2));
                out.extend_from_slice(&alert.message());
            }
            (Stage::Expecting(_), None) if *failure == Failure::PlainHttp => {
                out.extend_from_slice(PLAIN_HTTP);
            }
            // A greeting that has failed has said so, and is over.
            (
                Stage::Open(_) | Stage::Greeting(_) | Stage::Expecting(_) | Stage::Called(..) | Stage::Over,
                _,
            ) => {}
        }
    }
}

impl fmt::Debug for Session {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let stage = match self.stage {
            Stage::Expecting(_) => "expecting",
            Stage::Called(..) => "called",
            Stage::Greeting(_) => "greeting",
            Stage::Open(_) => "open",
            Stage::Over => "over",
        };
        f.debug_struct("Session").field("stage", &stage).finish_non_exhaustive()
    }
}

/// As a plain port would answer: whoever forgot the s sees why.
const PLAIN_HTTP: &[u8] = b"HTTP/1.1 400 Bad Request\r\n\
    Connection: close\r\n\
    Content-Type: text/plain; charset=utf-8\r\n\
    Content-Length: 53\r\n\
    \r\n\
    this port speaks TLS: use https:// or wss:// instead\n";
