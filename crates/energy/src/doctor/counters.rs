//! Findings about the other counters of a processor, and about what stands in for them.

use super::powercap::{access_denied, is_cpu, is_memory, remedy_of_absence};
use super::{Finding, Interface, Seen, State};
use crate::clock::Clock;
use crate::host::Host;
use crate::source::{Component, Hwmon, Liveness, Modelled, Scope, Source, hwmon, perf as events, unknown_sensors};

/// The same registers as powercap, through perf events.
pub(super) fn perf(seen: &Seen<'_>) -> Finding {
    const COVERS: &str = "processor packages and their memory: the registers that powercap shows";
    let (host, trials) = (seen.host, seen.trials);
    let finding = |state, why: &str| Finding::new(Interface::Perf, COVERS, state, why);
    if events::is_phantom(host) {
        return finding(
            State::Phantom,
            "in a virtual machine without powercap these events open, count nothing for ever and put errors into the \
             kernel's log: not opened",
        )
        .with(remedy_of_absence(host));
    }
    match &trials.perf {
        Some(Ok(alive)) => {
            let used = seen.takes("perf", is_cpu);
            let why = if used { "alive, and powercap is not" } else { "alive; powercap comes first" };
            let parts: Vec<String> = alive.components.iter().map(Component::to_string).collect();
            let parts = parts.join(" and ");
            finding(alive.method.into(), &format!("{why}: {parts}; 90 % interval {}", alive.spread))
                .used(used)
                .noting(alive.notes.iter().chain(&trials.disagreement).cloned())
        }
        Some(Err(_)) if seen.opening.denied() => {
            let paranoid = std::fs::read_to_string(host.proc.join("sys/kernel/perf_event_paranoid"));
            let level = paranoid.ok().map(|level| level.trim().to_owned()).filter(|level| !level.is_empty());
            let level = level.map_or_else(|| "is not known".to_owned(), |level| format!("is {level}"));
            finding(State::Denied, &format!("opening them was refused; kernel.perf_event_paranoid {level}"))
                .with(Some(
                    "`sudo sysctl kernel.perf_event_paranoid=0`, or `sudo setcap cap_perfmon=ep` on the program"
                        .to_owned(),
                ))
                .noting(["in a container its seccomp profile must let perf_event_open through as well".to_owned()])
        }
        Some(Err(reason)) if seen.opening.opened() => finding(State::Dead, reason),
        Some(Err(reason)) => {
            let remedy = match (events::is_there(host), host.cpu.virtual_machine) {
                // There, but without the event or with files of another kind.
                (true, _) => None,
                (false, true) => remedy_of_absence(host),
                (false, false) => remedy_of_absence(host).map(|_| "`sudo modprobe rapl`".to_owned()),
            };
            finding(State::Absent, reason).with(remedy)
        }
        None if events::is_there(host) => finding(State::Untried, "something else is read"),
        None => finding(State::Absent, "no unit named power"),
    }
}

/// AMD's socket counters.
pub(super) fn amd_energy(seen: &Seen<'_>) -> Finding {
    let host = seen.host;
    let counters = hwmon::socket_counters(&host.sys);
    let finding = |state, why: &str| {
        Finding::new(Interface::AmdEnergy, "processor sockets, with everything that runs on them", state, why)
    };
    match &seen.trials.monitor {
        _ if counters.is_empty() => {
            // The words of the source itself.
            let reason = Hwmon::open(&host.sys, false).err().map(|error| error.to_string());
            finding(State::Absent, &reason.unwrap_or_else(|| "no socket counter".to_owned()))
        }
        Some(Ok(alive)) => {
            let why = format!("{} of {} sockets counted", alive.components.len(), counters.len());
            finding(alive.method.into(), &why).used(seen.takes(&alive.name, is_cpu)).noting(alive.notes.clone())
        }
        Some(Err(_)) if counters.iter().any(|(_, path)| access_denied(path)) => {
            finding(State::Denied, "permission denied").with(Some(
                "`sudo chmod a+r /sys/class/hwmon/hwmon*/energy*_input` until the next start, or run as root"
                    .to_owned(),
            ))
        }
        Some(Err(reason)) => finding(State::Dead, reason),
        None => finding(State::Untried, &format!("{} sockets shown; something better is read", counters.len())),
    }
}

/// Monitors that show energy or power of nobody knows what.
pub(super) fn other_sensors(host: &Host) -> Finding {
    const COVERS: &str = "what their drivers alone know";
    let found = unknown_sensors(&host.sys);
    if found.is_empty() {
        let why = "no other hardware monitor shows energy or power";
        return Finding::new(Interface::OtherSensors, COVERS, State::Absent, why);
    }
    let why = format!("{} found; they may lie inside what is counted, so none is added", found.len());
    Finding::new(Interface::OtherSensors, COVERS, State::Untried, why).noting(found)
}

/// The channels of Apple's chips.
pub(super) fn apple(seen: &Seen<'_>) -> Finding {
    let finding =
        |state, why: &str| Finding::new(Interface::AppleChip, "processor, memory and graphics of the chip", state, why);
    match &seen.trials.chip {
        Some(Ok(alive)) => finding(alive.method.into(), &format!("alive, 90 % interval {}", alive.spread))
            .used(seen.takes(&alive.name, |_| true))
            .noting(alive.notes.clone()),
        Some(Err(reason)) => finding(State::Dead, reason),
        None if cfg!(target_os = "macos") => finding(State::Absent, "built without the feature `apple`")
            .with(Some("build with `--features apple`".to_owned())),
        None => finding(State::Absent, "for macOS on Apple silicon"),
    }
}

/// What the model would say of the processor and of memory, wherever it is read or not.
pub(super) fn models(seen: &Seen<'_>, clock: &dyn Clock) -> [Finding; 2] {
    let host = seen.host;
    let model = || Modelled::new(&host.proc, &host.cpu, Scope::Machine);

    let mut processor = model().without_memory();
    // Finds out where the load comes from; keeps no core busy.
    let life = processor.probe(clock);
    let says = processor.describe();
    let finding =
        |state, why| Finding::new(Interface::ProcessorModel, "all processors, by load and tables", state, why);
    let processor = match life {
        Liveness::Dead(reason) => finding(State::Dead, reason),
        Liveness::Alive => {
            let (figures, notes) = says.notes.split_first().map_or(("", &[][..]), |(first, rest)| (first, rest));
            finding(State::Models, format!("{figures}; 90 % interval {}", says.spread))
                .used(seen.takes("model", is_cpu))
                // The amount of memory is the other finding's matter.
                .noting(notes.iter().filter(|note| !note.contains("memory is not counted")).cloned())
        }
    };

    let mut memory = model().without_cpu();
    let life = memory.probe(clock);
    let says = memory.describe();
    let power = says.idle.iter().find(|(component, _)| matches!(component, Component::Memory(_)));
    let finding = |state, why| Finding::new(Interface::MemoryModel, "main memory, by size", state, why);
    let memory = match (life, power) {
        (Liveness::Alive, Some((_, power))) => {
            finding(State::Models, format!("{power} whatever the load; 90 % interval {}", says.spread))
                .used(seen.takes("model", is_memory))
        }
        (Liveness::Dead(reason), _) => finding(State::Absent, reason),
        (Liveness::Alive, None) => finding(State::Absent, "the amount of memory is not known".to_owned()),
    };
    [processor, memory]
}
