//! A store as its clients see it: orders in, fates out.

mod crash;
mod damage;
mod full;
mod model;
mod opening;
mod throughput;

use super::*;
use crate::ids::{ClientId, CoreId};
use crate::publication::{Person, Publication};
use crossbeam_channel::{Receiver, unbounded};
use std::path::Path;
use std::sync::atomic::AtomicU32;
use std::time::Duration;

/// A folder that goes with its owner, in memory where the machine allows it: these tests wait for no disk.
struct Folder(PathBuf);

impl Folder {
    fn new() -> Self {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let memory = Path::new("/dev/shm");
        let base = if memory.is_dir() { memory.to_owned() } else { std::env::temp_dir() };
        let count = COUNT.fetch_add(1, Ordering::Relaxed);
        let path = base.join(format!("ringway-store-{}-{count}", std::process::id()));
        std::fs::create_dir_all(&path).unwrap();
        Self(path)
    }

    /// Where the store goes.
    fn store(&self) -> PathBuf {
        self.0.join("history")
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

/// One core that waits for each of its orders.
struct Owner {
    store: Store,
    thread: StoreThread,
    fates: Receiver<Fate>,
    request: u64,
}

impl Owner {
    fn open(options: StoreOptions) -> Self {
        Self::try_open(options).unwrap()
    }

    fn try_open(options: StoreOptions) -> Result<Self, StoreError> {
        let (deliver, fates) = unbounded();
        let (store, thread) = Store::open(options, move |fate| drop(deliver.send(fate)))?;
        Ok(Self { store, thread, fates, request: 0 })
    }

    fn ticket(&mut self) -> Ticket {
        self.request += 1;
        Ticket { core: CoreId(1), request: self.request }
    }

    fn fate(&self) -> Fate {
        self.fates.recv_timeout(Duration::from_secs(30)).expect("every order is answered")
    }

    fn done(&mut self, order: Order) -> Result<(), StoreError> {
        let ticket = order.ticket().unwrap();
        self.store.order(order).expect("the queue has room");
        match self.fate() {
            Fate::Done { ticket: answered } => {
                assert_eq!(answered, ticket);
                Ok(())
            }
            Fate::Failed { ticket: answered, why } => {
                assert_eq!(answered, ticket);
                Err(why)
            }
            Fate::Loaded { .. } => panic!("nothing was loaded"),
        }
    }

    fn append(&mut self, channel: &str, epoch: &str, offset: u64) -> Result<(), StoreError> {
        let ticket = self.ticket();
        self.done(append(ticket, channel, epoch, offset, KEEP))
    }

    fn load(&mut self, channel: &str, limit: u32) -> Option<ChannelState> {
        self.try_load(channel, limit).unwrap()
    }

    fn try_load(&mut self, channel: &str, limit: u32) -> Result<Option<ChannelState>, StoreError> {
        let ticket = self.ticket();
        self.store.order(Order::Load { ticket, channel: channel.into(), limit }).unwrap();
        match self.fate() {
            Fate::Loaded { ticket: answered, state } => {
                assert_eq!(answered, ticket);
                Ok(state.map(|state| *state))
            }
            Fate::Failed { why, .. } => Err(why),
            Fate::Done { .. } => panic!("a load is answered with a state"),
        }
    }

    fn close(self) {
        drop(self.store);
        assert!(self.thread.close());
    }
}

const KEEP: Keep = Keep { size: 1000, ttl_ms: 0, meta_ttl_ms: 0 };

fn quiet(path: PathBuf) -> StoreOptions {
    StoreOptions { notice: |_| {}, ..StoreOptions::new(path) }
}

fn append(ticket: Ticket, channel: &str, epoch: &str, offset: u64, keep: Keep) -> Order {
    Order::Append {
        ticket,
        channel: channel.into(),
        epoch: epoch.into(),
        publication: Arc::new(publication(channel, offset)),
        keep,
        idempotency: None,
        version: None,
    }
}

/// The one publication that this place of this channel can have.
fn publication(channel: &str, offset: u64) -> Publication {
    let has_person = offset.is_multiple_of(2);
    Publication {
        offset,
        data: format!("{{\"channel\":\"{channel}\",\"offset\":{offset}}}").into_bytes().into(),
        is_json: !offset.is_multiple_of(3),
        info: has_person.then(|| {
            Box::new(Person {
                client: ClientId([offset as u8; 16]),
                user: format!("user {offset}").into(),
                conn_info: Some(Arc::from(&b"{}"[..])),
                chan_info: None,
            })
        }),
        tags: Box::new([("offset".into(), offset.to_string().into())]),
        time_ms: 1_700_000_000_000 + offset.cast_signed(),
    }
}

fn publications(channel: &str, offsets: std::ops::RangeInclusive<u64>) -> Vec<Arc<Publication>> {
    offsets.map(|offset| Arc::new(publication(channel, offset))).collect()
}
