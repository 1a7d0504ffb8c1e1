//! A bounded lock-free queue into one thread, with a doorbell that is rung only when the owner sleeps.
//!
//! Letters are bounded in number, and in bytes if somebody says what each weighs; an empty queue takes any letter.
//!
//! Invariant: after `Inbox::doze` said true, any later `post` rings. The flag and the queue are ordered by a full fence
//! on both sides (Dekker), so either the owner sees the letter or the sender sees the sleeper.

use super::doorbell::Doorbell;
use crossbeam_channel::{Receiver, Sender, TrySendError, bounded};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering, fence};

/// Creates a queue of at most `count_max` letters.
pub fn mailbox<T>(count_max: usize) -> rustix::io::Result<(Mailbox<T>, Inbox<T>)> {
    weighed_mailbox(count_max, u64::MAX, |_| 0)
}

/// The same with at most `bytes_max` bytes waiting, as `weigh` counts them.
pub fn weighed_mailbox<T>(
    count_max: usize,
    bytes_max: u64,
    weigh: fn(&T) -> u64,
) -> rustix::io::Result<(Mailbox<T>, Inbox<T>)> {
    let (sender, receiver) = bounded(count_max);
    let scale = Scale { waiting: Arc::default(), bytes_max, weigh };
    let (bell, alarm) = (Doorbell::new()?, Doorbell::new()?);
    let asleep = Arc::new(AtomicBool::new(false));
    let (rings, wakes) = (bell.clone(), alarm.clone());
    let mailbox =
        Mailbox { sender, scale: scale.clone(), bell: rings, alarm: wakes, asleep: Arc::clone(&asleep) };
    Ok((mailbox, Inbox { receiver, scale, bell, alarm, asleep }))
}

/// Letters without weight cost it nothing.
#[derive(Debug)]
struct Scale<T> {
    waiting: Arc<AtomicU64>,
    bytes_max: u64,
    weigh: fn(&T) -> u64,
}

impl<T> Clone for Scale<T> {
    fn clone(&self) -> Self {
        Self { waiting: Arc::clone(&self.waiting), bytes_max: self.bytes_max, weigh: self.weigh }
    }
}

impl<T> Scale<T> {
    /// Counts the letter in. None: too heavy for what waits already.
    fn enter(&self, letter: &T) -> Option<u64> {
        let bytes = (self.weigh)(letter);
        if bytes > 0 {
            let before = self.waiting.fetch_add(bytes, Ordering::Relaxed);
            if before > 0 && before.saturating_add(bytes) > self.bytes_max {
                self.leave(bytes);
                return None;
            }
        }
        Some(bytes)
    }

    fn leave(&self, bytes: u64) {
        if bytes > 0 {
            self.waiting.fetch_sub(bytes, Ordering::Relaxed);
        }
    }
}

/// The sending side; any number of threads.
#[derive(Debug)]
pub struct Mailbox<T> {
    sender: Sender<T>,
    scale: Scale<T>,
    bell: Doorbell,
    alarm: Doorbell,
    asleep: Arc<AtomicBool>,
}

impl<T> Clone for Mailbox<T> {
    fn clone(&self) -> Self {
        Self {
            sender: self.sender.clone(),
            scale: self.scale.clone(),
            bell: self.bell.clone(),
            alarm: self.alarm.clone(),
            asleep: Arc::clone(&self.asleep),
        }
    }
}

impl<T> Mailbox<T> {
    /// Gives the letter back when the queue is full or its owner has gone; the caller decides who has to know.
    pub fn post(&self, letter: T) -> Result<(), T> {
        let Some(bytes) = self.scale.enter(&letter) else {
            return Err(letter);
        };
        self.sender.try_send(letter).map_err(|error| {
            self.scale.leave(bytes);
            match error {
                TrySendError::Full(letter) | TrySendError::Disconnected(letter) => letter,
            }
        })?;
        fence(Ordering::SeqCst);
        if self.asleep.load(Ordering::Relaxed) && self.asleep.swap(false, Ordering::Relaxed) {
            self.ring();
        }
        Ok(())
    }

    /// Wakes the owner without a letter.
    pub fn ring(&self) {
        self.bell.ring();
        self.alarm.ring();
    }

    /// Letters waiting now; a figure for people.
    pub fn depth(&self) -> usize {
        self.sender.len()
    }
}

/// The receiving side; one thread.
#[derive(Debug)]
pub struct Inbox<T> {
    receiver: Receiver<T>,
    scale: Scale<T>,
    bell: Doorbell,
    alarm: Doorbell,
    asleep: Arc<AtomicBool>,
}

impl<T> Inbox<T> {
    pub fn take(&self) -> Option<T> {
        let letter = self.receiver.try_recv().ok()?;
        self.scale.leave((self.scale.weigh)(&letter));
        Some(letter)
    }

    pub fn depth(&self) -> usize {
        self.receiver.len()
    }

    /// Announces sleep. True: nothing waits and the next letter rings the bell. False: do not sleep.
    pub fn doze(&self) -> bool {
        self.asleep.store(true, Ordering::Relaxed);
        fence(Ordering::SeqCst);
        if self.receiver.is_empty() {
            return true;
        }
        self.asleep.store(false, Ordering::Relaxed);
        false
    }

    /// Ends the announcement, so that senders stop ringing.
    pub fn wake(&self) {
        self.asleep.store(false, Ordering::Relaxed);
    }

    pub fn bell(&self) -> &Doorbell {
        &self.bell
    }

    /// Rings whenever the bell does, for an owner that sleeps in two places. It is rung directly and not by whoever
    /// watches the bell, because Linux loses the signal of an eventfd that is caused by the write to another one.
    pub fn alarm(&self) -> &Doorbell {
        &self.alarm
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_full_mailbox_gives_the_letter_back() {
        let (mailbox, inbox) = mailbox(1).unwrap();
        assert_eq!(mailbox.post(1), Ok(()));
        assert_eq!(mailbox.post(2), Err(2));
        assert_eq!(inbox.take(), Some(1));
        assert_eq!(mailbox.post(3), Ok(()));
    }

    #[test]
    fn letters_are_bounded_by_their_weight_too() {
        let (mailbox, inbox) = weighed_mailbox(10, 100, |bytes: &u64| *bytes).unwrap();
        assert_eq!(mailbox.post(500), Ok(()), "an empty queue takes any letter");
        assert_eq!(mailbox.post(1), Err(1));
        assert_eq!(mailbox.post(0), Ok(()), "what weighs nothing is bounded by its number");
        assert_eq!(inbox.take(), Some(500));
        assert_eq!(mailbox.post(60), Ok(()));
        assert_eq!(mailbox.post(41), Err(41));
        assert_eq!(mailbox.post(40), Ok(()));
    }

    #[test]
    fn the_bell_rings_once_for_a_sleeper_and_never_for_one_awake() {
        let (mailbox, inbox) = mailbox(8).unwrap();
        mailbox.post(1).unwrap();
        assert!(rustix::io::read(inbox.bell(), &mut [0_u8; 8]).is_err());
        assert!(!inbox.doze());
        inbox.take();
        assert!(inbox.doze());
        mailbox.post(2).unwrap();
        mailbox.post(3).unwrap();
        let mut count = [0_u8; 8];
        rustix::io::read(inbox.bell(), &mut count).unwrap();
        assert_eq!(u64::from_ne_bytes(count), 1);
        rustix::io::read(inbox.alarm(), &mut count).unwrap();
        assert_eq!(u64::from_ne_bytes(count), 1, "the alarm rings beside the bell");
    }

    #[test]
    fn no_letter_is_left_behind_by_a_sleeper() {
        const COUNT: u32 = 20_000;
        let (mailbox, inbox) = mailbox(64).unwrap();
        let sender = std::thread::spawn(move || {
            for letter in 0..COUNT {
                while mailbox.post(letter).is_err() {
                    std::hint::spin_loop();
                }
            }
        });
        let mut next = 0;
        while next < COUNT {
            while let Some(letter) = inbox.take() {
                assert_eq!(letter, next);
                next += 1;
            }
            if next < COUNT && inbox.doze() {
                let mut fds = [rustix::event::PollFd::new(inbox.bell(), rustix::event::PollFlags::IN)];
                let limit = rustix::event::Timespec { tv_sec: 10, tv_nsec: 0 };
                assert_eq!(
                    rustix::event::poll(&mut fds, Some(&limit)).unwrap(),
                    1,
                    "slept with mail waiting"
                );
                inbox.bell().silence();
            }
            inbox.wake();
        }
        sender.join().unwrap();
    }
}
