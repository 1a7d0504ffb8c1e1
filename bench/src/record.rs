//! Histograms of durations in nanoseconds, as they are kept, sent between processes and summed up.
//! Invariant: 0.1 % resolution from 1 us to 60 s; what lies above counts as 60 s, so that nothing is left out.

use hdrhistogram::Histogram;
use hdrhistogram::serialization::{Deserializer, Serializer, V2Serializer};

/// Durations, in nanoseconds.
#[derive(Clone, Debug)]
pub struct Durations(Histogram<u64>);

/// Finest step near zero: a syscall takes about this long, so finer would be noise.
const STEP_NS: u64 = 100;
const LONGEST_NS: u64 = 60_000_000_000;
const DIGITS: u8 = 3;

#[derive(Debug, thiserror::Error)]
#[error("a histogram that a worker sent cannot be read: {0}")]
pub struct Unreadable(String);

impl Default for Durations {
    fn default() -> Self {
        Self::new()
    }
}

impl Durations {
    #[expect(clippy::expect_used, reason = "the bounds are constants, and a test builds one")]
    pub fn new() -> Self {
        Self(Histogram::new_with_bounds(STEP_NS, LONGEST_NS, DIGITS).expect("constant bounds are legal"))
    }

    pub fn record(&mut self, nanos: u64) {
        self.0.saturating_record(nanos);
    }

    pub fn add(&mut self, other: &Self) {
        // Both have the same bounds, so that the sum cannot fail.
        let _ = self.0.add(&other.0);
    }

    pub fn clear(&mut self) {
        self.0.reset();
    }

    pub fn count(&self) -> u64 {
        self.0.len()
    }

    pub fn histogram(&self) -> &Histogram<u64> {
        &self.0
    }

    /// The value at `quantile`, if at least ten samples lie above it: fewer say nothing about it.
    pub fn quantile(&self, quantile: f64) -> Option<u64> {
        let above = self.count() as f64 * (1.0 - quantile);
        (above >= SAMPLES_ABOVE_MIN).then(|| self.0.value_at_quantile(quantile))
    }

    pub fn max(&self) -> Option<u64> {
        (self.count() > 0).then(|| self.0.max())
    }

    pub fn min(&self) -> Option<u64> {
        (self.count() > 0).then(|| self.0.min())
    }

    pub fn mean(&self) -> Option<f64> {
        (self.count() > 0).then(|| self.0.mean())
    }

    /// Quantile and value for a plot, down to the last quantile that has enough samples, then the maximum.
    pub fn spectrum(&self) -> Vec<(f64, u64)> {
        let mut points = Vec::new();
        let steps = self.0.iter_quantiles(SPECTRUM_STEPS_PER_HALVING);
        for step in steps {
            let quantile = step.quantile_iterated_to();
            if self.count() as f64 * (1.0 - quantile) >= SAMPLES_ABOVE_MIN {
                points.push((quantile, step.value_iterated_to()));
            }
        }
        points
    }

    /// The bytes that travel between processes.
    pub fn to_bytes(&self) -> Vec<u8> {
        let mut bytes = Vec::new();
        // A `Vec` takes everything, and the counts are within what the format holds.
        let _ = V2Serializer::new().serialize(&self.0, &mut bytes);
        bytes
    }

    pub fn from_bytes(bytes: &[u8]) -> Result<Self, Unreadable> {
        let read = Deserializer::new().deserialize(&mut &bytes[..]);
        Ok(Self(read.map_err(|error| Unreadable(error.to_string()))?))
    }

    /// Adds what `to_bytes` wrote.
    pub fn add_bytes(&mut self, bytes: &[u8]) -> Result<(), Unreadable> {
        self.add(&Self::from_bytes(bytes)?);
        Ok(())
    }
}

/// A histogram as bytes: a few kilobytes instead of the two hundred that recording needs, for what is only kept.
#[derive(Clone, Debug, Default)]
pub struct Packed(Vec<u8>);

impl Packed {
    /// Adds what `Durations::to_bytes` wrote.
    pub fn add(&mut self, bytes: Vec<u8>) -> Result<(), Unreadable> {
        if self.0.is_empty() {
            self.0 = bytes;
            return Ok(());
        }
        let mut sum = self.open()?;
        sum.add_bytes(&bytes)?;
        self.0 = sum.to_bytes();
        Ok(())
    }

    pub fn open(&self) -> Result<Durations, Unreadable> {
        if self.0.is_empty() { Ok(Durations::new()) } else { Durations::from_bytes(&self.0) }
    }
}

/// p99 needs 1,000 samples, p99.9 needs 10,000.
const SAMPLES_ABOVE_MIN: f64 = 10.0 - 1e-6;
/// Density of the plot: five points from p90 to p95, five from p95 to p97.5, and so on.
const SPECTRUM_STEPS_PER_HALVING: u32 = 5;

#[cfg(test)]
mod tests {
    use super::*;

    fn filled(count: u64) -> Durations {
        let mut durations = Durations::new();
        (1..=count).for_each(|micros| durations.record(micros * 1_000));
        durations
    }

    #[test]
    fn percentiles_are_withheld_where_samples_are_too_few() {
        assert_eq!(filled(999).quantile(0.99), None);
        assert!(filled(1_000).quantile(0.99).is_some());
        assert_eq!(filled(9_999).quantile(0.999), None);
        assert!(filled(10_000).quantile(0.999).is_some());
        assert_eq!(filled(0).quantile(0.5), None);
        assert_eq!(filled(0).max(), None);
    }

    #[test]
    fn values_keep_three_digits_and_the_longest_counts_as_longest() {
        let mut durations = Durations::new();
        durations.record(1_234_567);
        let read = durations.max().unwrap() as f64;
        assert!((read / 1_234_567.0 - 1.0).abs() < 0.001);
        durations.record(u64::MAX);
        assert_eq!(durations.count(), 2);
        assert!(durations.max().unwrap() >= LONGEST_NS);
    }

    #[test]
    fn a_histogram_survives_the_pipe_and_sums_up() {
        let mut sum = Packed::default();
        assert_eq!(sum.open().unwrap().count(), 0);
        sum.add(filled(1_000).to_bytes()).unwrap();
        sum.add(filled(500).to_bytes()).unwrap();
        assert_eq!(sum.open().unwrap().count(), 1_500);
        assert!(Durations::from_bytes(&[1, 2, 3]).is_err());
    }

    #[test]
    fn the_spectrum_rises_and_stops_where_samples_are_too_few() {
        let spectrum = filled(10_000).spectrum();
        assert!(spectrum.is_sorted());
        assert!(spectrum.last().unwrap().0 <= 0.999);
        assert!(spectrum.len() > 30);
    }
}
