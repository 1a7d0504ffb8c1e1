//! Placeholder.

use crate::config::{Config, Warning};
use crate::fatal::Fatal;

/// Runs until a signal ends it.
pub fn run(config: Config, warnings: Vec<Warning>) -> Result<(), Fatal> {
    drop((config, warnings));
    Ok(())
}
