//! Appends a second of two embedded databases under the load of durable history: groups of publications over many
//! channels, each group one commit with fsync, the oldest publication of a full channel removed.
//! usage: bench-stores FOLDER [ROUNDS] [SECONDS]
//!
//! Both take turns within each round, because a shared disk drifts: the ratios of the same round hold, the rates do not.

use std::collections::BTreeSet;
use std::error::Error;
use std::path::Path;
use std::time::{Duration, Instant};

const CHANNELS: u64 = 1000;
const KEPT: u64 = 100;
const PUBLICATION_BYTES: usize = 200;
const CARD_BYTES: usize = 80;
const GROUPS: [usize; 4] = [1, 16, 128, 1024];

type Done<T> = Result<T, Box<dyn Error>>;
/// Table, key, and the value; none: removed.
type Change = (usize, Vec<u8>, Option<Vec<u8>>);

trait Database {
    fn name(&self) -> &'static str;
    fn commit(&mut self, changes: Vec<Change>) -> Done<()>;
}

struct Fjall(fjall::Database, Vec<fjall::Keyspace>);

impl Fjall {
    fn open(path: &Path) -> Done<Self> {
        let database = fjall::Database::builder(path).worker_threads(1).cache_size(16 << 20).open()?;
        let tables = ["channels", "publications"].map(|name| database.keyspace(name, Default::default));
        let tables = tables.into_iter().collect::<Result<_, _>>()?;
        Ok(Self(database, tables))
    }
}

impl Database for Fjall {
    fn name(&self) -> &'static str {
        "fjall"
    }

    fn commit(&mut self, changes: Vec<Change>) -> Done<()> {
        let mut batch = self.0.batch().durability(Some(fjall::PersistMode::SyncData));
        for (table, key, value) in changes {
            match value {
                Some(value) => batch.insert(&self.1[table], key, value),
                None => batch.remove(&self.1[table], key),
            }
        }
        Ok(batch.commit()?)
    }
}

struct Redb(redb::Database);

impl Redb {
    const TABLES: [redb::TableDefinition<'static, &'static [u8], &'static [u8]>; 2] =
        [redb::TableDefinition::new("channels"), redb::TableDefinition::new("publications")];

    fn open(path: &Path) -> Done<Self> {
        Ok(Self(redb::Database::builder().set_cache_size(16 << 20).create(path)?))
    }
}

impl Database for Redb {
    fn name(&self) -> &'static str {
        "redb"
    }

    fn commit(&mut self, changes: Vec<Change>) -> Done<()> {
        // A commit is durable at once unless it is told otherwise.
        let transaction = self.0.begin_write()?;
        {
            let [channels, publications] = Self::TABLES;
            let mut tables = [transaction.open_table(channels)?, transaction.open_table(publications)?];
            for (table, key, value) in changes {
                match value {
                    Some(value) => drop(tables[table].insert(&*key, &*value)?),
                    None => drop(tables[table].remove(&*key)?),
                }
            }
        }
        Ok(transaction.commit()?)
    }
}

/// The channels as one database has them.
struct Side {
    database: Box<dyn Database>,
    tops: Vec<u64>,
    dice: u64,
    rates: Vec<f64>,
}

impl Side {
    fn new(database: impl Database + 'static) -> Self {
        Self { database: Box::new(database), tops: vec![0; CHANNELS as usize], dice: 1, rates: Vec::new() }
    }

    fn group(&mut self, size: usize) -> Vec<Change> {
        let mut changes = Vec::new();
        let mut touched = BTreeSet::new();
        for _ in 0..size {
            self.dice ^= self.dice << 13;
            self.dice ^= self.dice >> 7;
            self.dice ^= self.dice << 17;
            let channel = self.dice % CHANNELS;
            let top = &mut self.tops[channel as usize];
            *top += 1;
            changes.push((1, key(channel, *top), Some(vec![self.dice as u8; PUBLICATION_BYTES])));
            if *top > KEPT {
                changes.push((1, key(channel, *top - KEPT), None));
            }
            touched.insert(channel);
        }
        let cards = touched.into_iter().map(|channel| {
            (0, format!("channel:{channel}").into_bytes(), Some(vec![channel as u8; CARD_BYTES]))
        });
        changes.extend(cards);
        changes
    }

    fn run(&mut self, size: usize, time: Duration) -> Done<f64> {
        let (begin, mut count) = (Instant::now(), 0);
        while begin.elapsed() < time {
            let changes = self.group(size);
            self.database.commit(changes)?;
            count += size;
        }
        Ok(count as f64 / begin.elapsed().as_secs_f64())
    }
}

/// A stream of its own for each channel, at a random place, as the store has it.
fn key(channel: u64, offset: u64) -> Vec<u8> {
    let stream = (channel + 1).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    [stream.to_be_bytes(), offset.to_be_bytes()].concat()
}

fn median(values: &[f64]) -> f64 {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    sorted[sorted.len() / 2]
}

fn main() -> Done<()> {
    let mut words = std::env::args().skip(1);
    let folder = words.next().ok_or("usage: bench-stores FOLDER [ROUNDS] [SECONDS]")?;
    let rounds: usize = words.next().map_or(Ok(5), |text| text.parse())?;
    let time = Duration::from_secs_f64(words.next().map_or(Ok(1.0), |text| text.parse())?);
    std::fs::create_dir_all(&folder)?;
    let folder = Path::new(&folder);
    let mut sides =
        [Side::new(Fjall::open(&folder.join("fjall"))?), Side::new(Redb::open(&folder.join("redb"))?)];
    for size in GROUPS {
        sides.iter_mut().for_each(|side| side.rates.clear());
        let mut ratios = Vec::new();
        for _ in 0..rounds {
            for side in &mut sides {
                let rate = side.run(size, time)?;
                side.rates.push(rate);
            }
            ratios.push(sides[0].rates[sides[0].rates.len() - 1] / sides[1].rates[sides[1].rates.len() - 1]);
        }
        let rates = sides.iter().map(|side| format!("{} {:.0}/s", side.database.name(), median(&side.rates)));
        println!("groups of {size}: {}, ratio {:.2}", rates.collect::<Vec<_>>().join(", "), median(&ratios));
    }
    Ok(())
}
