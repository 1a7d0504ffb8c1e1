//! Every row of `ringway-hostile` against this server: the tool that others can use judges us first, with nothing tolerated.

use crate::support::server::Server;
use ringway_hostile::report::{self, Count};
use ringway_hostile::row;
use ringway_hostile::run::{Options, run};
use ringway_hostile::target::{Known, Target};
use std::time::Duration;

/// Short enough for a test, long enough for a busy machine.
const HANDSHAKE: Duration = Duration::from_secs(2);
const MESSAGE: Duration = Duration::from_secs(4);
const STALE: Duration = Duration::from_secs(3);

const CONFIG: &str = "[channel.without_namespace]\nallow_subscribe_for_client = true\n\
    allow_subscribe_for_anonymous = true\nallow_publish_for_client = true\nallow_publish_for_anonymous = true\n\
    [client]\nallow_anonymous_connect_without_token = true\nstale_close_delay = \"3s\"\n\
    [websocket]\nhandshake_timeout = \"2s\"\nmessage_timeout = \"4s\"\nclose_timeout = \"300ms\"\n";

/// The addresses that a server is tried on.
fn targets(server: &Server) -> Vec<String> {
    vec![format!("ws://{}/echo", server.public)]
}

#[test]
fn no_row_of_the_hostile_peers_fails() {
    let server = Server::echo(CONFIG);
    for url in targets(&server) {
        let known = Known {
            message_bytes: Some(65_536),
            handshake: Some(HANDSHAKE),
            message: Some(MESSAGE),
            stale: Some(STALE),
            client_path: Some("/connection/websocket".into()),
        };
        let mut target = Target::new(&url, true, known).unwrap();
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
        println!("{}", report::summary(&url, &outcomes));
        let count = Count::of(&outcomes);
        assert_eq!((count.differs, count.failed), (0, 0), "{url}");
        assert!(count.passed >= 75, "{count:?}");
    }
    server.settled();
}
