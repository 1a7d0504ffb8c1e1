//! Which publications a subscriber wants: conditions on their tags.
//!
//! Invariant: a `Filter` is valid and within its limits from the moment it exists, so that `matches` cannot fail and
//! costs a bounded time. Filters that differ in nothing but how their numbers or lists are written are equal, so that
//! one evaluation serves all who have it. Knows nothing of channels or subscribers.

mod compile;
mod decimal;
mod leaf;
#[cfg(test)]
mod tests;

pub use compile::FilterError;

use crate::proto::command::FilterNode;
use leaf::Leaf;

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Filter(Node);

impl Filter {
    /// Errors are the client's.
    pub fn compile(node: &FilterNode<'_>) -> Result<Self, FilterError> {
        compile::compile(node).map(Self)
    }

    pub fn matches(&self, tags: &[(Box<str>, Box<str>)]) -> bool {
        self.0.matches(tags)
    }
}

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
enum Node {
    Leaf(Leaf),
    /// One or more.
    And(Box<[Node]>),
    /// One or more.
    Or(Box<[Node]>),
    Not(Box<Node>),
}

impl Node {
    /// As deep as `FILTER_DEPTH_MAX` at most.
    fn matches(&self, tags: &[(Box<str>, Box<str>)]) -> bool {
        match self {
            Self::Leaf(leaf) => leaf.matches(tags),
            Self::And(nodes) => nodes.iter().all(|node| node.matches(tags)),
            Self::Or(nodes) => nodes.iter().any(|node| node.matches(tags)),
            Self::Not(node) => !node.matches(tags),
        }
    }
}
