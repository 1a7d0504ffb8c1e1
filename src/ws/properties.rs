//! Properties of reader and writer over generated streams, half of them damaged.

use super::transcript::{Seen, read_chunks};
use super::{Kind, Opcode, ReadOptions, Role, append_frame, append_masked_frame};
use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::Index;

pub(super) const OPTIONS: ReadOptions =
    ReadOptions { role: Role::Server, message_bytes_max: 2_000, empty_frames_max: 3, deflate: false };

/// Messages in one or more fragments with control frames in between; half of the streams are damaged in one byte, which
/// is mostly one of a header, or end early.
pub(super) fn streams() -> impl Strategy<Value = Vec<u8>> {
    let damage = prop_oneof![
        4 => Just(Damage::None),
        2 => (any::<Index>(), 0..4_usize, any::<u8>()).prop_map(|(frame, at, value)| Damage::Header(frame, at, value)),
        1 => (any::<Index>(), any::<Index>(), any::<u8>()).prop_map(|(frame, at, value)| Damage::Byte(frame, at, value)),
        1 => any::<Index>().prop_map(Damage::End),
    ];
    (vec(messages(), 1..6), damage).prop_map(|(messages, damage)| {
        let mut frames = messages.concat();
        match damage {
            Damage::None | Damage::End(_) => {}
            Damage::Header(frame, at, value) => frames[frame.index(messages_len(&messages))][at] = value,
            Damage::Byte(frame, at, value) => {
                let frame = &mut frames[frame.index(messages_len(&messages))];
                let at = at.index(frame.len());
                frame[at] = value;
            }
        }
        let mut bytes = frames.concat();
        if let Damage::End(end) = damage {
            bytes.truncate(end.index(bytes.len()));
        }
        bytes
    })
}

#[derive(Clone, Copy, Debug)]
enum Damage {
    None,
    Header(Index, usize, u8),
    Byte(Index, Index, u8),
    End(Index),
}

fn messages_len(messages: &[Vec<Vec<u8>>]) -> usize {
    messages.iter().map(Vec::len).sum()
}

/// The frames of one message.
fn messages() -> impl Strategy<Value = Vec<Vec<u8>>> {
    let text = "[a-zé€😀]{0,60}".prop_map(|text| (0x01, text.into_bytes()));
    let other = prop_oneof![
        3 => vec(any::<u8>(), 0..10),
        1 => vec(Just(b'z'), 120..130),
        1 => vec(Just(b'z'), 900..1_100),
    ];
    let message = prop_oneof![4 => text, 2 => other.prop_map(|bytes| (0x02, bytes))];
    (message, vec(any::<Index>(), 0..4), vec(0..4_u8, 5), any::<[u8; 4]>()).prop_map(
        |((opcode, payload), mut cuts, controls, key)| {
            cuts.sort_by_key(|cut| cut.index(payload.len() + 1));
            let mut ends: Vec<_> = cuts.iter().map(|cut| cut.index(payload.len() + 1)).collect();
            ends.push(payload.len());
            let (mut frames, mut start) = (Vec::new(), 0);
            for (at, &end) in ends.iter().enumerate() {
                let fin = if at + 1 == ends.len() { 0x80 } else { 0 };
                let opcode = if at == 0 { opcode } else { 0 };
                frames.push(masked(fin | opcode, &payload[start..end], key));
                match controls[at] {
                    0 => frames.push(masked(0x89, b"ping", key)),
                    1 => frames.push(masked(0x8a, b"", key)),
                    _ => {}
                }
                start = end;
            }
            frames
        },
    )
}

fn masked(first: u8, payload: &[u8], key: [u8; 4]) -> Vec<u8> {
    let mut out = Vec::new();
    append_masked_frame(&mut out, Opcode::Binary, payload, key);
    out[0] = first;
    out
}

/// Cuts into chunks of these sizes, round and round.
pub(super) fn chunked<'a>(bytes: &'a [u8], sizes: &'a [usize]) -> impl Iterator<Item = &'a [u8]> {
    let mut sizes = sizes.iter().cycle();
    let mut rest = bytes;
    std::iter::from_fn(move || {
        let (chunk, after) = rest.split_at(rest.len().min(*sizes.next()?));
        rest = after;
        (!chunk.is_empty()).then_some(chunk)
    })
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 2_000, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn cutting_a_stream_differently_changes_nothing(
        bytes in prop_oneof![9 => streams(), 1 => vec(any::<u8>(), 0..200)],
        sizes in vec(1_usize..40, 1..8),
    ) {
        let (whole, _) = read_chunks(&OPTIONS, [bytes.as_slice()]);
        let (dripped, _) = read_chunks(&OPTIONS, bytes.chunks(1));
        let (cut, _) = read_chunks(&OPTIONS, chunked(&bytes, &sizes));
        // A violation is told as early as possible: with fewer bytes a chunk it cannot be told later.
        prop_assert_eq!(&dripped, &whole);
        prop_assert_eq!(&cut, &whole);
    }

    #[test]
    fn what_is_written_is_read_in_both_roles(
        messages in vec((any::<bool>(), "[a-z€]{0,300}", any::<[u8; 4]>()), 0..8),
        sizes in vec(1_usize..400, 1..4),
    ) {
        let (mut from_client, mut from_server, mut expected) = (Vec::new(), Vec::new(), Vec::new());
        for (is_text, payload, key) in &messages {
            let kind = if *is_text { Kind::Text } else { Kind::Binary };
            append_masked_frame(&mut from_client, kind.into(), payload.as_bytes(), *key);
            append_frame(&mut from_server, kind.into(), payload.as_bytes());
            expected.push(Seen::Message(kind, payload.clone().into_bytes()));
        }
        let client = ReadOptions { role: Role::Client, ..OPTIONS };
        prop_assert_eq!(read_chunks(&OPTIONS, chunked(&from_client, &sizes)).0, expected.clone());
        prop_assert_eq!(read_chunks(&client, chunked(&from_server, &sizes)).0, expected);
    }
}
