//! Channels as names and rules: what a name says, which namespace it belongs to, and what is allowed there.
//! Invariant: the same name always finds the same policy, and a name that is not legal finds none.
//! Knows nothing of connections, subscribers or stored publications: those ask here and decide elsewhere.

mod name;
mod namespaces;
mod permission;
mod personal;
mod policy;

pub use name::Users;
pub use namespaces::{DuplicateNamespace, NameError, Namespaces, Resolved};
pub use permission::Permission;
pub use personal::PersonalChannels;
pub use policy::{DataFormat, Policy, RecoveryMode, StateEvents};
