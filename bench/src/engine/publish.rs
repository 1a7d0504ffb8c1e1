//! Sends messages when they are due: by the schedule in the open loop, the first ones in the closed loop.

use super::traffic::Traffic;
use super::{Engine, now_ns};
use crate::connection::{BACKLOG_BYTES_MAX, Connection, Phase};
use crate::frame::Template;
use crate::plan::{Pace, Shape};
use crate::schedule::Schedule;
use crate::target::centrifuge::publish_id;

/// Messages sent in one turn: what arrives must not wait for a long catching up.
const TURN_COUNT_MAX: u32 = 256;

/// Who a connection is among the publishers.
#[derive(Clone, Copy, Debug)]
pub(super) struct Voice {
    pub slot: u32,
    pub group: u32,
    /// `None`: it only listens.
    pub publisher: Option<u32>,
}

impl Voice {
    pub fn of(shape: &Shape, slot: u32, index: u32) -> Self {
        Self { slot, group: shape.group(index), publisher: shape.publisher(index) }
    }

    /// Appends the next message to `out` and books it as sent. `times`: intended and now.
    pub fn speak(
        self,
        connection: &mut Connection,
        template: &Template,
        out: &mut Vec<u8>,
        traffic: &mut Traffic,
        times: [u64; 2],
    ) {
        let Some(publisher) = self.publisher else { return };
        let [intended_ns, now] = times;
        let sequence = connection.sent;
        connection.sent += 1;
        let stamp = traffic.stamp(intended_ns, sequence, publisher);
        template.append(out, self.slot, stamp, publish_id(sequence), self.group);
        traffic.sent(intended_ns, now, template.frame_len());
    }
}

impl Engine {
    /// The schedule of a load, if it has one.
    pub(super) fn plan_sends(&self, begin_ns: u64, until_ns: u64) -> Option<Schedule> {
        let Pace::Open { period_ns } = self.plan.shape.pace else { return None };
        let shape = &self.plan.shape;
        let slots = 0..self.connections.len() as u32;
        let publishers = slots.filter_map(|slot| Some((shape.publisher(self.index(slot))?, slot)));
        Some(Schedule::new(begin_ns, until_ns, period_ns, publishers, shape.publishers()))
    }

    /// Sends what is due.
    pub(super) fn publish(&mut self, now: u64) {
        for _ in 0..TURN_COUNT_MAX {
            let Some((slot, intended_ns)) = self.schedule.as_mut().and_then(|schedule| schedule.take(now))
            else {
                return;
            };
            self.speak(slot, intended_ns, now_ns());
            self.send(slot);
        }
    }

    /// The first messages of a closed loop.
    pub(super) fn prime_closed_loop(&mut self) {
        let Pace::Closed { pipeline } = self.plan.shape.pace else { return };
        for slot in 0..self.connections.len() as u32 {
            if self.plan.shape.publisher(self.index(slot)).is_none() {
                continue;
            }
            let now = now_ns();
            for _ in 0..pipeline {
                self.speak(slot, now, now);
            }
            self.send(slot);
        }
    }

    fn speak(&mut self, slot: u32, intended_ns: u64, now: u64) {
        let voice = Voice::of(&self.plan.shape, slot, self.index(slot));
        let connection = &mut self.connections[slot as usize];
        if connection.phase != Phase::Ready || connection.backlog_len() > BACKLOG_BYTES_MAX {
            self.traffic.unsent += 1;
            return;
        }
        let times = [intended_ns, now];
        voice.speak(connection, &self.wire.template, &mut self.wire.out, &mut self.traffic, times);
    }
}
