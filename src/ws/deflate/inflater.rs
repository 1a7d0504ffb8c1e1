//! From a compressed message to what it says. RFC 7692 section 7.2.2.
//!
//! Invariant: a message begins with nothing of those before but the history that it is given, and memory for it grows
//! with what comes out, never beyond the limit and a few bytes: what a peer declares or repeats reserves nothing.
//! `work` grows with every byte that is read or made, so that whoever shares a core out can count it.

use super::{History, Tally, Window};
use crate::limits::{ASSEMBLY_BYTES_KEPT_MAX, FINAL_BLOCK_COUNT_MAX};
use crate::ws::Violation;
use flate2::{Decompress, FlushDecompress, Status};
use std::mem;

#[derive(Debug, Default)]
pub struct Inflater {
    /// Made when somebody first needs it.
    engine: Option<Decompress>,
    /// What a message in several frames was received into, kept for the next one.
    spare: Vec<u8>,
    tally: Tally,
    work: u64,
}

/// Why the engine stopped.
#[derive(PartialEq, Eq)]
enum Stop {
    /// It has taken all input, and made all output of it.
    Starved,
    /// The last block of a stream has ended; there may be input behind it.
    Ended,
}

impl Inflater {
    pub const fn new() -> Self {
        Self {
            engine: None,
            spare: Vec::new(),
            tally: Tally { messages: 0, plain_bytes: 0, packed_bytes: 0 },
            work: 0,
        }
    }

    pub const fn tally(&self) -> Tally {
        self.tally
    }

    #[cfg(test)]
    pub(super) fn spare_capacity(&self) -> usize {
        self.spare.capacity()
    }

    /// Gives back what is kept for the next time; what was counted stays.
    pub fn shrink(&mut self) {
        self.engine = None;
        self.spare = Vec::new();
    }

    /// Bytes made since the last call, and those that were read by what they can cost (`INPUT_WORK`).
    pub const fn take_work(&mut self) -> u64 {
        mem::replace(&mut self.work, 0)
    }

    /// Puts what `packed` says into `plain`, which is empty. The history is one that all earlier messages of the peer
    /// went through, or none if each of its messages stands by itself.
    pub(in crate::ws) fn inflate(
        &mut self,
        packed: &[u8],
        plain: &mut Vec<u8>,
        bytes_max: u32,
        history: Option<&mut History>,
    ) -> Result<(), Violation> {
        self.work += packed.len() as u64 * INPUT_WORK;
        // Not even a header: the shortest way to say nothing is a single zero byte, but this is understood too.
        let result = if packed.is_empty() {
            Ok(())
        } else {
            let engine = self.engine.get_or_insert_with(new_engine);
            let before = history.as_ref().map_or(&[][..], |history| history.bytes());
            run(engine, packed, plain, bytes_max as usize, before, &mut self.work)
        };
        self.work += plain.len() as u64;
        result?;
        self.tally.add(plain.len(), packed.len());
        if let Some(history) = history {
            history.push(plain);
        }
        Ok(())
    }

    /// The same with `data`, which holds the packed message and then the plain one.
    pub(in crate::ws) fn inflate_in_place(
        &mut self,
        data: &mut Vec<u8>,
        bytes_max: u32,
        history: Option<&mut History>,
    ) -> Result<(), Violation> {
        let mut plain = mem::take(&mut self.spare);
        let result = self.inflate(data, &mut plain, bytes_max, history);
        mem::swap(data, &mut plain);
        if plain.capacity() <= ASSEMBLY_BYTES_KEPT_MAX {
            plain.clear();
            self.spare = plain;
        }
        result
    }
}

fn new_engine() -> Decompress {
    // The largest window reads what was made with any.
    Decompress::new_with_window_bits(false, Window::Bits15.bits())
}

fn run(
    engine: &mut Decompress,
    packed: &[u8],
    plain: &mut Vec<u8>,
    bytes_max: usize,
    before: &[u8],
    work: &mut u64,
) -> Result<(), Violation> {
    begin(engine, &[before], work)?;
    let mut rest = packed;
    let mut final_blocks = 0;
    while feed(engine, &mut rest, plain, bytes_max)? == Stop::Ended {
        // A block may say that it is the last one (section 7.2.3.4), and then others may follow all the same.
        if rest.is_empty() {
            return Ok(());
        }
        final_blocks += 1;
        if final_blocks > FINAL_BLOCK_COUNT_MAX {
            return Err(Violation::TooManyFinalBlocks);
        }
        begin(engine, &[before, plain], work)?;
    }
    // "Append 4 octets of 0x00 0x00 0xff 0xff to the tail end of the payload of the message", and behind them a last
    // block that is empty. The stream ends with it, and without another word, only if the message was whole.
    let said = plain.len();
    let mut rest = &TAIL[..];
    if feed(engine, &mut rest, plain, bytes_max)? == Stop::Ended && rest.is_empty() && plain.len() == said {
        return Ok(());
    }
    Err(Violation::DeflateTruncated)
}

/// A new stream, behind these bytes.
fn begin(engine: &mut Decompress, before: &[&[u8]], work: &mut u64) -> Result<(), Violation> {
    engine.reset(false);
    let mut skipped = before.iter().map(|part| part.len()).sum::<usize>();
    skipped = skipped.saturating_sub(Window::Bits15.bytes() as usize);
    for part in before {
        let skip = skipped.min(part.len());
        skipped -= skip;
        let part = part.get(skip..).unwrap_or_default();
        if !part.is_empty() {
            engine.set_dictionary(part).map_err(|_| Violation::DeflateInvalid)?;
            *work += (part.len() / COPIES_PER_WORK) as u64;
        }
    }
    Ok(())
}

fn feed(
    engine: &mut Decompress,
    rest: &mut &[u8],
    plain: &mut Vec<u8>,
    bytes_max: usize,
) -> Result<Stop, Violation> {
    loop {
        if plain.len() == plain.capacity() {
            grow(plain, rest.len(), bytes_max);
        }
        let (taken, made) = (engine.total_in(), plain.len());
        let status = engine.decompress_vec(rest, plain, FlushDecompress::None);
        let status = status.map_err(|_| Violation::DeflateInvalid)?;
        let taken = (engine.total_in() - taken) as usize;
        *rest = rest.get(taken..).unwrap_or_default();
        if plain.len() > bytes_max {
            return Err(Violation::MessageTooBig);
        }
        match status {
            Status::StreamEnd => return Ok(Stop::Ended),
            Status::Ok | Status::BufError if plain.len() == plain.capacity() => {}
            Status::Ok | Status::BufError if rest.is_empty() => return Ok(Stop::Starved),
            Status::Ok | Status::BufError if taken == 0 && made == plain.len() => {
                return Err(Violation::DeflateInvalid);
            }
            Status::Ok | Status::BufError => {}
        }
    }
}

/// Room for what a good compressor would have made of it, and then for twice as much as there is.
fn grow(plain: &mut Vec<u8>, rest: usize, bytes_max: usize) {
    let wanted = if plain.is_empty() { rest.saturating_mul(USUAL_RATIO) } else { plain.len() * 2 };
    let wanted = wanted.clamp(CHUNK_BYTES_MIN, bytes_max.saturating_add(SLACK_BYTES)).max(plain.len() + 1);
    plain.reserve_exact(wanted - plain.len());
}

const TAIL: [u8; 9] = [0x00, 0x00, 0xff, 0xff, 0x01, 0x00, 0x00, 0xff, 0xff];
const USUAL_RATIO: usize = 3;
/// What a compressed byte can cost, in bytes that come out: tables of codes that nobody uses make no output.
const INPUT_WORK: u64 = 16;
/// Bytes are copied that many times faster than they are made.
const COPIES_PER_WORK: usize = 8;
const CHUNK_BYTES_MIN: usize = 64;
/// Beyond the limit, so that there is always room to notice that it was passed and to read what makes no output.
const SLACK_BYTES: usize = CHUNK_BYTES_MIN;
