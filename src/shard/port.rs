//! What goes into a shard and what comes out: the seam between the machine and whatever drives it.
//! Contract: `begin_turn`, then any number of `handle` and `advance`, then one full `drain` before the driver sleeps. After
//! each of them, if `take_pressure` says so, a drain that does not wait for the others: until then little is taken.

use super::heard::Heard;
use super::mail::Mail;
use super::memo::Memo;
use crate::ids::ConnId;
use crate::payload::Payload;
use crate::store::Order;

#[derive(Debug)]
pub enum Input<'a> {
    /// Bytes of the peer; they are unmasked where they lie.
    Received {
        conn: ConnId,
        bytes: &'a mut [u8],
    },
    /// The peer has finished sending.
    Ended {
        conn: ConnId,
    },
    /// The network has ended the connection: reset, timed out.
    Broken {
        conn: ConnId,
    },
    /// The send that was under way is done to its last byte.
    Sent {
        conn: ConnId,
    },
    /// `Close` or `HandOver` is done and no completion is outstanding: the slot is free.
    Closed {
        conn: ConnId,
    },
    Mail(Mail),
}

#[derive(Debug)]
pub enum Output {
    /// At most one per connection until its `Sent`.
    Send {
        conn: ConnId,
        payload: Payload,
    },
    /// Send FIN; everything has been sent.
    Shutdown {
        conn: ConnId,
    },
    /// Read no more from this connection until `Resume`: what it has sent waits its turn. What has been read already
    /// may still come in. A driver that reads on loses nothing but the bound on what waits; `drain_pauses` tells it so in the
    /// middle of a turn.
    Pause {
        conn: ConnId,
    },
    Resume {
        conn: ConnId,
    },
    /// Cancel what is pending, then close; answer with `Closed`.
    Close {
        conn: ConnId,
    },
    /// Stop reading and give the socket with these bytes to the control plane; answer with `Closed`.
    HandOver {
        conn: ConnId,
        received: Heard,
    },
    /// For the control plane. It must arrive: a driver keeps it until there is room.
    Memo(Memo),
    /// For the store, which answers with `Mail::Fate`. Refused: answer with a failure at once.
    Order(Order),
    /// Stop accepting: the node drains.
    StopAccepting,
    /// The last connection has gone and no more will come.
    Finished,
}

/// Whether there is room for another connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Admission {
    Welcome,
    /// Refused with 503 as soon as its head is there.
    Surplus,
}
