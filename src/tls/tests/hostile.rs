//! Peers that do not mean well, and peers that do not mean TLS.

use super::{Authority, CONN, Pair};
use crate::limits::TLS_HANDSHAKE_BYTES_MAX;
use crate::tls::record::APPLICATION_DATA;
use crate::tls::{Event, Failure, Keys};
use proptest::prelude::*;
use rustls::version::{TLS12, TLS13};
use std::io::Write;
use std::sync::{Arc, LazyLock};

static AUTHORITY: LazyLock<Authority> = LazyLock::new(Authority::new);

fn fresh() -> Pair {
    let config = Arc::new(AUTHORITY.client_config(&[&TLS13, &TLS12]));
    Pair::new(&AUTHORITY.acceptor(), &config, "localhost")
}

#[test]
fn plain_http_is_told_at_once_what_this_port_speaks() {
    for request in ["G", "GET / HTTP/1.1\r\nHost: a\r\n\r\n", "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"] {
        let mut pair = fresh();
        pair.feed(&mut request.as_bytes().to_vec());
        assert_eq!(pair.failure, Some(Failure::PlainHttp));
        let answer = String::from_utf8(pair.session.take_outgoing()).unwrap();
        assert!(answer.starts_with("HTTP/1.1 400 ") && answer.ends_with("wss:// instead\n"), "{answer}");
        let (_, body) = answer.split_once("\r\n\r\n").unwrap();
        assert!(answer.contains(&format!("Content-Length: {}\r\n", body.len())));
    }
}

#[test]
fn what_is_not_tls_is_refused_with_an_alert() {
    for bytes in [&b"\x80\x2e\x01\x00\x02"[..], b"\x00", b"SSH-2.0-x"[1..].as_ref(), b"\x16\x02\x00"] {
        let mut pair = fresh();
        pair.feed(&mut bytes.to_vec());
        let is_http = bytes[0].is_ascii_uppercase();
        assert_eq!(pair.failure, Some(if is_http { Failure::PlainHttp } else { Failure::NotTls }));
        assert!(!pair.session.take_outgoing().is_empty());
        pair.failure = None;
        pair.feed(&mut b"and on it goes".to_vec());
        assert!(pair.failure.is_none() && pair.session.take_outgoing().is_empty(), "said once");
    }
}

/// The same bytes as records of `len`.
fn in_records(hello: &[u8], len: usize) -> Vec<u8> {
    let parts = hello[5..].chunks(len);
    parts.flat_map(|part| [&[22, 3, 1, 0, part.len() as u8][..], part].concat()).collect()
}

#[test]
fn a_hello_in_pieces_is_read_but_not_in_crumbs() {
    let mut pair = fresh();
    let hello = pair.client_says();
    pair.feed(&mut in_records(&hello, 100));
    assert_eq!(pair.failure, None);
    assert!(pair.session.has_outgoing(), "it has been answered");

    let mut pair = fresh();
    let hello = pair.client_says();
    pair.feed(&mut in_records(&hello, 1));
    assert_eq!(pair.failure, Some(Failure::TooLong));
}

#[test]
fn a_handshake_without_end_is_cut_off() {
    // A message that claims 16 MiB, and one that claims 60,000 bytes and brings them.
    for claim in [[1, 0xff, 0xff, 0xff], [1, 0, 0xea, 0x60]] {
        let mut pair = fresh();
        let mut sent = 0;
        let mut first = true;
        while pair.failure.is_none() {
            let mut record = vec![22, 3, 1, 0x3f, 0xff];
            record.resize(5 + 0x3fff, 0);
            if std::mem::take(&mut first) {
                record[5..9].copy_from_slice(&claim);
            }
            for part in record.chunks_mut(1000) {
                pair.feed(part);
                sent += part.len();
                assert!(pair.session.held_bytes() <= 64 * 1024, "{}", pair.session.held_bytes());
            }
            assert!(sent <= 3 * TLS_HANDSHAKE_BYTES_MAX as usize);
        }
        assert!(!pair.session.take_outgoing().is_empty(), "{:?}", pair.failure);
    }
}

#[test]
fn a_flood_of_empty_records_is_cut_off() {
    for version in [&TLS13, &TLS12] {
        let mut pair = Pair::open(&[version]);
        // The client of rustls sends none: something that has its secrets does.
        let (mut tunnel, mut keys, mut count) = (pair.client_tunnel(), Keys::new(1), 0);
        let mut send = |pair: &mut Pair, plain: &[u8]| {
            let mut record = Vec::new();
            tunnel.seal_record(APPLICATION_DATA, plain, &mut record, &mut keys, CONN).unwrap();
            pair.feed(&mut record);
        };
        for _ in 0..5 {
            (0..20).for_each(|_| send(&mut pair, b""));
            send(&mut pair, b"x");
        }
        assert_eq!((pair.failure.as_ref(), pair.plain.len()), (None, 5), "some between data are legal");
        while pair.failure.is_none() && count < 100 {
            send(&mut pair, b"");
            count += 1;
        }
        assert!((30..40).contains(&count), "{count}: {:?}", pair.failure);
    }
}

#[test]
fn the_expensive_part_waits_for_permission() {
    let mut pair = fresh();
    let mut hello = pair.client_says();
    let mut input = &mut hello[..];
    let event = pair.session.next(&mut input, &mut pair.keys, CONN);
    assert!(matches!(event, Ok(Some(Event::Hello))));
    assert!(!pair.session.has_outgoing());
    assert!(matches!(pair.session.next(&mut &mut [][..], &mut pair.keys, CONN), Ok(None)));
    assert!(pair.session.has_outgoing());
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(256))]

    #[test]
    fn garbage_never_panics(mut bytes in prop::collection::vec(any::<u8>(), 0..400), is_record in any::<bool>()) {
        let mut pair = fresh();
        if is_record && bytes.len() > 9 {
            let len = bytes.len() - 5;
            bytes[..5].copy_from_slice(&[22, 3, 1, (len >> 8) as u8, len as u8]);
            bytes[5..9].copy_from_slice(&[1, 0, ((len - 4) >> 8) as u8, (len - 4) as u8]);
        }
        pair.feed(&mut bytes);
        prop_assert!(!pair.session.is_open());
    }

    #[test]
    fn a_damaged_hello_never_panics(at in 5_usize..400, value in any::<u8>(), cut in 0_usize..400) {
        let mut pair = fresh();
        let mut hello = pair.client_says();
        let at = at % hello.len();
        hello[at] = value;
        let cut = cut % hello.len();
        pair.feed(&mut hello[..cut]);
        pair.feed(&mut hello[cut..]);
        prop_assert!(!pair.session.is_open());
    }

    #[test]
    fn garbage_behind_the_handshake_never_panics(bytes in prop::collection::vec(any::<u8>(), 1..300), is_old in any::<bool>()) {
        let mut pair = Pair::open(&[if is_old { &TLS12 } else { &TLS13 }]);
        let mut record = vec![23, 3, 3, 0, bytes.len() as u8];
        record.extend_from_slice(&bytes[..bytes.len() % 256]);
        pair.feed(&mut record);
        prop_assert!(pair.plain.is_empty());
        let _ = pair.client.writer().write_all(b"x");
    }
}
