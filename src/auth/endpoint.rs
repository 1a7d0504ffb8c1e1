//! Where key sets are published: an address in which `{{name}}` stands for a named group of the issuer's or the
//! audience's pattern.
//!
//! Invariant: what a token says can choose a path below the configured host, one plain segment a group, and never another
//! host, port, scheme, parent folder or query. Whoever writes tokens does not choose whom we call.

use super::keys::KeyProblem;
use super::parties::{Groups, Parties};

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Endpoint(Vec<Part>);

#[derive(Clone, Debug, PartialEq, Eq)]
enum Part {
    Text(Box<str>),
    Group(Box<str>),
}

impl Endpoint {
    pub(super) fn new(template: &str, parties: &Parties) -> Result<Self, KeyProblem> {
        let unfit = || KeyProblem::Endpoint;
        let behind_scheme = ["https://", "http://"].iter().find_map(|scheme| template.strip_prefix(scheme));
        let behind_scheme = behind_scheme.ok_or_else(unfit)?;
        let host = behind_scheme.split(['/', '?', '#']).next().unwrap_or_default();
        let plain =
            |c: char| c.is_ascii_graphic() && !matches!(c, '"' | '<' | '>' | '\\' | '^' | '`' | '|' | '#');
        if host.is_empty() || host.contains(['{', '}', '@']) || !template.chars().all(plain) {
            return Err(unfit());
        }
        let mut parts = Vec::new();
        let mut rest = template;
        while let Some((before, behind)) = rest.split_once("{{") {
            let (name, behind) = behind.split_once("}}").ok_or_else(unfit)?;
            if !parties.group_names().any(|known| known == name) {
                return Err(KeyProblem::Group(name.into()));
            }
            parts.push(Part::Text(before.into()));
            parts.push(Part::Group(name.into()));
            rest = behind;
        }
        if rest.contains(['{', '}']) {
            return Err(unfit());
        }
        parts.push(Part::Text(rest.into()));
        Ok(Self(parts))
    }

    /// The address, if it is the same for all tokens.
    pub fn fixed(&self) -> Option<&str> {
        match self.0.as_slice() {
            [Part::Text(address)] => Some(address),
            [] | [_, ..] => None,
        }
    }

    /// The address for what a token's issuer and audience matched.
    pub(super) fn resolve(&self, groups: &Groups) -> Option<Box<str>> {
        let mut address = String::new();
        for part in &self.0 {
            match part {
                Part::Text(text) => address.push_str(text),
                Part::Group(name) => address.push_str(groups.get(name).filter(|value| is_segment(value))?),
            }
        }
        Some(address.into())
    }
}

/// Characters that need no escape in a path (RFC 3986 section 2.3), and no way upwards.
fn is_segment(value: &str) -> bool {
    let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.' | '~');
    (1..=GROUP_BYTES_MAX).contains(&value.len())
        && value.chars().all(plain)
        && !value.contains("..")
        && value != "."
}

/// Names of tenants and realms are short.
const GROUP_BYTES_MAX: usize = 128;
