//! Peers that are slow, and peers that are too many.

use crate::support::canary::Canary;
use crate::support::client::{Client, upgrade_head};
use crate::support::server::Server;
use crate::support::wait::pause;
use ringway::sys::clock;
use std::time::Duration;

/// H-12: the deadline of a head is absolute: a byte now and then does not extend it.
#[test]
fn a_dripping_head_is_answered_with_408_at_its_deadline() {
    let server = Server::echo("[websocket]\nhandshake_timeout = \"1500ms\"\n");
    let canary = Canary::start(&server);
    let mut clients: Vec<Client> = (0..300).map(|_| Client::connect(server.public)).collect();
    let mute = Client::connect(server.public);
    let begin = clock::now();
    let head = upgrade_head("/echo");
    for byte in head.bytes().take(10) {
        for client in &mut clients {
            client.send(&[byte]);
        }
        pause(Duration::from_millis(50));
    }
    for client in &mut clients {
        assert_eq!(client.refused().status, 408);
    }
    assert!(clock::now().since(begin) >= Duration::from_millis(500), "they had their time");
    let mut mute = mute;
    assert_eq!(mute.refused().status, 408);
    drop((clients, mute));
    canary.unharmed();
    server.settled();
    assert_eq!(server.metrics().figure("handshake_timeouts_total"), 301);
}

/// H-23: above the rate there is a polite no, and who is connected does not notice.
#[test]
fn handshakes_above_the_rate_are_put_off() {
    let server = Server::echo("[client]\nconnection_rate_limit = 50\n");
    let canary = Canary::start(&server);
    let begin = clock::now();
    let (mut opened, mut put_off) = (Vec::new(), 0);
    for _ in 0..300 {
        let mut client = Client::connect(server.public);
        client.send(format!("{}\r\n", upgrade_head("/echo")).as_bytes());
        let response = client.response();
        if response.status == 101 {
            opened.push(client);
        } else {
            assert_eq!((response.status, response.field("retry-after")), (503, Some("1")));
            client.ended();
            put_off += 1;
        }
    }
    let seconds = clock::now().since(begin).as_secs_f64();
    let most = 50.0 * (seconds + 1.0) + 1.0;
    assert!(opened.len() >= 49, "a second's worth is let in at once, not {}", opened.len());
    assert!((opened.len() as f64) <= most, "{} in {seconds} s", opened.len());
    assert_eq!(put_off + opened.len(), 300);
    drop(opened);
    canary.unharmed();
    server.settled();
}

/// H-16: what comes behind a head that is not finished yet has a limit as well.
#[test]
fn early_bytes_are_bounded() {
    let server = Server::echo("");
    let mut client = Client::connect(server.public);
    let mut sent = 0;
    let filler = format!("X: {}\r\n", "a".repeat(1_000));
    let _ = client.try_send(upgrade_head("/echo").as_bytes());
    while sent < 10 * 1024 * 1024 && client.try_send(filler.as_bytes()).is_ok() {
        sent += filler.len();
    }
    drop(client);
    server.settled();
    assert_eq!(server.metrics().figure("refusals_total"), 1);
}
