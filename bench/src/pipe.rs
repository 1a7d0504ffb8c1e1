//! Messages over a pipe: four bytes of length, then an rkyv archive, which is validated before it is used.
//! Invariant: a message comes out whole or not at all, however the pipe cuts it.

use rkyv::rancor::Error;
use rkyv::util::AlignedVec;
use std::io::{self, Write};

/// Above any real message; a length beyond it means that the stream is not ours.
const MESSAGE_BYTES_MAX: usize = 256 << 20;
const LENGTH_BYTES: usize = 4;

#[derive(Debug, thiserror::Error)]
pub enum PipeError {
    #[error("pipe between generator processes: {0}")]
    Io(#[from] io::Error),
    #[error("a record between generator processes is damaged: {0}")]
    Damaged(#[from] Error),
    #[error("a record between generator processes claims {0} bytes")]
    TooLong(usize),
}

/// Writes one message.
pub fn send(pipe: &mut impl Write, archive: &[u8]) -> Result<(), PipeError> {
    let mut bytes = Vec::with_capacity(LENGTH_BYTES + archive.len());
    bytes.extend_from_slice(&(archive.len() as u32).to_le_bytes());
    bytes.extend_from_slice(archive);
    pipe.write_all(&bytes)?;
    pipe.flush()?;
    Ok(())
}

/// Puts messages together from what was read.
#[derive(Debug, Default)]
pub struct Inbox {
    bytes: Vec<u8>,
}

impl Inbox {
    pub fn feed(&mut self, bytes: &[u8]) {
        self.bytes.extend_from_slice(bytes);
    }

    /// Takes the next whole archive out, aligned as rkyv needs it.
    pub fn take(&mut self) -> Result<Option<AlignedVec>, PipeError> {
        let Some((length, rest)) = self.bytes.split_first_chunk::<LENGTH_BYTES>() else { return Ok(None) };
        let length = u32::from_le_bytes(*length) as usize;
        if length > MESSAGE_BYTES_MAX {
            return Err(PipeError::TooLong(length));
        }
        let Some(message) = rest.get(..length) else { return Ok(None) };
        let mut archive = AlignedVec::new();
        archive.extend_from_slice(message);
        self.bytes.drain(..LENGTH_BYTES + length);
        Ok(Some(archive))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::plan::{Note, Second};

    #[test]
    fn messages_come_out_whole_however_the_pipe_cuts_them() {
        let mut stream = Vec::new();
        for index in 0..3 {
            let note = Note::Second(Second { index, latency: vec![7; 1_000], ..Second::default() });
            send(&mut stream, &rkyv::to_bytes::<Error>(&note).unwrap()).unwrap();
        }
        let mut inbox = Inbox::default();
        let mut seen = Vec::new();
        for part in stream.chunks(7) {
            inbox.feed(part);
            while let Some(archive) = inbox.take().unwrap() {
                let Note::Second(second) = rkyv::from_bytes::<Note, Error>(&archive).unwrap() else {
                    panic!()
                };
                seen.push(second.index);
            }
        }
        assert_eq!(seen, [0, 1, 2]);
    }

    #[test]
    fn a_damaged_record_is_refused() {
        let note = Note::Failed { message: "a message that is longer than what fits inline".into() };
        let mut archive = rkyv::to_bytes::<Error>(&note).unwrap();
        archive.as_mut_slice().fill(0xff);
        assert!(rkyv::from_bytes::<Note, Error>(&archive).is_err());
    }

    #[test]
    fn a_stream_that_is_not_ours_is_refused() {
        let mut inbox = Inbox::default();
        inbox.feed(b"\xff\xff\xff\xffpanic");
        assert!(inbox.take().is_err());
    }
}
