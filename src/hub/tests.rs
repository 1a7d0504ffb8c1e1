//! The hub against a model that is too simple to be wrong: a map of sets.

use super::*;
use crate::channels::Policy;
use crate::filter::Filter;
use crate::ids::{ChannelId, CoreId};
use crate::payload::Payload;
use crate::proto::command::FilterNode;
use crate::publication::Tags;
use proptest::prelude::*;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

fn policy() -> Arc<Policy> {
    Arc::default()
}

/// A sink that remembers who got what.
#[derive(Default)]
struct Heard {
    slots: Vec<u32>,
    made: Vec<(Form, Look)>,
}

impl Sink for Heard {
    fn frame(&mut self, form: Form, look: Look) -> Option<Payload> {
        self.made.push((form, look));
        (form != UNFIT).then(|| Payload::new(vec![form.0]))
    }

    fn deliver(&mut self, slot: u32, payload: &Payload) {
        assert_ne!(payload.bytes(), [UNFIT.0]);
        self.slots.push(slot);
    }

    fn unfit(&mut self, _slot: u32) {}
}

#[track_caller]
fn check(hub: &Hub) {
    hub.examine(&mut |channel, what| panic!("{channel:?}: {what}"));
}

/// A form that no publication has.
const UNFIT: Form = Form(9);

#[derive(Clone, Debug)]
enum Step {
    Join { channel: u8, member: u32 },
    Leave { channel: u8, member: u32 },
    Publish { channel: u8 },
    Remote { channel: u8, core: u16, joins: bool },
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        4 => (0..6_u8, 0..20_u32).prop_map(|(channel, member)| Step::Join { channel, member }),
        3 => (0..6_u8, 0..20_u32).prop_map(|(channel, member)| Step::Leave { channel, member }),
        2 => (0..6_u8).prop_map(|channel| Step::Publish { channel }),
        1 => (0..6_u8, 1..3_u16, any::<bool>())
            .prop_map(|(channel, core, joins)| Step::Remote { channel, core, joins }),
    ]
}

/// Where each member stands, kept as a connection would keep it.
type Places = BTreeMap<(u8, u32), (ChannelId, Option<u32>)>;

fn leave(hub: &mut Hub, places: &mut Places, channel: u8, member: u32) -> bool {
    let Some((id, index)) = places.remove(&(channel, member)) else {
        return false;
    };
    let Some(at) = index else {
        hub.stop_waiting(id, member);
        return false;
    };
    let left = hub.leave(id, member, at);
    if let Some(moved) = left.moved {
        places.get_mut(&(channel, moved)).unwrap().1 = index;
    }
    left.unlink
}

proptest! {
    #[test]
    fn the_hub_agrees_with_a_map_of_sets(steps in prop::collection::vec(step(), 1..200)) {
        let mut hub = Hub::new(CoreId(0), 2, 7);
        let mut model: BTreeMap<u8, BTreeSet<u32>> = BTreeMap::new();
        let mut places = Places::new();
        for step in steps {
            match step {
                Step::Join { channel, member } => {
                    if model.entry(channel).or_default().insert(member) {
                        let name = channel.to_string();
                        let (id, joined) = hub.join(&name, &policy(), member);
                        let index = match joined {
                            Joined::Up => Some(hub.admit(id, Member::new(member, Form(0)))),
                            Joined::Wait => None,
                            Joined::Ask => {
                                // The owner answers at once here; the simulator delays it.
                                let (_, waiters) = hub.link_up(&name).unwrap();
                                prop_assert_eq!(waiters.len(), 1);
                                Some(hub.admit(id, Member::new(member, Form(0))))
                            }
                        };
                        places.insert((channel, member), (id, index));
                    }
                }
                Step::Leave { channel, member } => {
                    let was = model.entry(channel).or_default().remove(&member);
                    let unlink = leave(&mut hub, &mut places, channel, member);
                    let last = was && model[&channel].is_empty() && !hub.owns(&channel.to_string());
                    prop_assert_eq!(unlink, last, "the owner is told exactly when the last member leaves");
                }
                Step::Publish { channel } => {
                    let mut sink = Heard::default();
                    if let Some(id) = hub.find(&channel.to_string()) {
                        hub.fan_out(id, &Tags::default(), NOBODY, &mut sink);
                    }
                    let got: BTreeSet<u32> = sink.slots.iter().copied().collect();
                    prop_assert_eq!(got.len(), sink.slots.len(), "nobody gets a publication twice");
                    prop_assert_eq!(&got, model.entry(channel).or_default());
                }
                Step::Remote { channel, core, joins } => {
                    let name = channel.to_string();
                    if hub.owns(&name) {
                        if joins {
                            let id = hub.open(&name, &policy());
                            hub.add_remote(id, CoreId(core));
                        } else {
                            hub.remove_remote(&name, CoreId(core));
                        }
                    }
                }
            }
            check(&hub);
        }
    }
}

#[test]
fn members_wait_until_the_owner_has_answered() {
    let mut hub = Hub::new(CoreId(0), 2, 0);
    let foreign = (0..100).map(|n| n.to_string()).find(|name| !hub.owns(name)).unwrap();
    let (id, joined) = hub.join(&foreign, &policy(), 1);
    assert_eq!(joined, Joined::Ask);
    assert_eq!(hub.join(&foreign, &policy(), 2), (id, Joined::Wait));
    let mut sink = Heard::default();
    assert_eq!(hub.fan_out(id, &Tags::default(), NOBODY, &mut sink), Walked::default());
    let (_, waiters) = hub.link_up(&foreign).unwrap();
    assert_eq!(waiters, [1, 2]);
    assert_eq!(hub.admit(id, Member::new(1, Form(0))), 0);
    assert_eq!(hub.join(&foreign, &policy(), 3), (id, Joined::Up));
}

#[test]
fn a_channel_vanishes_with_its_last_interest() {
    let mut hub = Hub::new(CoreId(0), 1, 0);
    let (id, _) = hub.join("a", &policy(), 1);
    hub.admit(id, Member::new(1, Form(0)));
    hub.add_remote(id, CoreId(1));
    hub.leave(id, 1, 0);
    assert_eq!(hub.channel_count(), 1);
    hub.remove_remote("a", CoreId(1));
    assert_eq!(hub.channel_count(), 0);
    assert_eq!(hub.find("a"), None);
}

#[test]
fn all_cores_agree_on_the_owner_of_a_channel() {
    let one = Hub::new(CoreId(0), 8, 99);
    let two = Hub::new(CoreId(5), 8, 99);
    let mut owners = BTreeSet::new();
    for name in 0..200 {
        let name = name.to_string();
        let owner = |hub: &Hub, core| match hub.seat(&name) {
            Seat::Here => core,
            Seat::Core(owner) => owner,
        };
        assert_eq!(owner(&one, CoreId(0)), owner(&two, CoreId(5)));
        owners.insert(owner(&one, CoreId(0)));
    }
    assert_eq!(owners.len(), 8, "every core owns some channels");
}

#[test]
fn an_answer_of_the_owner_is_awaited_even_if_nobody_waits_for_it_any_more() {
    let mut hub = Hub::new(CoreId(0), 2, 7);
    let name = (0..100).map(|number| number.to_string()).find(|name| !hub.owns(name)).unwrap();
    let (id, joined) = hub.join(&name, &policy(), 1);
    assert_eq!(joined, Joined::Ask);
    hub.stop_waiting(id, 1);
    check(&hub);
    assert_eq!(hub.join(&name, &policy(), 2), (id, Joined::Wait), "the question is not asked twice");
    hub.stop_waiting(id, 2);
    assert_eq!(hub.link_up(&name), Some((id, Vec::new())));
    assert!(hub.unlink_if_deserted(id), "an answer that came too late is taken back");
    assert_eq!(hub.channel_count(), 0);
}

fn eq(key: &str, val: &str) -> Filter {
    let node = FilterNode { key: key.into(), cmp: "eq".into(), val: val.into(), ..FilterNode::default() };
    Filter::compile(&node).unwrap()
}

#[test]
fn a_form_is_made_once_however_many_share_it_and_a_filter_is_evaluated_for_all_who_have_it() {
    let mut hub = Hub::new(CoreId(0), 1, 0);
    let id = hub.open("a", &policy());
    let red = hub.channel_mut(id).unwrap().share_filter(eq("color", "red")).unwrap();
    assert_eq!(
        hub.channel_mut(id).unwrap().share_filter(eq("color", "red")),
        Some(red),
        "equal filters are one"
    );
    for slot in 0..10 {
        let form = if slot == 9 { UNFIT } else { Form((slot % 2) as u8) };
        let filter = if slot < 2 { red } else { FilterId::NONE };
        hub.admit(id, Member::new(slot, form).with_filter(filter));
    }
    let mut heard = Heard::default();
    let blue: Tags = Box::new([(Box::from("color"), Box::from("blue"))]);
    let walked = hub.fan_out(id, &blue, 5, &mut heard);
    assert_eq!(heard.slots, [2, 3, 4, 6, 7, 8], "0 and 1 are filtered, 5 has sent it, 9 cannot read it");
    assert_eq!(walked, Walked { delivered: 6, filtered: 3, unfit: 1 });
    assert_eq!(heard.made.len(), 3);
}

#[test]
fn a_patch_needs_a_base() {
    let mut hub = Hub::new(CoreId(0), 1, 0);
    let id = hub.open("a", &policy());
    hub.admit(id, Member::new(1, Form(0)).taking_patches(true, false));
    hub.admit(id, Member::new(2, Form(0)).taking_patches(true, true));
    hub.admit(id, Member::new(3, Form(0)));
    for looks in [vec![Look::Whole, Look::Patch, Look::Plain], vec![Look::Patch, Look::Plain]] {
        let mut heard = Heard::default();
        hub.fan_out(id, &Tags::default(), NOBODY, &mut heard);
        assert_eq!(heard.made.into_iter().map(|(_, look)| look).collect::<Vec<_>>(), looks);
    }
}
