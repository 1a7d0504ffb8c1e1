//! Publications that back ends decide about take effect in the order in which their client sent them, channel by channel,
//! however fast each decision comes.
//!
//! Invariant: a publication holds its place in line from the question to its turn, and its weight with its client as long:
//! what waits behind a slow decision is bounded by what a client may have waiting. Every place is given up, by an answer or
//! by the deadline of its question.

use super::Shard;
use super::ask::Answer;
use super::mail::RequestId;
use super::requests::{Asker, Kind, Request};
use crate::ids::ConnId;
use std::collections::{HashMap, VecDeque};
use std::sync::Arc;

#[derive(Debug, Default)]
pub(super) struct Turns {
    lines: HashMap<(ConnId, Arc<str>), VecDeque<Place>>,
}

#[derive(Debug)]
struct Place {
    request: RequestId,
    /// None: nobody has decided yet.
    decided: Option<(Request, Answer)>,
}

impl Turns {
    /// A question has been asked.
    pub(super) fn join(&mut self, conn: ConnId, channel: Arc<str>, request: RequestId) {
        self.lines.entry((conn, channel)).or_default().push_back(Place { request, decided: None });
    }

    fn decide(&mut self, line: &(ConnId, Arc<str>), id: RequestId, request: Request, answer: Answer) {
        let place =
            self.lines.get_mut(line).and_then(|line| line.iter_mut().find(|place| place.request == id));
        if let Some(place) = place {
            place.decided = Some((request, answer));
        }
    }

    /// The next one of this line whose turn has come.
    fn next(&mut self, line: &(ConnId, Arc<str>)) -> Option<(Request, Answer)> {
        let places = self.lines.get_mut(line)?;
        let decided = places.front_mut()?.decided.take()?;
        places.pop_front();
        if places.is_empty() {
            self.lines.remove(line);
        }
        Some(decided)
    }
}

impl Shard {
    /// A back end has decided about a publication, or nobody has in time.
    pub(super) fn publication_decided(&mut self, id: RequestId, request: Request, answer: Answer) {
        let (Asker::Client { conn, .. }, Kind::PublishHook { channel, .. }) = (request.asker, &request.kind)
        else {
            return;
        };
        let line = (conn, Arc::clone(channel));
        self.turns.decide(&line, id, request, answer);
        while let Some((request, answer)) = self.turns.next(&line) {
            self.settle_request(&request);
            let is_open = self.conns.get(conn).is_some_and(crate::conn::Conn::is_open);
            let (Asker::Client { command, .. }, true) = (request.asker, is_open) else { continue };
            if let Kind::PublishHook { channel, publish } = request.kind {
                self.publish_answered(conn, command, &channel, *publish, answer);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::shard::call::Publish;

    const CONN: ConnId = ConnId { slot: 1, generation: 1 };

    fn request(command: u32, channel: &Arc<str>) -> Request {
        let kind = Kind::PublishHook { channel: Arc::clone(channel), publish: Box::<Publish>::default() };
        Request { asker: Asker::Client { conn: CONN, command }, kind }
    }

    fn taken(turns: &mut Turns, channel: &Arc<str>) -> Vec<u32> {
        let line = (CONN, Arc::clone(channel));
        std::iter::from_fn(|| turns.next(&line))
            .map(|(request, _)| match request.asker {
                Asker::Client { command, .. } => command,
                Asker::Call(_) | Asker::Shard => 0,
            })
            .collect()
    }

    #[test]
    fn decisions_wait_for_those_before_them_and_lines_do_not_wait_for_each_other() {
        let mut turns = Turns::default();
        let (a, b): (Arc<str>, Arc<str>) = (Arc::from("a"), Arc::from("b"));
        for (id, channel) in [(1, &a), (2, &a), (3, &b), (4, &a)] {
            turns.join(CONN, Arc::clone(channel), RequestId(id));
        }
        let mut decide = |id: u64, channel: &Arc<str>| {
            let line = (CONN, Arc::clone(channel));
            turns.decide(&line, RequestId(id), request(id as u32, channel), Answer::Failed);
            taken(&mut turns, channel)
        };
        assert_eq!(decide(2, &a), [0; 0]);
        assert_eq!(decide(3, &b), [3]);
        assert_eq!(decide(1, &a), [1, 2]);
        assert_eq!(decide(4, &a), [4]);
        assert!(turns.lines.is_empty());
    }
}
