//! What the socket suites share: a server process, a raw client, frames byte by byte, the metrics page, waiting.
//! Nothing here uses the parsers of the server: what it sends is checked by other eyes.

pub mod canary;
pub mod client;
pub mod frame;
pub mod group;
pub mod metrics;
pub mod server;
pub mod session;
pub mod wait;
