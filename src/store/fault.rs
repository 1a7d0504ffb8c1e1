//! What can go wrong with a store, by what mends it.
//! Invariant: every error can be cloned, because a group that fails fails for all of its orders.

use std::io;
use std::path::{Path, PathBuf};

#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum StoreError {
    #[error("the history in {} belongs to another process", path.display())]
    Locked { path: PathBuf },
    #[error("the history in {} has format {found}, and this release reads formats up to {known}", path.display())]
    Newer { path: PathBuf, found: u32, known: u32 },
    #[error("the history in {} is damaged: {what}", path.display())]
    Damaged { path: PathBuf, what: String },
    #[error("the disk below {} is full", path.display())]
    Full { path: PathBuf },
    #[error("{}: {what}", path.display())]
    Io { path: PathBuf, kind: io::ErrorKind, what: String },
    #[error("the disk below {} does not keep up", path.display())]
    Behind { path: PathBuf },
    #[error("offset {offset} does not follow {top}")]
    OutOfOrder { offset: u64, top: u64 },
    #[error("the channel has no history")]
    UnknownChannel,
    #[error("the channel has {count_max} cursors already")]
    TooManyCursors { count_max: u32 },
    #[error("the order is too large for a record")]
    Unwritable,
    #[error("the store has met a bug of its own")]
    Internal,
    #[error("the store is closing")]
    Closing,
}

impl StoreError {
    /// What to do about it: a sentence, with the command where there is one.
    pub fn fix(&self) -> String {
        match self {
            Self::Locked { path } => format!(
                "find the process with `fuser --verbose {}`, or give each process a folder of its own",
                path.join(super::shelf::LOCK_FILE).display()
            ),
            Self::Newer { .. } => "run the release that wrote it, or a later one".to_owned(),
            Self::Damaged { path, .. } => format!(
                "check the disk; to begin with an empty history, move the folder away: `mv {0} {0}.damaged`",
                path.display()
            ),
            Self::Full { path } => {
                format!("make room: `df --human-readable {}`; the store goes on by itself", path.display())
            }
            Self::Io { path, .. } => {
                format!(
                    "check that the folder can be written and the disk is sound: `ls -ld {}`, `dmesg`",
                    path.display()
                )
            }
            Self::Behind { .. } => "use a faster disk, or publish less".to_owned(),
            Self::OutOfOrder { .. } => "load the channel again".to_owned(),
            Self::UnknownChannel => "publish into the channel first".to_owned(),
            Self::TooManyCursors { .. } => "use another channel".to_owned(),
            Self::Unwritable => "send less at once".to_owned(),
            Self::Internal => "report what the log says about it".to_owned(),
            Self::Closing => "wait for the restart".to_owned(),
        }
    }

    pub(super) fn io(path: &Path, error: &io::Error) -> Self {
        let path = path.to_owned();
        let kind = error.kind();
        if matches!(kind, io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded) {
            Self::Full { path }
        } else {
            Self::Io { path, kind, what: error.to_string() }
        }
    }

    /// What the database says, by blame.
    pub(super) fn database(path: &Path, error: &fjall::Error) -> Self {
        match io_cause(error) {
            Some(cause) => Self::io(path, cause),
            None if matches!(error, fjall::Error::Locked) => Self::Locked { path: path.to_owned() },
            None => Self::Damaged { path: path.to_owned(), what: format!("{error:?}") },
        }
    }
}

/// The system's error below the database's own.
fn io_cause<'a>(error: &'a (dyn std::error::Error + 'static)) -> Option<&'a io::Error> {
    let mut next = Some(error);
    while let Some(error) = next {
        if let Some(io) = error.downcast_ref::<io::Error>() {
            return Some(io);
        }
        next = error.source();
    }
    None
}
