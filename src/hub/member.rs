//! One subscriber in a channel's dense array: eight bytes that a fan-out reads in order.
//! Invariant: everything that decides whether and in which form a member gets a publication stands in here, so that a
//! delivery touches nothing else of the subscription.

/// Members of the same form get the same bytes. What a form means is the shard's business.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Form(pub u8);

/// A filter of its channel; none: every publication passes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct FilterId(pub u16);

impl FilterId {
    pub const NONE: Self = Self(0);
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Member {
    /// Of the connection.
    pub slot: u32,
    pub form: Form,
    traits: u8,
    pub filter: FilterId,
}

const JOIN_LEAVE: u8 = 1;
const DELTA: u8 = 2;
const BASED: u8 = 4;

impl Member {
    pub fn new(slot: u32, form: Form) -> Self {
        Self { slot, form, ..Self::default() }
    }

    #[must_use]
    pub fn with_filter(self, filter: FilterId) -> Self {
        Self { filter, ..self }
    }

    /// Is told who comes and goes.
    #[must_use]
    pub fn hearing_joins(self, hears: bool) -> Self {
        self.with(JOIN_LEAVE, hears)
    }

    /// Takes patches on the publication before; `based`: it has that one.
    #[must_use]
    pub fn taking_patches(self, takes: bool, based: bool) -> Self {
        self.with(DELTA, takes).with(BASED, takes && based)
    }

    pub fn hears_joins(self) -> bool {
        self.traits & JOIN_LEAVE != 0
    }

    pub fn takes_patches(self) -> bool {
        self.traits & DELTA != 0
    }

    /// Has the publication before, so that a patch on it makes sense.
    pub fn is_based(self) -> bool {
        self.traits & BASED != 0
    }

    pub(super) fn rebase(&mut self) {
        self.traits |= BASED;
    }

    pub(super) fn unbase(&mut self) {
        self.traits &= !BASED;
    }

    fn with(mut self, bit: u8, on: bool) -> Self {
        self.traits = if on { self.traits | bit } else { self.traits & !bit };
        self
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_member_is_eight_bytes() {
        assert_eq!(size_of::<Member>(), 8);
    }
}
