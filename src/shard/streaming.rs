//! Connections without a socket of ours: the control plane speaks their HTTP, and this core serves them like any other.
//! Invariant: a stream has exactly one connection until `End` or `Gone`; at most one memo of bytes is under way.

use super::memo::Memo;
use super::rests::Piece;
use super::stream::{Opening, StreamId, StreamInput, StreamKind, StreamOutput};
use super::{Output, Shard};
use crate::conn::session::{Profile, Session, Stage, Stream};
use crate::conn::wire::{Envelope, Wire};
use crate::conn::{Conn, Phase};
use crate::ids::{ClientId, ConnId};
use crate::payload::Payload;
use crate::proto::{Codec, Disconnect};

impl Shard {
    pub(super) fn streamed(&mut self, stream: StreamId, input: StreamInput) {
        if let StreamInput::Open(opening) = input {
            return self.open_stream_connection(stream, *opening);
        }
        let Some(&id) = self.streams.get(&stream) else {
            return;
        };
        match input {
            StreamInput::Open(_) => {}
            StreamInput::Commands(bytes) => {
                self.stats.messages_in += 1;
                self.stats.bytes_in += bytes.len() as u64;
                if self.slices.holds(id) {
                    return self.queue_up(id, bytes);
                }
                self.begin_slice(id);
                self.messages(id, &bytes);
                self.end_slice(id);
            }
            StreamInput::Sent => self.sent(id),
            StreamInput::Gone => self.broken(id),
        }
    }

    /// Commands behind others that wait. Nobody can be made to send less here, so there is an end.
    fn queue_up(&mut self, id: ConnId, bytes: Vec<u8>) {
        let bytes_max = self.settings.limits.message_bytes_max as usize;
        if self.slices.held_bytes(id) + bytes.len() > bytes_max.saturating_mul(2) {
            return self.disconnect(id, Disconnect::TooManyRequests);
        }
        self.put_off(id, Piece::Message { bytes, served: 0 });
    }

    fn open_stream_connection(&mut self, stream: StreamId, opening: Opening) {
        if self.is_draining {
            return self.end_stream(stream);
        }
        self.stats.accepted += 1;
        let client = ClientId::from_random(self.random.bytes());
        let mut session = Session::new(client, wire(&opening));
        session.profile = Some(Box::new(Profile {
            headers: Some(opening.headers),
            stream: Some(Box::new(Stream { number: stream.0, session: opening.session, node: opening.node })),
            ..Profile::default()
        }));
        let due = self.now + self.settings.patience.stale;
        let phase = Phase::Client(Box::new(session));
        let id = self.conns.insert(Conn { phase, due, is_stream: true, ..Conn::default() });
        self.wheel.arm(id.slot, due);
        self.streams.insert(stream, id);
        self.stream_names.insert(id, stream);
        self.messages(id, &opening.first);
    }

    /// A message of a client, whatever it came by.
    pub(super) fn messages(&mut self, id: ConnId, bytes: &[u8]) {
        let Some(session) = self.session(id) else {
            return;
        };
        if session.wire.is_bare && session.stage == Stage::Unknown {
            return self.connect_bare(id, bytes);
        }
        self.commands(id, bytes, 0);
    }

    /// A unidirectional client says who it is, once, without the wrapper of a command.
    fn connect_bare(&mut self, id: ConnId, bytes: &[u8]) {
        let Some(codec) = self.session(id).map(|session| session.wire.codec) else {
            return;
        };
        let verdict = match codec.decode_connect(bytes) {
            Ok(request) => self.connect(id, 0, &request),
            Err(_) => Err(Disconnect::BadRequest.into()),
        };
        match verdict {
            Ok(()) => {}
            Err(super::commands::Refused::Disconnect(why)) => self.disconnect(id, why),
            // There is no reply that could carry an error.
            Err(super::commands::Refused::Reject(_)) => self.disconnect(id, Disconnect::InternalError),
        }
    }

    pub(super) fn write_stream(&mut self, id: ConnId, payload: &Payload) {
        if let Some(&stream) = self.stream_names.get(&id) {
            let (core, output) = (self.options.core, StreamOutput::Bytes(payload.bytes().to_vec()));
            self.outputs.push(Output::Memo(Memo::Stream { core, stream, output }));
        }
    }

    /// All is said; the slot is free at once, because no completion is outstanding.
    pub(super) fn close_stream(&mut self, id: ConnId) {
        if let Some(stream) = self.stream_names.remove(&id) {
            self.streams.remove(&stream);
            self.end_stream(stream);
        }
        self.closed(id);
    }

    fn end_stream(&mut self, stream: StreamId) {
        let core = self.options.core;
        self.outputs.push(Output::Memo(Memo::Stream { core, stream, output: StreamOutput::End }));
    }
}

fn wire(opening: &Opening) -> Wire {
    let (envelope, is_bare) = match opening.kind {
        StreamKind::HttpStream => (Envelope::Line, false),
        StreamKind::Sse => (Envelope::Event, false),
        StreamKind::UniHttpStream => (Envelope::Line, true),
        StreamKind::UniSse => (Envelope::Event, true),
    };
    Wire {
        codec: if opening.is_protobuf { Codec::Protobuf } else { Codec::Json },
        is_bare,
        envelope,
        deflate: None,
    }
}
