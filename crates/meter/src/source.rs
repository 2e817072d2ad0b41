//! Sources of energy readings.
//!
//! A [`Source`] returns the energy since its last successful read, because that is what a window
//! needs and what survives a failed read: nothing is lost, the next read covers both spans. The
//! arithmetic of counters is separate, in [`Counter`]; a source must prove itself live
//! ([`Source::probe`]) before anything it says is called measured.

#[cfg(any(test, all(feature = "apple", target_os = "macos")))]
mod apple;
mod board;
mod component_counter;
mod counter;
mod cpu;
mod events;
mod files;
mod fixed;
mod gate;
mod gpu;
mod gpu_board;
pub(crate) mod hwmon;
mod modeled;
#[cfg(feature = "nvml")]
mod nvml;
pub(crate) mod perf;
mod power_integrator;
pub(crate) mod proc;
mod rapl;
mod recorder;
mod replay;
mod select;
mod trace;
mod watts;
pub(crate) mod zones;

use std::collections::BTreeMap;
use std::fmt;
use std::path::PathBuf;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::clock::{Clock, Moment};
use crate::estimate::{Estimate, Method, Spread};
use crate::gap::Gap;
use crate::quantity::{Joules, Seconds, Watts};

#[cfg(any(test, all(feature = "apple", target_os = "macos")))]
pub use apple::Apple;
pub use counter::{Counter, CounterChange};
pub use cpu::Cpu;
pub use events::{EnergyEvent, EnergyEvents, KernelEvents};
pub use fixed::Fixed;
pub(crate) use gpu::BoardTrial;
pub use gpu::Gpus;
pub use gpu_board::{GpuBoard, GpuError, PowerKind};
pub use hwmon::{Hwmon, amd_boards, unknown_sensors};
pub use modeled::{IdleShare, Modeled, Scope};
#[cfg(feature = "nvml")]
pub use nvml::nvidia_boards;
pub use perf::PerfEnergy;
pub use rapl::{Domains, Rapl};
pub use recorder::Recorder;
pub use replay::{Replay, ReplayBoard};
pub use select::{Devices, FoundBoards, GpuChoice, Selection, SourceChoice, select, select_with};
pub(crate) use select::{Trials, select_recording_trials};
pub use trace::{TRACE_SCHEMA, Trace, TraceDevice, TraceError, TraceHeader, TraceSample, TraceWriter};
pub use watts::{CpuWatts, MEMORY_SPREAD, MEMORY_WATTS_PER_GB, cpu_watts, design_power_share};

/// Name of the source that is a given power.
pub(crate) const FIXED: &str = "fixed";

/// A source of energy readings.
pub trait Source: Send {
    /// What it is, what it covers and how far to trust it. Complete only after [`probe`](Self::probe).
    fn describe(&self) -> Description;

    /// The method that counts where one is required: of a trace that was recorded on this machine since its
    /// start, what was recorded; otherwise that of [`describe`](Self::describe).
    fn stands_for(&self) -> Method {
        self.describe().method
    }

    /// Finds out whether it really measures, keeping a core busy for up to half a second a device
    /// (two seconds on Apple silicon). Call it once, before the first read.
    fn probe(&mut self, clock: &dyn Clock) -> Liveness;

    /// The energy since the last successful read; the first read gives none and sets the start.
    ///
    /// # Errors
    /// If nothing could be read. What was consumed meanwhile comes with the next read.
    fn read(&mut self, now: Moment) -> Result<Reading, SourceError>;

    /// Takes a sample between reads, for sources that must integrate power themselves and say so
    /// in [`Description::poll`].
    fn poll(&mut self, now: Moment) {
        _ = now;
    }

    /// Reads at an edge: where a counter is renewed only now and then, reads it again until it
    /// moves, so that a short window begins and ends with a whole period. Takes up to three
    /// [resolutions](Description::resolution); without counters of that kind, one read.
    ///
    /// # Errors
    /// As [`read`](Self::read).
    fn read_at_counter_update(&mut self, clock: &dyn Clock) -> Result<Reading, SourceError> {
        self.read(clock.now())
    }

    /// The share of a component's work that these processes did since the last call for it, from 0
    /// to 1: the shares of all processes add up to 1. `None` where the device does not report it, does
    /// not know any of these processes (inside a container they may have other numbers), or
    /// nobody used it.
    fn process_share(&mut self, component: Component, processes: &[u32]) -> Option<f64> {
        _ = (component, processes);
        None
    }

    /// What its devices show now, raw, for a recorder. `None` where it has no readings of its
    /// own; does not touch what [`read`](Self::read) returns.
    fn raw_readings(&mut self) -> Vec<RawReading> {
        Vec::new()
    }
}

/// What a device shows, before anything is counted.
#[derive(Debug, Clone, PartialEq)]
pub struct RawReading {
    /// Which component.
    pub component: Component,
    /// Name of the device.
    pub name: String,
    /// Energy of one count.
    pub unit: Joules,
    /// Where the counter wraps, in counts; `None` if that is not known or it never does.
    pub range: Option<u64>,
    /// How its numbers are obtained.
    pub method: Method,
    /// 90 % interval of its numbers, as factors.
    pub spread: Spread,
    /// Where its counter stands.
    pub energy: Option<Joules>,
    /// Power now.
    pub power: Option<Watts>,
    /// How busy it is, from 0 to 1.
    pub utilization: Option<f64>,
    /// Why something is missing.
    pub error: Option<String>,
}

/// Whether a source measures.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Liveness {
    /// It does.
    Alive,
    /// It does not, and why.
    Dead(String),
}

/// A part of a computer whose energy is accounted for separately.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub enum Component {
    /// A processor package, or all processors where a model cannot tell them apart.
    Cpu(u16),
    /// Main memory of one package, or all of it.
    Memory(u16),
    /// A GPU.
    Gpu(u16),
    /// The whole computer. Never beside the others: it contains them.
    Machine,
}

/// What a source is and how far to trust it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Description {
    /// Short name, such as `powercap`.
    pub name: String,
    /// What it reads.
    pub components: Vec<Component>,
    /// How its numbers are obtained.
    pub method: Method,
    /// 90 % interval of its numbers, as factors: of the widest of its components.
    pub spread: Spread,
    /// The same by component, where they differ: see [`spread_of`](Self::spread_of).
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub spreads: BTreeMap<Component, Spread>,
    /// By which factors the ratio of two of a component's numbers may be off, where the error differs
    /// with the load, as a model's does: so much of it does not cancel between two runs on one machine.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub between_loads: BTreeMap<Component, Spread>,
    /// Shortest time over which it tells something: the period of its counter.
    #[serde(rename = "resolution_s")]
    pub resolution: Seconds,
    /// If it must be sampled between reads, how often.
    #[serde(rename = "poll_s")]
    pub poll: Option<Seconds>,
    /// Whose energy it is.
    pub scope: String,
    /// Idle power of a component, where the source itself knows it, as a model does.
    #[serde(rename = "idle_w", default, skip_serializing_if = "BTreeMap::is_empty")]
    pub idle: BTreeMap<Component, Watts>,
    /// Further remarks.
    pub notes: Vec<String>,
}

impl Description {
    /// 90 % interval of one component's numbers, as factors.
    pub fn spread_of(&self, component: Component) -> Spread {
        self.spreads.get(&component).copied().unwrap_or(self.spread)
    }

    /// By which factors the ratio of two of a component's numbers may be off at two loads: see
    /// [`between_loads`](Self::between_loads). Ledgers of version 0.1 do not tell it of the model's
    /// processor; it was then what it is by microarchitecture now.
    pub fn between_loads_of(&self, component: Component) -> Spread {
        let untold = self.method == Method::Modeled && self.name == "model" && matches!(component, Component::Cpu(_));
        let default = if untold { watts::PAIRS_OF_TABLE } else { Spread::NONE };
        self.between_loads.get(&component).copied().unwrap_or(default)
    }

    /// The widest interval of the components of one kind, as factors.
    pub fn interval_of(&self, kind: impl Fn(&Component) -> bool) -> Spread {
        let of_kind = self.components.iter().filter(|component| kind(component));
        let widest = |a: Spread, b: Spread| Spread::between(a.low().min(b.low()), a.high().max(b.high()));
        of_kind.map(|component| self.spread_of(*component)).reduce(widest).unwrap_or(self.spread)
    }

    /// Says the intervals of all components, once where they agree: `×0.90 to ×1.10`, or
    /// `cpu0 ×0.90 to ×1.10, memory0 ×0.80 to ×1.20`; `error not known` where there is none.
    pub fn intervals(&self) -> String {
        let mut each = self.components.iter().map(|component| self.spread_of(*component));
        let first = each.next().unwrap_or(self.spread);
        if each.all(|spread| spread == first) {
            return if first == Spread::NONE { "error not known".to_owned() } else { first.to_string() };
        }
        let named = self.components.iter().map(|component| format!("{component} {}", self.spread_of(*component)));
        named.collect::<Vec<_>>().join(", ")
    }
}

/// What one read gives.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Reading {
    /// Energy by component. A component without news is absent, not zero.
    pub parts: Vec<ComponentReading>,
    /// Problems encountered.
    pub gaps: Vec<Gap>,
}

/// Energy of one component since the last read.
#[derive(Debug, Clone, PartialEq)]
pub struct ComponentReading {
    /// Which component.
    pub component: Component,
    /// Its energy.
    pub energy: Estimate<Joules>,
    /// The share of the value that this process did not cause by computing: idle power and other
    /// processes. Phases share it by time. Zero where it is not known, as with counters, which do
    /// not tell: then all of a processor's energy goes by CPU time.
    pub background: Joules,
    /// How long that took: longer than the window where earlier reads failed.
    pub over: Duration,
    /// How the number was obtained.
    pub method: Method,
}

/// Why a source could not be read.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SourceError {
    /// A file could not be read.
    #[error("cannot read {}: {error}", path.display())]
    File {
        /// Which file.
        path: PathBuf,
        /// The underlying I/O error.
        #[source]
        error: std::io::Error,
    },
    /// A file has unexpected contents.
    #[error("{} must hold {expected}, got `{got}`", path.display())]
    Content {
        /// Which file.
        path: PathBuf,
        /// What was expected.
        expected: &'static str,
        /// The beginning of what was found.
        got: String,
    },
    /// A perf event could not be opened or read.
    #[error("cannot {action} perf event {event} on CPU {cpu}: {error}{way_out}")]
    Event {
        /// The operation that failed.
        action: &'static str,
        /// Which event, such as `power/energy-pkg/`.
        event: String,
        /// On which processor.
        cpu: u32,
        /// The underlying I/O error.
        #[source]
        error: std::io::Error,
        /// What would change it, after a semicolon; empty where nothing is known to.
        way_out: String,
    },
    /// Nothing of the source could be read.
    #[error("{what} gave nothing: {reason}")]
    Nothing {
        /// Which source.
        what: String,
        /// Why.
        reason: String,
    },
}

/// A name that is not a component.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("component must be machine, cpuN, memoryN or gpuN with a number N, got `{got}`")]
pub struct ComponentError {
    /// The value given.
    pub got: String,
}

impl fmt::Display for Component {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Cpu(index) => write!(f, "cpu{index}"),
            Self::Memory(index) => write!(f, "memory{index}"),
            Self::Gpu(index) => write!(f, "gpu{index}"),
            Self::Machine => f.write_str("machine"),
        }
    }
}

impl TryFrom<String> for Component {
    type Error = ComponentError;
    fn try_from(name: String) -> Result<Self, ComponentError> {
        let index = |prefix| name.strip_prefix(prefix).and_then(|digits: &str| digits.parse().ok());
        if name == "machine" {
            return Ok(Self::Machine);
        }
        (index("cpu").map(Self::Cpu))
            .or(index("memory").map(Self::Memory))
            .or(index("gpu").map(Self::Gpu))
            .ok_or(ComponentError { got: name.clone() })
    }
}

impl From<Component> for String {
    fn from(component: Component) -> String {
        component.to_string()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn components_go_through_their_names() {
        for component in [Component::Machine, Component::Cpu(0), Component::Memory(1), Component::Gpu(65535)] {
            assert_eq!(Component::try_from(component.to_string()), Ok(component));
        }
        for bad in ["", "cpu", "cpu-1", "gpu99999", "disk0"] {
            let error = Component::try_from(bad.to_owned()).unwrap_err();
            assert!(error.to_string().contains(&format!("`{bad}`")));
        }
    }
}
