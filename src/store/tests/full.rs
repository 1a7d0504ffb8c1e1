//! A disk without space: a real one, a small tmpfs in a mount namespace of its own.

use super::crash::{command, folder};
use super::*;
use std::process::Command;

#[test]
fn a_full_disk_fails_appends_and_nothing_else_until_there_is_space() {
    let home = Folder::new();
    let inner = command("store::tests::full::child", &home.0);
    let mut outer = Command::new("unshare");
    outer.args(["--map-root-user", "--mount", "sh", "-c"]);
    outer.arg("mount -t tmpfs -o size=3m none \"$RINGWAY_STORE_TEST_FOLDER\" && exec \"$0\" \"$@\"");
    outer.arg(inner.get_program()).args(inner.get_args());
    outer.envs(inner.get_envs().filter_map(|(name, value)| Some((name, value?))));
    let out = outer.output().expect("unshare is part of util-linux");
    let text = [out.stdout, out.stderr].map(|bytes| String::from_utf8_lossy(&bytes).into_owned()).concat();
    assert!(
        out.status.success(),
        "(needs user namespaces: `sysctl kernel.unprivileged_userns_clone=1`)\n{text}"
    );
    assert!(text.contains("1 passed"), "{text}");
}

#[test]
#[ignore = "the process in the namespace"]
fn child() {
    let ballast = folder().join("ballast");
    let path = folder().join("history");
    let mut owner = Owner::open(quiet(path.clone()));
    std::fs::write(&ballast, vec![1; 1 << 20]).unwrap();
    let mut acknowledged = 0;
    let mut rounds = 0;
    while rounds < 3 {
        // Several at a time, so that whole groups fail.
        let tickets: Vec<_> = (0..20).map(|_| owner.ticket()).collect();
        for (at, ticket) in tickets.iter().enumerate() {
            owner.store.order(large(*ticket, acknowledged + 1 + at as u64)).unwrap();
        }
        let fates: Vec<Fate> = tickets.iter().map(|_| owner.fate()).collect();
        let done = fates.iter().take_while(|fate| matches!(fate, Fate::Done { .. })).count();
        acknowledged += done as u64;
        if done == fates.len() {
            assert!(acknowledged < 100_000, "the disk never gets full");
            continue;
        }
        for fate in &fates[done..] {
            let Fate::Failed { why, .. } = fate else { panic!("done behind a failure") };
            assert!(matches!(why, StoreError::Full { .. } | StoreError::OutOfOrder { .. }), "{why:?}");
        }
        assert!(matches!(&fates[done], Fate::Failed { why: StoreError::Full { .. }, .. }));
        assert_eq!(owner.store.stats().is_failing, 1);
        compare(&mut owner, acknowledged);

        // Space returns.
        std::fs::remove_file(&ballast).ok();
        let begin = clock::now();
        loop {
            let ticket = owner.ticket();
            match owner.done(large(ticket, acknowledged + 1)) {
                Ok(()) => break,
                Err(why) => assert!(matches!(why, StoreError::Full { .. }), "{why:?}"),
            }
            assert!(clock::now().since(begin) < Duration::from_secs(20), "it never recovers");
            std::thread::park_timeout(Duration::from_millis(20));
        }
        acknowledged += 1;
        compare(&mut owner, acknowledged);
        assert_eq!(owner.store.stats().is_failing, 0);
        rounds += 1;
        // The next round fills what is left.
        let free = rustix::fs::statvfs(&path).map(|disk| disk.f_bavail * disk.f_frsize).unwrap();
        std::fs::write(&ballast, vec![1; (free as usize).saturating_sub(400 << 10)]).unwrap();
        if rounds == 2 {
            owner.close();
            owner = Owner::open(quiet(path.clone()));
            compare(&mut owner, acknowledged);
        }
    }
    let stats = owner.store.stats();
    assert_eq!((stats.cut_records, stats.lost_epochs), (0, 0));
    owner.close();
    let mut owner = Owner::open(quiet(path));
    compare(&mut owner, acknowledged);
    owner.close();
}

/// What a disk that is full again and again may do: the group is reported as failed, and is there after all.
#[test]
fn a_failed_commit_that_reached_the_disk_is_taken_back() {
    let key = || (keys::Table::Cursors, b"12345678ann".to_vec());
    let change = |value: Option<&[u8]>| shelf::Changes::from([(key(), value.map(<[u8]>::to_vec))]);
    for undo in [Some(change(Some(b"before"))), Some(change(None)), None] {
        let folder = Folder::new();
        let mut shelf = Shelf::open(&folder.store(), Commit::Disk, |_| {}).unwrap();
        shelf.commit(&change(Some(b"before"))).unwrap();
        shelf.commit(&change(Some(b"failed"))).unwrap();
        shelf.doubt();
        shelf.reopen(undo.as_ref()).unwrap();
        let value = shelf.get(keys::Table::Cursors, &key().1).unwrap().map(|value| value.to_vec());
        let Some(undo) = undo else {
            assert_ne!(shelf.era(), 0, "what cannot be taken back voids the positions");
            continue;
        };
        assert_eq!(shelf.era(), 0);
        assert_eq!(Some(&value), undo.get(&key()));
        shelf.close().unwrap();
        let shelf = Shelf::open(&folder.store(), Commit::Disk, |_| {}).unwrap();
        assert_eq!(shelf.era(), 0);
        let again = shelf.get(keys::Table::Cursors, &key().1).unwrap().map(|value| value.to_vec());
        assert_eq!(again, value);
    }
}

fn large(ticket: Ticket, offset: u64) -> Order {
    let publication = Arc::new(bulky(offset));
    Order::Append {
        ticket,
        channel: "news".into(),
        epoch: "epoch".into(),
        publication,
        keep: Keep { size: 50, ..KEEP },
        idempotency: None,
        version: None,
    }
}

fn bulky(offset: u64) -> Publication {
    Publication { data: vec![offset as u8; 3000].into(), ..publication("news", offset) }
}

/// What was acknowledged is there, and nothing else is.
fn compare(owner: &mut Owner, acknowledged: u64) {
    let state = owner.load("news", 1000).unwrap();
    assert_eq!((&*state.epoch, state.top), ("epoch", acknowledged));
    let first = acknowledged.saturating_sub(49).max(1);
    let expected: Vec<_> = (first..=acknowledged).map(|offset| Arc::new(bulky(offset))).collect();
    assert_eq!(state.publications, expected);
}
