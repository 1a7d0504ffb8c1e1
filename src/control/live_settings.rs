//! The snapshot of settings that all cores have, and the one way to change it: a reload, or keys that were fetched.
//!
//! Invariant: every core gets every change in the same order, or only later ones; a core that is too busy to take its
//! mail gets the newest as soon as it does. Nothing here waits for a core.

use super::cores::Cores;
use crate::ids::CoreId;
use crate::shard::Settings;
use crate::shard::mail::Mail;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::Duration;
use tokio::sync::watch;

#[derive(Debug)]
pub struct LiveSettings {
    current: Mutex<Arc<Settings>>,
    cores: Arc<Cores>,
    newest: watch::Sender<Arc<Settings>>,
}

impl LiveSettings {
    /// `settings` are what the cores start with.
    pub fn new(settings: Arc<Settings>, cores: Arc<Cores>) -> Arc<Self> {
        let (newest, _) = watch::channel(Arc::clone(&settings));
        Arc::new(Self { current: Mutex::new(settings), cores, newest })
    }

    pub fn current(&self) -> Arc<Settings> {
        Arc::clone(&self.lock())
    }

    /// For whoever on the control plane goes by them, too.
    pub fn follow(&self) -> watch::Receiver<Arc<Settings>> {
        self.newest.subscribe()
    }

    /// Makes a new snapshot from the current one and mails it to every core.
    pub fn change(self: &Arc<Self>, change: impl FnOnce(&mut Settings)) {
        let mut current = self.lock();
        let mut settings = Settings::clone(&current);
        change(&mut settings);
        let settings = Arc::new(settings);
        *current = Arc::clone(&settings);
        self.newest.send_replace(Arc::clone(&settings));
        let cores = (0..self.cores.count()).map(CoreId);
        let busy: Vec<CoreId> = cores.filter(|&core| !self.post(core, &settings)).collect();
        drop(current);
        if !busy.is_empty() {
            let this = Arc::clone(self);
            // Without a thread those cores keep what they have until the next change.
            let _ = thread::Builder::new().spawn(move || this.insist(busy, &settings));
        }
    }

    /// Until they have taken it, or something newer is on its way.
    fn insist(&self, mut busy: Vec<CoreId>, settings: &Arc<Settings>) {
        for _ in 0..INSIST_COUNT_MAX {
            thread::park_timeout(INSIST_INTERVAL);
            // Held while posting, so that nothing older arrives behind something newer.
            let current = self.lock();
            if !Arc::ptr_eq(&current, settings) {
                return;
            }
            busy.retain(|&core| !self.post(core, settings));
            if busy.is_empty() {
                return;
            }
        }
    }

    fn post(&self, core: CoreId, settings: &Arc<Settings>) -> bool {
        self.cores.post(core, Mail::Settings(Arc::clone(settings))).is_ok()
    }

    fn lock(&self) -> MutexGuard<'_, Arc<Settings>> {
        self.current.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

const INSIST_INTERVAL: Duration = Duration::from_millis(5);
/// A minute: a core that takes no mail for so long has worse troubles.
const INSIST_COUNT_MAX: u32 = 12_000;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sys::mailbox::{Inbox, mailbox};

    fn limits(inbox: &Inbox<Mail>) -> Vec<u32> {
        let mail = std::iter::from_fn(|| inbox.take());
        mail.map(|letter| {
            let Mail::Settings(settings) = letter else { panic!("{letter:?}") };
            settings.limits.channels_per_client_max
        })
        .collect()
    }

    fn live(capacity: usize) -> (Arc<LiveSettings>, [Inbox<Mail>; 2]) {
        let (to_first, first) = mailbox(capacity).unwrap();
        let (to_second, second) = mailbox(capacity).unwrap();
        let cores = Cores::new(vec![to_first, to_second], 0);
        (LiveSettings::new(Arc::new(Settings::open()), cores), [first, second])
    }

    #[test]
    fn every_core_gets_every_change_in_order() {
        let (live, inboxes) = live(8);
        live.change(|settings| settings.limits.channels_per_client_max = 1);
        live.change(|settings| settings.limits.channels_per_client_max += 1);
        assert!(inboxes.iter().all(|inbox| limits(inbox) == [1, 2]));
        assert_eq!(live.current().limits.channels_per_client_max, 2);
    }

    #[test]
    fn a_core_with_a_full_mailbox_gets_the_newest_once_it_takes_its_mail() {
        let (live, [first, second]) = live(1);
        for limit in [1, 2, 3] {
            live.change(|settings| settings.limits.channels_per_client_max = limit);
        }
        let mut seen = limits(&first);
        assert_eq!(seen, [1]);
        for _ in 0..1_000 {
            seen.extend(limits(&first));
            if seen.last() == Some(&3) {
                break;
            }
            let _ = crossbeam_channel::after(Duration::from_millis(5)).recv();
        }
        assert_eq!(seen.last(), Some(&3));
        assert!(seen.is_sorted(), "{seen:?}");
        assert_eq!(limits(&second)[0], 1);
    }
}
