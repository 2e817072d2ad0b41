//! What is said of each interface to the energy of processors and memory.

use attar_meter::Method;
use attar_meter::doctor::{Interface, InterfaceState};

use super::cases::{Case, case, holds, of, powercap};

// The kernel of this case panics if anything is opened.
#[test]
fn a_guest_without_powercap_is_modeled_and_its_phantom_is_left_alone() {
    let diagnosis = case("guest with the phantom");
    let perf = of(&diagnosis, Interface::Perf);
    assert_eq!((perf.state, perf.used), (InterfaceState::Phantom, false));
    holds(&perf.why, &["count nothing forever", "not opened"]);
    let powercap = of(&diagnosis, Interface::PowercapPackages);
    assert_eq!(powercap.state, InterfaceState::Absent);
    holds(powercap.remedy.as_ref().unwrap(), &["owner of the hypervisor", "kvm,rapl=true", "apportioned"]);
    let model = of(&diagnosis, Interface::ProcessorModel);
    assert_eq!((model.state, model.used), (InterfaceState::Models, true));
    holds(&model.why, &["Emerald Rapids: 814 mW idle to 4.48 W", "×0.35 to ×3.8"]);
    holds(&diagnosis.verdict.sentence, &["only modeled energy is possible here", "no GPU counted"]);
    assert_eq!(diagnosis.verdict.weakest(), Some(Method::Modeled));
    holds(&diagnosis.machine.notes.join("\n"), &["a virtual machine"]);
    // QEMU makes counters on Intel hosts alone.
    let amd = case("AMD guest");
    holds(of(&amd, Interface::PowercapPackages).remedy.as_ref().unwrap(), &["Intel hosts alone"]);
}

#[test]
fn what_a_hypervisor_shows_is_apportioned() {
    let diagnosis = case("guest with powercap");
    assert_eq!(of(&diagnosis, Interface::PowercapPackages).state, InterfaceState::Apportions);
    assert_eq!(diagnosis.verdict.processor.as_ref().unwrap().method, Method::Apportioned);
    let dead = case("guest with dead powercap and unit");
    let powercap = of(&dead, Interface::PowercapPackages);
    assert_eq!(powercap.state, InterfaceState::Dead);
    holds(&powercap.notes.join("\n"), &["about once a second"]);
}

#[test]
fn readable_powercap_measures_and_says_what_it_leaves_out() {
    let diagnosis = case("powercap with a twin");
    let packages = of(&diagnosis, Interface::PowercapPackages);
    assert_eq!((packages.state, packages.used, &packages.remedy), (InterfaceState::Measures, true, &None));
    holds(&packages.why, &["1 of 2 zones counted"]);
    holds(&packages.notes.join("\n"), &["intel-rapl-mmio:0 shows package-0 a second time"]);
    let memory = of(&diagnosis, Interface::PowercapMemory);
    assert_eq!((memory.state, memory.used), (InterfaceState::Measures, true));
    assert!(!of(&diagnosis, Interface::ProcessorModel).used && !of(&diagnosis, Interface::MemoryModel).used);
    holds(
        &diagnosis.verdict.sentence,
        &[
            "energy counters work here",
            "processor measured (powercap, ×0.90 to ×1.10), memory measured (powercap, ×0.80 to ×1.20)",
        ],
    );

    let psys = case("powercap with psys");
    let psys = of(&psys, Interface::PowercapPlatform);
    assert_eq!((psys.state, psys.used), (InterfaceState::Untried, false));
    let partial = case("powercap with dead memory");
    assert_eq!(of(&partial, Interface::PowercapMemory).state, InterfaceState::Dead);
    assert!(of(&partial, Interface::MemoryModel).used);
    holds(&of(&partial, Interface::PowercapMemory).why, &["dram did not change"]);
}

#[test]
fn absent_powercap_on_a_machine_of_its_own_names_the_driver() {
    let diagnosis = case("boards");
    holds(of(&diagnosis, Interface::PowercapPackages).remedy.as_ref().unwrap(), &["modprobe intel_rapl_msr"]);
    holds(of(&diagnosis, Interface::Perf).remedy.as_ref().unwrap(), &["modprobe rapl"]);
    let arm = case("Arm");
    assert_eq!(of(&arm, Interface::PowercapPackages).remedy, None);
    assert_eq!(of(&arm, Interface::Perf).remedy, None);
    // A container's runtime lays an empty folder over it.
    let masked = Case::new("masked").tree(|tree| {
        let line = "612 590 0:57 / /sys/devices/virtual/powercap ro,relatime - tmpfs tmpfs ro\n";
        tree.at("proc/self/mountinfo", line);
    });
    let remedy = of(&masked.diagnose(), Interface::PowercapPackages).remedy.clone().unwrap();
    holds(&remedy, &["systempaths=unconfined", "unmask=ALL"]);
}

#[test]
fn counters_that_stand_still_or_cannot_be_read_are_dead() {
    for (name, expected) in [
        ("dead powercap", "package-0 did not change while a core was busy"),
        ("a folder for a counter", "package-0: cannot read"),
    ] {
        let diagnosis = case(name);
        let packages = of(&diagnosis, Interface::PowercapPackages);
        assert_eq!((packages.state, packages.used), (InterfaceState::Dead, false), "{name}");
        holds(&packages.why, &[expected]);
        holds(&diagnosis.verdict.sentence, &["only modeled energy is possible here"]);
    }
    let sockets = case("dead AMD sockets");
    assert_eq!(of(&sockets, Interface::AmdEnergy).state, InterfaceState::Dead);
}

// A superuser may read everything, so there the test has nothing to refuse it.
#[test]
#[cfg(unix)]
fn a_denied_counter_names_the_commands() {
    use std::os::unix::fs::PermissionsExt;
    let denied = Case::new("denied").tree(powercap).tree(|tree| _ = tree.zone("intel-rapl:1", "psys", 9, 90.0));
    for zone in ["intel-rapl:0", "intel-rapl:0:0", "intel-rapl:1"] {
        let counter = denied.tree.folder(zone).join("energy_uj");
        std::fs::set_permissions(&counter, std::fs::Permissions::from_mode(0o000)).unwrap();
        if std::fs::read(&counter).is_ok() {
            return;
        }
    }
    let diagnosis = denied.diagnose();
    for source in [Interface::PowercapPackages, Interface::PowercapMemory, Interface::PowercapPlatform] {
        let finding = of(&diagnosis, source);
        assert_eq!(finding.state, InterfaceState::Denied, "{finding:?}");
        let remedy = finding.remedy.as_ref().unwrap();
        holds(remedy, &["sudo chmod a+r /sys/class/powercap/intel-rapl*/energy_uj", "SUBSYSTEM", "CVE-2020-8694"]);
    }
}

#[test]
fn perf_events_measure_are_refused_or_stand_still() {
    let alone = case("perf alone");
    let perf = of(&alone, Interface::Perf);
    assert_eq!((perf.state, perf.used), (InterfaceState::Measures, true));
    holds(
        &perf.why,
        &["alive, and powercap is not: cpu0 and memory0; 90 % interval cpu0 ×0.90 to ×1.10, memory0 ×0.80 to ×1.20"],
    );
    assert_eq!(of(&alone, Interface::PowercapPackages).state, InterfaceState::Absent);

    let refused = case("perf refused");
    let perf = of(&refused, Interface::Perf);
    assert_eq!((perf.state, perf.used), (InterfaceState::Denied, false));
    holds(&perf.why, &["kernel.perf_event_paranoid is 4"]);
    holds(perf.remedy.as_ref().unwrap(), &["sudo sysctl kernel.perf_event_paranoid=0", "cap_perfmon"]);

    let still = case("perf that counts nothing");
    assert_eq!(of(&still, Interface::Perf).state, InterfaceState::Dead);
    let without = case("perf without packages");
    assert_eq!(of(&without, Interface::Perf).state, InterfaceState::Absent);
    holds(&of(&without, Interface::Perf).why, &["no event energy-pkg there"]);

    let both = case("both, which disagree");
    let perf = of(&both, Interface::Perf);
    assert_eq!((perf.state, perf.used), (InterfaceState::Measures, false));
    holds(&perf.notes.join("\n"), &["powercap (60.0 W) and perf (20.0 W) disagree; powercap is used"]);
}

#[test]
fn monitors_are_counted_named_or_left_for_something_better() {
    let alone = case("AMD sockets");
    let sockets = of(&alone, Interface::AmdEnergy);
    assert_eq!((sockets.state, sockets.used), (InterfaceState::Measures, true));
    let beside = case("AMD sockets beside powercap");
    assert_eq!(of(&beside, Interface::AmdEnergy).state, InterfaceState::Untried);
    let unknown = case("unknown sensors");
    let others = of(&unknown, Interface::OtherSensors);
    assert_eq!(others.state, InterfaceState::Untried);
    holds(&others.notes[0], &["`ina226` shows power1_input"]);
}
