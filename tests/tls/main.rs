//! TLS on the public port, against the real server, with two clients that are not ours: OpenSSL's and that of rustls.
//!
//! Tags in the docs of tests are rows of the catalogue of attacks: T for TLS. Tests end with `settled`: connections,
//! descriptors and figures are back to the baseline and no assertion of ours was tripped.

#![expect(
    clippy::expect_used,
    clippy::panic,
    clippy::unwrap_used,
    reason = "a test that cannot set itself up has failed"
)]

#[path = "../support/mod.rs"]
#[allow(dead_code, reason = "each suite uses its part")]
mod support;

mod authority;
mod certificates;
mod compressed;
mod hostile;
mod openssl;
mod pages;
mod person;
mod streams;
mod websockets;
