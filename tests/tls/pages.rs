//! Plain HTTP requests over TLS: the control plane takes the session over with the socket.

use crate::authority::Authority;
use crate::person::{Stream, config, connect};
use rustls::version::{TLS12, TLS13};
use std::io::{Read, Write};

/// One response with a length, head and body.
fn response(stream: &mut Stream) -> (String, Vec<u8>) {
    let mut bytes = Vec::new();
    let end = loop {
        if let Some(end) = bytes.windows(4).position(|window| window == b"\r\n\r\n") {
            break end + 4;
        }
        let mut buffer = [0; 4096];
        let count = stream.read(&mut buffer).unwrap();
        assert!(count > 0, "an answer");
        bytes.extend_from_slice(&buffer[..count]);
    };
    let mut body = bytes.split_off(end);
    let head = String::from_utf8(bytes).unwrap().to_ascii_lowercase();
    let length = head.lines().find_map(|line| line.strip_prefix("content-length: "));
    let length: usize = length.map_or(0, |length| length.parse().unwrap());
    while body.len() < length {
        let mut buffer = [0; 4096];
        let count = stream.read(&mut buffer).unwrap();
        assert!(count > 0, "the whole body");
        body.extend_from_slice(&buffer[..count]);
    }
    (head, body)
}

fn get(path: &str) -> Vec<u8> {
    format!("GET {path} HTTP/1.1\r\nHost: localhost\r\n\r\n").into_bytes()
}

#[test]
fn several_requests_are_answered_on_one_connection() {
    let authority = Authority::new();
    let server = authority.serve("");
    for version in [&TLS13, &TLS12] {
        let mut stream = connect(&server, &config(&authority, version), "localhost");
        for _ in 0..2 {
            stream.write_all(&get("/livez")).unwrap();
            assert_eq!(response(&mut stream).1, b"ok\n");
            stream.write_all(&get("/")).unwrap();
            let (head, body) = response(&mut stream);
            assert!(head.starts_with("http/1.1 200") && body.len() > 20_000 && body.ends_with(b"</html>\n"));
        }
        // Both at once, in one record.
        stream.write_all(&[get("/livez"), get("/nowhere")].concat()).unwrap();
        let mut answers = String::new();
        while !answers.ends_with("not found\n") {
            let mut buffer = [0; 4096];
            let count = stream.read(&mut buffer).unwrap();
            assert!(count > 0, "{answers}");
            answers.push_str(std::str::from_utf8(&buffer[..count]).unwrap());
        }
        assert!(answers.starts_with("HTTP/1.1 200") && answers.contains("HTTP/1.1 404"), "{answers}");
        stream.write_all(b"GET /livez HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n").unwrap();
        assert_eq!(response(&mut stream).1, b"ok\n");
        assert_eq!(stream.read(&mut [0; 16]).expect("a clean end"), 0);
    }
    server.settled();
}

#[test]
fn a_request_that_comes_byte_by_byte_is_answered() {
    let authority = Authority::new();
    let server = authority.serve("");
    let mut stream = connect(&server, &config(&authority, &TLS13), "localhost");
    for byte in get("/livez") {
        stream.write_all(&[byte]).unwrap();
        stream.flush().unwrap();
    }
    assert_eq!(response(&mut stream).1, b"ok\n");
    drop(stream);
    server.settled();
}

#[test]
fn a_stream_of_events_goes_on_and_ends_with_its_client() {
    let authority = Authority::new();
    let server = authority.serve("[client]\nallow_anonymous_connect_without_token = true\n");
    let mut stream = connect(&server, &config(&authority, &TLS13), "localhost");
    let body = "{\"id\":1,\"connect\":{}}";
    let head = format!(
        "POST /connection/http_stream HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n\
         Content-Length: {}\r\n\r\n{body}",
        body.len()
    );
    stream.write_all(head.as_bytes()).unwrap();
    let mut seen = Vec::new();
    while !seen.windows(10).any(|window| window == b"\"connect\":") {
        let mut buffer = [0; 4096];
        let count = stream.read(&mut buffer).unwrap();
        assert!(count > 0, "{}", String::from_utf8_lossy(&seen));
        seen.extend_from_slice(&buffer[..count]);
    }
    server.wait_for("sessions", 1);
    drop(stream);
    server.wait_for("sessions", 0);
    server.settled();
}
