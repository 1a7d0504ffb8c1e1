//! Mail to other cores. `concerns` opens what comes from them.
//!
//! Invariant: letters to a core leave in the order of writing. A core that does not empty its mailbox is never waited
//! for: requests to it fail at once, and publications turn into one `Gap` a channel, so that nothing is lost in silence.

use super::Shard;
use super::mail::{Bulletin, Mail};
use crate::ids::CoreId;
use std::collections::{HashSet, VecDeque};
use std::sync::Arc;

/// The mailbox of a core is full, and so is the queue in front of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Full;

#[derive(Debug)]
pub(super) struct Letters {
    /// By core.
    queues: Vec<Queue>,
    /// Of one queue; words that must arrive do not count.
    count_max: usize,
    bytes_max: u64,
}

#[derive(Debug, Default)]
struct Queue {
    letters: VecDeque<Mail>,
    bytes: u64,
    /// Channels whose `Gap` waits here with nothing behind it that lets somebody in: who joins later has missed nothing
    /// yet, and is owed a gap of its own.
    gaps: HashSet<Arc<str>>,
}

impl Letters {
    pub(super) fn new(core_count: u16, count_max: usize, bytes_max: u64) -> Self {
        Self { queues: (0..core_count).map(|_| Queue::default()).collect(), count_max, bytes_max }
    }

    pub(super) fn count(&self) -> usize {
        self.queues.iter().map(|queue| queue.letters.len()).sum()
    }

    /// A request: refused when the way is blocked.
    pub(super) fn ask(&mut self, to: CoreId, letter: Mail) -> Result<(), Full> {
        match self.queues.get_mut(to.index()) {
            Some(queue) if queue.has_room(letter.bytes(), self.count_max, self.bytes_max) => {
                queue.push(letter);
                Ok(())
            }
            Some(_) | None => Err(Full),
        }
    }

    /// A word that must arrive. There are never more of these than letters that caused them.
    pub(super) fn tell(&mut self, to: CoreId, letter: Mail) {
        if let Some(queue) = self.queues.get_mut(to.index()) {
            if let Mail::Linked { channel, .. } = &letter {
                queue.gaps.remove(channel);
            }
            queue.push(letter);
        }
    }

    /// The next letter lets somebody in: what that one misses is another gap.
    pub(super) fn close_gap(&mut self, to: CoreId, channel: &str) {
        if let Some(queue) = self.queues.get_mut(to.index()) {
            queue.gaps.remove(channel);
        }
    }

    /// A publication, or word of the gap that it leaves. False if it was dropped.
    pub(super) fn publication(&mut self, to: CoreId, channel: &Arc<str>, bulletin: &Bulletin) -> bool {
        let Some(queue) = self.queues.get_mut(to.index()) else {
            return false;
        };
        let bytes = bulletin.publication.data.len() as u64;
        if queue.has_room(bytes, self.count_max, self.bytes_max) {
            queue.push(Mail::Publication { channel: Arc::clone(channel), bulletin: bulletin.clone() });
            return true;
        }
        if queue.gaps.insert(Arc::clone(channel)) {
            queue.push(Mail::Gap { channel: Arc::clone(channel) });
        }
        false
    }
}

impl Queue {
    /// An empty one takes any letter.
    fn has_room(&self, bytes: u64, count_max: usize, bytes_max: u64) -> bool {
        self.letters.len() < count_max && (self.bytes == 0 || self.bytes.saturating_add(bytes) <= bytes_max)
    }

    fn push(&mut self, letter: Mail) {
        self.bytes += letter.bytes();
        self.letters.push_back(letter);
    }
}

impl Shard {
    /// Posts what is written, as far as mailboxes take it. True if something had to stay: come back soon.
    pub fn post(&mut self, mut send: impl FnMut(CoreId, Mail) -> Result<(), Mail>) -> bool {
        let mut is_blocked = false;
        for (to, queue) in self.letters.queues.iter_mut().enumerate() {
            while let Some(letter) = queue.letters.pop_front() {
                let bytes = letter.bytes();
                let gap = if let Mail::Gap { channel } = &letter { Some(Arc::clone(channel)) } else { None };
                if let Err(letter) = send(CoreId(to as u16), letter) {
                    queue.letters.push_front(letter);
                    is_blocked = true;
                    break;
                }
                if let Some(channel) = gap {
                    queue.gaps.remove(&channel);
                }
                queue.bytes -= bytes;
                self.stats.mail_out += 1;
            }
        }
        is_blocked
    }
}

#[cfg(test)]
mod tests {
    use super::super::mail::RequestId;
    use super::*;
    use crate::publication::Publication;

    const TO: CoreId = CoreId(0);

    fn gap_count(letters: &Letters) -> usize {
        letters.queues[0].letters.iter().filter(|letter| matches!(letter, Mail::Gap { .. })).count()
    }

    #[test]
    fn heavy_publications_become_a_gap_before_there_are_many_of_them() {
        let channel: Arc<str> = Arc::from("c");
        let publication = Arc::new(Publication { data: Box::from([7; 60]), ..Publication::default() });
        let bulletin = Bulletin { publication, epoch: None, delta: false, exclude: None };
        let mut letters = Letters::new(1, 1000, 100);
        assert!(letters.publication(TO, &channel, &bulletin));
        assert!(!letters.publication(TO, &channel, &bulletin));
        assert_eq!(gap_count(&letters), 1);
    }

    #[test]
    fn publications_beyond_the_limit_become_one_gap_for_each_time_that_somebody_was_let_in() {
        let channel: Arc<str> = Arc::from("c");
        let bulletin = Bulletin { publication: Arc::default(), epoch: None, delta: false, exclude: None };
        let mut letters = Letters::new(1, 1, 1 << 20);
        assert!(letters.publication(TO, &channel, &bulletin));
        for _ in 0..3 {
            assert!(!letters.publication(TO, &channel, &bulletin));
            assert_eq!(gap_count(&letters), 1);
        }
        // Whoever the next answer lets in is not there yet when the first gap arrives.
        letters.tell(TO, Mail::Linked { request: RequestId(0), channel: Arc::clone(&channel), place: None });
        for _ in 0..3 {
            assert!(!letters.publication(TO, &channel, &bulletin));
            assert_eq!(gap_count(&letters), 2);
        }
        letters.close_gap(TO, &channel);
        assert!(!letters.publication(TO, &channel, &bulletin));
        assert_eq!(gap_count(&letters), 3, "a recovery lets somebody in as well");
    }
}
