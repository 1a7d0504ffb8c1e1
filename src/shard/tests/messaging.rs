//! History, recovery, patches, filters, join and leave: what a subscriber hears.

use super::*;
use crate::channels::Policy;
use crate::shard::call::{Call, CallId, Outcome, Publish, Target};
use crate::shard::mail::Mail;
use std::sync::Arc;
use std::time::Duration;

pub(super) fn kept() -> Policy {
    Policy {
        history_size: 5,
        history_ttl: Duration::from_mins(1),
        history_meta_ttl: Duration::from_mins(10),
        allow_recovery: true,
        allow_positioning: true,
        join_leave: true,
        allow_delta_fossil: true,
        allow_tags_filter: true,
        ..Policy::open()
    }
}

pub(super) fn bench(policy: Policy) -> Bench {
    Bench::new(|options| options.settings_mut().set_policy(policy))
}

impl Bench {
    /// Calls the server API and gives the outcome.
    fn call(&mut self, what: Call) -> Outcome {
        self.memos.clear();
        let mail = Mail::Call { call: CallId(7), what: Box::new(what) };
        self.shard.handle(self.now, Input::Mail(mail));
        self.settle();
        match self.memos.pop() {
            Some(Memo::Answered { call: CallId(7), outcome, .. }) => outcome,
            other => panic!("no outcome but {other:?}"),
        }
    }

    pub(super) fn api_publish(&mut self, channel: &str, data: &str) -> Outcome {
        let publish = Publish { data: data.as_bytes().into(), is_json: true, ..Publish::default() };
        self.call(Call::Publish { channel: channel.into(), publish: Box::new(publish) })
    }

    pub(super) fn epoch(&mut self, channel: &str) -> String {
        self.shard.stream_place(&channel.into()).unwrap().epoch.to_string()
    }

    /// The one message that `id` has got since the last look.
    #[track_caller]
    pub(super) fn text(&mut self, id: ConnId) -> String {
        let texts = self.texts(id);
        assert_eq!(texts.len(), 1, "{texts:?}");
        texts.into_iter().next().unwrap()
    }
}

#[test]
fn a_client_that_comes_back_gets_exactly_what_it_missed() {
    let mut bench = bench(kept());
    let id = bench.client();
    for n in 1..=4 {
        bench.api_publish("a", &n.to_string());
    }
    let epoch = bench.epoch("a");
    bench.say(
        id,
        &format!(
            r#"{{"id":2,"subscribe":{{"channel":"a","recover":true,"offset":2,"epoch":"{epoch}","recoverable":true}}}}"#
        ),
    );
    let publications = r#"[{"data":3,"offset":3},{"data":4,"offset":4}]"#;
    let expected = format!(
        r#"{{"id":2,"subscribe":{{"recoverable":true,"epoch":"{epoch}","publications":{publications},"recovered":true,"offset":2,"positioned":true,"was_recovering":true}}}}"#
    );
    assert_eq!(bench.text(id), expected);
    bench.api_publish("a", "5");
    assert_eq!(bench.text(id), r#"{"push":{"channel":"a","pub":{"data":5,"offset":5}}}"#);
}

#[test]
fn a_position_that_is_lost_is_said_to_be_or_refused_where_the_client_wants_that() {
    let mut bench = bench(kept());
    let id = bench.client();
    for n in 1..=9 {
        bench.api_publish("a", &n.to_string());
    }
    let epoch = bench.epoch("a");
    let subscribe = |command: u32, flag: u32| {
        format!(
            r#"{{"id":{command},"subscribe":{{"channel":"a","recover":true,"offset":1,"epoch":"{epoch}","flag":{flag}}}}}"#
        )
    };
    bench.say(id, &subscribe(2, 2));
    assert_eq!(bench.text(id), r#"{"id":2,"error":{"code":112,"message":"unrecoverable position"}}"#);
    bench.say(id, &subscribe(3, 0));
    let expected = format!(
        r#"{{"id":3,"subscribe":{{"recoverable":true,"epoch":"{epoch}","offset":9,"positioned":true,"was_recovering":true}}}}"#
    );
    assert_eq!(bench.text(id), expected);
}

#[test]
fn the_cache_gives_the_latest_publication() {
    let mut bench = bench(Policy { auto_cache_recover: true, ..kept() });
    let id = bench.client();
    bench.api_publish("a", "1");
    bench.api_publish("a", "2");
    bench.say(id, r#"{"id":2,"subscribe":{"channel":"a"}}"#);
    let text = bench.text(id);
    assert!(
        text.contains(r#""publications":[{"data":2,"offset":2}]"#) && text.contains(r#""offset":2"#),
        "{text}"
    );
}

#[test]
fn history_comes_in_pages_and_only_to_those_who_may_see_it() {
    let mut bench = bench(kept());
    let id = bench.client();
    for n in 1..=3 {
        bench.api_publish("a", &n.to_string());
    }
    let epoch = bench.epoch("a");
    bench.say(id, r#"{"id":2,"history":{"channel":"a"}}"#);
    assert_eq!(
        bench.text(id),
        format!(r#"{{"id":2,"history":{{"publications":[],"epoch":"{epoch}","offset":3}}}}"#)
    );
    bench.say(
        id,
        &format!(
            r#"{{"id":3,"history":{{"channel":"a","limit":1,"since":{{"offset":3,"epoch":"{epoch}"}},"reverse":true}}}}"#
        ),
    );
    let expected = format!(
        r#"{{"id":3,"history":{{"publications":[{{"data":2,"offset":2}}],"epoch":"{epoch}","offset":3}}}}"#
    );
    assert_eq!(bench.text(id), expected);
    bench.say(id, r#"{"id":4,"history":{"channel":"a","limit":1,"since":{"offset":1,"epoch":"other"}}}"#);
    assert_eq!(bench.text(id), r#"{"id":4,"error":{"code":112,"message":"unrecoverable position"}}"#);
    let mut closed = self::bench(Policy { see_history: crate::channels::Permission::default(), ..kept() });
    let id = closed.client();
    closed.say(id, r#"{"id":2,"history":{"channel":"a","limit":1}}"#);
    assert_eq!(closed.text(id), r#"{"id":2,"error":{"code":103,"message":"permission denied"}}"#);
}

#[test]
fn a_subscriber_with_patches_gets_the_first_whole_and_strings_always() {
    let mut bench = bench(Policy { delta_publish: true, ..kept() });
    let id = bench.client();
    bench.say(id, r#"{"id":2,"subscribe":{"channel":"a","delta":"fossil"}}"#);
    assert!(bench.text(id).contains(r#""delta":true"#));
    let long = "Привет, мир! ".repeat(20);
    bench.api_publish("a", &format!(r#"{{"text":"{long}1"}}"#));
    let first = bench.text(id);
    assert!(first.contains(r#""data":"{\"text\":\""#) && !first.contains(r#""delta""#), "{first}");
    bench.api_publish("a", &format!(r#"{{"text":"{long}2"}}"#));
    let second = bench.text(id);
    assert!(second.contains(r#""delta":true"#) && second.len() < first.len() / 3, "{second}");
}

#[test]
fn whoever_joins_and_leaves_is_announced_to_those_who_asked() {
    let mut bench = bench(kept());
    let (one, two) = (bench.client(), bench.client());
    bench.say(one, r#"{"id":2,"subscribe":{"channel":"a","join_leave":true}}"#);
    let own = bench.texts(one);
    assert!(own[0].starts_with(r#"{"id":2,"subscribe":"#) && own[1].contains(r#""join""#), "{own:?}");
    bench.say(two, r#"{"id":2,"subscribe":{"channel":"a"}}"#);
    assert_eq!(bench.texts(two).len(), 1, "who did not ask hears nothing");
    let client = bench.shard.session(two).unwrap().client;
    let info = format!(r#"{{"info":{{"user":"","client":"{client}"}}}}"#);
    assert_eq!(bench.text(one), format!(r#"{{"push":{{"channel":"a","join":{info}}}}}"#));
    bench.shard.handle(bench.now, Input::Broken { conn: two });
    bench.settle();
    assert_eq!(bench.text(one), format!(r#"{{"push":{{"channel":"a","leave":{info}}}}}"#));
}

#[test]
fn channels_have_numbers_for_clients_that_understand_them() {
    let mut bench = bench(kept());
    let id = bench.client();
    bench.say(id, r#"{"id":2,"subscribe":{"channel":"a","flag":1}}"#);
    let reply = bench.text(id);
    assert!(reply.contains(r#""id":1}"#), "{reply}");
    bench.api_publish("a", "1");
    let push = bench.text(id);
    assert!(push.starts_with(r#"{"push":{"id":1,"pub":"#), "{push}");
}

#[test]
fn data_that_is_no_json_ends_a_json_client_with_a_reason() {
    let mut bench = bench(kept());
    let id = bench.client();
    bench.say(id, r#"{"id":2,"subscribe":{"channel":"a"}}"#);
    bench.texts(id);
    let publish = Publish { data: Box::new([0, 255]), ..Publish::default() };
    bench.call(Call::Publish { channel: "a".into(), publish: Box::new(publish) });
    assert_eq!(bench.texts(id), ["close 3506 inappropriate protocol"]);
}

#[test]
fn a_filter_holds_back_what_it_does_not_want_and_one_that_is_not_allowed_is_refused() {
    let mut bench = bench(kept());
    let id = bench.client();
    let filter = r#""tf":{"key":"k","cmp":"eq","val":"v"}"#;
    bench.say(id, &format!(r#"{{"id":2,"subscribe":{{"channel":"a",{filter}}}}}"#));
    bench.text(id);
    for value in ["w", "v"] {
        let tags = Box::new([(Box::from("k"), Box::from(value))]);
        let publish = Publish { data: Box::from(&b"1"[..]), is_json: true, tags, ..Publish::default() };
        bench.call(Call::Publish { channel: "a".into(), publish: Box::new(publish) });
    }
    let push = bench.text(id);
    assert!(push.contains(r#""tags":{"k":"v"}"#), "{push}");
    let mut closed = self::bench(Policy { allow_tags_filter: false, ..kept() });
    let id = closed.client();
    closed.say(id, &format!(r#"{{"id":2,"subscribe":{{"channel":"a",{filter}}}}}"#));
    assert_eq!(closed.text(id), r#"{"id":2,"error":{"code":107,"message":"bad request"}}"#);
}

#[test]
fn a_sender_may_be_left_out() {
    let mut bench = bench(Policy { publish_exclude_sender: true, ..kept() });
    let (one, two) = (bench.client(), bench.client());
    for id in [one, two] {
        bench.say(id, r#"{"id":2,"subscribe":{"channel":"a"}}"#);
        bench.text(id);
    }
    bench.say(one, r#"{"id":3,"publish":{"channel":"a","data":1}}"#);
    assert_eq!(bench.text(one), r#"{"id":3,"publish":{}}"#);
    assert!(bench.text(two).contains(r#""pub""#));
}

#[test]
fn a_key_makes_a_second_publication_the_first() {
    let mut bench = bench(kept());
    let publish = || Publish {
        data: Box::from(&b"1"[..]),
        is_json: true,
        idempotency_key: Some("k".into()),
        ..Publish::default()
    };
    for _ in 0..2 {
        let outcome = bench.call(Call::Publish { channel: "a".into(), publish: Box::new(publish()) });
        assert!(matches!(outcome, Outcome::Published { position: Some(position) } if position.offset == 1));
    }
    bench.pass(5 * 60 * 1000);
    let outcome = bench.call(Call::Publish { channel: "a".into(), publish: Box::new(publish()) });
    assert!(matches!(outcome, Outcome::Published { position: Some(position) } if position.offset == 2));
}

#[test]
fn the_api_subscribes_and_disconnects_whom_it_means_and_nobody_by_accident() {
    let mut bench = bench(kept());
    let id = bench.client();
    let client = bench.shard.session(id).unwrap().client;
    let target = Target { client: Some(client), ..Target::default() };
    let subscribe = Arc::new(crate::shard::call::Subscribe { channel: "a".into(), ..Default::default() });
    bench.call(Call::Subscribe { target: target.clone(), subscribe });
    assert!(bench.texts(id)[0].starts_with(r#"{"push":{"channel":"a","subscribe":{"#));
    let end = |target| Call::Disconnect {
        target,
        spare: Vec::new(),
        code: 3503,
        reason: "force disconnect".into(),
    };
    assert!(matches!(bench.call(end(Target::default())), Outcome::Done { touched: 0 }));
    assert!(matches!(bench.call(end(target)), Outcome::Done { touched: 1 }));
    assert_eq!(bench.texts(id).last().unwrap(), "close 3503 force disconnect");
}

#[test]
fn history_that_nobody_uses_goes_in_the_end() {
    let mut bench = bench(kept());
    bench.api_publish("a", "1");
    let epoch = bench.epoch("a");
    bench.pass(500_000);
    assert_eq!(bench.epoch("a"), epoch, "the position outlives the publications");
    bench.pass(700_000);
    assert_eq!(bench.shard.stats().channels, 0);
    assert_ne!(bench.epoch("a"), epoch);
}
