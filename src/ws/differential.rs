//! Our reader and writer against tungstenite, an implementation that shares nothing with them.

use super::properties::{OPTIONS, streams};
use super::transcript::{Seen, read_chunks};
use super::{Kind, ReadOptions, Role, Violation, append_frame, append_masked_frame};
use proptest::collection::vec;
use proptest::prelude::*;
use std::io::{self, Cursor, Read, Write};
use tungstenite::error::ProtocolError;
use tungstenite::protocol::{Role as TheirRole, WebSocketConfig};
use tungstenite::{Error, Message, WebSocket};

/// A stream that reads from memory and forgets the answers.
struct Recorded(Cursor<Vec<u8>>);

impl Read for Recorded {
    fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
        self.0.read(out)
    }
}

impl Write for Recorded {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[derive(PartialEq, Eq)]
enum End {
    /// The stream ended, or a close came, without a complaint.
    Quiet,
    Complaint,
}

fn read_theirs(role: TheirRole, bytes: &[u8]) -> (Vec<Seen>, End) {
    let limit = Some(OPTIONS.message_bytes_max as usize);
    let config = WebSocketConfig::default().max_message_size(limit).max_frame_size(limit);
    let stream = Recorded(Cursor::new(bytes.to_vec()));
    let mut socket = WebSocket::from_raw_socket(stream, role, Some(config));
    let mut seen = Vec::new();
    loop {
        match socket.read() {
            Ok(Message::Text(text)) => seen.push(Seen::Message(Kind::Text, text.as_bytes().to_vec())),
            Ok(Message::Binary(bytes)) => seen.push(Seen::Message(Kind::Binary, bytes.to_vec())),
            Ok(Message::Ping(payload)) => seen.push(Seen::Ping(payload.to_vec())),
            Ok(Message::Pong(payload)) => seen.push(Seen::Pong(payload.to_vec())),
            Ok(Message::Close(_) | Message::Frame(_))
            | Err(
                Error::ConnectionClosed
                | Error::Io(_)
                | Error::Protocol(ProtocolError::ResetWithoutClosingHandshake),
            ) => return (seen, End::Quiet),
            Err(_) => return (seen, End::Complaint),
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 4_000, failure_persistence: None, ..ProptestConfig::default() })]

    /// Both agree on every event. Where one complains the other does so too, except that we complain on the first byte
    /// that shows it where tungstenite waits for the frame to be whole, and that we have three rules more.
    #[test]
    fn we_agree_on_streams_of_which_some_are_damaged(bytes in streams()) {
        let (mut ours, _) = read_chunks(&OPTIONS, [bytes.as_slice()]);
        let violation = match ours.pop_if(|last| matches!(last, Seen::Close(..) | Seen::Violation(_))) {
            Some(Seen::Violation(violation)) => Some(violation),
            _ => None,
        };
        let (theirs, end) = read_theirs(TheirRole::Server, &bytes);
        match (violation, end) {
            (
                Some(
                    Violation::LengthNotMinimal | Violation::TooManyEmptyFrames | Violation::CloseCodeIllegal,
                ),
                _,
            ) => prop_assert!(theirs.starts_with(&ours)),
            (None, End::Quiet) | (Some(_), End::Complaint) => prop_assert_eq!(ours, theirs),
            (None, End::Complaint) => prop_assert!(false, "only they complain"),
            (Some(violation), End::Quiet) => {
                // They wait for more bytes: give them the rest of the frame, and they must see it too.
                let longer = [bytes.as_slice(), &[b'z'; 3_000]].concat();
                let (theirs, end) = read_theirs(TheirRole::Server, &longer);
                prop_assert!(end == End::Complaint, "only we complain: {}", violation);
                prop_assert_eq!(ours, theirs);
            }
        }
    }

    #[test]
    fn they_read_what_we_write(messages in vec((any::<bool>(), "[a-z€]{0,300}", any::<[u8; 4]>()), 0..8)) {
        let (mut masked, mut plain, mut expected) = (Vec::new(), Vec::new(), Vec::new());
        for (is_text, payload, key) in &messages {
            let kind = if *is_text { Kind::Text } else { Kind::Binary };
            append_masked_frame(&mut masked, kind.into(), payload.as_bytes(), *key);
            append_frame(&mut plain, kind.into(), payload.as_bytes());
            expected.push(Seen::Message(kind, payload.clone().into_bytes()));
        }
        prop_assert_eq!(read_theirs(TheirRole::Server, &masked).0, expected.clone());
        prop_assert_eq!(read_theirs(TheirRole::Client, &plain).0, expected);
    }

    #[test]
    fn we_read_what_they_write(texts in vec("[a-z€]{0,300}", 0..8)) {
        for (their_role, role) in [(TheirRole::Client, Role::Server), (TheirRole::Server, Role::Client)] {
            let mut socket = WebSocket::from_raw_socket(Cursor::new(Vec::new()), their_role, None);
            for text in &texts {
                socket.send(Message::text(text.clone())).unwrap();
                socket.send(Message::Ping(text.clone().into_bytes()[..text.len().min(125)].to_vec().into())).unwrap();
            }
            let bytes = socket.get_ref().get_ref().clone();
            let expected: Vec<_> = texts
                .iter()
                .flat_map(|text| {
                    let ping = text.as_bytes()[..text.len().min(125)].to_vec();
                    [Seen::Message(Kind::Text, text.clone().into_bytes()), Seen::Ping(ping)]
                })
                .collect();
            let options = ReadOptions { role, ..OPTIONS };
            prop_assert_eq!(read_chunks(&options, bytes.chunks(33)).0, expected);
        }
    }
}
