//! `ringway-bench`: an open-loop load generator for WebSocket servers.
//!
//! Read from `scenario` down: it leads a run through `conductor`, which orders worker processes about through `crew`;
//! each worker is one `engine`, an epoll loop over its share of the connections. `report` turns figures into files.

mod ab;
mod calendar;
mod cli;
mod compare;
mod conductor;
mod connection;
mod crew;
mod engine;
mod environment;
mod frame;
mod handshake;
mod ledger;
mod pipe;
mod plan;
mod preflight;
mod progress;
mod record;
mod report;
mod sampler;
mod scenario;
mod schedule;
mod staffing;
mod stamp;
mod target;
mod tls;
mod url;
mod worker;

fn main() -> std::process::ExitCode {
    cli::run()
}
