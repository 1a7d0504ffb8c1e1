//! Frames byte by byte, legal and illegal, and a strict reader of what a server sends. RFC 6455 section 5.2.
//! Invariant: a frame of the server that breaks a rule is a fault, never skipped.

use miniz_oxide::deflate::core::{CompressorOxide, create_comp_flags_from_zip_params};
use miniz_oxide::deflate::stream::deflate;
use miniz_oxide::inflate::stream::{InflateState, inflate};
use miniz_oxide::{DataFormat, MZFlush, MZStatus};

/// Not zero, so that a server which forgets to unmask is found out.
pub const KEY: [u8; 4] = [0x37, 0xfa, 0x21, 0x3d];

const CONTINUATION: u8 = 0;
pub const TEXT: u8 = 1;
pub const BINARY: u8 = 2;
const CLOSE: u8 = 8;
const PING: u8 = 9;
pub const PONG: u8 = 10;
const RSV1: u8 = 0x40;

/// How a frame is put together; the defaults are those of an honest client.
#[derive(Clone, Copy, Debug, Default)]
pub struct Form {
    /// Instead of [`KEY`]; none: not masked.
    pub key: Option<[u8; 4]>,
    pub unmasked: bool,
    /// In place of the true length: the payload may be shorter, longer or absent.
    pub declared: Option<u64>,
    /// Bytes of the extended length, 2 or 8, where a shorter form would do.
    pub wide: Option<u8>,
}

pub fn encode(first: u8, payload: &[u8], form: &Form) -> Vec<u8> {
    let len = form.declared.unwrap_or(payload.len() as u64);
    let mask = if form.unmasked { 0 } else { 0x80 };
    let mut out = vec![first];
    let width = form.wide.unwrap_or(match len {
        0..=125 => 0,
        126..=0xffff => 2,
        _ => 8,
    });
    match width {
        0 => out.push(mask | len as u8),
        2 => {
            out.push(mask | 0x7e);
            out.extend((len as u16).to_be_bytes());
        }
        _ => {
            out.push(mask | 0x7f);
            out.extend(len.to_be_bytes());
        }
    }
    if form.unmasked {
        out.extend(payload);
    } else {
        let key = form.key.unwrap_or(KEY);
        out.extend(key);
        out.extend(payload.iter().zip(key.iter().cycle()).map(|(byte, key)| byte ^ key));
    }
    out
}

/// A frame whose payload is packed (RFC 7692 section 7.2.1). It refers to no message before, so it fits whatever was agreed on.
pub fn packed(first: u8, payload: &[u8]) -> Vec<u8> {
    let mut compressor = CompressorOxide::new(create_comp_flags_from_zip_params(1, -15, 0));
    let mut out = vec![0; payload.len() + payload.len() / 8 + 64];
    let result = deflate(&mut compressor, payload, &mut out, MZFlush::Sync);
    out.truncate(result.bytes_written);
    // An empty block ends it, which the receiver adds itself.
    out.truncate(out.len().saturating_sub(4));
    encode(first | RSV1, &out, &Form::default())
}

/// The names of first bytes in rows.
pub fn first_byte(name: &str) -> Option<u8> {
    Some(match name {
        "text" => 0x81,
        "binary" => 0x82,
        "close" => 0x88,
        "ping" => 0x89,
        "pong" => 0x8a,
        "text-start" => 0x01,
        "binary-start" => 0x02,
        "more" => 0x00,
        "last" => 0x80,
        _ => return name.strip_prefix("0x").and_then(|digits| u8::from_str_radix(digits, 16).ok()),
    })
}

/// What a server said.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Event {
    /// With its opcode.
    Message(u8, Vec<u8>),
    Ping(Vec<u8>),
    Pong(Vec<u8>),
    Close(Option<u16>),
}

/// Puts the frames of a server together.
#[derive(Default)]
pub struct Reader {
    message: Vec<u8>,
    opcode: Option<u8>,
    /// Of the message that is under way.
    compressed: bool,
    /// Only once permessage-deflate was agreed on.
    pub inflater: Option<Box<InflateState>>,
}

/// The header of a frame and where its payload lies.
struct Frame {
    first: u8,
    start: usize,
    end: usize,
}

impl Reader {
    /// Takes frames off the front of `bytes` until one says something; none while it is not whole.
    pub fn next(&mut self, bytes: &mut Vec<u8>) -> Result<Option<Event>, String> {
        while let Some(frame) = self.header(bytes)? {
            let payload = bytes[frame.start..frame.end].to_vec();
            bytes.drain(..frame.end);
            let event = match frame.first & 0x0f {
                CLOSE => Some(closed(&payload)?),
                PING => Some(Event::Ping(payload)),
                PONG => Some(Event::Pong(payload)),
                opcode => self.data(frame.first, opcode, &payload)?,
            };
            if event.is_some() {
                return Ok(event);
            }
        }
        Ok(None)
    }

    fn header(&self, bytes: &[u8]) -> Result<Option<Frame>, String> {
        let Some((&[first, second], rest)) = bytes.split_first_chunk::<2>() else { return Ok(None) };
        let (len, least, extended) = match second & 0x7f {
            126 => match rest.first_chunk() {
                Some(len) => (u64::from(u16::from_be_bytes(*len)), 126, 2),
                None => return Ok(None),
            },
            127 => match rest.first_chunk() {
                Some(len) => (u64::from_be_bytes(*len), 0x1_0000, 8),
                None => return Ok(None),
            },
            short => (u64::from(short), 0, 0),
        };
        let opcode = first & 0x0f;
        let is_control = opcode & 8 != 0;
        let compresses = self.inflater.is_some() && [TEXT, BINARY].contains(&opcode);
        let rules = [
            (second & 0x80 == 0, "the server masked a frame (section 5.1)"),
            (first & 0x30 == 0, "the server set a reserved bit (section 5.2)"),
            (first & RSV1 == 0 || compresses, "the server set RSV1 where it means nothing (section 5.2)"),
            (len >= least, "the server's length is not in its shortest form (section 5.2)"),
            (
                matches!(opcode, CONTINUATION | TEXT | BINARY | CLOSE | PING | PONG),
                "the server used a reserved opcode (section 5.2)",
            ),
            (
                !is_control || len <= 125,
                "the server sent a control frame of more than 125 bytes (section 5.5)",
            ),
            (!is_control || first & 0x80 != 0, "the server fragmented a control frame (section 5.4)"),
        ];
        if let Some((_, fault)) = rules.iter().find(|(kept, _)| !kept) {
            return Err(format!("{fault}: {first:02x} {second:02x}"));
        }
        let start: usize = 2 + extended;
        let end = usize::try_from(len).ok().and_then(|len| start.checked_add(len));
        let end = end.ok_or_else(|| format!("the server declared {len} bytes"))?;
        Ok((bytes.len() >= end).then_some(Frame { first, start, end }))
    }

    fn data(&mut self, first: u8, opcode: u8, payload: &[u8]) -> Result<Option<Event>, String> {
        match (opcode, self.opcode) {
            (CONTINUATION, None) => return Err("the server continued no message (section 5.4)".into()),
            (CONTINUATION, Some(_)) => {}
            (_, Some(_)) => return Err("the server began a message inside of another (section 5.4)".into()),
            (_, None) => {
                self.opcode = Some(opcode);
                self.compressed = first & RSV1 != 0;
            }
        }
        self.message.extend_from_slice(payload);
        if first & 0x80 == 0 {
            return Ok(None);
        }
        let opcode = self.opcode.take().unwrap_or(opcode);
        let mut message = std::mem::take(&mut self.message);
        if self.compressed {
            message = self.inflated(&message)?;
        }
        if opcode == TEXT && std::str::from_utf8(&message).is_err() {
            return Err("the server's text is not UTF-8 (section 5.6)".into());
        }
        Ok(Some(Event::Message(opcode, message)))
    }

    /// RFC 7692 section 7.2.2. The window is kept: without context takeover nobody refers to it.
    fn inflated(&mut self, message: &[u8]) -> Result<Vec<u8>, String> {
        let Some(state) = self.inflater.as_mut() else { return Ok(message.to_vec()) };
        let input = [message, &[0, 0, 0xff, 0xff]].concat();
        let (mut rest, mut out) = (&input[..], Vec::new());
        let mut chunk = vec![0; 64 * 1024];
        loop {
            let result = inflate(state, rest, &mut chunk, MZFlush::Sync);
            rest = &rest[result.bytes_consumed..];
            out.extend_from_slice(&chunk[..result.bytes_written]);
            match result.status {
                // A block with BFINAL: the next message begins anew.
                Ok(MZStatus::StreamEnd) => {
                    **state = InflateState::new(DataFormat::Raw);
                    return Ok(out);
                }
                Ok(_) if rest.is_empty() && result.bytes_written < chunk.len() => return Ok(out),
                Ok(_) => {}
                Err(_) if rest.is_empty() => return Ok(out),
                Err(error) => return Err(format!("the server's compressed message is broken: {error:?}")),
            }
        }
    }
}

fn closed(payload: &[u8]) -> Result<Event, String> {
    let Some((code, reason)) = payload.split_first_chunk::<2>() else {
        return if payload.is_empty() {
            Ok(Event::Close(None))
        } else {
            Err("the server's close frame has half a code (section 5.5.1)".into())
        };
    };
    let code = u16::from_be_bytes(*code);
    if std::str::from_utf8(reason).is_err() {
        return Err("the server's reason is not UTF-8 (section 5.5.1)".into());
    }
    if !matches!(code, 1000..=1003 | 1007..=1014 | 3000..=4999) {
        return Err(format!("the server put {code} on the wire (section 7.4.1)"));
    }
    Ok(Event::Close(Some(code)))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(bytes: &[u8]) -> Result<Option<Event>, String> {
        Reader::default().next(&mut bytes.to_vec())
    }

    #[test]
    fn lengths_take_their_shortest_form_unless_asked() {
        let form = |unmasked, declared, wide| Form { key: None, unmasked, declared, wide };
        assert_eq!(encode(0x81, b"hi", &form(true, None, None)), b"\x81\x02hi");
        assert_eq!(encode(0x82, b"hi", &form(true, None, Some(2))), b"\x82\x7e\0\x02hi");
        assert_eq!(encode(0x82, &[], &form(true, Some(u64::MAX), None))[..2], *b"\x82\x7f");
        assert_eq!(encode(0x82, b"", &form(false, Some(126), None)), b"\x82\xfe\0\x7e\x37\xfa\x21\x3d");
    }

    #[test]
    fn fragments_of_the_server_become_one_message() {
        let mut bytes = b"\x01\x01a\x89\0\x80\x01b\x88\x02\x03\xe8".to_vec();
        let mut reader = Reader::default();
        assert_eq!(reader.next(&mut bytes), Ok(Some(Event::Ping(Vec::new()))));
        assert_eq!(reader.next(&mut bytes), Ok(Some(Event::Message(TEXT, b"ab".to_vec()))));
        assert_eq!(reader.next(&mut bytes), Ok(Some(Event::Close(Some(1000)))));
        assert_eq!(reader.next(&mut bytes), Ok(None));
    }

    #[test]
    fn a_server_that_breaks_a_rule_is_found_out() {
        let faults: [&[u8]; 9] = [
            b"\x81\x80\0\0\0\0",
            b"\xc1\0",
            b"\x83\0",
            b"\x09\0",
            b"\x89\x7e\0\x7e",
            b"\x82\x7e\0\x05",
            b"\x80\0",
            b"\x81\x01\xff",
            b"\x88\x02\x03\xed",
        ];
        for bytes in faults {
            assert!(read(bytes).is_err(), "{bytes:x?}");
        }
    }

    #[test]
    fn what_is_packed_is_what_it_was() {
        let long: Vec<u8> = (0..100_000_u32).map(|number| (number.wrapping_mul(number) >> 7) as u8).collect();
        for payload in [&b""[..], b"Hello", &vec![0; 70_000], &long] {
            let mut reader =
                Reader { inflater: Some(InflateState::new_boxed(DataFormat::Raw)), ..Reader::default() };
            let frame = packed(0x82, payload);
            let len: usize = match frame[1] & 0x7f {
                126 => 4,
                127 => 10,
                _ => 2,
            };
            // As a server would send it: without the mask.
            let body: Vec<u8> =
                frame[len + 4..].iter().zip(KEY.iter().cycle()).map(|(byte, key)| byte ^ key).collect();
            let mut bytes = [&[frame[0], frame[1] & 0x7f], &frame[2..len], &body].concat();
            assert_eq!(reader.next(&mut bytes), Ok(Some(Event::Message(BINARY, payload.to_vec()))));
        }
    }

    #[test]
    fn a_compressed_message_is_read_once_that_was_agreed_on() {
        // RFC 7692 section 7.2.3.1.
        let mut bytes = b"\xc1\x07\xf2\x48\xcd\xc9\xc9\x07\x00\xc1\x05\xf2\x00\x11\x00\x00".to_vec();
        let mut reader = Reader::default();
        assert!(reader.next(&mut bytes.clone()).is_err());
        reader.inflater = Some(InflateState::new_boxed(DataFormat::Raw));
        let hello = Event::Message(TEXT, b"Hello".to_vec());
        assert_eq!(reader.next(&mut bytes), Ok(Some(hello.clone())));
        assert_eq!(reader.next(&mut bytes), Ok(Some(hello)));
    }
}
