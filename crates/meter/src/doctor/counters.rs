//! Findings about the other counters of a processor, and about what stands in for them.

use super::powercap::{access_denied, is_cpu, is_memory, remedy_of_absence};
use super::{Finding, Interface, InterfaceState, Observations};
use crate::clock::Clock;
use crate::host::Host;
use crate::source::{Component, Hwmon, Liveness, Modeled, Scope, Source, hwmon, perf as events, proc, unknown_sensors};

/// The same registers as powercap, through perf events.
pub(super) fn perf(observed: &Observations<'_>) -> Finding {
    const COVERS: &str = "processor packages and their memory: the registers that powercap shows";
    let (host, trials) = (observed.host, observed.trials);
    let finding = |state, why: &str| Finding::new(Interface::Perf, COVERS, state, why);
    if events::is_phantom(host) {
        return finding(
            InterfaceState::Phantom,
            "in a virtual machine without powercap these events open, count nothing forever and put errors into the \
             kernel's log: not opened",
        )
        .with_remedy(remedy_of_absence(host));
    }
    match &trials.perf {
        Some(Ok(alive)) => {
            let used = observed.selects("perf", is_cpu);
            let why = if used { "alive, and powercap is not" } else { "alive; powercap comes first" };
            let parts: Vec<String> = alive.components.iter().map(Component::to_string).collect();
            let parts = parts.join(" and ");
            finding(alive.method.into(), &format!("{why}: {parts}; 90 % interval {}", alive.intervals()))
                .used(used)
                .with_notes(alive.notes.iter().chain(&trials.disagreement).cloned())
        }
        Some(Err(_)) if observed.attempts.denied() => {
            let level = proc::perf_event_paranoid(&host.proc).filter(|level| !level.is_empty());
            let level = level.map_or_else(|| "is not known".to_owned(), |level| format!("is {level}"));
            finding(InterfaceState::Denied, &format!("attempts them was refused; kernel.perf_event_paranoid {level}"))
                .with_remedy(Some(
                    "`sudo sysctl kernel.perf_event_paranoid=0`, or `sudo setcap cap_perfmon=ep` on the program"
                        .to_owned(),
                ))
                .with_notes(["in a container its seccomp profile must let perf_event_open through as well".to_owned()])
        }
        Some(Err(reason)) if observed.attempts.opened() => finding(InterfaceState::Dead, reason),
        Some(Err(reason)) => {
            let remedy = match (events::is_there(host), host.cpu.virtual_machine) {
                // There, but without the event or with files of another kind.
                (true, _) => None,
                (false, true) => remedy_of_absence(host),
                (false, false) => remedy_of_absence(host).map(|_| "`sudo modprobe rapl`".to_owned()),
            };
            finding(InterfaceState::Absent, reason).with_remedy(remedy)
        }
        None if events::is_there(host) => finding(InterfaceState::Untried, "another source is used"),
        None => finding(InterfaceState::Absent, "no unit named power"),
    }
}

/// AMD's socket counters.
pub(super) fn amd_energy(observed: &Observations<'_>) -> Finding {
    let host = observed.host;
    let counters = hwmon::socket_counters(&host.sys);
    let finding = |state, why: &str| {
        Finding::new(Interface::AmdEnergy, "processor sockets, with everything that runs on them", state, why)
    };
    match &observed.trials.monitor {
        _ if counters.is_empty() => {
            // The words of the source itself.
            let reason = Hwmon::open(&host.sys, false).err().map(|error| error.to_string());
            finding(InterfaceState::Absent, &reason.unwrap_or_else(|| "no socket counter".to_owned()))
        }
        Some(Ok(alive)) => {
            let why = format!("{} of {} sockets counted", alive.components.len(), counters.len());
            finding(alive.method.into(), &why)
                .used(observed.selects(&alive.name, is_cpu))
                .with_notes(alive.notes.clone())
        }
        Some(Err(_)) if counters.iter().any(|(_, path)| access_denied(path)) => {
            finding(InterfaceState::Denied, "permission denied").with_remedy(Some(
                "`sudo chmod a+r /sys/class/hwmon/hwmon*/energy*_input` until the next start, or run as root"
                    .to_owned(),
            ))
        }
        Some(Err(reason)) => finding(InterfaceState::Dead, reason),
        None => finding(InterfaceState::Untried, &format!("{} sockets shown; a better source is used", counters.len())),
    }
}

/// Monitors that show energy or power of nobody knows what.
pub(super) fn other_sensors(host: &Host) -> Finding {
    const COVERS: &str = "what their drivers alone know";
    let found = unknown_sensors(&host.sys);
    if found.is_empty() {
        let why = "no other hardware monitor shows energy or power";
        return Finding::new(Interface::OtherSensors, COVERS, InterfaceState::Absent, why);
    }
    let why = format!("{} found; they may lie inside what is counted, so none is added", found.len());
    Finding::new(Interface::OtherSensors, COVERS, InterfaceState::Untried, why).with_notes(found)
}

/// The channels of Apple's chips.
pub(super) fn apple(observed: &Observations<'_>) -> Finding {
    let finding =
        |state, why: &str| Finding::new(Interface::AppleChip, "processor, memory and graphics of the chip", state, why);
    match &observed.trials.chip {
        Some(Ok(alive)) => finding(alive.method.into(), &format!("alive, 90 % interval {}", alive.intervals()))
            .used(observed.selects(&alive.name, |_| true))
            .with_notes(alive.notes.clone()),
        Some(Err(reason)) => finding(InterfaceState::Dead, reason),
        None if cfg!(target_os = "macos") => finding(InterfaceState::Absent, "built without the feature `apple`")
            .with_remedy(Some("build with `--features apple`".to_owned())),
        None => finding(InterfaceState::Absent, "for macOS on Apple silicon"),
    }
}

/// What the model would say of the processor and of memory, wherever it is read or not.
pub(super) fn models(observed: &Observations<'_>, clock: &dyn Clock) -> [Finding; 2] {
    let host = observed.host;
    let model = || Modeled::new(&host.proc, &host.cpu, Scope::Machine);

    let mut processor = model().without_memory();
    // Finds out where the load comes from; keeps no core busy.
    let life = processor.probe(clock);
    let says = processor.describe();
    let finding =
        |state, why| Finding::new(Interface::ProcessorModel, "all processors, by load and tables", state, why);
    let processor = match life {
        Liveness::Dead(reason) => finding(InterfaceState::Dead, reason),
        Liveness::Alive => {
            let (figures, notes) = says.notes.split_first().map_or(("", &[][..]), |(first, rest)| (first, rest));
            finding(InterfaceState::Models, format!("{figures}; 90 % interval {}", says.intervals()))
                .used(observed.selects("model", is_cpu))
                // The amount of memory is the other finding's matter.
                .with_notes(notes.iter().filter(|note| !note.contains("memory is not counted")).cloned())
        }
    };

    let mut memory = model().without_cpu();
    let life = memory.probe(clock);
    let says = memory.describe();
    let power = says.idle.iter().find(|(component, _)| matches!(component, Component::Memory(_)));
    let finding = |state, why| Finding::new(Interface::MemoryModel, "main memory, by size", state, why);
    let memory = match (life, power) {
        (Liveness::Alive, Some((_, power))) => {
            finding(InterfaceState::Models, format!("{power} whatever the load; 90 % interval {}", says.intervals()))
                .used(observed.selects("model", is_memory))
        }
        (Liveness::Dead(reason), _) => finding(InterfaceState::Absent, reason),
        (Liveness::Alive, None) => finding(InterfaceState::Absent, "the amount of memory is not known".to_owned()),
    };
    [processor, memory]
}
