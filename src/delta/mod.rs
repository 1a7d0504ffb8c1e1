//! Patches on publications: not worth it, always.
//! Invariant: none.

#[derive(Debug, Default)]
pub struct Encoder;

impl Encoder {
    #[expect(clippy::unused_self, reason = "scratch")]
    pub fn encode(&mut self, _base: &[u8], _target: &[u8], _out: &mut Vec<u8>) -> bool {
        false
    }
    #[expect(clippy::unused_self, reason = "scratch")]
    pub fn encode_text(&mut self, _base: &[u8], _target: &[u8], _out: &mut Vec<u8>) -> bool {
        false
    }
}
