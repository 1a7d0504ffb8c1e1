//! Requests that wait for another core, for the control plane, or later for a broker.
//! Invariant: every request is answered exactly once, by its answer or by its deadline, whichever comes first.

use super::call::CallId;
use super::mail::RequestId;
use crate::ids::ConnId;
use crate::publication::Person;
use crate::time::Moment;
use std::collections::VecDeque;
use std::sync::Arc;

#[derive(Debug)]
pub struct Request {
    pub asker: Asker,
    pub kind: Kind,
}

/// Who hears of the outcome.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Asker {
    /// The command with this id.
    Client { conn: ConnId, command: u32 },
    /// The server API.
    Call(CallId),
    /// This core itself.
    Shard,
}

#[derive(Debug)]
pub enum Kind {
    /// The first subscriber of a core asks for publications; others may have joined it in waiting.
    Link {
        channel: Arc<str>,
    },
    /// The owner is asked for what a joining subscriber has missed.
    Recover {
        channel: Arc<str>,
    },
    Publish,
    History,
    /// The owner is asked for, or told, an acknowledgement cursor.
    Cursor,
    /// The owner is asked whether anything was missed.
    Position {
        channel: Arc<str>,
    },
    Presence(Census),
    PresenceStats(Census),
    // Of the control plane.
    /// A back end, or a key that has to be fetched, decides about a connect command.
    Connect,
    /// Nobody waits for the answer: the client was told to try again.
    Keys,
    Refresh,
    SubRefresh {
        channel: Arc<str>,
    },
    Subscribe {
        channel: Arc<str>,
    },
    CacheEmpty {
        channel: Arc<str>,
    },
    PublishHook {
        channel: Arc<str>,
        publish: Box<super::call::Publish>,
    },
    Rpc,
}

impl Kind {
    /// What it costs to keep the request open, in publications.
    pub fn weight(&self) -> u16 {
        match self {
            Self::Link { .. }
            | Self::Recover { .. }
            | Self::Position { .. }
            | Self::CacheEmpty { .. }
            | Self::Connect
            | Self::Refresh => 0,
            Self::Publish | Self::Cursor | Self::SubRefresh { .. } | Self::Subscribe { .. } => 1,
            Self::Keys | Self::PublishHook { .. } | Self::Rpc => 8,
            Self::History | Self::Presence(_) | Self::PresenceStats(_) => 64,
        }
    }
}

/// Who listens, core by core.
#[derive(Debug)]
pub struct Census {
    pub missing: u16,
    pub people: Vec<Person>,
}

/// In order of asking, which is the order of deadlines: all requests have the same patience.
#[derive(Debug, Default)]
pub struct Requests {
    waiting: VecDeque<Option<(Moment, Request)>>,
    /// The id of the first entry.
    first: u64,
}

impl Requests {
    pub fn open(&mut self, due: Moment, request: Request) -> RequestId {
        self.waiting.push_back(Some((due, request)));
        RequestId(self.first + self.waiting.len() as u64 - 1)
    }

    pub fn get_mut(&mut self, id: RequestId) -> Option<&mut Request> {
        let at = id.0.checked_sub(self.first)?;
        self.waiting.get_mut(usize::try_from(at).ok()?)?.as_mut().map(|(_, request)| request)
    }

    /// Takes the request that is answered now.
    pub fn close(&mut self, id: RequestId) -> Option<Request> {
        let at = id.0.checked_sub(self.first)?;
        let (_, request) = self.waiting.get_mut(usize::try_from(at).ok()?)?.take()?;
        self.trim();
        Some(request)
    }

    /// Takes one request whose deadline has passed.
    pub fn expire(&mut self, now: Moment) -> Option<(RequestId, Request)> {
        let due = self.deadline()?;
        if due > now {
            return None;
        }
        let id = RequestId(self.first);
        let (_, request) = self.waiting.front_mut()?.take()?;
        self.trim();
        Some((id, request))
    }

    pub fn deadline(&self) -> Option<Moment> {
        self.waiting.front()?.as_ref().map(|(due, _)| *due)
    }

    pub fn count(&self) -> usize {
        self.waiting.iter().flatten().count()
    }

    fn trim(&mut self) {
        while let Some(None) = self.waiting.front() {
            self.waiting.pop_front();
            self.first += 1;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn request(command: u32) -> Request {
        let conn = ConnId { slot: 0, generation: 0 };
        Request { asker: Asker::Client { conn, command }, kind: Kind::Publish }
    }

    #[expect(clippy::needless_pass_by_value, reason = "it is mapped over options")]
    fn command(request: Request) -> u32 {
        match request.asker {
            Asker::Client { command, .. } => command,
            Asker::Call(_) | Asker::Shard => 0,
        }
    }

    #[test]
    fn a_request_is_answered_once_in_any_order() {
        let mut requests = Requests::default();
        let ids: Vec<_> = (0..4).map(|n| requests.open(Moment::from_millis(n), request(n as u32))).collect();
        for at in [2, 0, 3, 1] {
            assert_eq!(requests.close(ids[at]).map(command), Some(at as u32));
            assert!(requests.close(ids[at]).is_none());
        }
        assert_eq!(requests.deadline(), None);
    }

    #[test]
    fn ids_go_on_beyond_32_bits() {
        let mut requests = Requests { first: u64::from(u32::MAX) - 1, ..Requests::default() };
        let ids: Vec<_> = (0..4).map(|n| requests.open(Moment::from_millis(n), request(n as u32))).collect();
        assert_eq!(ids[3], RequestId(u64::from(u32::MAX) + 2));
        for at in [1, 0, 3, 2] {
            assert_eq!(requests.close(ids[at]).map(command), Some(at as u32));
        }
        assert!(requests.close(RequestId(2)).is_none(), "one of an earlier round");
    }

    #[test]
    fn a_request_without_an_answer_expires() {
        let mut requests = Requests::default();
        requests.open(Moment::from_millis(5), request(1));
        let late = requests.open(Moment::from_millis(9), request(2));
        assert!(requests.expire(Moment::from_millis(4)).is_none());
        assert_eq!(requests.expire(Moment::from_millis(5)).map(|(_, request)| command(request)), Some(1));
        assert_eq!(requests.deadline(), Some(Moment::from_millis(9)));
        assert!(requests.get_mut(late).is_some());
    }
}
