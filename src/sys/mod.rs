//! Everything unsafe and every system call. Exports safe types only.
//! Each block carries its `// SAFETY:`; nothing above this layer needs one.

pub mod affinity;
mod bufring;
pub mod clock;
pub mod doorbell;
pub mod entropy;
pub mod epoll;
pub mod inheritance;
pub mod journal;
pub mod mailbox;
pub mod memory;
pub mod notify;
pub mod panics;
pub mod park;
pub mod probe;
pub mod ring;
pub mod rlimit;
pub mod socket;
pub mod source;
