//! The channel that every user of an application has to itself: `#user`, or `namespace:#user`.
//! Invariant: a personal channel lets in exactly the user that it was made for, or it is not made.

use super::Namespaces;
use super::name::{NAMESPACE_BOUNDARY, USER_BOUNDARY};

/// Centrifugo's `client.subscribe_to_user_personal_channel`: users are subscribed to theirs when they connect.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct PersonalChannels {
    pub enabled: bool,
    /// None: the channels without a namespace.
    pub namespace: Option<Box<str>>,
    /// A user's new connection ends its older ones.
    pub single_connection: bool,
}

impl PersonalChannels {
    /// None for a user without an id, and for an id that a name cannot carry: `a,b` would let in the users `a` and `b`,
    /// and `a:b` would name a namespace.
    pub fn name(&self, namespaces: &Namespaces, user: &str) -> Option<String> {
        let name = match &self.namespace {
            Some(namespace) => format!("{namespace}{NAMESPACE_BOUNDARY}{USER_BOUNDARY}{user}"),
            None => format!("{USER_BOUNDARY}{user}"),
        };
        let is_theirs = namespaces.resolve_trusted(&name).is_ok_and(|resolved| {
            resolved.users.is_some_and(|users| users.contains(user) && users.iter().count() == 1)
        });
        is_theirs.then_some(name)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::channels::Policy;
    use proptest::prelude::*;

    fn namespaces() -> Namespaces {
        let policy = || Policy { allow_user_limited_channels: true, ..Policy::default() };
        Namespaces::new(policy(), [(Box::from("me"), policy())], 255).unwrap()
    }

    fn channels(namespace: Option<&str>) -> PersonalChannels {
        PersonalChannels { enabled: true, namespace: namespace.map(Box::from), single_connection: false }
    }

    #[test]
    fn it_carries_the_namespace_and_the_user() {
        assert_eq!(channels(None).name(&namespaces(), "42").as_deref(), Some("#42"));
        assert_eq!(channels(Some("me")).name(&namespaces(), "42").as_deref(), Some("me:#42"));
        assert_eq!(channels(Some("me")).name(&namespaces(), "a:b").as_deref(), Some("me:#a:b"));
    }

    #[test]
    fn an_id_that_would_let_others_in_has_none() {
        for user in ["", "a,b", "a#b", "a,", "a:b"] {
            assert_eq!(channels(None).name(&namespaces(), user), None, "{user:?}");
        }
        assert_eq!(channels(Some("other")).name(&namespaces(), "42"), None, "no such namespace");
    }

    proptest! {
        #[test]
        fn nobody_else_is_let_in(user in "[a-c,#:$]{0,6}", other in "[a-c,#:$]{0,6}") {
            let namespaces = namespaces();
            for channels in [channels(None), channels(Some("me"))] {
                if let Some(name) = channels.name(&namespaces, &user) {
                    let resolved = namespaces.resolve(&name).unwrap();
                    prop_assert!(resolved.allows_user(&user));
                    prop_assert!(!resolved.is_private);
                    prop_assert_eq!(resolved.allows_user(&other), other == user);
                }
            }
        }
    }
}
