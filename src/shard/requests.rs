//! Requests that wait for another core, or later for a broker: publish, presence, recovery.
//! Invariant: every request is answered exactly once, by its answer or by its deadline, whichever comes first.

use super::mail::{Person, RequestId};
use crate::ids::ConnId;
use crate::time::Moment;
use std::collections::VecDeque;
use std::sync::Arc;

#[derive(Debug)]
pub struct Request {
    pub conn: ConnId,
    /// Id of the command that will be answered.
    pub command: u32,
    pub kind: Kind,
}

#[derive(Debug)]
pub enum Kind {
    /// The first subscriber of a core asks for publications; others may have joined it in waiting.
    Link {
        channel: Arc<str>,
    },
    Publish,
    Presence(Census),
    PresenceStats(Census),
}

impl Kind {
    /// What it costs to keep the request open, in publications.
    pub fn weight(&self) -> u16 {
        match self {
            Self::Link { .. } => 0,
            Self::Publish => 1,
            Self::Presence(_) | Self::PresenceStats(_) => 64,
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
    pub fn expire(&mut self, now: Moment) -> Option<Request> {
        let due = self.deadline()?;
        if due > now {
            return None;
        }
        let (_, request) = self.waiting.front_mut()?.take()?;
        self.trim();
        Some(request)
    }

    pub fn deadline(&self) -> Option<Moment> {
        self.waiting.front()?.as_ref().map(|(due, _)| *due)
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
        Request { conn: ConnId { slot: 0, generation: 0 }, command, kind: Kind::Publish }
    }

    #[test]
    fn a_request_is_answered_once_in_any_order() {
        let mut requests = Requests::default();
        let ids: Vec<_> = (0..4).map(|n| requests.open(Moment::from_millis(n), request(n as u32))).collect();
        for at in [2, 0, 3, 1] {
            assert_eq!(requests.close(ids[at]).map(|request| request.command), Some(at as u32));
            assert!(requests.close(ids[at]).is_none());
        }
        assert_eq!(requests.deadline(), None);
    }

    #[test]
    fn a_request_without_an_answer_expires() {
        let mut requests = Requests::default();
        requests.open(Moment::from_millis(5), request(1));
        let late = requests.open(Moment::from_millis(9), request(2));
        assert!(requests.expire(Moment::from_millis(4)).is_none());
        assert_eq!(requests.expire(Moment::from_millis(5)).map(|request| request.command), Some(1));
        assert_eq!(requests.deadline(), Some(Moment::from_millis(9)));
        assert!(requests.get_mut(late).is_some());
    }
}
