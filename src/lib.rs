//! Ringway: a real-time edge server for Linux.
//!
//! Read from the bottom up: `ws` and `http` turn bytes into events, `proto` events into commands; `conn` and `hub`
//! hold the state of a connection and of the channels, `shard` that of a core. `driver` runs a shard on a real ring,
//! `sim` in a simulated world; `control` answers everything that is not a WebSocket. `ARCHITECTURE.md` has the map.

pub mod auth;
pub mod channels;
pub mod cli;
pub mod config;
pub mod conn;
pub mod control;
pub mod delta;
pub mod driver;
pub mod failpoint;
pub mod fatal;
pub mod filter;
pub mod history;
pub mod http;
pub mod hub;
pub mod ids;
pub mod limits;
pub mod pages;
pub mod payload;
pub mod pressure;
pub mod proto;
pub mod publication;
pub mod server;
pub mod shard;
pub mod sim;
pub mod stats;
pub mod store;
pub mod sys;
pub mod time;
pub mod tls;
pub mod ws;
