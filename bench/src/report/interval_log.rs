//! `latency.hdr`: one HdrHistogram (V2, compressed) a second, in the interval log format that all its tools read.
//!
//! Values are nanoseconds. What arrived after the last second stands in one more interval.

use super::run::Run;
use crate::conductor::Measured;
use crate::record::Durations;
use hdrhistogram::serialization::V2DeflateSerializer;
use hdrhistogram::serialization::interval_log::{IntervalLogWriter, IntervalLogWriterBuilder};
use std::time::{Duration, UNIX_EPOCH};

/// The maximum of each line is printed in milliseconds.
const MILLISECOND_NS: f64 = 1e6;

pub fn log(run: &Run, measured: &Measured) -> Vec<u8> {
    write(run, measured).unwrap_or_default()
}

/// Writing to memory cannot fail; the histograms are within what the format holds.
fn write(run: &Run, measured: &Measured) -> Option<Vec<u8>> {
    let mut bytes = Vec::new();
    let mut serializer = V2DeflateSerializer::new();
    let start = UNIX_EPOCH + Duration::from_millis(run.started_ms);
    let mut writer = IntervalLogWriterBuilder::new()
        .add_comment(&format!("[ringway-bench {}, latencies in nanoseconds]", run.id))
        .with_start_time(start)
        .with_base_time(start)
        .with_max_value_divisor(MILLISECOND_NS)
        .begin_log_with(&mut bytes, &mut serializer)
        .ok()?;
    for (tally, second) in measured.seconds.iter().zip(0..) {
        append(&mut writer, &tally.latency.open().ok()?, second)?;
    }
    if measured.tail.count() > 0 {
        append(&mut writer, &measured.tail, measured.seconds.len() as u64)?;
    }
    Some(bytes)
}

fn append(
    writer: &mut IntervalLogWriter<'_, '_, Vec<u8>, V2DeflateSerializer>,
    latency: &Durations,
    second: u64,
) -> Option<()> {
    let (start, length) = (Duration::from_secs(second), Duration::from_secs(1));
    writer.write_histogram(latency.histogram(), start, length, None).ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::conductor::Tally;
    use crate::report::sample;
    use base64::Engine;
    use base64::engine::general_purpose::STANDARD;
    use hdrhistogram::serialization::Deserializer;
    use hdrhistogram::serialization::interval_log::{IntervalLogIterator, LogEntry};

    #[test]
    fn the_log_gives_back_every_interval() {
        let filled = |count: u64| {
            let mut durations = Durations::new();
            (1..=count).for_each(|step| durations.record(step * 100_000));
            durations
        };
        let mut measured = Measured { window_ns: 2_000_000_000, ..Measured::default() };
        for count in [100, 200] {
            let mut tally = Tally::default();
            tally.latency.add(filled(count).to_bytes()).unwrap();
            measured.seconds.push(tally);
        }
        measured.tail = filled(3);
        let bytes = log(&sample::run(), &measured);

        let mut read = Vec::new();
        for entry in IntervalLogIterator::new(&bytes) {
            let LogEntry::Interval(interval) = entry.unwrap() else { continue };
            let histogram = STANDARD.decode(interval.encoded_histogram()).unwrap();
            let histogram = Deserializer::new().deserialize::<u64, _>(&mut &histogram[..]).unwrap();
            read.push((interval.start_timestamp().as_secs(), histogram.len(), histogram.max()));
        }
        let expected = [(0, 100, 10_000_000), (1, 200, 20_000_000), (2, 3, 300_000)];
        for ((second, count, max), (at, total, longest)) in read.iter().zip(expected) {
            assert_eq!((*second, *count), (at, total));
            assert!(max.abs_diff(longest) * 1_000 <= longest, "{max} is not {longest} to 0.1 %");
        }
        assert_eq!(read.len(), expected.len());
    }
}
