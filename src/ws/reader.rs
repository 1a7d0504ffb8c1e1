//! Turns received bytes into events. RFC 6455 sections 5.4 to 5.6 and 6.2, RFC 7692 section 6.2.
//!
//! Invariant: between messages a reader owns nothing; inside one it holds what was received, never what was declared.
//! Events that precede a violation are handed out before it. Splitting the input differently changes nothing.

#![expect(clippy::mut_mut, reason = "the input is a slice that shrinks as it is consumed")]

use super::deflate::History;
use super::header::{Allowed, Header};
use super::partial::Partial;
use super::{CloseCode, Kind, Opcode, Pool, Violation, close, unmask, utf8};

/// Which side of the connection reads.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    /// Expects masked frames.
    Server,
    /// Expects frames without a mask.
    Client,
}

#[derive(Debug, PartialEq, Eq)]
pub enum Event<'a> {
    /// A whole message, as it was before it was compressed; text is valid UTF-8.
    Message(Kind, &'a [u8]),
    Ping(&'a [u8]),
    Pong(&'a [u8]),
    /// The reason is valid UTF-8. Nothing that comes after it is of interest: do not pull again.
    Close(Option<CloseCode>, &'a [u8]),
}

#[derive(Clone, Copy, Debug)]
pub struct ReadOptions {
    pub role: Role,
    /// Of a whole message, however many frames it has: on the wire, and as what it says.
    pub message_bytes_max: u32,
    /// Fragments without payload in one message.
    pub empty_frames_max: u32,
    /// Messages may be compressed.
    pub deflate: bool,
}

/// One per connection, a pointer wide. It holds a `Partial` only while a message or frame is half received.
#[derive(Debug, Default)]
pub struct Reader(Option<Box<Partial>>);

impl Reader {
    pub const fn new() -> Self {
        Self(None)
    }

    /// As `next_after`, on a connection where every message stands by itself.
    pub fn next<'a, 'input: 'a>(
        &'a mut self,
        input: &mut &'input mut [u8],
        options: &ReadOptions,
        pool: &mut Pool,
    ) -> Result<Option<Event<'a>>, Violation> {
        self.next_after(input, options, pool, None)
    }

    /// Pulls the next event; call until it gives None, which means that the input is used up. `input` shrinks and is
    /// unmasked in place. A frame that lies whole in the input is handed out from there without a copy, unless it is
    /// compressed. `history` is there if compressed messages build on those before.
    /// After a violation, or a `Close`, the rest of the stream has no meaning and must not be offered.
    ///
    /// The event borrows the reader: who needs the whole connection meanwhile takes the reader out of it (`mem::take`).
    pub fn next_after<'a, 'input: 'a>(
        &'a mut self,
        input: &mut &'input mut [u8],
        options: &ReadOptions,
        pool: &mut Pool,
        history: Option<&mut History>,
    ) -> Result<Option<Event<'a>>, Violation> {
        if self.is_idle() {
            self.release(pool);
            let allowed = Allowed {
                role: options.role,
                in_message: false,
                deflate: options.deflate,
                payload_bytes_max: options.message_bytes_max,
            };
            if let Some(header) = Header::decode(input, &allowed)?
                && header.fin
                && let Some(frame) = input.split_off_mut(..header.frame_len())
            {
                let payload = unmasked(&header, frame);
                if header.is_compressed {
                    let partial = self.0.insert(pool.take());
                    return partial.inflate_whole(&header, payload, options, pool, history).map(Some);
                }
                return whole_frame(header.opcode, payload).map(Some);
            }
            if input.is_empty() {
                return Ok(None);
            }
        }
        self.0.get_or_insert_with(|| pool.take()).next(input, options, pool, history)
    }

    /// True between messages, when no byte is held. When false a deadline for the message should run.
    pub fn is_idle(&self) -> bool {
        self.0.as_ref().is_none_or(|partial| partial.is_spent())
    }

    /// Memory of the message that is half received.
    pub fn held_bytes(&self) -> usize {
        self.0.as_ref().map_or(0, |partial| partial.data.capacity())
    }

    /// Gives back what is held: the connection ends.
    pub fn release(&mut self, pool: &mut Pool) {
        if let Some(partial) = self.0.take() {
            pool.put(partial);
        }
    }
}

fn unmasked<'a>(header: &Header, frame: &'a mut [u8]) -> &'a [u8] {
    let payload = frame.get_mut(usize::from(header.len)..).unwrap_or_default();
    if let Some(key) = header.key {
        unmask(payload, key, 0);
    }
    payload
}

/// The event of a frame that is a message, or a control frame, by itself.
fn whole_frame(opcode: Opcode, payload: &[u8]) -> Result<Event<'_>, Violation> {
    match opcode {
        Opcode::Text if utf8::is_text(payload) => Ok(Event::Message(Kind::Text, payload)),
        Opcode::Text => Err(Violation::TextNotUtf8),
        Opcode::Binary => Ok(Event::Message(Kind::Binary, payload)),
        Opcode::Continuation => Err(Violation::ContinuationWithoutStart),
        Opcode::Close | Opcode::Ping | Opcode::Pong => control(opcode, payload),
    }
}

/// The event of a control frame.
pub(super) fn control(opcode: Opcode, payload: &[u8]) -> Result<Event<'_>, Violation> {
    match opcode {
        Opcode::Ping => Ok(Event::Ping(payload)),
        Opcode::Pong => Ok(Event::Pong(payload)),
        Opcode::Close | Opcode::Continuation | Opcode::Text | Opcode::Binary => {
            close::decode(payload).map(|(code, reason)| Event::Close(code, reason))
        }
    }
}

#[cfg(test)]
mod tests;
