//! From what a client sent to a filter, or what is wrong with it.
//! Invariant: the tree is never walked deeper or further than the limits allow.

use super::Node;
use super::decimal::Decimal;
use super::leaf::{Leaf, Relation, Test};
use crate::limits::{FILTER_BYTES_MAX, FILTER_DEPTH_MAX, FILTER_NODE_COUNT_MAX};
use crate::proto::command::FilterNode;
use thiserror::Error;

/// What is wrong with a client's filter: a bad request.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum FilterError {
    #[error("too deeply nested")]
    TooDeep,
    #[error("too many conditions and values")]
    TooMany,
    #[error("keys and values are too long together")]
    TooLong,
    #[error("an unknown operation")]
    UnknownOperation,
    #[error("an unknown comparison")]
    UnknownComparison,
    #[error("a condition without a key")]
    NoKey,
    #[error("a condition without the value that it compares with")]
    NoValue,
    #[error("a condition with a value that it has no use for")]
    SurplusValue,
    #[error("`and` and `or` need a child, `not` exactly one")]
    Children,
}

pub(super) fn compile(node: &FilterNode<'_>) -> Result<Node, FilterError> {
    Budget { nodes: FILTER_NODE_COUNT_MAX, bytes: FILTER_BYTES_MAX }.node(node, FILTER_DEPTH_MAX)
}

#[derive(Clone, Copy)]
enum Operation {
    Leaf,
    And,
    Or,
    Not,
}

#[derive(Clone, Copy)]
enum Comparison {
    Eq,
    Neq,
    In,
    Nin,
    Ex,
    Nex,
    Sw,
    Ew,
    Ct,
    Number(Relation),
}

/// What the tree may still have.
struct Budget {
    nodes: u32,
    bytes: usize,
}

impl Budget {
    fn node(&mut self, node: &FilterNode<'_>, depth: u32) -> Result<Node, FilterError> {
        let depth = depth.checked_sub(1).ok_or(FilterError::TooDeep)?;
        self.spend(1)?;
        Ok(match operation(&node.op)? {
            Operation::Leaf => Node::Leaf(self.leaf(node)?),
            Operation::And => Node::And(self.children(&node.nodes, depth)?),
            Operation::Or => Node::Or(self.children(&node.nodes, depth)?),
            Operation::Not => {
                let [child] = &node.nodes[..] else { return Err(FilterError::Children) };
                Node::Not(Box::new(self.node(child, depth)?))
            }
        })
    }

    fn children(&mut self, nodes: &[FilterNode<'_>], depth: u32) -> Result<Box<[Node]>, FilterError> {
        if nodes.is_empty() {
            return Err(FilterError::Children);
        }
        nodes.iter().map(|node| self.node(node, depth)).collect()
    }

    fn leaf(&mut self, node: &FilterNode<'_>) -> Result<Leaf, FilterError> {
        let test = match comparison(&node.cmp)? {
            Comparison::Eq => Test::Equal(self.value(node)?),
            Comparison::Neq => Test::NotEqual(self.value(node)?),
            Comparison::In => Test::In(self.values(node)?),
            Comparison::Nin => Test::NotIn(self.values(node)?),
            Comparison::Ex => no_value(node, Test::Exists)?,
            Comparison::Nex => no_value(node, Test::NotExists)?,
            Comparison::Sw => Test::StartsWith(self.value(node)?),
            Comparison::Ew => Test::EndsWith(self.value(node)?),
            Comparison::Ct => Test::Contains(self.value(node)?),
            Comparison::Number(relation) => Test::Number(relation, Decimal::parse(&self.value(node)?)),
        };
        // Whether a tag of no name exists is a question that can be asked.
        if node.key.is_empty() && !matches!(test, Test::Exists | Test::NotExists) {
            return Err(FilterError::NoKey);
        }
        Ok(Leaf { key: self.text(&node.key)?, test })
    }

    fn value(&mut self, node: &FilterNode<'_>) -> Result<Box<str>, FilterError> {
        if node.val.is_empty() {
            return Err(FilterError::NoValue);
        }
        if !node.vals.is_empty() {
            return Err(FilterError::SurplusValue);
        }
        self.text(&node.val)
    }

    fn values(&mut self, node: &FilterNode<'_>) -> Result<Box<[Box<str>]>, FilterError> {
        if node.vals.is_empty() {
            return Err(FilterError::NoValue);
        }
        if !node.val.is_empty() {
            return Err(FilterError::SurplusValue);
        }
        self.spend(u32::try_from(node.vals.len()).unwrap_or(u32::MAX))?;
        let mut values = node.vals.iter().map(|value| self.text(value)).collect::<Result<Vec<_>, _>>()?;
        values.sort_unstable();
        values.dedup();
        Ok(values.into_boxed_slice())
    }

    fn text(&mut self, text: &str) -> Result<Box<str>, FilterError> {
        self.bytes = self.bytes.checked_sub(text.len()).ok_or(FilterError::TooLong)?;
        Ok(Box::from(text))
    }

    fn spend(&mut self, nodes: u32) -> Result<(), FilterError> {
        self.nodes = self.nodes.checked_sub(nodes).ok_or(FilterError::TooMany)?;
        Ok(())
    }
}

fn no_value(node: &FilterNode<'_>, test: Test) -> Result<Test, FilterError> {
    let is_plain = node.val.is_empty() && node.vals.is_empty();
    if is_plain { Ok(test) } else { Err(FilterError::SurplusValue) }
}

fn operation(name: &str) -> Result<Operation, FilterError> {
    match name {
        "" => Ok(Operation::Leaf),
        "and" => Ok(Operation::And),
        "or" => Ok(Operation::Or),
        "not" => Ok(Operation::Not),
        _ => Err(FilterError::UnknownOperation),
    }
}

fn comparison(name: &str) -> Result<Comparison, FilterError> {
    match name {
        "eq" => Ok(Comparison::Eq),
        "neq" => Ok(Comparison::Neq),
        "in" => Ok(Comparison::In),
        "nin" => Ok(Comparison::Nin),
        "ex" => Ok(Comparison::Ex),
        "nex" => Ok(Comparison::Nex),
        "sw" => Ok(Comparison::Sw),
        "ew" => Ok(Comparison::Ew),
        "ct" => Ok(Comparison::Ct),
        "lt" => Ok(Comparison::Number(Relation::Less)),
        "lte" => Ok(Comparison::Number(Relation::LessOrEqual)),
        "gt" => Ok(Comparison::Number(Relation::Greater)),
        "gte" => Ok(Comparison::Number(Relation::GreaterOrEqual)),
        _ => Err(FilterError::UnknownComparison),
    }
}
