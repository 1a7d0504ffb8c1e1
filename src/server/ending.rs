//! The end of a node: what the cores are told when it stops, and when another process has taken its place.
//! Invariant: the letters arrive, however far behind a core is; the hard deadline of the control plane covers the rest.

use super::listening::Originals;
use crate::control::Ending;
use crate::shard::mail::Mail;
use crate::sys::mailbox::Mailbox;
use std::thread;
use std::time::Duration;

/// What the first signal does, and the word of a successor.
pub(super) fn end(
    mailboxes: Vec<Mailbox<Mail>>,
    listeners: Originals,
    window: Duration,
) -> impl Fn(Ending) + Send + 'static {
    move |ending| {
        // The cores have duplicates.
        listeners.close();
        match ending {
            Ending::Stopped => {}
            Ending::Replaced => {
                post(&mailboxes, || Mail::StopAccepting);
                // Who was accepted here is in the middle of a handshake and would be turned away by a drain.
                thread::park_timeout(HANDSHAKE_DELAY);
            }
        }
        post(&mailboxes, || Mail::Drain { window });
    }
}

fn post(mailboxes: &[Mailbox<Mail>], letter: impl Fn() -> Mail) {
    for mailbox in mailboxes {
        let mut letter = letter();
        while let Err(returned) = mailbox.post(letter) {
            letter = returned;
            thread::yield_now();
        }
    }
}

/// For the heads of those who were accepted last; a client that takes longer gets 503 and comes back.
const HANDSHAKE_DELAY: Duration = Duration::from_secs(1);
