//! The worker processes of a run: starts them, hands orders down and notes up, and leaves none behind.
//!
//! An engine is a process, always: descriptors are limited per process, and so is what a crash can take with it.
//! Invariant: a worker that dies, or says that it failed, ends the run with its reason.

use crate::pipe::{self, Inbox, PipeError};
use crate::plan::{Note, Order, Plan};
use crate::worker;
use ringway::sys::clock;
use rkyv::rancor::Error;
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use std::io::Read;
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};

const NOTE_READ_BYTES: usize = 64 * 1024;

#[derive(Debug, thiserror::Error)]
pub enum CrewError {
    #[error("cannot start a generator process: {0}")]
    Start(std::io::Error),
    #[error("generator process {0} ended unexpectedly (its last words are above, if it had any)")]
    Died(usize),
    #[error("generator process {0} failed: {1}")]
    Failed(usize, String),
    #[error(transparent)]
    Pipe(#[from] PipeError),
}

pub struct Crew {
    workers: Vec<Worker>,
    /// Read into by all.
    buffer: Vec<u8>,
}

struct Worker {
    child: Child,
    orders: ChildStdin,
    notes: ChildStdout,
    inbox: Inbox,
    finished: bool,
}

impl Crew {
    /// One process for each plan.
    pub fn start(plans: Vec<Plan>) -> Result<Self, CrewError> {
        let mut crew = Self { workers: Vec::new(), buffer: vec![0; NOTE_READ_BYTES] };
        for plan in plans {
            crew.workers.push(Worker::start(plan)?);
        }
        Ok(crew)
    }

    pub fn count(&self) -> usize {
        self.workers.len()
    }

    /// Gives everybody the same order.
    pub fn order(&mut self, order: &Order) -> Result<(), CrewError> {
        let archive = rkyv::to_bytes::<Error>(order).map_err(PipeError::from)?;
        for (index, worker) in self.workers.iter_mut().enumerate() {
            pipe::send(&mut worker.orders, &archive).map_err(|_| CrewError::Died(index))?;
        }
        Ok(())
    }

    /// What has been noted until `until_ns`, with the number of the worker; returns as soon as there is something.
    pub fn notes(&mut self, until_ns: u64) -> Result<Vec<(usize, Note)>, CrewError> {
        let wait = until_ns.saturating_sub(clock::now().as_nanos());
        let timeout = Timespec {
            tv_sec: (wait / 1_000_000_000).cast_signed(),
            tv_nsec: (wait % 1_000_000_000).cast_signed(),
        };
        let open: Vec<usize> =
            (0..self.workers.len()).filter(|index| !self.workers[*index].finished).collect();
        let ready: Vec<usize> = {
            let mut fds: Vec<_> =
                open.iter().map(|index| PollFd::new(&self.workers[*index].notes, PollFlags::IN)).collect();
            // An interrupted wait is a short one.
            let _ = poll(&mut fds, Some(&timeout));
            open.iter()
                .zip(&fds)
                .filter(|(_, fd)| !fd.revents().is_empty())
                .map(|(index, _)| *index)
                .collect()
        };
        let mut notes = Vec::new();
        for index in ready {
            for note in self.workers[index].read(index, &mut self.buffer)? {
                if let Note::Failed { message } = note {
                    return Err(CrewError::Failed(index, message));
                }
                notes.push((index, note));
            }
        }
        Ok(notes)
    }
}

impl Worker {
    fn start(plan: Plan) -> Result<Self, CrewError> {
        let program = std::env::current_exe().map_err(CrewError::Start)?;
        let mut child = Command::new(program)
            .arg(worker::COMMAND)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .map_err(CrewError::Start)?;
        let pipes = child.stdin.take().zip(child.stdout.take());
        let (mut orders, notes) =
            pipes.ok_or_else(|| CrewError::Start(std::io::ErrorKind::BrokenPipe.into()))?;
        let archive = rkyv::to_bytes::<Error>(&Order::Plan(plan)).map_err(PipeError::from)?;
        pipe::send(&mut orders, &archive)?;
        Ok(Self { child, orders, notes, inbox: Inbox::default(), finished: false })
    }

    fn read(&mut self, index: usize, bytes: &mut [u8]) -> Result<Vec<Note>, CrewError> {
        let count = self.notes.read(bytes).map_err(PipeError::Io)?;
        if count == 0 {
            return Err(CrewError::Died(index));
        }
        self.inbox.feed(&bytes[..count]);
        let mut notes = Vec::new();
        while let Some(archive) = self.inbox.take()? {
            let note = rkyv::from_bytes::<Note, Error>(&archive).map_err(PipeError::from)?;
            self.finished |= matches!(note, Note::Finished(_));
            notes.push(note);
        }
        Ok(notes)
    }
}

impl Drop for Worker {
    /// A worker that has finished is only reaped; any other is ended.
    fn drop(&mut self) {
        if !self.finished {
            let _ = self.child.kill();
        }
        let _ = self.child.wait();
    }
}
