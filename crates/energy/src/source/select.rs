//! Which sources to use on this machine, and why.

use serde::{Deserialize, Serialize};

use super::{Component, Domains, Fixed, GpuBoard, Gpus, Liveness, Modelled, Rapl, Scope, Source};
use crate::clock::Clock;
use crate::estimate::Method;
use crate::host::Host;
use crate::quantity::Watts;

/// Where energy is to come from.
#[derive(Debug, Clone, Copy, PartialEq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum SourceChoice {
    /// Counters that prove themselves alive, and the model for what has none.
    #[default]
    Auto,
    /// The model alone.
    Modelled,
    /// A constant power that the user gives, for the whole machine.
    Fixed(Watts),
    /// None: only time is kept.
    Off,
}

/// Which graphics boards are read.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum GpuChoice {
    /// All that the driver shows, whoever uses them.
    #[default]
    All,
    /// Those with these numbers of the driver (not those of a `CUDA_VISIBLE_DEVICES`).
    Only(Vec<u16>),
    /// None.
    None,
}

/// The sources that were taken, probed and ready, and the reasons in words.
pub struct Selection {
    /// The sources. No component is read by two of them.
    pub sources: Vec<Box<dyn Source>>,
    /// Why these and not others, a sentence each, for people.
    pub reasons: Vec<String>,
}

/// Chooses the sources of a machine. Probing keeps one core busy for up to some 200 ms for the
/// processor and half a second for each board.
pub fn select(choice: SourceChoice, gpus: &GpuChoice, scope: Scope, host: &Host, clock: &dyn Clock) -> Selection {
    select_from(choice, || boards(gpus), scope, host, clock)
}

#[cfg(feature = "nvml")]
fn boards(choice: &GpuChoice) -> Result<Vec<Box<dyn GpuBoard>>, String> {
    match choice {
        GpuChoice::All => super::nvidia_boards(None),
        GpuChoice::Only(numbers) => super::nvidia_boards(Some(numbers)),
        GpuChoice::None => Err("not asked for".to_owned()),
    }
}

#[cfg(not(feature = "nvml"))]
fn boards(choice: &GpuChoice) -> Result<Vec<Box<dyn GpuBoard>>, String> {
    Err(match choice {
        GpuChoice::None => "not asked for".to_owned(),
        _ => "built without the feature `nvml`".to_owned(),
    })
}

fn select_from(
    choice: SourceChoice,
    boards: impl FnOnce() -> Result<Vec<Box<dyn GpuBoard>>, String>,
    scope: Scope,
    host: &Host,
    clock: &dyn Clock,
) -> Selection {
    let mut selection = Selection { sources: Vec::new(), reasons: Vec::new() };
    match choice {
        SourceChoice::Off => selection.reasons.push("energy is not measured: only time is kept".to_owned()),
        SourceChoice::Fixed(power) => selection.add("whole machine", Ok(Fixed::new(power)), clock),
        SourceChoice::Modelled => {
            selection.add("processor and memory", Ok(Modelled::new(&host.proc, &host.cpu, scope)), clock);
            selection.reasons.push("graphics boards: not modelled, so not counted".to_owned());
        }
        SourceChoice::Auto => {
            let rapl = Rapl::open(&host.sys, Domains::PackagesAndMemory, host.cpu.virtual_machine);
            selection.add("processor", rapl.map_err(|error| without_counters(host, &error.to_string())), clock);
            let has = |wanted: fn(&Component) -> bool| {
                selection.sources.iter().any(|source| source.describe().components.iter().any(wanted))
            };
            let cpu = has(|component| matches!(component, Component::Cpu(_)));
            let memory = has(|component| matches!(component, Component::Memory(_)));
            let model = Modelled::new(&host.proc, &host.cpu, scope);
            match (cpu, memory) {
                (false, _) => selection.add("processor and memory", Ok(model), clock),
                (true, false) => selection.add("memory", Ok(model.without_cpu()), clock),
                (true, true) => {}
            }
            if cpu && scope != Scope::Machine {
                selection.reasons.push(format!("scope: counters show whole devices, not {scope}"));
            }
            selection.add("graphics boards", boards().map(Gpus::new), clock);
        }
    }
    selection
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
            let good = description.method <= weakest;
            if !good {
                let components: Vec<String> = description.components.iter().map(Component::to_string).collect();
                let (of, method) = (components.join(" and "), description.method);
                reasons.push(format!("{of}: would be {method} (source {}), so not counted", description.name));
            }
            good
        });
        let covers = |component: &Component| matches!(component, Component::Cpu(_) | Component::Machine);
        let covered = self.sources.iter().any(|source| source.describe().components.iter().any(covers));
        if covered { Ok(()) } else { Err(self.reasons.clone()) }
    }

    /// Probes a source and takes it if it lives.
    fn add<S: Source + 'static>(&mut self, what: &str, found: Result<S, String>, clock: &dyn Clock) {
        let alive = found.and_then(|mut source| match source.probe(clock) {
            Liveness::Alive => Ok(source),
            Liveness::Dead(reason) => Err(reason),
        });
        match alive {
            Err(reason) => self.reasons.push(format!("{what}: no counter read: {reason}")),
            Ok(source) => {
                let description = source.describe();
                self.reasons.push(format!(
                    "{what}: {}, source {}, 90 % interval {}",
                    description.method, description.name, description.spread
                ));
                self.reasons.extend(description.notes.iter().map(|note| format!("{what}: {note}")));
                self.sources.push(Box::new(source));
            }
        }
    }
}

/// Why a processor shows no counters, with the phantom named where there is one.
fn without_counters(host: &Host, error: &str) -> String {
    let mut reason = error.to_owned();
    if host.cpu.virtual_machine {
        reason.push_str("; this is a virtual machine");
        if host.sys.join("bus/event_source/devices/power").exists() {
            // In such guests the event opens, counts nothing for ever and splats the kernel log.
            reason.push_str(" whose perf events for power are phantoms, so they are not opened");
        }
    }
    reason
}
