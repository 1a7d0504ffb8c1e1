//! Bytes that no honest client sends.

use proptest::prelude::*;
use prost::Message as _;

use super::super::generated as wire;
use super::{all, framed};
use crate::limits::{COMMANDS_PER_MESSAGE_MAX, FILTER_DEPTH_MAX};
use crate::proto::codec::{Codec, Malformed};

#[test]
fn a_message_without_a_command_is_malformed() {
    assert_eq!(all(&[]), [Err(Malformed::Empty)]);
    assert_eq!(all(&[2, 8, 1]), [Err(Malformed::NoRequest)]);
}

#[test]
fn lengths_and_varints_are_checked() {
    for bad in [
        &[5, 8, 1][..],                                                   // shorter than its length
        &[0x80],                                                          // half a length
        &[0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 1],       // the longest length
        &[0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 2],       // 65 bits
        &[0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0], // eleven bytes
        &[6, 8, 0x80, 0x80, 0x80, 0x80, 0x10],                            // an id of 33 bits
        &[2, 0x22, 5],                                                    // a request beyond its message
        &[2, 0, 1],                                                       // field 0
        &[2, 0x0b, 0x0c],                                                 // a group
        &[2, 0x0a, 0],                                                    // an id that is a text
        &[4, 8, 1, 8, 1],                                                 // an id twice
        &[6, 8, 1, 0x5a, 0, 0x5a, 0],                                     // a ping twice
        &[7, 8, 1, 0x42, 3, 0x0a, 1, 0xff],                               // a channel that is no text
        &[2, 0x0d, 1],                                                    // half of four bytes
    ] {
        assert_eq!(all(bad), [Err(Malformed::Syntax)], "{bad:x?}");
    }
}

#[test]
fn unknown_fields_are_skipped() {
    // 100 as number, as eight bytes, as four bytes and as text.
    let unknown = [0xa0, 6, 1, 0xa1, 6, 0, 0, 0, 0, 0, 0, 0, 0, 0xa5, 6, 0, 0, 0, 0, 0xa2, 6, 1, 0xff];
    let mut bytes =
        wire::Command { id: 1, ping: Some(wire::PingRequest {}), ..Default::default() }.encode_to_vec();
    bytes.extend_from_slice(&unknown);
    bytes.insert(0, bytes.len() as u8);
    assert_eq!(all(&bytes).len(), 1);
    assert!(all(&bytes)[0].is_ok());
}

#[test]
fn filters_nest_to_their_limit_and_no_further() {
    let nested = |depth: u32| {
        let mut tf = wire::FilterNode::default();
        for _ in 1..depth {
            tf = wire::FilterNode { nodes: vec![tf], ..Default::default() };
        }
        let subscribe = wire::SubscribeRequest { tf: Some(tf), ..Default::default() };
        framed(&wire::Command { id: 1, subscribe: Some(subscribe), ..Default::default() })
    };
    assert!(all(&nested(FILTER_DEPTH_MAX))[0].is_ok());
    assert_eq!(all(&nested(FILTER_DEPTH_MAX + 1)), [Err(Malformed::TooDeep)]);
    let json = |depth: usize| {
        let node = r#"{"nodes":["#.repeat(depth - 1) + "{}" + &"]}".repeat(depth - 1);
        format!(r#"{{"id":1,"subscribe":{{"tf":{node}}}}}"#)
    };
    let deepest = FILTER_DEPTH_MAX as usize;
    assert!(Codec::Json.decode(json(deepest).as_bytes()).all(|command| command.is_ok()));
    assert!(Codec::Json.decode(json(deepest + 1).as_bytes()).any(|command| command.is_err()));
}

#[test]
fn a_message_holds_a_limited_number_of_commands() {
    let most = COMMANDS_PER_MESSAGE_MAX as usize;
    assert!(all(&vec![0; most]).iter().all(Result::is_ok));
    assert_eq!(all(&vec![0; most + 1])[most..], [Err(Malformed::TooMany)]);
}

#[test]
fn an_entry_of_a_map_comes_once() {
    let connect = wire::ConnectRequest { headers: [("a".into(), "1".into())].into(), ..Default::default() };
    let twice = [connect.encode_to_vec(), connect.encode_to_vec()].concat();
    assert_eq!(Codec::Protobuf.decode_connect(&twice), Err(Malformed::Syntax));
}

proptest! {
    #[test]
    fn arbitrary_bytes_decode_or_are_refused(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
        let results = all(&bytes);
        prop_assert!(!results.is_empty());
        let errors = results.iter().filter(|result| result.is_err()).count();
        prop_assert!(errors == 0 || (errors == 1 && results[results.len() - 1].is_err()));
    }

    #[test]
    fn nobody_reads_another_command_than_we_do(
        bytes in prop::collection::vec(prop_oneof![0_u8..0x80, any::<u8>()], 0..40),
    ) {
        let mut message = bytes.clone();
        message.insert(0, bytes.len() as u8);
        if let (Ok(ours), Ok(theirs)) = (&all(&message)[0], wire::Command::decode(&*bytes)) {
            prop_assert_eq!(ours.id, theirs.id);
        }
    }

    #[test]
    fn a_truncated_command_is_refused(data: Vec<u8>, cut in any::<prop::sample::Index>()) {
        let publish = wire::PublishRequest { channel: "c".into(), data, ..Default::default() };
        let bytes = framed(&wire::Command { id: 1, publish: Some(publish), ..Default::default() });
        prop_assert!(all(&bytes[..cut.index(bytes.len())])[0].is_err());
    }
}
