//! Deadlines: of the handshake, of a message, of the connect command, of pings and pongs, of a goodbye, of a drain.
//! Invariant: every connection has exactly one deadline armed, whatever its phase, until it leaves.

use super::handshake::RETRY_AFTER_S;
use super::{Output, Shard};
use crate::conn::wire::Wire;
use crate::conn::{Beat, Phase};
use crate::failpoint::Point;
use crate::http::Refusal;
use crate::ids::ConnId;
use crate::payload::Payload;
use crate::proto::Disconnect;
use crate::ws::CloseCode;
use crate::ws::deflate::Deflater;
use std::time::Duration;

impl Shard {
    /// The wheel says that something of this connection may be due.
    pub(super) fn due(&mut self, id: ConnId) {
        self.hit_for(Point::Deadline, id);
        let Some(conn) = self.conns.get(id) else {
            return;
        };
        if conn.message_due.is_some_and(|due| due <= self.now) {
            return self.fail(id, CloseCode::POLICY_VIOLATION, "message took too long");
        }
        if conn.due > self.now {
            return self.wheel.arm(id.slot, conn.next_due());
        }
        match &conn.phase {
            Phase::Head(_) if self.is_greeting(id) => {
                self.stats.tls_timeouts += u64::from(!self.is_draining);
                self.let_go(id);
            }
            Phase::Head(_) if self.is_draining => {
                self.refuse(id, &Refusal::Overloaded { retry_after_s: RETRY_AFTER_S });
            }
            Phase::Head(_) => {
                self.stats.handshake_timeouts += 1;
                self.refuse(id, &Refusal::RequestTimeout);
            }
            Phase::Echo => self.beat(id, true),
            Phase::Client(session) => {
                let (is_connected, native) = (session.is_connected(), session.native_pings);
                if is_connected {
                    self.beat(id, native);
                } else if self.is_draining {
                    self.disconnect(id, Disconnect::Shutdown);
                } else {
                    self.disconnect(id, Disconnect::Stale);
                }
            }
            Phase::Closing | Phase::Lingering { .. } => self.let_go(id),
            Phase::Leaving => {}
        }
    }

    /// Starts the pings of a connection that is now open, at a random phase so that a mass reconnect does not ping in
    /// one tick for ever after.
    pub(super) fn start_beats(&mut self, id: ConnId) {
        // Its goodbye has a time already.
        if self.is_draining {
            return;
        }
        let interval = self.options.ping_interval;
        let due = if interval.is_zero() {
            self.now + NEVER
        } else {
            let half = interval / 2;
            self.now + half + Duration::from_nanos(self.random.below(half.as_nanos() as u64))
        };
        self.set_due(id, due);
    }

    /// A pong, or the protocol's answer to its ping. False if none was owed.
    pub(super) fn pong(&mut self, id: ConnId) -> bool {
        let Some(conn) = self.conns.get_mut(id) else {
            return true;
        };
        if conn.beat == Beat::Quiet {
            // A drain forgets pings that are out.
            return self.is_draining;
        }
        conn.beat = Beat::Quiet;
        // `due` is the end of patience: the ping left `pong_max` before it.
        let rest = self.options.ping_interval.saturating_sub(self.options.pong_max);
        let due = conn.due + rest;
        self.set_due(id, due);
        true
    }

    fn beat(&mut self, id: ConnId, native: bool) {
        if self.is_draining {
            let restart = CloseCode::SERVICE_RESTART;
            return match self.conns.get(id).and_then(|conn| conn.session()) {
                Some(_) => self.disconnect(id, Disconnect::Shutdown),
                None => self.close(id, Some(restart), "service restart"),
            };
        }
        let Some(conn) = self.conns.get_mut(id) else {
            return;
        };
        match conn.beat {
            Beat::PongOwed => self.disconnect(id, Disconnect::NoPong),
            Beat::Quiet => {
                let wire = conn.session().map(|session| session.wire);
                // A unidirectional client has no way to answer.
                let is_answered = wire.is_none_or(|wire| !wire.is_bare);
                if is_answered {
                    conn.beat = Beat::PongOwed;
                }
                let patience = if is_answered { self.options.pong_max } else { self.options.ping_interval };
                let ping = match wire {
                    Some(wire) if !native => self.pings.get(wire, &mut self.deflater),
                    Some(_) | None => self.native_ping.clone(),
                };
                self.queue(id, ping);
                self.set_due(id, self.now + patience);
            }
        }
    }

    /// Spreads the goodbyes over `window`, so that those who reconnect do not arrive in one wave.
    pub(super) fn start_drain(&mut self, window: Duration) {
        if self.is_draining {
            return;
        }
        self.is_draining = true;
        // Few clients make no wave: their goodbyes need not take the whole window.
        let window = window.min(GOODBYE_SPACING * self.conns.count());
        self.outputs.push(Output::StopAccepting);
        let ids: Vec<ConnId> = self.conns.ids().collect();
        for id in ids {
            let Some(conn) = self.conns.get_mut(id) else { continue };
            match conn.phase {
                Phase::Head(_) | Phase::Echo | Phase::Client(_) => {
                    conn.beat = Beat::Quiet;
                    let share = self.random.below(window.as_nanos() as u64);
                    self.set_due(id, self.now + Duration::from_nanos(share));
                }
                Phase::Closing | Phase::Lingering { .. } | Phase::Leaving => {}
            }
        }
        self.finish_drain();
    }

    pub(super) fn finish_drain(&mut self) {
        if self.is_draining && self.conns.count() == 0 {
            self.outputs.push(Output::Finished);
        }
    }
}

/// The ping of the client protocol in each form that somebody has needed.
#[derive(Debug, Default)]
pub(super) struct Pings {
    made: Vec<(Wire, Payload)>,
}

impl Pings {
    fn get(&mut self, wire: Wire, deflater: &mut Deflater) -> Payload {
        // A ping is shorter than anything that compression could make of it.
        let wire = Wire { deflate: None, ..wire };
        if let Some((_, ping)) = self.made.iter().find(|(made, _)| *made == wire) {
            return ping.clone();
        }
        let (mut text, mut framed) = (Vec::new(), Vec::new());
        wire.codec.encode_ping(&mut text);
        wire.append(&mut framed, &text, deflater);
        let ping = Payload::new(framed);
        self.made.push((wire, ping.clone()));
        ping
    }
}

/// Between goodbyes at most, on average.
const GOODBYE_SPACING: Duration = Duration::from_millis(10);

/// Far enough for a deadline that nobody waits for.
const NEVER: Duration = Duration::from_hours(365 * 24);
