//! Two cores that share nothing but letters: connections land on either, channels are owned by either.

use crate::support::client::Client;
use crate::support::server::Server;
use crate::support::session::{OPEN, PATH, Publication, Session};
use crate::support::wait::pause;
use serde_json::{Value, json};
use std::collections::{BTreeSet, HashMap};
use std::thread;
use std::time::Duration;

const CHANNELS: [&str; 5] = ["red", "green", "blue", "black", "white"];
const END: &str = "end";
/// Long after a core that has nothing to do has gone to sleep.
const SILENCE: Duration = Duration::from_millis(150);

#[test]
fn all_subscribers_of_all_cores_see_one_order_without_hole_or_repetition() {
    const SUBSCRIBERS: usize = 60;
    const PUBLISHERS: usize = 6;
    const PUBLICATIONS: usize = 40;
    let server = Server::start_on(Server::core_count(2), OPEN);
    let mut subscribers: Vec<Session> = (0..SUBSCRIBERS).map(|_| Session::start(&server)).collect();
    let chosen = |at: usize| [CHANNELS[at % CHANNELS.len()], CHANNELS[(at / 2 + 1 + at) % CHANNELS.len()]];
    for (at, subscriber) in subscribers.iter_mut().enumerate() {
        for channel in BTreeSet::from(chosen(at)) {
            subscriber.subscribe(channel);
        }
    }
    thread::scope(|scope| {
        for publisher in 0..PUBLISHERS {
            let mut session = Session::start(&server);
            scope.spawn(move || {
                for number in 0..PUBLICATIONS {
                    for channel in CHANNELS {
                        session.publish(channel, &json!([publisher, number]));
                    }
                }
            });
        }
    });
    let mut orders: HashMap<String, Vec<Value>> = HashMap::new();
    for (at, subscriber) in subscribers.iter_mut().enumerate() {
        let channels = BTreeSet::from(chosen(at));
        let count = channels.len() * PUBLISHERS * PUBLICATIONS;
        let heard: Vec<Publication> = (0..count).map(|_| subscriber.publication()).collect();
        for channel in channels {
            let order: Vec<Value> = of(channel, &heard);
            let first = orders.entry(channel.to_owned()).or_insert_with(|| order.clone());
            assert!(*first == order, "subscriber {at} sees another order of {channel}");
        }
    }
    for (channel, order) in &orders {
        for publisher in 0..PUBLISHERS {
            let own = order.iter().filter(|data| data[0] == publisher).map(|data| data[1].clone());
            assert!(own.eq((0..PUBLICATIONS).map(Value::from)), "publisher {publisher} in {channel}");
        }
    }
    drop(subscribers);
    assert_eq!(orders.len(), CHANNELS.len());
    gone(&server);
}

/// The first word after a silence finds both cores in their deepest sleep.
#[test]
fn mail_wakes_a_core_that_sleeps() {
    let server = Server::start_on(Server::core_count(2), OPEN);
    // Channels are owned by either core, and connections land on either.
    let mut sessions: Vec<Session> = (0..8).map(|_| Session::start(&server)).collect();
    for session in &mut sessions {
        for channel in CHANNELS {
            session.subscribe(channel);
        }
    }
    for round in 0..10 {
        pause(SILENCE);
        for (at, channel) in CHANNELS.into_iter().enumerate() {
            sessions[(round + at) % 8].publish(channel, &json!(round));
            for session in &mut sessions {
                assert_eq!(session.publication().data, round);
            }
        }
    }
    drop(sessions);
    gone(&server);
}

#[test]
fn presence_counts_every_core() {
    let server = Server::start_on(Server::core_count(2), OPEN);
    let mut sessions: Vec<(String, Session)> = (0..40)
        .map(|_| Session::over(Client::upgraded(&server, PATH)))
        .map(|mut session| (session.connect(), session))
        .collect();
    let mut expected: HashMap<&str, BTreeSet<String>> = HashMap::new();
    for (at, (id, session)) in sessions.iter_mut().enumerate() {
        for channel in CHANNELS.into_iter().take(at % CHANNELS.len() + 1) {
            session.subscribe(channel);
            expected.entry(channel).or_default().insert(id.clone());
        }
    }
    for change in 0..3 {
        for (_, asking) in &mut sessions {
            for channel in CHANNELS {
                let reply = asking.ask("presence", &json!({ "channel": channel }));
                let present = reply["presence"]["presence"].as_object().unwrap();
                let present: BTreeSet<String> = present.keys().cloned().collect();
                assert_eq!(present, expected[channel], "{channel} after {change} changes");
            }
        }
        // One leaves a channel, another leaves altogether.
        sessions[change].1.unsubscribe(CHANNELS[0]);
        expected.get_mut(CHANNELS[0]).unwrap().remove(&sessions[change].0);
        let (id, session) = sessions.pop().unwrap();
        drop(session);
        for present in expected.values_mut() {
            present.remove(&id);
        }
        server.wait_for("connections", sessions.len() as u64);
    }
    drop(sessions);
    gone(&server);
}

/// Who comes and goes while others publish hears a piece without a hole each time, and nothing before or after.
#[test]
fn storms_of_subscriptions_lose_nothing_and_leave_nothing_behind() {
    const VISITORS: usize = 12;
    const VISITS: usize = 40;
    const PUBLISHERS: usize = 3;
    let server = Server::start_on(Server::core_count(2), OPEN);
    let mut witness = Session::start(&server);
    for channel in CHANNELS {
        witness.subscribe(channel);
    }
    let pieces: Vec<Vec<Publication>> = thread::scope(|scope| {
        let visitors: Vec<_> = (0..VISITORS)
            .map(|visitor| {
                let mut session = Session::start(&server);
                scope.spawn(move || {
                    (0..VISITS).map(|visit| visit_of(&mut session, visitor, visit)).collect::<Vec<_>>()
                })
            })
            .collect();
        for publisher in 0..PUBLISHERS {
            let mut session = Session::start(&server);
            scope.spawn(move || {
                for number in 0..400 {
                    session.publish(CHANNELS[number % CHANNELS.len()], &json!([publisher, number]));
                }
            });
        }
        visitors.into_iter().flat_map(|visitor| visitor.join().unwrap()).collect()
    });
    // Behind everything else, in every channel.
    let mut last = Session::start(&server);
    let mut orders: HashMap<String, Vec<Value>> = HashMap::new();
    for channel in CHANNELS {
        last.publish(channel, &END.into());
    }
    let mut open = CHANNELS.len();
    while open > 0 {
        let Publication { channel, data } = witness.publication();
        open -= usize::from(data == END);
        orders.entry(channel).or_default().push(data);
    }
    let heard: usize = pieces.iter().map(Vec::len).sum();
    assert!(heard > VISITS, "only {heard} publications fell into visits");
    for piece in pieces.iter().filter(|piece| !piece.is_empty()) {
        let channel = &piece[0].channel;
        let piece = of(channel, piece);
        let start =
            orders[channel].iter().position(|data| *data == piece[0]).expect("the witness has heard it too");
        assert_eq!(piece, orders[channel][start..start + piece.len()], "a visit to {channel} has a hole");
    }
    drop((witness, last));
    gone(&server);
}

/// Comes, perhaps stays until it has heard something, and goes.
fn visit_of(session: &mut Session, visitor: usize, visit: usize) -> Vec<Publication> {
    let channel = CHANNELS[(visitor + visit) % CHANNELS.len()];
    assert!(session.take_publications().is_empty(), "a publication outside of a visit");
    session.subscribe(channel);
    for _ in 0..visit % 4 {
        session.ask("presence_stats", &json!({ "channel": channel }));
    }
    session.unsubscribe(channel);
    let piece = session.take_publications();
    assert!(piece.iter().all(|publication| publication.channel == channel), "of another channel");
    piece
}

fn of(channel: &str, publications: &[Publication]) -> Vec<Value> {
    let own = publications.iter().filter(|publication| publication.channel == channel);
    own.map(|publication| publication.data.clone()).collect()
}

/// Everybody has left, and with them what was kept for them.
fn gone(server: &Server) {
    for gauge in ["sessions", "subscriptions", "channels", "mail_depth"] {
        server.wait_for(gauge, 0);
    }
    assert_eq!(server.metrics().figure("mail_full_total"), 0);
    server.settled();
}
