//! The language of rows: one step a line, first what it does, then options (`name=value`), then bytes or expectations.
//!
//! ```text
//! upgrade                               # asks for the path under test and gets 101
//! frame 0x83 ""                         # or text, binary, ping, pong, close, text-start, more, last ...
//! closed 1002 ~ end                     # a close frame with 1002 and the end; without the frame it "differs"
//! ```
//! Invariant: a line that is not understood is an error with its text, so that no row passes because of a typing error.

use crate::clock;
use crate::frame::{self, Form};
use crate::literal;
use crate::wanted::Wanted;
use std::time::Duration;

#[derive(Clone, Debug)]
pub enum Step {
    /// Goes on with another connection, which begins with its first bytes.
    As(String),
    /// Room for what is not read, of a connection that has not begun.
    ReceiveBuffer(usize),
    /// The next connection is not put under TLS.
    Bare,
    Connect,
    Send(Vec<u8>, Manner),
    /// A whole message in a frame: as it is, or packed where that was agreed on.
    Say {
        plain: Vec<u8>,
        packed: Vec<u8>,
        manner: Manner,
    },
    /// Collects what is sent from here on into one write.
    Cork,
    Uncork(Manner),
    Pause(Duration),
    HalfClose,
    Reset,
    Drop,
    Status(Wanted),
    /// A status other than 101, and then the end.
    Refused(Wanted),
    Header(String, Option<String>),
    /// A close frame with such a code, and then the end.
    Closed(Wanted),
    /// The same behind any number of messages.
    ClosedAfterMessages(Wanted),
    Message(u8, Vec<u8>, Wanted),
    Pong(Vec<u8>, Wanted),
    /// The next text message contains this.
    Says(String, Wanted),
    /// Nothing is said, and the connection ends.
    Ended(Wanted),
    /// Whatever comes, frames or not, until it stops: it ends, or it is silent.
    Drained(Wanted, Option<Duration>),
    /// Nobody has the other end any more, although this one was never closed.
    Released,
    Silence(Duration),
}

/// How bytes go out.
#[derive(Clone, Copy, Debug, Default)]
pub struct Manner {
    /// In pieces of so many bytes, a segment each as far as anybody can choose that.
    pub every: Option<usize>,
    /// Between two pieces.
    pub pause: Duration,
    /// Gives up after this, for a server that stops reading.
    pub within: Option<Duration>,
}

/// The steps of a script.
pub fn parse(script: &str) -> Result<Vec<Step>, String> {
    let mut steps = Vec::new();
    for line in script.lines().map(str::trim).filter(|line| !line.is_empty() && !line.starts_with('#')) {
        let parsed = Line::parse(line).and_then(Line::steps);
        steps.extend(parsed.map_err(|fault| format!("{line:?}: {fault}"))?);
    }
    Ok(steps)
}

/// Whether a step lets a server differ.
pub fn tolerates(step: &Step) -> bool {
    match step {
        Step::Status(wanted)
        | Step::Refused(wanted)
        | Step::Closed(wanted)
        | Step::ClosedAfterMessages(wanted)
        | Step::Message(_, _, wanted)
        | Step::Pong(_, wanted)
        | Step::Says(_, wanted)
        | Step::Ended(wanted)
        | Step::Drained(wanted, _) => wanted.tolerates(),
        Step::As(_)
        | Step::ReceiveBuffer(_)
        | Step::Bare
        | Step::Connect
        | Step::Send(..)
        | Step::Say { .. }
        | Step::Cork
        | Step::Uncork(_)
        | Step::Pause(_)
        | Step::HalfClose
        | Step::Reset
        | Step::Drop
        | Step::Header(..)
        | Step::Released
        | Step::Silence(_) => false,
    }
}

/// A line, taken apart.
#[derive(Default)]
struct Line {
    verb: String,
    options: Vec<(String, String)>,
    /// Neither options nor literals.
    words: Vec<String>,
    literals: Vec<u8>,
}

impl Line {
    fn parse(line: &str) -> Result<Self, String> {
        let mut parsed = Self::default();
        let mut words = literal::words(line)?.into_iter();
        parsed.verb = words.next().unwrap_or_default();
        for word in words {
            if literal::is_literal(&word) {
                parsed.literals.extend(literal::bytes(&word)?);
            } else if let Some((name, value)) = word.split_once('=') {
                parsed.options.push((name.to_owned(), value.to_owned()));
            } else {
                parsed.words.push(word);
            }
        }
        Ok(parsed)
    }

    fn steps(mut self) -> Result<Vec<Step>, String> {
        let verb = std::mem::take(&mut self.verb);
        let manner = self.manner()?;
        let step = match verb.as_str() {
            "as" => Step::As(self.word()?),
            "receive-buffer" => Step::ReceiveBuffer(literal::parse_count(&self.word()?)?),
            "bare" => Step::Bare,
            "connect" => Step::Connect,
            "send" => Step::Send(self.bytes(), manner),
            "frame" => self.frames(manner)?,
            "upgrade" => return self.upgrade(manner),
            "cork" => Step::Cork,
            "uncork" => Step::Uncork(manner),
            "pause" => Step::Pause(clock::duration(&self.word()?)?),
            "half-close" => Step::HalfClose,
            "reset" => Step::Reset,
            "drop" => Step::Drop,
            "status" => Step::Status(self.wanted()?),
            "refused" => Step::Refused(self.wanted()?),
            "header" => Step::Header(self.word()?, Some(self.text()?)),
            "no-header" => Step::Header(self.word()?, None),
            "closed" => Step::Closed(self.wanted()?),
            "closed-after-messages" => Step::ClosedAfterMessages(self.wanted()?),
            "text" => Step::Message(frame::TEXT, self.bytes(), self.alternatives()?),
            "binary" => Step::Message(frame::BINARY, self.bytes(), self.alternatives()?),
            "ponged" => Step::Pong(self.bytes(), self.alternatives()?),
            "says" => Step::Says(self.text()?, self.alternatives()?),
            "ended" => Step::Ended(self.wanted()?),
            "drained" => {
                let within = self.option("within")?.map(|text| clock::duration(&text)).transpose()?;
                Step::Drained(self.wanted()?, within)
            }
            "released" => Step::Released,
            "silence" => Step::Silence(clock::duration(&self.word()?)?),
            _ => return Err("no such step".into()),
        };
        self.spent()?;
        Ok(vec![step])
    }

    /// Options that somebody gave but nobody understands are errors.
    fn spent(&self) -> Result<(), String> {
        let left: Vec<String> = self.options.iter().map(|(name, _)| format!("{name}=")).collect();
        let left = left.iter().chain(&self.words).next();
        match left {
            Some(word) => Err(format!("{word:?} means nothing here")),
            None if !self.literals.is_empty() => Err("bytes mean nothing here".into()),
            None => Ok(()),
        }
    }

    fn option(&mut self, name: &str) -> Result<Option<String>, String> {
        let at = self.options.iter().position(|(other, _)| other == name);
        let value = at.map(|at| self.options.remove(at).1);
        if self.options.iter().any(|(other, _)| other == name) {
            return Err(format!("{name} is given twice"));
        }
        Ok(value)
    }

    fn manner(&mut self) -> Result<Manner, String> {
        if self.verb == "drained" {
            return Ok(Manner::default());
        }
        Ok(Manner {
            every: self.option("every")?.map(|text| literal::parse_count(&text)).transpose()?,
            pause: self.option("pause")?.map(|text| clock::duration(&text)).transpose()?.unwrap_or_default(),
            within: self.option("within")?.map(|text| clock::duration(&text)).transpose()?,
        })
    }

    fn word(&mut self) -> Result<String, String> {
        if self.words.is_empty() { Err("a word is missing".into()) } else { Ok(self.words.remove(0)) }
    }

    fn bytes(&mut self) -> Vec<u8> {
        std::mem::take(&mut self.literals)
    }

    fn text(&mut self) -> Result<String, String> {
        String::from_utf8(self.bytes()).map_err(|_| "text is expected".into())
    }

    fn wanted(&mut self) -> Result<Wanted, String> {
        let wanted = self.alternatives()?;
        if wanted.is_empty() { Err("what is expected?".into()) } else { Ok(wanted) }
    }

    fn alternatives(&mut self) -> Result<Wanted, String> {
        let words = std::mem::take(&mut self.words);
        Wanted::parse(words.iter().map(String::as_str))
    }

    /// `frame text times=3 "abc"`; `len=` declares another length, `wide=8` takes a longer form, `cut=` sends a part.
    fn frames(&mut self, manner: Manner) -> Result<Step, String> {
        let name = self.word()?;
        let is_honest = matches!(name.as_str(), "text" | "binary")
            && self.options.iter().all(|(name, _)| name == "times");
        let first = frame::first_byte(&name).ok_or_else(|| format!("{name:?} is no kind of frame"))?;
        let number =
            |text: String| text.replace('_', "").parse::<u64>().map_err(|_| format!("{text:?} is no length"));
        let key = self.option("key")?;
        let form = Form {
            unmasked: key.as_deref() == Some("none"),
            key: match key.as_deref() {
                None | Some("none") => None,
                Some(digits) => {
                    let bits =
                        u32::from_str_radix(digits, 16).map_err(|_| format!("{digits:?} is no key"))?;
                    Some(bits.to_be_bytes())
                }
            },
            declared: self.option("len")?.map(number).transpose()?,
            wide: match self.option("wide")?.as_deref() {
                None => None,
                Some("2") => Some(2),
                Some("8") => Some(8),
                Some(other) => return Err(format!("a length has 2 or 8 further bytes, not {other}")),
            },
        };
        let payload = self.bytes();
        let mut frame = frame::encode(first, &payload, &form);
        if let Some(cut) = self.option("cut")? {
            frame.truncate(literal::parse_count(&cut)?);
        }
        let times = self.option("times")?.map_or(Ok(1), |text| literal::parse_count(&text))?;
        let plain = frame.repeat(times);
        if !is_honest {
            return Ok(Step::Send(plain, manner));
        }
        let packed = frame::packed(first, &payload).repeat(times);
        Ok(Step::Say { plain, packed, manner })
    }

    /// Further fields of the head may follow.
    fn upgrade(mut self, manner: Manner) -> Result<Vec<Step>, String> {
        let head = [HEAD.as_bytes(), &self.bytes(), b"\r\n"].concat();
        self.spent()?;
        Ok(vec![Step::Send(head, manner), Step::Status(Wanted::code(101))])
    }
}

/// The player puts the target's own head in its place.
pub const HEAD: &str = "\u{0}HEAD\u{0}";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_become_steps() {
        let steps =
            parse("upgrade\n# why\n  frame text times=2 every=1 pause=5ms \"hi\"\nclosed 1002 ~ end\n")
                .unwrap();
        assert!(matches!(&steps[0], Step::Send(head, _) if head.ends_with(b"\r\n")));
        assert!(matches!(&steps[1], Step::Status(_)));
        let Step::Say { plain, packed, manner } = &steps[2] else { panic!("{:?}", steps[2]) };
        assert_eq!(*plain, frame::encode(0x81, b"hi", &Form::default()).repeat(2));
        assert_eq!(*packed, frame::packed(0x81, b"hi").repeat(2));
        assert_eq!((manner.every, manner.pause), (Some(1), Duration::from_millis(5)));
        assert!(tolerates(&steps[3]));
    }

    #[test]
    fn frames_that_are_wrong_on_purpose_are_never_packed() {
        for line in [
            "frame text len=9 \"hi\"",
            "frame binary wide=8 \"hi\"",
            "frame ping",
            "frame last \"hi\"",
            "frame 0x81 \"hi\"",
        ] {
            assert!(matches!(parse(line).unwrap()[..], [Step::Send(..)]), "{line}");
        }
    }

    #[test]
    fn what_is_not_understood_is_an_error() {
        for line in [
            "sned \"a\"",
            "send quick \"a\"",
            "send pauze=1ms \"a\"",
            "frame txet \"a\"",
            "frame text len=x",
            "frame text wide=4 \"a\"",
            "closed",
            "closed 10o2",
            "pause 5",
            "cork \"a\"",
            "drained end within=3",
        ] {
            let fault = parse(line).unwrap_err();
            assert!(fault.starts_with(&format!("{line:?}")), "{fault}");
        }
    }
}
