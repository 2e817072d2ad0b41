//! What energy can be measured on this machine, what cannot and why, and what would change it.
//!
//! ```
//! use attar_energy::source::Devices;
//! use attar_energy::{Host, SystemClock, doctor};
//!
//! let diagnosis = doctor::diagnose(&Host::local(), Devices::default(), &SystemClock::new());
//! for finding in &diagnosis.findings {
//!     let (source, state, why) = (finding.source, finding.state, &finding.why);
//!     assert!(!format!("{source}: {state}: {why}").is_empty());
//! }
//! assert!(!diagnosis.verdict.sentence.is_empty());
//! ```
//!
//! The diagnosis makes the very choice that a meter makes with default options, and watches it, so
//! it cannot say otherwise than a meter that starts at that moment. What a choice does not touch
//! (the platform's zone, sensors of unknown kind) is looked at in files and never opened as a
//! device. A phantom is named and left alone.

mod boards;
mod counters;
mod limits;
mod machine;
mod powercap;
mod verdict;

use std::fmt;
use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use serde::Serialize;

use crate::clock::Clock;
use crate::estimate::Method;
use crate::host::Host;
use crate::source::{
    Component, Description, Devices, EnergyEvent, EnergyEvents, GpuChoice, Scope, SourceChoice, Trials, select_telling,
};

pub use limits::Limits;
pub use machine::Machine;
pub use verdict::{Chosen, Verdict};

/// What was found on a machine.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Diagnosis {
    /// What a meter with default options would read.
    pub verdict: Verdict,
    /// One or more for each [`Interface`], in the order of [`Interface::ALL`]: boards have one each,
    /// or one together where there are none.
    pub findings: Vec<Finding>,
    /// What the numbers rest on.
    pub machine: Machine,
    /// The words in which a meter that starts here gives its reasons.
    pub reasons: Vec<String>,
}

/// What became of one possible source.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Finding {
    /// Which source.
    pub source: Interface,
    /// What it shows, or would show.
    pub covers: String,
    /// What it does here.
    pub state: State,
    /// Whether a meter with default options reads it.
    pub used: bool,
    /// Why, in a sentence.
    pub why: String,
    /// What would change it, with the command; nothing where all is well or nothing is known to help.
    pub remedy: Option<String>,
    /// What else a reader should know.
    pub notes: Vec<String>,
}

/// Something that may show energy.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Interface {
    /// Running average power limit (RAPL) counters of processor packages, through Linux powercap.
    PowercapPackages,
    /// Those of memory.
    PowercapMemory,
    /// Those of the whole platform, which contain the others.
    PowercapPlatform,
    /// The same registers through perf events.
    Perf,
    /// Socket counters of the driver `amd_energy`.
    AmdEnergy,
    /// Hardware monitors whose scope is not known.
    OtherSensors,
    /// NVIDIA boards through the driver's library.
    NvidiaBoards,
    /// AMD boards through their driver's monitor.
    AmdBoards,
    /// The channels of Apple's chips.
    AppleChip,
    /// The model of the processor.
    ProcessorModel,
    /// The model of memory.
    MemoryModel,
}

/// What a source does.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum State {
    /// It measures: it was tried and is alive.
    Measures,
    /// It shows a share of something measured elsewhere, as a hypervisor makes it.
    Apportions,
    /// It computes from load and tables.
    Models,
    /// It is there and was not tried, because something else is read or it must not be added.
    Untried,
    /// It is there and may not be read.
    Denied,
    /// It is there, was tried, and does not measure.
    Dead,
    /// It looks like a counter, and would count nothing for ever: not opened.
    Phantom,
    /// It is not there.
    Absent,
}

/// Looks at everything that may show energy on a machine.
///
/// Takes as long as a choice of sources ([`select`](crate::source::select)): a core is busy for up
/// to 0.4 s for the processor and half a second for each board. Changes nothing.
pub fn diagnose(host: &Host, devices: Devices, clock: &dyn Clock) -> Diagnosis {
    let opening = Opening::default();
    let events = Box::new(Watched { events: devices.events, opening: opening.clone() });
    let devices = Devices { events, nvidia: devices.nvidia };
    let mut trials = Trials::default();
    let (choice, gpus) = (SourceChoice::default(), GpuChoice::default());
    let selection = select_telling(devices, choice, &gpus, Scope::default(), host, clock, &mut trials);

    let taken: Vec<Description> = selection.sources.iter().map(|source| source.describe()).collect();
    let seen = Seen { host, trials: &trials, taken: &taken, opening: &opening };
    let mut findings = powercap::findings(&seen);
    findings.extend([counters::perf(&seen), counters::amd_energy(&seen), counters::other_sensors(host)]);
    findings.extend(boards::nvidia(&seen));
    findings.extend(boards::amd(&seen));
    findings.push(counters::apple(&seen));
    findings.extend(counters::models(&seen, clock));
    Diagnosis {
        verdict: Verdict::of(&taken),
        findings,
        machine: Machine::look(host, clock, &taken),
        reasons: selection.reasons,
    }
}

/// What a choice of sources showed, for those who make findings of it.
struct Seen<'a> {
    host: &'a Host,
    trials: &'a Trials,
    /// The sources that a meter would read.
    taken: &'a [Description],
    opening: &'a Opening,
}

impl Seen<'_> {
    /// Whether the source of this name was taken, for a component of this kind.
    fn takes(&self, name: &str, of: impl Fn(&Component) -> bool) -> bool {
        self.taken.iter().any(|taken| taken.name == name && taken.components.iter().any(&of))
    }
}

impl Interface {
    /// All of them, in the order in which they are reported.
    pub const ALL: [Self; 11] = [
        Self::PowercapPackages,
        Self::PowercapMemory,
        Self::PowercapPlatform,
        Self::Perf,
        Self::AmdEnergy,
        Self::OtherSensors,
        Self::NvidiaBoards,
        Self::AmdBoards,
        Self::AppleChip,
        Self::ProcessorModel,
        Self::MemoryModel,
    ];
}

impl Finding {
    fn new(source: Interface, covers: &str, state: State, why: impl Into<String>) -> Self {
        let (covers, why) = (covers.to_owned(), why.into());
        Self { source, covers, state, used: false, why, remedy: None, notes: Vec::new() }
    }

    fn used(self, used: bool) -> Self {
        Self { used, ..self }
    }

    fn with(self, remedy: Option<String>) -> Self {
        Self { remedy, ..self }
    }

    fn noting(mut self, notes: impl IntoIterator<Item = String>) -> Self {
        self.notes.extend(notes);
        self
    }
}

impl From<Method> for State {
    fn from(method: Method) -> Self {
        match method {
            Method::Measured => Self::Measures,
            Method::Apportioned => Self::Apportions,
            Method::Modelled => Self::Models,
        }
    }
}

impl fmt::Display for Interface {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::PowercapPackages => "powercap packages",
            Self::PowercapMemory => "powercap dram",
            Self::PowercapPlatform => "powercap psys",
            Self::Perf => "perf events",
            Self::AmdEnergy => "amd_energy",
            Self::OtherSensors => "other sensors",
            Self::NvidiaBoards => "NVIDIA boards",
            Self::AmdBoards => "AMD boards",
            Self::AppleChip => "Apple silicon",
            Self::ProcessorModel => "model of the processor",
            Self::MemoryModel => "model of memory",
        })
    }
}

impl fmt::Display for State {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Measures => "measures",
            Self::Apportions => "apportions",
            Self::Models => "models",
            Self::Untried => "not tried",
            Self::Denied => "not permitted",
            Self::Dead => "dead",
            Self::Phantom => "phantom",
            Self::Absent => "absent",
        })
    }
}

/// What happened when events were opened.
#[derive(Debug, Clone, Default)]
struct Opening {
    opened: Arc<AtomicBool>,
    denied: Arc<AtomicBool>,
}

impl Opening {
    /// Whether any event was opened.
    fn opened(&self) -> bool {
        self.opened.load(Ordering::Relaxed)
    }

    /// Whether the system refused one for want of permission.
    fn denied(&self) -> bool {
        self.denied.load(Ordering::Relaxed)
    }
}

/// Passes requests on and remembers what became of them.
struct Watched {
    events: Box<dyn EnergyEvents>,
    opening: Opening,
}

impl EnergyEvents for Watched {
    fn open(&mut self, kind: u32, config: u64, cpu: u32) -> io::Result<Box<dyn EnergyEvent>> {
        let event = self.events.open(kind, config, cpu);
        match &event {
            Ok(_) => self.opening.opened.store(true, Ordering::Relaxed),
            Err(error) if error.kind() == io::ErrorKind::PermissionDenied => {
                self.opening.denied.store(true, Ordering::Relaxed);
            }
            Err(_) => {}
        }
        event
    }
}
