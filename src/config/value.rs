//! The kinds of value that an option can have: how each is written, read, shown and bounded.
//!
//! Invariant: what `show` writes, `assign` reads back. A value is always text on its way in, so that a file, the
//! environment and a flag cannot differ in what they accept.

use super::{Config, Mode};
use crate::auth::Secret;
use crate::http::{OriginPatternError, OriginPolicy};
use std::fmt::Write as _;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::time::Duration;

/// How the sockets of a core are driven.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Driver {
    /// io_uring where this machine allows it, else epoll.
    #[default]
    Auto,
    /// io_uring or nothing.
    Uring,
    Epoll,
}

/// The kind of an option, its place in the struct that holds it, its defaults and its bounds. Ranges are inclusive.
pub enum Field<C: 'static = Config> {
    Switch {
        place: fn(&mut C) -> &mut bool,
        production: bool,
        development: bool,
    },
    Duration {
        place: fn(&mut C) -> &mut Duration,
        default_ms: u64,
        range_ms: [u64; 2],
    },
    Count {
        place: fn(&mut C) -> &mut u32,
        default: u32,
        development: u32,
        range: [u32; 2],
        unit: &'static str,
    },
    Address {
        place: fn(&mut C) -> &mut SocketAddr,
        production: SocketAddr,
        development: SocketAddr,
    },
    Patterns {
        place: fn(&mut C) -> &mut Vec<String>,
        production: &'static [&'static str],
        development: &'static [&'static str],
    },
    Text {
        place: fn(&mut C) -> &mut String,
        default: &'static str,
        /// What it must be, if it is not.
        check: fn(&str) -> Result<(), String>,
    },
    /// The first is the default.
    Choice {
        place: fn(&mut C) -> &mut &'static str,
        among: &'static [&'static str],
    },
    Words {
        place: fn(&mut C) -> &mut Vec<&'static str>,
        among: &'static [&'static str],
    },
    /// Words without spaces; `check` says what one must be.
    Names {
        place: fn(&mut C) -> &mut Vec<String>,
        check: fn(&str) -> Result<(), String>,
    },
    /// Nothing that prints options prints it.
    Secret {
        place: fn(&mut C) -> &mut Secret,
    },
    Cores {
        place: fn(&mut C) -> &mut Vec<usize>,
    },
    Driver {
        place: fn(&mut C) -> &mut Driver,
    },
}

/// How a value is written in TOML.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Shape {
    Switch,
    Integer,
    Text,
    TextOrInteger,
    Texts,
}

/// The text is not a value of this kind, or not within its bounds. The reason completes "it must be ...".
#[derive(Debug, PartialEq, Eq)]
pub struct Unfit(pub String);

impl<C> Field<C> {
    pub const fn shape(&self) -> Shape {
        match self {
            Self::Switch { .. } => Shape::Switch,
            Self::Count { .. } => Shape::Integer,
            Self::Duration { .. }
            | Self::Address { .. }
            | Self::Text { .. }
            | Self::Choice { .. }
            | Self::Secret { .. }
            | Self::Driver { .. } => Shape::Text,
            Self::Cores { .. } => Shape::TextOrInteger,
            Self::Patterns { .. } | Self::Words { .. } | Self::Names { .. } => Shape::Texts,
        }
    }

    /// Puts the default in place.
    pub fn reset(&self, config: &mut C, mode: Mode, allowed: &[usize]) {
        let development = mode == Mode::Development;
        match *self {
            Self::Switch { place, production, development: open } => {
                *place(config) = if development { open } else { production };
            }
            Self::Duration { place, default_ms, .. } => *place(config) = Duration::from_millis(default_ms),
            Self::Count { place, default, development: open, .. } => {
                *place(config) = if development { open } else { default };
            }
            Self::Address { place, production, development: local } => {
                *place(config) = if development { local } else { production };
            }
            Self::Patterns { place, production, development: open } => {
                let patterns = if development { open } else { production };
                *place(config) = patterns.iter().map(ToString::to_string).collect();
            }
            Self::Text { place, default, .. } => default.clone_into(place(config)),
            Self::Choice { place, among } => *place(config) = among.first().copied().unwrap_or_default(),
            Self::Words { place, .. } => place(config).clear(),
            Self::Names { place, .. } => place(config).clear(),
            Self::Secret { place } => *place(config) = Secret::default(),
            Self::Cores { place } => *place(config) = allowed.to_vec(),
            Self::Driver { place } => *place(config) = Driver::Auto,
        }
    }

    /// Reads `text`, checks the bounds and puts the value in place.
    pub fn assign(&self, config: &mut C, text: &str, allowed: &[usize]) -> Result<(), Unfit> {
        let unfit = || Unfit(self.expectation());
        match *self {
            Self::Switch { place, .. } => *place(config) = parse_switch(text).ok_or_else(unfit)?,
            Self::Duration { place, range_ms: [min, max], .. } => {
                let value = parse_duration(text).ok_or_else(unfit)?;
                let within = Duration::from_millis(min)..=Duration::from_millis(max);
                *place(config) = within.contains(&value).then_some(value).ok_or_else(unfit)?;
            }
            Self::Count { place, range: [min, max], .. } => {
                let value = text.replace('_', "").parse().map_err(|_| unfit())?;
                *place(config) = (min..=max).contains(&value).then_some(value).ok_or_else(unfit)?;
            }
            Self::Address { place, .. } => *place(config) = parse_address(text).ok_or_else(unfit)?,
            Self::Patterns { place, .. } => *place(config) = parse_patterns(text)?,
            Self::Text { place, check, .. } => {
                check(text).map_err(Unfit)?;
                text.clone_into(place(config));
            }
            Self::Choice { place, among } => *place(config) = one_of(among, text).ok_or_else(unfit)?,
            Self::Words { place, among } => {
                let words = split(text).map(|word| one_of(among, word).ok_or_else(unfit));
                *place(config) = words.collect::<Result<_, _>>()?;
            }
            Self::Names { place, check } => {
                let names = split(text).map(|name| check(name).map(|()| name.to_owned()).map_err(Unfit));
                *place(config) = names.collect::<Result<_, _>>()?;
            }
            Self::Secret { place } => *place(config) = Secret::new(text),
            Self::Cores { place } => *place(config) = parse_cores(text, allowed)?,
            Self::Driver { place } => *place(config) = parse_driver(text)?,
        }
        Ok(())
    }

    /// The value in place, as a file would have it (text without its quotes).
    pub fn show(&self, config: &mut C) -> String {
        match *self {
            Self::Switch { place, .. } => place(config).to_string(),
            Self::Duration { place, .. } => show_duration(*place(config)),
            Self::Count { place, .. } => place(config).to_string(),
            Self::Address { place, .. } => place(config).to_string(),
            Self::Patterns { place, .. } => place(config).join(" "),
            Self::Text { place, .. } => place(config).clone(),
            Self::Choice { place, .. } => (*place(config)).to_owned(),
            Self::Words { place, .. } => place(config).join(" "),
            Self::Names { place, .. } => place(config).join(" "),
            Self::Secret { place } => if place(config).is_empty() { "" } else { "(hidden)" }.to_owned(),
            Self::Cores { place } => match place(config).as_slice() {
                // A bare number would be read back as a count.
                [core] => format!("{core}-{core}"),
                cores => show_cores(cores),
            },
            Self::Driver { place } => match place(config) {
                Driver::Auto => "auto".to_owned(),
                Driver::Uring => "uring".to_owned(),
                Driver::Epoll => "epoll".to_owned(),
            },
        }
    }

    /// Whether both have the same value in this place.
    pub fn is_same(&self, one: &mut C, other: &mut C) -> bool {
        match *self {
            Self::Secret { place } => place(one) == place(other),
            Self::Switch { .. }
            | Self::Duration { .. }
            | Self::Count { .. }
            | Self::Address { .. }
            | Self::Patterns { .. }
            | Self::Text { .. }
            | Self::Choice { .. }
            | Self::Words { .. }
            | Self::Names { .. }
            | Self::Cores { .. }
            | Self::Driver { .. } => self.show(one) == self.show(other),
        }
    }

    /// Takes over the value of `from`.
    pub fn carry(&self, from: &mut C, to: &mut C, allowed: &[usize]) -> Result<(), Unfit> {
        if let Self::Secret { place } = *self {
            *place(to) = place(from).clone();
            return Ok(());
        }
        let value = self.show(from);
        self.assign(to, &value, allowed)
    }

    /// Completes the sentence "it must be ...".
    pub fn expectation(&self) -> String {
        match *self {
            Self::Switch { .. } => "true or false".to_owned(),
            Self::Duration { range_ms: [min, max], .. } => format!(
                "a duration from {} to {}, such as \"25s\", \"500ms\" or \"1m30s\"",
                show_duration(Duration::from_millis(min)),
                show_duration(Duration::from_millis(max)),
            ),
            Self::Count { range: [min, max], unit, .. } => {
                format!("a whole number from {min} to {max} ({unit})")
            }
            Self::Address { .. } => {
                "an address with a port, such as \"127.0.0.1:8080\" or \"[::]:8080\"".to_owned()
            }
            Self::Patterns { .. } => {
                "a list of origins, such as [\"https://example.com\", \"https://*.example.com\"]".to_owned()
            }
            Self::Text { .. } | Self::Secret { .. } => "text".to_owned(),
            Self::Choice { among, .. } => format!("one of {}", quoted(among)),
            Self::Words { among, .. } => format!("a list with any of {}", quoted(among)),
            Self::Names { .. } => "a list of names, such as [\"Cookie\", \"X-Request-Id\"]".to_owned(),
            Self::Cores { .. } => "a number of CPUs, a list such as \"0,2-3\", or \"all\"".to_owned(),
            Self::Driver { .. } => "\"auto\" or \"uring\"".to_owned(),
        }
    }

    /// What a bare number counts; other values carry their unit with them.
    pub fn unit(&self) -> Option<&'static str> {
        match *self {
            Self::Count { unit, .. } => Some(unit),
            Self::Duration { .. } => Some("d, h, m, s or ms"),
            Self::Switch { .. }
            | Self::Address { .. }
            | Self::Patterns { .. }
            | Self::Text { .. }
            | Self::Choice { .. }
            | Self::Words { .. }
            | Self::Names { .. }
            | Self::Secret { .. }
            | Self::Cores { .. }
            | Self::Driver { .. } => None,
        }
    }

    /// The value in place, ready to be pasted into a file.
    pub fn toml(&self, config: &mut C) -> String {
        match *self {
            Self::Switch { .. } | Self::Count { .. } => self.show(config),
            Self::Duration { .. }
            | Self::Address { .. }
            | Self::Choice { .. }
            | Self::Secret { .. }
            | Self::Cores { .. }
            | Self::Driver { .. } => {
                format!("\"{}\"", self.show(config))
            }
            Self::Text { place, .. } => toml::Value::from(place(config).as_str()).to_string(),
            Self::Patterns { place, .. } => format!("{:?}", place(config)),
            Self::Words { place, .. } => format!("{:?}", place(config)),
            Self::Names { place, .. } => format!("{:?}", place(config)),
        }
    }

    /// What stands for the value in the help.
    pub fn placeholder(&self) -> &'static str {
        match *self {
            Self::Switch { .. } => "true|false",
            Self::Duration { .. } => "DURATION",
            Self::Count { unit: "bytes", .. } => "BYTES",
            Self::Count { .. } => "COUNT",
            Self::Address { .. } => "ADDRESS:PORT",
            Self::Patterns { .. } => "ORIGINS",
            Self::Text { .. } | Self::Secret { .. } => "TEXT",
            Self::Choice { .. } => "WORD",
            Self::Words { .. } => "WORDS",
            Self::Names { .. } => "NAMES",
            Self::Cores { .. } => "N|LIST",
            Self::Driver { .. } => "auto|uring",
        }
    }
}

fn one_of(among: &'static [&'static str], text: &str) -> Option<&'static str> {
    among.iter().copied().find(|word| *word == text)
}

/// `"a", "b" or "c"`
fn quoted(words: &[&str]) -> String {
    let words: Vec<String> = words.iter().map(|word| format!("\"{word}\"")).collect();
    match words.split_last() {
        Some((last, before)) if !before.is_empty() => format!("{} or {last}", before.join(", ")),
        Some((last, _)) => last.clone(),
        None => String::new(),
    }
}

/// Separated by spaces, as in Centrifugo's environment, or by commas.
fn split(text: &str) -> impl Iterator<Item = &str> {
    text.split(|c: char| c == ',' || c.is_whitespace()).filter(|part| !part.is_empty())
}

fn parse_switch(text: &str) -> Option<bool> {
    match text {
        "true" | "1" => Some(true),
        "false" | "0" => Some(false),
        _ => None,
    }
}

/// A sum of whole numbers, each with a unit: days are the largest, milliseconds the smallest.
pub fn parse_duration(text: &str) -> Option<Duration> {
    let mut rest = text.trim();
    let mut total = (!rest.is_empty()).then_some(Duration::ZERO)?;
    while !rest.is_empty() {
        let digits = rest.find(|c: char| !c.is_ascii_digit())?;
        let number: u64 = rest[..digits].parse().ok()?;
        let letters = rest[digits..].find(|c: char| c.is_ascii_digit()).unwrap_or(rest.len() - digits);
        let unit = &rest[digits..digits + letters];
        let (_, unit_ms) = DURATION_UNITS.iter().find(|(name, _)| *name == unit)?;
        total = total.checked_add(Duration::from_millis(number.checked_mul(*unit_ms)?))?;
        rest = &rest[digits + letters..];
    }
    Some(total)
}

pub fn show_duration(value: Duration) -> String {
    let mut rest_ms = value.as_millis() as u64;
    let mut text = String::new();
    for (name, unit_ms) in DURATION_UNITS {
        if rest_ms >= unit_ms {
            let _ = write!(text, "{}{name}", rest_ms / unit_ms);
            rest_ms %= unit_ms;
        }
    }
    if text.is_empty() { "0s".to_owned() } else { text }
}

const DURATION_UNITS: [(&str, u64); 5] =
    [("d", 86_400_000), ("h", 3_600_000), ("m", 60_000), ("s", 1_000), ("ms", 1)];

fn parse_address(text: &str) -> Option<SocketAddr> {
    if let Some(port) = text.strip_prefix("localhost:") {
        return Some(SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), port.parse().ok()?));
    }
    text.parse().ok()
}

fn parse_patterns(text: &str) -> Result<Vec<String>, Unfit> {
    let patterns: Vec<String> = split(text).map(str::to_owned).collect();
    match OriginPolicy::new(&patterns) {
        Ok(_) => Ok(patterns),
        Err(OriginPatternError(pattern)) => Err(Unfit(format!(
            "a list of origins, and `{pattern}` is none: write scheme://host or scheme://host:port, \
             where * stands for one whole label of the host, or * alone"
        ))),
    }
}

/// A bare number counts CPUs from the first allowed one; anything with a comma or a dash names them.
fn parse_cores(text: &str, allowed: &[usize]) -> Result<Vec<usize>, Unfit> {
    let here = format!("this process may use the CPUs {}", show_cores(allowed));
    if text == "all" {
        return Ok(allowed.to_vec());
    }
    if let Ok(count) = text.parse::<usize>() {
        let fits = count >= 1 && count <= allowed.len();
        return fits
            .then(|| allowed[..count].to_vec())
            .ok_or_else(|| Unfit(format!("a number from 1 to {}, since {here}", allowed.len())));
    }
    let unreadable = || Unfit("a number of CPUs, a list such as \"0,2-3\", or \"all\"".to_owned());
    let mut cores = Vec::new();
    for part in text.split(',').map(str::trim) {
        let (first, last) = part.split_once('-').unwrap_or((part, part));
        let first: usize = first.trim().parse().map_err(|_| unreadable())?;
        let last: usize = last.trim().parse().map_err(|_| unreadable())?;
        if first > last {
            return Err(unreadable());
        }
        // The range is compared with the mask from both ends before it is walked: "0-18446744073709551615" is text too.
        if !allowed.contains(&first) || !allowed.contains(&last) {
            return Err(Unfit(format!("a list of CPUs within the mask, since {here}")));
        }
        cores.extend(first..=last);
    }
    if !cores.iter().all(|core| allowed.contains(core)) {
        return Err(Unfit(format!("a list of CPUs within the mask, since {here}")));
    }
    cores.sort_unstable();
    cores.dedup();
    Ok(cores)
}

/// Runs of neighbours are joined, as in `/proc`: "0,2-3".
pub fn show_cores(cores: &[usize]) -> String {
    let mut runs: Vec<[usize; 2]> = Vec::new();
    for &core in cores {
        match runs.last_mut() {
            Some([_, last]) if *last + 1 == core => *last = core,
            Some(_) | None => runs.push([core, core]),
        }
    }
    let run = |[first, last]: &[usize; 2]| {
        if first == last { first.to_string() } else { format!("{first}-{last}") }
    };
    runs.iter().map(run).collect::<Vec<_>>().join(",")
}

fn parse_driver(text: &str) -> Result<Driver, Unfit> {
    match text {
        "auto" => Ok(Driver::Auto),
        "uring" | "io_uring" => Ok(Driver::Uring),
        "epoll" => Ok(Driver::Epoll),
        _ => Err(Unfit("\"auto\", \"uring\" or \"epoll\"".to_owned())),
    }
}
