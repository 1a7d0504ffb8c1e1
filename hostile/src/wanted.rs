//! What may come next: `400 426 ~ 4xx end`. Left of the tilde stands what a row asks for, right of it what the RFCs
//! leave to a server, too.

/// How an expectation was met.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Match {
    Exact,
    Tolerated,
    Miss,
}

/// A status, a close code, or the absence of one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Pattern {
    Code(u16),
    /// `4xx`, by its first digit.
    Class(u16),
    /// A close frame without a code.
    NoCode,
    /// The connection ends, politely or with a reset, and nothing was said.
    End,
    /// A reset, where FIN is due.
    Reset,
    /// The connection stays open, and nothing is said.
    Open,
    /// A message comes back.
    Message,
}

/// What came.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Seen {
    Code(u16),
    NoCode,
    Fin,
    Reset,
    Open,
    Message,
}

#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Wanted {
    exact: Vec<Pattern>,
    tolerated: Vec<Pattern>,
}

impl Wanted {
    pub fn parse<'w>(words: impl Iterator<Item = &'w str>) -> Result<Self, String> {
        let mut wanted = Self::default();
        let mut tolerates = false;
        for word in words {
            if word == "~" {
                tolerates = true;
            } else if tolerates {
                wanted.tolerated.push(Pattern::parse(word)?);
            } else {
                wanted.exact.push(Pattern::parse(word)?);
            }
        }
        Ok(wanted)
    }

    pub fn code(code: u16) -> Self {
        Self { exact: vec![Pattern::Code(code)], tolerated: Vec::new() }
    }

    pub fn verdict(&self, seen: Seen) -> Match {
        if self.exact.iter().any(|pattern| pattern.fits(seen)) {
            Match::Exact
        } else if self.tolerated.iter().any(|pattern| pattern.fits(seen)) {
            Match::Tolerated
        } else {
            Match::Miss
        }
    }

    /// Whether a server may differ here without being wrong.
    pub fn tolerates(&self) -> bool {
        !self.tolerated.is_empty()
    }

    pub fn is_empty(&self) -> bool {
        self.exact.is_empty()
    }
}

impl Pattern {
    fn parse(word: &str) -> Result<Self, String> {
        let fault = || format!("{word:?} is none of 400, 4xx, none, end, reset, open, message");
        match word {
            "none" => Ok(Self::NoCode),
            "end" => Ok(Self::End),
            "reset" => Ok(Self::Reset),
            "open" => Ok(Self::Open),
            "message" => Ok(Self::Message),
            _ => match word.strip_suffix("xx") {
                Some(class) => class.parse().map(Self::Class).map_err(|_| fault()),
                None => word.parse().map(Self::Code).map_err(|_| fault()),
            },
        }
    }

    fn fits(&self, seen: Seen) -> bool {
        match self {
            Self::Code(code) => seen == Seen::Code(*code),
            Self::Class(class) => matches!(seen, Seen::Code(code) if code / 100 == *class),
            Self::NoCode => seen == Seen::NoCode,
            Self::End => matches!(seen, Seen::Fin | Seen::Reset),
            Self::Reset => seen == Seen::Reset,
            Self::Open => seen == Seen::Open,
            Self::Message => seen == Seen::Message,
        }
    }
}

impl std::fmt::Display for Wanted {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let names: Vec<String> = self.exact.iter().map(|pattern| format!("{pattern}")).collect();
        out.write_str(&names.join(" or "))
    }
}

impl std::fmt::Display for Pattern {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Code(code) => write!(out, "{code}"),
            Self::Class(class) => write!(out, "{class}xx"),
            Self::NoCode => out.write_str("a close frame without a code"),
            Self::End => out.write_str("the end of the connection"),
            Self::Reset => out.write_str("a reset"),
            Self::Open => out.write_str("silence"),
            Self::Message => out.write_str("a message"),
        }
    }
}

impl std::fmt::Display for Seen {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Code(code) => write!(out, "{code}"),
            Self::NoCode => out.write_str("a close frame without a code"),
            Self::Fin => out.write_str("the connection ended without a word"),
            Self::Reset => out.write_str("the connection was reset"),
            Self::Open => out.write_str("nothing came"),
            Self::Message => out.write_str("a message came"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_tilde_parts_what_is_asked_for_from_what_is_tolerated() {
        let wanted = Wanted::parse("400 426 ~ 4xx end".split(' ')).unwrap();
        assert_eq!(wanted.verdict(Seen::Code(426)), Match::Exact);
        assert_eq!(wanted.verdict(Seen::Code(403)), Match::Tolerated);
        assert_eq!(wanted.verdict(Seen::Fin), Match::Tolerated);
        assert_eq!(wanted.verdict(Seen::Code(101)), Match::Miss);
        assert_eq!(wanted.verdict(Seen::Open), Match::Miss);
        assert!(wanted.tolerates());
        assert!(Wanted::parse("4yx".split(' ')).is_err());
    }
}
