//! The database in its folder: one process, one format, numbered commits.
//!
//! Layout: `lock` (held while open), `format` (one number), `mark` (the watermark), `data/` (the database). Invariant: a
//! commit is whole or not there; after a failed one only `reopen` gets back to writing, and reads stay as they were.
//! Knows nothing of channels.

use super::Commit;
use super::fault::StoreError;
use super::keys::{ERA, NOTE, Table};
use super::mark::{self, Found, Mark, MarkFile};
use super::order::Note;
use super::record;
use crate::limits;
use fjall::{Database, Keyspace, KeyspaceCreateOptions, PersistMode};
use std::collections::BTreeMap;
use std::fs::{self, File, TryLockError};
use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::time::Duration;

/// By key; none: it goes.
pub(super) type Changes = BTreeMap<(Table, Vec<u8>), Option<Vec<u8>>>;

pub(super) const LOCK_FILE: &str = "lock";

pub(super) struct Shelf {
    path: PathBuf,
    commit: Commit,
    notice: fn(&str),
    mark: MarkFile,
    boot: u128,
    /// None after a failed attempt to open it again.
    books: Option<Books>,
    /// Number of the last commit.
    last: u64,
    era: u64,
    /// Acknowledged commits are gone, and the era that says so has not begun.
    is_void: bool,
    /// Last: the folder is let go of when everything in it is closed.
    _lock: File,
}

struct Books {
    database: Database,
    tables: Vec<Keyspace>,
}

impl Shelf {
    pub(super) fn open(path: &Path, commit: Commit, notice: fn(&str)) -> Result<Self, StoreError> {
        let io = |error: io::Error| StoreError::io(path, &error);
        fs::create_dir_all(path).map_err(io)?;
        let lock = lock(path)?;
        check_format(path)?;
        let mark_path = path.join("mark");
        let data = path.join("data");
        if !data.join("version").exists() {
            if fs::metadata(&mark_path).is_ok_and(|mark| mark.len() > 0) {
                return Err(StoreError::Damaged {
                    path: path.to_owned(),
                    what: "the database has gone".to_owned(),
                });
            }
            // A first start that did not get to its end: nothing was ever acknowledged.
            match fs::remove_dir_all(&data) {
                Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(io(error)),
                Ok(()) | Err(_) => {}
            }
        }
        let books = Books::open(path)?;
        let (mark, found) = MarkFile::open(&mark_path).map_err(io)?;
        let mut shelf = Self {
            path: path.to_owned(),
            commit,
            notice,
            mark,
            boot: mark::boot(),
            books: Some(books),
            last: 0,
            era: 0,
            is_void: false,
            _lock: lock,
        };
        shelf.settle_eras(found)?;
        shelf.write_mark(false).and_then(|()| shelf.mark.sync()).map_err(io)?;
        Ok(shelf)
    }

    pub(super) const fn era(&self) -> u64 {
        self.era
    }

    /// Number of the commit that comes next.
    pub(super) const fn next(&self) -> u64 {
        self.last + 1
    }

    pub(super) fn get(&self, table: Table, key: &[u8]) -> Result<Option<fjall::Slice>, StoreError> {
        let books = self.books()?;
        guarded(&self.path, || books.table(table).get(key))
    }

    /// Records from `from` to `to`, both included, in order from either end.
    pub(super) fn scan(
        &self,
        table: Table,
        from: Vec<u8>,
        to: Vec<u8>,
    ) -> Result<impl DoubleEndedIterator<Item = Result<fjall::KvPair, StoreError>> + '_, StoreError> {
        let range = self.books()?.table(table).range(from..=to);
        Ok(range.map(|guard| guarded(&self.path, || guard.into_inner())))
    }

    /// Everything that the node keeps for itself.
    pub(super) fn notes(&self) -> Result<Vec<Note>, StoreError> {
        let to = [NOTE, &[0xff; 64]].concat();
        let mut notes = Vec::new();
        for pair in self.scan(Table::House, NOTE.to_vec(), to)? {
            let (key, sealed) = pair?;
            let name = key.strip_prefix(NOTE).unwrap_or_default().to_vec();
            notes.push(Note { name, value: record::open(&key, &sealed) });
        }
        Ok(notes)
    }

    /// Writes all changes or none. After an error the database takes no more until `reopen`, apart from `Behind`.
    pub(super) fn commit(&mut self, changes: &Changes) -> Result<(), StoreError> {
        let number = self.next();
        let numbers = Table::ALL.map(|table| record::seal(table.commit(), &number));
        let numbers = numbers.into_iter().collect::<Result<Vec<_>, _>>()?;
        let books = self.books()?;
        books.catch_up(&self.path)?;
        let durability = match self.commit {
            Commit::Disk => PersistMode::SyncData,
            Commit::Os => PersistMode::Buffer,
        };
        guarded(&self.path, || {
            let mut batch = books.database.batch().durability(Some(durability));
            for (table, number) in Table::ALL.into_iter().zip(numbers) {
                batch.insert(books.table(table), table.commit(), number);
            }
            for ((table, key), value) in changes {
                match value {
                    Some(value) => batch.insert(books.table(*table), key.as_slice(), value.as_slice()),
                    None => batch.remove(books.table(*table), key.as_slice()),
                }
            }
            batch.commit()
        })?;
        self.last = number;
        if let Err(error) = self.write_mark(false) {
            (self.notice)(&format!("the mark of {} cannot be written: {error}", self.path.display()));
        }
        Ok(())
    }

    /// Begins with the files again after a failed commit. `undo` is what the failed one had changed, as it was before:
    /// it may have reached the disk after all, although it was reported as failed. None: unknown.
    pub(super) fn reopen(&mut self, undo: Option<&Changes>) -> Result<(), StoreError> {
        self.books = None;
        self.books = Some(Books::open(&self.path)?);
        let (found, is_whole) = self.ends()?;
        if found == self.next()
            && is_whole
            && let Some(undo) = undo
        {
            // Under the same number, so that it is found again if this fails as well.
            return self.commit(undo);
        }
        self.is_void |= found != self.last || !is_whole;
        self.last = self.last.max(found);
        if self.is_void { self.begin_era() } else { Ok(()) }
    }

    /// Whether an attempt to write has a chance.
    pub(super) fn has_space(&self) -> bool {
        rustix::fs::statvfs(&self.path)
            .is_ok_and(|disk| disk.f_bavail.saturating_mul(disk.f_frsize) >= limits::STORE_SPACE_BYTES_MIN)
    }

    /// As if the last commit had been reported as failed.
    #[cfg(test)]
    pub(super) const fn doubt(&mut self) {
        self.last -= 1;
    }

    /// Moves everything out of the journal, as the database does when it has much of it.
    #[cfg(test)]
    pub(super) fn write_out(&self) {
        for table in &self.books.as_ref().unwrap().tables {
            table.rotate_memtable_and_wait().unwrap();
        }
    }

    /// Everything on disk, and the folder free.
    pub(super) fn close(self) -> Result<(), StoreError> {
        let books = self.books()?;
        guarded(&self.path, || books.database.persist(PersistMode::SyncAll))?;
        self.write_mark(true)
            .and_then(|()| self.mark.sync())
            .map_err(|error| StoreError::io(&self.path, &error))
    }

    /// Reads where the database stands, and voids all positions if it stands behind what was acknowledged.
    fn settle_eras(&mut self, found: Found) -> Result<(), StoreError> {
        let (commit, is_whole) = self.ends()?;
        let (era, is_era_whole) = self.number(Table::House, ERA)?;
        self.last = commit.max(found.commit());
        self.era = era;
        if is_whole && is_era_whole && !found.is_loss(commit, self.boot) {
            return Ok(());
        }
        (self.notice)(&format!(
            "{} has lost commits that were acknowledged (it ends with {commit}, the last was {}): every channel gets a new epoch",
            self.path.display(),
            found.commit()
        ));
        self.begin_era()
    }

    /// The number of the commit that begins it: larger than that of any era before.
    fn begin_era(&mut self) -> Result<(), StoreError> {
        let era = self.next();
        let change = ((Table::House, ERA.to_vec()), Some(record::seal(ERA, &era)?));
        self.commit(&Changes::from([change]))?;
        (self.era, self.is_void) = (era, false);
        Ok(())
    }

    /// The last commit of the table that has most of them, and whether all have it.
    fn ends(&self) -> Result<(u64, bool), StoreError> {
        let ends = Table::ALL.map(|table| self.number(table, table.commit()));
        let ends = ends.into_iter().collect::<Result<Vec<_>, _>>()?;
        let last = ends.iter().map(|(number, _)| *number).max().unwrap_or(0);
        Ok((last, ends.iter().all(|end| *end == (last, true))))
    }

    /// A number, and whether it is what was written.
    fn number(&self, table: Table, key: &[u8]) -> Result<(u64, bool), StoreError> {
        match self.get(table, key) {
            Ok(None) => Ok((0, true)),
            Ok(Some(sealed)) => {
                Ok(record::open::<u64>(key, &sealed).map_or((0, false), |number| (number, true)))
            }
            Err(StoreError::Damaged { .. }) => Ok((0, false)),
            Err(error) => Err(error),
        }
    }

    fn write_mark(&self, is_closed: bool) -> io::Result<()> {
        let is_loose = self.commit == Commit::Os;
        self.mark.write(Mark { commit: self.last, boot: self.boot, is_closed, is_loose })
    }

    fn books(&self) -> Result<&Books, StoreError> {
        self.books.as_ref().ok_or_else(|| StoreError::Io {
            path: self.path.clone(),
            kind: io::ErrorKind::NotConnected,
            what: "the database could not be opened again yet".to_owned(),
        })
    }
}

impl Books {
    fn open(path: &Path) -> Result<Self, StoreError> {
        guarded(path, || {
            let database = Database::builder(path.join("data"))
                .worker_threads(1)
                .cache_size(limits::STORE_CACHE_BYTES)
                .max_journaling_size(limits::STORE_JOURNAL_BYTES_MAX)
                .open()?;
            let options =
                || KeyspaceCreateOptions::default().max_memtable_size(limits::STORE_TABLE_BYTES_MAX);
            let tables = Table::ALL.iter().map(|table| database.keyspace(table.name(), options));
            let tables = tables.collect::<fjall::Result<_>>()?;
            Ok(Self { database, tables })
        })
    }

    fn table(&self, table: Table) -> &Keyspace {
        &self.tables[table as usize]
    }

    /// Waits until the database has written out most of what it has in memory. Otherwise its own commit would wait, and
    /// for ever if the disk is full: what writes out ends then, and the waiting does not notice.
    fn catch_up(&self, path: &Path) -> Result<(), StoreError> {
        const SEALED_COUNT_MAX: usize = 2;
        const RUN_COUNT_MAX: usize = 18;
        const PAUSE: Duration = Duration::from_millis(5);
        let is_behind = |table: &Keyspace| {
            table.sealed_memtable_count() > SEALED_COUNT_MAX || table.l0_table_count() > RUN_COUNT_MAX
        };
        let mut pauses = limits::STORE_BEHIND_MS_MAX / PAUSE.as_millis() as u64;
        while self.tables.iter().any(is_behind) {
            // Says so if the worker has ended.
            guarded(path, || self.database.persist(PersistMode::Buffer))?;
            if pauses == 0 {
                return Err(StoreError::Behind { path: path.to_owned() });
            }
            pauses -= 1;
            std::thread::park_timeout(PAUSE);
        }
        Ok(())
    }
}

/// A database that stumbles over damaged files may panic; that is damage as well, and no end of the node.
fn guarded<T>(path: &Path, work: impl FnOnce() -> fjall::Result<T>) -> Result<T, StoreError> {
    match catch_unwind(AssertUnwindSafe(work)) {
        Ok(done) => done.map_err(|error| StoreError::database(path, &error)),
        Err(_) => Err(StoreError::Damaged { path: path.to_owned(), what: "the database gave up".to_owned() }),
    }
}

fn lock(path: &Path) -> Result<File, StoreError> {
    let io = |error: io::Error| StoreError::io(path, &error);
    let open = || fs::OpenOptions::new().write(true).create(true).truncate(false).open(path.join(LOCK_FILE));
    let file = open().map_err(io)?;
    file.try_lock().map_err(|error| match error {
        TryLockError::WouldBlock => StoreError::Locked { path: path.to_owned() },
        TryLockError::Error(error) => io(error),
    })?;
    Ok(file)
}

/// Writes the number of this format into a new folder, or compares.
fn check_format(path: &Path) -> Result<(), StoreError> {
    let io = |error: io::Error| StoreError::io(path, &error);
    let (file, fresh) = (path.join("format"), path.join("format.new"));
    match fs::read_to_string(&file) {
        Ok(text) => match text.trim().parse::<u32>() {
            Ok(FORMAT) => Ok(()),
            Ok(found) if found > FORMAT => {
                Err(StoreError::Newer { path: path.to_owned(), found, known: FORMAT })
            }
            Ok(_) | Err(_) => {
                Err(StoreError::Damaged { path: path.to_owned(), what: "`format` has no number".to_owned() })
            }
        },
        Err(error) if error.kind() == io::ErrorKind::NotFound && !path.join("data").exists() => {
            fs::write(&fresh, format!("{FORMAT}\n")).map_err(io)?;
            File::open(&fresh).and_then(|file| file.sync_all()).map_err(io)?;
            fs::rename(&fresh, &file).map_err(io)?;
            File::open(path).and_then(|folder| folder.sync_all()).map_err(io)
        }
        Err(error)
            if error.kind() == io::ErrorKind::NotFound || error.kind() == io::ErrorKind::InvalidData =>
        {
            Err(StoreError::Damaged {
                path: path.to_owned(),
                what: "`format` is missing or illegible".to_owned(),
            })
        }
        Err(error) => Err(io(error)),
    }
}

/// Of the folder and all records in it.
const FORMAT: u32 = 1;
