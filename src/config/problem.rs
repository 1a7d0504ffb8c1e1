//! A mistake in the configuration: where it stands, what is wrong, what would be right.
//! Invariant: every problem reads as one line that names its place and its remedy.

use std::fmt;
use std::path::PathBuf;

/// Where a setting was made.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Origin {
    /// Line and column count from one.
    File {
        path: PathBuf,
        line: usize,
        column: usize,
    },
    Environment(String),
    Flag(&'static str),
    /// Nobody made it.
    Default,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    pub origin: Origin,
    pub cause: Cause,
}

#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Cause {
    #[error("this is not TOML: {0}")]
    Syntax(String),
    #[error("unknown option `{key}`{}", .suggestion.as_ref().map_or_else(
        || "; `ringway serve --help` lists all options".to_owned(),
        |close| format!("; did you mean `{close}`?")))]
    Unknown { key: String, suggestion: Option<String> },
    #[error("`{key}` is {found}; it must be {expected}")]
    Unfit { key: String, found: String, expected: String },
    /// Two options that are right alone but not together.
    #[error("`{key}` is {found}; it must be {relation}")]
    Related { key: String, found: String, relation: String },
    #[error("every one of `{list}` needs a name: write name = \"...\" below [[{list}]]")]
    Nameless { list: &'static str },
    #[error("`{list}` has two called `{name}`")]
    Twice { list: &'static str, name: String },
}

impl Origin {
    /// The order in which people look: the file from its top, then the environment, then the command line.
    pub(super) fn place(&self) -> (u8, usize, usize) {
        match *self {
            Self::File { line, column, .. } => (0, line, column),
            Self::Environment(_) => (1, 0, 0),
            Self::Flag(_) => (2, 0, 0),
            Self::Default => (3, 0, 0),
        }
    }
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::File { path, line, column } => write!(f, "{}:{line}:{column}", path.display()),
            Self::Environment(name) => write!(f, "environment {name}"),
            Self::Flag(name) => write!(f, "flag --{name}"),
            Self::Default => write!(f, "default"),
        }
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.origin, self.cause)
    }
}
