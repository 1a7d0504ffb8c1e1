//! Whom a token has to come from, and whom it has to be for.
//!
//! Invariant: a pattern has to match the whole text. One that only occurs somewhere in it would let
//! `https://good.example.evil.com` in.

use super::error::Flaw;
use super::keys::KeyProblem;
use super::members::Members;
use regex::Regex;
use std::collections::BTreeMap;

#[derive(Debug, Default)]
pub(super) struct Parties {
    issuer: Party,
    audience: Party,
}

#[derive(Debug, Default)]
enum Party {
    #[default]
    Any,
    Exact(Box<str>),
    Pattern(Regex),
}

/// What named groups of the patterns have matched.
pub(super) type Groups = BTreeMap<Box<str>, Box<str>>;

impl Parties {
    pub(super) fn new(issuer: [&str; 2], audience: [&str; 2]) -> Result<Self, KeyProblem> {
        Ok(Self {
            issuer: Party::new(issuer, "issuer", "issuer_regex")?,
            audience: Party::new(audience, "audience", "audience_regex")?,
        })
    }

    /// Names of the groups that the patterns have.
    pub(super) fn group_names(&self) -> impl Iterator<Item = &str> {
        [&self.issuer, &self.audience].into_iter().flat_map(Party::group_names)
    }

    pub(super) fn check(&self, claims: &Members<'_>) -> Result<Groups, Flaw> {
        let issuer = claims.text("iss")?;
        let audiences = claims.one_or_more("aud")?;
        let mut groups = self.issuer.matches(issuer.as_deref()).ok_or(Flaw::Issuer)?;
        let mut of_audience = match &self.audience {
            Party::Any => Groups::new(),
            Party::Exact(_) | Party::Pattern(_) => audiences
                .iter()
                .find_map(|audience| self.audience.matches(Some(audience)))
                .ok_or(Flaw::Audience)?,
        };
        groups.append(&mut of_audience);
        Ok(groups)
    }
}

impl Party {
    /// From an exact text and a pattern, of which at most one is not empty.
    fn new(
        [exact, pattern]: [&str; 2],
        option: &'static str,
        other: &'static str,
    ) -> Result<Self, KeyProblem> {
        match (exact, pattern) {
            ("", "") => Ok(Self::Any),
            (exact, "") => Ok(Self::Exact(exact.into())),
            ("", pattern) => {
                let whole = Regex::new(&format!("^(?:{pattern})$"));
                // Alone as well: a stray parenthesis must not reach beyond ours.
                let whole = Regex::new(pattern).and(whole);
                whole.map(Self::Pattern).map_err(|error| KeyProblem::Pattern(other, error.to_string()))
            }
            (_, _) => Err(KeyProblem::Both(option, other)),
        }
    }

    fn group_names(&self) -> impl Iterator<Item = &str> {
        let pattern = match self {
            Self::Pattern(pattern) => Some(pattern),
            Self::Any | Self::Exact(_) => None,
        };
        pattern.into_iter().flat_map(|pattern| pattern.capture_names().flatten())
    }

    fn matches(&self, text: Option<&str>) -> Option<Groups> {
        match self {
            Self::Any => Some(Groups::new()),
            Self::Exact(own) => (text == Some(own)).then(Groups::new),
            Self::Pattern(pattern) => {
                let captures = pattern.captures(text?)?;
                let named = pattern.capture_names().flatten();
                Some(
                    named
                        .filter_map(|name| Some((name.into(), captures.name(name)?.as_str().into())))
                        .collect(),
                )
            }
        }
    }
}
