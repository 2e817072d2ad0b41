//! Gaps: what a record of energy is missing, or holds with less certainty, and why.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::quantity::Seconds;

/// One kind of trouble with one thing, as often and as long as it happened.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Gap {
    /// What it concerns: a component (`gpu0`) or a source (`powercap`).
    pub of: String,
    /// What kind of trouble.
    pub kind: GapKind,
    /// How long, all times together.
    pub seconds: Seconds,
    /// How many times.
    pub times: u32,
    /// The first case in words.
    pub detail: String,
}

/// Kinds of gaps.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum GapKind {
    /// The counter decreased and no wrap explains it: the energy of that time is lost, and the
    /// upper bound is raised by mean power times that time.
    Reset,
    /// The counter may have wrapped more than once: the upper bound is raised by the wraps that fit.
    Ambiguous,
    /// A read failed. Its energy comes with the next read that succeeds; if none does, it is lost.
    ReadFailed,
    /// The counter stood still while it should have moved: no energy is counted until it changes, and
    /// then that of the whole time.
    Stalled,
    /// It was read for a while and then no more to the end: the energy of that time is missing, and the
    /// upper bound is raised by mean power times that time.
    Lost,
    /// Power was sampled too sparsely to follow: the bounds of that time are wider.
    Sparse,
    /// The meter ran for less than ten periods of the source: its edges are a good part of the
    /// reading.
    BelowResolution,
    /// The machine slept: counters may have lost their place.
    Suspended,
    /// Windows could not be written to the ledger: it holds less than these totals.
    Unwritten,
}

impl GapKind {
    /// Whether energy is missing, or may be: what a number that goes out alone must say.
    pub fn misses_energy(self) -> bool {
        matches!(self, Self::Reset | Self::Ambiguous | Self::Lost | Self::Unwritten)
    }
}

impl Gap {
    pub(crate) fn new(of: impl Into<String>, kind: GapKind, seconds: Seconds, detail: impl Into<String>) -> Self {
        Self { of: of.into(), kind, seconds, times: 1, detail: detail.into() }
    }

    /// Adds another case of the same kind with the same thing.
    pub(crate) fn add(&mut self, other: &Self) {
        self.seconds += other.seconds;
        self.times = self.times.saturating_add(other.times);
    }
}

/// Adds a gap to a list that holds each kind of each thing once.
pub(crate) fn record(gaps: &mut Vec<Gap>, gap: &Gap) {
    match gaps.iter_mut().find(|known| known.of == gap.of && known.kind == gap.kind) {
        Some(known) => known.add(gap),
        None => gaps.push(gap.clone()),
    }
}

impl fmt::Display for Gap {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}, {} in all", self.of, self.kind, self.seconds)?;
        if self.times > 1 {
            write!(f, ", {} times", self.times)?;
        }
        write!(f, " ({})", self.detail)
    }
}

impl fmt::Display for GapKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Reset => "counter reset, energy lost",
            Self::Ambiguous => "counter may have wrapped unseen",
            Self::ReadFailed => "read failed",
            Self::Stalled => "counter stood still",
            Self::Lost => "not read to the end, energy missing",
            Self::Sparse => "sampled too sparsely",
            Self::BelowResolution => "window below the resolution",
            Self::Suspended => "machine suspended",
            Self::Unwritten => "not in the ledger",
        })
    }
}
