//! A publication in order, to every subscriber of every core; and word of who comes and goes.
//!
//! Invariant: a publication is encoded once for each form that somebody wants, on each core that has somebody who does.
//! A core delivers a stream without holes: one that it cannot go on with becomes a gap, in the open.

use super::Shard;
use super::encoding::{self, Patches, Style};
use super::guarding::Underway;
use super::mail::{Bulletin, Mail};
use crate::conn::Load;
use crate::conn::outbox::Nodes;
use crate::failpoint::{FailPoints, Point};
use crate::hub::{Form, Look, NOBODY, Seat, Sink};
use crate::ids::{ChannelId, ClientId};
use crate::payload::Payload;
use crate::publication::{Person, Publication};
use crate::shard::conns::Conns;
use crate::ws::deflate::Deflater;
use std::cmp::Ordering;
use std::sync::Arc;

/// Borrows only the fields that a fan-out changes, beside the hub.
macro_rules! desk {
    ($shard:ident) => {
        Desk {
            conns: &mut $shard.conns,
            nodes: &mut $shard.nodes,
            dirty: &mut $shard.dirty,
            slow: &mut $shard.slow,
            is_pressed: &mut $shard.is_pressed,
            outbox_bytes_max: $shard.settings.limits.outbox_bytes_max >> $shard.stage.narrowing(),
            refused: 0,
        }
    };
}

impl Shard {
    /// From the owner to everyone.
    pub(super) fn spread(&mut self, channel: ChannelId, bulletin: &Bulletin) {
        self.wreckage.underway.push(Underway::FanOut(channel));
        if let Some(name) = self.hub.name(channel).map(Arc::clone) {
            for &core in self.hub.remotes(channel) {
                if !self.letters.publication(core, &name, bulletin) {
                    self.stats.mail_full += 1;
                }
            }
        }
        self.deliver(channel, bulletin);
        self.wreckage.underway.pop();
    }

    /// From the owner, by mail: the next publication of the stream, or one without a place in it.
    pub(super) fn arrived(&mut self, name: &Arc<str>, bulletin: &Bulletin) {
        let Some(id) = self.hub.find(name) else {
            return;
        };
        let Some(channel) = self.hub.channel_mut(id) else {
            return;
        };
        if let (Some(place), Some(epoch)) = (&mut channel.place, &bulletin.epoch) {
            let expected = place.offset + 1;
            match (place.epoch == *epoch, bulletin.publication.offset.cmp(&expected)) {
                (true, Ordering::Equal) => place.offset = expected,
                // Heard before.
                (true, Ordering::Less) => return,
                (true, Ordering::Greater) | (false, _) => return self.gap(name),
            }
        }
        self.wreckage.underway.push(Underway::FanOut(id));
        self.deliver(id, bulletin);
        self.wreckage.underway.pop();
    }

    /// Owes the publication to the subscribers of this core.
    fn deliver(&mut self, id: ChannelId, bulletin: &Bulletin) {
        // A subscribe reply that is still corked must not be overtaken.
        self.uncork();
        let exclude = bulletin.exclude.map_or(NOBODY, |client| self.slot_of(client));
        let Some(channel) = self.hub.channel(id) else {
            return;
        };
        let (name, previous) = (Arc::clone(&channel.name), channel.last.clone());
        let keeps_last = channel.policy.allow_delta_fossil;
        let is_bare = channel.policy.is_uncompressed;
        let mut press = Press {
            desk: desk!(self),
            id,
            name: &name,
            publication: &bulletin.publication,
            is_bare,
            // The first offset of a stream tells its epoch to those who subscribed before there was one.
            epoch: bulletin.epoch.as_deref().filter(|_| bulletin.publication.offset == 1).unwrap_or_default(),
            patches: Patches {
                base: previous.as_deref().filter(|_| bulletin.delta),
                encoder: &mut self.encoder,
                buffer: Vec::new(),
            },
            text: &mut self.text,
            deflater: &mut self.deflater,
            unfit: &mut self.unfit,
            fail: &self.options.fail,
        };
        let walked = self.hub.fan_out(id, &bulletin.publication.tags, exclude, &mut press);
        let refused = press.desk.refused;
        // Whoever causes deliveries pays for them.
        self.charge(walked.delivered);
        if keeps_last && let Some(channel) = self.hub.channel_mut(id) {
            channel.last = Some(Arc::clone(&bulletin.publication));
        }
        let delivered = u64::from(walked.delivered - refused.min(walked.delivered));
        self.stats.deliveries += delivered;
        self.stats.messages_out += delivered;
        self.stats.drops += u64::from(refused);
    }

    /// Tells everyone who wants to know that a client has come or gone. The owner of the channel puts this in order.
    pub(super) fn announce(&mut self, name: &Arc<str>, came: bool, person: Person) {
        let person = Arc::new(person);
        match self.hub.seat(name) {
            Seat::Here => self.relay_presence(name, came, &person),
            Seat::Core(owner) => {
                self.letters.tell(owner, Mail::Presence { channel: Arc::clone(name), came, person });
            }
        }
    }

    /// On the owner: to the other cores, and to its own subscribers. Elsewhere there are no other cores to tell.
    pub(super) fn relay_presence(&mut self, name: &Arc<str>, came: bool, person: &Arc<Person>) {
        let Some(id) = self.hub.find(name) else {
            return;
        };
        for &core in self.hub.remotes(id) {
            let letter = Mail::Presence { channel: Arc::clone(name), came, person: Arc::clone(person) };
            if self.letters.ask(core, letter).is_err() {
                self.stats.mail_full += 1;
            }
        }
        self.uncork();
        let mut town_crier = TownCrier {
            desk: desk!(self),
            id,
            name,
            came,
            person,
            text: &mut self.text,
            deflater: &mut self.deflater,
        };
        let walked = self.hub.announce(id, &mut town_crier);
        self.charge(walked.delivered);
        self.stats.messages_out += u64::from(walked.delivered);
    }

    /// The slot of a client of this core.
    fn slot_of(&self, client: ClientId) -> u32 {
        self.clients.find(&client, |slot| self.client_at(slot)).unwrap_or(NOBODY)
    }
}

/// What it takes to owe a payload to many connections.
struct Desk<'a> {
    conns: &'a mut Conns,
    nodes: &'a mut Nodes,
    dirty: &'a mut Vec<u32>,
    slow: &'a mut Vec<u32>,
    is_pressed: &'a mut bool,
    outbox_bytes_max: u32,
    refused: u32,
}

impl Desk<'_> {
    #[inline]
    fn owe(&mut self, slot: u32, payload: &Payload) {
        let Some(conn) = self.conns.at_slot(slot) else {
            return;
        };
        let Ok(load) = conn.owe(self.nodes, payload.clone(), self.outbox_bytes_max) else {
            self.slow.push(slot);
            self.refused += 1;
            return;
        };
        *self.is_pressed |= load == Load::Heavy;
        if !conn.is_dirty {
            conn.is_dirty = true;
            self.dirty.push(slot);
        }
    }
}

/// The shard's end of a fan-out: each form once, and a reference in each subscriber's outbox.
struct Press<'a> {
    desk: Desk<'a>,
    id: ChannelId,
    name: &'a str,
    publication: &'a Publication,
    is_bare: bool,
    epoch: &'a str,
    patches: Patches<'a>,
    text: &'a mut Vec<u8>,
    deflater: &'a mut Deflater,
    unfit: &'a mut Vec<u32>,
    fail: &'a FailPoints,
}

impl Sink for Press<'_> {
    fn frame(&mut self, form: Form, look: Look) -> Option<Payload> {
        let style = Style::of(form);
        let about =
            encoding::About { channel: self.name, id: self.id, epoch: self.epoch, is_bare: self.is_bare };
        let (patches, deflater) = (&mut self.patches, &mut *self.deflater);
        encoding::publication(style, look, about, self.publication, patches, self.text, deflater)
    }

    #[inline]
    fn deliver(&mut self, slot: u32, payload: &Payload) {
        self.fail.hit(Point::FanOut, self.name);
        self.desk.owe(slot, payload);
    }

    fn unfit(&mut self, slot: u32) {
        self.unfit.push(slot);
    }
}

struct TownCrier<'a> {
    desk: Desk<'a>,
    id: ChannelId,
    name: &'a str,
    came: bool,
    person: &'a Person,
    text: &'a mut Vec<u8>,
    deflater: &'a mut Deflater,
}

impl Sink for TownCrier<'_> {
    fn frame(&mut self, form: Form, _look: Look) -> Option<Payload> {
        let about = encoding::About { channel: self.name, id: self.id, epoch: "", is_bare: false };
        let style = Style::of(form);
        Some(encoding::presence(style, about, self.came, self.person, self.text, self.deflater))
    }

    fn deliver(&mut self, slot: u32, payload: &Payload) {
        self.desk.owe(slot, payload);
    }

    fn unfit(&mut self, _slot: u32) {}
}
