//! The scenarios: each shapes the groups and puts the stages of a session in order. What they share is in `session`.

pub mod chat;
pub mod echo;
pub mod fanout;
pub mod handshakes;
pub mod idle;
mod session;
pub mod storm;

pub use session::ScenarioError;
