//! TLS through the whole shard: what leaves and when, with sends that take their time.

use super::*;
use crate::failpoint::{FailPoints, Point};
use crate::shard::slicing::Portions;
use crate::tls::{Acceptor, ClientAuth, Event, Identity, Keys, Terms};
use rustls::pki_types::{CertificateDer, ServerName, pem::PemObject};
use rustls::{ClientConfig, ClientConnection, RootCertStore};
use std::io::{Read, Write};
use std::time::Duration;

/// A core with TLS, and a client of rustls that trusts it.
fn sealed() -> (Bench, ClientConnection) {
    sealed_with(|_| {})
}

fn sealed_with(change: impl FnOnce(&mut ShardOptions)) -> (Bench, ClientConnection) {
    let rcgen::CertifiedKey { cert, signing_key } =
        rcgen::generate_simple_self_signed(vec!["localhost".to_owned()]).unwrap();
    let identity = Identity::load(&cert.pem(), &signing_key.serialize_pem()).unwrap();
    let acceptor = Acceptor::new(Terms {
        identities: vec![identity],
        client_auth: ClientAuth::Off,
        client_roots: "",
        only_tls13: false,
        has_tickets: true,
        patience: Duration::from_secs(5),
        rate: None,
    });
    let bench = Bench::new(|options| {
        options.settings_mut().tls = Some(acceptor.unwrap());
        change(options);
    });
    let mut roots = RootCertStore::empty();
    roots.add(CertificateDer::from_pem_slice(cert.pem().as_bytes()).unwrap()).unwrap();
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let config = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(roots)
        .with_no_client_auth();
    let name = ServerName::try_from("localhost").unwrap();
    (bench, ClientConnection::new(Arc::new(config), name).unwrap())
}

fn says(client: &mut ClientConnection) -> Vec<u8> {
    let mut bytes = Vec::new();
    while client.wants_write() {
        client.write_tls(&mut bytes).unwrap();
    }
    bytes
}

impl Bench {
    /// What the client has been sent goes into it.
    fn tell(&mut self, id: ConnId, client: &mut ClientConnection) -> Vec<u8> {
        let sent = self.sent.remove(&id).unwrap_or_default();
        let (mut rest, mut plain) = (&sent[..], Vec::new());
        while !rest.is_empty() {
            client.read_tls(&mut rest).unwrap();
            client.process_new_packets().unwrap();
            let mut buffer = [0; 16_384];
            while let Ok(count @ 1..) = client.reader().read(&mut buffer) {
                plain.extend_from_slice(&buffer[..count]);
            }
        }
        plain
    }

    /// Hands in bytes and takes what comes of them, but says of no send that it is done.
    fn outputs(&mut self, input: Input<'_>) -> Vec<Output> {
        self.shard.handle(self.now, input);
        let mut outputs = Vec::new();
        self.shard.drain(&mut |output| outputs.push(output));
        outputs
    }

    /// Both have said hello; the last word of the client's handshake is returned.
    fn greeted(&mut self, client: &mut ClientConnection) -> (ConnId, Vec<u8>) {
        let id = self.open();
        self.bytes(id, &says(client));
        self.tell(id, client);
        (id, says(client))
    }
}

/// The code of the close frame at the end of what a client was told.
fn close_code(told: &[u8]) -> u16 {
    let close = told.iter().rposition(|&byte| byte == 0x88).unwrap();
    u16::from_be_bytes([told[close + 2], told[close + 3]])
}

/// What the client says, in a record.
fn message(client: &mut ClientConnection, text: &str) -> Vec<u8> {
    let mut frame = Vec::new();
    ws::append_masked_frame(&mut frame, Opcode::Text, text.as_bytes(), [1, 2, 3, 4]);
    client.writer().write_all(&frame).unwrap();
    says(client)
}

/// A bug over TLS costs its connection, which hears so in records.
#[test]
fn whoever_is_lost_to_a_panic_is_told_in_records() {
    let fail = FailPoints::default().with(Point::Command, "boom", 1);
    let (mut bench, mut client) = sealed_with(|options| options.fail = fail);
    let (id, finished) = bench.greeted(&mut client);
    bench.bytes(id, &finished);
    client.writer().write_all(HEAD.as_bytes()).unwrap();
    bench.bytes(id, &says(&mut client));
    bench.bytes(id, &message(&mut client, r#"{"id":1,"connect":{}}"#));
    bench.tell(id, &mut client);
    let mut words = message(&mut client, r#"{"id":2,"rpc":{"method":"boom","data":{}}}"#);
    words.extend(message(&mut client, r#"{"id":3,"rpc":{"method":"other","data":{}}}"#));
    bench.bytes(id, &words);
    // What comes behind it can be opened by nobody any more, and changes nothing.
    bench.bytes(id, &message(&mut client, "late"));
    let told = bench.tell(id, &mut client);
    assert_eq!(close_code(&told), 1011);
    assert!(client.process_new_packets().unwrap().peer_has_closed());
    assert_eq!((bench.shard.stats().panics, bench.shard.stats().tls_failed_protocol), (1, 0));
}

/// What a client that is cut had still to say goes with its queue. That is no reason to take its next record for a forgery,
/// and to lose the close frame over it.
#[test]
fn a_client_that_is_cut_amid_its_records_hears_why() {
    let (mut bench, mut client) = sealed_with(|options| {
        options.portions = Portions { turn: 1, most: 1, least: 1 };
        options.settings_mut().limits.outbox_bytes_max = 1_500;
    });
    let (id, finished) = bench.greeted(&mut client);
    bench.bytes(id, &finished);
    client.writer().write_all(HEAD.replace("/connection/websocket", "/echo").as_bytes()).unwrap();
    bench.bytes(id, &says(&mut client));
    bench.tell(id, &mut client);
    let mut words = Vec::new();
    for _ in 0..8 {
        words.extend(message(&mut client, &"x".repeat(1_000)));
    }
    let mut flying = Vec::new();
    let mut sends = 0;
    let mut take = |outputs: Vec<Output>, flying: &mut Vec<u8>| {
        for output in outputs {
            if let Output::Send { payload, .. } = output {
                flying.extend_from_slice(payload.bytes());
                sends += 1;
            }
        }
    };
    take(bench.outputs(Input::Received { conn: id, bytes: &mut words }), &mut flying);
    // Its first send takes its time, and what is queued behind it is too much.
    for _ in 0..20 {
        bench.shard.begin_turn();
        bench.shard.resume_slices();
        bench.shard.take_pressure();
        let mut outputs = Vec::new();
        bench.shard.drain(&mut |output| outputs.push(output));
        take(outputs, &mut flying);
    }
    assert_eq!(bench.shard.stats().slow_disconnects, 1);
    take(bench.outputs(Input::Received { conn: id, bytes: &mut message(&mut client, "next") }), &mut flying);
    take(bench.outputs(Input::Sent { conn: id }), &mut flying);
    assert_eq!(sends, 2);
    bench.sent.insert(id, flying);
    let told = bench.tell(id, &mut client);
    assert_eq!(close_code(&told), 3008);
    assert!(client.process_new_packets().unwrap().peer_has_closed());
    assert_eq!(bench.shard.stats().tls_failed_protocol, 0);
}

/// The tickets are still under way when the request comes: it waits for them, and then the session goes with the socket.
#[test]
fn a_socket_that_is_handed_over_late_is_handed_over_with_its_session() {
    let (mut bench, mut client) = sealed();
    let (id, mut finished) = bench.greeted(&mut client);
    let outputs = bench.outputs(Input::Received { conn: id, bytes: &mut finished });
    let [Output::Send { payload, .. }] = &outputs[..] else { panic!("tickets: {outputs:?}") };
    bench.sent.insert(id, payload.bytes().to_vec());
    bench.tell(id, &mut client);

    // In two parts, the end of the second still sealed and not whole.
    client.writer().write_all(b"GET / HTTP/1.1\r\nHost: a\r\n").unwrap();
    let mut first = says(&mut client);
    client.writer().write_all(b"\r\n").unwrap();
    let mut second = says(&mut client);
    client.writer().write_all(b"behind it").unwrap();
    let mut third = says(&mut client);
    second.extend_from_slice(&third[..10]);
    assert!(bench.outputs(Input::Received { conn: id, bytes: &mut first }).is_empty());
    assert!(bench.outputs(Input::Received { conn: id, bytes: &mut second }).is_empty());
    let mut outputs = bench.outputs(Input::Sent { conn: id });
    let Some(Output::HandOver { received, .. }) = outputs.pop() else { panic!("{outputs:?}") };
    assert_eq!(received.plain, b"GET / HTTP/1.1\r\nHost: a\r\n\r\n");
    let mut sealed = received.sealed.expect("the means to read and write on");
    assert!(sealed.records.is_empty(), "what was not whole is in the session");

    let mut keys = Keys::new(1);
    let mut input = &mut third[10..];
    let event = sealed.session.next(&mut input, &mut keys, id);
    let Ok(Some(Event::Data(plain))) = event else { panic!("{event:?}") };
    assert_eq!(plain, b"behind it");
    let mut answer = Vec::new();
    sealed.session.seal(b"HTTP/1.1 200 OK\r\n\r\n", &mut answer, &mut keys, id).unwrap();
    bench.sent.insert(id, answer);
    assert_eq!(bench.tell(id, &mut client), b"HTTP/1.1 200 OK\r\n\r\n");
}

/// One that ends in the middle of its records is told in records, too.
#[test]
fn a_refusal_leaves_sealed_and_with_a_last_word() {
    let (mut bench, mut client) = sealed();
    let (id, finished) = bench.greeted(&mut client);
    bench.bytes(id, &finished);
    client.writer().write_all(b"NONSENSE\r\n\r\n").unwrap();
    bench.bytes(id, &says(&mut client));
    let plain = bench.tell(id, &mut client);
    assert!(plain.starts_with(b"HTTP/1.1 400 "), "{}", String::from_utf8_lossy(&plain));
    assert!(client.process_new_packets().unwrap().peer_has_closed());
}

/// A record is awaited like a message, but only while it is awaited: one that brings no data ends the wait.
#[test]
fn a_key_update_that_comes_in_pieces_is_no_message_without_end() {
    let (mut bench, mut client) = sealed();
    let (id, finished) = bench.greeted(&mut client);
    bench.bytes(id, &finished);
    client.writer().write_all(HEAD.replace("/connection/websocket", "/echo").as_bytes()).unwrap();
    bench.bytes(id, &says(&mut client));
    assert!(bench.tell(id, &mut client).starts_with(b"HTTP/1.1 101"));

    client.refresh_traffic_keys().unwrap();
    let update = says(&mut client);
    bench.bytes(id, &update[..9]);
    assert!(bench.shard.conns.get(id).unwrap().message_due.is_some());
    bench.bytes(id, &update[9..]);
    assert_eq!(bench.shard.conns.get(id).unwrap().message_due, None);

    bench.tell(id, &mut client);
    let mut frame = Vec::new();
    ws::append_masked_frame(&mut frame, Opcode::Text, b"still here", [1, 2, 3, 4]);
    client.writer().write_all(&frame).unwrap();
    bench.bytes(id, &says(&mut client));
    assert!(bench.tell(id, &mut client).ends_with(b"still here"));
}

/// A record that has begun is memory, too: of a handshake, and of a connection that is open. Its deadline ends it in any
/// case, and before that the end of memory does.
#[test]
fn a_record_that_has_begun_is_held_until_its_deadline_or_until_memory_is_short() {
    let record = |kind: u8| {
        let mut record = vec![kind, 3, 3, 0x40, 0x11];
        record.resize(5 + 0x4011 - 1, 7);
        record
    };
    for is_short in [false, true] {
        let (mut bench, mut client) = sealed();
        let (id, words) = bench.greeted(&mut client);
        bench.bytes(id, &words);
        bench.tell(id, &mut client);
        let head = HEAD.replace("/connection/websocket", "/echo");
        client.writer().write_all(head.as_bytes()).unwrap();
        bench.bytes(id, &says(&mut client));
        assert!(bench.tell(id, &mut client).starts_with(b"HTTP/1.1 101"));
        bench.bytes(id, &record(23));
        let hello = bench.open();
        bench.bytes(hello, &record(22));
        if is_short {
            for _ in 0..4 {
                bench.now = bench.now + Duration::from_millis(500);
                bench.shard.tell_pressure(bench.now, crate::pressure::Stage::Shedding, false);
                bench.settle();
            }
            assert_eq!(bench.shard.stats().shed, 2);
        } else {
            bench.pass(5_100);
            assert_eq!(bench.over, [hello], "its handshake took too long");
            bench.pass(30_000);
        }
        assert!(bench.over.contains(&id) && bench.over.contains(&hello), "{:?}", bench.over);
        // A ping may come before it.
        let words = bench.tell(id, &mut client);
        let code = close_code(&words);
        // Amid a record no ping can be answered, and that may end it sooner.
        assert!(if is_short { code == 3008 } else { code == 1008 || code == 3012 }, "{code}");
    }
}
