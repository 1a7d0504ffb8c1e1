//! What the process tells its operator, line by line, on standard error.
//!
//! Invariant: whoever tells never waits. A thread of its own writes; what finds its queue full, or a disk that takes
//! nothing, is dropped and counted, and the next line that can be written says how many are missing.

use crossbeam_channel::{Receiver, Sender, TrySendError, bounded};
use std::backtrace::Backtrace;
use std::fmt::Write as _;
use std::io::{self, Write as _};
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;
use std::time::Duration;

enum Entry {
    Line(String),
    /// The names of its frames are looked up on the writing thread: that takes long.
    Trace(String, Box<Backtrace>),
    /// Answered when everything before it is written.
    Mark(Sender<()>),
}

static QUEUE: OnceLock<Sender<Entry>> = OnceLock::new();
static DROPPED: AtomicU64 = AtomicU64::new(0);

/// Ends with the process; dropped, it gives the last lines a moment.
#[derive(Debug)]
pub struct Journal;

/// From here on lines are queued; before, they are written at once.
pub fn start() -> io::Result<Journal> {
    let (sender, entries) = bounded(LINE_COUNT_MAX);
    thread::Builder::new().name(String::from("journal")).spawn(move || write_all(&entries))?;
    let _ = QUEUE.set(sender);
    Ok(Journal)
}

/// A line, without its end.
pub fn tell(line: String) {
    put(Entry::Line(line));
}

pub(super) fn tell_trace(line: String, trace: Backtrace) {
    put(Entry::Trace(line, Box::new(trace)));
}

/// Lines that nobody will read.
pub fn dropped() -> u64 {
    DROPPED.load(Ordering::Relaxed)
}

/// Waits until everything so far is written, or for a moment if nobody takes it.
pub fn flush() {
    let Some(queue) = QUEUE.get() else { return };
    let (mark, written) = bounded(1);
    if queue.try_send(Entry::Mark(mark)).is_ok() {
        let _ = written.recv_timeout(FLUSH_MAX);
    }
}

impl Drop for Journal {
    fn drop(&mut self) {
        flush();
    }
}

fn put(entry: Entry) {
    let Some(queue) = QUEUE.get() else {
        return write(entry);
    };
    if let Err(TrySendError::Full(_) | TrySendError::Disconnected(_)) = queue.try_send(entry) {
        DROPPED.fetch_add(1, Ordering::Relaxed);
    }
}

fn write_all(entries: &Receiver<Entry>) {
    let mut told = 0;
    for entry in entries {
        let missing = dropped().saturating_sub(told);
        if missing > 0 && write_line(&format!("ringway: {missing} lines of this log are missing")) {
            told += missing;
        }
        write(entry);
    }
}

fn write(entry: Entry) {
    let is_written = match entry {
        Entry::Line(line) => write_line(&line),
        Entry::Trace(mut line, trace) => {
            let _ = write!(line, "\n{trace}");
            write_line(line.trim_end())
        }
        Entry::Mark(mark) => {
            let _ = mark.try_send(());
            true
        }
    };
    if !is_written {
        DROPPED.fetch_add(1, Ordering::Relaxed);
    }
}

/// In one piece, so that the lines of several processes do not mix. False: the disk is full, or nobody is there.
fn write_line(line: &str) -> bool {
    io::stderr().write_all(format!("{line}\n").as_bytes()).is_ok()
}

/// Lines that wait for a reader that is slow: some seconds of the worst log.
const LINE_COUNT_MAX: usize = 256;
/// A reader that takes nothing does not keep the process.
const FLUSH_MAX: Duration = Duration::from_secs(2);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_told_before_a_mark_is_written_when_the_mark_is_answered() {
        let (sender, entries) = bounded(8);
        let (mark, written) = bounded(1);
        sender.send(Entry::Line(String::from("a line of a test"))).unwrap();
        sender.send(Entry::Mark(mark)).unwrap();
        drop(sender);
        write_all(&entries);
        assert_eq!(written.try_recv(), Ok(()));
    }
}
