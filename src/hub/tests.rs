//! The hub against a model that is too simple to be wrong: a map of sets.

use super::*;
use crate::ids::{ChannelId, CoreId};
use crate::payload::Payload;
use proptest::prelude::*;
use std::collections::{BTreeMap, BTreeSet};

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
        hub.stop_waiting(id, Member(member));
        return false;
    };
    let left = hub.leave(id, Member(member), at);
    if let Some(moved) = left.moved {
        places.get_mut(&(channel, moved.0)).unwrap().1 = index;
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
                        let (id, joined) = hub.join(&name, Member(member));
                        let index = match joined {
                            Joined::Live { index } => Some(index),
                            Joined::Wait => None,
                            Joined::Ask => {
                                // The owner answers at once here; the simulator delays it.
                                let (_, waiters) = hub.link_up(&name).unwrap();
                                prop_assert_eq!(waiters.len(), 1);
                                Some(hub.admit(id, Member(member)))
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
                    let mut sink: Vec<(Member, Payload)> = Vec::new();
                    if let Some(id) = hub.find(&channel.to_string()) {
                        hub.fan_out(id, &Payload::new(vec![1]), &mut sink);
                    }
                    let got: BTreeSet<u32> = sink.iter().map(|(member, _)| member.0).collect();
                    prop_assert_eq!(got.len(), sink.len(), "nobody gets a publication twice");
                    prop_assert_eq!(&got, model.entry(channel).or_default());
                }
                Step::Remote { channel, core, joins } => {
                    let name = channel.to_string();
                    if hub.owns(&name) {
                        if joins { hub.add_remote(&name, CoreId(core)) } else { hub.remove_remote(&name, CoreId(core)) }
                    }
                }
            }
            hub.check();
        }
    }
}

#[test]
fn members_wait_until_the_owner_has_answered() {
    let mut hub = Hub::new(CoreId(0), 2, 0);
    let foreign = (0..100).map(|n| n.to_string()).find(|name| !hub.owns(name)).unwrap();
    let (id, joined) = hub.join(&foreign, Member(1));
    assert_eq!(joined, Joined::Ask);
    assert_eq!(hub.join(&foreign, Member(2)), (id, Joined::Wait));
    let mut sink = Vec::new();
    assert_eq!(hub.fan_out(id, &Payload::new(vec![0]), &mut sink), 0);
    let (_, waiters) = hub.link_up(&foreign).unwrap();
    assert_eq!(waiters, [Member(1), Member(2)]);
    assert_eq!(hub.admit(id, Member(1)), 0);
    assert_eq!(hub.join(&foreign, Member(3)), (id, Joined::Live { index: 1 }));
}

#[test]
fn a_channel_vanishes_with_its_last_interest() {
    let mut hub = Hub::new(CoreId(0), 1, 0);
    let (id, _) = hub.join("a", Member(1));
    hub.add_remote("a", CoreId(1));
    hub.leave(id, Member(1), 0);
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
    let (id, joined) = hub.join(&name, Member(1));
    assert_eq!(joined, Joined::Ask);
    hub.stop_waiting(id, Member(1));
    hub.check();
    assert_eq!(hub.join(&name, Member(2)), (id, Joined::Wait), "the question is not asked twice");
    hub.stop_waiting(id, Member(2));
    assert_eq!(hub.link_up(&name), Some((id, Vec::new())));
    assert!(hub.unlink_if_deserted(id), "an answer that came too late is taken back");
    assert_eq!(hub.channel_count(), 0);
}
