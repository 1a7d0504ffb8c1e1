//! Back-end hooks: what shards ask and tell, over HTTP.
//!
//! Each back end has its own turns, queue and breaker, so that a slow one costs the questions that it was asked and
//! nothing else. Invariant: every question is answered exactly once, by the back end or by the fallback, within the
//! patience of its back end; nothing here waits for a shard.

mod backend;
mod breaker;
mod events;
mod fallback;
mod figures;
mod options;
mod question;
mod reply;

pub use breaker::Rules;
pub use options::{BackendOptions, EventOptions, Fallback, HookOptions, Transform, TransformTo};

use super::client::Client;
use super::cores::Cores;
use super::unwinding::{caught, caught_now};
use crate::shard::ask::{Answer, Ask, AskId, Event};
use backend::Backend;
use events::{Dated, Teller};
use figures::{EventFigures, HookFigures};
use question::Topic;
use std::collections::HashMap;
use std::sync::Arc;
use tokio::sync::mpsc;
use tokio::task::JoinHandle;

pub(super) struct Hooks {
    cores: Arc<Cores>,
    backends: HashMap<Desk, Arc<Backend>>,
    teller: Option<(Teller, usize)>,
    event_figures: Arc<EventFigures>,
}

/// Which back end is meant.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
enum Desk {
    /// Of a topic, where nobody chose another.
    Default(&'static str),
    Named(Box<str>),
    Events,
}

impl Hooks {
    pub(super) fn new(options: HookOptions, client: &Client, cores: Arc<Cores>) -> Self {
        let HookOptions { connect, refresh, subscribe, publish, sub_refresh, rpc, named, events } = options;
        let defaults = [
            (Topic::Connect, connect),
            (Topic::Refresh, refresh),
            (Topic::Subscribe, subscribe),
            (Topic::Publish, publish),
            (Topic::SubRefresh, sub_refresh),
            (Topic::Rpc, rpc),
        ];
        let mut backends = HashMap::new();
        for (topic, options) in defaults {
            let Some(options) = options else { continue };
            backends.insert(Desk::Default(topic.name()), Backend::new(topic.name(), options, client.clone()));
        }
        for (name, options) in named {
            let backend = Backend::new(&name, options, client.clone());
            backends.insert(Desk::Named(name), backend);
        }
        let event_figures = Arc::<EventFigures>::default();
        let teller = events.map(|options| {
            let backend = Backend::new("events", options.backend.clone(), client.clone());
            backends.insert(Desk::Events, Arc::clone(&backend));
            let room = options.queue_count_max;
            (Teller::new(backend, options, Arc::clone(&event_figures)), room)
        });
        Self { cores, backends, teller, event_figures }
    }

    pub(super) fn figures(&self) -> HookFigures {
        HookFigures {
            backends: self.backends.values().map(|backend| Arc::clone(&backend.figures)).collect(),
            events: self.teller.is_some().then(|| Arc::clone(&self.event_figures)),
        }
    }

    /// Answers questions until nobody can ask any more.
    pub(super) async fn run(&self, mut asks: mpsc::UnboundedReceiver<(AskId, Ask)>) {
        while let Some((id, ask)) = asks.recv().await {
            if caught_now(|| self.serve(id, ask)).is_err() {
                self.cores.answer(id, Answer::Failed);
            }
        }
    }

    /// Begins to tell events. The task ends when nobody can send any more and all has been told.
    pub(super) fn tell(&mut self, events: mpsc::UnboundedReceiver<Event>) -> Option<JoinHandle<()>> {
        let (teller, room) = self.teller.take()?;
        let (queue, waiting) = mpsc::channel::<Dated>(room);
        let figures = Arc::clone(&self.event_figures);
        Some(tokio::spawn(async move {
            tokio::join!(Teller::collect(&figures, events, queue), teller.tell(waiting));
        }))
    }

    /// Has the question answered. Never waits: what takes time becomes a task of its own, and there are bounded many.
    fn serve(&self, id: AskId, ask: Ask) {
        let Some((topic, desk)) = desk(&ask) else {
            // The sets are as fresh as they were.
            return self.cores.answer(id, Answer::Keys);
        };
        let Some(backend) = self.backends.get(&desk) else {
            return self.cores.answer(id, Answer::Failed);
        };
        let Some(room) = backend.enter() else {
            return self.cores.answer(id, fallback::fallback(backend.options.fallback, topic));
        };
        let (backend, cores) = (Arc::clone(backend), Arc::clone(&self.cores));
        tokio::spawn(async move {
            let body = question::body(&ask, &backend.options);
            let headers = question::who(&ask).map(|(_, who)| Arc::clone(&who.headers)).unwrap_or_default();
            drop(ask);
            let judge = |response: &_| reply::judge(topic, &backend.options, response);
            let answer = caught(backend.ask(room, &headers, body, judge)).await.unwrap_or_default();
            cores.answer(id, answer.unwrap_or_else(|| fallback::fallback(backend.options.fallback, topic)));
        });
    }
}

impl Topic {
    const fn name(self) -> &'static str {
        match self {
            Self::Connect => "connect",
            Self::Refresh => "refresh",
            Self::Subscribe => "subscribe",
            Self::SubRefresh => "sub_refresh",
            Self::Publish => "publish",
            Self::Rpc => "rpc",
        }
    }
}

/// Who is asked; none: that is no question for a back end.
fn desk(ask: &Ask) -> Option<(Topic, Desk)> {
    let (topic, _) = question::who(ask)?;
    let hook = match ask {
        Ask::Connect { .. } | Ask::Refresh { .. } | Ask::Keys { .. } => DEFAULT,
        Ask::Subscribe { hook, .. }
        | Ask::SubRefresh { hook, .. }
        | Ask::Publish { hook, .. }
        | Ask::Rpc { hook, .. } => hook,
    };
    let is_default = hook.is_empty() || hook == DEFAULT;
    Some((topic, if is_default { Desk::Default(topic.name()) } else { Desk::Named(Box::from(hook)) }))
}

/// What a namespace calls the back end of its topic.
const DEFAULT: &str = "default";
