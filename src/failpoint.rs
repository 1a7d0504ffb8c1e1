//! Places at which a test makes this program fail on purpose: that is how the promise is proved that a bug of ours costs
//! what it concerns and nothing else.
//!
//! Invariant: a release build carries none of this; there `FailPoints` is empty and `hit` does nothing. Elsewhere only
//! what somebody has planned fails. A plan reads `point/subject@n=action`: the n-th pass of that point about that subject
//! (a method, a channel; none: any), and every n-th after it. `@n` may be left out (1), and `=action` (panic).
//!
//! ```text
//! RINGWAY_FAIL_POINTS="command/boom fan_out/news@3 command/stall=stall:10000"
//! ```

use std::time::Duration;

/// The variable that plans are read from, for tests of a whole process.
pub const VARIABLE: &str = "RINGWAY_FAIL_POINTS";

/// See each for its subject.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Point {
    /// A command of a client, before it is served: the method of an rpc, else the channel.
    Command,
    /// A publication on its way into the outbox of one more subscriber: the channel.
    FanOut,
    /// A letter of another core, or of the control plane: the channel.
    Letter,
    /// A deadline of a connection: each channel that it is subscribed to.
    Deadline,
    /// A connection is one step further on its way into a channel: the channel.
    Join,
    /// A connection leaves a channel: the channel.
    Leave,
    /// What a connection is owed is about to be handed to the driver: each channel that it is subscribed to.
    Flush,
    /// A value is dropped at the end of a command: as for a command.
    Drop,
    /// A request of the control plane: its path.
    Request,
    /// A group of orders is about to be stored: the channel of each.
    Store,
}

/// What is planned. Clones share their plans and their counts.
#[derive(Clone, Debug, Default)]
pub struct FailPoints {
    #[cfg(any(test, debug_assertions, feature = "failpoints"))]
    plans: Option<std::sync::Arc<planned::Plans>>,
}

/// Panics when it is dropped, if that is planned.
#[must_use]
#[derive(Debug)]
pub struct Tripwire {
    #[cfg(any(test, debug_assertions, feature = "failpoints"))]
    armed: Option<(FailPoints, Box<str>)>,
}

/// Without fail points.
#[cfg(not(any(test, debug_assertions, feature = "failpoints")))]
impl FailPoints {
    #[inline]
    pub fn hit(&self, _point: Point, _subject: &str) {}

    #[must_use]
    pub fn apart(&self) -> Self {
        Self::default()
    }

    #[must_use]
    pub fn with(self, _point: Point, _subject: &str, _every: u32) -> Self {
        self
    }

    pub fn calm(&self) {}

    #[inline]
    pub fn is_planned(&self) -> bool {
        false
    }

    #[inline]
    pub fn tripwire(&self, _subject: &str) -> Tripwire {
        Tripwire {}
    }

    #[inline]
    pub fn take_stall(&self) -> Option<Duration> {
        None
    }

    pub fn parse(_text: &str) -> Result<Self, String> {
        Err(String::from("this build has no fail points"))
    }
}

#[cfg(any(test, debug_assertions, feature = "failpoints"))]
mod planned {
    use super::{Duration, FailPoints, Point, Tripwire};
    use std::sync::{Arc, Mutex, PoisonError};

    #[derive(Debug, Default)]
    pub struct Plans {
        list: Mutex<Vec<Plan>>,
        /// How long the driver shall not come back.
        stall: Mutex<Option<Duration>>,
    }

    #[derive(Clone, Debug)]
    struct Plan {
        point: Point,
        /// Empty: any.
        subject: Box<str>,
        every: u32,
        passed: u32,
        action: Action,
    }

    #[derive(Clone, Copy, Debug)]
    enum Action {
        Panic,
        Stall(Duration),
    }

    impl FailPoints {
        /// Panics at every `every`-th pass of `point` about `subject`; an empty subject is any.
        #[must_use]
        pub fn with(mut self, point: Point, subject: &str, every: u32) -> Self {
            self.plan(point, subject, every, Action::Panic);
            self
        }

        fn plan(&mut self, point: Point, subject: &str, every: u32, action: Action) {
            let plan = Plan { point, subject: Box::from(subject), every: every.max(1), passed: 0, action };
            let plans = self.plans.get_or_insert_default();
            plans.list.lock().unwrap_or_else(PoisonError::into_inner).push(plan);
        }

        /// Plans, with spaces between them.
        pub fn parse(text: &str) -> Result<Self, String> {
            let mut points = Self::default();
            for plan in text.split_ascii_whitespace() {
                let (place, action) = plan.split_once('=').unwrap_or((plan, "panic"));
                let (place, every) = place.rsplit_once('@').unwrap_or((place, "1"));
                let (point, subject) = place.split_once('/').unwrap_or((place, ""));
                let stalled = action.strip_prefix("stall:").map(str::parse);
                let action = match (action, stalled) {
                    ("panic", _) => Action::Panic,
                    (_, Some(Ok(ms))) => Action::Stall(Duration::from_millis(ms)),
                    (_, Some(Err(_)) | None) => {
                        return Err(format!("{plan}: an action is `panic` or `stall:MS`"));
                    }
                };
                let point = Point::named(point).ok_or_else(|| format!("{plan}: no such fail point"))?;
                let every = every.parse().map_err(|_| format!("{plan}: `@` wants a number"))?;
                points.plan(point, subject, every, action);
            }
            Ok(points)
        }

        /// The same plans with counts of their own, for another core.
        #[must_use]
        pub fn apart(&self) -> Self {
            let copy = |plans: &Plans| {
                let list = plans.list.lock().unwrap_or_else(PoisonError::into_inner).clone();
                Arc::new(Plans { list: Mutex::new(list), stall: Mutex::default() })
            };
            Self { plans: self.plans.as_deref().map(copy) }
        }

        /// Nothing fails any more.
        pub fn calm(&self) {
            if let Some(plans) = &self.plans {
                plans.list.lock().unwrap_or_else(PoisonError::into_inner).clear();
            }
        }

        pub fn is_planned(&self) -> bool {
            self.plans.is_some()
        }

        /// Passes a point. Fails if that is planned.
        #[inline]
        pub fn hit(&self, point: Point, subject: &str) {
            if let Some(plans) = &self.plans {
                plans.hit(point, subject);
            }
        }

        /// Hits `Point::Drop` when it is dropped.
        pub fn tripwire(&self, subject: &str) -> Tripwire {
            let armed = self.is_planned().then(|| (self.clone(), Box::from(subject)));
            Tripwire { armed }
        }

        /// A stall that has been caused and that the driver shall now carry out.
        pub fn take_stall(&self) -> Option<Duration> {
            self.plans.as_ref()?.stall.lock().unwrap_or_else(PoisonError::into_inner).take()
        }
    }

    impl Plans {
        #[expect(clippy::panic, reason = "that is what it is for")]
        fn hit(&self, point: Point, subject: &str) {
            let mut due = None;
            for plan in &mut *self.list.lock().unwrap_or_else(PoisonError::into_inner) {
                if plan.point == point && (plan.subject.is_empty() || *plan.subject == *subject) {
                    plan.passed += 1;
                    if plan.passed.is_multiple_of(plan.every) {
                        due = Some(plan.action);
                    }
                }
            }
            match due {
                Some(Action::Panic) => panic!("fail point {point:?} about {subject:?}"),
                Some(Action::Stall(time)) => {
                    *self.stall.lock().unwrap_or_else(PoisonError::into_inner) = Some(time);
                }
                None => {}
            }
        }
    }

    impl Drop for Tripwire {
        fn drop(&mut self) {
            if let Some((points, subject)) = self.armed.take()
                && !std::thread::panicking()
            {
                points.hit(Point::Drop, &subject);
            }
        }
    }

    impl Point {
        fn named(name: &str) -> Option<Self> {
            let point = match name {
                "command" => Self::Command,
                "fan_out" => Self::FanOut,
                "letter" => Self::Letter,
                "deadline" => Self::Deadline,
                "join" => Self::Join,
                "leave" => Self::Leave,
                "flush" => Self::Flush,
                "drop" => Self::Drop,
                "request" => Self::Request,
                "store" => Self::Store,
                _ => return None,
            };
            Some(point)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::panic::{AssertUnwindSafe, catch_unwind};

    fn fails(points: &FailPoints, point: Point, subject: &str) -> bool {
        catch_unwind(AssertUnwindSafe(|| points.hit(point, subject))).is_err()
    }

    #[test]
    fn what_is_planned_fails_at_every_nth_pass_and_nothing_else_does() {
        let points = FailPoints::parse("command/boom fan_out/news@3").unwrap();
        assert!(fails(&points, Point::Command, "boom"));
        assert!(!fails(&points, Point::Command, "other"));
        let passes: Vec<bool> = (0..6).map(|_| fails(&points, Point::FanOut, "news")).collect();
        assert_eq!(passes, [false, false, true, false, false, true]);
        assert!(!fails(&FailPoints::default(), Point::Command, "boom"));
    }

    #[test]
    fn a_stall_is_taken_once() {
        let points = FailPoints::parse("command/s=stall:20").unwrap();
        points.hit(Point::Command, "s");
        assert_eq!(points.take_stall(), Some(Duration::from_millis(20)));
        assert_eq!(points.take_stall(), None);
    }

    #[test]
    fn a_plan_that_makes_no_sense_is_an_error() {
        for plan in ["nowhere", "command=sing", "command@x", "command=stall:x"] {
            assert!(FailPoints::parse(plan).is_err(), "{plan}");
        }
    }

    #[test]
    fn a_tripwire_fails_when_it_is_dropped() {
        let points = FailPoints::default().with(Point::Drop, "d", 1);
        let wire = points.tripwire("d");
        assert!(catch_unwind(AssertUnwindSafe(|| drop(wire))).is_err());
        drop(FailPoints::default().tripwire("d"));
    }
}
