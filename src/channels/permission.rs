//! Who may do one thing in a channel.
//! Invariant: an anonymous user passes only where anonymous users are named, whatever else is open.

/// `for_client` and `for_subscriber` open the door, `for_anonymous` lets users without an id through it too.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Permission {
    pub for_client: bool,
    pub for_subscriber: bool,
    pub for_anonymous: bool,
}

impl Permission {
    pub const ALL: Self = Self { for_client: true, for_subscriber: true, for_anonymous: true };

    pub const fn allows(self, is_anonymous: bool, is_subscriber: bool) -> bool {
        (self.for_client || (self.for_subscriber && is_subscriber)) && (self.for_anonymous || !is_anonymous)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn anonymous_users_need_a_permission_of_their_own() {
        let permission = Permission { for_client: true, for_subscriber: false, for_anonymous: false };
        assert!(permission.allows(false, false));
        assert!(!permission.allows(true, true));
    }

    #[test]
    fn subscribers_may_do_what_strangers_may_not() {
        let permission = Permission { for_client: false, for_subscriber: true, for_anonymous: true };
        assert!(permission.allows(true, true));
        assert!(!permission.allows(false, false));
    }
}
