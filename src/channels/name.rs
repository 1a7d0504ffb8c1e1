//! What a channel's name says by itself: `$namespace:rest#user,user`.
//! Invariant: every text has exactly one reading. Which namespaces exist is not known here.

/// The parts of a name, as slices of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Name<'a> {
    /// What stands before the first colon.
    pub namespace: Option<&'a str>,
    /// What stands behind it: this is what an operator's pattern is about.
    pub rest: &'a str,
    pub is_private: bool,
    pub users: Option<Users<'a>>,
}

impl<'a> Name<'a> {
    pub fn parse(name: &'a str) -> Self {
        let (is_private, public) = match name.strip_prefix(PRIVATE_PREFIX) {
            Some(public) => (true, public),
            None => (false, name),
        };
        let (namespace, rest) = match public.split_once(NAMESPACE_BOUNDARY) {
            Some((namespace, rest)) => (Some(namespace), rest),
            None => (None, public),
        };
        let users = rest.rsplit_once(USER_BOUNDARY).map(|(_, users)| Users(users));
        Self { namespace, rest, is_private, users }
    }
}

/// The users that a channel is limited to, as its name lists them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Users<'a>(&'a str);

impl<'a> Users<'a> {
    /// Nobody without an id is on a list, not even on an empty one.
    pub fn contains(self, user: &str) -> bool {
        !user.is_empty() && self.iter().any(|listed| listed == user)
    }

    pub fn iter(self) -> impl Iterator<Item = &'a str> {
        self.0.split(USER_SEPARATOR)
    }
}

pub(super) const PRIVATE_PREFIX: char = '$';
pub(super) const NAMESPACE_BOUNDARY: char = ':';
pub(super) const USER_BOUNDARY: char = '#';
const USER_SEPARATOR: char = ',';

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn the_first_colon_ends_the_namespace() {
        for (name, namespace, rest) in [
            ("chat:1", Some("chat"), "1"),
            ("chat:1:2", Some("chat"), "1:2"),
            ("chat", None, "chat"),
            (":x", Some(""), "x"),
            ("x:", Some("x"), ""),
        ] {
            let parsed = Name::parse(name);
            assert_eq!((parsed.namespace, parsed.rest), (namespace, rest), "{name}");
        }
    }

    #[test]
    fn a_dollar_makes_a_name_private_only_at_its_beginning() {
        let private = Name::parse("$chat:1");
        assert_eq!((private.is_private, private.namespace, private.rest), (true, Some("chat"), "1"));
        assert!(!Name::parse("chat:$1").is_private);
        assert_eq!(Name::parse("$$a").rest, "$a");
    }

    #[test]
    fn users_stand_behind_the_last_hash() {
        let users = |name| Name::parse(name).users.map(|users| users.iter().collect::<Vec<_>>());
        assert_eq!(users("dialog#42,43"), Some(vec!["42", "43"]));
        assert_eq!(users("ns:a#1#2"), Some(vec!["2"]));
        assert_eq!(users("#7"), Some(vec!["7"]));
        assert_eq!(users("dialog"), None);
        assert_eq!(users("ns#1:a"), None, "what stands before the colon is a namespace");
    }

    #[test]
    fn nobody_without_an_id_is_listed() {
        for name in ["a#", "a#,", "a#1,,2"] {
            assert!(!Name::parse(name).users.unwrap().contains(""), "{name}");
        }
        assert!(Name::parse("a#1,,2").users.unwrap().contains("2"));
        assert!(!Name::parse("a#12").users.unwrap().contains("1"));
    }

    proptest! {
        #[test]
        fn the_parts_make_up_the_name_again(name in "[$:#,a-c]{0,12}") {
            let Name { namespace, rest, is_private, users } = Name::parse(&name);
            let mut again = String::from(if is_private { "$" } else { "" });
            if let Some(namespace) = namespace {
                prop_assert!(!namespace.contains(':'));
                again += namespace;
                again.push(':');
            }
            again += rest;
            prop_assert_eq!(&again, &name);
            prop_assert_eq!(users.is_some(), rest.contains('#'));
            if let Some(users) = users {
                let list: Vec<_> = users.iter().collect();
                let ending = format!("#{}", list.join(","));
                prop_assert!(rest.ends_with(&ending));
                prop_assert!(list.iter().all(|user| !user.contains('#') && users.contains(user) != user.is_empty()));
            }
        }
    }
}
