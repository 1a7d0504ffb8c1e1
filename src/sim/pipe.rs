//! One direction of a connection: what one side has written and the other has not yet read.
//! Invariant: bytes come out once and in order; a reset destroys what was still inside, a finish does not.

use std::collections::VecDeque;

#[derive(Debug, Default)]
pub struct Pipe {
    bytes: VecDeque<u8>,
    end: End,
}

/// How a direction ends, if it has.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum End {
    #[default]
    Open,
    /// FIN, behind the last byte.
    Finished,
    /// RST.
    Reset,
}

impl Pipe {
    /// Appends; what is written behind the end vanishes.
    pub fn write(&mut self, bytes: &[u8]) {
        if self.end == End::Open {
            self.bytes.extend(bytes);
        }
    }

    /// At most `max` bytes.
    pub fn read(&mut self, max: usize) -> Vec<u8> {
        self.bytes.drain(..max.min(self.bytes.len())).collect()
    }

    pub fn finish(&mut self) {
        if self.end == End::Open {
            self.end = End::Finished;
        }
    }

    pub fn reset(&mut self) {
        self.bytes.clear();
        self.end = End::Reset;
    }

    pub fn len(&self) -> usize {
        self.bytes.len()
    }

    pub fn is_empty(&self) -> bool {
        self.bytes.is_empty()
    }

    pub fn end(&self) -> End {
        self.end
    }

    /// The end, once everything before it was read.
    pub fn reached_end(&self) -> Option<End> {
        (self.bytes.is_empty() && self.end != End::Open).then_some(self.end)
    }
}
