//! Which sources to use on this machine, and why.

use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use super::gate::probe_together;
use super::gpu::BoardTrial;
use super::{
    Component, Description, Domains, EnergyEvents, Fixed, GpuBoard, Gpus, Hwmon, KernelEvents, Liveness, Modeled,
    PerfEnergy, Rapl, Replay, Scope, Source, SourceError, amd_boards, unknown_sensors,
};
use crate::clock::Clock;
use crate::estimate::{Method, Spread};
use crate::host::Host;
use crate::quantity::Watts;

/// Where energy is to come from.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum SourceChoice {
    /// Counters that prove themselves live, and the model for what has none.
    #[default]
    Auto,
    /// The model alone.
    Modeled,
    /// A constant power that the user gives, for the whole machine.
    Fixed(Watts),
    /// A [trace](super::Trace) of this machine or another, or the log of an external meter, from
    /// its beginning on.
    Replay(PathBuf),
    /// None: only time is kept.
    Off,
}

/// Which GPUs are read.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum GpuChoice {
    /// All that the drivers show, whoever uses them.
    #[default]
    All,
    /// Those with these numbers of the driver (not those of a `CUDA_VISIBLE_DEVICES`). AMD's boards
    /// follow after NVIDIA's.
    Only(Vec<u16>),
    /// None.
    None,
}

/// The sources that were taken, probed and ready, and the reasons in words.
pub struct Selection {
    /// The sources. No component is read by two of them.
    pub sources: Vec<Box<dyn Source>>,
    /// Why these and not others, one sentence each, for people.
    pub reasons: Vec<String>,
}

/// What a choice tried, for a diagnosis. `None` where something was not tried.
#[derive(Default)]
pub(crate) struct Trials {
    pub(crate) chip: Option<Outcome>,
    pub(crate) powercap: Option<Outcome>,
    pub(crate) perf: Option<Outcome>,
    /// AMD's socket counters.
    pub(crate) monitor: Option<Outcome>,
    /// How powercap and perf disagree, in words.
    pub(crate) disagreement: Option<String>,
    /// How many boards the NVIDIA driver shows, or why none.
    pub(crate) nvidia: Option<Result<usize, String>>,
    /// All boards that were tried, NVIDIA's first.
    pub(crate) boards: Vec<BoardTrial>,
}

/// What a source says of itself, or why it is not read.
pub(crate) type Outcome = Result<Description, String>;

/// FoundBoards that were found, or in words why there are none.
pub type FoundBoards = Result<Vec<Box<dyn GpuBoard>>, String>;

/// What a choice of sources reaches beyond files, so that a test can show something else.
pub struct Devices {
    /// Opens energy events of the kernel.
    pub events: Box<dyn EnergyEvents>,
    /// Finds NVIDIA boards, or says in words why there are none. Asked only where boards are wanted.
    pub nvidia: fn() -> FoundBoards,
}

impl Default for Devices {
    /// Those of this machine.
    fn default() -> Self {
        Self { events: Box::new(KernelEvents), nvidia }
    }
}

/// Chooses the sources of a machine. Probing keeps one core busy for up to some 200 ms for the
/// processor and half a second for each board.
pub fn select(choice: SourceChoice, gpus: &GpuChoice, scope: Scope, host: &Host, clock: &dyn Clock) -> Selection {
    select_with(Devices::default(), choice, gpus, scope, host, clock)
}

/// Chooses the sources of a machine with devices of the caller's choice.
pub fn select_with(
    devices: Devices,
    choice: SourceChoice,
    gpus: &GpuChoice,
    scope: Scope,
    host: &Host,
    clock: &dyn Clock,
) -> Selection {
    select_recording_trials(devices, choice, gpus, scope, host, clock, &mut Trials::default())
}

/// The same choice, which also tells what was tried.
pub(crate) fn select_recording_trials(
    mut devices: Devices,
    choice: SourceChoice,
    gpus: &GpuChoice,
    scope: Scope,
    host: &Host,
    clock: &dyn Clock,
    trials: &mut Trials,
) -> Selection {
    let mut selection = Selection { sources: Vec::new(), reasons: Vec::new() };
    match choice {
        SourceChoice::Off => selection.reasons.push("energy is not measured: only time is kept".to_owned()),
        SourceChoice::Fixed(power) => selection.add("whole machine", Ok(Fixed::new(power)), clock),
        SourceChoice::Replay(path) => {
            selection.add("trace", Replay::open_on(host, path).map_err(|error| error.to_string()), clock);
        }
        SourceChoice::Modeled => {
            selection.add("processor and memory", Ok(Modeled::new(&host.proc, &host.cpu, scope)), clock);
            selection.reasons.push("GPUs: not modeled, so not counted".to_owned());
        }
        SourceChoice::Auto => {
            if !selection.add_chip(clock, trials) {
                selection.add_processor(host, &mut *devices.events, clock, trials);
            }
            let has = |wanted: fn(&Component) -> bool| {
                selection.sources.iter().any(|source| source.describe().components.iter().any(wanted))
            };
            let cpu = has(|component| matches!(component, Component::Cpu(_)));
            let memory = has(|component| matches!(component, Component::Memory(_)));
            let model = Modeled::new(&host.proc, &host.cpu, scope);
            match (cpu, memory) {
                (false, _) => selection.add("processor and memory", Ok(model), clock),
                (true, false) => selection.add("memory", Ok(model.without_cpu()), clock),
                (true, true) => {}
            }
            if cpu && scope != Scope::Machine {
                selection.reasons.push(format!("scope: counters show whole devices, not {scope}"));
            }
            let boards = boards(gpus, devices.nvidia, host, &mut selection.reasons, trials).map(Gpus::new);
            let boards = boards.and_then(|mut boards| {
                let life = boards.probe(clock);
                trials.boards = boards.trials().to_vec();
                alive(boards, Some(life))
            });
            selection.add_tried("GPUs", boards);
            selection.reasons.extend(unknown_sensors(&host.sys));
        }
    }
    selection
}

#[cfg(feature = "nvml")]
fn nvidia() -> FoundBoards {
    super::nvidia_boards(None)
}

#[cfg(not(feature = "nvml"))]
fn nvidia() -> FoundBoards {
    Err("built without the feature `nvml`".to_owned())
}

/// The boards that are wanted: NVIDIA's with the numbers of their driver, then AMD's.
fn boards(
    choice: &GpuChoice,
    nvidia: fn() -> FoundBoards,
    host: &Host,
    reasons: &mut Vec<String>,
    trials: &mut Trials,
) -> FoundBoards {
    if *choice == GpuChoice::None {
        return Err("not asked for".to_owned());
    }
    let found = nvidia();
    trials.nvidia = Some(found.as_ref().map(Vec::len).map_err(Clone::clone));
    let (mut boards, absent) = match found {
        Ok(boards) => (boards, None),
        Err(reason) => (Vec::new(), Some(reason)),
    };
    let first = boards.iter().map(|board| board.index().saturating_add(1)).max().unwrap_or(0);
    let (amd, remarks) = amd_boards(&host.sys, first);
    boards.extend(amd);
    reasons.extend(remarks.into_iter().map(|remark| format!("GPUs: {remark}")));
    if boards.is_empty() {
        return Err(absent.unwrap_or_else(|| "no board".to_owned()));
    }
    if let GpuChoice::Only(numbers) = choice {
        let has = |number: &u16| boards.iter().any(|board| board.index() == *number);
        if let Some(missing) = numbers.iter().find(|number| !has(number)) {
            let there: Vec<String> = boards.iter().map(|board| board.index().to_string()).collect();
            return Err(format!("no board {missing}: this machine has {}", there.join(", ")));
        }
        boards.retain(|board| numbers.contains(&board.index()));
    }
    Ok(boards)
}

impl Selection {
    /// Leaves out the sources whose method is weaker than this.
    ///
    /// # Errors
    /// The reasons, if nothing that is left covers the processor or the whole machine.
    pub fn require(&mut self, weakest: Method) -> Result<(), Vec<String>> {
        let reasons = &mut self.reasons;
        self.sources.retain(|source| {
            let description = source.describe();
            let good = source.stands_for() <= weakest;
            if !good {
                let components: Vec<String> = description.components.iter().map(Component::to_string).collect();
                let (of, method) = (components.join(" and "), description.method);
                let why = if method == Method::Replayed {
                    "; the trace was not recorded on this machine since its start"
                } else {
                    ""
                };
                reasons.push(format!("{of}: would be {method} (source {}), so not counted{why}", description.name));
            }
            good
        });
        let covers = |component: &Component| matches!(component, Component::Cpu(_) | Component::Machine);
        let covered = self.sources.iter().any(|source| source.describe().components.iter().any(covers));
        if covered { Ok(()) } else { Err(self.reasons.clone()) }
    }

    /// Probes a source and takes it if it lives.
    fn add<S: Source + 'static>(&mut self, what: &str, found: Result<S, String>, clock: &dyn Clock) {
        self.add_tried(what, found.and_then(|source| probed(source, clock)));
    }

    /// Takes a source that was probed, if it lives.
    fn add_tried<S: Source + 'static>(&mut self, what: &str, tried: Result<S, String>) {
        match tried {
            Err(reason) => self.reasons.push(format!("{what}: no counter read: {reason}")),
            Ok(source) => self.take(what, source),
        }
    }

    /// Takes a source that lives.
    fn take<S: Source + 'static>(&mut self, what: &str, source: S) {
        let description = source.describe();
        let known = if description.spread == Spread::NONE { "" } else { "90 % interval " };
        self.reasons.push(format!(
            "{what}: {}, source {}, {known}{}",
            description.method,
            description.name,
            description.intervals()
        ));
        self.reasons.extend(description.notes.iter().map(|note| format!("{what}: {note}")));
        self.sources.push(Box::new(source));
    }

    /// Takes the sensors of a chip that has its own interface, and says whether it did.
    #[cfg(all(feature = "apple", target_os = "macos"))]
    fn add_chip(&mut self, clock: &dyn Clock, trials: &mut Trials) -> bool {
        let chip = super::Apple::start().and_then(|source| probed(source, clock));
        trials.chip = Some(outcome(&chip));
        let lives = chip.is_ok();
        self.add_tried("chip", chip);
        lives
    }

    #[cfg(not(all(feature = "apple", target_os = "macos")))]
    fn add_chip(&mut self, _clock: &dyn Clock, _trials: &mut Trials) -> bool {
        false
    }

    /// Takes the best counters of the processor: powercap, else perf events, else AMD's monitor.
    /// Where the first two live they are compared.
    fn add_processor(&mut self, host: &Host, events: &mut dyn EnergyEvents, clock: &dyn Clock, trials: &mut Trials) {
        let guest = host.cpu.virtual_machine;
        let mut powercap =
            Rapl::open(&host.sys, Domains::PackagesAndMemory, guest).map_err(|error| without_counters(host, &error));
        let mut perf = PerfEnergy::open(host, events, Domains::PackagesAndMemory).map_err(|error| error.to_string());
        let gates = powercap.iter_mut().map(|source| &mut source.gate);
        let mut gates: Vec<_> = gates.chain(perf.iter_mut().map(|source| &mut source.gate)).collect();
        let mut lives = probe_together(&mut gates, clock).into_iter();
        let powercap = powercap.and_then(|source| alive(source, lives.next()));
        let perf = perf.and_then(|source| alive(source, lives.next()));
        (trials.powercap, trials.perf) = (Some(outcome(&powercap)), Some(outcome(&perf)));
        match (powercap, perf) {
            (Ok(powercap), perf) => {
                let apart = perf.ok().and_then(|perf| powercap.gate.disagreement(&perf.gate));
                self.take("processor", powercap);
                trials.disagreement = apart.map(|[powercap, perf]| {
                    format!("powercap ({powercap}) and perf ({perf}) disagree; powercap is used")
                });
                self.reasons.extend(trials.disagreement.iter().map(|apart| format!("processor: {apart}")));
            }
            (Err(reason), Ok(perf)) => {
                self.take("processor", perf);
                self.reasons.push(format!("processor: not powercap: {reason}"));
            }
            (Err(powercap), Err(perf)) => {
                let monitor = Hwmon::open(&host.sys, guest).map_err(|error| error.to_string());
                let monitor = monitor.and_then(|source| probed(source, clock));
                trials.monitor = Some(outcome(&monitor));
                match monitor {
                    Ok(monitor) => self.take("processor", monitor),
                    Err(monitor) => {
                        self.reasons.push(format!("processor: no counter read: {powercap}"));
                        self.reasons.push(format!("processor: nor perf: {perf}"));
                        self.reasons.push(format!("processor: nor hwmon: {monitor}"));
                    }
                }
            }
        }
    }
}

/// The source, if it lives.
fn probed<S: Source>(mut source: S, clock: &dyn Clock) -> Result<S, String> {
    let life = source.probe(clock);
    alive(source, Some(life))
}

/// What a source that was probed says of itself.
fn outcome<S: Source>(tried: &Result<S, String>) -> Outcome {
    tried.as_ref().map(Source::describe).map_err(Clone::clone)
}

fn alive<S>(source: S, life: Option<Liveness>) -> Result<S, String> {
    match life {
        Some(Liveness::Alive) => Ok(source),
        Some(Liveness::Dead(reason)) => Err(reason),
        None => Err("not tried".to_owned()),
    }
}

/// Why a processor shows no counters, with the phantom named where there is one.
fn without_counters(host: &Host, error: &SourceError) -> String {
    let mut reason = error.to_string();
    if host.cpu.virtual_machine {
        reason.push_str("; this is a virtual machine");
        if host.sys.join("bus/event_source/devices/power").exists() {
            // In such guests the event opens, counts nothing forever and floods the kernel log.
            reason.push_str(" whose perf events for power are phantoms, so they are not opened");
        }
    }
    reason
}
