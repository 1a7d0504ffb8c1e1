//! How much memory the node may use.

use crate::config::option::{Entry, count, restart};
use crate::limits;

#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Memory {
    /// Zero: what the control group or the machine has.
    pub limit_mib: u32,
}

pub const OPTIONS: &[Entry] = &[restart(count(
    "memory.limit_mib",
    "MiB",
    0,
    [0, limits::MEMORY_MIB_CEILING],
    |c| &mut c.memory.limit_mib,
    "Memory of the node in MiB; 0: what its control group or the machine has; at 92 % new subscriptions are refused, at \
     95 % new connections, at 98 % the clients that hold the most, in queues and in messages half sent, are closed with 3008.",
))];
