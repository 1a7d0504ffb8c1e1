//! What a bug of ours costs: fail points stand for the bugs.

use super::*;
use crate::channels::Policy;
use crate::failpoint::{FailPoints, Point};
use crate::hub::Place;
use crate::publication::Publication;
use crate::shard::call::{Call, CallId, Failure, Outcome, Publish};
use crate::shard::mail::{Bulletin, Mail, Query, Reply, RequestId};
use crate::shard::slicing::Portions;
use crate::store::{Fate, Ticket};
use std::sync::Arc;
use std::time::Duration;

const BOOM: &str = r#"{"id":9,"rpc":{"method":"boom","data":{}}}"#;
const LOST: &str = "close 1011 internal error";

fn bench(point: Point, subject: &str, every: u32) -> Bench {
    Bench::new(|options| options.fail = FailPoints::default().with(point, subject, every))
}

fn subscribed(bench: &mut Bench, channel: &str) -> ConnId {
    let id = bench.client();
    bench.say(id, &format!(r#"{{"id":2,"subscribe":{{"channel":"{channel}"}}}}"#));
    assert_eq!(bench.texts(id), [r#"{"id":2,"subscribe":{}}"#]);
    id
}

fn publish(bench: &mut Bench, by: ConnId, channel: &str, data: u32) {
    bench.say(by, &format!(r#"{{"id":5,"publish":{{"channel":"{channel}","data":{data}}}}}"#));
}

/// Every push of a publication that `id` has got, as far as its data is a number.
fn heard(bench: &mut Bench, id: ConnId) -> Vec<String> {
    let texts = bench.texts(id).into_iter();
    texts
        .filter(|text| text.contains(r#""pub":"#))
        .map(|text| text.replace(char::is_whitespace, ""))
        .collect()
}

/// The others are served as if nothing had happened, and what the lost one had is gone.
#[track_caller]
fn goes_on(bench: &mut Bench, lost: &[ConnId], left: &[ConnId], channel: &str) {
    let [first, ..] = left else { panic!("nobody is left") };
    bench.say(*first, &format!(r#"{{"id":7,"presence_stats":{{"channel":"{channel}"}}}}"#));
    let answer = bench.texts(*first).pop().unwrap();
    assert!(answer.contains(&format!(r#""num_clients":{}"#, left.len())), "{answer}");
    publish(bench, *first, channel, 77);
    for &id in left {
        assert_eq!(heard(bench, id).len(), 1, "{id:?} hears what is published");
    }
    bench.pass(limits::CLOSE_MS_MAX + 1_000);
    for id in lost {
        assert!(bench.over.contains(id), "{id:?} is closed");
    }
    let count = left.len() as u64;
    let stats = bench.shard.stats();
    assert_eq!((stats.connections, stats.subscriptions, stats.sessions), (count, count, count));
    assert_eq!(stats.panics_in.iter().sum::<u64>(), stats.panics);
    assert!(stats.panics > 0, "the fail point was passed");
}

#[test]
fn a_panic_in_a_command_costs_the_connection_that_sent_it() {
    let mut bench = bench(Point::Command, "boom", 1);
    let (one, two, three) =
        (subscribed(&mut bench, "c"), subscribed(&mut bench, "c"), subscribed(&mut bench, "c"));
    bench.say(two, BOOM);
    assert_eq!(bench.texts(two), [LOST]);
    goes_on(&mut bench, &[two], &[one, three], "c");
}

#[test]
fn a_panic_in_a_drop_costs_the_connection_alone() {
    let mut bench = bench(Point::Drop, "boom", 1);
    let (one, two) = (subscribed(&mut bench, "c"), subscribed(&mut bench, "c"));
    bench.say(one, BOOM);
    assert_eq!(bench.texts(one), [LOST]);
    goes_on(&mut bench, &[one], &[two], "c");
}

#[test]
fn a_panic_half_way_through_a_fan_out_tells_every_subscriber_that_it_has_missed_something() {
    let mut bench = bench(Point::FanOut, "c", 3);
    let ids: Vec<ConnId> = (0..4).map(|_| subscribed(&mut bench, "c")).collect();
    let apart = subscribed(&mut bench, "other");
    let publisher = bench.client();
    publish(&mut bench, publisher, "c", 1);
    assert_eq!(bench.texts(publisher), [LOST], "it does not know whether it was published");
    for &id in &ids {
        let texts = bench.texts(id);
        let last = texts.last().unwrap();
        assert!(last.contains(r#""unsubscribe":{"code":2500"#), "{texts:?}");
    }
    assert!(bench.texts(apart).is_empty());
    for &id in &ids[..1] {
        bench.say(id, r#"{"id":3,"subscribe":{"channel":"c"}}"#);
        assert_eq!(bench.texts(id), [r#"{"id":3,"subscribe":{}}"#], "it may come back");
    }
}

#[test]
fn a_stream_keeps_a_publication_whose_fan_out_has_failed() {
    let mut bench = Bench::new(|options| {
        options.fail = FailPoints::default().with(Point::FanOut, "c", 1);
        options.settings_mut().set_policy(Policy {
            history_size: 5,
            history_ttl: Duration::from_mins(1),
            history_meta_ttl: Duration::from_mins(10),
            allow_recovery: true,
            allow_positioning: true,
            ..Policy::open()
        });
    });
    let id = bench.client();
    bench.say(id, r#"{"id":2,"subscribe":{"channel":"c","recoverable":true}}"#);
    let reply = bench.texts(id).join("");
    let epoch =
        reply.split(r#""epoch":""#).nth(1).and_then(|rest| rest.split('"').next()).unwrap().to_owned();
    let publisher = bench.client();
    publish(&mut bench, publisher, "c", 1);
    assert!(bench.texts(id).join("").contains(r#""code":2500"#));
    bench.say(
        id,
        &format!(r#"{{"id":3,"subscribe":{{"channel":"c","recover":true,"offset":0,"epoch":"{epoch}"}}}}"#),
    );
    let reply = bench.texts(id).join("");
    assert!(reply.contains(r#""recovered":true"#) && reply.contains(r#""data":1"#), "{reply}");
}

#[test]
fn a_panic_at_a_deadline_costs_the_connection_that_was_due() {
    let mut bench = bench(Point::Deadline, "c", 1);
    let (due, other) = (subscribed(&mut bench, "c"), subscribed(&mut bench, "d"));
    bench.pass(26_000);
    assert_eq!(bench.texts(due), [LOST]);
    assert_eq!(bench.texts(other), ["{}"], "its ping, in the same tick or another");
    bench.say(other, "{}");
    goes_on(&mut bench, &[due], &[other], "d");
}

#[test]
fn a_panic_while_leaving_leaves_no_ghost_behind() {
    let mut bench = bench(Point::Leave, "c", 1);
    let (one, two) = (subscribed(&mut bench, "c"), subscribed(&mut bench, "d"));
    bench.shard.handle(bench.now, Input::Broken { conn: one });
    bench.settle();
    goes_on(&mut bench, &[one], &[two], "d");
    assert_eq!(bench.shard.stats().channels, 1);
}

/// What is put off is served one after another: nobody whom a panic has cost its place hears what the next one says.
#[test]
fn a_close_frame_is_the_last_word_also_for_a_connection_that_a_panic_left_in_a_channel() {
    let mut bench = Bench::new(|options| {
        options.fail = FailPoints::default().with(Point::Leave, "c", 1);
        options.portions = Portions { turn: 1, most: 1, least: 1 };
    });
    let (one, two) = (subscribed(&mut bench, "c"), subscribed(&mut bench, "d"));
    let put_off = |bench: &mut Bench, id: ConnId, text: &str| {
        let mut frames = Vec::new();
        ws::append_masked_frame(&mut frames, Opcode::Ping, b"", [1, 2, 3, 4]);
        ws::append_masked_frame(&mut frames, Opcode::Text, text.as_bytes(), [1, 2, 3, 4]);
        bench.bytes(id, &frames);
    };
    put_off(&mut bench, one, r#"{"id":3,"unsubscribe":{"channel":"c"}}"#);
    put_off(&mut bench, two, r#"{"id":3,"publish":{"channel":"c","data":1}}"#);
    while bench.shard.has_put_off() {
        bench.shard.advance(bench.now);
        bench.settle();
    }
    assert_eq!(bench.texts(one), ["pong []", LOST]);
    goes_on(&mut bench, &[one], &[two], "d");
}

/// A session that has lost a subscription, which the channel still has: before anybody else is served.
#[test]
fn whoever_is_lost_stands_in_no_channel_from_then_on() {
    for join_leave in [false, true] {
        let policy = Policy { join_leave, ..Policy::open() };
        let mut bench = Bench::new(|options| options.settings_mut().set_policy(policy));
        let (one, two) = (subscribed(&mut bench, "c"), subscribed(&mut bench, "c"));
        let channel = bench.shard.hub.find("c").unwrap();
        bench.shard.session_mut(one).unwrap().subscriptions.clear();
        bench.shard.stats.subscriptions -= 1;
        bench.shard.lose(one);
        let members = bench.shard.hub.members(channel).iter().map(|member| member.slot);
        assert!(!members.collect::<Vec<_>>().contains(&one.slot));
        bench.settle();
        // Where it matters who is there, the other has not heard that it left.
        let begins_anew = bench.texts(two).join("").contains(r#""unsubscribe":{"code":2500"#);
        assert_eq!(begins_anew, join_leave);
    }
}

#[test]
fn a_panic_before_a_send_costs_its_connection_and_no_other_send_of_the_turn() {
    let mut bench = bench(Point::Flush, "c", 2);
    let (one, two) = (subscribed(&mut bench, "c"), subscribed(&mut bench, "d"));
    // The first pass was the reply to subscribe.
    bench.say(one, r#"{"id":3,"publish":{"channel":"d","data":1}}"#);
    assert_eq!(heard(&mut bench, two).len(), 1);
    assert_eq!(bench.texts(one), [LOST], "without what may have had a hole");
    goes_on(&mut bench, &[one], &[two], "d");
}

#[test]
fn a_panic_in_a_letter_costs_its_channel_or_its_question() {
    let core = |index| CoreId(index);
    let mut bench = Bench::new(|options| {
        options.core_count = 2;
        options.fail = FailPoints::default().with(Point::Letter, "", 1);
    });
    let name = ["a", "b", "c", "d", "e", "f"].into_iter().find(|name| bench.shard.hub.owns(name));
    let name: Arc<str> = Arc::from(name.expect("one of them is ours"));
    bench.shard.handle(
        bench.now,
        Input::Mail(Mail::Query {
            from: core(1),
            request: RequestId(5),
            channel: Arc::clone(&name),
            query: Query::Publish(Box::default()),
        }),
    );
    bench.shard.handle(
        bench.now,
        Input::Mail(Mail::Link { from: core(1), request: RequestId(6), channel: Arc::clone(&name) }),
    );
    let bulletin =
        Bulletin { publication: Arc::new(Publication::default()), epoch: None, delta: false, exclude: None };
    bench.shard.handle(bench.now, Input::Mail(Mail::Publication { channel: Arc::clone(&name), bulletin }));
    let call = Call::Publish { channel: Arc::clone(&name), publish: Box::<Publish>::default() };
    bench.shard.handle(bench.now, Input::Mail(Mail::Call { call: CallId(8), what: Box::new(call) }));
    let mut posted = Vec::new();
    bench.shard.post(|_, mail| {
        posted.push(mail);
        Ok(())
    });
    bench.settle();
    assert!(matches!(
        &posted[0],
        Mail::Reply { request: RequestId(5), reply: Reply::Failed(Failure::Internal) }
    ));
    assert!(matches!(&posted[1], Mail::Linked { request: RequestId(6), place: None::<Place>, .. }));
    assert!(matches!(&posted[2], Mail::Gap { .. }));
    let memo = bench.memos.pop();
    assert!(matches!(
        memo,
        Some(Memo::Answered { call: CallId(8), outcome: Outcome::Failed(Failure::Internal), .. })
    ));
    assert_eq!(bench.shard.stats().panics, 4);
}

/// The first of two cores, and a channel of the other one.
fn guest(fail: &FailPoints) -> (Bench, Arc<str>) {
    let bench = Bench::new(|options| {
        options.core_count = 2;
        options.fail = fail.clone();
    });
    let name = ["a", "b", "c", "d", "e", "f"].into_iter().find(|name| !bench.shard.hub.owns(name));
    (bench, Arc::from(name.expect("one of them is not ours")))
}

/// Subscribes, and gives the requests for links that this causes.
fn asks(bench: &mut Bench, id: ConnId, name: &str) -> Vec<RequestId> {
    let mut frame = Vec::new();
    let text = format!(r#"{{"id":2,"subscribe":{{"channel":"{name}"}}}}"#);
    ws::append_masked_frame(&mut frame, Opcode::Text, text.as_bytes(), [1, 2, 3, 4]);
    bench.shard.handle(bench.now, Input::Received { conn: id, bytes: &mut frame });
    let mut requests = Vec::new();
    bench.shard.post(|_, mail| {
        if let Mail::Link { request, .. } = mail {
            requests.push(request);
        }
        Ok(())
    });
    bench.settle();
    requests
}

/// The owner's answer. True if the link is given up at once.
fn linked(bench: &mut Bench, request: RequestId, channel: &Arc<str>) -> bool {
    let mail = Mail::Linked { request, channel: Arc::clone(channel), place: None };
    bench.shard.handle(bench.now, Input::Mail(mail));
    let mut unlinks = false;
    bench.shard.post(|_, mail| {
        unlinks |= matches!(mail, Mail::Unlink { .. });
        Ok(())
    });
    bench.settle();
    unlinks
}

#[test]
fn a_panic_before_the_owner_is_asked_leaves_nobody_waiting_for_its_answer() {
    let fail = FailPoints::default().with(Point::Join, "", 1);
    let (mut bench, name) = guest(&fail);
    let (one, two) = (bench.client(), bench.client());
    assert_eq!(asks(&mut bench, one, &name), []);
    assert_eq!(bench.over, [one], "telling it has failed as well");
    fail.calm();
    let requests = asks(&mut bench, two, &name);
    assert_eq!(requests.len(), 1, "the next one asks");
    assert!(!linked(&mut bench, requests[0], &name));
    assert_eq!(bench.texts(two), [r#"{"id":2,"subscribe":{}}"#]);
}

#[test]
fn a_panic_while_one_of_those_who_waited_is_let_in_costs_that_one_alone() {
    // Passes: asking, then for each that waited: linked, among the members, there.
    for every in [2, 3, 4] {
        let fail = FailPoints::default().with(Point::Join, "", every);
        let (mut bench, name) = guest(&fail);
        let ids = [bench.client(), bench.client(), bench.client()];
        let requests = ids.map(|id| asks(&mut bench, id, &name));
        assert_eq!(requests.each_ref().map(Vec::len), [1, 0, 0]);
        let unlinks = linked(&mut bench, requests[0][0], &name);
        let texts = ids.map(|id| bench.texts(id));
        let lost = texts.iter().filter(|texts| **texts == [LOST]).count();
        let joined = texts.iter().filter(|texts| **texts == [r#"{"id":2,"subscribe":{}}"#]).count();
        assert_eq!(lost + joined, 3, "{texts:?}");
        assert_eq!(texts[0], [LOST], "{every}");
        assert_eq!(lost as u64, bench.shard.stats().panics);
        assert_eq!(unlinks, joined == 0, "the owner keeps sending to those who are there alone");
        assert_eq!(bench.shard.stats().subscriptions, joined as u64);
    }
}

/// Whoever waits for the disk is a letter by itself: a core that asked for a link would wait for ever.
#[test]
fn a_panic_over_one_of_those_who_wait_for_the_disk_leaves_the_others_their_answers() {
    let mut bench = Bench::new(|options| {
        options.core_count = 4;
        // The letters themselves are the first three passes.
        options.fail = FailPoints::default().with(Point::Letter, "", 4);
        options.settings_mut().set_policy(Policy {
            history_size: 5,
            history_ttl: Duration::from_mins(1),
            history_meta_ttl: Duration::from_mins(10),
            durable: true,
            ..Policy::open()
        });
    });
    let name = (0..99).map(|number| number.to_string()).find(|name| bench.shard.hub.owns(name));
    let name: Arc<str> = Arc::from(name.expect("one of them is ours"));
    for core in 1..4 {
        let mail =
            Mail::Link { from: CoreId(core), request: RequestId(core.into()), channel: Arc::clone(&name) };
        bench.shard.handle(bench.now, Input::Mail(mail));
    }
    bench.settle();
    let ticket = Ticket { core: CoreId(0), request: 1 };
    bench.shard.handle(bench.now, Input::Mail(Mail::Fate(Fate::Loaded { ticket, state: None })));
    let mut posted = Vec::new();
    bench.shard.post(|to, mail| {
        posted.push((to.0, mail));
        Ok(())
    });
    bench.settle();
    let linked = |to, is_placed| {
        posted.iter().any(|(core, mail)| {
            *core == to && matches!(mail, Mail::Linked { place, .. } if place.is_some() == is_placed)
        })
    };
    assert!(linked(1, false) && linked(2, true) && linked(3, true), "{posted:?}");
    let gaps: Vec<u16> =
        posted.iter().filter(|(_, mail)| matches!(mail, Mail::Gap { .. })).map(|(core, _)| *core).collect();
    assert_eq!(gaps, [1], "whoever is let in there comes again");
    assert_eq!(bench.shard.stats().panics, 1);
}

/// Whatever is broken, at the cost of those whom it concerns.
#[test]
fn what_a_panic_has_left_behind_is_mended() {
    let mut bench = bench(Point::Command, "boom", 1);
    let (one, two) = (subscribed(&mut bench, "c"), subscribed(&mut bench, "d"));
    let bystander = subscribed(&mut bench, "e");
    // A session that has lost a subscription, a gauge that is off, and a hold that nobody has.
    bench.shard.session_mut(one).unwrap().subscriptions.clear();
    bench.shard.stats.subscriptions += 5;
    let held = bench.shard.hub.find("d").unwrap();
    bench.shard.hub.hold(held);
    assert!(bench.shard.examine().len() >= 3);
    bench.say(two, BOOM);
    assert_eq!(bench.shard.examine(), []);
    assert_eq!(bench.texts(two), [LOST]);
    publish(&mut bench, bystander, "e", 1);
    assert_eq!(heard(&mut bench, bystander).len(), 1);
    assert_eq!(bench.shard.stats().channels, 1, "nobody is in the others");
    bench.say(one, r#"{"id":3,"subscribe":{"channel":"c"}}"#);
    assert_eq!(bench.texts(one), [r#"{"id":3,"subscribe":{}}"#]);
}

/// The same bug again while the connection is closed for it.
#[test]
fn a_connection_that_cannot_even_be_closed_is_torn_out() {
    let mut bench = Bench::new(|options| {
        options.fail = FailPoints::default().with(Point::Command, "boom", 1).with(Point::Leave, "c", 1);
    });
    let (one, two) = (subscribed(&mut bench, "c"), subscribed(&mut bench, "d"));
    bench.say(one, BOOM);
    assert_eq!(bench.over, [one], "without a word");
    goes_on(&mut bench, &[one], &[two], "d");
}
