//! What is said of the machine itself: what it does not tell, limits, suspension.

use std::time::Duration;

use attar_meter::doctor::{Interface, InterfaceState, diagnose};

use super::cases::{Case, case, holds, of};

#[test]
fn nothing_at_all_is_still_answered() {
    let diagnosis = case("nothing at all");
    let model = of(&diagnosis, Interface::ProcessorModel);
    assert_eq!((model.state, model.used), (InterfaceState::Models, true));
    holds(&model.notes.join("\n"), &["only the CPU time of this process counts as active"]);
    assert_eq!(of(&diagnosis, Interface::MemoryModel).state, InterfaceState::Absent);
    assert_eq!(diagnosis.verdict.memory, None);
    holds(&diagnosis.verdict.sentence, &["memory not counted"]);
    let machine = &diagnosis.machine;
    assert!(!machine.machine_load && !machine.children_time && machine.process_time && machine.limits.is_none());
    holds(&machine.notes.join("\n"), &["the load of the machine is not known", "CPU time of children is not known"]);
}

#[test]
fn a_container_is_told_that_the_system_shows_the_whole_machine() {
    let limited = |quota: &str| {
        let case = Case::new("container").tree(|tree| {
            tree.at("proc/self/cgroup", "0::/box\n").at("fs/cgroup/box/cpu.max", quota);
            tree.at("fs/cgroup/box/memory.max", "1000000000\n");
        });
        case.diagnose().machine
    };
    let machine = limited("50000 100000\n");
    assert_eq!(machine.limits.unwrap().cpus, Some(0.5));
    holds(&machine.notes.join("\n"), &["0.5 of 2 processors and 1.0 of 8.2 GB", "the model charges the whole machine"]);
    // More than there is limits nothing.
    let notes = limited("800000 100000\n").notes.join("\n");
    assert!(!notes.contains("processors and") && notes.contains("1.0 of 8.2 GB"), "{notes}");
}

#[test]
fn suspension_is_named() {
    let case = Case::new("suspended");
    let clock = case.clock();
    clock.suspend(Duration::from_secs(90));
    let machine = diagnose(&case.host(), case.devices(), &clock).machine;
    if cfg!(target_os = "linux") {
        assert_eq!(machine.suspended.unwrap().get(), 90.0);
        holds(&machine.notes.join("\n"), &["suspended for 1.50 min"]);
    }
}
