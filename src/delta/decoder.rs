//! Applies patches: for clients written in Rust, and for tests.
//! Invariant: a patch that is not exactly what an encoder writes for this base is an error, never a wrong text; it takes
//! no more memory than `size_max`, whatever it announces.

use super::format::{checksum, digit};
use thiserror::Error;

#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum Corrupt {
    #[error("the patch ends early")]
    Truncated,
    #[error("a number of no digits, or of more than 32 bits")]
    Number,
    #[error("an unknown command")]
    Command,
    #[error("the result would be larger than allowed")]
    TooLarge,
    #[error("a copy from beyond the base")]
    OutOfBase,
    #[error("the result has not the announced size")]
    Size,
    #[error("the result has not the announced checksum")]
    Checksum,
    #[error("something follows the end of the patch")]
    Surplus,
}

pub fn apply(base: &[u8], patch: &[u8], size_max: usize) -> Result<Vec<u8>, Corrupt> {
    let mut rest = Rest(patch);
    let size = rest.number()? as usize;
    if rest.byte()? != b'\n' {
        return Err(Corrupt::Command);
    }
    if size > size_max {
        return Err(Corrupt::TooLarge);
    }
    // What is announced may never come.
    let mut target = Vec::with_capacity(size.min(base.len() + patch.len()));
    loop {
        let number = rest.number()?;
        let piece = match rest.byte()? {
            b'@' => {
                let from = rest.number()? as usize;
                if rest.byte()? != b',' {
                    return Err(Corrupt::Command);
                }
                let copied = base.get(from..).and_then(|tail| tail.get(..number as usize));
                copied.ok_or(Corrupt::OutOfBase)?
            }
            b':' => rest.bytes(number as usize)?,
            b';' => return finish(target, size, number, rest.0),
            _ => return Err(Corrupt::Command),
        };
        if piece.len() > size - target.len() {
            return Err(Corrupt::Size);
        }
        target.extend_from_slice(piece);
    }
}

fn finish(target: Vec<u8>, size: usize, sum: u32, rest: &[u8]) -> Result<Vec<u8>, Corrupt> {
    if target.len() != size {
        return Err(Corrupt::Size);
    }
    if checksum(&target) != sum {
        return Err(Corrupt::Checksum);
    }
    if !rest.is_empty() {
        return Err(Corrupt::Surplus);
    }
    Ok(target)
}

/// What is unread of a patch.
struct Rest<'a>(&'a [u8]);

impl<'a> Rest<'a> {
    fn byte(&mut self) -> Result<u8, Corrupt> {
        let (first, rest) = self.0.split_first().ok_or(Corrupt::Truncated)?;
        self.0 = rest;
        Ok(*first)
    }

    fn bytes(&mut self, count: usize) -> Result<&'a [u8], Corrupt> {
        let (piece, rest) = self.0.split_at_checked(count).ok_or(Corrupt::Truncated)?;
        self.0 = rest;
        Ok(piece)
    }

    fn number(&mut self) -> Result<u32, Corrupt> {
        let end = self.0.iter().position(|byte| digit(*byte).is_none()).ok_or(Corrupt::Truncated)?;
        let digits = self.bytes(end)?;
        if digits.is_empty() || digits.len() > DIGIT_COUNT_MAX {
            return Err(Corrupt::Number);
        }
        let value = digits
            .iter()
            .filter_map(|byte| digit(*byte))
            .fold(0_u64, |sum, digit| (sum << 6) + u64::from(digit));
        u32::try_from(value).map_err(|_| Corrupt::Number)
    }
}

/// Of a number of 32 bits.
const DIGIT_COUNT_MAX: usize = 6;
