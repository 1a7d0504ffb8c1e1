//! From what the server knows to what goes over the wire: publications, people, positions in a client's style.
//! Invariant: everything here is a pure function of its arguments; a client whose codec cannot carry some data gets
//! `None` instead of garbage.

use crate::conn::wire::Wire;
use crate::delta::Encoder;
use crate::hub::{Form, Look};
use crate::ids::ChannelId;
use crate::payload::Payload;
use crate::proto::reply::{self, ClientInfo, Data};
use crate::proto::{Codec, Push, Raw, Subject};
use crate::publication::{Person, Publication};
use crate::ws::deflate::Deflater;
use std::num::NonZeroU32;

/// How one subscriber wants its pushes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Style {
    pub wire: Wire,
    /// Channels by number.
    pub numeric: bool,
}

impl Style {
    pub(super) fn form(self) -> Form {
        Form(self.wire.bits() << 1 | u8::from(self.numeric))
    }

    pub(super) fn of(form: Form) -> Self {
        Self { wire: Wire::from_bits(form.0 >> 1), numeric: form.0 & 1 != 0 }
    }

    /// Encodes a push and puts it into its envelope.
    pub(super) fn push(self, push: &Push<'_>, text: &mut Vec<u8>, deflater: &mut Deflater) -> Payload {
        Payload::new(self.framed(push, text, deflater))
    }

    /// The same, and it is compressed neither here nor later.
    pub(super) fn push_bare(self, push: &Push<'_>, text: &mut Vec<u8>, deflater: &mut Deflater) -> Payload {
        let wire = Wire { deflate: None, ..self.wire };
        Payload::bare(Self { wire, ..self }.framed(push, text, deflater))
    }

    fn framed(self, push: &Push<'_>, text: &mut Vec<u8>, deflater: &mut Deflater) -> Vec<u8> {
        text.clear();
        if self.wire.is_bare {
            self.wire.codec.encode_bare_push(push, text);
        } else {
            self.wire.codec.encode_push(push, text);
        }
        let mut framed = Vec::with_capacity(text.len() + ENVELOPE_BYTES_MAX);
        self.wire.append(&mut framed, text, deflater);
        framed
    }
}

/// What a push is about.
#[derive(Clone, Copy, Debug)]
pub(super) struct About<'a> {
    pub channel: &'a str,
    pub id: ChannelId,
    /// To be told with this publication; mostly empty.
    pub epoch: &'a str,
    /// Not to be compressed.
    pub is_bare: bool,
}

impl<'a> About<'a> {
    fn subject(self, style: Style) -> Subject<'a> {
        if style.numeric { Subject::Id(number_of(self.id)) } else { Subject::Name(self.channel) }
    }
}

/// The number of a channel in pushes: unique on this core while anybody is subscribed.
pub(super) fn number_of(channel: ChannelId) -> NonZeroU32 {
    NonZeroU32::MIN.saturating_add(channel.0)
}

/// None: the data is nothing that this codec can carry.
pub(super) fn publication(
    style: Style,
    look: Look,
    about: About<'_>,
    publication: &Publication,
    patches: &mut Patches<'_>,
    text: &mut Vec<u8>,
    deflater: &mut Deflater,
) -> Option<Payload> {
    let is_text = style.wire.codec == Codec::Json;
    if is_text && !publication.is_json {
        return None;
    }
    let patch = if look == Look::Patch { patches.on(&publication.data, is_text) } else { None };
    let parts = Parts::of(publication);
    let mut shown = parts.shown(publication, style.wire.codec);
    shown.epoch = about.epoch;
    shown.delta = patch.is_some();
    if look != Look::Plain {
        shown.data = in_a_string(patch.unwrap_or(&publication.data), style.wire.codec);
    }
    let push = Push::Publication { channel: about.subject(style), publication: shown };
    Some(if about.is_bare {
        style.push_bare(&push, text, deflater)
    } else {
        style.push(&push, text, deflater)
    })
}

/// Patches on the publication before.
pub(super) struct Patches<'a> {
    /// None: there is nothing to patch, or this publication is not meant to be one.
    pub base: Option<&'a Publication>,
    pub encoder: &'a mut Encoder,
    pub buffer: Vec<u8>,
}

impl Patches<'_> {
    /// None: a patch is not to be had, or no shorter.
    fn on(&mut self, target: &[u8], is_text: bool) -> Option<&[u8]> {
        let base = self.base?;
        self.buffer.clear();
        let is_shorter = if is_text {
            self.encoder.encode_text(&base.data, target, &mut self.buffer)
        } else {
            self.encoder.encode(&base.data, target, &mut self.buffer)
        };
        is_shorter.then_some(&*self.buffer)
    }
}

/// Where patches were negotiated, a JSON client gets data as a string; a Protobuf client gets bytes anyway.
pub(super) fn in_a_string(data: &[u8], codec: Codec) -> Data<'_> {
    match (codec, std::str::from_utf8(data)) {
        (Codec::Json, Ok(text)) => Data::Text(text),
        (Codec::Json, Err(_)) | (Codec::Protobuf, _) => Data::Embedded(Raw::accepted(data)),
    }
}

/// What a publication on the wire borrows besides the publication.
pub(super) struct Parts<'a> {
    client: [u8; 36],
    tags: Vec<(&'a str, &'a str)>,
}

impl<'a> Parts<'a> {
    pub(super) fn of(publication: &'a Publication) -> Self {
        let client = publication.info.as_ref().map_or([b'0'; 36], |info| info.client.text());
        let tags = publication.tags.iter().map(|(key, value)| (&**key, &**value)).collect();
        Self { client, tags }
    }

    pub(super) fn shown<'b>(&'b self, publication: &'b Publication, codec: Codec) -> reply::Publication<'b> {
        reply::Publication {
            data: Data::Embedded(Raw::accepted(&publication.data)),
            info: publication.info.as_deref().map(|person| info(person, &self.client, codec)),
            offset: publication.offset,
            tags: &self.tags,
            ..reply::Publication::default()
        }
    }
}

pub(super) fn presence(
    style: Style,
    about: About<'_>,
    came: bool,
    person: &Person,
    text: &mut Vec<u8>,
    deflater: &mut Deflater,
) -> Payload {
    let client = person.client.text();
    let info = info(person, &client, style.wire.codec);
    let channel = about.subject(style);
    let push = if came { Push::Join { channel, info } } else { Push::Leave { channel, info } };
    style.push(&push, text, deflater)
}

pub(super) fn info<'a>(person: &'a Person, client: &'a [u8; 36], codec: Codec) -> ClientInfo<'a> {
    ClientInfo {
        user: &person.user,
        client: std::str::from_utf8(client).unwrap_or_default(),
        conn_info: fitting(person.conn_info.as_deref(), codec),
        chan_info: fitting(person.chan_info.as_deref(), codec),
    }
}

/// Information that is not JSON is kept from clients of the JSON codec, who could not read a message with it.
pub(super) fn fitting(info: Option<&[u8]>, codec: Codec) -> Raw<'_> {
    match (info, codec) {
        (None, _) => Raw::NONE,
        (Some(bytes), Codec::Protobuf) => Raw::accepted(bytes),
        (Some(bytes), Codec::Json) => Raw::json(bytes).unwrap_or(Raw::NONE),
    }
}

/// Frame header, or the words around an event.
pub(super) const ENVELOPE_BYTES_MAX: usize = 16;
