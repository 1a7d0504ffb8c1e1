//! Line charts as inline SVG, drawn by hand: no script, no font and no library to load.
//!
//! Colours come from the classes `s0` to `s7` of the page, so that one drawing serves light and dark.

use super::html::escape;
use std::fmt::Write;

/// One line.
pub struct Series {
    pub name: String,
    /// Number of its colour. Lines that belong together share one, and one entry of the legend.
    pub colour: usize,
    pub points: Vec<(f64, f64)>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scale {
    Linear,
    /// Linear, with ticks at whole numbers only.
    Whole,
    Log,
    /// Quantiles: 0.9, 0.99 and 0.999 are equally far apart, because the tail is what matters.
    Quantile,
}

pub struct Axis {
    pub title: &'static str,
    pub scale: Scale,
    pub label: fn(f64) -> String,
}

/// Classes `s0` and up of the page.
const COLOURS: usize = 8;
const WIDTH: f64 = 860.0;
const HEIGHT: f64 = 320.0;
const LEFT: f64 = 72.0;
const RIGHT: f64 = 16.0;
const TOP: f64 = 14.0;
const BOTTOM: f64 = 44.0;

/// A chart of all series over common axes; a note when there is nothing to draw.
pub fn chart(x: &Axis, y: &Axis, series: &[Series]) -> String {
    let mut out = String::new();
    // Writing to a string cannot fail.
    let _ = draw(&mut out, x, y, series);
    out
}

fn draw(out: &mut String, x: &Axis, y: &Axis, series: &[Series]) -> std::fmt::Result {
    let points = || series.iter().flat_map(|series| series.points.iter().copied());
    let (Some(across), Some(up)) = (
        Span::of(x.scale, points().map(|(x, _)| x), LEFT, WIDTH - RIGHT),
        Span::of(y.scale, points().map(|(_, y)| y), HEIGHT - BOTTOM, TOP),
    ) else {
        return write!(out, "<p class=\"empty\">too few samples</p>");
    };
    write!(
        out,
        "<svg viewBox=\"0 0 {WIDTH} {HEIGHT}\" role=\"img\" aria-label=\"{} over {}\">",
        y.title, x.title
    )?;
    for tick in up.ticks() {
        let (at, end) = (up.place(tick), WIDTH - RIGHT);
        write!(out, "<path class=\"grid\" d=\"M{LEFT} {at:.1}H{end}\"/>")?;
        write!(
            out,
            "<text x=\"{}\" y=\"{:.1}\" class=\"end\">{}</text>",
            LEFT - 8.0,
            at + 4.0,
            (y.label)(tick)
        )?;
    }
    for tick in across.ticks() {
        let (at, end) = (across.place(tick), HEIGHT - BOTTOM);
        write!(out, "<path class=\"grid\" d=\"M{at:.1} {TOP}V{end}\"/>")?;
        write!(
            out,
            "<text x=\"{at:.1}\" y=\"{:.1}\" class=\"middle\">{}</text>",
            end + 17.0,
            (x.label)(tick)
        )?;
    }
    let middle = f64::midpoint(LEFT, WIDTH - RIGHT);
    write!(out, "<text x=\"{middle}\" y=\"{}\" class=\"middle title\">{}</text>", HEIGHT - 8.0, x.title)?;
    for series in series {
        line(out, series, &across, &up, [x, y])?;
    }
    write!(out, "</svg>")?;
    legend(out, series)
}

fn line(out: &mut String, series: &Series, across: &Span, up: &Span, axes: [&Axis; 2]) -> std::fmt::Result {
    let class = series.colour % COLOURS;
    let drawable = || series.points.iter().filter(|(x, y)| across.holds(*x) && up.holds(*y));
    write!(out, "<polyline class=\"line s{class}\" points=\"")?;
    for (x, y) in drawable() {
        write!(out, "{:.1},{:.1} ", across.place(*x), up.place(*y))?;
    }
    write!(out, "\"/>")?;
    // Invisible until pointed at; the title is the browser's own tooltip.
    for (x, y) in drawable() {
        let (label_x, label_y) = ((axes[0].label)(*x), (axes[1].label)(*y));
        let (x, y) = (across.place(*x), up.place(*y));
        let name = escape(&series.name);
        write!(out, "<circle class=\"s{class}\" cx=\"{x:.1}\" cy=\"{y:.1}\" r=\"4\">")?;
        write!(out, "<title>{name}: {label_y} at {label_x}</title></circle>")?;
    }
    Ok(())
}

fn legend(out: &mut String, series: &[Series]) -> std::fmt::Result {
    write!(out, "<p class=\"legend\">")?;
    let mut named: Vec<&Series> = series.iter().collect();
    named.dedup_by_key(|series| (series.colour, series.name.clone()));
    for series in named {
        let (class, name) = (series.colour % COLOURS, escape(&series.name));
        write!(out, "<span class=\"s{class}\"><i></i>{name}</span>")?;
    }
    write!(out, "</p>")
}

/// Maps values to a stretch of the drawing.
struct Span {
    scale: Scale,
    low: f64,
    high: f64,
    from: f64,
    to: f64,
}

impl Span {
    fn of(scale: Scale, values: impl Iterator<Item = f64>, from: f64, to: f64) -> Option<Self> {
        let drawable = values.filter(|value| value.is_finite() && (scale != Scale::Log || *value > 0.0));
        let (low, high) = drawable
            .fold((f64::INFINITY, f64::NEG_INFINITY), |(low, high), value| (low.min(value), high.max(value)));
        if low > high {
            return None;
        }
        let (low, high) = match scale {
            Scale::Linear => (0.0, if high > 0.0 { high * 1.05 } else { 1.0 }),
            Scale::Whole => (0.0, high.max(1.0)),
            Scale::Log => (low * 0.9, high * 1.1),
            Scale::Quantile => (0.0, high.clamp(0.9, 1.0 - 1e-9)),
        };
        Some(Self { scale, low, high, from, to })
    }

    /// The value on an even scale.
    fn even(&self, value: f64) -> f64 {
        match self.scale {
            Scale::Linear | Scale::Whole => value,
            Scale::Log => value.log10(),
            Scale::Quantile => -(1.0 - value).log10(),
        }
    }

    fn holds(&self, value: f64) -> bool {
        (self.low..=self.high).contains(&value)
    }

    fn place(&self, value: f64) -> f64 {
        let (low, high) = (self.even(self.low), self.even(self.high));
        let share = if high > low { (self.even(value) - low) / (high - low) } else { 0.0 };
        self.from + share * (self.to - self.from)
    }

    fn ticks(&self) -> Vec<f64> {
        match self.scale {
            Scale::Linear => self.steps(0.0),
            Scale::Whole => self.steps(1.0),
            Scale::Log => self.decades(),
            Scale::Quantile => {
                let ticks = [0.0, 0.5, 0.9, 0.99, 0.999, 0.999_9, 0.999_99, 0.999_999];
                ticks.into_iter().filter(|tick| self.holds(*tick)).collect()
            }
        }
    }

    fn steps(&self, least: f64) -> Vec<f64> {
        let step = round_step((self.high - self.low) / 5.0).max(least);
        let count = ((self.high - self.low) / step) as u32;
        (0..=count).map(|index| self.low + f64::from(index) * step).collect()
    }

    /// Powers of ten; with 2 and 5 between them where there are few.
    fn decades(&self) -> Vec<f64> {
        let exponents = self.low.log10().floor() as i32..=self.high.log10().ceil() as i32;
        let fine = exponents.clone().count() <= 4;
        let digits: &[f64] = if fine { &[1.0, 2.0, 5.0] } else { &[1.0] };
        let ticks =
            exponents.flat_map(|exponent| digits.iter().map(move |digit| digit * 10f64.powi(exponent)));
        ticks.filter(|tick| self.holds(*tick)).collect()
    }
}

/// 1, 2 or 5 times a power of ten.
fn round_step(step: f64) -> f64 {
    let power = 10f64.powf(step.log10().floor());
    let digit = match step / power {
        d if d <= 1.0 => 1.0,
        d if d <= 2.0 => 2.0,
        d if d <= 5.0 => 5.0,
        _ => 10.0,
    };
    digit * power
}

#[cfg(test)]
mod tests {
    use super::*;

    const PLAIN: fn(f64) -> String = |value| format!("{value}");

    fn axis(scale: Scale) -> Axis {
        Axis { title: "t", scale, label: PLAIN }
    }

    #[test]
    fn nines_are_equally_far_apart() {
        let span = Span::of(Scale::Quantile, [0.0, 0.999].into_iter(), 0.0, 300.0).unwrap();
        let places: Vec<f64> = [0.0, 0.9, 0.99, 0.999].map(|value| span.place(value)).to_vec();
        for (place, expected) in places.iter().zip([0.0, 100.0, 200.0, 300.0]) {
            assert!((place - expected).abs() < 1e-6, "{places:?}");
        }
    }

    #[test]
    fn ticks_are_round_and_within() {
        let span = Span::of(Scale::Linear, [0.0, 930.0].into_iter(), 0.0, 1.0).unwrap();
        assert_eq!(span.ticks(), [0.0, 200.0, 400.0, 600.0, 800.0]);
        let span = Span::of(Scale::Whole, [1.0, 2.0].into_iter(), 0.0, 1.0).unwrap();
        assert_eq!(span.ticks(), [0.0, 1.0, 2.0]);
        let span = Span::of(Scale::Log, [30.0, 7_000.0].into_iter(), 0.0, 1.0).unwrap();
        assert_eq!(span.ticks(), [50.0, 100.0, 200.0, 500.0, 1_000.0, 2_000.0, 5_000.0]);
    }

    #[test]
    fn every_series_is_drawn_and_named() {
        let series = |name: &str, colour, factor: f64| Series {
            name: name.into(),
            colour,
            points: (1..10).map(|x| (f64::from(x), f64::from(x) * factor)).collect(),
        };
        let svg = chart(
            &axis(Scale::Linear),
            &axis(Scale::Log),
            &[series("a<b", 0, 1.0), series("c", 1, 2.0), series("c", 1, 3.0)],
        );
        assert_eq!(svg.matches("<polyline").count(), 3);
        assert_eq!(svg.matches("<i></i>c").count(), 1);
        assert!(svg.contains("a&lt;b") && !svg.contains("a<b"));
        assert!(!svg.contains("NaN") && !svg.contains("inf"));
    }

    #[test]
    fn nothing_to_draw_is_said_so() {
        assert!(chart(&axis(Scale::Linear), &axis(Scale::Log), &[]).contains("too few samples"));
    }
}
