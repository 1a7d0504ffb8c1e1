//! The channel that every user has to itself, and is subscribed to when it connects.

use crate::config::option::{Entry, OFF, anything, switch, text};

#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct PersonalChannel {
    pub enabled: bool,
    /// Empty: the channels without a namespace.
    pub personal_channel_namespace: String,
    pub single_connection: bool,
}

pub const OPTIONS: &[Entry] = &[
    switch(
        "client.subscribe_to_user_personal_channel.enabled",
        OFF,
        |c| &mut c.client.personal.enabled,
        "Subscribes every user to #USER, or NAMESPACE:#USER, when it connects.",
    ),
    text(
        "client.subscribe_to_user_personal_channel.personal_channel_namespace",
        "",
        anything,
        |c| &mut c.client.personal.personal_channel_namespace,
        "Namespace of the personal channels; none: the channels without one.",
    ),
    switch(
        "client.subscribe_to_user_personal_channel.single_connection",
        OFF,
        |c| &mut c.client.personal.single_connection,
        "A user's new connection ends its older ones, with disconnect 3504; needs presence in that namespace.",
    ),
];
