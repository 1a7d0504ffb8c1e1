//! The methods of the server API by name. `batch` is no method: it holds methods.

macro_rules! methods {
    ($($variant:ident $name:literal)+) => {
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub(super) enum Method {
            $($variant,)+
        }

        impl Method {
            pub(super) const ALL: &'static [Self] = &[$(Self::$variant),+];

            pub(super) const fn name(self) -> &'static str {
                match self {
                    $(Self::$variant => $name,)+
                }
            }

            pub(super) fn named(name: &str) -> Option<Self> {
                match name {
                    $($name => Some(Self::$variant),)+
                    _ => None,
                }
            }
        }
    };
}

methods! {
    Publish "publish"
    Broadcast "broadcast"
    PublishEvent "publish_event"
    Subscribe "subscribe"
    Unsubscribe "unsubscribe"
    Disconnect "disconnect"
    Refresh "refresh"
    Connections "connections"
    Presence "presence"
    PresenceStats "presence_stats"
    Channels "channels"
    History "history"
    HistoryRemove "history_remove"
    Cursor "cursor"
    SetCursor "set_cursor"
    Info "info"
    Rpc "rpc"
    Reload "reload"
    BlockUser "block_user"
    UnblockUser "unblock_user"
    RevokeToken "revoke_token"
    InvalidateUserTokens "invalidate_user_tokens"
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_method_is_found_by_its_name() {
        for &method in Method::ALL {
            assert_eq!(Method::named(method.name()), Some(method));
        }
        assert_eq!(Method::named("batch"), None);
        assert_eq!(Method::named(""), None);
    }
}
