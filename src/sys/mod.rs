//! Everything unsafe and every system call. Exports safe types only.
//! Each block carries its `// SAFETY:`; nothing above this layer needs one.

mod bufring;
pub mod clock;
pub mod doorbell;
pub mod mailbox;
pub mod park;
pub mod ring;
pub mod socket;
