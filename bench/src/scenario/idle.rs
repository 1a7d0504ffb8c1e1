//! Connections that do nothing: what each costs the server in memory, and all together in CPU.
//!
//! With a burst, everybody then talks for a while and falls silent again: what stays allocated is not for messages but
//! because of them.

use super::ScenarioError;
use super::session::{Session, channel_prefix};
use crate::cli::flags::IdleFlags;
use crate::plan::{Pace, Protocol, Shape};

pub fn run(flags: &IdleFlags) -> Result<bool, ScenarioError> {
    let steps = steps(flags)?;
    let connections = steps.last().copied().unwrap_or(flags.connections);
    let members = match flags.common.protocol {
        Protocol::Raw => 1,
        Protocol::Centrifuge | Protocol::CentrifugeProtobuf => flags.members.clamp(1, connections),
    };
    let shape = Shape {
        connections,
        members,
        speakers: members,
        size: flags.size,
        binary: flags.common.is_binary(),
        pace: if flags.burst { Pace::Open { period_ns: 1e9 / flags.rate } } else { Pace::Silent },
        subscribe: !flags.no_subscribe,
        channel_prefix: channel_prefix(&flags.common),
        subscriptions: flags.common.subscriptions.max(1),
        recover: flags.common.recover,
        token: flags.common.token.clone(),
    };
    let mut session = Session::open("idle", &flags.common, &shape)?;
    for step in steps {
        session.connect_to(step)?;
        session.hold("connected", step, flags.hold)?;
    }
    if flags.burst {
        session.load()?;
        session.hold("after-burst", connections, flags.hold)?;
    }
    session.close()
}

/// Rising counts; by default a tenth, a half and all.
fn steps(flags: &IdleFlags) -> Result<Vec<u32>, ScenarioError> {
    if flags.steps.is_empty() {
        let all = flags.connections;
        let mut steps = vec![(all / 10).max(1), (all / 2).max(1), all];
        steps.dedup();
        return Ok(steps);
    }
    if !flags.steps.is_sorted_by(|a, b| a < b) || flags.steps.first() == Some(&0) {
        return Err(ScenarioError::Flags("--steps have to rise, as in 1000,5000,10000".into()));
    }
    Ok(flags.steps.clone())
}
