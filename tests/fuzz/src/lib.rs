//! The targets, one module each, and what they share. Below `fuzz_targets` is only what libFuzzer asks for: that way
//! `tests/seeds.rs` runs the same targets over the seeds with an ordinary compiler.

pub mod commands;
#[cfg(debug_assertions)]
pub mod config;
pub mod connections;
#[cfg(debug_assertions)]
pub mod driver;
pub mod extensions;
pub mod frames;
pub mod head;
pub mod hub;
#[cfg(debug_assertions)]
pub mod records;
pub mod tokens;

/// The ends of chunks whose sizes the fuzzer chose, round and round, up to `len`. A size of zero means "the rest".
pub fn chunk_ends(sizes: &[u8], len: usize) -> impl Iterator<Item = usize> {
    let mut sizes = sizes.iter().cycle();
    let mut end = 0;
    std::iter::from_fn(move || {
        if end == len {
            return None;
        }
        end = match sizes.next() {
            Some(0) | None => len,
            Some(&size) => len.min(end + usize::from(size)),
        };
        Some(end)
    })
}

/// Choices out of the fuzzer's bytes; zeros when they are used up.
pub struct Choices<'d>(&'d [u8]);

impl<'d> Choices<'d> {
    pub fn new(data: &'d [u8]) -> Self {
        Self(data)
    }

    pub fn is_over(&self) -> bool {
        self.0.is_empty()
    }

    pub fn byte(&mut self) -> u8 {
        let Some((&first, rest)) = self.0.split_first() else { return 0 };
        self.0 = rest;
        first
    }

    pub fn below(&mut self, bound: usize) -> usize {
        usize::from(self.byte()) % bound
    }

    pub fn bytes(&mut self, len: usize) -> &'d [u8] {
        let (taken, rest) = self.0.split_at(len.min(self.0.len()));
        self.0 = rest;
        taken
    }
}
