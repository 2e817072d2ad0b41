//! What energy can be measured on this machine, what cannot and why, and what would change it.
//!
//! ```
//! use attar_meter::source::Devices;
//! use attar_meter::{Host, SystemClock, doctor};
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
    Component, Description, Devices, EnergyEvent, EnergyEvents, GpuChoice, Scope, SourceChoice, Trials,
    select_recording_trials,
};

pub use limits::Limits;
pub use machine::MachineDiagnosis;
pub use verdict::{ChosenSource, Verdict};

/// What was found on a machine.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Diagnosis {
    /// What a meter with default options would read.
    pub verdict: Verdict,
    /// One or more for each [`Interface`], in the order of [`Interface::ALL`]: boards have one each,
    /// or one together where there are none.
    pub findings: Vec<Finding>,
    /// Basis of the numbers.
    pub machine: MachineDiagnosis,
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
    pub state: InterfaceState,
    /// Whether a meter with default options reads it.
    pub used: bool,
    /// Why, in a sentence.
    pub why: String,
    /// What would change it, with the command; `None` where all is well or nothing is known to help.
    pub remedy: Option<String>,
    /// Further remarks.
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
pub enum InterfaceState {
    /// It measures: it was tried and is alive.
    Measures,
    /// It shows a share of something measured elsewhere, as a hypervisor makes it.
    Apportions,
    /// It computes from load and tables.
    Models,
    /// It is there and was not tried, because another source is used or it must not be added.
    Untried,
    /// It is there and cannot be read.
    Denied,
    /// It is there, was tried, and does not measure.
    Dead,
    /// It looks like a counter, and would count nothing forever: not opened.
    Phantom,
    /// It is not there.
    Absent,
}

/// Looks at everything that may show energy on a machine.
///
/// Takes as long as a choice of sources ([`select`](crate::source::select)): a core is busy for up
/// to 0.4 s for the processor and half a second for each board. Changes nothing.
pub fn diagnose(host: &Host, devices: Devices, clock: &dyn Clock) -> Diagnosis {
    let attempts = OpenAttempts::default();
    let events = Box::new(RecordingEvents { events: devices.events, attempts: attempts.clone() });
    let devices = Devices { events, nvidia: devices.nvidia };
    let mut trials = Trials::default();
    let (choice, gpus) = (SourceChoice::default(), GpuChoice::default());
    let selection = select_recording_trials(devices, choice, &gpus, Scope::default(), host, clock, &mut trials);

    let selected: Vec<Description> = selection.sources.iter().map(|source| source.describe()).collect();
    let observed = Observations { host, trials: &trials, selected: &selected, attempts: &attempts };
    let mut findings = powercap::findings(&observed);
    findings.extend([counters::perf(&observed), counters::amd_energy(&observed), counters::other_sensors(host)]);
    findings.extend(boards::nvidia(&observed));
    findings.extend(boards::amd(&observed));
    findings.push(counters::apple(&observed));
    findings.extend(counters::models(&observed, clock));
    Diagnosis {
        verdict: Verdict::of(&selected),
        findings,
        machine: MachineDiagnosis::inspect(host, clock, &selected),
        reasons: selection.reasons,
    }
}

/// What a choice of sources showed, for those who make findings of it.
struct Observations<'a> {
    host: &'a Host,
    trials: &'a Trials,
    /// The sources that a meter would read.
    selected: &'a [Description],
    attempts: &'a OpenAttempts,
}

impl Observations<'_> {
    /// Whether the source of this name was selected, for a component of this kind.
    fn selects(&self, name: &str, of: impl Fn(&Component) -> bool) -> bool {
        self.selected.iter().any(|selected| selected.name == name && selected.components.iter().any(&of))
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
    fn new(source: Interface, covers: &str, state: InterfaceState, why: impl Into<String>) -> Self {
        let (covers, why) = (covers.to_owned(), why.into());
        Self { source, covers, state, used: false, why, remedy: None, notes: Vec::new() }
    }

    fn used(self, used: bool) -> Self {
        Self { used, ..self }
    }

    fn with_remedy(self, remedy: Option<String>) -> Self {
        Self { remedy, ..self }
    }

    fn with_notes(mut self, notes: impl IntoIterator<Item = String>) -> Self {
        self.notes.extend(notes);
        self
    }
}

impl From<Method> for InterfaceState {
    fn from(method: Method) -> Self {
        match method {
            Method::Measured => Self::Measures,
            Method::Apportioned => Self::Apportions,
            Method::Replayed | Method::Modeled => Self::Models,
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

impl fmt::Display for InterfaceState {
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
struct OpenAttempts {
    opened: Arc<AtomicBool>,
    denied: Arc<AtomicBool>,
}

impl OpenAttempts {
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
struct RecordingEvents {
    events: Box<dyn EnergyEvents>,
    attempts: OpenAttempts,
}

impl EnergyEvents for RecordingEvents {
    fn open(&mut self, kind: u32, config: u64, cpu: u32) -> io::Result<Box<dyn EnergyEvent>> {
        let event = self.events.open(kind, config, cpu);
        match &event {
            Ok(_) => self.attempts.opened.store(true, Ordering::Relaxed),
            Err(error) if error.kind() == io::ErrorKind::PermissionDenied => {
                self.attempts.denied.store(true, Ordering::Relaxed);
            }
            Err(_) => {}
        }
        event
    }
}
