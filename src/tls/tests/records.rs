//! After the handshake: data both ways, however it is cut; key updates; ends.

use super::{Authority, CONN, Pair, cuts};
use crate::tls::failure::Alert;
use crate::tls::record::HEADER_LEN;
use crate::tls::tunnel::Tunnel;
use crate::tls::{Failure, Keys, Session};
use proptest::prelude::*;
use rustls::version::{TLS12, TLS13};
use rustls::{Error, SupportedProtocolVersion};
use std::io::Write;
use std::sync::Arc;

const BOTH: [&SupportedProtocolVersion; 2] = [&TLS13, &TLS12];

fn noise(len: usize) -> Vec<u8> {
    (0..len as u32).map(|at| (at.wrapping_mul(2_654_435_761) >> 13) as u8).collect()
}

#[test]
fn data_arrives_both_ways_with_every_cipher_suite() {
    let authority = Authority::new();
    let acceptor = authority.acceptor();
    let suites = super::super::identity::provider().cipher_suites;
    let mut tried = 0;
    for suite in suites {
        let mut provider = super::super::identity::provider();
        provider.cipher_suites = vec![suite];
        let mut roots = rustls::RootCertStore::empty();
        roots.add(authority.0.der().clone()).unwrap();
        let config = rustls::ClientConfig::builder_with_provider(Arc::new(provider))
            .with_protocol_versions(&[suite.version()])
            .unwrap()
            .with_root_certificates(roots)
            .with_no_client_auth();
        let mut pair = Pair::new(&acceptor, &Arc::new(config), "localhost");
        if pair.talk().is_err() {
            // The certificate has an ECDSA key, which suites of RSA cannot use.
            assert!(format!("{suite:?}").contains("RSA"));
            continue;
        }
        tried += 1;
        for len in [1, 100, 16_384, 16_385, 100_000] {
            pair.say(&noise(len));
            assert_eq!(pair.failure, None);
            assert!(std::mem::take(&mut pair.plain) == noise(len), "{suite:?} {len}");
            let records = pair.seal(&noise(len));
            assert!(pair.heard(&records) == noise(len), "{suite:?} {len}");
        }
    }
    assert_eq!(tried, 6);
}

#[test]
fn one_send_is_one_record_up_to_its_limit() {
    for version in BOTH {
        let mut pair = Pair::open(&[version]);
        pair.session.take_outgoing();
        for (len, count) in [(1, 1), (16_384, 1), (16_385, 2), (65_536, 4)] {
            let records = pair.seal(&noise(len));
            assert!(records.len() - len <= count * 29, "{} for {len}", records.len());
            pair.heard(&records);
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    /// From the first byte of the handshake to the last word, with data, key updates and answers between them.
    #[test]
    fn cutting_the_stream_differently_changes_nothing(
        lengths in prop::collection::vec(1_usize..3000, 1..8),
        sizes in prop::collection::vec((1_usize..40_000, any::<bool>()), 1..4),
        is_old in any::<bool>(),
    ) {
        let authority = Authority::new();
        let version = if is_old { &TLS12 } else { &TLS13 };
        let config = Arc::new(authority.client_config(&[version]));
        let mut pair = Pair::new(&authority.acceptor(), &config, "localhost");
        loop {
            let bytes = pair.client_says();
            for part in cuts(&bytes, &lengths) {
                pair.feed(&mut part.to_vec());
            }
            let words = pair.session.take_outgoing();
            if bytes.is_empty() && words.is_empty() {
                break;
            }
            pair.client_hears(&words).unwrap();
        }
        prop_assert!(pair.session.is_open());
        let (mut sent, mut stream) = (Vec::new(), Vec::new());
        for (size, has_update) in sizes {
            if has_update && !is_old {
                pair.client.refresh_traffic_keys().unwrap();
            }
            let part = noise(size);
            let mut at = 0;
            while at < part.len() {
                at += pair.client.writer().write(&part[at..]).unwrap();
                stream.extend(pair.client_says());
            }
            sent.extend_from_slice(&part);
        }
        pair.client.send_close_notify();
        stream.extend(pair.client_says());
        for piece in cuts(&stream, &lengths) {
            prop_assert!(!pair.has_ended);
            pair.feed(&mut piece.to_vec());
        }
        prop_assert_eq!(&pair.failure, &None);
        prop_assert!(pair.has_ended && !pair.session.is_amid());
        prop_assert!(pair.plain == sent);
        let records = pair.seal(b"goodbye");
        prop_assert_eq!(pair.heard(&records), b"goodbye");
    }

    /// Bits that fall over on the way are noticed, wherever they are, and nothing else happens: no byte of the record comes
    /// out, the peer hears why, and nothing that comes behind is read.
    #[test]
    fn a_changed_byte_is_noticed(at in 0_usize..200, bit in 0..8_u8, is_old in any::<bool>()) {
        let mut pair = Pair::open(&[if is_old { &TLS12 } else { &TLS13 }]);
        pair.client.writer().write_all(&noise(150)).unwrap();
        let mut bytes = pair.client_says();
        pair.client.writer().write_all(b"on it goes").unwrap();
        let mut more = pair.client_says();
        let at = at % bytes.len();
        bytes[at] ^= 1 << bit;
        pair.feed(&mut bytes);
        prop_assert_eq!(pair.plain.len(), 0);
        if at == 3 || at == 4 {
            // A longer length makes it wait for more, a shorter one makes records of what is none.
            prop_assert!(pair.failure.is_some() || pair.session.is_amid(), "byte {}", at);
            return Ok(());
        }
        let is_mac = at >= HEADER_LEN || at == 2;
        let failure = pair.failure.take();
        let alert = match failure {
            Some(Failure::Record(alert)) => alert,
            other => return Err(TestCaseError::fail(format!("byte {at}: {other:?}"))),
        };
        prop_assert_eq!(alert == Alert::BadRecordMac, is_mac || (is_old && at == 0 && alert != Alert::UnexpectedMessage));
        let words = pair.session.take_outgoing();
        prop_assert!(matches!(pair.client_hears(&words), Err(Error::AlertReceived(_))));
        pair.feed(&mut more);
        prop_assert!(pair.plain.is_empty() && pair.failure.is_none() && !pair.session.has_outgoing());
    }
}

/// RFC 8446 section 4.6.3.
#[test]
fn both_sides_can_go_on_with_new_keys() {
    let mut pair = Pair::open(&[&TLS13]);
    for round in 0..5 {
        pair.client.refresh_traffic_keys().unwrap();
        pair.say(b"with a new key");
        assert_eq!(pair.failure, None, "round {round}");
        assert_eq!(std::mem::take(&mut pair.plain), b"with a new key");
        let records = pair.seal(b"so do we");
        assert_eq!(pair.heard(&records), b"so do we");
    }
    // Ours are used up from time to time.
    for _ in 0..250 {
        let records = pair.seal(b"x");
        assert_eq!(pair.heard(&records), b"x");
    }
}

#[test]
fn an_old_connection_ends_when_its_key_is_used_up() {
    let mut pair = Pair::open(&[&TLS12]);
    let mut out = Vec::new();
    let sealed = (0..200).take_while(|_| pair.session.seal(b"x", &mut out, &mut pair.keys, CONN).is_ok());
    assert!((90..100).contains(&sealed.count()));
    let last = pair.session.take_outgoing();
    out.extend_from_slice(&last);
    assert!(pair.heard(&out).iter().all(|&byte| byte == b'x'));
    assert!(pair.client.process_new_packets().unwrap().peer_has_closed());
}

#[test]
fn a_connection_goes_on_after_another_has_driven_its_keys_out() {
    for version in BOTH {
        let mut pair = Pair::open(&[version]);
        pair.keys = Keys::new(1);
        for _ in 0..3 {
            pair.say(b"ping");
            let records = pair.seal(b"pong");
            assert_eq!(pair.heard(&records), b"pong");
            pair.keys.forget(CONN);
        }
        assert_eq!(pair.plain, b"pingpingping");
    }
}

#[test]
fn the_last_word_is_said_once_and_nothing_behind_it() {
    for version in BOTH {
        let mut pair = Pair::open(&[version]);
        let mut out = pair.seal(b"goodbye");
        pair.session.close(&mut out, &mut pair.keys, CONN);
        let len = out.len();
        pair.session.close(&mut out, &mut pair.keys, CONN);
        pair.session.seal(b"late", &mut out, &mut pair.keys, CONN).unwrap();
        assert_eq!(out.len(), len);
        assert_eq!(pair.heard(&out), b"goodbye");
        assert!(pair.client.process_new_packets().unwrap().peer_has_closed());
        // The other side may still speak, and end.
        pair.say(b"goodbye you");
        pair.client.send_close_notify();
        let mut bytes = pair.client_says();
        pair.feed(&mut bytes);
        assert_eq!(pair.plain, b"goodbye you");
        assert!(pair.has_ended);
    }
}

#[test]
fn a_record_that_does_not_open_is_answered_with_an_alert() {
    for version in BOTH {
        let mut pair = Pair::open(&[version]);
        pair.client.writer().write_all(b"x").unwrap();
        let mut bytes = pair.client_says();
        *bytes.last_mut().unwrap() ^= 1;
        pair.feed(&mut bytes);
        assert!(matches!(pair.failure, Some(Failure::Record(_))));
        let words = pair.session.take_outgoing();
        let heard = pair.client_hears(&words);
        assert_eq!(heard, Err(Error::AlertReceived(rustls::AlertDescription::BadRecordMac)));
    }
}

/// As long as a record may be, in pieces as they come from a socket: never more than twice what has come, and in the end no
/// more than the record.
#[test]
fn a_record_that_never_comes_whole_costs_what_has_come() {
    for (version, len) in [(&TLS13, 16_384 + 256), (&TLS12, 16_384 + 2_048)] {
        let [high, low] = u16::to_be_bytes(len);
        let mut record = vec![23, 3, 3, high, low];
        record.resize(5 + usize::from(len) - 1, 7);
        let mut open = Pair::open(&[version]);
        let mut received = 0;
        for part in cuts(&record, &[1, 3, 700, 4096, 2048]) {
            open.feed(&mut part.to_vec());
            received += part.len();
            assert!(open.session.is_amid());
            assert!(open.session.held_bytes() <= 2 * received.max(8), "{}", open.session.held_bytes());
        }
        assert!(open.session.held_bytes() <= record.len() + 1, "{}", open.session.held_bytes());
        open.session.forget_partial();
        assert_eq!(open.session.held_bytes(), 0);
    }
}

/// What an idle connection over TLS costs beside its `Conn`.
#[test]
fn an_idle_session_is_small_and_owns_nothing_that_comes_and_goes() {
    assert!(size_of::<Session>() <= 96, "{} bytes", size_of::<Session>());
    assert!(size_of::<Tunnel>() <= 304, "{} bytes", size_of::<Tunnel>());
    let mut pair = Pair::open(&[&TLS13]);
    pair.say(&noise(50_000));
    let records = pair.seal(&noise(50_000));
    pair.heard(&records);
    pair.feed(&mut []);
    assert_eq!(pair.session.held_bytes(), 0);
}
