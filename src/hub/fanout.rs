//! Delivering to the members of a channel: a walk over a dense array, with everything else behind the sink.
//!
//! Invariant: every member that its filter lets through gets exactly one payload or is named unfit; a form is framed
//! once however many members share it.

use super::filters::Filters;
use super::member::{FilterId, Form, Member};
use crate::payload::Payload;
use crate::publication::Tags;

/// What a shard does for a fan-out. The hub owns the trait, so that a test can use a `Vec`.
pub trait Sink {
    /// The publication in this form; as a patch if it is one and can be. None: it has no such form.
    fn frame(&mut self, form: Form, look: Look) -> Option<Payload>;

    fn deliver(&mut self, slot: u32, payload: &Payload);

    /// The publication has no form that this member could read.
    fn unfit(&mut self, slot: u32);
}

/// How a member that negotiated patches sees its data.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Look {
    /// It did not negotiate them.
    Plain,
    /// The whole, as a base for later patches.
    Whole,
    /// As a patch on the publication before, or whole if that is no shorter.
    Patch,
}

/// What a fan-out did.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Walked {
    pub delivered: u32,
    pub filtered: u32,
    pub unfit: u32,
}

/// Nobody has this slot.
pub const NOBODY: u32 = u32::MAX;

/// A publication to everyone whose filter lets its tags through. `exclude` is the slot of the publisher if it does not
/// want its own back, else `NOBODY`.
pub(super) fn fan_out(
    members: &mut [Member],
    filters: Option<&Filters>,
    tags: &Tags,
    exclude: u32,
    sink: &mut impl Sink,
) -> Walked {
    let mut made = Made::default();
    let mut verdicts = Verdicts { filters, tags, known: Vec::new() };
    let mut walked = Walked::default();
    for member in members {
        if member.slot == exclude || (member.filter != FilterId::NONE && !verdicts.passes(member.filter)) {
            walked.filtered += 1;
            // The next patch would be one on what it does not have.
            member.unbase();
            continue;
        }
        let look = match (member.takes_patches(), member.is_based()) {
            (false, _) => Look::Plain,
            (true, false) => Look::Whole,
            (true, true) => Look::Patch,
        };
        let Some(payload) = made.get(member.form, look, sink) else {
            walked.unfit += 1;
            sink.unfit(member.slot);
            continue;
        };
        walked.delivered += 1;
        sink.deliver(member.slot, payload);
        member.rebase();
    }
    walked
}

/// Word of who comes and goes, to those who want it.
pub(super) fn announce(members: &[Member], sink: &mut impl Sink) -> Walked {
    let mut made = Made::default();
    let mut walked = Walked::default();
    for member in members.iter().filter(|member| member.hears_joins()) {
        if let Some(payload) = made.get(member.form, Look::Plain, sink) {
            walked.delivered += 1;
            sink.deliver(member.slot, payload);
        }
    }
    walked
}

/// What each filter says of one publication.
struct Verdicts<'a> {
    filters: Option<&'a Filters>,
    tags: &'a Tags,
    known: Vec<(FilterId, bool)>,
}

impl Verdicts<'_> {
    fn passes(&mut self, id: FilterId) -> bool {
        if let Some((_, verdict)) = self.known.iter().find(|(known, _)| *known == id) {
            return *verdict;
        }
        let verdict = self.filters.is_none_or(|filters| filters.passes(id, self.tags));
        self.known.push((id, verdict));
        verdict
    }
}

/// Members of one form and look get the same payload.
#[derive(Default)]
struct Made {
    forms: Vec<(Form, Look, Option<Payload>)>,
    /// Where the last one was found: neighbours mostly share it.
    last: usize,
}

impl Made {
    #[inline]
    fn get(&mut self, form: Form, look: Look, sink: &mut impl Sink) -> Option<&Payload> {
        let is_it = |made: &(Form, Look, Option<Payload>)| made.0 == form && made.1 == look;
        if !self.forms.get(self.last).is_some_and(is_it) {
            self.last = self.forms.iter().position(is_it).unwrap_or_else(|| {
                self.forms.push((form, look, sink.frame(form, look)));
                self.forms.len() - 1
            });
        }
        self.forms.get(self.last)?.2.as_ref()
    }
}
