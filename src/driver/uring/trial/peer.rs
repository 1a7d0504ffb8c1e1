//! An honest peer: says numbered messages, and listens whether each comes back, once and in order; or asks for a page.
//! Invariant: it sends nothing that a server would have to refuse, so whatever it misses is the server's doing, unless the
//! network failed or it has waited for so long that the server may have given it up.

use crate::sys::socket;
use crate::time::Moment;
use crate::ws::{Event, Kind, Opcode, Pool, ReadOptions, Reader, Role, append_masked_frame};
use rustix::fd::{AsFd, OwnedFd};
use std::collections::VecDeque;
use std::time::Duration;

pub(super) struct Peer {
    /// None once it has gone.
    socket: Option<OwnedFd>,
    is_page: bool,
    /// Not written yet.
    pending: Vec<u8>,
    wrote: Vec<u8>,
    /// Messages that have not come back.
    expected: VecDeque<Vec<u8>>,
    said_count: u32,
    said_bytes: usize,
    /// Bytes of what it was sent that it has read.
    heard: usize,
    reader: Reader,
    pool: Pool,
    is_upgraded: bool,
    /// It will say no more.
    is_leaving: bool,
    /// Nothing more is owed.
    is_over: bool,
    /// What it is owed may be missing: the network failed, or it has waited too long.
    is_doubtful: bool,
    since: Moment,
}

/// What was heard, apart from the bytes that it was read from.
enum Word {
    Message(Vec<u8>),
    Ping(Vec<u8>),
    Pong,
    Close,
}

impl Peer {
    pub(super) fn new(socket: OwnedFd, now: Moment, is_page: bool) -> Self {
        Self {
            socket: Some(socket),
            is_page,
            pending: if is_page { PAGE } else { UPGRADE }.to_vec(),
            wrote: Vec::new(),
            expected: VecDeque::new(),
            said_count: 0,
            said_bytes: 0,
            heard: 0,
            reader: Reader::new(),
            pool: Pool::new(),
            is_upgraded: false,
            is_leaving: false,
            is_over: false,
            is_doubtful: false,
            since: now,
        }
    }

    /// A message with so many bytes behind its number.
    pub(super) fn say(&mut self, size: usize) {
        if self.is_page || self.is_leaving || self.said_bytes + size > SAID_BYTES_MAX {
            return;
        }
        let text = format!("{}{}", self.said_count, "-".repeat(size)).into_bytes();
        self.said_count += 1;
        self.said_bytes += text.len();
        append_masked_frame(&mut self.pending, Opcode::Text, &text, KEY);
        self.expected.push_back(text);
    }

    pub(super) fn say_goodbye(&mut self) {
        if !self.is_page && !self.is_leaving {
            self.is_leaving = true;
            append_masked_frame(&mut self.pending, Opcode::Close, &[3, 232], KEY);
        }
    }

    /// Writes some of what is pending, as far as it goes. True if any went.
    pub(super) fn write(&mut self, len: usize) -> bool {
        let Some(socket) = &self.socket else { return false };
        let piece = &self.pending[..len.min(self.pending.len())];
        let Ok(Some(len @ 1..)) = socket::send(socket.as_fd(), piece) else { return false };
        self.wrote.extend(self.pending.drain(..len));
        true
    }

    /// FIN, whatever it still had to say.
    pub(super) fn finish(&mut self) {
        if let Some(socket) = &self.socket {
            socket::finish(socket.as_fd());
        }
        self.give_up();
    }

    pub(super) fn vanish(&mut self) {
        self.socket = None;
        self.give_up();
    }

    fn give_up(&mut self) {
        self.pending.clear();
        (self.is_leaving, self.is_doubtful) = (true, true);
    }

    /// Time passes: a server gives up those who say half of something, or have said goodbye, or answer no ping.
    pub(super) fn wait(&mut self, now: Moment, time: Duration) {
        let is_midway = !self.is_upgraded || !self.pending.is_empty() || self.is_leaving;
        self.is_doubtful |= is_midway && time >= MIDWAY_MAX || now.since(self.since) >= UPGRADED_MAX;
    }

    /// Listens to everything that it was sent until now.
    pub(super) fn hear(&mut self, out: &[u8], is_broken: bool) {
        self.is_doubtful |= is_broken;
        if !self.is_upgraded && !self.is_over {
            let Some(end) = out.windows(4).position(|window| window == b"\r\n\r\n") else { return };
            self.is_upgraded = out.starts_with(b"HTTP/1.1 101 ");
            self.is_over = !self.is_upgraded;
            assert!(self.is_upgraded || self.is_doubtful, "an honest peer is refused");
            self.heard = end + 4;
        }
        while !self.is_over
            && let Some(word) = self.word(out)
        {
            match word {
                Word::Message(text) => {
                    let expected = self.expected.pop_front();
                    assert_eq!(expected.as_ref(), Some(&text), "heard twice, too early or broken");
                }
                Word::Ping(payload) => append_masked_frame(&mut self.pending, Opcode::Pong, &payload, KEY),
                Word::Pong => {}
                Word::Close => {
                    assert!(self.is_doubtful || self.is_leaving, "an honest peer is closed");
                    self.judge();
                    self.is_over = true;
                }
            }
        }
    }

    fn word(&mut self, out: &[u8]) -> Option<Word> {
        let mut rest = out[self.heard..].to_vec();
        let mut input = rest.as_mut_slice();
        let event = self.reader.next(&mut input, &OPTIONS, &mut self.pool);
        let word = match &event {
            Ok(Some(Event::Message(Kind::Text, text))) => Some(Word::Message(text.to_vec())),
            Ok(Some(Event::Ping(payload))) => Some(Word::Ping(payload.to_vec())),
            Ok(Some(Event::Pong(_))) => Some(Word::Pong),
            Ok(Some(Event::Close(..))) => Some(Word::Close),
            Ok(None) => None,
            Ok(Some(Event::Message(Kind::Binary, _))) | Err(_) => {
                assert!(event.is_err() && event.is_ok(), "{event:?}");
                None
            }
        };
        self.heard = out.len() - input.len();
        word
    }

    /// The control plane got the socket: what was read from it and what waits in it is everything that was written.
    pub(super) fn is_handed_over(&mut self, socket: &OwnedFd, received: &[u8]) {
        assert!(self.is_page && !self.is_over, "handed over");
        let (mut all, mut chunk) = (received.to_vec(), [0; 4096]);
        while let Ok(Some(len @ 1..)) = socket::receive(socket.as_fd(), &mut chunk) {
            all.extend_from_slice(&chunk[..len]);
        }
        assert!(all == self.wrote, "bytes are lost between the planes");
        self.is_over = true;
    }

    /// Whoever has not been wronged by the network has everything by now.
    pub(super) fn judge(&self) {
        assert!(self.is_doubtful || self.expected.is_empty(), "{} messages are missing", self.expected.len());
        let is_waiting = self.is_page && !self.is_over;
        assert!(self.is_doubtful || !is_waiting, "a request never reaches the control plane");
    }
}

const PAGE: &[u8] = b"GET / HTTP/1.1\r\nHost: a\r\n\r\nGET /second HTTP/1.1\r\nHost: a\r\n\r\n";
const UPGRADE: &[u8] = b"GET /echo HTTP/1.1\r\nHost: a\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
    Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n";
const KEY: [u8; 4] = [0x37, 0xfa, 0x21, 0x3d];
const OPTIONS: ReadOptions =
    ReadOptions { role: Role::Client, message_bytes_max: 1 << 20, empty_frames_max: 0, deflate: false };
/// Of one peer: below the queue that makes a reader slow.
const SAID_BYTES_MAX: usize = 200 << 10;
/// Shorter than any deadline for a head, a message or an end.
const MIDWAY_MAX: Duration = Duration::from_secs(1);
/// Shorter than the interval of pings.
const UPGRADED_MAX: Duration = Duration::from_secs(20);
