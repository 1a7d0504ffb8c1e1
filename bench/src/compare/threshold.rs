//! `--fail-if 'p99>1.1'`: the comparison fails when the ratio of a later side to the first fulfils the expression.

use super::metric::{METRICS, Metric, find};

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Relation {
    Above,
    AtLeast,
    Below,
    AtMost,
}

/// Longer signs first, so that `>=` is not read as `>`.
const RELATIONS: [(&str, Relation); 4] =
    [(">=", Relation::AtLeast), ("<=", Relation::AtMost), (">", Relation::Above), ("<", Relation::Below)];

pub struct Threshold {
    pub metric: &'static Metric,
    pub text: String,
    relation: Relation,
    ratio: f64,
}

#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub enum ThresholdError {
    #[error("--fail-if {0:?}: expected a metric, one of > >= < <=, and a ratio, as in 'p99>1.1'")]
    Form(String),
    #[error("--fail-if {text:?}: no metric is called {name:?}; there are {known}")]
    Metric { text: String, name: String, known: String },
}

impl Threshold {
    pub fn parse(text: &str) -> Result<Self, ThresholdError> {
        let form = || ThresholdError::Form(text.to_owned());
        let split = RELATIONS.iter().find_map(|(sign, relation)| Some((text.split_once(sign)?, *relation)));
        let ((name, ratio), relation) = split.ok_or_else(form)?;
        let ratio: f64 = ratio.trim().parse().map_err(|_| form())?;
        if !ratio.is_finite() || ratio < 0.0 {
            return Err(form());
        }
        let name = name.trim();
        let metric = find(name).ok_or_else(|| ThresholdError::Metric {
            text: text.to_owned(),
            name: name.to_owned(),
            known: METRICS.iter().map(|metric| metric.name).collect::<Vec<_>>().join(", "),
        })?;
        Ok(Self { metric, text: text.to_owned(), relation, ratio })
    }

    /// Whether a ratio makes the comparison fail.
    pub fn holds(&self, ratio: f64) -> bool {
        match self.relation {
            Relation::Above => ratio > self.ratio,
            Relation::AtLeast => ratio >= self.ratio,
            Relation::Below => ratio < self.ratio,
            Relation::AtMost => ratio <= self.ratio,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_relations_are_understood() {
        let holds = |text: &str, ratio| Threshold::parse(text).unwrap().holds(ratio);
        assert!(holds("p99>1.1", 1.2) && !holds("p99>1.1", 1.1));
        assert!(holds("p99 >= 1.1", 1.1) && !holds("p99>=1.1", 1.0));
        assert!(holds("received_rate<0.9", 0.8) && !holds("received_rate<0.9", 0.9));
        assert!(holds("received_rate<=0.9", 0.9) && !holds("received_rate<=0.9", 1.0));
    }

    #[test]
    fn what_is_not_understood_is_explained() {
        for text in ["p99", "p99=1", "p99>", "p99>x", "p99>-1", "p99>inf", ">1"] {
            assert!(Threshold::parse(text).is_err(), "{text}");
        }
        let error = Threshold::parse("p98>1").err().unwrap().to_string();
        assert!(
            error.contains("\"p98\"") && error.contains("p99") && error.contains("cpu_per_delivery"),
            "{error}"
        );
    }
}
