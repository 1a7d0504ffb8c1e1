//! How many appends a second the whole store acknowledges: `scripts/bench-stores`.

use super::*;
use std::collections::VecDeque;

#[test]
#[ignore = "a measurement, run by scripts/bench-stores in release"]
fn appends_a_second() {
    const CHANNELS: u64 = 1000;
    const WINDOWS: [usize; 4] = [1, 16, 128, 1024];
    let base = std::env::var_os("RINGWAY_STORE_BENCH_FOLDER").map_or_else(std::env::temp_dir, PathBuf::from);
    let path = base.join(format!("ringway-store-bench-{}", std::process::id()));
    for window in WINDOWS {
        let _ = std::fs::remove_dir_all(&path);
        let mut owner = Owner::open(quiet(path.clone()));
        let keep = Keep { size: 100, ttl_ms: 300_000, meta_ttl_ms: 3_600_000 };
        let mut sent = VecDeque::new();
        let (begin, mut count) = (clock::now(), 0_u64);
        while clock::now().since(begin) < Duration::from_secs(3) {
            while sent.len() < window {
                let (channel, offset) = (count % CHANNELS, count / CHANNELS + 1);
                let ticket = owner.ticket();
                let body = Publication { data: vec![7; 200].into(), ..publication("", offset) };
                let order = Order::Append {
                    ticket,
                    channel: format!("channel:{channel}").into(),
                    epoch: "epoch".into(),
                    publication: Arc::new(body),
                    keep,
                    idempotency: None,
                    version: None,
                };
                owner.store.order(order).unwrap();
                sent.push_back(ticket);
                count += 1;
            }
            let ticket = sent.pop_front().unwrap();
            assert!(matches!(owner.fate(), Fate::Done { ticket: done } if done == ticket));
        }
        let rate = (count - sent.len() as u64) as f64 / clock::now().since(begin).as_secs_f64();
        let stats = owner.store.stats();
        let group = stats.records as f64 / stats.commits as f64;
        println!("store, {window} in flight: {rate:.0} appends/s, {group:.1} a commit");
        owner.close();
    }
    let _ = std::fs::remove_dir_all(&path);
}
