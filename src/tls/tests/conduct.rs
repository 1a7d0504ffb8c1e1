//! What a peer may do in its records after the handshake, and which alert it hears for the rest. RFC 8446 sections 4.6.3,
//! 5 and 6, RFC 5246 sections 6.2 and 7.2. The client of rustls does none of this: something that has its secrets does.

use super::{Authority, CONN, Pair};
use crate::tls::failure::Alert;
use crate::tls::record::{ALERT, APPLICATION_DATA, CHANGE_CIPHER_SPEC, HANDSHAKE};
use crate::tls::tunnel::Tunnel;
use crate::tls::{Failure, Keys};
use proptest::prelude::*;
use rustls::version::{TLS12, TLS13};
use rustls::{AlertDescription, Error, SupportedProtocolVersion};
use std::sync::Arc;

/// An open session, and the means to say anything to it.
struct Forger {
    pair: Pair,
    tunnel: Tunnel,
    keys: Keys,
}

impl Forger {
    fn new(version: &'static SupportedProtocolVersion) -> Self {
        let mut pair = Pair::open(&[version]);
        let tunnel = pair.client_tunnel();
        Self { pair, tunnel, keys: Keys::new(1) }
    }

    /// One record with this inside.
    fn record(&mut self, kind: u8, plain: &[u8]) -> Vec<u8> {
        let mut record = Vec::new();
        self.tunnel.seal_record(kind, plain, &mut record, &mut self.keys, CONN).unwrap();
        record
    }

    fn say(&mut self, kind: u8, plain: &[u8]) -> &mut Self {
        let mut record = self.record(kind, plain);
        self.pair.feed(&mut record);
        self
    }

    fn is_fine(&mut self) -> bool {
        let len = self.pair.plain.len();
        self.say(APPLICATION_DATA, b"x");
        self.pair.failure.is_none() && self.pair.plain.len() == len + 1
    }

    /// What it was refused with, which it was also told, sealed, as the last thing.
    fn refusal(&mut self) -> Option<Alert> {
        let Some(Failure::Record(alert)) = self.pair.failure.take() else { return None };
        let mut words = self.pair.session.take_outgoing();
        assert!(words.len() > 7, "sealed");
        let mut out = Vec::new();
        let heard = self.tunnel.open(&mut words, &mut out, &mut self.keys, CONN);
        let told = AlertDescription::from(alert as u8);
        assert_eq!(heard, Err(Failure::GivenUp(Error::AlertReceived(told))));
        self.pair.session.seal(b"late", &mut out, &mut self.pair.keys, CONN).unwrap();
        assert!(out.is_empty() && !self.pair.session.is_open());
        Some(alert)
    }
}

/// Kind of the message, its length, whether an answer is asked for.
const UPDATE: [u8; 5] = [24, 0, 0, 1, 0];

#[test]
fn a_key_update_may_be_cut_but_nothing_may_come_between_or_behind() {
    for cut in 1..5 {
        let mut forger = Forger::new(&TLS13);
        forger.say(HANDSHAKE, &UPDATE[..cut]).say(HANDSHAKE, &UPDATE[cut..]);
        assert_eq!(forger.pair.failure, None, "cut at {cut}");
        // The session has gone on to the next key; the forger has not.
        assert_eq!(forger.say(APPLICATION_DATA, b"x").refusal(), Some(Alert::BadRecordMac));
    }
    let mut forger = Forger::new(&TLS13);
    forger.say(HANDSHAKE, &UPDATE[..2]).say(APPLICATION_DATA, b"x");
    assert_eq!(forger.refusal(), Some(Alert::UnexpectedMessage));
    let mut forger = Forger::new(&TLS13);
    forger.say(HANDSHAKE, &[&UPDATE[..], &UPDATE].concat());
    assert_eq!(forger.refusal(), Some(Alert::UnexpectedMessage));
}

#[test]
fn handshake_messages_that_have_no_place_here_are_refused() {
    for (message, alert) in [
        (&[][..], Alert::UnexpectedMessage),
        (&[24, 0, 0, 1, 2], Alert::IllegalParameter),
        (&[24, 0, 0, 0], Alert::DecodeError),
        (&[24, 0, 0, 2, 0], Alert::DecodeError),
        // Hello, ticket, end of early data, certificate, finished, message hash.
        (&[1, 0, 0, 1, 0], Alert::UnexpectedMessage),
        (&[4, 0, 0, 1, 0], Alert::UnexpectedMessage),
        (&[5, 0, 0, 0], Alert::UnexpectedMessage),
        (&[11], Alert::UnexpectedMessage),
        (&[20, 0, 0, 0], Alert::UnexpectedMessage),
        (&[254, 0], Alert::UnexpectedMessage),
    ] {
        let mut forger = Forger::new(&TLS13);
        assert_eq!(forger.say(HANDSHAKE, message).refusal(), Some(alert), "{message:?}");
    }
    let mut forger = Forger::new(&TLS12);
    forger.say(HANDSHAKE, &[1, 0, 0, 1, 0]);
    assert_eq!(forger.pair.failure, Some(Failure::Renegotiation));
}

/// RFC 8446 section 5: from the peer's last word of the handshake on not even a change of ciphers is dropped.
#[test]
fn records_of_other_kinds_are_refused_sealed_or_not() {
    for version in [&TLS13, &TLS12] {
        for kind in [CHANGE_CIPHER_SPEC, 24, 99] {
            let mut forger = Forger::new(version);
            assert_eq!(forger.say(kind, &[1]).refusal(), Some(Alert::UnexpectedMessage), "{kind}");
        }
    }
    for kind in [CHANGE_CIPHER_SPEC, ALERT, HANDSHAKE] {
        let mut forger = Forger::new(&TLS13);
        forger.pair.feed(&mut [kind, 3, 3, 0, 2, 1, 0]);
        assert_eq!(forger.refusal(), Some(Alert::UnexpectedMessage), "{kind}");
    }
    // In TLS 1.2 the kind stands outside: an alert that was not sealed does not open.
    let mut forger = Forger::new(&TLS12);
    forger.pair.feed(&mut [ALERT, 3, 3, 0, 2, 1, 0]);
    assert_eq!(forger.refusal(), Some(Alert::BadRecordMac));
}

#[test]
fn alerts_end_the_connection_or_mean_nothing() {
    const FATAL: u8 = 2;
    let gone = |code| Some(Failure::GivenUp(Error::AlertReceived(AlertDescription::from(code))));
    for version in [&TLS13, &TLS12] {
        for level in [1, FATAL] {
            let mut forger = Forger::new(version);
            forger.say(ALERT, &[level, 0]);
            assert!(forger.pair.has_ended && forger.pair.failure.is_none());
            // Who has ended may still be answered.
            assert!(!forger.pair.seal(b"so long").is_empty());
        }
        // Fatal: both ends are closed at once, and nothing that is owed is sent any more.
        let mut forger = Forger::new(version);
        forger.say(ALERT, &[FATAL, 48]);
        assert_eq!(forger.pair.failure, gone(48));
        assert!(!forger.pair.has_ended && forger.pair.seal(b"late").is_empty());
        // One alert is one record.
        for message in [&[][..], &[FATAL], &[FATAL, 48, 0], &[1, 0, 1, 0]] {
            let mut forger = Forger::new(version);
            assert_eq!(forger.say(ALERT, message).refusal(), Some(Alert::DecodeError), "{message:?}");
        }
    }
    // Levels mean something in TLS 1.2 only; that somebody has cancelled something, in TLS 1.3.
    let mut forger = Forger::new(&TLS12);
    assert!(forger.say(ALERT, &[1, 100]).is_fine());
    let mut forger = Forger::new(&TLS13);
    assert!(forger.say(ALERT, &[1, 90]).say(ALERT, &[FATAL, 90]).is_fine());
    forger.say(ALERT, &[1, 100]);
    assert_eq!(forger.pair.failure, gone(100));
    for version in [&TLS13, &TLS12] {
        let mut forger = Forger::new(version);
        (0..40).for_each(|_| {
            forger.say(ALERT, &[1, 90]);
        });
        assert_eq!(forger.refusal(), Some(Alert::UnexpectedMessage), "a flood of them");
    }
}

#[test]
fn padding_is_taken_off_and_a_record_of_nothing_else_is_refused() {
    let padded = |plain: &[u8], kind: u8, len: usize| {
        let mut inside = [plain, &[kind]].concat();
        inside.resize(len, 0);
        inside
    };
    let mut forger = Forger::new(&TLS13);
    // The zero that the tunnel takes for the kind is padding as well.
    forger.say(0, &padded(b"one", APPLICATION_DATA, 100)).say(0, &padded(b"", APPLICATION_DATA, 5000));
    forger.say(0, &padded(b"two\0", APPLICATION_DATA, 16_384));
    assert_eq!((forger.pair.failure.take(), &forger.pair.plain[..]), (None, &b"onetwo\0"[..]));
    assert_eq!(forger.say(0, &[0; 64]).refusal(), Some(Alert::UnexpectedMessage));
    let mut forger = Forger::new(&TLS13);
    assert_eq!(forger.say(0, &[]).refusal(), Some(Alert::UnexpectedMessage));
}

#[test]
fn a_record_is_as_long_as_it_may_be_and_not_longer() {
    for version in [&TLS13, &TLS12] {
        let mut forger = Forger::new(version);
        forger.say(APPLICATION_DATA, &vec![7; 16_384]);
        assert_eq!((forger.pair.failure.take(), forger.pair.plain.len()), (None, 16_384));
        for len in [16_385, 16_384 + 240, 16_384 + 256, 16_384 + 1024] {
            let mut forger = Forger::new(version);
            forger.say(APPLICATION_DATA, &vec![7; len]);
            assert_eq!(forger.refusal(), Some(Alert::RecordOverflow), "{len}");
        }
    }
    // Said before it is opened: whether it would open is nobody's business.
    let mut forger = Forger::new(&TLS13);
    let mut record = forger.record(APPLICATION_DATA, &vec![7; 16_384 + 256]);
    *record.last_mut().unwrap() ^= 1;
    forger.pair.feed(&mut record);
    assert_eq!(forger.refusal(), Some(Alert::RecordOverflow));
}

/// RFC 8446 section 5.3: a record opens at its place and in its connection only.
#[test]
fn records_that_come_twice_or_in_another_order_do_not_open() {
    for version in [&TLS13, &TLS12] {
        let mut forger = Forger::new(version);
        let one = forger.record(APPLICATION_DATA, b"1");
        forger.pair.feed(&mut one.clone());
        assert_eq!(forger.pair.plain, b"1");
        forger.pair.feed(&mut one.clone());
        assert_eq!(forger.refusal(), Some(Alert::BadRecordMac), "twice");
        assert_eq!(forger.pair.plain, b"1");

        let mut forger = Forger::new(version);
        forger.record(APPLICATION_DATA, b"1");
        assert_eq!(forger.say(APPLICATION_DATA, b"2").refusal(), Some(Alert::BadRecordMac), "one is missing");

        let mut stranger = Forger::new(version);
        stranger.pair.feed(&mut one.clone());
        assert_eq!(stranger.refusal(), Some(Alert::BadRecordMac), "of another connection");
    }
}

/// RFC 8446 section 5.2: of the header as well, whose length alone has to be believed to find the end.
#[test]
fn every_byte_of_a_record_is_authenticated() {
    for version in [&TLS13, &TLS12] {
        let len = Forger::new(version).record(APPLICATION_DATA, b"x").len();
        for at in (0..len).filter(|at| ![3, 4].contains(at)) {
            let mut forger = Forger::new(version);
            let mut record = forger.record(APPLICATION_DATA, b"x");
            record[at] ^= 0x10;
            forger.pair.feed(&mut record);
            assert!(forger.pair.plain.is_empty());
            let alert = match at {
                0 => Alert::UnexpectedMessage,
                1 => Alert::DecodeError,
                _ => Alert::BadRecordMac,
            };
            assert_eq!(forger.refusal(), Some(alert), "byte {at}");
        }
    }
}

#[test]
fn behind_our_last_word_not_even_a_key_update_is_answered() {
    let mut forger = Forger::new(&TLS13);
    let mut out = Vec::new();
    forger.pair.session.close(&mut out, &mut forger.pair.keys, CONN);
    forger.say(HANDSHAKE, &[24, 0, 0, 1, 1]);
    assert_eq!(forger.pair.failure, None);
    assert!(!forger.pair.session.has_outgoing());
}

/// RFC 8446 section 6: an alert is sealed as soon as the peer expects that, also in the middle of the handshake.
#[test]
fn an_alert_in_the_handshake_is_one_that_the_peer_can_read() {
    let authority = Authority::new();
    for version in [&TLS13, &TLS12] {
        // After our hello; what follows claims to be longer than anything may be, or is of no kind.
        for bytes in [&[APPLICATION_DATA, 3, 3, 0xff, 0xff][..], &[99, 3, 3, 0, 1, 0], &[HANDSHAKE, 9, 9]] {
            let config = Arc::new(authority.client_config(&[version]));
            let mut pair = Pair::new(&authority.acceptor(), &config, "localhost");
            let mut hello = pair.client_says();
            pair.feed(&mut hello);
            let words = pair.session.take_outgoing();
            pair.client_hears(&words).unwrap();
            pair.feed(&mut bytes.to_vec());
            assert!(matches!(pair.failure, Some(Failure::Record(_))), "{:?}", pair.failure);
            let words = pair.session.take_outgoing();
            let heard = pair.client_hears(&words);
            assert_eq!(heard, Err(Error::AlertReceived(AlertDescription::DecodeError)), "{bytes:?}");
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    /// Records that open, with anything in them.
    #[test]
    fn whatever_is_sealed_never_panics_and_only_data_comes_out(
        records in prop::collection::vec((20..25_u8, prop::collection::vec(any::<u8>(), 0..8)), 1..12),
        is_old in any::<bool>(),
    ) {
        let mut forger = Forger::new(if is_old { &TLS12 } else { &TLS13 });
        let mut data = Vec::new();
        for (kind, plain) in &records {
            forger.say(*kind, plain);
            if *kind == APPLICATION_DATA {
                data.extend_from_slice(plain);
            }
            prop_assert!(data.starts_with(&forger.pair.plain));
        }
    }
}
