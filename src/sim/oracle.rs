//! The judge of deliveries: what was published, who was owed it, who got what behind what.
//!
//! Rules: all subscribers of a channel see one order; a subscription is a gapless piece of it, without repetition; what
//! was acknowledged reaches everyone who was subscribed before it was sent and still is. They follow from one table: if
//! each publication has at most one successor and one predecessor over all subscriptions, and no chain is a circle,
//! then every subscription is a gapless piece of the same order.

use std::collections::{BTreeMap, BTreeSet};

/// The order of things in the simulated world: of commands written and of messages read.
pub type Tick = u64;

#[derive(Debug, Default)]
pub struct Ledger {
    /// Every code that a client has heard: statuses, errors, closes, unsubscribes. What never happens is not tested.
    pub codes: BTreeSet<u32>,
    publications: Vec<Publication>,
    subscriptions: Vec<Subscription>,
    next: BTreeMap<PublicationId, PublicationId>,
    previous: BTreeMap<PublicationId, PublicationId>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct PublicationId(pub usize);

/// From the reply to subscribe to whatever ended it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SubscriptionId(usize);

#[derive(Debug)]
struct Publication {
    channel: usize,
    written: Tick,
    is_acknowledged: bool,
}

#[derive(Debug)]
struct Subscription {
    channel: usize,
    confirmed: Tick,
    is_over: bool,
    last: Option<PublicationId>,
    seen: BTreeSet<PublicationId>,
}

impl Ledger {
    /// A publish command was written.
    pub fn publish(&mut self, channel: usize, now: Tick) -> PublicationId {
        self.publications.push(Publication { channel, written: now, is_acknowledged: false });
        PublicationId(self.publications.len() - 1)
    }

    pub fn publication_count(&self) -> usize {
        self.publications.len()
    }

    pub fn acknowledge(&mut self, publication: PublicationId) {
        self.publications[publication.0].is_acknowledged = true;
    }

    /// The reply to a subscribe command was read.
    pub fn subscribe(&mut self, channel: usize, now: Tick) -> SubscriptionId {
        let (last, seen) = (None, BTreeSet::new());
        self.subscriptions.push(Subscription { channel, confirmed: now, is_over: false, last, seen });
        SubscriptionId(self.subscriptions.len() - 1)
    }

    /// An unsubscribe reply or push, or the end of the connection, was read.
    pub fn end(&mut self, subscription: SubscriptionId) {
        self.subscriptions[subscription.0].is_over = true;
    }

    /// A push was read.
    pub fn deliver(&mut self, subscription: SubscriptionId, publication: PublicationId) {
        let to = &mut self.subscriptions[subscription.0];
        assert!(!to.is_over, "{publication:?} delivered behind the end of {subscription:?}");
        let published = self.publications.get(publication.0).map(|publication| publication.channel);
        assert_eq!(published, Some(to.channel), "{publication:?} delivered in a channel that it is not of");
        assert!(to.seen.insert(publication), "{publication:?} delivered twice to {subscription:?}");
        let Some(last) = to.last.replace(publication) else { return };
        let next = *self.next.entry(last).or_insert(publication);
        assert_eq!(next, publication, "two successors of {last:?}: lost or reordered for {subscription:?}");
        let previous = *self.previous.entry(publication).or_insert(last);
        assert_eq!(
            previous, last,
            "two predecessors of {publication:?}: lost or reordered for {subscription:?}"
        );
    }

    /// The world is at rest and everything was read.
    pub fn judge(&self) {
        self.judge_order();
        for (id, publication) in self.publications.iter().enumerate().filter(|(_, it)| it.is_acknowledged) {
            for subscription in self.subscriptions.iter().filter(|it| !it.is_over) {
                let is_owed = subscription.channel == publication.channel
                    && subscription.confirmed < publication.written;
                assert!(
                    !is_owed || subscription.seen.contains(&PublicationId(id)),
                    "acknowledged publication {id} is missing in {subscription:?}"
                );
            }
        }
    }

    /// Walks every chain from its head; what lies on a circle is never met.
    fn judge_order(&self) {
        let heads = self.next.keys().filter(|id| !self.previous.contains_key(id));
        let mut met = 0;
        for head in heads {
            let mut at = head;
            while let Some(next) = self.next.get(at) {
                met += 1;
                at = next;
            }
        }
        assert_eq!(met, self.next.len(), "subscribers see a circle instead of an order");
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::panic::catch_unwind;

    /// What two subscribers of one channel see; every publication is acknowledged.
    fn judge(one: &[usize], other: &[usize]) -> bool {
        let (one, other) = (one.to_vec(), other.to_vec());
        let verdict = catch_unwind(move || {
            let mut ledger = Ledger::default();
            let subscriptions = [ledger.subscribe(0, 0), ledger.subscribe(0, 0)];
            for _ in 0..4 {
                let publication = ledger.publish(0, 1);
                ledger.acknowledge(publication);
            }
            for (subscription, seen) in subscriptions.into_iter().zip([one, other]) {
                for publication in seen {
                    ledger.deliver(subscription, PublicationId(publication));
                }
            }
            ledger.judge();
        });
        verdict.is_ok()
    }

    #[test]
    fn one_order_is_accepted_whatever_it_is() {
        assert!(judge(&[0, 1, 2, 3], &[0, 1, 2, 3]));
        assert!(judge(&[2, 0, 3, 1], &[2, 0, 3, 1]));
    }

    #[test]
    fn loss_repetition_and_disorder_are_found() {
        assert!(!judge(&[0, 1, 2, 3], &[0, 2, 3]), "a hole");
        assert!(!judge(&[0, 1, 2], &[0, 1, 2]), "an end missing for all");
        assert!(!judge(&[0, 1, 2, 3], &[0, 1, 1, 2, 3]), "a repetition");
        assert!(!judge(&[0, 1, 2, 3], &[0, 2, 1, 3]), "a swap");
        assert!(!judge(&[0, 1, 2, 3], &[2, 3, 0, 1]), "a rotation, which shows only as a circle");
    }

    #[test]
    fn nothing_is_owed_from_before_the_subscription_or_after_its_end() {
        let mut ledger = Ledger::default();
        let early = ledger.publish(0, 1);
        let subscription = ledger.subscribe(0, 2);
        let late = ledger.publish(0, 3);
        ledger.acknowledge(early);
        ledger.deliver(subscription, late);
        ledger.judge();
        ledger.end(subscription);
        let unseen = ledger.publish(0, 4);
        ledger.acknowledge(unseen);
        ledger.judge();
    }
}
