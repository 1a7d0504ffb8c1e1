//! One condition on one tag.

use super::decimal::Decimal;
use std::cmp::Ordering;

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct Leaf {
    pub key: Box<str>,
    pub test: Test,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) enum Test {
    Equal(Box<str>),
    /// Also without the tag.
    NotEqual(Box<str>),
    /// In order, each once.
    In(Box<[Box<str>]>),
    NotIn(Box<[Box<str>]>),
    Exists,
    NotExists,
    StartsWith(Box<str>),
    EndsWith(Box<str>),
    Contains(Box<str>),
    /// None: not a number, which nothing compares with.
    Number(Relation, Option<Decimal>),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum Relation {
    Less,
    LessOrEqual,
    Greater,
    GreaterOrEqual,
}

impl Leaf {
    pub(super) fn matches(&self, tags: &[(Box<str>, Box<str>)]) -> bool {
        let value = tags.iter().find(|(key, _)| *key == self.key).map(|(_, value)| &**value);
        let is = |test: &dyn Fn(&str) -> bool| value.is_some_and(test);
        match &self.test {
            Test::Equal(wanted) => value == Some(wanted),
            Test::NotEqual(unwanted) => value != Some(unwanted),
            // A tag that is not there counts as an empty one here, as it does in Centrifugo.
            Test::In(wanted) => contains(wanted, value.unwrap_or_default()),
            Test::NotIn(unwanted) => !contains(unwanted, value.unwrap_or_default()),
            Test::Exists => value.is_some(),
            Test::NotExists => value.is_none(),
            Test::StartsWith(start) => is(&|value| value.starts_with(&**start)),
            Test::EndsWith(end) => is(&|value| value.ends_with(&**end)),
            Test::Contains(part) => is(&|value| value.contains(&**part)),
            Test::Number(relation, limit) => {
                let order = value.zip(limit.as_ref()).and_then(|(value, limit)| limit.order_of(value));
                order.is_some_and(|order| relation.admits(order))
            }
        }
    }
}

impl Relation {
    fn admits(self, order: Ordering) -> bool {
        match self {
            Self::Less => order.is_lt(),
            Self::LessOrEqual => order.is_le(),
            Self::Greater => order.is_gt(),
            Self::GreaterOrEqual => order.is_ge(),
        }
    }
}

fn contains(values: &[Box<str>], value: &str) -> bool {
    values.binary_search_by(|other| (**other).cmp(value)).is_ok()
}
