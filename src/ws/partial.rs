//! A message or frame that is not whole yet: what is kept of it between two chunks. RFC 6455 section 5.4.
//!
//! Invariant: `data` holds the unmasked payload of the open message, all frames in one piece, and as text it is checked
//! as far as `checked`; a compressed message is checked when it is whole, since only then it is known what it says. Its capacity is at most twice what was received: a declared length reserves nothing.

#![expect(clippy::mut_mut, reason = "the input is a slice that shrinks as it is consumed")]

use super::deflate::History;
use super::header::{Allowed, HEADER_BYTES_MAX, Header};
use super::reader::{self, Event, ReadOptions};
use super::{Kind, Opcode, Pool, Violation, unmask, utf8};
use crate::limits::CONTROL_BYTES_MAX;

#[derive(Debug)]
pub(super) struct Partial {
    /// The start of a header that the chunk cut off.
    spill: [u8; HEADER_BYTES_MAX],
    spill_len: u8,
    /// The frame whose payload is being received.
    frame: Option<Frame>,
    /// The message that is being received; control frames may come in between.
    message: Option<Message>,
    /// Payload of the message. It outlives `message` until the event that lends it is done with.
    pub(super) data: Vec<u8>,
    control: [u8; CONTROL_BYTES_MAX as usize],
}

#[derive(Clone, Copy, Debug)]
struct Frame {
    header: Header,
    received: u32,
}

#[derive(Clone, Copy, Debug)]
struct Message {
    kind: Kind,
    is_compressed: bool,
    empty_frames: u32,
    checked: u32,
}

enum Progress {
    /// The input ended before the frame did.
    Starved,
    /// The frame is whole, its message is not.
    Fragment,
    Message(Message),
    Control(Opcode, u32),
}

impl Partial {
    pub const fn new() -> Self {
        Self {
            spill: [0; HEADER_BYTES_MAX],
            spill_len: 0,
            frame: None,
            message: None,
            data: Vec::new(),
            control: [0; CONTROL_BYTES_MAX as usize],
        }
    }

    /// True when nothing is left to wait for: the last event was the end of it.
    pub const fn is_spent(&self) -> bool {
        self.spill_len == 0 && self.frame.is_none() && self.message.is_none()
    }

    /// As new, but with the memory of `data`.
    pub fn clear(&mut self) {
        self.spill_len = 0;
        self.frame = None;
        self.message = None;
        self.data.clear();
    }

    pub fn next(
        &mut self,
        input: &mut &mut [u8],
        options: &ReadOptions,
        pool: &mut Pool,
        history: Option<&mut History>,
    ) -> Result<Option<Event<'_>>, Violation> {
        loop {
            let frame = match self.frame {
                Some(frame) => frame,
                None => match self.take_header(input, options)? {
                    Some(header) => self.start_frame(header, options)?,
                    None => return Ok(None),
                },
            };
            match self.take_payload(frame, input)? {
                Progress::Starved => return Ok(None),
                Progress::Fragment => {}
                Progress::Message(message) => {
                    if message.is_compressed {
                        let bytes_max = options.message_bytes_max;
                        pool.inflater.inflate_in_place(&mut self.data, bytes_max, history)?;
                    }
                    return self.said(message.kind, message.checked).map(Some);
                }
                Progress::Control(opcode, len) => {
                    let payload = self.control.get(..len as usize).unwrap_or_default();
                    return reader::control(opcode, payload).map(Some);
                }
            }
        }
    }

    /// None when the input ends before the header does; what there is of it is kept.
    ///
    /// ```text
    /// spill  81 fe            input  01 00 k1 k2 k3 k4 payload...
    /// spill  81 fe 01 00 k1 k2 k3 k4 p p p p p p   (copied, decoded, forgotten)
    /// input                          payload...    (only the header is taken from it)
    /// ```
    fn take_header(
        &mut self,
        input: &mut &mut [u8],
        options: &ReadOptions,
    ) -> Result<Option<Header>, Violation> {
        let received = u32::try_from(self.data.len()).unwrap_or(u32::MAX);
        let allowed = Allowed {
            role: options.role,
            in_message: self.message.is_some(),
            deflate: options.deflate,
            payload_bytes_max: options.message_bytes_max.saturating_sub(received),
        };
        if self.spill_len == 0
            && let Some(header) = Header::decode(input, &allowed)?
        {
            skip(input, usize::from(header.len));
            return Ok(Some(header));
        }
        let spilled = usize::from(self.spill_len);
        let room = self.spill.iter_mut().skip(spilled);
        let copied = room.zip(input.iter()).map(|(to, from)| *to = *from).count();
        let held = self.spill.get(..spilled + copied).unwrap_or_default();
        if let Some(header) = Header::decode(held, &allowed)? {
            skip(input, usize::from(header.len) - spilled);
            self.spill_len = 0;
            return Ok(Some(header));
        }
        // The whole input was copied: fourteen bytes would have been a whole header.
        self.spill_len = (spilled + copied) as u8;
        *input = &mut [];
        Ok(None)
    }

    fn start_frame(&mut self, header: Header, options: &ReadOptions) -> Result<Frame, Violation> {
        let opened = match header.opcode {
            Opcode::Text => Some(Kind::Text),
            Opcode::Binary => Some(Kind::Binary),
            Opcode::Continuation | Opcode::Close | Opcode::Ping | Opcode::Pong => None,
        };
        if let Some(kind) = opened {
            let is_compressed = header.is_compressed;
            self.message = Some(Message { kind, is_compressed, empty_frames: 0, checked: 0 });
        }
        // A message of one empty frame is not a fragment of anything.
        let is_fragment = header.opcode == Opcode::Continuation || (opened.is_some() && !header.fin);
        if is_fragment
            && header.payload_len == 0
            && let Some(message) = &mut self.message
        {
            message.empty_frames += 1;
            if message.empty_frames > options.empty_frames_max {
                return Err(Violation::TooManyEmptyFrames);
            }
        }
        Ok(Frame { header, received: 0 })
    }

    fn take_payload(&mut self, mut frame: Frame, input: &mut &mut [u8]) -> Result<Progress, Violation> {
        let header = frame.header;
        let missing = (header.payload_len - frame.received) as usize;
        let Some(part) = input.split_off_mut(..missing.min(input.len())) else {
            return Ok(Progress::Starved);
        };
        if let Some(key) = header.key {
            unmask(part, key, frame.received as usize);
        }
        if header.opcode.is_control() {
            let room = self.control.iter_mut().skip(frame.received as usize);
            room.zip(part.iter()).for_each(|(to, from)| *to = *from);
        } else {
            self.append(part, missing)?;
        }
        frame.received += part.len() as u32;
        if frame.received < header.payload_len {
            self.frame = Some(frame);
            return Ok(Progress::Starved);
        }
        self.frame = None;
        if header.opcode.is_control() {
            return Ok(Progress::Control(header.opcode, header.payload_len));
        }
        if header.fin { self.finish() } else { Ok(Progress::Fragment) }
    }

    /// Adds payload to the message and, when it is text, checks it at once (fail-fast, section 8.1).
    fn append(&mut self, part: &[u8], missing: usize) -> Result<(), Violation> {
        let needed = self.data.len() + part.len();
        if needed > self.data.capacity() {
            // Doubling keeps many small parts linear; the end of the frame keeps one large frame exact.
            let doubled = self.data.len() * 2;
            let wanted = doubled.min(self.data.len() + missing).max(needed);
            self.data.reserve_exact(wanted - self.data.len());
        }
        self.data.extend_from_slice(part);
        if let Some(message) = &mut self.message
            && message.kind == Kind::Text
            && !message.is_compressed
        {
            let checked = utf8::advance(&self.data, message.checked as usize);
            message.checked = checked.map_err(|utf8::NotText| Violation::TextNotUtf8)? as u32;
        }
        Ok(())
    }

    fn finish(&mut self) -> Result<Progress, Violation> {
        self.message.take().map(Progress::Message).ok_or(Violation::ContinuationWithoutStart)
    }

    /// The event of a whole message; as text it is checked so far.
    fn said(&self, kind: Kind, checked: u32) -> Result<Event<'_>, Violation> {
        let unchecked = self.data.get(checked as usize..).unwrap_or_default();
        if kind == Kind::Text && !utf8::is_text(unchecked) {
            return Err(Violation::TextNotUtf8);
        }
        Ok(Event::Message(kind, &self.data))
    }

    /// The event of a frame that is a compressed message by itself. What it says needs a place that outlives the input.
    pub fn inflate_whole(
        &mut self,
        header: &Header,
        payload: &[u8],
        options: &ReadOptions,
        pool: &mut Pool,
        history: Option<&mut History>,
    ) -> Result<Event<'_>, Violation> {
        pool.inflater.inflate(payload, &mut self.data, options.message_bytes_max, history)?;
        let kind = if header.opcode == Opcode::Text { Kind::Text } else { Kind::Binary };
        self.said(kind, 0)
    }
}

fn skip(input: &mut &mut [u8], count: usize) {
    *input = std::mem::take(input).get_mut(count..).unwrap_or_default();
}
