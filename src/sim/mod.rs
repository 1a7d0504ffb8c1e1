//! The simulated world: the real shards on one thread, with a clock, a network and clients of our own.
//!
//! Invariant: a run is a function of its seed. Time starts at zero and moves only when the world says so; every choice
//! is a throw of one `Dice`. Knows nothing of sockets, threads or the driver: what a shard does here it does under the
//! driver, because it cannot tell the difference.
//!
//! `World` runs shards and network, `Client` is what a client knows, `script` plays conversations, `swarm` plays
//! thousands of random lives and `oracle` judges them.

pub mod client;
pub mod dice;
pub mod link;
pub mod oracle;
pub mod pipe;
pub mod player;
pub mod script;
pub mod swarm;
pub mod world;
