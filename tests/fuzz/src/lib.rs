//! What the fuzz targets share: the layers under test, and the cutting of input into chunks.
//!
//! The layers are compiled from their sources alone. That keeps a build with sanitizers short, and it is a proof that they
//! need nothing that lies above them.

#[path = "../../../src/http/mod.rs"]
pub mod http;
#[path = "../../../src/limits.rs"]
pub mod limits;
#[path = "../../../src/proto/mod.rs"]
pub mod proto;
#[path = "../../../src/ws/mod.rs"]
pub mod ws;

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
