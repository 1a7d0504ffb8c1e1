//! What holds when a back end does not answer.
//! Invariant: total over topics. Nothing is allowed by accident: what has no meaning without an answer is an error.

use super::options::Fallback;
use super::question::Topic;
use crate::shard::ask::{Answer, Credentials, Published, Refreshed, Subscribed};
use crate::sys::clock;
use std::time::Duration;

pub(super) fn fallback(fallback: Fallback, topic: Topic) -> Answer {
    match fallback {
        Fallback::Error => Answer::Failed,
        Fallback::Allow => allow(topic),
        Fallback::Deny => deny(topic),
    }
}

fn allow(topic: Topic) -> Answer {
    let longer = || Refreshed { expire_at: (clock::wall() + EXTENSION).as_secs(), ..Refreshed::default() };
    match topic {
        Topic::Connect => Answer::Connect(Box::<Credentials>::default()),
        Topic::Refresh => Answer::Refresh(longer()),
        Topic::SubRefresh => Answer::SubRefresh(longer()),
        Topic::Subscribe => Answer::Subscribe(Box::<Subscribed>::default()),
        Topic::Publish => Answer::Publish(Box::<Published>::default()),
        // A procedure that nobody ran has no result.
        Topic::Rpc => Answer::Failed,
        Topic::CacheEmpty => Answer::Refilled { populated: false },
    }
}

fn deny(topic: Topic) -> Answer {
    let over = || Refreshed { expired: true, ..Refreshed::default() };
    match topic {
        Topic::Refresh => Answer::Refresh(over()),
        Topic::SubRefresh => Answer::SubRefresh(over()),
        Topic::Connect | Topic::Subscribe | Topic::Publish | Topic::Rpc | Topic::CacheEmpty => {
            Answer::Error {
                code: PERMISSION_DENIED,
                message: Box::from("permission denied"),
                temporary: false,
            }
        }
    }
}

/// Error 103 of the client protocol.
const PERMISSION_DENIED: u32 = 103;
/// What a connection gets beyond its end when nobody can say whether it may go on.
const EXTENSION: Duration = Duration::from_mins(1);
