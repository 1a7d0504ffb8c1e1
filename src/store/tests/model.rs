//! The store against a model that keeps everything in plain vectors, with restarts at any point.

use super::*;
use proptest::prelude::*;
use std::collections::BTreeMap;

static NOW_MS: AtomicU64 = AtomicU64::new(0);

#[derive(Clone, Debug)]
enum Act {
    /// In a new epoch, if the number says so; with an offset that does not follow now and then.
    Append {
        channel: u8,
        keep: Keep,
        key_ms: Option<u64>,
        version: Option<u64>,
        is_new: bool,
        skip: bool,
    },
    Remove {
        channel: u8,
    },
    Cursor {
        channel: u8,
        user: u8,
        back: u64,
    },
    Expire {
        channel: u8,
        back: u64,
    },
    Load {
        channel: u8,
        limit: u32,
    },
    Wait {
        ms: u64,
    },
    Reopen,
}

#[derive(Clone, Debug, Default)]
struct Stream {
    state: ChannelState,
    keep: Keep,
    touched_ms: u64,
}

impl Stream {
    /// What time has done to it. False: it has gone.
    fn age(&mut self, now_ms: u64) -> bool {
        let is_past = |ttl_ms: u64| ttl_ms > 0 && self.touched_ms + ttl_ms <= now_ms;
        let is_kept_by_history = self.keep.ttl_ms == 0 && !self.state.publications.is_empty();
        if self.keep.meta_ttl_ms > 0
            && !is_kept_by_history
            && is_past(self.keep.ttl_ms.max(self.keep.meta_ttl_ms))
        {
            return false;
        }
        if is_past(self.keep.ttl_ms) {
            self.state.publications.clear();
        }
        self.state.idempotency.retain(|remembered| remembered.until_ms > now_ms);
        true
    }
}

fn act() -> impl Strategy<Value = Act> {
    let keep = (prop::sample::select(vec![0, 1, 3, 100]), 0..3_u64, 0..3_u64)
        .prop_map(|(size, ttl, meta)| Keep { size, ttl_ms: ttl * 20, meta_ttl_ms: meta * 30 });
    let channel = 0..3_u8;
    prop_oneof![
        12 => (
            channel.clone(),
            keep,
            prop::option::of(1..60_u64),
            prop::option::of(any::<u64>()),
            prop::bool::weighted(0.05),
            prop::bool::weighted(0.05),
        ).prop_map(|(channel, keep, key_ms, version, is_new, skip)| {
            Act::Append { channel, keep, key_ms, version, is_new, skip }
        }),
        1 => channel.clone().prop_map(|channel| Act::Remove { channel }),
        3 => (channel.clone(), 0..4_u8, 0..3_u64)
            .prop_map(|(channel, user, back)| Act::Cursor { channel, user, back }),
        1 => (channel.clone(), 0..4_u64).prop_map(|(channel, back)| Act::Expire { channel, back }),
        4 => (channel, prop::sample::select(vec![0, 1, 2, 1000]))
            .prop_map(|(channel, limit)| Act::Load { channel, limit }),
        2 => (1..15_u64).prop_map(|ms| Act::Wait { ms }),
        1 => Just(Act::Reopen),
    ]
}

struct Player {
    folder: Folder,
    owner: Option<Owner>,
    model: BTreeMap<u8, Stream>,
    epochs: u32,
}

impl Player {
    fn new() -> Self {
        let folder = Folder::new();
        let owner = Some(Owner::open(options(&folder)));
        Self { folder, owner, model: BTreeMap::new(), epochs: 0 }
    }

    fn owner(&mut self) -> &mut Owner {
        self.owner.as_mut().unwrap()
    }

    fn play(&mut self, act: &Act) {
        let now_ms = NOW_MS.load(Ordering::Relaxed);
        self.model.retain(|_, stream| stream.age(now_ms));
        match *act {
            Act::Append { channel, keep, key_ms, version, is_new, skip } => {
                self.append(channel, keep, key_ms.map(|ms| now_ms + ms), version, is_new, skip);
            }
            Act::Remove { channel } => {
                let ticket = self.owner().ticket();
                self.owner().done(Order::Remove { ticket, channel: name(channel) }).unwrap();
                if let Some(stream) = self.model.get_mut(&channel) {
                    stream.state.publications.clear();
                }
            }
            Act::Cursor { channel, user, back } => self.cursor(channel, user, back),
            Act::Expire { channel, back } => {
                let top = self.model.get(&channel).map_or(0, |stream| stream.state.top);
                let up_to_offset = top.saturating_sub(back);
                self.owner().store.order(Order::Expire { channel: name(channel), up_to_offset }).unwrap();
                if let Some(stream) = self.model.get_mut(&channel) {
                    stream.state.publications.retain(|publication| publication.offset > up_to_offset);
                }
            }
            Act::Load { channel, limit } => self.compare(channel, limit),
            Act::Wait { ms } => {
                NOW_MS.fetch_add(ms, Ordering::Relaxed);
                // Long enough for the sweep to come by, now and then.
                std::thread::park_timeout(Duration::from_millis(1));
            }
            Act::Reopen => {
                self.owner.take().unwrap().close();
                self.owner = Some(Owner::open(options(&self.folder)));
            }
        }
    }

    fn append(
        &mut self,
        channel: u8,
        keep: Keep,
        until_ms: Option<u64>,
        version: Option<u64>,
        is_new: bool,
        skip: bool,
    ) {
        let known = self.model.get(&channel).cloned().filter(|_| !is_new);
        let mut stream = known.clone().unwrap_or_else(|| {
            self.epochs += 1;
            let epoch = format!("epoch-{}", self.epochs).into();
            Stream { state: ChannelState { epoch, ..ChannelState::default() }, ..Stream::default() }
        });
        let offset = stream.state.top + 1 + u64::from(skip);
        let state = &mut stream.state;
        let ticket = self.owner().ticket();
        let publication = Arc::new(publication(&name(channel), offset));
        let idempotency =
            until_ms.map(|until_ms| Idempotency { key: format!("key {offset}").into(), until_ms });
        let version = version.map(|version| Version { version, epoch: "v".into() });
        let done = self.owner().done(Order::Append {
            ticket,
            channel: name(channel),
            epoch: Arc::clone(&state.epoch),
            publication: Arc::clone(&publication),
            keep,
            idempotency: idempotency.clone(),
            version: version.clone().map(Box::new),
        });
        if skip && known.is_some() {
            assert_eq!(done, Err(StoreError::OutOfOrder { offset, top: state.top }));
            return;
        }
        done.unwrap();
        state.top = offset;
        state.publications.push(publication);
        let surplus = state.publications.len().saturating_sub(keep.size as usize);
        state.publications.drain(..surplus);
        if let Some(Idempotency { key, until_ms }) = idempotency {
            state.idempotency.push(Remembered { key, offset, until_ms });
        }
        state.version = version.unwrap_or_else(|| state.version.clone());
        (stream.keep, stream.touched_ms) = (keep, NOW_MS.load(Ordering::Relaxed));
        self.model.insert(channel, stream);
    }

    fn cursor(&mut self, channel: u8, user: u8, back: u64) {
        let ticket = self.owner().ticket();
        let user: Box<str> = format!("user {user}").into();
        let top = self.model.get(&channel).map_or(0, |stream| stream.state.top);
        let offset = top.saturating_sub(back);
        let order = Order::Cursor { ticket, channel: name(channel), user: user.clone(), offset };
        let done = self.owner().done(order);
        let Some(stream) = self.model.get_mut(&channel) else {
            assert_eq!(done, Err(StoreError::UnknownChannel));
            return;
        };
        done.unwrap();
        let cursors = &mut stream.state.cursors;
        cursors.retain(|(other, _)| *other != user);
        cursors.push((user, offset));
        cursors.sort();
    }

    fn compare(&mut self, channel: u8, limit: u32) {
        let loaded = self.owner().load(&name(channel), limit);
        let expected = self.model.get(&channel).map(|stream| {
            let mut state = stream.state.clone();
            let surplus = state.publications.len().saturating_sub(limit as usize);
            state.publications.drain(..surplus);
            state
        });
        assert_eq!(loaded, expected);
    }
}

fn options(folder: &Folder) -> StoreOptions {
    StoreOptions { sweep_ms: 1, now_ms: || NOW_MS.load(Ordering::Relaxed), ..quiet(folder.store()) }
}

fn name(channel: u8) -> Arc<str> {
    format!("channel-{channel}").into()
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 48, max_shrink_iters: 300, ..ProptestConfig::default() })]

    #[test]
    fn the_store_is_the_model_whatever_happens_and_whenever_it_restarts(
        acts in prop::collection::vec(act(), 1..80),
    ) {
        let mut player = Player::new();
        for act in &acts {
            player.play(act);
        }
        player.play(&Act::Reopen);
        for channel in 0..3 {
            player.play(&Act::Load { channel, limit: 1000 });
        }
        let stats = player.owner().store.stats();
        prop_assert_eq!((stats.cut_records, stats.lost_epochs, stats.commit_failures), (0, 0, 0));
        player.owner.take().unwrap().close();
    }
}
