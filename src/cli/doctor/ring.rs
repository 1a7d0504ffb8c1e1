//! The kernel and its io_uring: tried out, and each missing feature with its price.

use super::Finding;
use crate::config::Driver;
use crate::sys::probe::{RingFeatures, kernel_release, probe};

pub fn examine(driver: Driver) -> Vec<Finding> {
    match probe() {
        Ok(features) => {
            let mut findings = vec![
                Finding::ok("kernel", &features.kernel),
                Finding::ok("io_uring", "accepted, polled, received and cancelled on a trial ring"),
            ];
            findings.extend(prices(&features));
            findings
        }
        Err(refusal) => vec![
            Finding::ok("kernel", kernel_release()),
            Finding::lack(driver, "io_uring", &refusal.to_string(), refusal.fix()),
        ],
    }
}

/// A finding for each feature that the driver uses but can do without.
fn prices(features: &RingFeatures) -> impl Iterator<Item = Finding> {
    let optional = [
        (
            features.defer_taskrun,
            "defer_taskrun",
            "completions interrupt the core, so that batches stay smaller",
            "6.1",
        ),
        (features.single_issuer, "single_issuer", "the kernel locks the ring at every submission", "6.0"),
        (features.submit_all, "submit_all", "a refused request holds up those behind it for a turn", "5.18"),
        (
            features.registered_ring_fd,
            "registered ring",
            "every entry into the kernel looks a descriptor up",
            "5.18",
        ),
        (features.no_sqarray, "no_sqarray", "one more indirection a submission; hardly measurable", "6.6"),
    ];
    optional.into_iter().map(|(has, name, price, since)| {
        let name = format!("io_uring {name}");
        if has {
            Finding::ok(&name, "available")
        } else {
            Finding::warn(&name, format!("missing: {price}"), format!("run on Linux {since} or later"))
        }
    })
}

#[cfg(test)]
mod tests {
    use super::super::Verdict;
    use super::*;

    #[test]
    fn a_missing_feature_is_priced_and_names_the_kernel_that_has_it() {
        let features = RingFeatures { defer_taskrun: false, ..probe().unwrap() };
        let findings: Vec<Finding> = prices(&features).collect();
        assert_eq!(findings[0].verdict, Verdict::Warn);
        assert!(findings[0].text.contains("batches") && findings[0].fix.as_ref().unwrap().contains("6.1"));
    }
}
