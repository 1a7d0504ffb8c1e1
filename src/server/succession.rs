//! Another process takes our place, and we took that of another: both ends of an upgrade, as far as processes go.
//!
//! Invariant: a successor runs the file that lies where ours was found when we started, with our arguments: the new
//! version, if it was put there. It is not started where it could do harm.

use super::listening::{INTERNAL, Originals, PUBLIC, READY};
use crate::config::Config;
use crate::control::{self, Heir};
use crate::sys::inheritance::hand_down;
use rustix::fd::{AsFd, BorrowedFd, OwnedFd};
use rustix::pipe::{PipeFlags, pipe_with};
use std::env;
use std::ffi::OsString;
use std::io;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

#[derive(Debug)]
pub(super) struct Successors {
    program: PathBuf,
    arguments: Vec<OsString>,
    listeners: Originals,
    /// Why there cannot be a successor.
    obstacle: Option<&'static str>,
}

impl Successors {
    pub(super) fn new(config: &Config, listeners: Originals) -> io::Result<Self> {
        let mut arguments = env::args_os();
        let program = program(arguments.next(), &env::current_dir()?, env::current_exe()?);
        let obstacle = if !config.store.path.is_empty() {
            Some(STORE)
        } else if std::process::id() == 1 {
            Some(FIRST)
        } else {
            None
        };
        Ok(Self { program, arguments: arguments.collect(), listeners, obstacle })
    }

    /// Starts the successor.
    pub(super) fn start(&self, internal: BorrowedFd<'_>) -> Result<Heir, String> {
        if let Some(obstacle) = self.obstacle {
            return Err(obstacle.to_owned());
        }
        let (words, mouth) = pipe_with(PipeFlags::CLOEXEC).map_err(|error| format!("no pipe: {error}"))?;
        let mut command = Command::new(&self.program);
        command.args(&self.arguments).stdin(Stdio::null());
        let started = self.listeners.with(|listeners| {
            let others = [(INTERNAL, internal), (READY, mouth.as_fd())];
            let bequest = listeners.iter().map(|listener| (PUBLIC, listener.as_fd())).chain(others);
            let bequest: Vec<_> = bequest.collect();
            let copies = hand_down(&mut command, &bequest)?;
            let child = command.spawn();
            drop(copies);
            child
        });
        let child =
            started.map_err(|error| format!("{} cannot be started: {error}", self.program.display()))?;
        Ok(Heir { child, words })
    }
}

/// Where to look for the next version: at the name that we were started by, so that a link may lead elsewhere by then;
/// without a path in it, at our own file.
fn program(name: Option<OsString>, folder: &Path, own: PathBuf) -> PathBuf {
    match name.map(PathBuf::from) {
        Some(name) if name.components().count() > 1 => folder.join(name),
        Some(_) | None => own,
    }
}

/// Tells the predecessor that it may go.
pub(super) fn tell_predecessor(mouth: Option<OwnedFd>) {
    if let Some(mouth) = mouth {
        // One that has died meanwhile needs no word.
        let _ = rustix::io::write(&mouth, control::READY);
    }
}

const STORE: &str = "durable history (store.path) belongs to one process at a time; restart instead, with socket \
    activation if no connection may be refused meanwhile (docs/upgrade.md)";
const FIRST: &str = "this is process 1, the container ends with it; replace the container instead";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_next_version_is_looked_for_where_this_one_was_named() {
        let of = |name: &str| program(Some(name.into()), Path::new("/srv"), PathBuf::from("/opt/2/ringway"));
        assert_eq!(of("/usr/bin/ringway"), Path::new("/usr/bin/ringway"));
        assert_eq!(of("bin/ringway"), Path::new("/srv/bin/ringway"));
        assert_eq!(of("ringway"), Path::new("/opt/2/ringway"), "found by PATH");
        assert_eq!(program(None, Path::new("/"), PathBuf::from("/r")), Path::new("/r"));
    }
}
