//! How far the run is: a bar on a terminal, a plain line every few seconds elsewhere. Always on standard error.

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use ringway::sys::clock;
use ringway::time::Moment;
use std::io::IsTerminal;
use std::time::Duration;

/// Between two plain lines.
const LINE_INTERVAL: Duration = Duration::from_secs(2);
/// Time over which a rate is taken.
const RATE_SECONDS: f64 = 1.0;

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
    /// Connections, or seconds.
    length: u64,
    /// When a stage of known duration is over.
    end: Moment,
    last_line: Moment,
    /// Messages sent and received by then.
    counted: (Moment, u64, u64),
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
        let now = clock::now();
        Self { shape, stage: String::new(), length: 0, end: now, last_line: now, counted: (now, 0, 0) }
    }

    /// A stage that ends with so many connections.
    pub fn connecting(&mut self, name: &str, count: u32) {
        self.begin(name, u64::from(count));
    }

    /// A stage that takes so long.
    pub fn timed(&mut self, name: &str, duration: Duration) {
        self.end = clock::now() + duration;
        self.begin(name, duration.as_secs_f64().ceil() as u64);
    }

    fn begin(&mut self, name: &str, length: u64) {
        name.clone_into(&mut self.stage);
        self.length = length;
        self.last_line = clock::now();
        if let Shape::Bar(bar) = &self.shape {
            bar.reset();
            bar.set_length(length.max(1));
            bar.set_prefix(format!("{name:<12}"));
            bar.set_message("");
        }
    }

    pub fn connected(&mut self, count: u32) {
        let length = self.length;
        let last = u64::from(count) == length;
        self.show(u64::from(count), || format!("{count} of {length} connections"), last);
    }

    pub fn elapsed(&mut self) {
        let left = self.left();
        self.show(self.length.saturating_sub(left), || format!("{left} s left"), false);
    }

    pub fn traffic(&mut self, sent: u64, received: u64) {
        let (then, sent_then, received_then) = self.counted;
        let now = clock::now();
        let elapsed = now.since(then).as_secs_f64();
        if elapsed < RATE_SECONDS {
            return;
        }
        self.counted = (now, sent, received);
        let rate = |count: u64, before: u64| count.saturating_sub(before) as f64 / elapsed;
        let (sent, received) = (rate(sent, sent_then), rate(received, received_then));
        let position = self.length.saturating_sub(self.left());
        self.show(position, || format!("{sent:.0} sent/s, {received:.0} received/s"), false);
    }

    /// Whole seconds until the end of the stage.
    fn left(&self) -> u64 {
        self.end.since(clock::now()).as_secs_f64().ceil() as u64
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
}

impl Drop for Progress {
    /// Whatever is printed next stands on a clean line.
    fn drop(&mut self) {
        if let Shape::Bar(bar) = &self.shape {
            bar.finish_and_clear();
        }
    }
}

fn bar() -> ProgressBar {
    let style = ProgressStyle::with_template("{prefix} {bar:32} {msg}");
    let bar = ProgressBar::with_draw_target(Some(1), ProgressDrawTarget::stderr());
    bar.with_style(style.unwrap_or_else(|_| ProgressStyle::default_bar()))
}
