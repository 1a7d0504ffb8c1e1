//! Filters on the tags of publications.
//! Invariant: compiled once, evaluated without an allocation.

use crate::proto::command::FilterNode;
use crate::publication::Tags;

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Filter {
    And(Vec<Filter>),
    Or(Vec<Filter>),
    Not(Box<Filter>),
    Eq(Box<str>, Box<str>),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Invalid;

impl Filter {
    pub fn compile(node: &FilterNode<'_>) -> Result<Self, Invalid> {
        let nodes = || node.nodes.iter().map(Self::compile).collect::<Result<Vec<_>, _>>();
        match (&*node.op, &*node.cmp) {
            ("and", _) => nodes().map(Self::And),
            ("or", _) => nodes().map(Self::Or),
            ("not", _) => nodes()?.pop().map(|node| Self::Not(Box::new(node))).ok_or(Invalid),
            ("", "eq") => Ok(Self::Eq(Box::from(&*node.key), Box::from(&*node.val))),
            _ => Err(Invalid),
        }
    }

    pub fn matches(&self, tags: &Tags) -> bool {
        match self {
            Self::And(nodes) => nodes.iter().all(|node| node.matches(tags)),
            Self::Or(nodes) => nodes.iter().any(|node| node.matches(tags)),
            Self::Not(node) => !node.matches(tags),
            Self::Eq(key, value) => tags.iter().any(|(other, tag)| other == key && tag == value),
        }
    }
}
