//! Why a meter does not start.

use std::time::Duration;

use super::MAX_INTERVAL;
use crate::estimate::Method;
use crate::ledger::LedgerError;

/// Why a meter cannot start.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum MeterError {
    /// The interval is too long.
    #[error("read interval must be at most {} s, got {} s: a counter could wrap unseen", MAX_INTERVAL.as_secs(), got.as_secs_f64())]
    Interval {
        /// The value given.
        got: Duration,
    },
    /// No source is good enough.
    #[error("energy must be {required} here, and no source of the processor's energy is: {}", reasons.join("; "))]
    Method {
        /// What was required.
        required: Method,
        /// What was found instead, one sentence each.
        reasons: Vec<String>,
    },
    /// The ledger refuses the first line.
    #[error(transparent)]
    Ledger(#[from] LedgerError),
}
