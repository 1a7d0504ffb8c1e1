//! Each connection is alone in its group: it gets back what it sends, and nothing else.

use super::ScenarioError;
use super::session::{Session, channel_prefix};
use crate::cli::flags::EchoFlags;
use crate::plan::{Pace, Shape};

pub fn run(flags: &EchoFlags) -> Result<bool, ScenarioError> {
    let pace = match flags.rate {
        Some(rate) => Pace::Open { period_ns: 1e9 * f64::from(flags.connections) / rate },
        None => Pace::Closed { pipeline: flags.pipeline.max(1) },
    };
    let shape = Shape {
        connections: flags.connections,
        members: 1,
        speakers: 1,
        size: flags.size,
        binary: flags.common.is_binary(),
        pace,
        subscribe: true,
        channel_prefix: channel_prefix(&flags.common),
        subscriptions: flags.common.subscriptions.max(1),
        recover: flags.common.recover,
        token: flags.common.token.clone(),
    };
    let mut session = Session::open("echo", &flags.common, &shape)?;
    session.connect()?;
    session.load()?;
    session.close()
}
