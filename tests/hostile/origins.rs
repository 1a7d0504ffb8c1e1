//! Pages that may not connect. H-17; RFC 6455 sections 4.2.2 and 10.2.

use crate::support::client::{Client, upgrade_head};
use crate::support::server::Server;

#[track_caller]
fn answered(server: &Server, fields: &str, status: u16) {
    let mut client = Client::connect(server.public);
    client.send(format!("{}{fields}\r\n", upgrade_head("/echo")).as_bytes());
    let response = if status == 101 { client.response() } else { client.refused() };
    assert_eq!(response.status, status, "{fields}");
}

#[test]
fn without_a_list_only_the_same_host_is_allowed() {
    let server = Server::echo("");
    answered(&server, "", 101);
    answered(&server, "Origin: http://ringway.test\r\n", 101);
    answered(&server, "Origin: https://RINGWAY.test\r\n", 101);
    for origin in ["null", "http://evil.test", "http://ringway.test:81", "http://a:b", "", "ringway.test"] {
        answered(&server, &format!("Origin: {origin}\r\n"), 403);
    }
    server.settled();
}

#[test]
fn a_list_is_compared_by_scheme_host_and_port() {
    let server =
        Server::echo("[client]\nallowed_origins = [\"https://good.com\", \"https://*.example.com\"]\n");
    for origin in ["https://good.com", "https://GOOD.com:443", "https://a.example.com"] {
        answered(&server, &format!("Origin: {origin}\r\n"), 101);
    }
    for origin in [
        "null",
        "https://good.com.evil.com",
        "https://good.com@evil",
        "https://goodXcom",
        "http://good.com",
        "https://good.com:8443",
        "https://good.com.",
        "https://good.com/",
        "http://a:b",
        "https://a.b.example.com",
        "https://example.com",
        "http://ringway.test",
    ] {
        answered(&server, &format!("Origin: {origin}\r\n"), 403);
    }
    answered(&server, "Origin: https://good.com\r\nOrigin: https://good.com\r\n", 400);
    server.settled();
}
