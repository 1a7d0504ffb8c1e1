//! Memory that runs short because of what peers begin to say and do not finish: who is let in, and who has to go.

use crate::support::client::Client;
use crate::support::frame::{self, BINARY, TEXT, masked};
use crate::support::metrics::resident_bytes;
use crate::support::server::Server;
use crate::support::wait::{pause, wait_until};
use std::time::Duration;

const MIB: u64 = 1 << 20;
const LIMIT_MIB: u64 = 224;

/// A message that does not come whole: all of it but a byte.
fn begin(writer: &mut Client) {
    // Who is cut in the middle of it may refuse the rest.
    let _ = writer.try_send(&[frame::header(BINARY, MIB), vec![7; MIB as usize - 1]].concat());
}

fn short_of_memory() -> Server {
    Server::echo(&format!(
        "[memory]\nlimit_mib = {LIMIT_MIB}\n[websocket]\nmessage_size_limit = 1_048_576\nmessage_timeout = \"5m\"\n\
         close_timeout = \"1s\"\n[client]\nping_interval = \"1h\"\n"
    ))
}

fn stage(server: &Server) -> u64 {
    server.metrics().labelled("memory_stage")
}

/// before anybody has to go, nobody more comes in, and hears when to come again.
#[test]
fn newcomers_get_503_while_memory_is_short_and_are_let_in_when_it_is_back() {
    let server = short_of_memory();
    let mut inside = Client::echo(&server);
    let mut writers = Vec::new();
    while stage(&server) < SHUT {
        assert!(writers.len() < LIMIT_MIB as usize, "all of it is taken, and nobody has noticed");
        let mut writer = Client::echo(&server);
        begin(&mut writer);
        writers.push(writer);
        // Near the mark no step is larger than what has been measured.
        if server.metrics().labelled("memory_used_bytes") > LIMIT_MIB * MIB * 9 / 10 {
            pause(Duration::from_millis(300));
        }
    }
    assert_eq!(stage(&server), SHUT);
    for _ in 0..3 {
        let mut newcomer = Client::connect(server.public);
        newcomer.ask_upgrade("/echo");
        let response = newcomer.refused();
        assert_eq!((response.status, response.field("retry-after")), (503, Some("1")));
    }
    assert_eq!(server.metrics().figure("limited_connections_total"), 3);
    inside.send(&masked(TEXT, b"served"));
    inside.expect(TEXT, b"served");
    server.says("MiB in use: new subscriptions and connections are refused for now");
    assert_eq!(server.metrics().figure("shed_total"), 0);

    writers.truncate(writers.len() / 2);
    wait_until("memory is there again", || stage(&server) == 0);
    let mut newcomer = Client::echo(&server);
    newcomer.send(&masked(TEXT, b"welcome"));
    newcomer.expect(TEXT, b"welcome");
    drop((inside, newcomer, writers));
    server.settled();
}

/// what has begun is memory like what waits; half a gigabyte of it would come from these.
#[test]
fn whoever_holds_much_of_a_message_that_does_not_end_is_cut_when_memory_runs_out() {
    let server = short_of_memory();
    let mut quiet = Client::echo(&server);
    let mut writers: Vec<Client> = (0..LIMIT_MIB * 2).map(|_| Client::echo(&server)).collect();
    let mut most = 0;
    writers.iter_mut().for_each(begin);
    // Half of them at least have to go; what they have sent may still lie in their sockets.
    wait_until("those who hold the most are cut", || {
        most = most.max(resident_bytes(server.pid()));
        server.metrics().figure("shed_total") >= LIMIT_MIB
    });
    assert!(most < (LIMIT_MIB + LIMIT_MIB / 4) * MIB, "{} MiB of {LIMIT_MIB}", most / MIB);
    assert!(server.metrics().closes(3008) >= LIMIT_MIB);
    quiet.send(&masked(TEXT, b"served"));
    quiet.expect(TEXT, b"served");
    drop((quiet, writers));
    server.settled();
}

/// 95 %: no new connections.
const SHUT: u64 = 2;
