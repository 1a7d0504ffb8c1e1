//! Whole connections of one core under a driver that is late, short and out of order.
//!
//! The driver owns its ring, so the seam is the one below it: what goes into a shard and what comes out. The fuzzer
//! plays driver and peers: bytes come in pieces of any size, sends are done late or never, resets and ends fall anywhere,
//! also behind the order to close. The shard keeps the contract of `shard::port`, its own invariants, and in the end lets
//! everybody go.

use super::Choices;
use ringway::ids::{ConnId, CoreId};
use ringway::shard::{Admission, Input, Output, Portions, Shard, ShardOptions};
use ringway::time::Moment;
use std::time::Duration;

const PEERS_MAX: usize = 6;

struct Peer {
    conn: ConnId,
    is_sending: bool,
    /// FIN was ordered: nothing more may be sent.
    is_shut: bool,
    /// The end or a break was told.
    is_ended: bool,
    is_closing: bool,
}

struct Driver {
    shard: Shard,
    now: Moment,
    peers: Vec<Peer>,
}

const HEADS: [&str; 5] = [
    "/echo",
    "/connection/websocket",
    "/connection/websocket?format=protobuf",
    "/connection/uni_websocket",
    "/",
];

impl Driver {
    fn act(&mut self, choices: &mut Choices<'_>) {
        let what = choices.below(10);
        if what == 0 {
            if self.peers.len() < PEERS_MAX {
                let admission = if choices.byte() == 255 { Admission::Surplus } else { Admission::Welcome };
                let conn = self.shard.open(self.now, admission);
                assert!(self.peers.iter().all(|peer| peer.conn != conn), "an id is given once at a time");
                self.peers.push(Peer {
                    conn,
                    is_sending: false,
                    is_shut: false,
                    is_ended: false,
                    is_closing: false,
                });
            }
            return;
        }
        if what == 1 {
            let millis = [1, 64, 500, 5_000, 30_000, 600_000][choices.below(6)];
            self.now = self.now + Duration::from_millis(millis);
            return self.shard.advance(self.now);
        }
        if self.peers.is_empty() {
            return;
        }
        let at = choices.below(self.peers.len());
        let mut bytes = match what {
            2 | 3 => {
                let len = choices.below(256);
                choices.bytes(len).to_vec()
            }
            4 => upgrade(HEADS[choices.below(HEADS.len())]),
            5 | 6 => {
                let (first, len) = (choices.byte(), choices.below(128));
                frame(
                    [0x81, 0x82, 0x01, 0x00, 0x80, 0x88, 0x89, 0x8a][usize::from(first) % 8],
                    choices.bytes(len),
                )
            }
            7 => return self.sent(at),
            8 => return self.end(at, choices.byte() & 1 == 0),
            _ => return self.close(at),
        };
        let peer = &self.peers[at];
        // Bytes that were on their way when the order to close was given come in all the same.
        if !peer.is_ended && !bytes.is_empty() {
            self.shard.handle(self.now, Input::Received { conn: peer.conn, bytes: &mut bytes });
        }
    }

    fn sent(&mut self, at: usize) {
        if std::mem::take(&mut self.peers[at].is_sending) {
            self.shard.handle(self.now, Input::Sent { conn: self.peers[at].conn });
        }
    }

    fn end(&mut self, at: usize, politely: bool) {
        if !std::mem::replace(&mut self.peers[at].is_ended, true) {
            let conn = self.peers[at].conn;
            self.shard
                .handle(self.now, if politely { Input::Ended { conn } } else { Input::Broken { conn } });
        }
    }

    /// The last completion of a socket, if one is due.
    fn close(&mut self, at: usize) {
        if self.peers[at].is_closing && !self.peers[at].is_sending {
            let conn = self.peers.swap_remove(at).conn;
            self.shard.handle(self.now, Input::Closed { conn });
        }
    }

    fn drain(&mut self) {
        let mut outputs = Vec::new();
        self.shard.drain(&mut |output| outputs.push(output));
        for output in outputs {
            match output {
                Output::Send { conn, payload } => {
                    let peer = self.peer(conn);
                    assert!(!payload.is_empty() && !peer.is_sending && !peer.is_shut && !peer.is_closing);
                    peer.is_sending = true;
                }
                Output::Shutdown { conn } => {
                    let peer = self.peer(conn);
                    assert!(!peer.is_sending && !peer.is_shut && !peer.is_closing);
                    peer.is_shut = true;
                }
                Output::Close { conn } | Output::HandOver { conn, .. } => {
                    let peer = self.peer(conn);
                    assert!(!peer.is_closing, "closed twice");
                    peer.is_closing = true;
                }
                // Whoever reads on loses nothing.
                Output::Pause { .. } | Output::Resume { .. } => {}
                Output::Memo(_) | Output::Order(_) | Output::StopAccepting | Output::Finished => {}
            }
        }
        self.shard.post(|_, _| Ok(()));
        self.shard.take_pressure();
        self.shard.check();
        self.shard.begin_turn();
    }

    fn peer(&mut self, conn: ConnId) -> &mut Peer {
        self.peers.iter_mut().find(|peer| peer.conn == conn).expect("an output for a connection that is open")
    }

    /// Everybody leaves, and the clock runs: nothing may stay.
    fn finish(&mut self) {
        for _ in 0..64 {
            if self.peers.is_empty() && self.shard.conn_count() == 0 {
                break;
            }
            for at in (0..self.peers.len()).rev() {
                self.end(at, at % 2 == 0);
                self.sent(at);
                self.close(at);
            }
            self.drain();
            self.now = self.now + Duration::from_secs(60);
            self.shard.advance(self.now);
            self.drain();
        }
        assert!(self.peers.is_empty() && self.shard.conn_count() == 0, "connections stay for ever");
    }
}

fn upgrade(path: &str) -> Vec<u8> {
    format!(
        "GET {path} HTTP/1.1\r\nHost: a\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
         Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n"
    )
    .into_bytes()
}

fn frame(first: u8, payload: &[u8]) -> Vec<u8> {
    let len = payload.len().min(125);
    [&[first, 0x80 | len as u8, 0, 0, 0, 0], &payload[..len]].concat()
}

pub fn run(data: &[u8]) {
    let mut choices = Choices::new(data);
    let seed = u64::from(choices.byte());
    let mut options = ShardOptions::open(CoreId(0), 1, seed);
    if seed & 1 == 1 {
        // Nearly everything waits for its turn.
        options.portions = Portions { turn: 1, most: 1, least: 1 };
    }
    let shard = Shard::new(options, Moment::ZERO);
    let mut driver = Driver { shard, now: Moment::ZERO, peers: Vec::new() };
    while !choices.is_over() {
        driver.act(&mut choices);
        driver.drain();
    }
    driver.finish();
}
