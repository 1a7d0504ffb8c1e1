//! Sends that the kernel takes in pieces.

use crate::support::client::Client;
use crate::support::frame::{BINARY, masked};
use crate::support::server::Server;
use crate::support::session::{OPEN, PATH, Session};
use serde_json::json;

/// readers with a window of 4 KiB, which do not read at all while they are told more than the kernel keeps for a
/// socket. Replies to their own commands come between the publications, never into one.
#[test]
fn short_sends_go_on_at_the_right_byte_and_frames_never_interleave() {
    const READERS: usize = 10;
    const PUBLICATIONS: usize = 100;
    const COMMANDS: usize = 5;
    let server = Server::start(&format!("{OPEN}queue_max_size = 16_777_216\n"));
    let mut publisher = Session::start(&server);
    let mut readers: Vec<Session> = (0..READERS)
        .map(|_| {
            let mut reader = Session::over(Client::connect_narrow(server.public).upgrade(PATH));
            reader.connect();
            reader.subscribe("broadcast");
            reader
        })
        .collect();
    let data = |number: usize| json!(format!("{number:03}").repeat(15_000 + number * 50));
    let mut commands = Vec::new();
    for number in 0..PUBLICATIONS {
        publisher.publish("broadcast", &data(number));
        if number % (PUBLICATIONS / COMMANDS) == 0 {
            commands.push(
                readers
                    .iter_mut()
                    .map(|reader| reader.send("presence_stats", &json!({ "channel": "broadcast" })))
                    .collect::<Vec<u64>>(),
            );
        }
    }
    for (at, reader) in readers.iter_mut().enumerate() {
        for number in 0..PUBLICATIONS {
            assert!(reader.publication().data == data(number), "publication {number} differs");
        }
        for round in &commands {
            assert_eq!(reader.reply(round[at])["presence_stats"]["num_clients"], READERS);
        }
    }
    drop((publisher, readers));
    server.settled();
}

/// the same for large answers to one peer, which reads a little and rests in between.
#[test]
fn a_reader_that_pauses_and_resumes_gets_every_byte() {
    let server = Server::start(&format!("{OPEN}queue_max_size = 16_777_216\n"));
    let mut client = Client::connect_narrow(server.public).upgrade("/echo");
    let message = |number: usize| -> Vec<u8> { (0..60_000).map(|at| (at * number / 251) as u8).collect() };
    for round in 0..2 {
        // More than the kernel keeps for a socket, less than our queue.
        let numbers = round * 100..(round + 1) * 100;
        numbers.clone().for_each(|number| client.send(&masked(BINARY, &message(number))));
        numbers.for_each(|number| client.expect(BINARY, &message(number)));
    }
    drop(client);
    server.settled();
}
