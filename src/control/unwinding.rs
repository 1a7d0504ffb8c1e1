//! A boundary around the work of one request, so that a bug of ours costs that request.
//! Invariant: what has panicked is never polled again.

use crate::sys::panics::{self, Plane};
use std::future::poll_fn;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::pin;
use std::task::Poll;

/// It did; the hook has said where.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Panicked;

pub(super) async fn caught<F: Future>(work: F) -> Result<F::Output, Panicked> {
    let mut work = pin!(work);
    poll_fn(|context| {
        let polled = catch_unwind(AssertUnwindSafe(|| work.as_mut().poll(context)));
        polled.map_or_else(|_| Poll::Ready(Err(panicked())), |poll| poll.map(Ok))
    })
    .await
}

/// The same for work that does not wait.
pub(super) fn caught_now<T>(work: impl FnOnce() -> T) -> Result<T, Panicked> {
    catch_unwind(AssertUnwindSafe(work)).map_err(|_| panicked())
}

fn panicked() -> Panicked {
    panics::count(Plane::Control);
    Panicked
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_panic_is_an_error_of_the_work_alone() {
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        let before = panics::counted(Plane::Control);
        let outcome = runtime.block_on(caught(async {
            tokio::task::yield_now().await;
            panic!("on purpose");
        }));
        assert_eq!(outcome, Err::<(), _>(Panicked));
        assert_eq!(runtime.block_on(caught(async { 7 })), Ok(7));
        assert_eq!(caught_now(|| panic!("on purpose")), Err::<(), _>(Panicked));
        assert!(panics::counted(Plane::Control) >= before + 2);
    }
}
