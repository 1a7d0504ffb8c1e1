//! Hooks against real back ends: quick, slow, broken and hostile ones. The test plays the core that asks.

use super::client::{backend, client};
use super::{Node, PATIENCE};
use crate::control::hooks::Hooks;
use crate::control::http::Bounds;
use crate::control::{
    BackendOptions, ControlOptions, Cores, EventOptions, Fallback, HookOptions, HookPlan, Line, LiveSettings,
    Rules, Transform, TransformTo,
};
use crate::ids::{ClientId, CoreId};
use crate::shard::Settings;
use crate::shard::ask::{Answer, Ask, AskId, Connect, Event, Who};
use crate::shard::mail::{Mail, RequestId};
use crate::shard::memo::Memo;
use crate::sys::clock;
use crate::sys::mailbox::{Inbox, mailbox};
use axum::Router;
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use axum::routing::any;
use serde_json::{Value, json};
use std::future::pending;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tokio::sync::{Semaphore, mpsc};

/// A patience that no test outlasts.
const LONG: Duration = Duration::from_secs(20);

fn options(address: SocketAddr) -> BackendOptions {
    BackendOptions {
        endpoint: format!("http://{address}/hook"),
        timeout: LONG,
        headers: vec![Box::from("cookie")],
        static_headers: vec![(String::from("x-key"), String::from("k"))],
        transforms: vec![
            Transform {
                status: 403,
                to: TransformTo::Error { code: 403, message: Box::from("no"), temporary: false },
            },
            Transform {
                status: 401,
                to: TransformTo::Disconnect { code: 4401, reason: Box::from("log in") },
            },
        ],
        include_meta: true,
        is_binary: false,
        fallback: Fallback::Error,
        concurrency: 4,
        queue: 16,
        answer_bytes_max: 1024,
        breaker: Rules { failure_count: 3, pause: LONG, probe_count: 1 },
        probe_timeout: LONG,
        open_timeout: Duration::ZERO,
    }
}

/// The asking core.
struct Asker {
    hooks: mpsc::UnboundedSender<(AskId, Ask)>,
    /// What a reload changes.
    plan: HookPlan,
    core: Inbox<Mail>,
    next: AtomicU64,
}

impl Asker {
    fn new(options: HookOptions) -> Self {
        let (mailbox, core) = mailbox(1024).unwrap();
        let plan = HookPlan::new(options);
        let hooks = Hooks::new(&plan, &client(), Cores::new(vec![mailbox], 0));
        let (sender, asks) = mpsc::unbounded_channel();
        tokio::spawn(async move { hooks.run(asks).await });
        Self { hooks: sender, plan, core, next: AtomicU64::new(1) }
    }

    fn rpc(options: BackendOptions) -> Self {
        Self::new(HookOptions { rpc: Some(options), ..HookOptions::default() })
    }

    fn ask(&self, ask: Ask) -> RequestId {
        let request = RequestId(self.next.fetch_add(1, Ordering::Relaxed));
        self.hooks.send((AskId { core: CoreId(0), request }, ask)).unwrap();
        request
    }

    /// The next answer, and to which question.
    async fn answer(&self) -> (RequestId, Answer) {
        let end = clock::now() + PATIENCE;
        loop {
            match self.core.take() {
                Some(Mail::Answer { request, answer }) => return (request, *answer),
                Some(other) => panic!("{other:?}"),
                None => {}
            }
            assert!(clock::now() < end, "no answer came");
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    }

    async fn answer_to(&self, ask: Ask) -> Answer {
        let asked = self.ask(ask);
        let (request, answer) = self.answer().await;
        assert_eq!(request, asked);
        answer
    }
}

#[expect(clippy::unnecessary_box_returns, reason = "questions carry it so")]
fn who() -> Box<Who> {
    Box::new(Who {
        client: ClientId::from_random([7; 16]),
        transport: "websocket",
        protocol: "json",
        user: Box::from("42"),
        meta: Some(Arc::from(&b"{\"plan\":\"pro\"}"[..])),
        headers: [(Box::from("cookie"), Box::from("a=b")), (Box::from("x-other"), Box::from("c"))].into(),
    })
}

fn rpc(data: &str) -> Ask {
    Ask::Rpc {
        who: who(),
        hook: Box::from("default"),
        method: Box::from("add"),
        data: data.as_bytes().into(),
    }
}

/// A back end that remembers what it was asked, and answers the same each time.
struct Recorder(Arc<Mutex<Vec<(HeaderMap, Value)>>>);

impl Recorder {
    async fn start(status: u16, answer: &'static str) -> (SocketAddr, Self) {
        let seen = Arc::new(Mutex::new(Vec::new()));
        let recorder = Arc::clone(&seen);
        let router = Router::new().route(
            "/hook",
            any(move |headers: HeaderMap, body: String| async move {
                recorder.lock().unwrap().push((headers, serde_json::from_str(&body).unwrap()));
                (StatusCode::from_u16(status).unwrap(), answer)
            }),
        );
        (backend(router).await.0, Self(seen))
    }

    fn last(&self) -> (HeaderMap, Value) {
        self.0.lock().unwrap().last().unwrap().clone()
    }
}

async fn answering(handler: impl Fn() -> Response + Clone + Send + Sync + 'static) -> SocketAddr {
    backend(Router::new().route(
        "/hook",
        any(move || {
            let answer = handler();
            async move { answer }
        }),
    ))
    .await
    .0
}

#[tokio::test]
async fn a_question_says_who_asks_what_and_passes_chosen_headers_on() {
    let (address, seen) = Recorder::start(200, "{\"result\":{\"data\":3}}").await;
    let asker = Asker::rpc(options(address));
    let answer = asker.answer_to(rpc("[1, 2]")).await;
    assert!(matches!(&answer, Answer::Rpc { data } if &**data == b"3"), "{answer:?}");
    let (headers, body) = seen.last();
    assert_eq!((&headers["cookie"], &headers["x-key"]), (&"a=b".parse().unwrap(), &"k".parse().unwrap()));
    assert_eq!(headers["content-type"], "application/json");
    assert!(!headers.contains_key("x-other"));
    let client = ClientId::from_random([7; 16]).to_string();
    assert_eq!(
        body,
        json!({"client": client, "transport": "websocket", "protocol": "json", "encoding": "json", "user": "42",
               "method": "add", "data": [1, 2], "meta": {"plan": "pro"}})
    );
}

#[tokio::test]
async fn data_that_is_no_document_travels_as_base64() {
    let (address, seen) = Recorder::start(200, "{\"result\":{}}").await;
    let asker = Asker::rpc(options(address));
    for data in ["1,\"user\":\"root\"", "\u{1}", "{} {}"] {
        asker.answer_to(rpc(data)).await;
        let (_, body) = seen.last();
        assert_eq!(
            (&body["encoding"], &body["user"], &body["data"]),
            (&json!("binary"), &json!("42"), &Value::Null)
        );
        assert!(body["b64data"].is_string());
    }
    let asker = Asker::rpc(BackendOptions { is_binary: true, include_meta: false, ..options(address) });
    asker.answer_to(rpc("{}")).await;
    let (_, body) = seen.last();
    assert_eq!((&body["b64data"], &body["meta"]), (&json!("e30="), &Value::Null));
}

#[tokio::test]
async fn each_topic_has_its_back_end_and_a_name_chooses_another() {
    let (connect, at_connect) = Recorder::start(200, "{\"result\":{\"user\":\"7\"}}").await;
    let (other, at_other) = Recorder::start(200, "{\"result\":{\"expired\":true}}").await;
    let asker = Asker::new(HookOptions {
        connect: Some(options(connect)),
        named: vec![(Box::from("other"), options(other))],
        ..HookOptions::default()
    });
    let presented = Connect { name: Box::from("js"), channels: vec![Box::from("a")], ..Connect::default() };
    let answer = asker.answer_to(Ask::Connect { who: who(), connect: Box::new(presented) }).await;
    assert!(matches!(&answer, Answer::Connect(credentials) if &*credentials.user == "7"));
    let (_, body) = at_connect.last();
    assert_eq!(
        (&body["name"], &body["channels"], &body["user"]),
        (&json!("js"), &json!(["a"]), &Value::Null)
    );
    let channel: Arc<str> = Arc::from("chat:1");
    let ask = Ask::SubRefresh { who: who(), hook: Box::from("other"), channel: Arc::clone(&channel) };
    assert!(matches!(asker.answer_to(ask).await, Answer::SubRefresh(refreshed) if refreshed.expired));
    assert_eq!(at_other.last().1["channel"], "chat:1");
    let ask = Ask::SubRefresh { who: who(), hook: Box::from("default"), channel };
    assert!(matches!(asker.answer_to(ask).await, Answer::Failed), "nobody is configured for it");
}

#[tokio::test]
async fn a_status_means_what_was_configured_or_nothing() {
    for (status, expected) in [
        (403, "Error { code: 403"),
        (401, "Disconnect { code: 4401"),
        (500, "Failed"),
        (302, "Failed"),
        (204, "Failed"),
    ] {
        let (address, _) = Recorder::start(status, "{\"result\":{}}").await;
        let answer = format!("{:?}", Asker::rpc(options(address)).answer_to(rpc("1")).await);
        assert!(answer.starts_with(expected), "{status}: {answer}");
    }
}

#[tokio::test]
async fn garbage_and_huge_answers_are_no_answers() {
    let huge = format!("{{\"result\":{{\"data\":\"{}\"}}}}", "x".repeat(2000));
    for body in ["<html>".to_owned(), "{}".to_owned(), String::new(), huge] {
        let text = body.clone();
        let address = answering(move || text.clone().into_response()).await;
        let answer = Asker::rpc(options(address)).answer_to(rpc("1")).await;
        assert!(matches!(answer, Answer::Failed), "{body}: {answer:?}");
    }
}

#[tokio::test]
async fn a_fallback_answers_for_a_back_end_that_cannot_be_reached() {
    let nobody: SocketAddr = "127.0.0.1:1".parse().unwrap();
    let expected = [
        (Fallback::Error, "Failed", "Failed"),
        (Fallback::Allow, "Subscribe", "Failed"),
        (Fallback::Deny, "Error { code: 103", "Error { code: 103"),
    ];
    for (fallback, of_subscribe, of_rpc) in expected {
        let options = BackendOptions { fallback, ..options(nobody) };
        let asker = Asker::new(HookOptions {
            subscribe: Some(options.clone()),
            rpc: Some(options),
            ..HookOptions::default()
        });
        let subscribe = Ask::Subscribe {
            who: who(),
            hook: Box::from("default"),
            channel: Arc::from("a"),
            token: Box::from(""),
            data: Box::default(),
        };
        let answer = format!("{:?}", asker.answer_to(subscribe).await);
        assert!(answer.starts_with(of_subscribe), "{fallback:?}: {answer}");
        let answer = format!("{:?}", asker.answer_to(rpc("1")).await);
        assert!(answer.starts_with(of_rpc), "{fallback:?}: {answer}");
    }
}

#[tokio::test]
async fn a_back_end_that_never_answers_costs_its_timeout() {
    let (address, _) = backend(Router::new().route("/hook", any(pending::<()>))).await;
    let asker = Asker::rpc(BackendOptions { timeout: Duration::from_millis(50), ..options(address) });
    assert!(matches!(asker.answer_to(rpc("1")).await, Answer::Failed));
}

#[tokio::test]
async fn failures_open_the_breaker_and_then_nothing_is_sent() {
    let asked = Arc::new(AtomicU32::new(0));
    let count = Arc::clone(&asked);
    let address = answering(move || {
        count.fetch_add(1, Ordering::SeqCst);
        StatusCode::INTERNAL_SERVER_ERROR.into_response()
    })
    .await;
    let asker = Asker::rpc(options(address));
    for _ in 0..10 {
        assert!(matches!(asker.answer_to(rpc("1")).await, Answer::Failed));
    }
    assert_eq!(asked.load(Ordering::SeqCst), 3);
}

#[tokio::test]
async fn a_probe_that_succeeds_closes_the_breaker_and_those_who_waited_are_served() {
    let asked = Arc::new(AtomicU32::new(0));
    let count = Arc::clone(&asked);
    let address = answering(move || {
        if count.fetch_add(1, Ordering::SeqCst) < 3 {
            StatusCode::INTERNAL_SERVER_ERROR.into_response()
        } else {
            "{\"result\":{\"data\":1}}".into_response()
        }
    })
    .await;
    let breaker = Rules { failure_count: 3, pause: Duration::from_millis(20), probe_count: 1 };
    let asker = Asker::rpc(BackendOptions { breaker, open_timeout: LONG, ..options(address) });
    for _ in 0..3 {
        assert!(matches!(asker.answer_to(rpc("1")).await, Answer::Failed));
    }
    for _ in 0..8 {
        asker.ask(rpc("1"));
    }
    for _ in 0..8 {
        assert!(matches!(asker.answer().await.1, Answer::Rpc { .. }));
    }
    assert_eq!(asked.load(Ordering::SeqCst), 11);
}

#[tokio::test]
async fn a_probe_has_its_own_patience() {
    let asked = Arc::new(AtomicU32::new(0));
    let count = Arc::clone(&asked);
    let router = Router::new().route(
        "/hook",
        any(move || {
            let call = count.fetch_add(1, Ordering::SeqCst);
            async move {
                if call >= 3 {
                    pending::<()>().await;
                }
                StatusCode::INTERNAL_SERVER_ERROR
            }
        }),
    );
    let (address, _) = backend(router).await;
    let breaker = Rules { failure_count: 3, pause: Duration::ZERO, probe_count: 1 };
    let probe_timeout = Duration::from_millis(20);
    let asker = Asker::rpc(BackendOptions { breaker, probe_timeout, ..options(address) });
    for _ in 0..4 {
        assert!(matches!(asker.answer_to(rpc("1")).await, Answer::Failed));
    }
    assert_eq!(asked.load(Ordering::SeqCst), 4);
}

#[tokio::test]
async fn requests_under_way_are_bounded_and_beyond_the_queue_the_fallback_answers_at_once() {
    let gate = Arc::new(Semaphore::new(0));
    let (now, most) = (Arc::new(AtomicU32::new(0)), Arc::new(AtomicU32::new(0)));
    let (behind, count, peak) = (Arc::clone(&gate), Arc::clone(&now), Arc::clone(&most));
    let router = Router::new().route(
        "/hook",
        any(move || {
            let (behind, count, peak) = (Arc::clone(&behind), Arc::clone(&count), Arc::clone(&peak));
            async move {
                peak.fetch_max(count.fetch_add(1, Ordering::SeqCst) + 1, Ordering::SeqCst);
                behind.acquire().await.unwrap().forget();
                count.fetch_sub(1, Ordering::SeqCst);
                "{\"result\":{\"data\":1}}"
            }
        }),
    );
    let (address, _) = backend(router).await;
    let asker = Asker::rpc(BackendOptions { concurrency: 2, queue: 3, ..options(address) });
    let asked: Vec<RequestId> = (0..6).map(|_| asker.ask(rpc("1"))).collect();
    let (first, answer) = asker.answer().await;
    assert!(first == asked[5] && matches!(answer, Answer::Failed), "the sixth has no room");
    while now.load(Ordering::SeqCst) < 2 {
        tokio::task::yield_now().await;
    }
    gate.add_permits(5);
    for _ in 0..5 {
        assert!(matches!(asker.answer().await.1, Answer::Rpc { .. }));
    }
    assert_eq!(most.load(Ordering::SeqCst), 2);
    gate.add_permits(1);
    assert!(matches!(asker.answer_to(rpc("1")).await, Answer::Rpc { .. }), "room comes back");
}

#[tokio::test]
async fn a_slow_back_end_does_not_delay_another() {
    let (slow, _) = backend(Router::new().route("/hook", any(pending::<()>))).await;
    let (quick, _) = Recorder::start(200, "{\"result\":{\"user\":\"1\"}}").await;
    let asker = Asker::new(HookOptions {
        rpc: Some(options(slow)),
        connect: Some(options(quick)),
        ..HookOptions::default()
    });
    for _ in 0..100 {
        asker.ask(rpc("1"));
    }
    let connect = asker.ask(Ask::Connect { who: who(), connect: Box::default() });
    loop {
        let (request, answer) = asker.answer().await;
        if request == connect {
            assert!(matches!(answer, Answer::Connect(_)));
            break;
        }
        assert!(matches!(answer, Answer::Failed), "only those without room are answered");
    }
}

/// A back end whose breaker is open, and how often it was asked.
async fn failing() -> (Asker, BackendOptions, Arc<AtomicU32>) {
    let asked = Arc::new(AtomicU32::new(0));
    let count = Arc::clone(&asked);
    let address = answering(move || {
        count.fetch_add(1, Ordering::SeqCst);
        StatusCode::INTERNAL_SERVER_ERROR.into_response()
    })
    .await;
    let options = options(address);
    let asker = Asker::rpc(options.clone());
    for _ in 0..3 {
        assert!(matches!(asker.answer_to(rpc("1")).await, Answer::Failed));
    }
    assert_eq!(asked.load(Ordering::SeqCst), 3);
    (asker, options, asked)
}

#[tokio::test]
async fn a_reload_leaves_the_breaker_of_a_back_end_that_it_does_not_change() {
    let (asker, options, asked) = failing().await;
    let other = BackendOptions { endpoint: String::from("http://127.0.0.1:1"), ..options.clone() };
    let new = HookOptions { rpc: Some(options), connect: Some(other), ..HookOptions::default() };
    asker.plan.change(new);
    assert!(matches!(asker.answer_to(rpc("1")).await, Answer::Failed));
    assert_eq!(asked.load(Ordering::SeqCst), 3, "it is still left alone");
}

#[tokio::test]
async fn a_reload_moves_a_back_end_and_gives_it_a_closed_breaker() {
    let (asker, options, asked) = failing().await;
    let (address, _) = Recorder::start(200, "{\"result\":{\"data\":1}}").await;
    let moved = BackendOptions { endpoint: format!("http://{address}/hook"), ..options };
    asker.plan.change(HookOptions { rpc: Some(moved), ..HookOptions::default() });
    assert!(matches!(asker.answer_to(rpc("1")).await, Answer::Rpc { .. }));
    assert_eq!(asked.load(Ordering::SeqCst), 3);
}

#[tokio::test]
async fn a_back_end_that_a_reload_removed_answers_those_who_have_not_heard_of_it_until_the_next_one() {
    let (address, _) = Recorder::start(200, "{\"result\":{\"data\":1}}").await;
    let asker = Asker::rpc(options(address));
    asker.plan.change(HookOptions::default());
    assert!(matches!(asker.answer_to(rpc("1")).await, Answer::Rpc { .. }));
    let other = HookOptions { connect: Some(options(address)), ..HookOptions::default() };
    asker.plan.change(other);
    assert!(matches!(asker.answer_to(rpc("1")).await, Answer::Failed));
}

fn vacated(channel: usize) -> Event {
    Event::Vacated { channel: Arc::from(channel.to_string()) }
}

fn channels(body: &Value) -> Vec<String> {
    let events = body["events"].as_array().unwrap();
    events.iter().map(|event| event["channel"].as_str().unwrap().to_owned()).collect()
}

fn telling(address: SocketAddr) -> EventOptions {
    EventOptions {
        backend: options(address),
        batch_count_max: 10,
        batch_delay: Duration::from_millis(20),
        queue_count_max: 100,
        retry_count_max: 3,
    }
}

/// Tells these events, and waits until all has been told.
async fn tell(options: EventOptions, events: impl Iterator<Item = Event>) {
    let options = HookOptions { events: Some(options), ..HookOptions::default() };
    let hooks = Hooks::new(&HookPlan::new(options), &client(), Cores::new(Vec::new(), 0));
    let (sender, receiver) = mpsc::unbounded_channel();
    let telling = hooks.tell(receiver);
    events.for_each(|event| sender.send(event).unwrap());
    drop(sender);
    tokio::time::timeout(PATIENCE, telling).await.unwrap().unwrap();
}

#[tokio::test]
async fn events_arrive_in_order_and_in_batches() {
    let (address, seen) = Recorder::start(200, "").await;
    tell(telling(address), (0..25).map(vacated)).await;
    let batches: Vec<Vec<String>> = seen.0.lock().unwrap().iter().map(|(_, body)| channels(body)).collect();
    assert_eq!(batches.iter().map(Vec::len).collect::<Vec<_>>(), [10, 10, 5]);
    assert_eq!(batches.concat(), (0..25).map(|channel| channel.to_string()).collect::<Vec<_>>());
}

#[tokio::test]
async fn a_disconnect_says_who_and_why() {
    let (address, seen) = Recorder::start(200, "").await;
    let event = Event::Disconnected { who: who(), code: 3005, reason: Box::from("gone") };
    tell(telling(address), [event, Event::Occupied { channel: Arc::from("a") }].into_iter()).await;
    let (_, body) = seen.last();
    let event = &body["events"][0];
    assert_eq!(
        (&event["type"], &event["user"], &event["code"]),
        (&json!("disconnect"), &json!("42"), &json!(3005))
    );
    assert_eq!((&event["reason"], &event["meta"]["plan"]), (&json!("gone"), &json!("pro")));
    assert!(event["time_ms"].as_u64().unwrap() > 1_700_000_000_000);
    assert_eq!(
        (&body["events"][1]["type"], &body["events"][1]["channel"]),
        (&json!("occupied"), &json!("a"))
    );
}

#[tokio::test]
async fn a_batch_is_tried_again_and_nothing_overtakes_it() {
    let taken = Arc::new(Mutex::new(Vec::new()));
    let calls = Arc::new(AtomicU32::new(0));
    let (record, count) = (Arc::clone(&taken), Arc::clone(&calls));
    let router = Router::new().route(
        "/hook",
        any(move |body: String| async move {
            if count.fetch_add(1, Ordering::SeqCst) < 2 {
                return StatusCode::SERVICE_UNAVAILABLE;
            }
            record.lock().unwrap().extend(channels(&serde_json::from_str(&body).unwrap()));
            StatusCode::ACCEPTED
        }),
    );
    let (address, _) = backend(router).await;
    tell(telling(address), (0..15).map(vacated)).await;
    assert_eq!(*taken.lock().unwrap(), (0..15).map(|channel| channel.to_string()).collect::<Vec<_>>());
    assert_eq!(calls.load(Ordering::SeqCst), 4);
}

#[tokio::test]
async fn events_that_nobody_takes_are_given_up_after_so_many_attempts() {
    let calls = Arc::new(AtomicU32::new(0));
    let count = Arc::clone(&calls);
    let address = answering(move || {
        count.fetch_add(1, Ordering::SeqCst);
        StatusCode::BAD_GATEWAY.into_response()
    })
    .await;
    let mut options = telling(address);
    options.retry_count_max = 1;
    options.backend.breaker.failure_count = 100;
    tell(options, (0..3).map(vacated)).await;
    assert_eq!(calls.load(Ordering::SeqCst), 2);
}

#[test]
fn the_metrics_page_says_how_questions_ended_and_how_the_breaker_stands() {
    let nobody: SocketAddr = "127.0.0.1:1".parse().unwrap();
    let (mailbox, core) = mailbox(16).unwrap();
    let (memos, inbox) = crate::sys::mailbox::mailbox(16).unwrap();
    let options =
        BackendOptions { breaker: Rules { failure_count: 1, ..options(nobody).breaker }, ..options(nobody) };
    let options = ControlOptions {
        hooks: HookPlan::new(HookOptions { rpc: Some(options), ..HookOptions::default() }),
        ..super::options(PATIENCE)
    };
    let cores = Cores::new(vec![mailbox], 0);
    let live = LiveSettings::new(Arc::new(Settings::open()), Arc::clone(&cores));
    let line = Line {
        cores,
        memos: inbox,
        live,
        reload: None,
        ledger: None,
        succession: crate::control::Succession::default(),
    };
    let node = Node::with(Bounds::PUBLIC, options, line);
    for request in [RequestId(1), RequestId(2)] {
        memos.post(Memo::Ask { id: AskId { core: CoreId(0), request }, ask: rpc("1") }).unwrap();
        let end = clock::now() + PATIENCE;
        while core.depth() == 0 {
            assert!(clock::now() < end, "no answer came");
            std::thread::yield_now();
        }
        assert!(matches!(core.take(), Some(Mail::Answer { request: of, .. }) if of == request));
    }
    node.wait_for_metric("ringway_hooks_total{hook=\"rpc\",result=\"unreachable\"} 1");
    node.wait_for_metric("ringway_hooks_total{hook=\"rpc\",result=\"breaker_open\"} 1");
    node.wait_for_metric("ringway_hook_breaker{hook=\"rpc\"} 2");
    node.wait_for_metric("ringway_hook_seconds_count{hook=\"rpc\"} 1");
}
