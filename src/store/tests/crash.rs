//! A process that is killed in the middle of appends loses nothing that it was told of.

use super::*;
use std::io::{BufRead, BufReader, Write};
use std::process::{Command, Stdio};

const FOLDER: &str = "RINGWAY_STORE_TEST_FOLDER";
const CHANNELS: u64 = 7;

/// Runs `test` of this binary in a process of its own.
pub(super) fn command(test: &str, folder: &Path) -> Command {
    let mut command = Command::new(std::env::current_exe().unwrap());
    command.args(["--exact", test, "--ignored", "--nocapture", "--test-threads", "1"]).env(FOLDER, folder);
    command
}

/// The folder that the parent process named.
pub(super) fn folder() -> PathBuf {
    PathBuf::from(std::env::var_os(FOLDER).expect("run by the test that owns this process"))
}

#[test]
#[ignore = "the process that gets killed"]
fn child() {
    let owner = {
        let options = quiet(folder());
        let stdout = std::sync::Mutex::new(std::io::stdout());
        let (store, thread) = Store::open(options, move |fate| {
            let Fate::Done { ticket } = fate else { return };
            let mut stdout = stdout.lock().unwrap();
            let _ = writeln!(stdout, "done {} {}.", ticket.request % CHANNELS, ticket.request / CHANNELS + 1);
        })
        .unwrap();
        (store, thread)
    };
    // What was acknowledged before is where this life goes on.
    let first: u64 = std::env::var("RINGWAY_STORE_TEST_FIRST").unwrap().parse().unwrap();
    for request in first * CHANNELS.. {
        let (channel, offset) = (request % CHANNELS, request / CHANNELS + 1);
        let ticket = Ticket { core: CoreId(0), request };
        let keep = Keep { size: 1_000_000, ..KEEP };
        let mut order = append(ticket, &format!("channel-{channel}"), "epoch", offset, keep);
        while let Err(back) = owner.0.order(order) {
            order = back;
            std::thread::yield_now();
        }
        if request % 64 == 0 {
            std::thread::park_timeout(Duration::from_micros(300));
        }
    }
}

#[test]
fn a_killed_process_loses_nothing_acknowledged() {
    let folder = Folder::new();
    let mut tops = [0; CHANNELS as usize];
    for life in 0..6_u64 {
        let mut child = command("store::tests::crash::child", &folder.store())
            .env("RINGWAY_STORE_TEST_FIRST", tops.iter().min().unwrap().to_string())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut acknowledged = 0;
        let wanted = 200 + 300 * life;
        for line in BufReader::new(child.stdout.take().unwrap()).lines() {
            let line = line.unwrap();
            // Torn by the kill, or words of the test harness.
            let Some(words) = line.strip_prefix("done ").and_then(|words| words.strip_suffix('.')) else {
                continue;
            };
            let (channel, offset) = words.split_once(' ').unwrap();
            let top: &mut u64 = &mut tops[channel.parse::<usize>().unwrap()];
            *top = offset.parse::<u64>().unwrap().max(*top);
            acknowledged += 1;
            if acknowledged == wanted {
                child.kill().unwrap();
            }
        }
        assert!(acknowledged >= wanted, "life {life} acknowledged {acknowledged}");
        child.wait().unwrap();
        let mut owner = Owner::open(quiet(folder.store()));
        for (channel, top) in tops.iter_mut().enumerate() {
            let name = format!("channel-{channel}");
            let state = owner.load(&name, u32::MAX).unwrap();
            assert_eq!(&*state.epoch, "epoch");
            assert!(state.top >= *top, "{name}: {top} was acknowledged, {} is there", state.top);
            assert_eq!(state.publications, publications(&name, 1..=state.top));
            *top = state.top;
        }
        let stats = owner.store.stats();
        assert_eq!((stats.cut_records, stats.lost_epochs), (0, 0));
        // All channels level, so that the next life can number on.
        let level = *tops.iter().max().unwrap();
        for (channel, top) in tops.iter_mut().enumerate() {
            for offset in *top + 1..=level {
                owner.append(&format!("channel-{channel}"), "epoch", offset).unwrap();
            }
            *top = level;
        }
        owner.close();
    }
}
