//! Channels whose cache is empty when somebody recovers from it: a back end may fill it first.
//!
//! Invariant: a join asks once. Meanwhile it holds nothing of the channel, which may go and come again, and it enters as
//! if it had just begun. A back end that has nothing, or does not answer and need not, leaves the subscriber with an
//! empty cache.

use super::Shard;
use super::ask::{Answer, Ask};
use super::joining::{Join, Stage};
use super::mail::Source;
use super::requests::{Asker, Kind};
use crate::ids::{ChannelId, ConnId};
use crate::proto::Reject;
use std::sync::Arc;

impl Shard {
    /// Whether somebody else could still tell what a channel has, in whose cache this join has found nothing.
    pub(super) fn may_refill(&self, id: ConnId, channel: ChannelId, join: &Join) -> bool {
        let is_there = self.conns.get(id).is_some_and(crate::conn::Conn::is_open);
        let policy = self.hub.channel(channel).map(|channel| &channel.policy);
        is_there
            && !join.was_refilled
            && policy.is_some_and(|policy| {
                policy.cache_empty_proxy.is_some() && join.wish.source(policy) == Source::Cache
            })
    }

    pub(super) fn ask_refill(&mut self, id: ConnId, channel: ChannelId, mut join: Box<Join>) {
        let hook = self.hub.channel(channel).and_then(|channel| channel.policy.cache_empty_proxy.clone());
        let name = Arc::clone(&join.name);
        let asker = Asker::Client { conn: id, command: 0 };
        let asked = self.open_request(asker, Kind::CacheEmpty { channel: Arc::clone(&name) });
        let (Some(hook), Ok(asked)) = (hook, asked) else {
            return self.join_failed(id, *join, Reject::Internal);
        };
        join.was_refilled = true;
        join.stage = Stage::Hook;
        self.joins.add(id, join);
        self.ask_control(asked, Ask::CacheEmpty { hook, channel: name });
    }

    /// The back end has published what it had, or not.
    pub(super) fn refilled(&mut self, id: ConnId, name: &str, answer: Answer) {
        let Some(join) = self.joins.take(id, name) else {
            return;
        };
        if join.stage != Stage::Hook {
            return self.joins.add(id, join);
        }
        match answer {
            Answer::Refilled { .. } => self.join(id, join),
            Answer::Error { .. } | Answer::Disconnect { .. } => self.join_refused(id, *join, answer),
            Answer::Failed
            | Answer::Connect(_)
            | Answer::Refresh(_)
            | Answer::SubRefresh(_)
            | Answer::Subscribe(_)
            | Answer::Publish(_)
            | Answer::Rpc { .. }
            | Answer::Keys => self.join_failed(id, *join, Reject::Internal),
        }
    }
}
