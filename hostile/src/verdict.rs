//! How a row came out, from best to worst.

use serde::Serialize;

#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase", tag = "verdict", content = "why")]
pub enum Verdict {
    Pass,
    /// Not run: the target does not offer what it needs.
    Skipped(String),
    /// Allowed, but not what the row asks for: see its policy.
    Differs(String),
    Fail(String),
}

impl Verdict {
    /// The worse of two.
    #[must_use]
    pub fn worst(self, other: Self) -> Self {
        if other.weight() > self.weight() { other } else { self }
    }

    fn weight(&self) -> u8 {
        match self {
            Self::Pass => 0,
            Self::Skipped(_) => 1,
            Self::Differs(_) => 2,
            Self::Fail(_) => 3,
        }
    }

    pub fn word(&self) -> &'static str {
        match self {
            Self::Pass => "pass",
            Self::Skipped(_) => "skipped",
            Self::Differs(_) => "differs",
            Self::Fail(_) => "FAIL",
        }
    }

    pub fn why(&self) -> &str {
        match self {
            Self::Pass => "",
            Self::Skipped(why) | Self::Differs(why) | Self::Fail(why) => why,
        }
    }
}
