//! Where history that survives a restart is kept.

use crate::config::option::{Entry, anything, restart, text};

#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Store {
    /// Empty: nothing is kept.
    pub path: String,
}

pub const OPTIONS: &[Entry] = &[restart(text(
    "store.path",
    "",
    anything,
    |c| &mut c.store.path,
    "Folder for the history of namespaces with durable = true; none: history lives in memory alone.",
))];
