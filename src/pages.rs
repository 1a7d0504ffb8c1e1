//! A growing array in pages: growth never copies and never reserves twice what is used.

use std::ops::{Index, IndexMut};

/// Elements of a page.
const PAGE: usize = 512;

#[derive(Debug)]
pub struct Pages<T>(Vec<Vec<T>>);

impl<T> Default for Pages<T> {
    fn default() -> Self {
        Self(Vec::new())
    }
}

#[expect(clippy::len_without_is_empty, reason = "nobody asks")]
impl<T> Pages<T> {
    pub fn len(&self) -> usize {
        self.0.last().map_or(0, |last| (self.0.len() - 1) * PAGE + last.len())
    }

    pub fn push(&mut self, value: T) {
        if self.len().is_multiple_of(PAGE) {
            self.0.push(Vec::with_capacity(PAGE));
        }
        if let Some(last) = self.0.last_mut() {
            last.push(value);
        }
    }

    #[inline]
    pub fn get(&self, index: usize) -> Option<&T> {
        self.0.get(index / PAGE)?.get(index % PAGE)
    }

    #[inline]
    pub fn get_mut(&mut self, index: usize) -> Option<&mut T> {
        self.0.get_mut(index / PAGE)?.get_mut(index % PAGE)
    }
}

impl<T> Index<usize> for Pages<T> {
    type Output = T;
    #[inline]
    fn index(&self, index: usize) -> &T {
        &self.0[index / PAGE][index % PAGE]
    }
}

impl<T> IndexMut<usize> for Pages<T> {
    #[inline]
    fn index_mut(&mut self, index: usize) -> &mut T {
        &mut self.0[index / PAGE][index % PAGE]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn elements_are_found_across_pages() {
        let mut pages = Pages::default();
        for value in 0..=PAGE * 3 {
            assert_eq!(pages.len(), value);
            pages.push(value);
        }
        for value in 0..=PAGE * 3 {
            assert_eq!(pages.get(value), Some(&value));
        }
        assert_eq!(pages.get(PAGE * 3 + 1), None);
    }
}
