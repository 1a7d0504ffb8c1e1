//! What is said of a panic, and how many were caught outside of the cores, which count their own.
//!
//! Invariant: a panic never waits for the log, and one place says so at most once a second: a bug that a peer can call up
//! at will does not fill the disk.

use super::{clock, journal};
use std::backtrace::Backtrace;
use std::collections::HashMap;
use std::panic::{self, PanicHookInfo};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};
use std::thread;

/// Where a panic was caught.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Plane {
    Control,
    Store,
}

static CAUGHT: [AtomicU64; 2] = [AtomicU64::new(0), AtomicU64::new(0)];

/// One was caught there.
pub fn count(plane: Plane) {
    CAUGHT[plane as usize].fetch_add(1, Ordering::Relaxed);
}

pub fn counted(plane: Plane) -> u64 {
    CAUGHT[plane as usize].load(Ordering::Relaxed)
}

/// From here on a panic is told with its trace.
pub fn install_hook() {
    let told = Mutex::new(Told::default());
    panic::set_hook(Box::new(move |info| {
        let second = clock::now().as_nanos() / 1_000_000_000;
        let place = info.location().map_or((String::new(), 0), |at| (at.file().to_owned(), at.line()));
        let admitted = told.lock().unwrap_or_else(PoisonError::into_inner).admit(place, second);
        if let Some(before) = admitted {
            journal::tell_trace(line(info, before), Backtrace::force_capture());
        }
    }));
}

fn line(info: &PanicHookInfo<'_>, before: u64) -> String {
    let thread = thread::current();
    let what = info.payload_as_str().unwrap_or("no message");
    let place = info.location().map_or_else(String::new, |at| format!(" at {at}"));
    let more =
        if before > 0 { format!(" ({before} more of these since the last one)") } else { String::new() };
    format!("ringway: bug: thread {:?} panicked{place}: {what}{more}", thread.name().unwrap_or("unnamed"))
}

/// When each place was last told of, and how often it was not.
#[derive(Debug, Default)]
struct Told(HashMap<(String, u32), (u64, u64)>);

impl Told {
    /// Some: to be told, and how many of the same were not.
    fn admit(&mut self, place: (String, u32), second: u64) -> Option<u64> {
        if self.0.len() >= PLACE_COUNT_MAX && !self.0.contains_key(&place) {
            self.0.clear();
        }
        match self.0.get_mut(&place) {
            None => {
                self.0.insert(place, (second, 0));
                Some(0)
            }
            Some((last, missed)) if *last == second => {
                *missed += 1;
                None
            }
            Some((last, missed)) => {
                *last = second;
                Some(std::mem::take(missed))
            }
        }
    }
}

/// More places than a program has bugs.
const PLACE_COUNT_MAX: usize = 256;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_place_is_told_of_once_a_second() {
        let mut told = Told::default();
        let place = |line| (String::from("file"), line);
        assert_eq!(told.admit(place(1), 5), Some(0));
        assert_eq!(told.admit(place(1), 5), None);
        assert_eq!(told.admit(place(2), 5), Some(0));
        assert_eq!(told.admit(place(1), 6), Some(1));
        assert_eq!(told.admit(place(1), 7), Some(0));
    }
}
