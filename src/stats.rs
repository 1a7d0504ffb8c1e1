//! Counters and gauges of one core: plain numbers inside the shard, copied into `Published` a few times a second.
//!
//! Invariant: one writer per `Published`; readers may see a turn that is half copied, never a torn number.
//! The table below is the only place that names a figure: the metrics page is generated from it.

use crate::time::Moment;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

/// Twenty times what a core that is awake lets pass between two words of itself.
const STALL_MIN: Duration = Duration::from_secs(2);

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    Counter,
    Gauge,
}

macro_rules! figures {
    ($($name:ident $kind:ident $help:literal;)+) => {
        /// The figures of one core, owned by its shard and driver.
        #[derive(Clone, Debug)]
        pub struct Stats {
            $(#[doc = $help] pub $name: u64,)+
            /// Connections closed, by the code of `CLOSE_CODES` at the same index; the last one is "other".
            pub closes: [u64; CLOSE_CODES.len() + 1],
            /// Panics that were caught, all of them and by the work that they ended.
            pub panics: u64,
            pub panics_in: [u64; Work::NAMES.len()],
        }

        /// Name, kind and help of every figure, in the order of `Stats::values`.
        pub const FIGURES: &[(&str, Kind, &str)] = &[$((stringify!($name), Kind::$kind, $help)),+];

        impl Default for Stats {
            fn default() -> Self {
                Self {
                    $($name: 0,)+
                    closes: [0; CLOSE_CODES.len() + 1],
                    panics: 0,
                    panics_in: [0; Work::NAMES.len()],
                }
            }
        }

        impl Stats {
            fn values(&self) -> [u64; FIGURES.len()] {
                [$(self.$name),+]
            }
        }
    };
}

figures! {
    connections Gauge "Open sockets, whatever their phase.";
    sessions Gauge "Connections that completed a connect command.";
    subscriptions Gauge "Subscriptions of local connections.";
    channels Gauge "Channels with a local subscriber or owned state.";
    accepted Counter "Sockets accepted.";
    accept_drops Counter "Sockets closed at once because there was no room even for a refusal.";
    accept_pauses Counter "Times that accepting paused because descriptors ran out.";
    handshakes Counter "Upgrades answered with 101.";
    refusals Counter "Heads answered with an error status.";
    handshake_timeouts Counter "Heads that missed the handshake deadline.";
    tls_connections Gauge "Connections over TLS whose handshake is done.";
    tls_handshakes_1_2 Counter "Handshakes of TLS 1.2 that were done.";
    tls_handshakes_1_3 Counter "Handshakes of TLS 1.3 that were done.";
    tls_resumed Counter "Handshakes of TLS that went on from an earlier one.";
    tls_refused Counter "Handshakes of TLS that were not begun: over the rate, the limit of connections, or in a drain.";
    tls_timeouts Counter "Handshakes of TLS that missed their deadline.";
    tls_failed_foreign Counter "Connections that began with plain HTTP or other things that are not TLS.";
    tls_failed_incompatible Counter "Handshakes of TLS without a version, cipher suite or protocol in common.";
    tls_failed_certificate Counter "Handshakes of TLS whose client showed no certificate, or one that does not do.";
    tls_failed_given_up Counter "Connections over TLS that the client gave up with an alert, mostly because it does not trust our certificate.";
    tls_failed_protocol Counter "Connections over TLS that broke its rules.";
    tls_failed_renegotiation Counter "Connections over TLS 1.2 that asked for another handshake.";
    handovers Counter "Plain HTTP connections handed to the control plane.";
    messages_in Counter "WebSocket messages received.";
    messages_out Counter "WebSocket messages queued to clients.";
    bytes_in Counter "Bytes received.";
    bytes_out Counter "Bytes accepted by the kernel.";
    commands Counter "Client protocol commands.";
    rejects Counter "Commands answered with an error.";
    publications Counter "Publications accepted by channels that this core owns.";
    deliveries Counter "Publications queued to subscribers.";
    drops Counter "Publications that a subscriber was owed and will not get; each is signalled.";
    handshakes_deflate Counter "Upgrades that agreed on compression.";
    takeovers Gauge "Connections whose compressed messages build on each other, which costs memory.";
    deflated_messages Counter "Messages that were compressed, once however many clients they went to.";
    deflated_plain_bytes Counter "What they had been.";
    deflated_bytes Counter "What they became.";
    inflated_messages Counter "Compressed messages received.";
    inflated_plain_bytes Counter "What they said.";
    inflated_bytes Counter "What they were on the wire.";
    slow_disconnects Counter "Clients closed because their queue was full.";
    broken Counter "Connections that the network ended without a close handshake.";
    tokens_refused Counter "Tokens that were refused.";
    commands_paced Counter "Commands beyond a command rate, refused with 111.";
    limited_bytes Counter "Clients beyond a byte rate, closed with 3013.";
    limited_connections Counter "Sockets beyond client.connection_limit, refused with 503.";
    limited_addresses Counter "Sockets beyond client.address_connection_limit, refused with 503.";
    limited_arrivals Counter "Upgrades beyond client.connection_rate_limit, refused with 503.";
    limited_users Counter "Clients beyond client.user_connection_limit, closed with 3504.";
    limited_channels Counter "Subscriptions beyond client.channel_limit, refused with 106 or 3505.";
    limited_publications Counter "Publications beyond the publish_rate of their channel, refused with 111.";
    requests_expired Counter "Requests to other cores or back ends without an answer in time.";
    gaps Counter "Times that subscribers of a channel were told that they have missed something.";
    store_failures Counter "Orders to the durable store that failed.";
    sends Counter "Send operations submitted.";
    receives Counter "Receive completions.";
    turns Counter "Turns of the loop.";
    parks Counter "Times that the core went to sleep.";
    mail_in Counter "Letters taken from other cores.";
    mail_out Counter "Letters posted to other cores.";
    mail_full Counter "Letters refused because a mailbox was full.";
    mail_depth Gauge "Letters waiting at the last look.";
    buffers_starved Counter "Receives that found no buffer and were armed again.";
    completions_overflowed Counter "Times that the completion queue overflowed.";
    promoted Counter "Connections moved from parked to hot.";
    parked Counter "Connections moved from hot to parked.";
    shed Counter "Clients closed because memory ran short and they held much of it.";
    subscriptions_refused Counter "Subscriptions refused because memory ran short.";
    queued_bytes Gauge "Bytes queued to clients, a publication once for each of them.";
    held_bytes Gauge "Bytes held for clients: queued, being sent, of messages that are not whole, and put off.";
    slices Counter "Times that input was put off because its connection had used up its share of the turn.";
    put_off Gauge "Connections with input that is put off.";
    loop_lag_ns Gauge "Duration of the longest turn since the last publication of figures.";
    loop_busy_ns Counter "Time spent outside of sleep.";
}

/// What a core does at a time, and what a bug of ours can cost: the connection, the letter, the deadline concerned.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Work {
    /// What has happened to a connection.
    Input,
    /// Mail.
    Letter,
    Deadline,
    /// Bringing what is owed to the driver.
    Flush,
    /// Putting in order what another panic has left.
    Repair,
}

impl Work {
    /// The label on the metrics page, in the order of the variants.
    pub const NAMES: [&str; 5] = ["input", "letter", "deadline", "flush", "repair"];
}

/// Codes that get a label of their own on the metrics page: RFC 6455 section 7.4.1 and the client protocol.
pub const CLOSE_CODES: [u16; 33] = [
    1000, 1001, 1002, 1003, 1005, 1006, 1007, 1008, 1009, 1011, 1012, 1013, 3001, 3004, 3005, 3006, 3008,
    3009, 3010, 3011, 3012, 3013, 3014, 3500, 3501, 3502, 3503, 3504, 3505, 3506, 3507, 3508, 3509,
];

impl Stats {
    /// Counts a close that we sent (or, for 1005 and 1006, observed) under its code.
    pub fn count_close(&mut self, code: u16) {
        let at = CLOSE_CODES.binary_search(&code).unwrap_or(CLOSE_CODES.len());
        self.closes[at] += 1;
    }

    pub fn count_panic(&mut self, work: Work) {
        self.panics += 1;
        self.panics_in[work as usize] += 1;
    }
}

/// The copy that other threads read. Aligned so that two cores never share a line.
#[derive(Debug)]
#[repr(align(128))]
pub struct Published {
    values: [AtomicU64; FIGURES.len()],
    closes: [AtomicU64; CLOSE_CODES.len() + 1],
    panics: [AtomicU64; Work::NAMES.len()],
    /// In nanoseconds of the monotonic clock: when the core was last seen at work.
    seen: AtomicU64,
    sleeps: AtomicBool,
}

impl Default for Published {
    fn default() -> Self {
        Self {
            values: std::array::from_fn(|_| AtomicU64::new(0)),
            closes: std::array::from_fn(|_| AtomicU64::new(0)),
            panics: std::array::from_fn(|_| AtomicU64::new(0)),
            seen: AtomicU64::new(0),
            // A core that has not begun is not late.
            sleeps: AtomicBool::new(true),
        }
    }
}

impl Published {
    /// Called by the owning core only.
    pub fn publish(&self, stats: &Stats) {
        for (to, from) in self.values.iter().zip(stats.values()) {
            to.store(from, Ordering::Relaxed);
        }
        for (to, from) in self.closes.iter().zip(stats.closes) {
            to.store(from, Ordering::Relaxed);
        }
        for (to, from) in self.panics.iter().zip(stats.panics_in) {
            to.store(from, Ordering::Relaxed);
        }
    }

    /// The core is at work.
    pub fn see(&self, now: Moment) {
        self.seen.store(now.as_nanos(), Ordering::Relaxed);
        self.sleeps.store(false, Ordering::Relaxed);
    }

    /// It has nothing to do.
    pub fn sleep(&self) {
        self.sleeps.store(true, Ordering::Relaxed);
    }

    /// How long a core that does not sleep has not come to the end of a turn; zero while that is nothing to worry about.
    pub fn stalled(&self, now: Moment) -> Duration {
        if self.sleeps.load(Ordering::Relaxed) {
            return Duration::ZERO;
        }
        let silence = now.since(Moment::from_nanos(self.seen.load(Ordering::Relaxed)));
        if silence < STALL_MIN { Duration::ZERO } else { silence }
    }

    /// In the order of `FIGURES`.
    pub fn values(&self) -> impl Iterator<Item = u64> + '_ {
        self.values.iter().map(|value| value.load(Ordering::Relaxed))
    }

    /// In the order of `Work::NAMES`.
    pub fn panics(&self) -> impl Iterator<Item = u64> + '_ {
        self.panics.iter().map(|value| value.load(Ordering::Relaxed))
    }

    /// Another number whenever the core has turned since, be it to go to sleep again.
    pub fn pulse(&self) -> u64 {
        let beats =
            FIGURES.iter().zip(self.values()).filter(|((name, ..), _)| matches!(*name, "turns" | "parks"));
        beats.map(|(_, value)| value).sum()
    }

    /// In the order of `CLOSE_CODES`, then "other".
    pub fn closes(&self) -> impl Iterator<Item = u64> + '_ {
        self.closes.iter().map(|value| value.load(Ordering::Relaxed))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn close_codes_are_sorted_so_that_counting_finds_them() {
        assert!(CLOSE_CODES.is_sorted());
        let mut stats = Stats::default();
        stats.count_close(3008);
        stats.count_close(4000);
        assert_eq!(stats.closes[CLOSE_CODES.iter().position(|&code| code == 3008).unwrap()], 1);
        assert_eq!(stats.closes[CLOSE_CODES.len()], 1);
    }

    #[test]
    fn a_core_that_is_awake_and_silent_is_stalled_and_one_that_sleeps_is_not() {
        let (published, at) = (Published::default(), Moment::from_millis);
        assert_eq!(published.stalled(at(90_000)), Duration::ZERO, "it has not begun");
        published.see(at(10_000));
        assert_eq!(published.stalled(at(11_900)), Duration::ZERO);
        assert_eq!(published.stalled(at(13_000)), Duration::from_secs(3));
        published.sleep();
        assert_eq!(published.stalled(at(60_000)), Duration::ZERO);
    }

    #[test]
    fn what_is_published_is_what_was_counted() {
        let published = Published::default();
        published.publish(&Stats { messages_in: 7, ..Stats::default() });
        let at = FIGURES.iter().position(|figure| figure.0 == "messages_in").unwrap();
        assert_eq!(published.values().nth(at), Some(7));
    }
}
