//! Another process takes over while clients come and go; and what a supervisor hears and gives.
//!
//! Tags in the docs of tests are rows of the catalogue of faults: R for resources.

#![expect(
    clippy::expect_used,
    clippy::panic,
    clippy::unwrap_used,
    reason = "a test that cannot set itself up has failed"
)]

#[path = "../support/mod.rs"]
#[allow(dead_code, reason = "each suite uses its part")]
mod support;

mod activation;
mod load;
mod notifications;
mod takeover;
mod watchdog;
