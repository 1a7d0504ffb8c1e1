//! Where history that survives a restart is kept.

use crate::config::option::{Entry, anything, choice, restart, text};

#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Store {
    /// Empty: nothing is kept.
    pub path: String,
    pub sync: &'static str,
}

pub const OPTIONS: &[Entry] = &[
    restart(text(
        "store.path",
        "",
        anything,
        |c| &mut c.store.path,
        "Folder for the history of namespaces with durable = true, and for revocations; none: they live in memory alone.",
    )),
    restart(choice(
        "store.sync",
        &["group", "os"],
        |c| &mut c.store.sync,
        "When something counts as stored: group: after an fsync that everything shares which waits for one; os: as soon as \
         the kernel has it, which is faster, and forgets when the machine (not the process) dies.",
    )),
];
