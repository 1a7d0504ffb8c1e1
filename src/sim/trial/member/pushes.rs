//! What a member makes of pushes.
//! Invariant: a push belongs to a live subscription, or begins one.

use super::hearing::SERVED_LATER;
use super::{Hearing, Member};
use crate::sim::message::Fields;
use crate::sim::trial::lease::Lease;
use crate::sim::trial::rules::index;
use crate::sim::trial::truth::{Place, Reason};

impl Member {
    pub(super) fn pushed(
        &mut self,
        channel: &str,
        kind: &'static str,
        body: &Fields,
        hearing: &mut Hearing<'_>,
    ) {
        let at = index(channel);
        let standing = at.and_then(|at| self.standings.get_mut(&at));
        let is_live = standing.as_ref().is_some_and(|standing| standing.is_live);
        let begins = kind == "subscribe";
        assert!(
            is_live != begins,
            "member {}: a push without a subscription: {channel} {kind} {body:?}",
            self.number
        );
        let (Some(at), Some(standing)) = (at, standing) else { return };
        match kind {
            "pub" => self.published(at, body, hearing),
            "subscribe" => self.served(at, body, hearing),
            "join" | "leave" => {
                let client = body.one("info").map_or("", |info| info.text("client")).to_owned();
                assert!(!client.is_empty(), "{kind} of nobody");
                let is_there = kind == "join";
                let before = standing.others.insert(client.clone(), is_there);
                assert!(
                    hearing.is_lossy || before != Some(is_there),
                    "member {}: {kind} of {client} twice in {channel}",
                    self.number
                );
            }
            "unsubscribe" => self.expelled(at, body.number("code") as u32, hearing),
            other => assert_eq!(other, "", "a push that nobody provokes: {body:?}"),
        }
    }

    fn expelled(&mut self, channel: usize, code: u32, hearing: &mut Hearing<'_>) {
        hearing.codes.insert(code);
        let Some(standing) = self.standings.get_mut(&channel) else { return };
        let is_due = match code {
            2000 => true,
            // Only lost mail leaves a gap, and a disk that does not agree with its core.
            2500 => (hearing.is_lossy || hearing.is_failing) && !standing.is_server,
            2501 => standing.lease.may_be_over(hearing.unix_ms) && !standing.is_server,
            _ => false,
        };
        let number = self.number;
        assert!(is_due, "member {number} is expelled from {channel} with {code}: {standing:?}");
        (standing.is_live, standing.is_server) = (false, false);
        if code == 2000 {
            (standing.is_wanted, standing.position) = (false, None);
        } else if standing.is_wanted {
            self.subscribe(channel);
        }
    }

    /// The application has subscribed this client.
    fn served(&mut self, channel: usize, body: &Fields, hearing: &mut Hearing<'_>) {
        let rules = &self.desk.rules;
        let Some(standing) = self.standings.get_mut(&channel) else { return };
        assert!(standing.may_be_server, "member {}: nobody asked for {channel}", self.number);
        assert!(body.flag("positioned") && body.flag("recoverable") == rules.mode.recovers(), "{body:?}");
        let (epoch, offset) = (body.text("epoch").to_owned(), body.number("offset"));
        assert!(!epoch.is_empty(), "{body:?}");
        hearing.codes.insert(SERVED_LATER);
        standing.serve();
        standing.begin(hearing.tick, (epoch, offset), false);
        standing.may_repeat_top = rules.mode.is_cached();
        standing.lease = Lease::of(standing.offers.iter().copied());
        standing.token = None;
    }

    /// The next publication of a subscription, live or recovered.
    pub(super) fn published(&mut self, channel: usize, publication: &Fields, hearing: &mut Hearing<'_>) {
        let is_binary = self.is_binary;
        let excluded = self.desk.rules.excludes_sender.then_some(self.number);
        let Some(standing) = self.standings.get_mut(&channel) else { return };
        let Some((epoch, position)) = standing.position.clone() else { return };
        let offset = publication.number("offset");
        let what = format!("member {} at {position} of channel {channel}: {publication:?}", self.number);
        let may_repeat = std::mem::take(&mut standing.may_repeat_top);
        assert!(offset > position || (may_repeat && offset == position), "heard twice: {what}");
        let after = Place { channel, epoch, offset: position };
        hearing.truth.skip(&after, offset, Reason { filter: standing.filter, excluded });
        let told = publication.text("epoch");
        assert!(told.is_empty() || told == after.epoch, "an epoch of another stream: {what}");
        let data = standing.read(publication, is_binary, &what);
        let tag = publication.texts("tags").and_then(|tags| tags.get("t")).map(String::as_str);
        assert!(
            standing.filter.is_none() || standing.filter == tag,
            "not what the filter lets through: {what}"
        );
        let place = Place { offset, ..after };
        standing.position = Some((place.epoch.clone(), offset));
        let number = hearing.truth.heard(&place, &data, tag);
        let author = hearing.truth.written(number).by.map(|by| format!("user-{by}"));
        let info = publication.one("info").map(|info| info.text("user").to_owned());
        assert_eq!(info, author, "{what}");
    }
}
