//! Orders from the conductor: each starts a stage; what a stage finds out goes back as notes.

use super::traffic::Window;
use super::{Engine, EngineError, Stage, now_ns, share};
use crate::connection::Phase;
use crate::pipe::PipeError;
use crate::plan::{Note, Order};
use ringway::ws::{CloseCode, Opcode, append_masked_frame};
use rkyv::rancor::Error;
use rustix::io::{Errno, read};
use std::collections::HashMap;

/// How long the server may take to answer our close frames.
const LEAVE_NS_MAX: u64 = 3_000_000_000;
const ORDER_READ_BYTES: usize = 16 * 1024;

impl Engine {
    pub(super) fn take_orders(&mut self) -> Result<(), EngineError> {
        let mut bytes = [0; ORDER_READ_BYTES];
        loop {
            match read(&self.orders.0, &mut bytes[..]) {
                // The conductor has gone: nobody wants the figures any more.
                Ok(0) => {
                    self.stage = Stage::Over;
                    return Ok(());
                }
                Ok(count) => self.orders.1.feed(&bytes[..count]),
                Err(Errno::AGAIN | Errno::INTR) => break,
                Err(error) => return Err(PipeError::Io(error.into()).into()),
            }
        }
        while let Some(archive) = self.orders.1.take()? {
            let order = rkyv::from_bytes::<Order, Error>(&archive).map_err(PipeError::from)?;
            self.obey(order);
        }
        self.chores_at = 0;
        Ok(())
    }

    fn obey(&mut self, order: Order) {
        let now = now_ns();
        match order {
            // The plan came before the engine was made; a second one has no meaning.
            Order::Plan(_) => {}
            Order::Connect { total } => self.dialer.raise(now, share(total, &self.plan)),
            Order::Load { begin_ns, from_ns, until_ns } => {
                self.traffic.begin(Window { begin_ns, from_ns, until_ns });
                self.schedule = self.plan_sends(begin_ns, until_ns);
                self.stage = Stage::Sending;
                self.primed = false;
            }
            Order::Settle { published, deadline_ns } => {
                let expected = self.expected(&published);
                self.stage = Stage::Settling { expected, deadline_ns, complete_at: None };
            }
            Order::Storm { at_ns } => self.stage = Stage::StormAt(at_ns),
            Order::Finish => self.leave(now),
        }
    }

    /// Deliveries that this engine's connections have to see, given what each publisher has sent.
    fn expected(&self, published: &[(u32, u32)]) -> u64 {
        let shape = &self.plan.shape;
        let mut by_group: HashMap<u32, u64> = HashMap::new();
        for (publisher, count) in published {
            *by_group.entry(publisher / shape.speakers).or_default() += u64::from(*count);
        }
        let slots = 0..self.connections.len() as u32;
        slots.map(|slot| by_group.get(&shape.group(self.index(slot))).copied().unwrap_or(0)).sum()
    }

    /// What each publisher of this engine has sent since the start of the run.
    pub(super) fn published(&self) -> Note {
        let slots = self.connections.iter().enumerate().filter(|(_, connection)| connection.sent > 0);
        let publisher = |slot: usize| self.plan.shape.publisher(self.index(slot as u32));
        Note::Published(
            slots.filter_map(|(slot, connection)| Some((publisher(slot)?, connection.sent))).collect(),
        )
    }

    /// Drops everything at once, without a word, as a failing balancer does. What the end of a server has dropped before is
    /// expected back as well.
    pub(super) fn storm(&mut self, at_ns: u64) {
        for connection in &mut self.connections {
            connection.reader.release(&mut self.wire.pool);
            connection.drop_socket(Phase::Idle);
        }
        self.open_count = 0;
        self.traffic.disconnects.clear();
        self.dialer.storm(at_ns);
        self.stage = Stage::Waiting;
    }

    fn leave(&mut self, now: u64) {
        self.stage = Stage::Leaving { deadline_ns: now + LEAVE_NS_MAX };
        for slot in 0..self.connections.len() as u32 {
            let connection = &mut self.connections[slot as usize];
            match connection.phase {
                Phase::Ready => {
                    connection.phase = Phase::Leaving;
                    let code = CloseCode::NORMAL.get().to_be_bytes();
                    append_masked_frame(&mut self.wire.out, Opcode::Close, &code, self.wire.keys.of(slot));
                    self.send(slot);
                }
                Phase::Idle | Phase::Dialling | Phase::Upgrading | Phase::Joining => {
                    connection.phase = Phase::Leaving;
                    self.lose(slot, "");
                }
                Phase::Leaving | Phase::Lost => {}
            }
        }
    }
}
