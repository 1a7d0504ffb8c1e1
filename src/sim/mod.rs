//! The simulated world: the real shards on one thread, with a clock, a network and clients of our own.
//!
//! Invariant: a run is a function of its seed. Time starts at zero and moves only when the world says so; every choice
//! is a throw of one `Dice`. Knows nothing of sockets, threads or the driver: what a shard does here it does under the
//! driver, because it cannot tell the difference.
//!
//! `World` runs shards and network, `Client` is what a client knows, `script` plays conversations, `swarm` plays
//! thousands of random lives and `oracle` judges them; `trial` does the same for channels that remember, with clients of
//! both codecs that come back. All that a server says is decoded by `message`. Some worlds are sealed: there clients and
//! shards speak TLS (`tls`).

pub mod client;
pub mod dice;
pub mod disk;
mod faults;
pub mod link;
pub mod message;
pub mod oracle;
pub mod pipe;
pub mod player;
pub mod script;
pub mod swarm;
pub mod tls;
pub mod trial;
pub mod watch;
pub mod world;
