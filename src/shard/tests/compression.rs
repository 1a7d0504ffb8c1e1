//! Compressed messages through the whole shard: what is agreed on, what is shared, and what a connection owns.

use super::*;
use crate::channels::{Namespaces, Policy};
use crate::shard::settings::Compression;
use crate::ws::deflate::{History, Window};

const SHARED: &str = "Sec-WebSocket-Extensions: permessage-deflate; server_no_context_takeover; client_no_context_takeover\r\n";

fn bench(change: impl FnOnce(&mut Compression)) -> Bench {
    Bench::new(|options| {
        let compression = &mut options.settings_mut().compression;
        compression.enabled = true;
        compression.effort.bytes_min = 60;
        change(compression);
    })
}

/// A client that compresses, or not, as its server does.
struct Peer {
    id: ConnId,
    history: Option<History>,
    /// Compressed messages, and all bytes, of the last look.
    packed_count: usize,
    bytes: Vec<u8>,
}

impl Bench {
    /// The answer to this offer, and the client that made it.
    fn offering(&mut self, path: &str, offer: &str) -> (String, Peer) {
        let id = self.open();
        let head = HEAD.replace("/connection/websocket", path).replace(
            "Sec-WebSocket-Version",
            &format!("Sec-WebSocket-Extensions: {offer}\r\nSec-WebSocket-Version"),
        );
        self.bytes(id, head.as_bytes());
        let answer = String::from_utf8(self.sent.remove(&id).unwrap()).unwrap();
        let takeover =
            answer.contains("permessage-deflate") && !answer.contains("server_no_context_takeover");
        let history = takeover.then(|| History::new(Window::Bits15));
        (answer, Peer { id, history, packed_count: 0, bytes: Vec::new() })
    }

    fn compressing(&mut self) -> Peer {
        let (answer, mut peer) =
            self.offering("/connection/websocket", "permessage-deflate; client_max_window_bits");
        assert!(answer.contains("permessage-deflate"), "{answer}");
        self.say(peer.id, r#"{"id":1,"connect":{}}"#);
        assert_eq!(self.hear(&mut peer).len(), 1);
        self.say(peer.id, r#"{"id":2,"subscribe":{"channel":"news"}}"#);
        assert_eq!(self.hear(&mut peer), [r#"{"id":2,"subscribe":{}}"#]);
        peer
    }

    /// Messages since the last look.
    fn hear(&mut self, peer: &mut Peer) -> Vec<String> {
        peer.bytes = self.sent.remove(&peer.id).unwrap_or_default();
        let mut bytes = peer.bytes.clone();
        let options = ReadOptions {
            role: Role::Client,
            message_bytes_max: u32::MAX >> 1,
            empty_frames_max: 0,
            deflate: true,
        };
        let (mut reader, mut pool, mut texts) = (Reader::new(), Pool::new(), Vec::new());
        let mut rest = bytes.as_mut_slice();
        while let Some(event) =
            reader.next_after(&mut rest, &options, &mut pool, peer.history.as_mut()).unwrap()
        {
            match event {
                Event::Message(_, text) => texts.push(String::from_utf8(text.to_vec()).unwrap()),
                Event::Close(code, _) => texts.push(format!("close {}", code.map_or(0, CloseCode::get))),
                Event::Ping(_) | Event::Pong(_) => texts.push("control".to_owned()),
            }
        }
        peer.packed_count = pool.inflater.tally().messages as usize;
        texts
    }

    fn publish(&mut self, publisher: ConnId, data: &str) {
        let publish = format!(r#"{{"id":9,"publish":{{"channel":"news","data":"{data}"}}}}"#);
        self.say(publisher, &publish);
        assert_eq!(self.texts(publisher), [r#"{"id":9,"publish":{}}"#]);
    }
}

#[test]
fn nothing_is_agreed_on_unless_the_operator_wants_it() {
    let mut bench = Bench::new(|_| ());
    let (answer, peer) = bench.offering("/echo", "permessage-deflate");
    assert!(answer.starts_with("HTTP/1.1 101") && !answer.contains("Extensions"), "{answer}");
    bench.bytes(peer.id, &[0xc1, 0x80, 0, 0, 0, 0]);
    assert_eq!(bench.texts(peer.id), ["close 1002 reserved bit is set"]);
}

#[test]
fn subscribers_of_one_window_share_what_was_compressed_once() {
    let mut bench = bench(|_| ());
    let mut peers: Vec<Peer> = (0..5).map(|_| bench.compressing()).collect();
    let plain = bench.client();
    bench.say(plain, r#"{"id":2,"subscribe":{"channel":"news"}}"#);
    bench.texts(plain);
    let publisher = bench.client();
    let before = bench.shard.stats().deflated_messages;
    bench.publish(publisher, &"goal! ".repeat(50));
    let wanted = bench.texts(plain).join("");
    assert!(wanted.contains("goal! goal!"), "{wanted}");
    let mut first = Vec::new();
    for peer in &mut peers {
        assert_eq!(bench.hear(peer), [wanted.as_str()]);
        assert_eq!(peer.packed_count, 1);
        assert!(peer.bytes.len() < wanted.len() / 2);
        if first.is_empty() {
            first.clone_from(&peer.bytes);
        }
        assert_eq!(peer.bytes, first);
    }
    assert_eq!(bench.shard.stats().deflated_messages, before + 1);
    assert_eq!(bench.shard.stats().takeovers, 0);
}

#[test]
fn each_window_that_somebody_asked_for_gets_its_own_form() {
    let mut bench = bench(|_| ());
    let mut peers = Vec::new();
    for bits in [9, 15, 9] {
        let offer = format!("permessage-deflate; server_max_window_bits={bits}");
        let (answer, peer) = bench.offering("/connection/websocket", &offer);
        assert!(answer.contains(&format!("server_max_window_bits={bits}")), "{answer}");
        bench.say(peer.id, "{\"id\":1,\"connect\":{}}\n{\"id\":2,\"subscribe\":{\"channel\":\"news\"}}");
        peers.push(peer);
    }
    for peer in &mut peers {
        bench.hear(peer);
    }
    let publisher = bench.client();
    let before = bench.shard.stats().deflated_messages;
    bench.publish(publisher, &"goal! ".repeat(50));
    for peer in &mut peers {
        let heard = bench.hear(peer);
        assert!(heard[0].contains("goal! goal!"), "{heard:?}");
    }
    assert_eq!(bench.shard.stats().deflated_messages, before + 2);
}

#[test]
fn short_messages_and_pings_go_as_they_are() {
    let mut bench = bench(|compression| compression.effort.bytes_min = 1_000);
    let mut peer = bench.compressing();
    let publisher = bench.client();
    bench.publish(publisher, "short");
    assert_eq!(bench.hear(&mut peer).len(), 1);
    assert_eq!(peer.packed_count, 0);
    bench.pass(26_000);
    assert_eq!(bench.hear(&mut peer), ["{}"]);
    assert_eq!(peer.packed_count, 0);
}

#[test]
fn replies_are_compressed_and_so_is_what_a_client_says() {
    let mut bench = bench(|_| ());
    let (answer, mut peer) = bench.offering("/echo", "permessage-deflate");
    assert!(answer.contains(SHARED), "{answer}");
    // "Hello" (RFC 7692 section 7.2.3.1).
    let hello = [0xc1, 0x87, 0, 0, 0, 0, 0xf2, 0x48, 0xcd, 0xc9, 0xc9, 0x07, 0x00];
    bench.bytes(peer.id, &hello);
    assert_eq!(bench.hear(&mut peer), ["Hello"]);
    assert_eq!(peer.packed_count, 0, "too short to be worth it");
    bench.say(peer.id, &"Hello".repeat(100));
    assert_eq!(bench.hear(&mut peer), ["Hello".repeat(100)]);
    assert_eq!(peer.packed_count, 1);
    assert_eq!(bench.shard.stats().inflated_messages, 1);
    assert_eq!(bench.shard.stats().inflated_plain_bytes, 5);
    // Without takeover of the client there is nothing to refer to.
    bench.bytes(peer.id, &[0xc1, 0x85, 0, 0, 0, 0, 0xf2, 0x00, 0x11, 0x00, 0x00]);
    assert_eq!(bench.hear(&mut peer), ["close 1007"]);
}

#[test]
fn a_bomb_is_refused_before_anybody_knows_who_sent_it() {
    let mut bench = bench(|_| ());
    let (_, mut peer) = bench.offering("/connection/websocket", "permessage-deflate");
    let mut deflater =
        crate::ws::deflate::Deflater::new(crate::ws::deflate::Effort { level: 9, bytes_min: 0 });
    let mut bomb = Vec::new();
    deflater.append(&mut bomb, Opcode::Text, &vec![b' '; 10 << 20], Some(Window::Bits15));
    // The same payload behind a header of a client, whose key changes nothing.
    let payload = &bomb[4..];
    let mut frame = vec![0xc1, 0xfe];
    frame.extend_from_slice(&(payload.len() as u16).to_be_bytes());
    frame.extend_from_slice(&[0; 4]);
    frame.extend_from_slice(payload);
    bench.bytes(peer.id, &frame);
    assert_eq!(bench.hear(&mut peer), ["close 1009"]);
}

#[test]
fn with_takeover_later_messages_refer_to_earlier_ones() {
    let mut bench = bench(|compression| compression.takeover = true);
    let mut peers: Vec<Peer> = (0..3).map(|_| bench.compressing()).collect();
    assert_eq!(bench.shard.stats().takeovers, 3);
    let publisher = bench.client();
    let mut sizes = Vec::new();
    for round in 0..4 {
        bench.publish(
            publisher,
            &format!("{round} the quick brown fox jumps over the lazy dog, pack my box with five"),
        );
        for peer in &mut peers {
            let heard = bench.hear(peer);
            assert!(heard[0].contains("the lazy dog"), "{heard:?}");
            assert_eq!(peer.packed_count, 1);
            sizes.push(peer.bytes.len());
        }
    }
    assert!(sizes[11] < sizes[0] / 2, "{sizes:?}");
    // Refers to "Hello", which came in another message.
    let (_, mut peer) = bench.offering("/echo", "permessage-deflate");
    bench.bytes(peer.id, &[0xc1, 0x87, 0, 0, 0, 0, 0xf2, 0x48, 0xcd, 0xc9, 0xc9, 0x07, 0x00]);
    bench.bytes(peer.id, &[0x81, 0x82, 0, 0, 0, 0, b'h', b'i']);
    bench.bytes(peer.id, &[0xc1, 0x85, 0, 0, 0, 0, 0xf2, 0x00, 0x11, 0x00, 0x00]);
    assert_eq!(bench.hear(&mut peer), ["Hello", "hi", "Hello"]);
}

/// What a slow client is not sent is not part of what later messages refer to.
#[test]
fn with_takeover_what_was_dropped_is_not_referred_to() {
    let mut bench = Bench::new(|options| {
        let settings = options.settings_mut();
        settings.limits.outbox_bytes_max = 10_000;
        settings.compression.enabled = true;
        settings.compression.takeover = true;
    });
    let mut peer = bench.compressing();
    let publisher = bench.client();
    bench.stuck.push(peer.id);
    for round in 0..30 {
        bench.publish(publisher, &format!("{round} {}", "abcdefghij".repeat(50)));
    }
    bench.stuck.clear();
    bench.shard.handle(bench.now, Input::Sent { conn: peer.id });
    bench.settle();
    assert_eq!(bench.hear(&mut peer), ["close 3008"]);
}

#[test]
fn the_memory_of_takeover_is_limited_and_given_back() {
    let one = 2 * 4096;
    let mut bench = bench(|compression| {
        compression.takeover = true;
        compression.takeover_bytes_max = 2 * one;
    });
    let offer = "permessage-deflate; client_max_window_bits";
    let (first, peer) = bench.offering("/echo", offer);
    let windows = "permessage-deflate; server_max_window_bits=12; client_max_window_bits=12\r\n";
    assert!(first.contains(windows), "{first}");
    assert!(bench.offering("/echo", offer).0.contains(windows));
    assert!(bench.offering("/echo", offer).0.contains(SHARED), "no memory is left for a third");
    assert_eq!(bench.shard.stats().takeovers, 2);
    bench.bytes(peer.id, &[0x88, 0x80, 0, 0, 0, 0]);
    bench.pass(10_000);
    assert_eq!(bench.shard.stats().takeovers, 1);
    assert!(bench.offering("/echo", offer).0.contains(windows));
    // A client whose window cannot be limited would need 32 KiB for that alone.
    bench.bytes(peer.id, b"");
    assert!(bench.offering("/echo", "permessage-deflate").0.contains(SHARED));
}

/// Z-13: who can put text beside a secret and see lengths guesses the secret.
#[test]
fn publications_of_a_namespace_without_compression_leave_as_they_are() {
    let mut bench = Bench::new(|options| {
        let settings = options.settings_mut();
        settings.compression.enabled = true;
        settings.compression.takeover = true;
        settings.compression.effort.bytes_min = 60;
        let log = Policy {
            history_size: 10,
            history_ttl: std::time::Duration::from_mins(1),
            force_recovery: true,
            ..Policy::open()
        };
        let secret = Policy { is_uncompressed: true, ..log.clone() };
        let named = [("log".into(), log), ("secret".into(), secret)];
        settings.namespaces = Arc::new(Namespaces::new(Policy::open(), named, 255).unwrap());
    });
    let data = "goal! ".repeat(50);
    // Messages that build on each other, and messages by themselves.
    for offer in [
        "permessage-deflate; client_max_window_bits",
        "permessage-deflate; server_no_context_takeover; client_no_context_takeover",
    ] {
        for (namespace, is_packed) in [("log", true), ("secret", false)] {
            let (_, mut peer) = bench.offering("/connection/websocket", offer);
            let publisher = bench.client();
            let publish = format!(r#"{{"id":9,"publish":{{"channel":"{namespace}:a","data":"{data}"}}}}"#);
            bench.say(publisher, &publish);
            bench.say(peer.id, r#"{"id":1,"connect":{}}"#);
            bench.hear(&mut peer);
            let subscribe = format!(
                r#"{{"id":2,"subscribe":{{"channel":"{namespace}:a","recover":true,"offset":0,"epoch":""}}}}"#
            );
            bench.say(peer.id, &subscribe);
            let said = bench.hear(&mut peer).join("");
            assert!(said.starts_with(r#"{"id":2,"subscribe""#) && said.contains(&data), "{said}");
            assert_eq!(peer.packed_count > 0, is_packed, "recovered: {namespace}");
            bench.say(publisher, &publish);
            let said = bench.hear(&mut peer).join("");
            assert!(said.contains(&data), "{said}");
            assert_eq!(peer.packed_count > 0, is_packed, "live: {namespace}");
            // The peer reads on: its history and ours are the same.
            let ask = format!(r#"{{"id":3,"history":{{"channel":"{namespace}:a","limit":2}}}}"#);
            bench.say(peer.id, &ask);
            let said = bench.hear(&mut peer).join("");
            assert!(said.contains(&data), "{said}");
            assert_eq!(peer.packed_count, 0, "where one namespace is bare, histories are");
            let other = format!(r#"{{"id":4,"subscribe":{{"channel":"log:{}"}}}}"#, "x".repeat(80));
            bench.say(peer.id, &other);
            assert!(bench.hear(&mut peer).join("").starts_with(r#"{"id":4,"#));
        }
    }
}

/// Z-02: what a message inflates to is work. A chunk of 16 KiB can hold a hundred and more of these.
#[test]
fn inflating_uses_up_the_slice() {
    const COUNT: u64 = 200;
    let mut bench = bench(|_| ());
    let peer = bench.compressing();
    // A small command and much blank space.
    let mut message = br#"{"id":7,"rpc":{"method":"ping"}}"#.to_vec();
    message.resize(60_000, b' ');
    let mut packed = Vec::with_capacity(1_000);
    let mut deflate = flate2::Compress::new(flate2::Compression::best(), false);
    deflate.compress_vec(&message, &mut packed, flate2::FlushCompress::Sync).unwrap();
    packed.truncate(packed.len() - 4);
    assert!(packed.len() < 126, "{}", packed.len());
    let mut frame = vec![0xc1, 0x80 | packed.len() as u8, 0, 0, 0, 0];
    frame.extend(&packed);
    let before = bench.shard.stats().messages_in;
    bench.bytes(peer.id, &frame.repeat(COUNT as usize));
    let first = bench.shard.stats().messages_in - before;
    assert!((1..COUNT / 2).contains(&first), "{first} in the first turn");
    while bench.shard.has_put_off() {
        bench.shard.advance(bench.now);
        bench.settle();
    }
    assert_eq!(bench.shard.stats().messages_in - before, COUNT);
}
