//! The watermark beside the database: the number of the last commit that was acknowledged, and whether the end was orderly.
//!
//! The database cuts a torn tail in silence, and cannot know whether what it cut had been acknowledged. This file can:
//! it is written after each commit, without fsync, so it never says more than the database has on disk. Invariant: a
//! mark ahead of the database means that acknowledged commits are gone.

use std::fs::File;
use std::os::unix::fs::FileExt;
use std::path::Path;
use std::{fs, io};

#[derive(Debug)]
pub(super) struct MarkFile(File);

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Mark {
    /// Number of the last commit.
    pub(super) commit: u64,
    /// The boot that it was written in.
    pub(super) boot: u128,
    /// Closed, with everything on disk.
    pub(super) is_closed: bool,
    /// Commits were not followed by fsync.
    pub(super) is_loose: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Found {
    Nothing,
    Illegible,
    Mark(Mark),
}

impl Found {
    /// Whether commits are gone that had been acknowledged, if the database ends with this one.
    pub(super) const fn is_loss(self, commit: u64, boot: u128) -> bool {
        match self {
            Self::Nothing => commit > 0,
            Self::Illegible => true,
            Self::Mark(mark) => {
                let has_lost_power = mark.boot != boot || boot == 0;
                mark.commit > commit || (mark.is_loose && !mark.is_closed && has_lost_power)
            }
        }
    }

    /// The highest number of a commit that may have been given out.
    pub(super) const fn commit(self) -> u64 {
        match self {
            Self::Nothing | Self::Illegible => 0,
            Self::Mark(mark) => mark.commit,
        }
    }
}

impl MarkFile {
    pub(super) fn open(path: &Path) -> io::Result<(Self, Found)> {
        let file = fs::OpenOptions::new().read(true).write(true).create(true).truncate(false).open(path)?;
        let mut bytes = Vec::new();
        io::Read::read_to_end(&mut io::Read::take(&file, MARK_BYTES as u64 + 1), &mut bytes)?;
        let found = if bytes.is_empty() {
            Found::Nothing
        } else {
            parse(&bytes).map_or(Found::Illegible, Found::Mark)
        };
        Ok((Self(file), found))
    }

    /// Overwrites a few bytes of one sector: they change all together or not at all.
    pub(super) fn write(&self, mark: Mark) -> io::Result<()> {
        self.0.write_all_at(&text(mark), 0)
    }

    pub(super) fn sync(&self) -> io::Result<()> {
        self.0.sync_all()
    }
}

/// The machine's current boot; 0 if it does not say.
pub(super) fn boot() -> u128 {
    let text = fs::read_to_string("/proc/sys/kernel/random/boot_id").unwrap_or_default();
    u128::from_str_radix(&text.trim().replace('-', ""), 16).unwrap_or(0)
}

fn text(mark: Mark) -> [u8; MARK_BYTES] {
    let mut bytes = [0; MARK_BYTES];
    bytes[..8].copy_from_slice(MAGIC);
    bytes[8..16].copy_from_slice(&mark.commit.to_le_bytes());
    bytes[16..32].copy_from_slice(&mark.boot.to_le_bytes());
    bytes[32] = u8::from(mark.is_closed) | u8::from(mark.is_loose) << 1;
    let sum = crc32fast::hash(&bytes[..33]);
    bytes[33..].copy_from_slice(&sum.to_le_bytes());
    bytes
}

fn parse(bytes: &[u8]) -> Option<Mark> {
    let bytes: &[u8; MARK_BYTES] = bytes.try_into().ok()?;
    let mark = Mark {
        commit: u64::from_le_bytes(bytes[8..16].try_into().ok()?),
        boot: u128::from_le_bytes(bytes[16..32].try_into().ok()?),
        is_closed: bytes[32] & 1 != 0,
        is_loose: bytes[32] & 2 != 0,
    };
    (text(mark) == *bytes).then_some(mark)
}

const MAGIC: &[u8; 8] = b"rw-mark1";
const MARK_BYTES: usize = 37;

#[cfg(test)]
mod tests {
    use super::*;

    const MARK: Mark = Mark { commit: 7, boot: 3, is_closed: false, is_loose: false };

    #[test]
    fn a_mark_reads_back_and_any_changed_byte_makes_it_illegible() {
        assert_eq!(parse(&text(MARK)), Some(MARK));
        for at in 0..MARK_BYTES {
            let mut bytes = text(MARK);
            bytes[at] ^= 4;
            assert_eq!(parse(&bytes), None, "byte {at}");
            assert_eq!(parse(&text(MARK)[..at]), None, "cut at {at}");
        }
    }

    #[test]
    fn a_loss_is_a_mark_ahead_of_the_database_or_a_power_failure_without_fsync() {
        let loss = |mark: Mark, commit| Found::Mark(mark).is_loss(commit, 3);
        assert!(!loss(MARK, 7) && !loss(MARK, 8) && loss(MARK, 6));
        let loose = Mark { is_loose: true, ..MARK };
        assert!(!loss(loose, 7), "the same boot: the kernel still had it");
        assert!(loss(Mark { boot: 4, ..loose }, 7));
        assert!(!loss(Mark { boot: 4, is_closed: true, ..loose }, 7));
        assert!(!loss(Mark { boot: 4, ..MARK }, 7), "every commit was on disk");
        assert!(
            Found::Nothing.is_loss(1, 3) && !Found::Nothing.is_loss(0, 3) && Found::Illegible.is_loss(0, 3)
        );
    }
}
