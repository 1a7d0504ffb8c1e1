//! Every row of `ringway-hostile` against this server: the tool that others can use judges us first, with nothing tolerated.

use crate::authority::Authority;
use crate::support::server::Server;
use ringway_hostile::report::{self, Count};
use ringway_hostile::row;
use ringway_hostile::run::{Options, run};
use ringway_hostile::target::{Known, Target};
use ringway_hostile::tls::Trust;
use std::time::Duration;

/// Short enough for a test, long enough for a busy machine.
const HANDSHAKE: Duration = Duration::from_secs(2);
const MESSAGE: Duration = Duration::from_secs(4);
const STALE: Duration = Duration::from_secs(3);

const CONFIG: &str = "[channel.without_namespace]\nallow_subscribe_for_client = true\n\
    allow_subscribe_for_anonymous = true\nallow_publish_for_client = true\nallow_publish_for_anonymous = true\n\
    [client]\nallow_anonymous_connect_without_token = true\nstale_close_delay = \"3s\"\n\
    [websocket]\nhandshake_timeout = \"2s\"\nmessage_timeout = \"4s\"\nclose_timeout = \"300ms\"\n";
/// In the section with which `CONFIG` ends.
const COMPRESSION: &str = "compression = true\n";
const TAKEOVER: &str = "compression = true\ncompression_takeover = true\n";

/// Plays all rows; with `deflate` over compressed connections. `passed_min` of them have to be about such a server.
fn no_row_fails(url: &str, server: &Server, trust: &Trust, deflate: bool, passed_min: usize) {
    let known = Known {
        message_bytes: Some(65_536),
        handshake: Some(HANDSHAKE),
        message: Some(MESSAGE),
        stale: Some(STALE),
        client_path: Some("/connection/websocket".into()),
    };
    let mut target = Target::new(url, trust, known).unwrap();
    target.deflate = deflate;
    let options = Options {
        exact: true,
        patience: Duration::from_secs(20),
        metrics: Some(format!("http://{}/metrics", server.internal)),
        pid: Some(server.pid()),
        ..Options::default()
    };
    let rows = row::embedded().unwrap();
    let outcomes =
        run(&mut target, &rows, &options, |outcome| println!("{}", report::line(outcome))).unwrap();
    println!("{}", report::summary(url, &outcomes));
    let count = Count::of(&outcomes);
    assert_eq!((count.differs, count.failed), (0, 0), "{url}");
    assert!(count.passed >= passed_min, "{count:?}");
    server.settled();
}

#[test]
fn no_row_of_the_hostile_peers_fails() {
    let server = Server::echo(CONFIG);
    no_row_fails(&format!("ws://{}/echo", server.public), &server, &Trust::Machine, false, 75);
}

#[test]
fn no_row_fails_over_compressed_connections() {
    let server = Server::echo(&format!("{CONFIG}{COMPRESSION}"));
    no_row_fails(&format!("ws://{}/echo", server.public), &server, &Trust::Machine, true, 85);
}

#[test]
fn no_row_fails_over_tls() {
    let authority = Authority::new();
    let server = authority.serve(CONFIG);
    let url = format!("wss://localhost:{}/echo", server.public.port());
    no_row_fails(&url, &server, &Trust::Authority(authority.roots()), false, 80);
}

#[test]
fn no_row_fails_over_compressed_connections_and_tls() {
    let authority = Authority::new();
    let server = authority.serve(&format!("{CONFIG}{TAKEOVER}"));
    let url = format!("wss://localhost:{}/echo", server.public.port());
    no_row_fails(&url, &server, &Trust::Authority(authority.roots()), true, 90);
}
