//! The promises of the README about a publication, each a test, against real processes that are hurt meanwhile.
//!
//! Publishers write down what was acknowledged, subscribers what they saw and what they were told; faults are injected;
//! then the books are compared. Nothing acknowledged may be missing without a signal, nothing may come twice on one
//! subscription, and a place (channel, epoch, offset) has one content for everybody.
//!
//! `scripts/ledger` runs this for as long as one likes, in a network and on a disk of its own, where packets can be
//! dropped and the disk can be filled. Each test leaves its figures in `RINGWAY_LEDGER_REPORT`, a folder.

#![expect(
    clippy::expect_used,
    clippy::panic,
    clippy::unwrap_used,
    reason = "a test that cannot set itself up has failed"
)]

#[path = "../support/mod.rs"]
#[allow(dead_code, reason = "each suite uses its part")]
mod support;

mod book;
mod call;
mod fault;
mod node;
mod publisher;
mod run;
mod subscriber;

use book::Engine;
use fault::Fault;
use run::Run;

/// Everything that leaves the process alive.
const HARMLESS: &[Fault] =
    &[Fault::Pause, Fault::Reload, Fault::Descriptors, Fault::Drop, Fault::Loss, Fault::Reset];

#[test]
fn acknowledged_means_that_the_owner_core_has_put_it_in_order() {
    let verdict = Run::new("acknowledged-memory", Engine::Memory, &[Fault::Reload]).finish();
    assert_eq!(verdict.signalled, 0, "nothing happened that could cost anything");
    assert_eq!(verdict.unseen, 0, "every acknowledged publication has come to every subscriber");
}

#[test]
fn acknowledged_means_with_durable_history_that_it_is_on_the_disk() {
    let verdict = Run::new("acknowledged-durable", Engine::Durable, &[Fault::Kill, Fault::Pause]).finish();
    assert_eq!(verdict.unseen, 0, "every acknowledged publication has come to every subscriber");
}

#[test]
fn a_client_that_was_away_recovers_exactly_what_it_missed() {
    let verdict = Run::new("away-memory", Engine::Memory, HARMLESS).finish();
    assert_eq!((verdict.signalled, verdict.unseen), (0, 0), "the process lived all the time");
}

#[test]
fn a_client_that_was_away_recovers_exactly_what_it_missed_from_durable_history() {
    let verdict = Run::new("away-durable", Engine::Durable, HARMLESS).finish();
    assert_eq!((verdict.signalled, verdict.unseen), (0, 0));
}

#[test]
fn after_a_kill_history_in_memory_is_gone_and_clients_are_told() {
    let verdict = Run::new("kill-memory", Engine::Memory, &[Fault::Kill]).finish();
    assert!(verdict.signalled > 0, "recovered: false has been seen");
}

#[test]
fn after_a_kill_durable_history_has_its_epoch_and_offsets() {
    let verdict = Run::new("kill-durable", Engine::Durable, &[Fault::Kill]).finish();
    assert_eq!((verdict.signalled, verdict.unseen), (0, 0));
}

/// Where no group of memory can be made nothing happens to the node.
#[test]
fn after_the_kernel_has_ended_it_for_want_of_memory_durable_history_has_its_epoch_and_offsets() {
    let verdict = Run::new("memory-durable", Engine::Durable, &[Fault::Memory]).finish();
    assert_eq!((verdict.signalled, verdict.unseen), (0, 0));
}

#[test]
fn an_upgrade_is_to_history_in_memory_what_a_crash_is() {
    let verdict = Run::new("upgrade-memory", Engine::Memory, &[Fault::Upgrade]).finish();
    assert!(verdict.signalled > 0, "recovered: false has been seen");
}

#[test]
fn an_upgrade_is_refused_with_durable_history_and_costs_nothing() {
    let verdict = Run::new("upgrade-durable", Engine::Durable, &[Fault::Upgrade]).finish();
    assert_eq!((verdict.signalled, verdict.unseen), (0, 0));
}

#[test]
#[ignore = "needs a small disk of its own: scripts/ledger"]
fn a_full_disk_does_not_matter_to_history_in_memory() {
    let verdict = Run::new("disk-memory", Engine::Memory, &[Fault::Disk]).finish();
    assert_eq!((verdict.signalled, verdict.unseen, verdict.refused), (0, 0, 0));
}

#[test]
#[ignore = "needs a small disk of its own: scripts/ledger"]
fn with_a_full_disk_durable_publishing_fails_with_error_100_and_everything_else_goes_on() {
    let verdict = Run::new("disk-durable", Engine::Durable, &[Fault::Disk]).finish();
    assert_eq!((verdict.signalled, verdict.unseen), (0, 0));
    assert!(verdict.refused > 0, "the disk was full and publishing did not fail");
}
