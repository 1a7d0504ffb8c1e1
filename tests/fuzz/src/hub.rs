//! The hub against a model that is too simple to be wrong: a map of sets.

use super::Choices;
use ringway::channels::Policy;
use ringway::hub::{Form, Hub, Joined, Look, Member, NOBODY, Sink};
use ringway::ids::{ChannelId, CoreId};
use ringway::payload::Payload;
use ringway::publication::Tags;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

/// Who got a publication.
#[derive(Default)]
struct Heard(Vec<u32>);

impl Sink for Heard {
    fn frame(&mut self, form: Form, _: Look) -> Option<Payload> {
        Some(Payload::new(vec![form.0]))
    }

    fn deliver(&mut self, slot: u32, _: &Payload) {
        self.0.push(slot);
    }

    fn unfit(&mut self, _: u32) {}
}

/// What sessions know of their subscriptions.
type Places = BTreeMap<(u8, u32), (ChannelId, Option<u32>)>;

/// The owner of a channel answers, now or much later, or never.
fn link_up(hub: &mut Hub, places: &mut Places, channel: u8) {
    if let Some((id, waiters)) = hub.link_up(&channel.to_string()) {
        // As a shard does: the last who waited may have gone.
        hub.hold(id);
        for slot in waiters {
            let index = hub.admit(id, Member::new(slot, Form(0)));
            places.insert((channel, slot), (id, Some(index)));
        }
        hub.release(id);
    }
}

fn leave(hub: &mut Hub, places: &mut Places, channel: u8, slot: u32) {
    let Some((id, index)) = places.remove(&(channel, slot)) else { return };
    let Some(at) = index else { return hub.stop_waiting(id, slot) };
    if let Some(moved) = hub.leave(id, slot, at).moved {
        places.get_mut(&(channel, moved)).expect("a member has a place").1 = index;
    }
}

pub fn run(data: &[u8]) {
    let policy: Arc<Policy> = Arc::default();
    let mut choices = Choices::new(data);
    let mut hub = Hub::new(CoreId(0), 2, 7);
    let mut places = Places::new();
    while !choices.is_over() {
        let (what, channel, slot) = (choices.below(8), choices.below(6) as u8, choices.below(24) as u32);
        let name = channel.to_string();
        match what {
            0..=2 => {
                if places.contains_key(&(channel, slot)) {
                    continue;
                }
                let (id, joined) = hub.join(&name, &policy, slot);
                let index = match joined {
                    Joined::Up => Some(hub.admit(id, Member::new(slot, Form(0)))),
                    Joined::Wait | Joined::Ask => None,
                };
                places.insert((channel, slot), (id, index));
            }
            3 => leave(&mut hub, &mut places, channel, slot),
            4 => link_up(&mut hub, &mut places, channel),
            5 if hub.owns(&name) => {
                let id = hub.open(&name, &policy);
                hub.add_remote(id, CoreId(1));
            }
            6 if hub.owns(&name) => hub.remove_remote(&name, CoreId(1)),
            _ => {}
        }
        hub.examine(&mut |channel, what| panic!("{channel:?}: {what}"));
        let mut heard = Heard::default();
        if let Some(id) = hub.find(&name) {
            hub.fan_out(id, &Tags::default(), NOBODY, &mut heard);
        }
        let got: BTreeSet<u32> = heard.0.iter().copied().collect();
        assert_eq!(got.len(), heard.0.len(), "nobody gets a publication twice");
        let members = places.iter().filter(|((at, _), (_, index))| *at == channel && index.is_some());
        let model: BTreeSet<u32> = members.map(|((_, slot), _)| *slot).collect();
        assert_eq!(got, model, "exactly the members get a publication");
    }
}
