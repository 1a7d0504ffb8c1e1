//! Those who wait for the same answer: of a question that many have at once, one is asked.
//!
//! Invariant: whoever joins while a question is under way is among its others exactly once, and whoever comes after its
//! answer asks anew.

use super::roster::Desk;
use crate::shard::ask::{Ask, AskId};
use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

type Key = (Desk, Arc<str>);

#[derive(Clone, Debug, Default)]
pub(super) struct Circle(Arc<Mutex<HashMap<Key, Vec<AskId>>>>);

/// A question under way.
#[derive(Debug)]
pub(super) struct Asked {
    circle: Circle,
    /// None: nobody else can have the same question.
    key: Option<Key>,
}

impl Circle {
    /// None: it is under way, and its answer will be this one's, too.
    pub(super) fn join(&self, ask: &Ask, desk: &Desk, id: AskId) -> Option<Asked> {
        let Ask::CacheEmpty { channel, .. } = ask else {
            return Some(Asked { circle: Self::default(), key: None });
        };
        let key = (desk.clone(), Arc::clone(channel));
        let mut waiting = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(others) = waiting.get_mut(&key) {
            others.push(id);
            return None;
        }
        waiting.insert(key.clone(), Vec::new());
        Some(Asked { circle: self.clone(), key: Some(key) })
    }
}

impl Asked {
    /// Who wants the answer besides the one who asked.
    pub(super) fn others(mut self) -> Vec<AskId> {
        self.end()
    }

    fn end(&mut self) -> Vec<AskId> {
        let Some(key) = self.key.take() else {
            return Vec::new();
        };
        self.circle.0.lock().unwrap_or_else(PoisonError::into_inner).remove(&key).unwrap_or_default()
    }
}

/// A question that was given up: those who wait for it have deadlines of their own, and the next one asks anew.
impl Drop for Asked {
    fn drop(&mut self) {
        self.end();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ids::CoreId;
    use crate::shard::mail::RequestId;

    fn id(request: u64) -> AskId {
        AskId { core: CoreId(0), request: RequestId(request) }
    }

    fn empty(channel: &str) -> Ask {
        Ask::CacheEmpty { hook: "h".into(), channel: channel.into() }
    }

    #[test]
    fn those_who_come_while_it_is_under_way_share_the_answer_and_later_ones_ask_anew() {
        let circle = Circle::default();
        let desk = Desk::Named("h".into());
        let asked = circle.join(&empty("a"), &desk, id(1)).unwrap();
        assert!(circle.join(&empty("a"), &desk, id(2)).is_none());
        assert!(circle.join(&empty("b"), &desk, id(3)).is_some());
        assert!(circle.join(&empty("a"), &Desk::Default("cache_empty"), id(4)).is_some());
        assert_eq!(asked.others(), [id(2)]);
        drop(circle.join(&empty("a"), &desk, id(5)).unwrap());
        assert!(circle.join(&empty("a"), &desk, id(6)).is_some());
    }
}
