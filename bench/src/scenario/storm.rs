//! Everybody is connected; everybody is dropped, by us or by the end of the server; everybody is back. How long does that take, and for whom?

use super::ScenarioError;
use super::session::{Session, channel_prefix};
use crate::cli::flags::StormFlags;
use crate::plan::{Pace, Protocol, Shape};

pub fn run(flags: &StormFlags) -> Result<bool, ScenarioError> {
    let members = match flags.common.protocol {
        Protocol::Raw => 1,
        Protocol::Centrifuge | Protocol::CentrifugeProtobuf => {
            flags.members.clamp(1, flags.connections.max(1))
        }
    };
    let shape = Shape {
        connections: flags.connections,
        members,
        speakers: 1,
        size: crate::target::size_min(flags.common.protocol),
        binary: flags.common.is_binary(),
        pace: Pace::Silent,
        subscribe: true,
        channel_prefix: channel_prefix(&flags.common),
        subscriptions: flags.common.subscriptions.max(1),
        recover: flags.common.recover,
        token: flags.common.token.clone(),
    };
    let mut session = Session::open("storm", &flags.common, &shape)?;
    session.connect()?;
    session.hold("connected", flags.connections, flags.hold)?;
    if flags.restart {
        session.await_restart()?;
    }
    session.storm()?;
    session.hold("connected", flags.connections, flags.hold)?;
    session.close()
}
