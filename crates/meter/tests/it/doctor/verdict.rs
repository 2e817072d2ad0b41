//! Verdict and findings agree with each other and with what a meter does, whatever stands in the files.

use std::io;
use std::sync::{Arc, Mutex};

use attar_meter::doctor::{Interface, InterfaceState, diagnose};
use attar_meter::source::{
    Component, Description, Devices, EnergyEvent, EnergyEvents, GpuChoice, Scope, SourceChoice, select_with,
};
use attar_meter::{Host, Method, SystemClock};
use proptest::prelude::*;

use super::cases::{Case, case, cases, of, powercap};

type Kind = fn(&Component) -> bool;

/// What a meter reads of one kind of component.
fn read(sources: &[Description], of: Kind) -> Option<(String, Method, Vec<Component>)> {
    sources.iter().find_map(|source| {
        let components: Vec<Component> = source.components.iter().copied().filter(of).collect();
        (!components.is_empty()).then(|| (source.name.clone(), source.method, components))
    })
}

#[test]
fn the_verdict_is_what_a_meter_then_does() {
    for case in cases() {
        let diagnosis = case.diagnose();
        let (choice, gpus) = (SourceChoice::Auto, GpuChoice::All);
        let chosen = select_with(case.devices(), choice, &gpus, Scope::Machine, &case.host(), &case.clock());
        let sources: Vec<Description> = chosen.sources.iter().map(|source| source.describe()).collect();
        let verdict = &diagnosis.verdict;
        let parts: [(_, Kind); 3] = [
            (&verdict.processor, |component| matches!(component, Component::Cpu(_))),
            (&verdict.memory, |component| matches!(component, Component::Memory(_))),
            (&verdict.boards, |component| matches!(component, Component::Gpu(_))),
        ];
        for (said, kind) in parts {
            let said = said.clone().map(|chosen| (chosen.source, chosen.method, chosen.components));
            assert_eq!(said, read(&sources, kind), "{}", case.name);
        }
        assert_eq!(diagnosis.reasons, chosen.reasons, "{}", case.name);
    }
}

// What is used must work, and the findings must be those of the verdict.
#[test]
fn findings_and_verdict_agree() {
    for case in cases() {
        let diagnosis = case.diagnose();
        let name = case.name;
        let used: Vec<Interface> =
            diagnosis.findings.iter().filter(|finding| finding.used).map(|finding| finding.source).collect();
        for finding in &diagnosis.findings {
            let works =
                matches!(finding.state, InterfaceState::Measures | InterfaceState::Apportions | InterfaceState::Models);
            assert!(works || !finding.used, "{name}: {finding:?}");
            assert!(works || !finding.why.is_empty(), "{name}: {finding:?}");
        }
        let source = |interface: &Interface| match interface {
            Interface::PowercapPackages => Some("powercap"),
            Interface::Perf => Some("perf"),
            Interface::AmdEnergy => Some("amd_energy"),
            Interface::ProcessorModel => Some("model"),
            _ => None,
        };
        let processors: Vec<&str> = used.iter().filter_map(source).collect();
        let said: Vec<&str> = diagnosis.verdict.processor.iter().map(|chosen| chosen.source.as_str()).collect();
        assert_eq!(processors, said, "{name}");
        let boards = used.iter().filter(|used| matches!(used, Interface::NvidiaBoards | Interface::AmdBoards)).count();
        assert_eq!(boards, diagnosis.verdict.boards.map_or(0, |boards| boards.components.len()), "{name}");
    }
}

#[test]
fn everything_is_reported_in_the_same_order() {
    for case in cases() {
        let mut order: Vec<Interface> = case.diagnose().findings.iter().map(|finding| finding.source).collect();
        order.dedup();
        assert_eq!(order, Interface::ALL, "{}", case.name);
    }
}

#[test]
fn the_words_of_a_program_that_reads_them() {
    let diagnosis = case("guest with the phantom");
    let json = serde_json::to_value(&diagnosis).unwrap();
    assert_eq!(json["findings"][3]["source"], "perf");
    assert_eq!(json["findings"][3]["state"], "phantom");
    assert_eq!(json["verdict"]["processor"]["method"], "modeled");
    assert_eq!(json["verdict"]["processor"]["components"][0], "cpu0");
    assert_eq!(json["machine"]["host"]["cpu"]["virtual_machine"], true);
    let names: Vec<String> = Interface::ALL.iter().map(Interface::to_string).collect();
    assert_eq!(
        (names[0].as_str(), InterfaceState::Denied.to_string().as_str()),
        ("powercap packages", "not permitted")
    );
}

#[test]
fn this_machine_gets_an_answer() {
    let diagnosis = diagnose(&Host::local(), Devices::default(), &SystemClock::new());
    let mut order: Vec<Interface> = diagnosis.findings.iter().map(|finding| finding.source).collect();
    order.dedup();
    assert_eq!(order, Interface::ALL);
    assert!(diagnosis.verdict.processor.is_some(), "{:?}", diagnosis.verdict);
    assert!(serde_json::to_string(&diagnosis).is_ok());
}

/// Counts what is opened, and refuses.
#[derive(Clone, Default)]
struct Refusing(Arc<Mutex<usize>>);

impl EnergyEvents for Refusing {
    fn open(&mut self, _kind: u32, _config: u64, _cpu: u32) -> io::Result<Box<dyn EnergyEvent>> {
        *self.0.lock().unwrap() += 1;
        Err(io::ErrorKind::NotFound.into())
    }
}

proptest! {
    // Each case writes a tree of files.
    #![proptest_config(ProptestConfig::with_cases(48))]

    // Whatever stands in the files: an answer, every source in it, and no finding against the verdict.
    #[test]
    fn nonsense_gets_an_answer(
        files in proptest::collection::vec((0_usize..12, "\\PC{0,40}"), 0..12),
        virtual_machine: bool,
    ) {
        const PATHS: [&str; 12] = [
            "proc/stat", "proc/meminfo", "proc/self/cgroup", "proc/self/mountinfo", "fs/cgroup/cpu.max",
            "class/powercap/intel-rapl:0/energy_uj", "class/powercap/intel-rapl:0/name", "class/hwmon/hwmon0/name",
            "class/hwmon/hwmon0/energy1_label", "bus/event_source/devices/power/cpumask", "class/dmi/id/sys_vendor",
            "proc/sys/kernel/perf_event_paranoid",
        ];
        let case = Case { virtual_machine, ..Case::new("nonsense") }.tree(powercap);
        for (path, content) in &files {
            case.tree.at(PATHS[*path], content);
        }
        let refusing = Refusing::default();
        let devices = Devices { events: Box::new(refusing.clone()), nvidia: || Err("none".to_owned()) };
        let diagnosis = diagnose(&case.host(), devices, &case.clock());
        prop_assert!(Interface::ALL.iter().all(|source| diagnosis.findings.iter().any(|found| found.source == *source)));
        prop_assert!(diagnosis.verdict.processor.is_some());
        let limited = diagnosis.machine.limits.and_then(|limits| limits.cpus);
        prop_assert!(limited.is_none_or(|cpus| cpus.is_finite() && cpus > 0.0));
        let phantom = of(&diagnosis, Interface::Perf).state == InterfaceState::Phantom;
        prop_assert!(!phantom || *refusing.0.lock().unwrap() == 0);
    }
}
