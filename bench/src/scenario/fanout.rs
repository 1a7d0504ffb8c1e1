//! One group of all subscribers. The first of them publish, so that they may: many servers let only subscribers publish.

use super::ScenarioError;
use super::session::{Session, channel_prefix};
use crate::cli::flags::FanoutFlags;
use crate::plan::{Pace, Shape};

pub fn run(flags: &FanoutFlags) -> Result<bool, ScenarioError> {
    let shape = Shape {
        connections: flags.subscribers,
        members: flags.subscribers,
        speakers: flags.publishers,
        size: flags.size,
        binary: flags.common.is_binary(),
        pace: Pace::Open { period_ns: 1e9 / flags.rate },
        subscribe: true,
        channel_prefix: channel_prefix(&flags.common),
        subscriptions: flags.common.subscriptions.max(1),
        recover: flags.common.recover,
        token: flags.common.token.clone(),
    };
    let mut session = Session::open("fanout", &flags.common, &shape)?;
    session.connect()?;
    session.load()?;
    session.close()
}
