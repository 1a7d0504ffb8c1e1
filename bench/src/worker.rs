//! The hidden sub-command: this process becomes one engine, with orders on standard input and notes on standard output.

use crate::engine::{Engine, EngineError};
use crate::pipe::{self, Inbox, PipeError};
use crate::plan::{Note, Order, Plan};
use rkyv::rancor::Error;
use rustix::fd::OwnedFd;
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use rustix::thread::{CpuSet, sched_setaffinity, set_current_timer_slack};
use std::fs::File;
use std::io::{self, Read};
use std::num::NonZeroU64;
use std::os::fd::AsFd;
use std::process::ExitCode;

/// Name of the sub-command.
pub const COMMAND: &str = "worker";

pub fn run() -> ExitCode {
    match serve() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            // The conductor prints it; if it has gone there is nobody to tell.
            if let Ok(mut notes) = io::stdout().as_fd().try_clone_to_owned().map(File::from) {
                let failed = Note::Failed { message: error.to_string() };
                let archive = rkyv::to_bytes::<Error>(&failed).unwrap_or_default();
                let _ = pipe::send(&mut notes, &archive);
            }
            ExitCode::FAILURE
        }
    }
}

fn serve() -> Result<(), EngineError> {
    let notes = File::from(clone(io::stdout().as_fd())?);
    let orders = clone(io::stdin().as_fd())?;
    let (plan, rest) = first_order(&orders)?;
    raise_descriptor_limit();
    if let Some(core) = plan.core {
        pin(&[core]);
    }
    // Sleeping up to the last microsecond: the default slack of 50 us would show in every latency.
    let _ = set_current_timer_slack(NonZeroU64::new(1));
    Engine::new(plan, (orders, rest), notes)?.run()
}

fn clone(fd: std::os::fd::BorrowedFd<'_>) -> Result<OwnedFd, EngineError> {
    Ok(fd.try_clone_to_owned().map_err(PipeError::Io)?)
}

/// The plan, and what was read behind it.
fn first_order(orders: &OwnedFd) -> Result<(Plan, Inbox), EngineError> {
    let mut file = File::from(clone(orders.as_fd())?);
    let mut inbox = Inbox::default();
    let mut bytes = [0; 4096];
    loop {
        let count = file.read(&mut bytes).map_err(PipeError::Io)?;
        inbox.feed(&bytes[..count]);
        if let Some(archive) = inbox.take()? {
            return match rkyv::from_bytes::<Order, Error>(&archive).map_err(PipeError::from)? {
                Order::Plan(plan) => Ok((plan, inbox)),
                Order::Connect { .. }
                | Order::Load { .. }
                | Order::Settle { .. }
                | Order::Storm { .. }
                | Order::Finish => Err(EngineError::NoPlan),
            };
        }
        if count == 0 {
            return Err(EngineError::NoPlan);
        }
    }
}

/// As many descriptors as the hard limit allows.
pub fn raise_descriptor_limit() -> u64 {
    let limit = getrlimit(Resource::Nofile);
    let raised = Rlimit { current: limit.maximum, maximum: limit.maximum };
    let _ = setrlimit(Resource::Nofile, raised);
    getrlimit(Resource::Nofile).current.unwrap_or(u64::MAX)
}

/// Keeps this process, and those that it starts, on some cores. Where the kernel refuses, a run is only noisier.
pub fn pin(cores: &[u32]) {
    let mut set = CpuSet::new();
    for core in cores {
        set.set(*core as usize);
    }
    let _ = sched_setaffinity(None, &set);
}

/// Cores that this process may run on.
pub fn allowed_cores() -> Vec<u32> {
    let set = rustix::thread::sched_getaffinity(None).unwrap_or_default();
    (0..CpuSet::MAX_CPU).filter(|core| set.is_set(*core)).map(|core| core as u32).collect()
}
