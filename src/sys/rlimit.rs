//! The limits that the kernel sets to this process, and raising them as far as it lets us.
//! Invariant: only the soft limit moves, and only upwards.

use rustix::io;
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

/// A limit and its ceiling; `u64::MAX` is unlimited.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limit {
    pub soft: u64,
    pub hard: u64,
}

/// glommio refuses to build an executor below this, whatever its rings really register.
pub const LOCKED_MEMORY_BYTES_MIN: u64 = 512 * 1024;

/// Open descriptors (`RLIMIT_NOFILE`): the number of connections, less what the process needs itself.
pub fn descriptors() -> Limit {
    read(Resource::Nofile)
}

/// Locked memory in bytes (`RLIMIT_MEMLOCK`): what rings may register.
pub fn locked_memory() -> Limit {
    read(Resource::Memlock)
}

/// Raises the soft limit of descriptors to the hard one, and says what holds now.
pub fn raise_descriptors() -> io::Result<Limit> {
    raise(Resource::Nofile)
}

/// Raises the soft limit of locked memory to the hard one, and says what holds now.
pub fn raise_locked_memory() -> io::Result<Limit> {
    raise(Resource::Memlock)
}

fn read(resource: Resource) -> Limit {
    let Rlimit { current, maximum } = getrlimit(resource);
    Limit { soft: current.unwrap_or(u64::MAX), hard: maximum.unwrap_or(u64::MAX) }
}

fn raise(resource: Resource) -> io::Result<Limit> {
    let Rlimit { current, maximum } = getrlimit(resource);
    if current != maximum {
        setrlimit(resource, Rlimit { current: maximum, maximum })?;
    }
    Ok(read(resource))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn raising_ends_at_the_hard_limit() {
        let before = descriptors();
        let after = raise_descriptors().unwrap();
        assert_eq!(after, Limit { soft: before.hard, hard: before.hard });
        assert_eq!(descriptors(), after);
    }
}
