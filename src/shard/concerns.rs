//! Opening a letter, and what it costs if that fails: whoever waits for an answer gets one, and a channel in doubt is
//! given up openly.
//!
//! Invariant: a letter that asks is answered, whatever becomes of it; nobody on another core waits for a bug of ours.

use super::Shard;
use super::call::{Call, CallId, Failure, Outcome};
use super::durable::Askers;
use super::guarding::channel_of;
use super::mail::{Mail, Reply, RequestId};
use super::requests::Asker;
use super::slicing::LETTER_UNITS;
use super::stream::StreamId;
use crate::failpoint::Point;
use crate::ids::CoreId;
use crate::stats::Work;
use std::sync::Arc;

/// Whom a letter is about.
#[derive(Debug)]
pub(super) enum Concern {
    Nobody,
    Channel(Arc<str>),
    Link {
        from: CoreId,
        request: RequestId,
        channel: Arc<str>,
    },
    Question {
        from: CoreId,
        request: RequestId,
    },
    /// Who waits for the answer that the letter brings, and the channel that it may leave in doubt.
    Answer(Asker, Option<Arc<str>>),
    /// Others who wait for what the store has done.
    Fate {
        channel: Arc<str>,
        askers: Askers,
    },
    Call(CallId),
    Stream(StreamId),
}

impl Shard {
    pub(super) fn opened(&mut self, mail: Mail) {
        self.stats.mail_in += 1;
        self.charge(LETTER_UNITS);
        // The letters of every delivery, without a copy of their channel's name.
        if let Mail::Publication { channel, bulletin } = mail {
            let is_done = self.attempt(Work::Letter, |shard| {
                shard.options.fail.hit(Point::Letter, &channel);
                shard.arrived(&channel, &bulletin);
            });
            if !is_done {
                self.forfeit_named(&channel);
            }
            return;
        }
        let concern = self.concern(&mail);
        if !self.attempt(Work::Letter, |shard| shard.open_letter(mail)) {
            self.failed(concern);
        }
    }

    fn open_letter(&mut self, mail: Mail) {
        match mail {
            Mail::Link { from, request, channel } => {
                self.options.fail.hit(Point::Letter, &channel);
                self.take_link(from, request, &channel);
            }
            Mail::Linked { request, channel, place } => {
                self.close_request(request);
                self.linked(&channel, place);
            }
            Mail::Unlinkable { request, channel } => {
                self.close_request(request);
                self.unlinkable(&channel);
            }
            Mail::Unlink { from, channel } => self.unlinked(from, &channel),
            Mail::Query { from, request, channel, query } => {
                self.options.fail.hit(Point::Letter, &channel);
                self.take_query(from, request, &channel, query);
            }
            Mail::Reply { request, reply } => self.replied(request, reply),
            Mail::Publication { channel, bulletin } => self.arrived(&channel, &bulletin),
            Mail::Presence { channel, came, person } => self.relay_presence(&channel, came, &person),
            Mail::Gap { channel } => self.gap(&channel),
            Mail::Census { from, request, channel } => {
                let people = self.people(&channel);
                self.letters.tell(from, Mail::Counted { request, people });
            }
            Mail::Counted { request, people } => self.counted(request, people),
            Mail::Fate(fate) => self.fated(fate),
            Mail::Call { call, what } => {
                if let Call::Publish { channel, .. } = &*what {
                    self.options.fail.hit(Point::Letter, channel);
                }
                self.called(call, *what);
            }
            Mail::Answer { request, answer } => self.asked(request, *answer),
            Mail::Stream { stream, input } => self.streamed(stream, input),
            Mail::Settings(settings) => self.adopt(settings),
            Mail::StopAccepting => self.outputs.push(super::Output::StopAccepting),
            Mail::Drain { window } => self.start_drain(window),
        }
    }

    fn concern(&mut self, mail: &Mail) -> Concern {
        match mail {
            Mail::Link { from, request, channel } => {
                Concern::Link { from: *from, request: *request, channel: Arc::clone(channel) }
            }
            Mail::Query { from, request, .. } => Concern::Question { from: *from, request: *request },
            Mail::Linked { channel, .. }
            | Mail::Unlinkable { channel, .. }
            | Mail::Unlink { channel, .. }
            | Mail::Gap { channel }
            | Mail::Publication { channel, .. } => Concern::Channel(Arc::clone(channel)),
            Mail::Reply { request, .. } | Mail::Counted { request, .. } | Mail::Answer { request, .. } => {
                match self.requests.get_mut(*request) {
                    Some(request) => Concern::Answer(request.asker, channel_of(&request.kind)),
                    None => Concern::Nobody,
                }
            }
            Mail::Fate(fate) => match self.waiting_for(fate) {
                Some((channel, askers)) => Concern::Fate { channel, askers },
                None => Concern::Nobody,
            },
            Mail::Call { call, .. } => Concern::Call(*call),
            Mail::Stream { stream, .. } => Concern::Stream(*stream),
            // Word of who comes and goes is never promised; whoever takes the census has a deadline.
            Mail::Presence { .. }
            | Mail::Census { .. }
            | Mail::Settings(_)
            | Mail::StopAccepting
            | Mail::Drain { .. } => Concern::Nobody,
        }
    }

    pub(super) fn failed(&mut self, concern: Concern) {
        match concern {
            Concern::Nobody => {}
            Concern::Channel(channel) => {
                self.fail_link(&channel);
                self.forfeit_named(&channel);
            }
            Concern::Link { from, request, channel } => {
                // It asks once, and waits for ever. The gap makes whoever is let in come again.
                self.attempt(Work::Repair, |shard| {
                    let policy = shard.policy_of(&channel).unwrap_or_default();
                    let id = shard.hub.open(&channel, &policy);
                    shard.hub.add_remote(id, from);
                });
                self.letters.tell(from, Mail::Linked { request, channel: Arc::clone(&channel), place: None });
                self.letters.tell(from, Mail::Gap { channel });
            }
            Concern::Question { from, request } => {
                self.attempt(Work::Repair, |shard| {
                    shard.reply_to(from, request, Reply::Failed(Failure::Internal));
                });
            }
            Concern::Answer(asker, channel) => self.lose_asker(asker, channel),
            Concern::Fate { channel, askers } => {
                self.attempt(Work::Repair, |shard| shard.load_failed(&channel));
                for (from, request) in askers {
                    self.attempt(Work::Repair, |shard| {
                        shard.reply_to(from, request, Reply::Failed(Failure::Internal));
                    });
                }
                self.forfeit_named(&channel);
            }
            Concern::Call(call) => self.answer_call(call, Outcome::Failed(Failure::Internal)),
            Concern::Stream(stream) => {
                if let Some(&id) = self.streams.get(&stream) {
                    self.lose(id);
                }
            }
        }
    }
}
