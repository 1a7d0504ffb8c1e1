//! A value that a reload may replace while others read it.
//! Invariant: a reader sees one whole value, and keeps it for as long as it likes.

use std::sync::{Arc, PoisonError, RwLock};

#[derive(Debug, Default)]
pub struct Live<T>(Arc<RwLock<Arc<T>>>);

impl<T> Live<T> {
    pub fn new(value: T) -> Self {
        Self(Arc::new(RwLock::new(Arc::new(value))))
    }

    pub fn get(&self) -> Arc<T> {
        Arc::clone(&self.0.read().unwrap_or_else(PoisonError::into_inner))
    }

    /// For all who hold a clone of this.
    pub fn set(&self, value: T) {
        *self.0.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(value);
    }
}

impl<T> Clone for Live<T> {
    fn clone(&self) -> Self {
        Self(Arc::clone(&self.0))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn everyone_sees_the_new_value_and_keeps_the_old_one_while_it_is_used() {
        let live = Live::new(1);
        let (clone, before) = (live.clone(), live.get());
        clone.set(2);
        assert_eq!((*before, *live.get()), (1, 2));
    }
}
