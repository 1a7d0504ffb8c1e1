//! A script's stage in the simulated world.

use super::{Feature, Script, Stage};
use crate::channels::{Permission, Policy};
use crate::shard::ShardOptions;
use crate::sim::faults::portions;
use crate::sim::link::Incoming;
use crate::sim::world::{LinkId, World};
use std::collections::BTreeMap;
use std::time::Duration;

pub struct Simulated {
    world: World,
    links: BTreeMap<String, LinkId>,
}

impl Simulated {
    /// A world without faults, but with a network that cuts and delays as the seed wants.
    pub fn new(script: &Script, seed: u64) -> Self {
        let without = script.without.clone();
        let mut world = World::new(seed, 1 + (seed % 3) as u16, |options| {
            options.portions = portions(seed);
            let mut policy = Policy::open();
            for &feature in &without {
                take_away(options, &mut policy, feature);
            }
            options.settings_mut().set_policy(policy);
        });
        world.faults.chunk_bytes_max = [1, 5, 64 * 1024][world.dice.below(3)];
        world.faults.lag = [0, 50][world.dice.below(2)];
        world.faults.mail_lag = world.faults.lag;
        Self { world, links: BTreeMap::new() }
    }
}

fn take_away(options: &mut ShardOptions, policy: &mut Policy, feature: Feature) {
    match feature {
        Feature::Anonymous => options.settings_mut().access.anonymous = false,
        Feature::Echo => options.echo = false,
        Feature::Presence => policy.presence = false,
        Feature::Publish => policy.publish = Permission::default(),
        Feature::Subscribe => policy.subscribe = Permission::default(),
    }
}

impl Stage for Simulated {
    fn open(&mut self, client: &str) -> Result<(), String> {
        let link = self.world.open().ok_or("nobody accepts")?;
        self.links.insert(client.to_owned(), link);
        Ok(())
    }

    fn write(&mut self, client: &str, bytes: &[u8]) {
        if let Some(&link) = self.links.get(client) {
            self.world.write(link, bytes);
        }
    }

    fn finish(&mut self, client: &str) {
        if let Some(&link) = self.links.get(client) {
            self.world.finish(link);
        }
    }

    fn reset(&mut self, client: &str) {
        if let Some(&link) = self.links.get(client) {
            self.world.reset(link);
        }
    }

    fn read(&mut self, client: &str) -> Incoming {
        let Some(&link) = self.links.get(client) else { return Incoming::Silence };
        loop {
            let incoming = self.world.read(link);
            if incoming != Incoming::Silence || self.world.is_quiet() {
                return incoming;
            }
            self.world.step();
        }
    }

    fn pass(&mut self, limit: Duration) -> Option<Duration> {
        Some(self.world.pass(limit))
    }
}
