//! From a checked configuration to what shards are told, at the start and at every reload.
//! Invariant: only what may change under running connections is taken from the configuration here.

use super::table::channel::ChannelOptions;
use super::{Channel, Client, Config};
use crate::auth::{Auth, KeyProblem, Keys};
use crate::channels::{
    DataFormat, Namespaces, Permission, PersonalChannels, Policy, RecoveryMode, StateEvents,
};
use crate::config::table::websocket::WebSocket;
use crate::fatal::Fatal;
use crate::http::OriginPolicy;
use crate::shard::settings::{Access, Compression, Limits, Patience, Quota, Quotas, Settings};
use crate::ws::deflate::Effort;
use regex::Regex;
use std::sync::Arc;
use std::time::Duration;

impl Config {
    /// The errors cannot happen to a `Config` that was loaded: its checks are the same.
    pub fn settings(&self) -> Result<Settings, Fatal> {
        let Self { client, websocket, channel, .. } = self;
        let refused = |problem: String| Fatal::Config { file: None, problems: vec![problem] };
        let origins = OriginPolicy::new(&client.allowed_origins)
            .map_err(|error| refused(format!("client.allowed_origins: {error}")))?;
        let rate = client.connection_rate_limit;
        let rates = &client.rates;
        // Who comes back subscribes to all channels at once, and may ask something about each.
        let (commands_min, bytes_min) =
            (client.channel_limit.saturating_mul(2), websocket.message_size_limit);
        Ok(Settings {
            auth: Arc::new(self.auth()?),
            namespaces: Arc::new(channel.compile().map_err(refused)?),
            personal: PersonalChannels {
                enabled: client.personal.enabled,
                namespace: some(&client.personal.personal_channel_namespace),
                single_connection: client.personal.single_connection,
            },
            hooks: self.hooks.told(),
            origins,
            tls: self.tls.acceptor()?,
            access: Access {
                anonymous: client.allow_anonymous_connect_without_token,
                insecure: client.insecure,
                disallow_anonymous_tokens: client.disallow_anonymous_connection_tokens,
                user_id_header: some(&client.user_id_http_header.to_ascii_lowercase()),
            },
            limits: Limits {
                connections_per_user_max: client.user_connection_limit,
                handshake_rate: (rate > 0).then_some(rate),
                channels_per_client_max: client.channel_limit,
                message_bytes_max: websocket.message_size_limit,
                outbox_bytes_max: client.queue_max_size,
                history_page_max: client.history_max_publication_limit,
                recovery_max: client.recovery_max_publication_limit,
            },
            patience: Patience {
                handshake: websocket.handshake_timeout,
                message: websocket.message_timeout,
                stale: client.stale_close_delay,
                expired: client.expired_close_delay,
                expired_subscription: client.expired_sub_close_delay,
                position_check: client.channel_position_check_delay,
            },
            quotas: Quotas {
                connection_commands: quota(rates.command_rate_limit, rates.command_rate_burst, commands_min),
                connection_bytes: quota(rates.byte_rate_limit, rates.byte_rate_burst, bytes_min),
                user_commands: quota(
                    rates.user_command_rate_limit,
                    rates.user_command_rate_burst,
                    commands_min,
                ),
                user_bytes: quota(rates.user_byte_rate_limit, rates.user_byte_rate_burst, bytes_min),
            },
            compression: websocket.compression(self.cores.len()),
            include_server_time: client.connect_include_server_time,
            rpc_ping: self.rpc.ping,
        })
    }
}

impl Config {
    /// What tokens are verified with, before any key set is fetched and anything is revoked.
    pub fn auth(&self) -> Result<Auth, Fatal> {
        let refused = |problem: KeyProblem| Fatal::Config {
            file: None,
            problems: vec![format!("client.token.{}: {problem}", problem.option())],
        };
        let Client { token, subscription_token, insecure, .. } = &self.client;
        let connection = Keys::new(&token.key_options(*insecure)).map_err(refused)?;
        let own = subscription_token.enabled.then(|| Keys::new(&subscription_token.token.key_options(false)));
        Ok(Auth { connection, subscription: own.transpose().map_err(refused)?, ..Auth::default() })
    }
}

impl WebSocket {
    fn compression(&self, core_count: usize) -> Compression {
        Compression {
            enabled: self.compression,
            effort: Effort { level: self.compression_level as u8, bytes_min: self.compression_min_size },
            takeover: self.compression_takeover,
            takeover_window_bits: self.compression_takeover_window as u8,
            takeover_bytes_max: u64::from(self.compression_takeover_memory) / core_count.max(1) as u64,
        }
    }
}

impl Channel {
    fn compile(&self) -> Result<Namespaces, String> {
        let without = self.without_namespace.compile(self.history_meta_ttl)?;
        let mut named = Vec::with_capacity(self.namespaces.len());
        for namespace in &self.namespaces {
            let policy = namespace.options.compile(self.history_meta_ttl)?;
            named.push((Box::from(namespace.name.as_str()), policy));
        }
        Namespaces::new(without, named, self.max_length as usize).map_err(|error| error.to_string())
    }
}

impl ChannelOptions {
    fn compile(&self, meta_ttl: Duration) -> Result<Policy, String> {
        let regex = (!self.channel_regex.is_empty()).then(|| Regex::new(&self.channel_regex));
        let hook = |enabled: bool, name: &str| enabled.then(|| Box::from(name));
        let has_event = |event: &str| self.channel_state_events.contains(&event);
        Ok(Policy {
            presence: self.presence,
            join_leave: self.join_leave,
            force_push_join_leave: self.force_push_join_leave,
            history_size: self.history_size,
            history_ttl: self.history_ttl,
            history_meta_ttl: if self.history_meta_ttl.is_zero() { meta_ttl } else { self.history_meta_ttl },
            durable: self.durable,
            allow_positioning: self.allow_positioning,
            force_positioning: self.force_positioning,
            allow_recovery: self.allow_recovery,
            force_recovery: self.force_recovery,
            force_recovery_mode: match self.force_recovery_mode {
                "cache" => RecoveryMode::Cache,
                _ => RecoveryMode::Stream,
            },
            auto_cache_recover: self.auto_cache_recover,
            allow_delta_fossil: self.allowed_delta_types.contains(&"fossil"),
            delta_publish: self.delta_publish,
            allow_tags_filter: self.allow_tags_filter,
            is_uncompressed: self.uncompressed,
            publication_data_format: match self.publication_data_format {
                "json" => DataFormat::Json,
                "json_object" => DataFormat::JsonObject,
                "binary" => DataFormat::Binary,
                _ => DataFormat::NotEmpty,
            },
            publish_exclude_sender: self.publish_exclude_sender,
            publish_rate: self.publish_rate,
            subscribe: Permission {
                for_client: self.allow_subscribe_for_client,
                for_subscriber: false,
                for_anonymous: self.allow_subscribe_for_anonymous,
            },
            publish: Permission {
                for_client: self.allow_publish_for_client,
                for_subscriber: self.allow_publish_for_subscriber,
                for_anonymous: self.allow_publish_for_anonymous,
            },
            see_presence: Permission {
                for_client: self.allow_presence_for_client,
                for_subscriber: self.allow_presence_for_subscriber,
                for_anonymous: self.allow_presence_for_anonymous,
            },
            see_history: Permission {
                for_client: self.allow_history_for_client,
                for_subscriber: self.allow_history_for_subscriber,
                for_anonymous: self.allow_history_for_anonymous,
            },
            allow_user_limited_channels: self.allow_user_limited_channels,
            channel_regex: regex.transpose().map_err(|error| format!("channel_regex: {error}"))?,
            subscribe_proxy: hook(self.subscribe_proxy_enabled, &self.subscribe_proxy_name),
            publish_proxy: hook(self.publish_proxy_enabled, &self.publish_proxy_name),
            sub_refresh_proxy: hook(self.sub_refresh_proxy_enabled, &self.sub_refresh_proxy_name),
            state_proxy: hook(self.state_proxy_enabled, &self.state_proxy_name),
            cache_empty_proxy: hook(self.cache_empty_proxy_enabled, &self.cache_empty_proxy_name),
            channel_state_events: StateEvents {
                occupied: has_event("occupied"),
                vacated: has_event("vacated"),
            },
        })
    }
}

fn some(text: &str) -> Option<Box<str>> {
    (!text.is_empty()).then(|| Box::from(text))
}

/// A burst that nobody set is one second's worth, and at least so much.
fn quota(per_second: u32, burst: u32, min: u32) -> Quota {
    Quota { per_second, burst: if burst == 0 { per_second.max(min) } else { burst } }
}
