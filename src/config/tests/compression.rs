//! Compression, from the file to what a core is told.

use super::{Warning, accepted, load};
use crate::ws::deflate::Effort;

#[test]
fn it_is_off_and_says_what_it_would_do() {
    let compression = accepted("").settings().unwrap().compression;
    assert!(!compression.enabled && !compression.takeover);
    assert_eq!(compression.effort, Effort { level: 1, bytes_min: 128 });
}

#[test]
fn a_core_gets_its_share_of_the_memory() {
    let text = "[websocket]\ncompression = true\ncompression_level = 6\ncompression_min_size = 0\n\
        compression_takeover = true\ncompression_takeover_window = 15\ncompression_takeover_memory = 4_000_000\n";
    let compression = accepted(text).settings().unwrap().compression;
    assert!(compression.enabled && compression.takeover);
    assert_eq!(compression.effort, Effort { level: 6, bytes_min: 0 });
    assert_eq!((compression.takeover_window_bits, compression.takeover_bytes_max), (15, 1_000_000));
}

#[test]
fn takeover_of_nothing_is_warned_about() {
    let is_it = |warning: &Warning| *warning == Warning::TakeoverWithoutCompression;
    let warned = |text: &str| load(text, &[], &[]).unwrap().1.iter().any(is_it);
    assert!(warned("[websocket]\ncompression_takeover = true\n"));
    assert!(!warned("[websocket]\ncompression = true\ncompression_takeover = true\n"));
}
