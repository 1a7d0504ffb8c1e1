//! Runs in groups, and the ratios between the groups.
//!
//! The first side is the base. With as many runs on both sides, the i-th of one is set against the i-th of the other: they
//! were interleaved, so the drift of the machine cancels out. Otherwise each run is set against the median of the base.

use super::metric::Metric;
use crate::report::run::Run;

pub struct Side {
    pub name: String,
    pub runs: Vec<Run>,
}

/// A median with the smallest and the largest.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Spread {
    pub median: f64,
    pub min: f64,
    pub max: f64,
}

impl Spread {
    pub fn of(values: &[f64]) -> Option<Self> {
        let mut values = values.to_vec();
        values.sort_by(f64::total_cmp);
        let (min, max) = (*values.first()?, *values.last()?);
        let (lower, upper) = (values[(values.len() - 1) / 2], values[values.len() / 2]);
        // Equal ends may be infinite, and their midpoint is not a number.
        let median = if lower.total_cmp(&upper).is_eq() { lower } else { f64::midpoint(lower, upper) };
        Some(Self { median, min, max })
    }
}

/// Runs of one label are one side; but if there is only one label, each run is a side of its own.
pub fn sides(runs: Vec<Run>) -> Vec<Side> {
    let labels: std::collections::BTreeSet<_> = runs.iter().map(|run| run.label.clone()).collect();
    let mut sides: Vec<Side> = Vec::new();
    for run in runs {
        let name = if labels.len() > 1 { run.label.clone() } else { run.id.clone() };
        match sides.iter_mut().find(|side| labels.len() > 1 && side.name == name) {
            Some(side) => side.runs.push(run),
            None => sides.push(Side { name, runs: vec![run] }),
        }
    }
    sides
}

impl Side {
    /// `None` when any run lacks the figure.
    pub fn values(&self, metric: &Metric) -> Option<Vec<f64>> {
        self.runs.iter().map(metric.value).collect()
    }

    pub fn spread(&self, metric: &Metric) -> Option<Spread> {
        Spread::of(&self.values(metric)?)
    }

    /// This side over `base`.
    pub fn ratio(&self, base: &Self, metric: &Metric) -> Option<Spread> {
        let (ours, theirs) = (self.values(metric)?, base.values(metric)?);
        let ratios: Vec<f64> = if ours.len() == theirs.len() {
            ours.iter().zip(&theirs).map(|(ours, theirs)| divide(*ours, *theirs)).collect()
        } else {
            let median = Spread::of(&theirs)?.median;
            ours.iter().map(|ours| divide(*ours, median)).collect()
        };
        Spread::of(&ratios)
    }
}

/// Nothing over nothing is no change.
fn divide(ours: f64, theirs: f64) -> f64 {
    if ours == 0.0 && theirs == 0.0 { 1.0 } else { ours / theirs }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::compare::metric::find;
    use crate::report::sample;

    fn run(label: &str, mean_ns: f64) -> Run {
        let mut run = sample::run();
        label.clone_into(&mut run.label);
        run.id = format!("{label}-{mean_ns}");
        run.latency.as_mut().unwrap().mean_ns = Some(mean_ns);
        run
    }

    fn ratio(runs: &[(&str, f64)]) -> Option<Spread> {
        let sides = sides(runs.iter().map(|(label, mean)| run(label, *mean)).collect());
        assert_eq!(sides.len(), 2);
        sides[1].ratio(&sides[0], find("mean").unwrap())
    }

    #[test]
    fn interleaved_runs_are_set_against_their_partners() {
        let spread = ratio(&[("a", 10.0), ("b", 11.0), ("a", 20.0), ("b", 24.0), ("a", 40.0), ("b", 40.0)]);
        assert_eq!(spread, Some(Spread { median: 1.1, min: 1.0, max: 1.2 }));
    }

    #[test]
    fn an_uneven_number_is_set_against_the_median() {
        let spread = ratio(&[("a", 10.0), ("a", 20.0), ("a", 90.0), ("b", 10.0), ("b", 30.0)]);
        assert_eq!(spread, Some(Spread { median: 1.0, min: 0.5, max: 1.5 }));
    }

    #[test]
    fn runs_of_the_same_label_alone_are_sides_of_their_own() {
        assert_eq!(ratio(&[("a", 10.0), ("a", 30.0)]), Some(Spread { median: 3.0, min: 3.0, max: 3.0 }));
    }

    #[test]
    fn nothing_lost_on_both_sides_is_no_change() {
        assert_eq!(divide(0.0, 0.0).to_bits(), 1.0_f64.to_bits());
        assert!(divide(3.0, 0.0).is_infinite());
        assert!(Spread::of(&[f64::INFINITY, f64::INFINITY]).unwrap().median.is_infinite());
    }
}
