//! Descriptors that a process gets at its start: listeners from systemd (sd_listen_fds(3)), or everything that listens
//! from the process whose place it takes. Both are told by the environment, and both end in the same list of names.
//!
//! systemd puts descriptors at 3 and up and names the process by `LISTEN_PID`. We cannot know a child's id before it
//! runs, and moving descriptors between fork and exec would be unsafe for nothing: a predecessor lets the child inherit
//! them where they are, lists their numbers, and names itself as the parent.
//! Invariant: what is claimed is claimed once, is open, and is closed on exec from then on.
#![expect(unsafe_code, reason = "a number that came from outside becomes a descriptor of ours")]

use rustix::fd::{AsFd, AsRawFd, BorrowedFd, FromRawFd, OwnedFd, RawFd};
use rustix::io::{FdFlags, dup, fcntl_getfd, fcntl_setfd};
use std::env;
use std::io;
use std::process::Command;

/// Everything that was left to this process.
#[derive(Debug)]
pub struct Inheritance {
    pub giver: Giver,
    /// Names as the giver chose them, in its order.
    pub descriptors: Vec<(String, OwnedFd)>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Giver {
    /// Listens as long as the unit of the socket is active, whether or not we live.
    Systemd,
    /// Runs on until we say that we are ready.
    Predecessor,
}

/// Takes what the environment announces. To be called once, before anything opens descriptors.
pub fn inherit() -> io::Result<Option<Inheritance>> {
    let parent = rustix::process::getppid().map(|pid| pid.as_raw_nonzero().get().cast_unsigned());
    let variable = |name: &str| env::var(name).ok();
    let Some((giver, announced)) = announced(variable, std::process::id(), parent) else {
        return Ok(None);
    };
    let descriptors = announced.into_iter().map(|(name, number)| {
        let descriptor = claim(number).map_err(|error| {
            io::Error::other(format!(
                "descriptor {number} (\"{name}\") was announced and is not there: {error}"
            ))
        })?;
        Ok((name, descriptor))
    });
    Ok(Some(Inheritance { giver, descriptors: descriptors.collect::<io::Result<_>>()? }))
}

/// Lets `command` inherit these. What is returned must live until the command runs, and no longer.
pub fn hand_down(command: &mut Command, bequest: &[(&str, BorrowedFd<'_>)]) -> io::Result<Vec<OwnedFd>> {
    // A duplicate stays open on exec, whatever the original does.
    let copies = bequest.iter().map(|(_, descriptor)| dup(descriptor)).collect::<Result<Vec<_>, _>>()?;
    let numbers: Vec<String> = copies.iter().map(|copy| copy.as_raw_fd().to_string()).collect();
    let names: Vec<&str> = bequest.iter().map(|(name, _)| *name).collect();
    command
        .env(PARENT, std::process::id().to_string())
        .env(NUMBERS, numbers.join(","))
        .env(NAMES, names.join(":"))
        .env_remove(PROCESS)
        .env_remove(COUNT)
        // The watchdog of this process is the successor's from its first beat on.
        .env_remove(WATCHDOG_PROCESS);
    Ok(copies)
}

/// Names and numbers, from the variables of either giver.
fn announced(
    variable: impl Fn(&str) -> Option<String>,
    own: u32,
    parent: Option<u32>,
) -> Option<(Giver, Vec<(String, RawFd)>)> {
    let is = |name: &str, id: Option<u32>| {
        id.is_some() && variable(name).and_then(|value| value.parse().ok()) == id
    };
    let (giver, numbers): (Giver, Vec<RawFd>) = if is(PARENT, parent) {
        let numbers =
            variable(NUMBERS)?.split(',').map(|number| number.parse().ok()).collect::<Option<_>>()?;
        (Giver::Predecessor, numbers)
    } else if is(PROCESS, Some(own)) {
        let count: RawFd = variable(COUNT)?.parse().ok().filter(|count| (1..=COUNT_MAX).contains(count))?;
        (Giver::Systemd, (FIRST..FIRST + count).collect())
    } else {
        return None;
    };
    let names = variable(NAMES).unwrap_or_default();
    let mut names = names.split(':');
    let named = numbers.into_iter().map(|number| (names.next().unwrap_or_default().to_owned(), number));
    Some((giver, named.collect()))
}

fn claim(number: RawFd) -> io::Result<OwnedFd> {
    // SAFETY: the borrow ends with this function, in which nothing closes the number; asking about one that is not open
    // is an error and no harm.
    let borrowed = unsafe { BorrowedFd::borrow_raw(number.max(0)) };
    fcntl_getfd(borrowed)?;
    // SAFETY: it is open, and whoever started us left it to us alone: nothing else in this process knows the number.
    let owned = unsafe { OwnedFd::from_raw_fd(number) };
    fcntl_setfd(owned.as_fd(), FdFlags::CLOEXEC)?;
    Ok(owned)
}

// sd_listen_fds(3).
const PROCESS: &str = "LISTEN_PID";
const COUNT: &str = "LISTEN_FDS";
const NAMES: &str = "LISTEN_FDNAMES";
/// The first descriptor that systemd passes.
const FIRST: RawFd = 3;
/// systemd passes no more than this many by default (`FileDescriptorStoreMax` apart).
const COUNT_MAX: RawFd = 4096;
// sd_watchdog_enabled(3).
const WATCHDOG_PROCESS: &str = "WATCHDOG_PID";
// From a predecessor. Not RINGWAY_*, which are options.
const PARENT: &str = "LISTEN_PPID";
const NUMBERS: &str = "LISTEN_NUMBERS";

#[cfg(test)]
mod tests {
    use super::*;

    fn of(variables: &[(&str, &str)]) -> Option<(Giver, Vec<(String, RawFd)>)> {
        let find =
            |name: &str| variables.iter().find(|(key, _)| *key == name).map(|(_, value)| (*value).to_owned());
        announced(find, 7, Some(3))
    }

    #[test]
    fn sockets_of_systemd_are_counted_from_three() {
        let variables = [("LISTEN_PID", "7"), ("LISTEN_FDS", "2"), ("LISTEN_FDNAMES", "public:internal")];
        let named = vec![("public".to_owned(), 3), ("internal".to_owned(), 4)];
        assert_eq!(of(&variables), Some((Giver::Systemd, named)));
        let unnamed = vec![(String::new(), 3)];
        assert_eq!(of(&[("LISTEN_PID", "7"), ("LISTEN_FDS", "1")]), Some((Giver::Systemd, unnamed)));
    }

    #[test]
    fn what_is_meant_for_another_process_is_left_alone() {
        assert_eq!(of(&[("LISTEN_PID", "8"), ("LISTEN_FDS", "2")]), None);
        assert_eq!(of(&[("LISTEN_PPID", "7"), ("LISTEN_NUMBERS", "9")]), None, "a grandchild");
        assert_eq!(of(&[("LISTEN_PID", "7"), ("LISTEN_FDS", "-1")]), None);
        assert_eq!(of(&[]), None);
    }

    #[test]
    fn a_predecessor_lists_numbers() {
        let variables =
            [("LISTEN_PPID", "3"), ("LISTEN_NUMBERS", "9,11"), ("LISTEN_FDNAMES", "public:ready")];
        let named = vec![("public".to_owned(), 9), ("ready".to_owned(), 11)];
        assert_eq!(of(&variables), Some((Giver::Predecessor, named)));
        assert_eq!(of(&[("LISTEN_PPID", "3"), ("LISTEN_NUMBERS", "9,x")]), None);
    }

    #[test]
    fn a_number_that_is_not_open_is_not_claimed() {
        assert!(claim(1_000_000).is_err());
    }
}
