//! The conversation scripts on real sockets: what holds in the simulated world holds for the binary too. Scripts that
//! need hours to pass are left to the simulator.

#![expect(
    clippy::expect_used,
    clippy::panic,
    clippy::unwrap_used,
    reason = "a test that cannot set itself up has failed"
)]

#[path = "support/mod.rs"]
#[allow(dead_code, reason = "each suite uses its part")]
mod support;

use ringway::sim::link::Incoming;
use ringway::sim::script::{Feature, Script, Stage, play};
use socket2::SockRef;
use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::io::{ErrorKind, Read, Write};
use std::net::{Shutdown, TcpStream};
use std::time::Duration;
use support::server::Server;
use support::wait::PATIENCE;

#[test]
fn scripts_hold_on_one_core() {
    play_all(1);
}

/// Connections land on either core, channels are owned by either: what they say to each other goes by mail.
#[test]
fn scripts_hold_across_cores() {
    let cpus = std::thread::available_parallelism().map_or(1, usize::from);
    for _ in 0..4 {
        play_all(cpus.min(2));
    }
}

fn play_all(cores: usize) {
    let mut by_server: BTreeMap<BTreeSet<Feature>, Vec<(String, Script)>> = BTreeMap::new();
    for entry in fs::read_dir(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/scripts")).unwrap() {
        let path = entry.unwrap().path();
        let script = Script::parse(&fs::read_to_string(&path).unwrap()).unwrap();
        if !script.is_timed() {
            by_server.entry(script.without.clone()).or_default().push((path.display().to_string(), script));
        }
    }
    let mut failures = Vec::new();
    for (without, scripts) in &by_server {
        let server = Server::start_on(cores, &config(without));
        for (path, script) in scripts {
            let played = play(script, &mut Sockets { server: &server, streams: BTreeMap::new() });
            failures.extend(played.err().map(|error| format!("{path}: {error}")));
        }
        server.settled();
    }
    assert!(failures.is_empty(), "{}", failures.join("\n"));
}

/// Everything but what the script can do without.
fn config(without: &BTreeSet<Feature>) -> String {
    let has = |feature| !without.contains(&feature);
    let [anonymous, echo, presence] = [Feature::Anonymous, Feature::Echo, Feature::Presence].map(has);
    let [publish, subscribe] = [Feature::Publish, Feature::Subscribe].map(has);
    format!(
        "[routes]\necho = {echo}\n\
         [client]\nallow_anonymous_connect_without_token = {anonymous}\n\
         [channel.without_namespace]\npresence = {presence}\n\
         allow_presence_for_client = true\nallow_presence_for_anonymous = true\n\
         allow_subscribe_for_client = {subscribe}\nallow_subscribe_for_anonymous = {subscribe}\n\
         allow_publish_for_client = {publish}\nallow_publish_for_anonymous = {publish}\n"
    )
}

struct Sockets<'s> {
    server: &'s Server,
    streams: BTreeMap<String, TcpStream>,
}

impl Stage for Sockets<'_> {
    fn open(&mut self, client: &str) -> Result<(), String> {
        let stream =
            TcpStream::connect_timeout(&self.server.public, PATIENCE).map_err(|error| error.to_string())?;
        stream.set_nodelay(true).unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        stream.set_write_timeout(Some(PATIENCE)).unwrap();
        self.streams.insert(client.to_owned(), stream);
        Ok(())
    }

    fn write(&mut self, client: &str, bytes: &[u8]) {
        // A server that has closed already may refuse what was on its way; what it said before can still be read.
        let _ = (&self.streams[client]).write_all(bytes);
    }

    fn finish(&mut self, client: &str) {
        let _ = self.streams[client].shutdown(Shutdown::Write);
    }

    fn reset(&mut self, client: &str) {
        if let Some(stream) = self.streams.remove(client) {
            SockRef::from(&stream).set_linger(Some(Duration::ZERO)).unwrap();
        }
    }

    fn read(&mut self, client: &str) -> Incoming {
        let Some(mut stream) = self.streams.get(client) else { return Incoming::Reset };
        let mut bytes = vec![0; 64 * 1024];
        match stream.read(&mut bytes) {
            Ok(0) => Incoming::Ended,
            Ok(len) => Incoming::Bytes(bytes[..len].to_vec()),
            Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) => {
                Incoming::Silence
            }
            Err(_) => Incoming::Reset,
        }
    }

    fn pass(&mut self, _limit: Duration) -> Option<Duration> {
        None
    }
}
