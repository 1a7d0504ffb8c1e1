use super::*;
use crate::limits::{FILTER_BYTES_MAX, FILTER_DEPTH_MAX, FILTER_NODE_COUNT_MAX};
use proptest::prelude::*;
use std::borrow::Cow;
use std::collections::HashMap;
use std::collections::hash_map::DefaultHasher;
use std::hash::{Hash, Hasher};

fn leaf<'a>(key: &'a str, cmp: &'a str, val: &'a str, vals: &[&'a str]) -> FilterNode<'a> {
    let vals = vals.iter().map(|value| Cow::Borrowed(*value)).collect();
    FilterNode { key: key.into(), cmp: cmp.into(), val: val.into(), vals, ..FilterNode::default() }
}

fn inner<'a>(op: &'a str, nodes: impl IntoIterator<Item = FilterNode<'a>>) -> FilterNode<'a> {
    FilterNode { op: op.into(), nodes: nodes.into_iter().collect(), ..FilterNode::default() }
}

fn tags(pairs: &[(&str, &str)]) -> Vec<(Box<str>, Box<str>)> {
    pairs.iter().map(|(key, value)| (Box::from(*key), Box::from(*value))).collect()
}

#[test]
fn every_comparison_sees_the_tag_its_absence_and_its_value() {
    // Comparison, value, values; then what "k" may be, and whether that is wanted.
    type Case<'a> = (&'a str, &'a str, &'a [&'a str], &'a [(Option<&'a str>, bool)]);
    let cases: [Case<'_>; 15] = [
        ("eq", "a", &[], &[(Some("a"), true), (Some("b"), false), (None, false)]),
        ("neq", "a", &[], &[(Some("a"), false), (Some("b"), true), (None, true)]),
        ("in", "", &["b", "a"], &[(Some("a"), true), (Some("b"), true), (Some("c"), false), (None, false)]),
        ("in", "", &["", "a"], &[(None, true), (Some(""), true)]),
        ("nin", "", &["b", "a"], &[(Some("a"), false), (Some("c"), true), (None, true)]),
        ("ex", "", &[], &[(Some(""), true), (None, false)]),
        ("nex", "", &[], &[(Some(""), false), (None, true)]),
        ("sw", "ab", &[], &[(Some("abc"), true), (Some("cab"), false), (None, false)]),
        ("ew", "ab", &[], &[(Some("cab"), true), (Some("abc"), false), (None, false)]),
        ("ct", "ab", &[], &[(Some("cabc"), true), (Some("acb"), false), (None, false)]),
        ("lt", "10", &[], &[(Some("9.5"), true), (Some("10"), false), (Some("x"), false), (None, false)]),
        ("lte", "10", &[], &[(Some("10.0"), true), (Some("11"), false)]),
        ("gt", "-1", &[], &[(Some("0"), true), (Some("-1"), false), (Some("-2"), false), (Some(""), false)]),
        ("gte", "-1", &[], &[(Some("-1.00"), true), (Some("-1.01"), false)]),
        ("gte", "ten", &[], &[(Some("11"), false), (Some("ten"), false)]),
    ];
    for (cmp, val, vals, expectations) in cases {
        let filter = Filter::compile(&leaf("k", cmp, val, vals)).unwrap();
        for (value, expected) in expectations {
            let mut pairs = vec![("other", "a")];
            pairs.extend(value.map(|value| ("k", value)));
            assert_eq!(filter.matches(&tags(&pairs)), *expected, "{cmp} {val}{vals:?}: {value:?}");
        }
    }
}

#[test]
fn what_makes_no_sense_is_refused_by_what_is_wrong_with_it() {
    let cases: [(FilterNode<'_>, FilterError); 16] = [
        (FilterNode::default(), FilterError::UnknownComparison),
        (leaf("k", "EQ", "a", &[]), FilterError::UnknownComparison),
        (inner("xor", [leaf("k", "ex", "", &[])]), FilterError::UnknownOperation),
        (leaf("", "eq", "a", &[]), FilterError::NoKey),
        (leaf("k", "eq", "", &[]), FilterError::NoValue),
        (leaf("k", "lt", "", &[]), FilterError::NoValue),
        (leaf("k", "eq", "a", &["b"]), FilterError::SurplusValue),
        (leaf("k", "in", "", &[]), FilterError::NoValue),
        (leaf("k", "nin", "a", &["b"]), FilterError::SurplusValue),
        (leaf("k", "ex", "a", &[]), FilterError::SurplusValue),
        (leaf("k", "nex", "", &["a"]), FilterError::SurplusValue),
        (inner("and", []), FilterError::Children),
        (inner("or", []), FilterError::Children),
        (inner("not", []), FilterError::Children),
        (inner("not", [leaf("k", "ex", "", &[]), leaf("k", "ex", "", &[])]), FilterError::Children),
        (inner("and", [leaf("k", "ex", "", &[]), inner("not", [])]), FilterError::Children),
    ];
    for (node, error) in cases {
        assert_eq!(Filter::compile(&node), Err(error), "{node:?}");
    }
    assert!(Filter::compile(&leaf("", "ex", "", &[])).is_ok());
}

#[test]
fn a_filter_is_as_large_as_its_limits_and_no_larger() {
    let deep = |depth| (1..depth).fold(leaf("k", "ex", "", &[]), |node, _| inner("not", [node]));
    assert!(Filter::compile(&deep(FILTER_DEPTH_MAX)).is_ok());
    assert_eq!(Filter::compile(&deep(FILTER_DEPTH_MAX + 1)), Err(FilterError::TooDeep));
    assert_eq!(Filter::compile(&deep(10_000)), Err(FilterError::TooDeep), "found without walking down");

    let wide = |count: u32| inner("or", (1..count).map(|_| leaf("k", "ex", "", &[])));
    assert!(Filter::compile(&wide(FILTER_NODE_COUNT_MAX)).is_ok());
    assert_eq!(Filter::compile(&wide(FILTER_NODE_COUNT_MAX + 1)), Err(FilterError::TooMany));
    let values = vec!["v"; FILTER_NODE_COUNT_MAX as usize];
    assert!(Filter::compile(&leaf("k", "in", "", &values[1..])).is_ok());
    assert_eq!(Filter::compile(&leaf("k", "in", "", &values)), Err(FilterError::TooMany));

    let long = "v".repeat(FILTER_BYTES_MAX);
    assert!(Filter::compile(&leaf("k", "eq", &long[1..], &[])).is_ok());
    assert_eq!(Filter::compile(&leaf("k", "eq", &long, &[])), Err(FilterError::TooLong));
}

#[test]
fn filters_that_mean_the_same_are_equal_and_hash_alike() {
    let hash = |filter: &Filter| {
        let mut hasher = DefaultHasher::new();
        filter.hash(&mut hasher);
        hasher.finish()
    };
    let pairs = [
        (leaf("k", "in", "", &["a", "b", "a"]), leaf("k", "in", "", &["b", "a"])),
        (leaf("k", "gt", "+1.50", &[]), leaf("k", "gt", "1.5", &[])),
    ];
    for (one, other) in pairs {
        let (one, other) = (Filter::compile(&one).unwrap(), Filter::compile(&other).unwrap());
        assert_eq!(one, other);
        assert_eq!(hash(&one), hash(&other));
    }
    let different = [leaf("k", "gt", "1", &[]), leaf("k", "gte", "1", &[]), leaf("l", "gt", "1", &[])];
    let different = different.map(|node| Filter::compile(&node).unwrap());
    assert!(different[0] != different[1] && different[0] != different[2]);
}

/// The meaning of a filter, straight from the protocol, on a map and with big numbers as integers.
fn naive(node: &FilterNode<'_>, tags: &HashMap<&str, &str>) -> bool {
    let value = tags.get(&*node.key).copied();
    let vals: Vec<&str> = node.vals.iter().map(|value| &**value).collect();
    let number = |text: &str| {
        let digits = text.strip_prefix(['+', '-']).unwrap_or(text);
        (!digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit()))
            .then(|| text.parse::<i64>().unwrap())
    };
    let numbers = value.and_then(number).zip(number(&node.val));
    match (&*node.op, &*node.cmp) {
        ("and", _) => !node.nodes.iter().any(|node| !naive(node, tags)),
        ("or", _) => node.nodes.iter().filter(|node| naive(node, tags)).count() > 0,
        ("not", _) => !naive(&node.nodes[0], tags),
        (_, "eq") => value.is_some_and(|value| value == node.val),
        (_, "neq") => value.is_none_or(|value| value != node.val),
        (_, "in") => vals.contains(&value.unwrap_or("")),
        (_, "nin") => !vals.contains(&value.unwrap_or("")),
        (_, "ex") => value.is_some(),
        (_, "nex") => value.is_none(),
        (_, "sw") => value.is_some_and(|value| value.starts_with(&*node.val)),
        (_, "ew") => value.is_some_and(|value| value.ends_with(&*node.val)),
        (_, "ct") => value.is_some_and(|value| value.contains(&*node.val)),
        (_, "lt") => numbers.is_some_and(|(a, b)| a < b),
        (_, "lte") => numbers.is_some_and(|(a, b)| a <= b),
        (_, "gt") => numbers.is_some_and(|(a, b)| a > b),
        (_, "gte") => numbers.is_some_and(|(a, b)| a >= b),
        (op, cmp) => panic!("{op} {cmp}"),
    }
}

fn any_value() -> impl Strategy<Value = String> {
    prop_oneof!["[ab]{0,3}", "[-+]?[0-9]{1,3}", Just("привет".to_owned())]
}

fn any_leaf() -> impl Strategy<Value = FilterNode<'static>> {
    let cmp = prop::sample::select(vec![
        "eq", "neq", "in", "nin", "ex", "nex", "sw", "ew", "ct", "lt", "lte", "gt", "gte",
    ]);
    ("[abc]", cmp, any_value(), prop::collection::vec(any_value(), 1..4)).prop_map(|(key, cmp, val, vals)| {
        let (has_val, has_vals) = match cmp {
            "in" | "nin" => (false, true),
            "ex" | "nex" => (false, false),
            _ => (true, false),
        };
        let val = if val.is_empty() { "a".to_owned() } else { val };
        FilterNode {
            key: key.into(),
            cmp: cmp.into(),
            val: if has_val { val.into() } else { Cow::Borrowed("") },
            vals: if has_vals { vals.into_iter().map(Cow::Owned).collect() } else { Vec::new() },
            ..FilterNode::default()
        }
    })
}

fn any_filter() -> impl Strategy<Value = FilterNode<'static>> {
    any_leaf().prop_recursive(5, 40, 4, |below| {
        prop_oneof![
            prop::collection::vec(below.clone(), 1..4).prop_map(|nodes| inner("and", nodes)),
            prop::collection::vec(below.clone(), 1..4).prop_map(|nodes| inner("or", nodes)),
            below.prop_map(|node| inner("not", [node])),
        ]
    })
}

proptest! {
    #[test]
    fn a_filter_means_what_the_protocol_says(
        node in any_filter(),
        publications in prop::collection::vec(prop::collection::hash_map("[abc]", any_value(), 0..4), 8),
    ) {
        let filter = Filter::compile(&node).unwrap();
        for publication in &publications {
            let pairs: Vec<_> = publication.iter().map(|(key, value)| (key.as_str(), value.as_str())).collect();
            let map = pairs.iter().copied().collect();
            prop_assert_eq!(filter.matches(&tags(&pairs)), naive(&node, &map), "{:?} {:?}", node, pairs);
        }
    }
}
