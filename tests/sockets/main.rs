//! The driver's rules on loopback, against the real server: what the kernel does to a ring, sockets and descriptors.
//! They hold for both drivers; `RINGWAY_TEST_DRIVER=epoll` runs them on the other one.
//!
//! Tags in the docs of tests are rows of the catalogue of faults: R for resources. Tests end with `settled`:
//! connections, descriptors and figures are back to the baseline and no assertion of ours was tripped.

#![expect(
    clippy::expect_used,
    clippy::panic,
    clippy::unwrap_used,
    reason = "a test that cannot set itself up has failed"
)]

#[path = "../support/mod.rs"]
#[allow(dead_code, reason = "each suite uses its part")]
mod support;

mod admission;
mod buffers;
mod churn;
mod cores;
mod descriptors;
mod drain;
mod idleness;
mod limits;
mod overload;
mod panics;
mod pings;
mod promotion;
mod reload;
mod sends;
mod shortage;
mod slowness;
