//! Many groups of equal size; in each a few members talk and all listen.

use super::ScenarioError;
use super::session::{Session, channel_prefix};
use crate::cli::flags::ChatFlags;
use crate::plan::{Pace, Protocol, Shape};

pub fn run(flags: &ChatFlags) -> Result<bool, ScenarioError> {
    if flags.common.protocol == Protocol::Raw && flags.rooms > 1 {
        let text =
            "a raw server sends every message to all connections: use --rooms 1, or --protocol centrifuge";
        return Err(ScenarioError::Flags(text.into()));
    }
    let Some(connections) = flags.rooms.checked_mul(flags.members) else {
        return Err(ScenarioError::Flags("--rooms times --members is too many".into()));
    };
    let speakers = flags.speakers.min(flags.members);
    let shape = Shape {
        connections,
        members: flags.members,
        speakers,
        size: flags.size,
        binary: flags.common.is_binary(),
        pace: Pace::Open { period_ns: 1e9 * f64::from(speakers) / flags.rate },
        subscribe: true,
        channel_prefix: channel_prefix(&flags.common),
        subscriptions: flags.common.subscriptions.max(1),
        recover: flags.common.recover,
        token: flags.common.token.clone(),
    };
    let mut session = Session::open("chat", &flags.common, &shape)?;
    session.connect()?;
    session.load()?;
    session.close()
}
