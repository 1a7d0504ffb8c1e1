//! What the kernel says about the server and the machine, read from /proc. Nothing here is estimated.

pub mod machine;
pub mod process;

use std::path::Path;

/// The text of a /proc file, or why it cannot be had.
fn text(path: impl AsRef<Path>) -> Result<String, SampleError> {
    let path = path.as_ref();
    std::fs::read_to_string(path)
        .map_err(|error| SampleError { path: path.display().to_string(), reason: error.to_string() })
}

#[derive(Clone, Debug, thiserror::Error)]
#[error("cannot read {path}: {reason}")]
pub struct SampleError {
    pub path: String,
    pub reason: String,
}

/// The figure of a `Name:   123 kB` line, in bytes.
fn kilobytes(text: &str, name: &str) -> Option<u64> {
    let line = text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':'))?;
    let figure: u64 = line.trim().strip_suffix("kB")?.trim().parse().ok()?;
    Some(figure * 1024)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn kilobytes_are_found_by_their_whole_name() {
        let text = "Slabs:  1 kB\nSlab:     2048 kB\n";
        assert_eq!(kilobytes(text, "Slab"), Some(2048 * 1024));
        assert_eq!(kilobytes(text, "Sla"), None);
    }

    #[test]
    fn an_unreadable_file_is_named() {
        assert!(text("/proc/0/stat").unwrap_err().to_string().contains("/proc/0/stat"));
    }
}
