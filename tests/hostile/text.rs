//! Text that is not UTF-8, and text that is but comes in awkward pieces. F-18, F-19; RFC 6455 section 8.1.

use crate::support::client::Client;
use crate::support::frame::{self, LAST, MORE, TEXT, TEXT_START, masked};
use crate::support::server::Server;

/// The frame is not finished: the verdict falls when the bad byte is in.
#[test]
fn a_bad_byte_is_refused_before_the_rest_arrives() {
    let server = Server::echo("");
    for bad in
        [&b"\xc0\xaf"[..], b"\xed\xa0\x80", b"\xf4\x90\x80\x80", b"\xf8\x88\x80\x80\x80", b"\x80", b"ok\xff"]
    {
        let mut client = Client::echo(&server);
        let frame = masked(TEXT, &[bad, &[b'x'; 50]].concat());
        client.send(&frame[..6 + bad.len()]);
        client.closed(1007);

        let mut client = Client::echo(&server);
        client.send(&masked(TEXT_START, bad));
        client.closed(1007);
    }
    for cut_off in [&b"ends in \xce"[..], b"\xf0\x9f\x98"] {
        let mut client = Client::echo(&server);
        client.send(&masked(TEXT, cut_off));
        client.closed(1007);
        let mut client = Client::echo(&server);
        client.send(&[masked(TEXT_START, cut_off), masked(LAST, b"")].concat());
        client.closed(1007);
    }
    server.settled();
}

#[test]
fn sequences_may_be_split_anywhere() {
    let server = Server::echo("");
    let mut client = Client::echo(&server);
    for edge in [16, 32, 64] {
        let text = [&vec![b'x'; edge - 2], "😀é€😀".as_bytes(), &[b'y'; 20]].concat();
        for cut in edge - 3..edge + 14 {
            let (front, back) = text.split_at(cut);
            // Across frames, with an empty one in between.
            client.send(&[masked(TEXT_START, front), masked(MORE, b""), masked(LAST, back)].concat());
            client.expect(TEXT, &text);
            // Across segments.
            let frame = masked(TEXT, &text);
            client.send(&frame[..6 + cut]);
            client.send(&frame[6 + cut..]);
            client.expect(TEXT, &text);
        }
    }
    client.send(&frame::close(1000, b""));
    client.closed(1000);
    server.settled();
}
