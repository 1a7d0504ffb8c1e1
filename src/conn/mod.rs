//! One connection: its phase, what it is reading, what it is owed, when it is due.
//!
//! Invariant: a connection between messages with nothing to send owns no memory beyond this struct and, when it
//! speaks the client protocol, its session.
//! Knows nothing of channels, other connections or the driver.

pub mod head;
pub mod outbox;
pub mod session;
pub mod wire;

use crate::payload::Payload;
use crate::time::Moment;
use crate::tls;
use crate::ws::Reader;
use crate::ws::deflate::Deflate;
use head::PartialHead;
use outbox::{Nodes, Outbox, Overflow};
use session::Session;

#[derive(Debug, Default)]
pub struct Conn {
    pub phase: Phase,
    pub reader: Reader,
    pub outbox: Outbox,
    /// Deadline of the phase, or the next beat of an open connection.
    pub due: Moment,
    /// Deadline of the message that is being received; none between messages.
    pub message_due: Option<Moment>,
    pub beat: Beat,
    pub deflate: Deflate,
    /// Of a connection over TLS, until it goes to the control plane.
    pub tls: Option<Box<tls::Session>>,
    /// Listed for the next drain.
    pub is_dirty: bool,
    /// Over a limit at accept: refused as soon as its head is there.
    pub is_surplus: bool,
    /// A payload was refused: what comes behind it must not leave either.
    pub is_slow: bool,
    /// More than half of its queue is taken, which has been said; until its next send is done.
    pub is_heavy: bool,
    /// Without a socket of ours: the control plane speaks its HTTP.
    pub is_stream: bool,
    /// Its TLS handshake is done.
    pub is_sealed: bool,
    pub share: Share,
}

/// What a connection has used up of a turn.
#[derive(Clone, Copy, Debug, Default)]
pub struct Share {
    pub turn: u16,
    pub units: u16,
}

/// What a connection is owed now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Load {
    Light,
    /// More than half of what its queue takes. Said once, until a send of it is done.
    Heavy,
}

/// Where a connection is in its life. It only ever moves down this list.
#[derive(Debug)]
pub enum Phase {
    /// Reading the HTTP head; the bytes so far, if it did not come at once.
    Head(Option<Box<PartialHead>>),
    /// Upgraded to `/echo`: every message comes back.
    Echo,
    /// Upgraded to the client protocol.
    Client(Box<Session>),
    /// Our close frame is queued or sent; the peer's is awaited, its data is ignored.
    Closing,
    /// All is said: flush, FIN, then discard until the peer has `ended` too, so that no reset cuts our last words off.
    Lingering { fin: bool, ended: bool },
    /// The driver has been told to close or to hand over; nothing that arrives matters.
    Leaving,
}

impl Phase {
    /// Nothing that arrives matters.
    pub fn is_over(&self) -> bool {
        match self {
            Self::Lingering { .. } | Self::Leaving => true,
            Self::Head(_) | Self::Echo | Self::Client(_) | Self::Closing => false,
        }
    }
}

impl Default for Phase {
    fn default() -> Self {
        Self::Head(None)
    }
}

/// Liveness of an open connection.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Beat {
    /// The next thing due is a ping; no pong is owed.
    #[default]
    Quiet,
    /// A ping is out; the next thing due is the end of patience.
    PongOwed,
}

impl Conn {
    /// Owes a payload. After the first refusal every other is refused too, so that a peer which leaves before it is cut
    /// off has heard a shorter story, but never one with a hole.
    #[inline]
    pub fn owe(&mut self, nodes: &mut Nodes, payload: Payload, bytes_max: u32) -> Result<Load, Overflow> {
        if self.is_slow {
            return Err(Overflow);
        }
        self.outbox.push(nodes, payload, bytes_max).inspect_err(|_| self.is_slow = true)?;
        if self.is_heavy || self.outbox.waiting_bytes() <= bytes_max / 2 {
            return Ok(Load::Light);
        }
        self.is_heavy = true;
        Ok(Load::Heavy)
    }

    /// The send that was under way is done.
    pub fn landed(&mut self, nodes: &mut Nodes) {
        self.outbox.landed(nodes);
        self.is_heavy = false;
    }

    /// The earlier of its two deadlines.
    pub fn next_due(&self) -> Moment {
        self.message_due.map_or(self.due, |due| due.min(self.due))
    }

    /// Open for frames of either protocol.
    pub fn is_open(&self) -> bool {
        match self.phase {
            Phase::Echo | Phase::Client(_) => true,
            Phase::Head(_) | Phase::Closing | Phase::Lingering { .. } | Phase::Leaving => false,
        }
    }

    pub fn session(&self) -> Option<&Session> {
        match &self.phase {
            Phase::Client(session) => Some(session),
            Phase::Head(_) | Phase::Echo | Phase::Closing | Phase::Lingering { .. } | Phase::Leaving => None,
        }
    }

    pub fn session_mut(&mut self) -> Option<&mut Session> {
        match &mut self.phase {
            Phase::Client(session) => Some(session),
            Phase::Head(_) | Phase::Echo | Phase::Closing | Phase::Lingering { .. } | Phase::Leaving => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::outbox::Gather;
    use super::*;

    #[test]
    fn a_heavy_load_is_said_once_until_a_send_is_done() {
        let (mut conn, mut nodes, mut run) = (Conn::default(), Nodes::default(), Vec::new());
        let owe = |conn: &mut Conn, nodes: &mut Nodes| conn.owe(nodes, Payload::new(vec![0; 30]), 100);
        assert_eq!(owe(&mut conn, &mut nodes), Ok(Load::Light));
        assert_eq!(owe(&mut conn, &mut nodes), Ok(Load::Heavy));
        assert_eq!(owe(&mut conn, &mut nodes), Ok(Load::Light));
        conn.outbox.take_run(&mut nodes, &mut run, Gather { bytes_max: 100, copy_bytes_max: 100 });
        assert_eq!(owe(&mut conn, &mut nodes), Err(Overflow), "what is in flight counts");
        conn.is_slow = false;
        conn.landed(&mut nodes);
        assert_eq!(owe(&mut conn, &mut nodes), Ok(Load::Light));
        assert_eq!(owe(&mut conn, &mut nodes), Ok(Load::Heavy));
    }

    /// The budget for an idle connection is 192 bytes, driver and timer included.
    #[test]
    fn an_idle_connection_stays_small() {
        assert!(size_of::<Conn>() <= 96, "{} bytes", size_of::<Conn>());
        assert!(size_of::<Session>() <= 104, "{} bytes", size_of::<Session>());
    }
}
