//! From the first byte to the upgrade. RFC 9112 sections 2 to 5, RFC 6455 section 4.2, RFC 7692 section 7.1.
//!
//! The shard answers upgrades of its two routes and refuses what is malformed; every other well-formed request goes
//! to the control plane with its socket. Frames that came behind the head are read at once.

use super::Shard;
use crate::conn::Phase;
use crate::conn::head::PartialHead;
use crate::conn::session::Session;
use crate::conn::wire::Wire;
use crate::http::{Agreement, Head, Refusal, Terms, Upgrade};
use crate::ids::{ClientId, ConnId};
use crate::limits::{EARLY_BYTES_MAX, HEAD_BYTES_MAX};
use crate::payload::Payload;
use crate::proto::Codec;
use crate::ws::deflate::Deflate;
use std::mem;

/// What a request asks for.
enum Route {
    Echo,
    Client {
        wire: Wire,
        native_pings: bool,
        headers: Vec<(Box<str>, Box<str>)>,
    },
    /// Not a WebSocket: the control plane answers.
    Page,
}

impl Shard {
    pub(super) fn read_head(&mut self, id: ConnId, bytes: &mut [u8]) {
        let Some(conn) = self.conns.get_mut(id) else {
            return;
        };
        let Phase::Head(partial) = &mut conn.phase else {
            return;
        };
        // The control plane takes no socket with a send under way: the end of a TLS handshake.
        let is_sending = conn.outbox.is_sending();
        let Some(mut partial) = partial.take().or_else(|| is_sending.then(Box::default)) else {
            return self.read_first(id, bytes);
        };
        partial.bytes.extend_from_slice(bytes);
        if partial.bytes.len() as u64 > u64::from(HEAD_BYTES_MAX) + u64::from(EARLY_BYTES_MAX) {
            return self.refuse(id, &Refusal::HeadersTooLarge);
        }
        if is_sending {
            conn.phase = Phase::Head(Some(partial));
            return;
        }
        match partial.scan.advance(&partial.bytes) {
            Ok(Some(head_len)) => self.head_complete(id, &mut partial.bytes, head_len),
            Ok(None) => conn.phase = Phase::Head(Some(partial)),
            Err(refusal) => self.refuse(id, &refusal),
        }
    }

    /// Mostly the whole head comes at once, and nothing is copied.
    fn read_first(&mut self, id: ConnId, bytes: &mut [u8]) {
        let mut partial = PartialHead::default();
        match partial.scan.advance(bytes) {
            Ok(Some(head_len)) => self.head_complete(id, bytes, head_len),
            Ok(None) => {
                partial.bytes.extend_from_slice(bytes);
                if let Some(conn) = self.conns.get_mut(id) {
                    conn.phase = Phase::Head(Some(Box::new(partial)));
                }
            }
            Err(refusal) => self.refuse(id, &refusal),
        }
    }

    fn head_complete(&mut self, id: ConnId, bytes: &mut [u8], head_len: usize) {
        let (head, early) = bytes.split_at_mut(head_len.min(bytes.len()));
        match self.answer_head(id, head) {
            Ok(Route::Echo) => self.upgraded(id, Phase::Echo),
            Ok(Route::Client { wire, native_pings, headers }) => {
                let client = ClientId::from_random(self.random.bytes());
                let mut session = Session { native_pings, ..Session::new(client, wire) };
                if !headers.is_empty() {
                    session.profile.get_or_insert_default().headers = Some(headers.into());
                }
                self.upgraded(id, Phase::Client(Box::new(session)));
            }
            Ok(Route::Page) => return self.hand_over(id, bytes.to_vec()),
            Err(refusal) => return self.refuse(id, &refusal),
        }
        if !early.is_empty() {
            self.read_frames(id, early);
        }
    }

    /// Judges the head and, for an upgrade, queues the 101.
    fn answer_head(&mut self, id: ConnId, head: &[u8]) -> Result<Route, Refusal> {
        let head = Head::parse(head)?;
        let is_bare = match head.path() {
            "/connection/websocket" => Some(false),
            "/connection/uni_websocket" if self.options.uni_websocket => Some(true),
            "/echo" if self.options.echo => None,
            _ => return self.admit_page(id),
        };
        let upgrade = Upgrade::check(&head)?;
        if !self.settings.origins.allows(head.origin(), head.host()) {
            return Err(Refusal::Forbidden);
        }
        self.admit(id)?;
        let protocol = is_bare.and_then(|_| subprotocol(&upgrade));
        let compression = self.agree_on_compression(&upgrade);
        let deflate = compression.map_or(Deflate::Off, |agreement| self.takeovers.begin(id, agreement));
        let route = match is_bare {
            None => Route::Echo,
            Some(is_bare) => Route::Client {
                wire: Wire { is_bare, deflate: deflate.shared(), ..Wire::websocket(codec(&head, protocol)) },
                native_pings: has_parameter(&head, "cf_ws_frame_ping_pong", "true"),
                headers: self.kept_headers(&head),
            },
        };
        let response = Payload::new(upgrade.response(protocol, compression));
        if let Some(conn) = self.conns.get_mut(id) {
            conn.deflate = deflate;
        }
        self.stats.handshakes += 1;
        self.stats.handshakes_deflate += u64::from(deflate.is_on());
        self.queue(id, response);
        Ok(route)
    }

    /// Without memory for connections whose messages build on each other, those of this one stand by themselves.
    fn agree_on_compression(&self, upgrade: &Upgrade<'_>) -> Option<Agreement> {
        let compression = &self.settings.compression;
        if !compression.enabled {
            return None;
        }
        let terms =
            Terms { takeover: compression.takeover, takeover_window_bits: compression.takeover_window_bits };
        let agreement = upgrade.compression(terms)?;
        if self.takeovers.has_room(agreement, compression.takeover_bytes_max) {
            return Some(agreement);
        }
        upgrade.compression(Terms { takeover: false, ..terms })
    }

    /// Headers that hooks forward to back ends, or that name the user.
    fn kept_headers(&self, head: &Head<'_>) -> Vec<(Box<str>, Box<str>)> {
        let names = self.settings.hooks.headers.iter().chain(&self.settings.access.user_id_header);
        let kept = names.filter_map(|name| Some((name.clone(), Box::from(head.header(name)?))));
        kept.collect()
    }

    /// Pages cost a socket as well.
    fn admit_page(&self, id: ConnId) -> Result<Route, Refusal> {
        if self.conns.get(id).is_none_or(|conn| conn.is_surplus) {
            return Err(Refusal::Overloaded { retry_after_s: RETRY_AFTER_S });
        }
        Ok(Route::Page)
    }

    /// Refuses what is too much, before it costs anything. Who is refused anyway takes no part of the rate.
    fn admit(&mut self, id: ConnId) -> Result<(), Refusal> {
        let is_surplus = self.is_draining || self.conns.get(id).is_none_or(|conn| conn.is_surplus);
        if is_surplus {
            return Err(Refusal::Overloaded { retry_after_s: RETRY_AFTER_S });
        }
        if !self.options.tallies.admit(self.settings.limits.handshake_rate, self.now) {
            self.stats.limited_arrivals += 1;
            return Err(Refusal::Overloaded { retry_after_s: RETRY_AFTER_S });
        }
        Ok(())
    }

    fn upgraded(&mut self, id: ConnId, phase: Phase) {
        let is_client = matches!(phase, Phase::Client(_));
        if let Some(conn) = self.conns.get_mut(id) {
            drop(mem::replace(&mut conn.phase, phase));
        }
        if is_client {
            self.set_due(id, self.now + self.settings.patience.stale);
        } else {
            self.start_beats(id);
        }
    }
}

/// The subprotocol decides, then the query; JSON without either.
fn codec(head: &Head<'_>, protocol: Option<&str>) -> Codec {
    let asks = || ["format", "cf_protocol"].iter().any(|name| has_parameter(head, name, "protobuf"));
    match protocol {
        Some(PROTOBUF_PROTOCOL) => Codec::Protobuf,
        None if asks() => Codec::Protobuf,
        Some(_) | None => Codec::Json,
    }
}

/// An offer must be answered with one of its own, or browsers give up.
fn subprotocol<'a>(upgrade: &Upgrade<'a>) -> Option<&'a str> {
    upgrade.protocols().find(|&protocol| protocol == JSON_PROTOCOL || protocol == PROTOBUF_PROTOCOL)
}

fn has_parameter(head: &Head<'_>, name: &str, value: &str) -> bool {
    head.query().unwrap_or_default().split('&').any(|pair| pair.split_once('=') == Some((name, value)))
}

const JSON_PROTOCOL: &str = "centrifuge-json";
const PROTOBUF_PROTOCOL: &str = "centrifuge-protobuf";
/// Short, because clients spread their attempts themselves.
pub(super) const RETRY_AFTER_S: u32 = 1;
