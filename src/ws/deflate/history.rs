//! What the next message of a connection may refer to: the end of all that was said before. RFC 7692 section 7.1.1.
//! Invariant: never more than the window, and nothing at all before the first message.

use super::Window;

#[derive(Debug)]
pub struct History {
    window: Window,
    bytes: Vec<u8>,
}

impl History {
    pub const fn new(window: Window) -> Self {
        Self { window, bytes: Vec::new() }
    }

    pub fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// The same message has gone into the window of the peer.
    pub fn push(&mut self, message: &[u8]) {
        let bytes_max = self.window.bytes() as usize;
        let fresh = message.get(message.len().saturating_sub(bytes_max)..).unwrap_or_default();
        let surplus = (self.bytes.len() + fresh.len()).saturating_sub(bytes_max);
        self.bytes.drain(..surplus.min(self.bytes.len()));
        let missing = self.bytes.len() + fresh.len();
        if missing > self.bytes.capacity() {
            // Doubling up to the window, which is all that it will ever need.
            let wanted = (self.bytes.capacity() * 2).clamp(missing, bytes_max.max(missing));
            self.bytes.reserve_exact(wanted - self.bytes.len());
        }
        self.bytes.extend_from_slice(fresh);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_the_end_of_what_was_said_and_never_larger_than_the_window() {
        let mut history = History::new(Window::Bits9);
        let mut said = Vec::new();
        assert_eq!(history.bytes.capacity(), 0, "nothing is owned before the first message");
        for len in [0, 1, 100, 300, 511, 512, 513, 2_000, 3, 400] {
            let message: Vec<u8> = (0..len).map(|at| (at * 7 + len) as u8).collect();
            said.extend_from_slice(&message);
            history.push(&message);
            assert_eq!(history.bytes(), &said[said.len().saturating_sub(512)..]);
            assert!(history.bytes.capacity() <= 512, "{}", history.bytes.capacity());
        }
    }
}
