//! A run: publishers and subscribers at work, faults one after the other, then everybody comes to rest and the books
//! are compared.

use super::book::{Book, Engine, Place, Verdict, hash};
use super::fault::{Fault, GROUP_BYTES};
use super::node::Node;
use super::publisher::publish;
use super::subscriber::Subscriber;
use crate::support::group::Group;
use crate::support::wait::{pause, wait_until};
use ringway::sys::clock;
use serde_json::json;
use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::atomic::{AtomicU8, Ordering};
use std::thread;
use std::time::Duration;
use std::{env, fs};

pub const CHANNELS: [&str; 3] = ["kept:a", "kept:b", "kept:c"];

/// How far a run has come.
#[derive(Debug, Default)]
pub struct Stop(AtomicU8);

impl Stop {
    /// Nothing new is published.
    pub fn is_over(&self) -> bool {
        self.0.load(Ordering::Relaxed) > 0
    }

    /// Everybody may go.
    pub fn is_ended(&self) -> bool {
        self.0.load(Ordering::Relaxed) > 1
    }

    fn advance(&self) {
        self.0.fetch_add(1, Ordering::Relaxed);
    }
}

/// Ends the threads also when a fault has found its match in an assertion.
struct Ended<'s>(&'s Stop);

impl Drop for Ended<'_> {
    fn drop(&mut self) {
        self.0.advance();
        self.0.advance();
    }
}

pub struct Run {
    name: &'static str,
    engine: Engine,
    faults: Vec<Fault>,
}

impl Run {
    pub fn new(name: &'static str, engine: Engine, faults: &[Fault]) -> Self {
        let faults = faults.iter().copied().filter(|fault| fault.is_possible()).collect();
        Self { name, engine, faults }
    }

    /// Runs, reports, and panics if a promise was broken.
    pub fn finish(self) -> Verdict {
        let folder =
            env::var_os(FOLDER).map_or_else(|| PathBuf::from(env!("CARGO_TARGET_TMPDIR")), PathBuf::from);
        let folder = folder.join(format!("ledger-{}-{}", self.name, std::process::id()));
        let starves = self.faults.contains(&Fault::Memory);
        let group = starves.then(|| Group::new(GROUP_BYTES)).flatten();
        let mut node = Node::start(&folder, &self.config(&folder), group);
        let (book, stop) = (Book::default(), Stop::default());
        let subscribers: Vec<Subscriber> =
            (0..SUBSCRIBERS).map(|id| Subscriber::new(id, node.public)).collect();
        let verdict = thread::scope(|scope| {
            let _ended = Ended(&stop);
            for subscriber in &subscribers {
                let (book, stop) = (&book, &stop);
                scope.spawn(move || subscriber.run(book, stop));
            }
            for id in 0..PUBLISHERS {
                let (book, stop, internal) = (&book, &stop, node.internal);
                scope.spawn(move || publish(id, internal, book, stop));
            }
            self.strike(&mut node, &book);
            stop.advance();
            let history = settle(&node, &subscribers, &book);
            let verdict = book.open().judge(self.engine, &history);
            self.report(&book, &verdict);
            verdict
        });
        let pages = book.open();
        let violations = &pages.violations;
        assert!(violations.is_empty(), "{} broken promises:\n{}", violations.len(), violations.join("\n"));
        assert!(verdict.acknowledged > 0 && verdict.seen > 0, "nothing happened: {verdict:?}");
        verdict
    }

    fn config(&self, folder: &std::path::Path) -> String {
        let (store, durable) = match self.engine {
            Engine::Memory => (String::new(), ""),
            Engine::Durable => {
                (format!("[store]\npath = \"{}\"\n", folder.join("store").display()), "durable = true\n")
            }
        };
        let open = "allow_subscribe_for_client = true\nallow_subscribe_for_anonymous = true\n";
        format!(
            "cores = \"{cores}\"\n{store}\
             [client]\nallow_anonymous_connect_without_token = true\nping_interval = \"1s\"\npong_timeout = \"900ms\"\nrecovery_max_publication_limit = 100_000\n\
             [http_api]\ninsecure = true\n\
             [shutdown]\ndrain_window = \"1s\"\n\
             [[channel.namespaces]]\nname = \"kept\"\n{open}{durable}\
             history_size = 1_000_000\nhistory_ttl = \"24h\"\n\
             allow_recovery = true\nallow_positioning = true\n\
             [[channel.namespaces]]\nname = \"fleeting\"\n{open}",
            cores = crate::support::server::Server::core_count(2),
        )
    }

    /// Faults in turn, at intervals that are the same in no two runs.
    fn strike(&self, node: &mut Node, book: &Book) {
        let seconds =
            env::var(SECONDS).ok().and_then(|seconds| seconds.parse().ok()).unwrap_or(SECONDS_DEFAULT);
        let end = clock::now() + Duration::from_secs(seconds);
        wait_until("publications are acknowledged", || book.open().acknowledged_count() > 20);
        let mut seed = clock::now().as_nanos();
        let mut random = move |bound_ms: u64| {
            // SplitMix64.
            seed = seed.wrapping_add(0x9e37_79b9_7f4a_7c15);
            let mixed = (seed ^ (seed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
            Duration::from_millis((mixed >> 33) % bound_ms)
        };
        for turn in 0.. {
            // Each has its turn, however short the run is.
            if clock::now() > end && turn >= self.faults.len() {
                return;
            }
            pause(random(1_000));
            if let Some(fault) = self.faults.get(turn % self.faults.len().max(1)) {
                fault.strike(node, book, random(2_500));
            }
            let before = book.open().acknowledged_count();
            wait_until("publishing goes on", || book.open().acknowledged_count() > before + 5);
        }
    }

    fn report(&self, book: &Book, verdict: &Verdict) {
        let mut pages = book.open();
        pages.recoveries.sort_unstable();
        let recoveries = &pages.recoveries;
        let at = |part: usize| {
            recoveries.get((recoveries.len().saturating_sub(1)) * part / 100).map(Duration::as_millis)
        };
        let mut faults: BTreeMap<&str, u64> = BTreeMap::new();
        pages.faults.iter().for_each(|fault| *faults.entry(fault).or_default() += 1);
        let has = |what: &str| pages.violations.iter().filter(|violation| violation.contains(what)).count();
        let report = json!({
            "run": self.name,
            "acknowledged": verdict.acknowledged,
            "seen": verdict.seen,
            "faults": faults,
            "lost": has("lost"),
            "unsignalled_holes": has("a hole without a signal"),
            "duplicates": has("twice"),
            "violations": pages.violations.len(),
            "signalled_losses": verdict.signalled,
            "refused": verdict.refused,
            "recoveries": recoveries.len(),
            "recovery_ms_p50": at(50).map(|ms| ms as u64),
            "recovery_ms_p99": at(99).map(|ms| ms as u64),
        });
        eprintln!("{report}");
        if let Some(folder) = env::var_os(REPORT) {
            fs::write(PathBuf::from(folder).join(format!("{}.json", self.name)), format!("{report}\n"))
                .unwrap();
        }
    }
}

/// Waits until every subscriber is where the channels are, and gives what they hold.
fn settle(node: &Node, subscribers: &[Subscriber], book: &Book) -> Vec<(Place, u64)> {
    // A publication that was under way is in order by now, or never.
    pause(Duration::from_millis(500));
    let mut caller = node.caller();
    let mut kept = Vec::new();
    for channel in CHANNELS {
        let answer = caller.history(channel, -1).expect("the node answers");
        let epoch = answer["result"]["epoch"].as_str().unwrap_or_default().to_owned();
        let at = |offset| Place { channel, epoch: epoch.clone(), offset };
        let top = at(answer["result"]["offset"].as_u64().unwrap_or_default());
        let publications = answer["result"]["publications"].as_array().cloned().unwrap_or_default();
        for publication in &publications {
            kept.push((at(publication["offset"].as_u64().unwrap()), hash(&publication["data"])));
        }
        for (id, subscriber) in subscribers.iter().enumerate() {
            let end = clock::now() + CATCH_UP_MAX;
            while !subscriber.has_reached(&top) {
                if clock::now() > end {
                    let reached = subscriber.place(channel);
                    book.open().violated(format!("subscriber {id} stays at {reached:?} of {top:?}"));
                    break;
                }
                pause(Duration::from_millis(20));
            }
        }
    }
    kept
}

const SUBSCRIBERS: usize = 4;
const PUBLISHERS: usize = 2;
/// Of each run; `scripts/ledger` says how long it may be.
const SECONDS: &str = "RINGWAY_LEDGER_SECONDS";
const SECONDS_DEFAULT: u64 = 4;
/// Where servers keep their files; a small disk, for those tests that fill it.
const FOLDER: &str = "RINGWAY_LEDGER_FOLDER";
const REPORT: &str = "RINGWAY_LEDGER_REPORT";
/// For a subscriber to come back after the last fault, on a busy machine.
const CATCH_UP_MAX: Duration = Duration::from_secs(30);
