//! Orders one by one, and everything that opening can find.

use super::*;

#[test]
fn a_restart_keeps_epoch_offsets_and_everything_that_was_acknowledged() {
    let folder = Folder::new();
    let mut owner = Owner::open(quiet(folder.store()));
    assert_eq!(owner.load("news", 10), None);
    for offset in 1..=5 {
        owner.append("news", "abcd", offset).unwrap();
    }
    let ticket = owner.ticket();
    let order = Order::Append {
        ticket,
        channel: "news".into(),
        epoch: "abcd".into(),
        publication: Arc::new(publication("news", 6)),
        keep: KEEP,
        idempotency: Some(Idempotency { key: "k".into(), until_ms: u64::MAX }),
        version: Some(Box::new(Version { version: 3, epoch: "v".into() })),
    };
    owner.done(order).unwrap();
    let ticket = owner.ticket();
    owner.done(Order::Cursor { ticket, channel: "news".into(), user: "ann".into(), offset: 4 }).unwrap();
    let expected = ChannelState {
        epoch: "abcd".into(),
        top: 6,
        publications: publications("news", 1..=6),
        version: Version { version: 3, epoch: "v".into() },
        cursors: vec![("ann".into(), 4)],
        idempotency: vec![Remembered { key: "k".into(), offset: 6, until_ms: u64::MAX }],
    };
    assert_eq!(owner.load("news", 10).as_ref(), Some(&expected));
    owner.close();
    let mut owner = Owner::open(quiet(folder.store()));
    assert_eq!(owner.load("news", 10), Some(expected));
    assert_eq!(owner.load("news", 2).unwrap().publications, publications("news", 5..=6));
    owner.append("news", "abcd", 7).unwrap();
    assert_eq!(owner.store.stats().lost_epochs, 0);
    owner.close();
}

#[test]
fn an_append_that_does_not_follow_is_refused_and_another_epoch_begins_anew() {
    let folder = Folder::new();
    let mut owner = Owner::open(quiet(folder.store()));
    owner.append("news", "a", 1).unwrap();
    assert_eq!(owner.append("news", "a", 3), Err(StoreError::OutOfOrder { offset: 3, top: 1 }));
    assert_eq!(owner.append("news", "a", 1), Err(StoreError::OutOfOrder { offset: 1, top: 1 }));
    owner.append("news", "b", 7).unwrap();
    let state = owner.load("news", 10).unwrap();
    assert_eq!((&*state.epoch, state.top), ("b", 7));
    assert_eq!(state.publications, publications("news", 7..=7));
    owner.close();
}

#[test]
fn removing_the_history_leaves_the_position() {
    let folder = Folder::new();
    let mut owner = Owner::open(quiet(folder.store()));
    for offset in 1..=100 {
        owner.append("news", "a", offset).unwrap();
    }
    let ticket = owner.ticket();
    owner.done(Order::Remove { ticket, channel: "news".into() }).unwrap();
    owner.append("news", "a", 101).unwrap();
    let state = owner.load("news", 1000).unwrap();
    assert_eq!((&*state.epoch, state.top), ("a", 101));
    assert_eq!(state.publications, publications("news", 101..=101));
    owner.close();
}

#[test]
fn orders_that_wait_share_a_commit_and_are_answered_in_order() {
    let folder = Folder::new();
    let mut owner = Owner::open(quiet(folder.store()));
    let tickets: Vec<Ticket> = (0..500).map(|_| owner.ticket()).collect();
    for (at, ticket) in tickets.iter().enumerate() {
        let order = append(*ticket, "news", "a", at as u64 + 1, KEEP);
        owner.store.order(order).unwrap();
    }
    for ticket in tickets {
        assert!(matches!(owner.fate(), Fate::Done { ticket: done } if done == ticket));
    }
    let stats = owner.store.stats();
    assert_eq!(stats.records, 500);
    assert!(stats.commits < 500, "{stats:?}");
    owner.close();
}

#[test]
fn a_load_sees_the_appends_that_were_ordered_before_it_and_none_behind() {
    let folder = Folder::new();
    let mut owner = Owner::open(quiet(folder.store()));
    for offset in 1..=50 {
        let ticket = owner.ticket();
        owner.store.order(append(ticket, "news", "a", offset, KEEP)).unwrap();
        let ticket = owner.ticket();
        owner.store.order(Order::Load { ticket, channel: "news".into(), limit: 3 }).unwrap();
    }
    for offset in 1..=50 {
        assert!(matches!(owner.fate(), Fate::Done { .. }));
        let Fate::Loaded { state, .. } = owner.fate() else { panic!("loads come behind their append") };
        assert_eq!(state.unwrap().top, offset);
    }
    owner.close();
}

#[test]
fn a_full_queue_gives_orders_back() {
    static GATE: std::sync::Mutex<()> = std::sync::Mutex::new(());
    let folder = Folder::new();
    let gate = GATE.lock().unwrap();
    let options = StoreOptions { queue_count_max: 4, ..quiet(folder.store()) };
    let (deliver, fates) = unbounded();
    let (store, thread) = Store::open(options, move |fate| {
        let _gate = GATE.lock();
        let _ = deliver.send(fate);
    })
    .unwrap();
    let order = |offset| append(Ticket { core: CoreId(0), request: offset }, "news", "a", offset, KEEP);
    let taken = (1..=100).take_while(|&offset| store.order(order(offset)).is_ok()).count();
    assert!((4..100).contains(&taken), "{taken}");
    assert_eq!(store.stats().refused, 1);
    drop(gate);
    for _ in 0..taken {
        assert!(matches!(fates.recv_timeout(Duration::from_secs(30)), Ok(Fate::Done { .. })));
    }
    assert!(thread.close());
    assert!(store.order(order(1)).is_err(), "a closed store takes nothing");
}

#[test]
fn publications_that_wait_have_a_limit_in_bytes() {
    let folder = Folder::new();
    let options = StoreOptions { queue_bytes_max: 1, ..quiet(folder.store()) };
    let mut owner = Owner::open(options);
    owner.append("news", "a", 1).expect("an empty queue takes any publication");
    owner.append("news", "a", 2).unwrap();
    owner.close();
}

#[test]
fn a_folder_belongs_to_one_store_at_a_time() {
    let folder = Folder::new();
    let owner = Owner::open(quiet(folder.store()));
    let error = Owner::try_open(quiet(folder.store())).err().unwrap();
    assert_eq!(error, StoreError::Locked { path: folder.store() });
    assert!(error.fix().contains("fuser --verbose"), "{}", error.fix());
    owner.close();
    Owner::open(quiet(folder.store())).close();
}

#[test]
fn a_newer_format_is_refused_with_both_numbers() {
    let folder = Folder::new();
    Owner::open(quiet(folder.store())).close();
    std::fs::write(folder.store().join("format"), "2\n").unwrap();
    let error = Owner::try_open(quiet(folder.store())).err().unwrap();
    assert_eq!(error, StoreError::Newer { path: folder.store(), found: 2, known: 1 });
    assert!(error.to_string().contains("format 2") && error.to_string().contains("up to 1"), "{error}");
}

#[test]
fn a_database_that_went_back_in_time_costs_every_channel_its_epoch() {
    let folder = Folder::new();
    let mut owner = Owner::open(quiet(folder.store()));
    owner.append("news", "a", 1).unwrap();
    owner.close();
    let earlier = folder.0.join("earlier");
    damage::copy(&folder.store(), &earlier);
    let mut owner = Owner::open(quiet(folder.store()));
    owner.append("news", "a", 2).unwrap();
    owner.close();
    // As if the disk had lost the second append: the mark knows of it.
    std::fs::copy(folder.store().join("mark"), earlier.join("mark")).unwrap();
    let mut owner = Owner::open(quiet(earlier.clone()));
    let state = owner.load("news", 10).unwrap();
    assert_ne!(&*state.epoch, "a");
    assert_eq!((state.top, &state.publications), (1, &publications("news", 1..=1)));
    owner.append("news", &state.epoch, 2).unwrap();
    owner.close();
    let mut owner = Owner::open(quiet(earlier));
    assert_eq!(owner.load("news", 10).unwrap().epoch, state.epoch, "once is enough");
    owner.close();
}

#[test]
fn what_is_too_old_is_taken_away_without_anybody_asking() {
    static NOW_MS: AtomicU64 = AtomicU64::new(1_000_000);
    let folder = Folder::new();
    let options =
        StoreOptions { sweep_ms: 10, now_ms: || NOW_MS.load(Ordering::Relaxed), ..quiet(folder.store()) };
    let mut owner = Owner::open(options);
    let keep = Keep { size: 1000, ttl_ms: 1_000, meta_ttl_ms: 10_000 };
    for offset in 1..=300 {
        let ticket = owner.ticket();
        owner.done(append(ticket, "news", "a", offset, keep)).unwrap();
    }
    let swept = |owner: &Owner, at_least: u64| {
        let begin = clock::now();
        while owner.store.stats().swept < at_least {
            assert!(clock::now().since(begin) < Duration::from_secs(20), "{:?}", owner.store.stats());
            std::thread::park_timeout(Duration::from_millis(5));
        }
    };
    NOW_MS.fetch_add(1_000, Ordering::Relaxed);
    swept(&owner, 300);
    let state = owner.load("news", 1000).unwrap();
    assert_eq!((&*state.epoch, state.top, state.publications.len()), ("a", 300, 0));
    NOW_MS.fetch_add(9_000, Ordering::Relaxed);
    assert_eq!(owner.load("news", 1000), None);
    owner.close();
}
