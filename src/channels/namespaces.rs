//! All namespaces of a node: from a channel's name to the policy that holds there.
//!
//! Invariant: what comes before the first colon names a namespace or nothing; a name without a colon belongs to the
//! channels without one. Immutable: a change of the configuration makes a new value.

use super::Policy;
use super::name::{NAMESPACE_BOUNDARY, Name, Users};
use crate::limits::CHANNEL_NAME_BYTES_MAX;
use hashbrown::HashMap;
use std::sync::Arc;

#[derive(Clone, Debug)]
pub struct Namespaces {
    without: Arc<Policy>,
    named: HashMap<Box<str>, Arc<Policy>>,
    name_bytes_max: usize,
}

/// A legal name, understood.
#[derive(Clone, Copy, Debug)]
pub struct Resolved<'a> {
    /// Borrowed, so that a look-up touches no counter that cores share; whoever keeps it clones it.
    pub policy: &'a Arc<Policy>,
    /// The name begins with `$`: only a subscription token opens it.
    pub is_private: bool,
    /// The name has a `#`: these users and nobody else.
    pub users: Option<Users<'a>>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NameError {
    #[error("the channel name is empty")]
    Empty,
    #[error("the channel name is too long")]
    TooLong,
    #[error("there is no such namespace")]
    Unknown,
    #[error("the channel name has characters that its namespace does not allow")]
    Malformed,
}

#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("two namespaces are called `{0}`")]
pub struct DuplicateNamespace(pub Box<str>);

impl Namespaces {
    /// `name_bytes_max` is capped by what every other part of the server was built for.
    pub fn new(
        without: Policy,
        named: impl IntoIterator<Item = (Box<str>, Policy)>,
        name_bytes_max: usize,
    ) -> Result<Self, DuplicateNamespace> {
        let mut policies = HashMap::new();
        for (name, policy) in named {
            if policies.insert(name.clone(), Arc::new(policy)).is_some() {
                return Err(DuplicateNamespace(name));
            }
        }
        let name_bytes_max = name_bytes_max.min(CHANNEL_NAME_BYTES_MAX);
        Ok(Self { without: Arc::new(without), named: policies, name_bytes_max })
    }

    /// No namespaces, one policy for all channels.
    pub fn uniform(policy: Policy) -> Self {
        Self { without: Arc::new(policy), named: HashMap::new(), name_bytes_max: CHANNEL_NAME_BYTES_MAX }
    }

    /// For names that clients send.
    pub fn resolve<'a>(&'a self, name: &'a str) -> Result<Resolved<'a>, NameError> {
        let (resolved, rest) = self.look_up(name)?;
        if resolved.policy.is_legal(name, rest) { Ok(resolved) } else { Err(NameError::Malformed) }
    }

    /// For names from the application itself, which is free to use characters that clients may not.
    pub fn resolve_trusted<'a>(&'a self, name: &'a str) -> Result<Resolved<'a>, NameError> {
        self.look_up(name).map(|(resolved, _)| resolved)
    }

    /// The policy of a namespace, or of the channels without one.
    pub fn policy(&self, namespace: Option<&str>) -> Option<&Arc<Policy>> {
        match namespace {
            Some(namespace) => self.named.get(namespace),
            None => Some(&self.without),
        }
    }

    /// In no particular order; the channels without a namespace come as `None`.
    pub fn iter(&self) -> impl Iterator<Item = (Option<&str>, &Arc<Policy>)> {
        let named = self.named.iter().map(|(name, policy)| (Some(&**name), policy));
        std::iter::once((None, &self.without)).chain(named)
    }

    /// Whether `name` can name a namespace at all: two or more letters, digits, `-`, `_` or `.`.
    pub fn is_namespace_name(name: &str) -> bool {
        let legal = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.');
        (2..=CHANNEL_NAME_BYTES_MAX / 2).contains(&name.len()) && name.bytes().all(legal)
    }

    fn look_up<'a>(&'a self, name: &'a str) -> Result<(Resolved<'a>, &'a str), NameError> {
        if name.is_empty() {
            return Err(NameError::Empty);
        }
        if name.len() > self.name_bytes_max {
            return Err(NameError::TooLong);
        }
        let Name { namespace, rest, is_private, users } = Name::parse(name);
        let policy = self.policy(namespace).ok_or(NameError::Unknown)?;
        Ok((Resolved { policy, is_private, users }, rest))
    }
}

impl Resolved<'_> {
    /// The list in the name lets this user in, and the namespace honours such lists.
    pub fn allows_user(&self, user: &str) -> bool {
        self.policy.allow_user_limited_channels && self.users.is_some_and(|users| users.contains(user))
    }

    /// Private or limited to users: no switch of the namespace opens it for everybody, even where lists are not honoured.
    pub const fn is_reserved(&self) -> bool {
        self.is_private || self.users.is_some()
    }
}

impl Default for Namespaces {
    fn default() -> Self {
        Self::uniform(Policy::default())
    }
}

/// A colon inside the name of a namespace could never be found again.
const _: () = assert!(!NAMESPACE_BOUNDARY.is_ascii_alphanumeric());

#[cfg(test)]
mod tests {
    use super::*;
    use crate::channels::Permission;
    use proptest::prelude::*;
    use regex::Regex;

    /// Tells policies apart by their history size.
    fn sized(history_size: u32) -> Policy {
        Policy { history_size, allow_user_limited_channels: true, ..Policy::default() }
    }

    fn namespaces() -> Namespaces {
        let words = Policy { channel_regex: Some(Regex::new("^[a-zà-ž]+$").unwrap()), ..Policy::default() };
        let closed = Policy { allow_user_limited_channels: false, ..sized(3) };
        let named = [("chat", sized(2)), ("words", words), ("closed", closed)];
        Namespaces::new(sized(1), named.map(|(name, policy)| (Box::from(name), policy)), 40).unwrap()
    }

    fn size_of(name: &str) -> Result<u32, NameError> {
        namespaces().resolve(name).map(|resolved| resolved.policy.history_size)
    }

    #[test]
    fn a_name_without_a_colon_belongs_to_no_namespace() {
        assert_eq!(size_of("news"), Ok(1));
        assert_eq!(size_of("chat"), Ok(1), "a namespace is not a channel of itself");
    }

    #[test]
    fn the_first_colon_names_the_namespace() {
        assert_eq!(size_of("chat:1"), Ok(2));
        assert_eq!(size_of("chat:closed:1"), Ok(2));
        assert_eq!(size_of("chat:"), Ok(2));
    }

    #[test]
    fn a_namespace_that_nobody_configured_is_unknown() {
        for name in ["chats:1", "Chat:1", ":1", "$:1", "chat#1:1"] {
            assert_eq!(size_of(name), Err(NameError::Unknown), "{name}");
        }
    }

    #[test]
    fn the_dollar_of_a_private_channel_is_no_part_of_its_namespace() {
        let namespaces = namespaces();
        let private = namespaces.resolve("$chat:1").unwrap();
        assert!(private.is_private && private.is_reserved() && private.policy.history_size == 2);
        let plain = namespaces.resolve("chat:$1").unwrap();
        assert!(!plain.is_private && !plain.is_reserved());
    }

    #[test]
    fn a_user_is_let_in_where_the_name_lists_it_and_the_namespace_honours_lists() {
        let namespaces = namespaces();
        let dialog = namespaces.resolve("chat:dialog#42,43").unwrap();
        assert!(dialog.allows_user("42") && dialog.allows_user("43"));
        for stranger in ["", "4", "42,43", "44", "#42"] {
            assert!(!dialog.allows_user(stranger), "{stranger:?}");
        }
        assert!(!namespaces.resolve("chat:dialog").unwrap().allows_user("42"), "no list lets nobody in");
        let dishonoured = namespaces.resolve("closed:dialog#42").unwrap();
        assert!(!dishonoured.allows_user("42"));
        assert!(dishonoured.is_reserved(), "and still it is not for everybody");
    }

    #[test]
    fn names_are_printable_ascii_unless_a_pattern_says_otherwise() {
        assert_eq!(size_of("two words"), Ok(1));
        for name in ["na\u{ef}ve", "a\nb", "a\0", "a\u{7f}", "chat:\u{fc}"] {
            assert_eq!(size_of(name), Err(NameError::Malformed), "{name:?}");
        }
        assert_eq!(size_of("words:na\u{ef}ve"), Ok(0));
        for name in ["words:two words", "words:", "words:a1", "words:a\n"] {
            assert_eq!(size_of(name), Err(NameError::Malformed), "{name:?}");
        }
    }

    #[test]
    fn the_application_may_use_characters_that_clients_may_not() {
        let namespaces = namespaces();
        assert!(namespaces.resolve_trusted("words:A1").is_ok());
        assert!(namespaces.resolve_trusted("nope:1").is_err());
        assert_eq!(namespaces.resolve_trusted("").unwrap_err(), NameError::Empty);
    }

    #[test]
    fn length_is_counted_in_bytes() {
        assert_eq!(size_of(""), Err(NameError::Empty));
        assert_eq!(size_of(&"x".repeat(40)), Ok(1));
        assert_eq!(size_of(&"x".repeat(41)), Err(NameError::TooLong));
        let long = "x".repeat(CHANNEL_NAME_BYTES_MAX + 1);
        let generous = Namespaces::new(sized(1), [], usize::MAX).unwrap();
        assert_eq!(generous.resolve(&long).unwrap_err(), NameError::TooLong);
        assert!(generous.resolve(&long[1..]).is_ok());
    }

    #[test]
    fn two_namespaces_cannot_share_a_name() {
        let twice = [("chat", sized(1)), ("chat", sized(2))].map(|(name, policy)| (Box::from(name), policy));
        let error = Namespaces::new(sized(0), twice, 255).unwrap_err();
        assert_eq!(error, DuplicateNamespace(Box::from("chat")));
    }

    #[test]
    fn a_namespace_has_a_name_that_a_channel_can_carry() {
        for name in ["chat", "a-b_c.d", "42"] {
            assert!(Namespaces::is_namespace_name(name), "{name}");
        }
        for name in ["", "a", "a b", "a:b", "$a", "a#b", "na\u{ef}ve", &"x".repeat(128)] {
            assert!(!Namespaces::is_namespace_name(name), "{name}");
        }
    }

    #[test]
    fn every_policy_can_be_listed() {
        let mut all: Vec<_> = namespaces().iter().map(|(name, _)| name.map(str::to_owned)).collect();
        all.sort();
        let named = |name: &str| Some(name.to_owned());
        assert_eq!(all, [None, named("chat"), named("closed"), named("words")]);
    }

    proptest! {
        #[test]
        fn any_text_resolves_or_is_refused_for_a_reason(name in ".{0,48}") {
            let all = Namespaces::new(Policy::open(), [], 40).unwrap();
            let legal = name.chars().all(|c| c.is_ascii_graphic() || c == ' ');
            match all.resolve(&name) {
                Ok(_) => prop_assert!(!name.is_empty() && name.len() <= 40 && legal && !name.contains(':')),
                Err(NameError::Empty) => prop_assert!(name.is_empty()),
                Err(NameError::TooLong) => prop_assert!(name.len() > 40),
                Err(NameError::Unknown) => prop_assert!(name.contains(':')),
                Err(NameError::Malformed) => prop_assert!(!legal),
            }
        }

        /// Whoever is let in stands in the name, letter for letter.
        #[test]
        fn nobody_is_let_in_who_is_not_listed(name in "[a-c,#$:]{1,16}", user in "[a-c,#]{0,4}") {
            let all = Namespaces::uniform(Policy {
                allow_user_limited_channels: true,
                subscribe: Permission::ALL,
                ..Policy::default()
            });
            if let Ok(resolved) = all.resolve(&name) && resolved.allows_user(&user) {
                prop_assert!(!user.is_empty() && !user.contains([',', '#']));
                let list = name.rsplit('#').next().unwrap_or_default();
                prop_assert!(name.contains('#') && list.split(',').any(|listed| listed == user));
                prop_assert!(resolved.is_reserved());
            }
        }
    }
}
