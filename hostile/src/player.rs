//! Plays one conversation: does what its steps say and stops at the first that comes out otherwise.
//! Invariant: a step waits for `patience` at most, so a conversation ends.

use crate::clock;
use crate::conn::{Conn, DEFLATE_OFFER, Opening, Reply};
use crate::frame::{self, Event, Form};
use crate::step::{HEAD, Manner, Step};
use crate::target::Target;
use crate::verdict::Verdict;
use crate::wanted::{Match, Seen, Wanted};
use std::collections::HashMap;
use std::time::Duration;

/// Which path a row speaks to, and for how long it waits.
#[derive(Clone, Debug)]
pub struct Setting {
    pub path: String,
    pub patience: Duration,
    /// A mute peer answers no ping.
    pub mute: bool,
    /// Messages of an honest form are packed wherever the server has agreed to that.
    pub packs: bool,
}

pub struct Player<'t> {
    target: &'t Target,
    setting: &'t Setting,
    seats: HashMap<String, Seat>,
    current: String,
    /// What is collected for one write.
    corked: Option<Vec<u8>>,
}

#[derive(Default)]
struct Seat {
    opening: Opening,
    conn: Option<Conn>,
    reply: Option<Reply>,
}

/// Why a conversation stops before its end.
enum Stop {
    Differs(String),
    Fail(String),
}

impl From<String> for Stop {
    fn from(fault: String) -> Self {
        Self::Fail(fault)
    }
}

/// Plays all steps; with `exact` nothing is tolerated.
pub fn play(target: &Target, setting: &Setting, steps: &[Step]) -> Verdict {
    let mut player =
        Player { target, setting, seats: HashMap::new(), current: FIRST.to_owned(), corked: None };
    for step in steps {
        match player.step(step) {
            Ok(()) => {}
            Err(Stop::Differs(why)) => return Verdict::Differs(why),
            Err(Stop::Fail(why)) => return Verdict::Fail(why),
        }
    }
    Verdict::Pass
}

impl Player<'_> {
    fn step(&mut self, step: &Step) -> Result<(), Stop> {
        match step {
            Step::As(name) => self.current.clone_from(name),
            Step::ReceiveBuffer(bytes) => self.seat().opening.receive_bytes = Some(*bytes),
            Step::Bare => self.seat().opening.bare = true,
            Step::Connect => {
                self.seat().conn = None;
                self.conn()?;
            }
            Step::Send(bytes, manner) => self.send(bytes, manner)?,
            Step::Say { plain, packed, manner } => {
                let packs = self.setting.packs && self.conn()?.compresses();
                self.send(if packs { packed } else { plain }, manner)?;
            }
            Step::Cork => self.corked = Some(Vec::new()),
            Step::Uncork(manner) => {
                let bytes = self.corked.take().unwrap_or_default();
                self.send(&bytes, manner)?;
            }
            Step::Pause(duration) => clock::pause(*duration),
            Step::HalfClose => self.conn()?.half_close(),
            Step::Reset => {
                self.conn()?;
                if let Some(conn) = self.seat().conn.take() {
                    conn.reset();
                }
            }
            Step::Drop => self.seat().conn = None,
            Step::Status(wanted) => self.status(wanted)?,
            Step::Refused(wanted) => self.refused(wanted)?,
            Step::Header(name, value) => self.header(name, value.as_deref())?,
            Step::Closed(wanted) => self.closed(wanted, false)?,
            Step::ClosedAfterMessages(wanted) => self.closed(wanted, true)?,
            Step::Message(opcode, payload, wanted) => self.message(*opcode, payload, wanted)?,
            Step::Pong(payload, wanted) => self.pong(payload, wanted)?,
            Step::Says(text, wanted) => self.says(text, wanted)?,
            Step::Ended(wanted) => {
                let patience = self.setting.patience;
                match self.event(patience)? {
                    Ok(event) => judge(wanted, seen_of(&event), "the end")?,
                    Err(seen) => judge(wanted, seen, "the end")?,
                }
            }
            Step::Drained(wanted, within) => {
                let patience = within.unwrap_or(self.setting.patience);
                let seen = self.conn()?.drain(patience);
                judge(wanted, seen, "the end")?;
            }
            Step::Released => self.released()?,
            Step::Silence(duration) => match self.event(*duration)? {
                Err(Seen::Open) => {}
                Err(seen) => return Err(Stop::Fail(format!("silence was due, but {seen}"))),
                Ok(event) => return Err(Stop::Fail(format!("silence was due, not {}", shown(&event)))),
            },
        }
        Ok(())
    }

    fn seat(&mut self) -> &mut Seat {
        self.seats.entry(self.current.clone()).or_default()
    }

    /// The current connection, opened when it is needed.
    fn conn(&mut self) -> Result<&mut Conn, Stop> {
        let (target, patience) = (self.target, self.setting.patience);
        let seat = self.seat();
        if seat.conn.is_none() {
            seat.conn = Some(target.open(&seat.opening, patience)?);
        }
        seat.conn.as_mut().ok_or_else(|| Stop::Fail("no connection".into()))
    }

    fn send(&mut self, bytes: &[u8], manner: &Manner) -> Result<(), Stop> {
        let bytes = self.with_head(bytes);
        if let Some(corked) = &mut self.corked {
            corked.extend_from_slice(&bytes);
            return Ok(());
        }
        let patience = manner.within.unwrap_or(self.setting.patience);
        let deadline = clock::now() + patience;
        let conn = self.conn()?;
        // A server that refuses in the middle has gone before the rest is out: what it said decides.
        for piece in bytes.chunks(manner.every.unwrap_or(usize::MAX).max(1)) {
            let Some(left) = clock::left(deadline) else { break };
            if !conn.write(piece, left) {
                break;
            }
            if !manner.pause.is_zero() {
                clock::pause(manner.pause);
            }
        }
        Ok(())
    }

    /// `upgrade` leaves a mark where the head of the target belongs.
    fn with_head(&self, bytes: &[u8]) -> Vec<u8> {
        match bytes.strip_prefix(HEAD.as_bytes()) {
            Some(rest) => {
                let has_offer = rest.to_ascii_lowercase().starts_with(b"sec-websocket-extensions");
                let offer = if self.setting.packs && !has_offer { DEFLATE_OFFER } else { "" };
                [head(self.target, &self.setting.path).as_bytes(), offer.as_bytes(), rest].concat()
            }
            None => bytes.to_vec(),
        }
    }

    fn status(&mut self, wanted: &Wanted) -> Result<(), Stop> {
        let patience = self.setting.patience;
        match self.conn()?.reply(patience)? {
            Ok(reply) => {
                let seen = Seen::Code(reply.status);
                self.seat().reply = Some(reply);
                judge(wanted, seen, "status")
            }
            Err(seen) => judge(wanted, seen, "status"),
        }
    }

    fn refused(&mut self, wanted: &Wanted) -> Result<(), Stop> {
        self.status(wanted)?;
        if self.seat().reply.is_none() {
            return Ok(());
        }
        let patience = self.setting.patience;
        after("refused", self.conn()?.end(patience)?)
    }

    fn header(&mut self, name: &str, value: Option<&str>) -> Result<(), Stop> {
        let reply = self.seat().reply.as_ref();
        let found = reply.and_then(|reply| reply.field(name));
        let fits = match (&found, value) {
            (Some(found), Some(value)) => {
                found.split(',').any(|part| part.trim().eq_ignore_ascii_case(value))
            }
            (None, None) => true,
            (Some(_), None) | (None, Some(_)) => false,
        };
        let shown = |value: Option<&str>| value.map_or("absent".to_owned(), |value| format!("{value:?}"));
        let found = found.as_deref();
        if fits {
            Ok(())
        } else {
            Err(Stop::Differs(format!("{name} is {}, not {}", shown(found), shown(value))))
        }
    }

    fn closed(&mut self, wanted: &Wanted, skips: bool) -> Result<(), Stop> {
        let patience = self.setting.patience;
        let code = loop {
            match self.event(patience)? {
                Ok(Event::Close(code)) => break code,
                Ok(Event::Message(..) | Event::Pong(_)) if skips => {}
                Ok(event) => {
                    judge(wanted, seen_of(&event), "a close frame")?;
                    return Ok(());
                }
                Err(seen) => return judge(wanted, seen, "a close frame"),
            }
        };
        judge(wanted, code.map_or(Seen::NoCode, Seen::Code), "a close frame")?;
        after("closed", self.conn()?.end(patience)?)
    }

    /// Writes until that fails: bytes for a socket that was closed are answered with a reset.
    fn released(&mut self) -> Result<(), Stop> {
        let deadline = clock::now() + self.setting.patience;
        while self.conn()?.write(b"\0", RELEASE_INTERVAL) {
            if clock::left(deadline).is_none() {
                return Err(Stop::Differs(
                    "the server keeps a socket that it has closed for its part".into(),
                ));
            }
            clock::pause(RELEASE_INTERVAL);
        }
        Ok(())
    }

    fn message(&mut self, opcode: u8, payload: &[u8], wanted: &Wanted) -> Result<(), Stop> {
        let what = if opcode == frame::TEXT { "the text back" } else { "the bytes back" };
        let patience = self.setting.patience;
        match self.event(patience)? {
            Ok(Event::Message(kind, came)) if kind == opcode && came == payload => Ok(()),
            Ok(Event::Message(_, came)) => {
                let len = payload.len();
                Err(Stop::Fail(format!("a message of {len} bytes came back as {} others", came.len())))
            }
            Ok(event) => judge(wanted, seen_of(&event), what),
            Err(seen) => judge(wanted, seen, what),
        }
    }

    fn pong(&mut self, payload: &[u8], wanted: &Wanted) -> Result<(), Stop> {
        let patience = self.setting.patience;
        match self.event(patience)? {
            Ok(Event::Pong(came)) if came == payload => Ok(()),
            Ok(Event::Pong(_)) => {
                Err(Stop::Fail("the payload of the pong is not that of the ping (section 5.5.3)".into()))
            }
            Ok(event) => judge(wanted, seen_of(&event), "a pong"),
            Err(seen) => judge(wanted, seen, "a pong"),
        }
    }

    fn says(&mut self, text: &str, wanted: &Wanted) -> Result<(), Stop> {
        let patience = self.setting.patience;
        match self.event(patience)? {
            Ok(Event::Message(_, came)) => {
                let came = String::from_utf8_lossy(&came).into_owned();
                if came.contains(text) {
                    return Ok(());
                }
                let start: String = came.chars().take(200).collect();
                Err(Stop::Fail(format!("{text:?} is not in {start:?}")))
            }
            Ok(event) => judge(wanted, seen_of(&event), "a message"),
            Err(seen) => judge(wanted, seen, "a message"),
        }
    }

    /// What the server says next, its pings apart, which an honest peer answers.
    fn event(&mut self, patience: Duration) -> Result<Result<Event, Seen>, Stop> {
        let mute = self.setting.mute;
        let deadline = clock::now() + patience;
        loop {
            let left = clock::left(deadline).unwrap_or_default();
            let conn = self.conn()?;
            match conn.event(left)? {
                Ok(Event::Ping(payload)) => {
                    if !mute {
                        conn.write(&frame::encode(0x8a, &payload, &Form::default()), patience);
                    }
                }
                Ok(event) => return Ok(Ok(event)),
                Err(seen) => return Ok(Err(seen)),
            }
        }
    }
}

/// A well-formed request for an upgrade, without the blank line that ends it.
pub fn head(target: &Target, path: &str) -> String {
    format!(
        "GET {path} HTTP/1.1\r\nHost: {}\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
         Sec-WebSocket-Key: {}\r\nSec-WebSocket-Version: 13\r\n",
        target.host,
        crate::conn::KEY_TEXT
    )
}

/// FIN is due behind a last word; a reset may take the word with it, and a socket that stays open costs its place.
fn after(how: &str, seen: Seen) -> Result<(), Stop> {
    if seen == Seen::Fin {
        Ok(())
    } else {
        Err(Stop::Differs(format!("{how} as it should be, but then: {seen}")))
    }
}

fn judge(wanted: &Wanted, seen: Seen, what: &str) -> Result<(), Stop> {
    let why = || {
        if wanted.is_empty() {
            format!("{what} was due, but: {seen}")
        } else {
            format!("{what}: {wanted} was due, but: {seen}")
        }
    };
    match wanted.verdict(seen) {
        Match::Exact => Ok(()),
        Match::Tolerated => Err(Stop::Differs(why())),
        Match::Miss => Err(Stop::Fail(why())),
    }
}

fn seen_of(event: &Event) -> Seen {
    match event {
        Event::Close(Some(code)) => Seen::Code(*code),
        Event::Close(None) => Seen::NoCode,
        Event::Message(..) | Event::Ping(_) | Event::Pong(_) => Seen::Message,
    }
}

fn shown(event: &Event) -> String {
    match event {
        Event::Close(code) => format!("a close frame with {code:?}"),
        Event::Message(_, payload) => format!("a message of {} bytes", payload.len()),
        Event::Ping(_) => "a ping".to_owned(),
        Event::Pong(_) => "a pong".to_owned(),
    }
}

/// Between two looks whether a socket was let go of.
const RELEASE_INTERVAL: Duration = Duration::from_millis(50);
/// The connection that a row begins with.
const FIRST: &str = "first";
