//! How far the run is: a bar on a terminal, a plain line every few seconds elsewhere. Always on standard error.

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use ringway::sys::clock;
use ringway::time::Moment;
use std::io::IsTerminal;
use std::time::Duration;

/// Between two plain lines.
const LINE_INTERVAL: Duration = Duration::from_secs(2);

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, clap::ValueEnum)]
pub enum ProgressMode {
    #[default]
    Auto,
    Never,
}

/// Invariant: at most one bar, and nothing at all in `Never`.
pub struct Progress {
    shape: Shape,
    stage: String,
    length: u64,
    last_line: Moment,
    last: (Moment, u64, u64),
}

enum Shape {
    Bar(ProgressBar),
    Lines,
    Silent,
}

impl Progress {
    pub fn new(mode: ProgressMode) -> Self {
        let shape = match mode {
            ProgressMode::Never => Shape::Silent,
            ProgressMode::Auto if std::io::stderr().is_terminal() => Shape::Bar(bar()),
            ProgressMode::Auto => Shape::Lines,
        };
        let zero = Moment::ZERO;
        Self { shape, stage: String::new(), length: 0, last_line: zero, last: (zero, 0, 0) }
    }

    /// A new stage with so much to do: connections, or seconds.
    pub fn stage(&mut self, name: &str, length: u64) {
        name.clone_into(&mut self.stage);
        self.length = length;
        self.last_line = Moment::ZERO;
        if let Shape::Bar(bar) = &self.shape {
            bar.reset();
            bar.set_length(length.max(1));
            bar.set_prefix(format!("{name:<12}"));
            bar.set_message("");
        }
    }

    pub fn connected(&mut self, count: u32) {
        let length = self.length;
        self.show(
            u64::from(count),
            || format!("{count} of {length} connections"),
            u64::from(count) == length,
        );
    }

    pub fn elapsed(&mut self, left_ns: u64) {
        let left = left_ns.div_ceil(1_000_000_000);
        self.show(self.length.saturating_sub(left), || format!("{left} s left"), false);
    }

    pub fn traffic(&mut self, sent: u64, received: u64, left_ns: u64) {
        let now = clock::now();
        let (then, sent_then, received_then) = self.last;
        let elapsed = now.since(then).as_secs_f64();
        let mut rates = None;
        if elapsed >= 1.0 {
            self.last = (now, sent, received);
            rates = Some((
                sent.saturating_sub(sent_then) as f64 / elapsed,
                received.saturating_sub(received_then) as f64 / elapsed,
            ));
        }
        let left = left_ns.div_ceil(1_000_000_000);
        let position = self.length.saturating_sub(left);
        if let Some((sent, received)) = rates {
            self.show(position, || format!("{sent:.0} sent/s  {received:.0} received/s"), false);
        }
    }

    fn show(&mut self, position: u64, text: impl Fn() -> String, last: bool) {
        match &self.shape {
            Shape::Silent => {}
            Shape::Bar(bar) => {
                bar.set_position(position);
                bar.set_message(text());
            }
            Shape::Lines => {
                let now = clock::now();
                if last || now.since(self.last_line) >= LINE_INTERVAL {
                    self.last_line = now;
                    eprintln!("{}: {}", self.stage, text());
                }
            }
        }
    }

    /// Takes the bar away.
    pub fn end(&mut self) {
        if let Shape::Bar(bar) = &self.shape {
            bar.finish_and_clear();
        }
    }
}

fn bar() -> ProgressBar {
    let style = ProgressStyle::with_template("{prefix} {bar:32} {pos:>6}/{len} {msg}");
    let bar = ProgressBar::with_draw_target(Some(1), ProgressDrawTarget::stderr());
    bar.with_style(style.unwrap_or_else(|_| ProgressStyle::default_bar()))
}
