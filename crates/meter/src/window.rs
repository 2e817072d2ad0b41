//! Windows: spans of time with their energy, a line of the ledger each.

use std::collections::BTreeMap;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::estimate::{Estimate, Method};
use crate::gap::Gap;
use crate::host::HostFacts;
use crate::job::Job;
use crate::quantity::{Joules, Seconds};
use crate::source::{Component, Description};
use crate::split::Split;

/// What one phase used between two reads of the sources.
///
/// Windows of different phases cover the same span where the phases took turns in it: their
/// `active_s` add up to the span.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Window {
    /// Name of the phase, chosen by the caller.
    pub phase: String,
    /// Start of the span, UTC.
    pub start: Timestamp,
    /// End of the span, UTC.
    pub end: Timestamp,
    /// Start of the span on the steady clock, from the start of the meter.
    pub start_s: Seconds,
    /// End of the span on the steady clock.
    pub end_s: Seconds,
    /// How much of the span belonged to this phase.
    pub active_s: Seconds,
    /// CPU time of the process in this phase, all threads together; `None` where the system does
    /// not tell.
    pub cpu_s: Option<Seconds>,
    /// CPU time that all other processes of the machine used meanwhile (of a shared span: its share
    /// by time); `None` where the system does not report it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub others_cpu_s: Option<Seconds>,
    /// The share of a component's work that the metered processes did, where the device reports it, as
    /// some GPUs do.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub own_share: BTreeMap<Component, f64>,
    /// Energy by component. A component that gave nothing is absent, not zero.
    pub energy: BTreeMap<Component, ComponentEnergy>,
    /// How this phase's energy was reported from that of the others in the span.
    pub split: Split,
    /// Problems encountered in the span; noted in the first of its windows only.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub gaps: Vec<Gap>,
}

/// Energy of one component.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct ComponentEnergy {
    /// Joules with their interval.
    #[serde(flatten)]
    pub joules: Estimate<Joules>,
    /// How the source obtained the number. A phase that shared its span has at best an apportioned
    /// share of it.
    pub method: Method,
}

/// A named stretch of time that need not follow the phases: spans nest and overlap. The sources are
/// read at both of its ends, so the windows between them add up to its energy.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Span {
    /// Its name, chosen by the caller.
    pub name: String,
    /// Its start on the steady clock, from the start of the meter.
    pub start_s: Seconds,
    /// Its end.
    pub end_s: Seconds,
}

/// The first line that a meter writes: where, with what, and why so.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LedgerHeader {
    /// When the meter started, UTC.
    pub start: Timestamp,
    /// Version of this crate.
    pub version: String,
    /// The machine.
    pub host: HostFacts,
    /// The job of a batch system that it ran in, if it did.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub job: Option<Job>,
    /// The sources that were read.
    pub sources: Vec<Description>,
    /// Why these and not others.
    pub reasons: Vec<String>,
}

impl Span {
    /// Whether a window of the same meter lies inside.
    pub fn holds(&self, window: &Window) -> bool {
        self.start_s <= window.start_s && window.end_s <= self.end_s
    }
}

impl ComponentEnergy {
    /// Adds another window's energy of the same component.
    pub(crate) fn add(&mut self, other: Self) {
        self.joules = self.joules + other.joules;
        self.method = self.method.max(other.method);
    }
}
