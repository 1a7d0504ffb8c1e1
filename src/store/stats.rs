//! Counters and gauges of the store: written by its thread, read by whoever shows them.
//! The table below is the only place that names a figure.

use crate::stats::Kind;
use std::sync::atomic::{AtomicU64, Ordering};

macro_rules! figures {
    ($($name:ident $kind:ident $help:literal;)+) => {
        /// A copy of all figures at one moment.
        #[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
        pub struct StoreStats {
            $(#[doc = $help] pub $name: u64,)+
        }

        impl StoreStats {
            /// In the order of `FIGURES`.
            pub const fn values(&self) -> [u64; FIGURES.len()] {
                [$(self.$name),+]
            }
        }

        /// Name, kind and help of every figure.
        pub const FIGURES: &[(&str, Kind, &str)] = &[$((stringify!($name), Kind::$kind, $help)),+];

        #[derive(Debug, Default)]
        pub(super) struct Published {
            $(pub(super) $name: AtomicU64,)+
        }

        impl Published {
            pub(super) fn read(&self) -> StoreStats {
                StoreStats { $($name: self.$name.load(Ordering::Relaxed)),+ }
            }
        }
    };
}

figures! {
    commits Counter "Groups committed.";
    records Counter "Publications stored.";
    bytes Counter "Bytes of records written, without the database's own.";
    group_size Gauge "Orders of the last group.";
    group_size_max Gauge "Orders of the largest group.";
    commit_ns Gauge "Duration of the last commit, to the disk and back.";
    commit_busy_ns Counter "Time spent in commits.";
    loads Counter "Channels loaded.";
    failures Counter "Orders that failed.";
    refused Counter "Orders given back because the queue was full.";
    commit_failures Counter "Commits that failed.";
    recoveries Counter "Times that the database was opened again after a failure.";
    is_failing Gauge "1 while nothing can be stored.";
    cut_records Counter "Records that did not validate, or were missing, and are not served.";
    lost_epochs Counter "Channels that got a new epoch because something of them was lost.";
    swept Counter "Records removed because they were too old or too many.";
}

impl Published {
    pub(super) fn add(counter: &AtomicU64, count: u64) {
        counter.fetch_add(count, Ordering::Relaxed);
    }

    pub(super) fn set(gauge: &AtomicU64, value: u64) {
        gauge.store(value, Ordering::Relaxed);
    }
}
