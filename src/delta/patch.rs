//! A patch while it is being written: copies where they are offered, and what lies between them as it is.
//! Invariant: what was written so far makes the target up to `done`. With `Cuts::Characters`, no cut lies within a
//! character of the target, so that all inserted pieces are texts.

use super::format::{checksum, digit_count, push_number};

/// Where a target may be cut into pieces.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Cuts {
    Anywhere,
    Characters,
}

/// `target[at..at + length]` is `base[from..from + length]`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Copy {
    pub at: usize,
    pub from: usize,
    pub length: usize,
}

impl Copy {
    pub(super) const fn end(self) -> usize {
        self.at + self.length
    }
}

pub(super) struct Patch<'a> {
    target: &'a [u8],
    cuts: Cuts,
    out: &'a mut Vec<u8>,
    done: usize,
}

impl<'a> Patch<'a> {
    /// At most 2^32 - 1 bytes.
    pub(super) fn begin(target: &'a [u8], cuts: Cuts, out: &'a mut Vec<u8>) -> Self {
        push_number(out, target.len() as u32);
        out.push(b'\n');
        Self { target, cuts, out, done: 0 }
    }

    /// Where the part of the target begins that is still open.
    pub(super) const fn done(&self) -> usize {
        self.done
    }

    /// Takes the copy, trimmed to where cuts may be, unless that would make the patch longer.
    pub(super) fn copy(&mut self, copy: Copy) -> bool {
        let (mut start, mut end) = (copy.at, copy.end());
        if self.cuts == Cuts::Characters {
            while start < end && self.is_within_character(start) {
                start += 1;
            }
            while end > start && self.is_within_character(end) {
                end -= 1;
            }
        }
        let (literal, length, from) = (start - self.done, end - start, copy.from + (start - copy.at));
        // Also of the literal before it, which the copy cuts off.
        let digits = digit_count(literal as u32) + digit_count(length as u32) + digit_count(from as u32);
        if length <= digits as usize + SEPARATOR_COUNT {
            return false;
        }
        self.insert(start);
        push_number(self.out, length as u32);
        self.out.push(b'@');
        push_number(self.out, from as u32);
        self.out.push(b',');
        self.done = end;
        true
    }

    pub(super) fn end(mut self) {
        self.insert(self.target.len());
        push_number(self.out, checksum(self.target));
        self.out.push(b';');
    }

    /// The target up to `end` as it is.
    fn insert(&mut self, end: usize) {
        if end > self.done {
            push_number(self.out, (end - self.done) as u32);
            self.out.push(b':');
            self.out.extend_from_slice(&self.target[self.done..end]);
            self.done = end;
        }
    }

    fn is_within_character(&self, at: usize) -> bool {
        self.target.get(at).is_some_and(|byte| byte & 0xC0 == 0x80)
    }
}

/// `:`, `@` and `,`.
const SEPARATOR_COUNT: usize = 3;
