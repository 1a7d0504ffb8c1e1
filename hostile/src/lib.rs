//! Hostile WebSocket peers: scripted raw sockets against any server that echoes. RFC 6455, 7692, 9112.
//!
//! Read in this order: [`row`] (what is sent and what is expected), [`step`] (the language of it), [`player`] (one
//! conversation), [`run`] (all of them, with a canary beside each), [`report`] (what came out).
//! Invariant: nothing here is shared with the server under test, and every wait has an end.

pub mod canary;
pub mod clock;
pub mod conn;
pub mod frame;
pub mod literal;
pub mod player;
pub mod report;
pub mod row;
pub mod run;
pub mod step;
pub mod stream;
pub mod target;
pub mod tls;
pub mod verdict;
pub mod vitals;
pub mod wanted;
