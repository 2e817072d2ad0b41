//! What is said of machines of every kind, and that it is what a meter then does.

use std::io;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use attar_meter::doctor::{Diagnosis, Finding, Interface, InterfaceState, diagnose};
use attar_meter::source::{
    Component, Cpu, Description, Devices, EnergyEvent, EnergyEvents, FoundBoards, GpuBoard, GpuChoice, GpuError, Scope,
    SourceChoice, select_with,
};
use attar_meter::{Host, ManualClock, Method, SystemClock};
use proptest::prelude::*;

use crate::perf::{EVENTS, Kernel, MEMORY, PACKAGE};
use crate::tree::Tree;

/// A machine: its files, its kernel, its boards.
struct Case {
    name: &'static str,
    tree: Tree,
    kernel: Option<Kernel>,
    nvidia: fn() -> FoundBoards,
    virtual_machine: bool,
    /// `GenuineIntel` if not set.
    vendor: &'static str,
}

impl Case {
    fn new(name: &'static str) -> Self {
        let nvidia = || Err("no NVIDIA driver".to_owned());
        let case =
            Self { name, tree: Tree::new(), kernel: None, nvidia, virtual_machine: false, vendor: "GenuineIntel" };
        case.tree
            .at("proc/stat", "cpu 1 0 0 1\ncpu0 1 0 0 1\ncpu1 1 0 0 1\n")
            .at("proc/meminfo", "MemTotal: 8000000 kB\n");
        case.tree.at("proc/sys/kernel/perf_event_paranoid", "4\n").at("proc/self/task/1/children", "");
        case
    }

    fn guest(name: &'static str) -> Self {
        Self { virtual_machine: true, ..Self::new(name) }
    }

    fn tree(self, act: impl FnOnce(&Tree)) -> Self {
        act(&self.tree);
        self
    }

    fn kernel(self, watts: &[((u64, u32), f64)]) -> Self {
        Self { kernel: Some(Kernel::new(watts)), ..self }
    }

    fn boards(self, nvidia: fn() -> FoundBoards) -> Self {
        Self { nvidia, ..self }
    }

    fn host(&self) -> Host {
        let cpu = Cpu {
            vendor: self.vendor.into(),
            family: 6,
            model: 207,
            stepping: 2,
            name: String::new(),
            virtual_machine: self.virtual_machine,
        };
        Host { sys: self.tree.sys().to_owned(), proc: self.tree.sys().join("proc"), cpu }
    }

    fn devices(&self) -> Devices {
        let events: Box<dyn EnergyEvents> = match &self.kernel {
            Some(kernel) => Box::new(kernel.clone()),
            None => Box::new(Forbidden),
        };
        Devices { events, nvidia: self.nvidia }
    }

    fn clock(&self) -> ManualClock {
        let (clock, kernel, files) = (ManualClock::new(), self.kernel.clone(), self.tree.spinner());
        clock.on_spin(move |duration| {
            kernel.iter().for_each(|kernel| kernel.run(duration));
            files(duration);
        });
        clock
    }

    fn diagnose(&self) -> Diagnosis {
        diagnose(&self.host(), self.devices(), &self.clock())
    }
}

/// No event may be opened.
struct Forbidden;

impl EnergyEvents for Forbidden {
    fn open(&mut self, kind: u32, config: u64, cpu: u32) -> io::Result<Box<dyn EnergyEvent>> {
        panic!("event {config} of unit {kind} was opened on CPU {cpu}");
    }
}

/// A board on which 5 ms pass between two looks.
struct Board {
    index: u16,
    /// Watts by its counter and by its sensor.
    counter: Result<f64, GpuError>,
    sensor: Result<f64, GpuError>,
    millijoules: f64,
    split: bool,
}

impl Board {
    fn boxed(index: u16, counter: Result<f64, GpuError>, sensor: Result<f64, GpuError>) -> Box<dyn GpuBoard> {
        Box::new(Self { index, counter, sensor, millijoules: 1e6, split: false })
    }
}

impl GpuBoard for Board {
    fn name(&self) -> String {
        format!("{}: scripted board", self.index)
    }
    fn index(&self) -> u16 {
        self.index
    }
    fn energy_millijoules(&mut self) -> Result<u64, GpuError> {
        self.millijoules += self.counter.clone()? * 5.0;
        Ok(self.millijoules as u64)
    }
    fn power_milliwatts(&mut self) -> Result<u64, GpuError> {
        self.sensor.clone().map(|watts| (watts * 1e3) as u64)
    }
    fn remarks(&self) -> Vec<String> {
        self.split.then(|| "split into instances (MIG)".to_owned()).into_iter().collect()
    }
}

fn many_boards() -> FoundBoards {
    let none = || Err(GpuError::NotSupported);
    Ok(vec![
        Board::boxed(0, Ok(250.0), Ok(250.0)),
        Board::boxed(1, none(), Ok(90.0)),
        Board::boxed(2, Err(GpuError::Lost), Err(GpuError::Lost)),
        Board::boxed(3, Ok(37.0), Ok(65.0)),
        Box::new(Board { index: 4, counter: Ok(100.0), sensor: none(), millijoules: 7.0, split: true }),
    ])
}

fn lost_board() -> FoundBoards {
    Ok(vec![Board::boxed(0, Err(GpuError::Lost), Err(GpuError::Lost))])
}

fn powercap(tree: &Tree) {
    tree.zone("intel-rapl:0", "package-0", 9, 60.0).zone("intel-rapl:0:0", "dram", 9, 4.0);
}

fn amd_board(tree: &Tree) {
    tree.at("class/hwmon/hwmon2/name", "amdgpu\n").counter_at("class/hwmon/hwmon2/power1_average", 200_000_000, 0.05);
    tree.at("class/hwmon/hwmon2/power1_cap", "300000000\n");
}

fn amd_sockets(tree: &Tree) {
    tree.at("class/hwmon/hwmon0/name", "amd_energy\n").at("class/hwmon/hwmon0/energy1_label", "Esocket0\n");
    tree.counter_at("class/hwmon/hwmon0/energy1_input", 5, 80.0);
}

fn in_place_of_the_counter(tree: &Tree) {
    tree.zone("intel-rapl:0", "package-0", 9, 60.0).remove("intel-rapl:0", "energy_uj");
    std::fs::create_dir(tree.folder("intel-rapl:0").join("energy_uj")).unwrap();
}

const ALIVE: [((u64, u32), f64); 2] = [((PACKAGE, 0), 60.0), ((MEMORY, 0), 4.0)];

/// Machines of every kind that the crate knows.
fn cases() -> Vec<Case> {
    let unit = |tree: &Tree| _ = tree.unit(&EVENTS, "0");
    let refused = Kernel::new(&ALIVE);
    refused.set(|state| state.refuse = Some(io::ErrorKind::PermissionDenied));
    vec![
        Case::guest("guest with the phantom").tree(unit),
        Case::guest("guest with powercap").tree(powercap),
        Case::guest("guest with dead powercap and unit").kernel(&[]).tree(unit).tree(|tree| {
            tree.zone("intel-rapl:0", "package-0", 9, 0.0);
        }),
        Case::guest("guest with nothing"),
        Case::new("powercap").tree(powercap),
        Case::new("powercap without memory").tree(|tree| _ = tree.zone("intel-rapl:0", "package-0", 9, 60.0)),
        Case::new("powercap with dead memory").tree(powercap).tree(|tree| tree.set_watts("intel-rapl:0:0", 0.0)),
        Case::new("powercap with psys").tree(powercap).tree(|tree| _ = tree.zone("intel-rapl:1", "psys", 9, 90.0)),
        Case::new("powercap with a twin").tree(powercap).tree(|tree| {
            tree.zone("intel-rapl-mmio:0", "package-0", 77, 60.0);
        }),
        Case::new("dead powercap").tree(|tree| _ = tree.zone("intel-rapl:0", "package-0", 77, 0.0)),
        Case::new("a folder for a counter").tree(in_place_of_the_counter),
        Case::new("perf alone").tree(unit).kernel(&ALIVE),
        Case::new("perf that counts nothing").tree(unit).kernel(&[]),
        Case { kernel: Some(refused), ..Case::new("perf refused").tree(unit) },
        Case::new("perf without packages").tree(|tree| _ = tree.unit(&[("energy-psys", 5)], "0")),
        Case::new("both").tree(powercap).tree(unit).kernel(&ALIVE),
        Case::new("both, which disagree").tree(powercap).tree(unit).kernel(&[((PACKAGE, 0), 20.0), ((MEMORY, 0), 4.0)]),
        Case::new("AMD sockets").tree(amd_sockets),
        Case::new("AMD sockets beside powercap").tree(amd_sockets).tree(powercap),
        Case::new("dead AMD sockets").tree(amd_sockets).tree(|tree| {
            tree.at("class/hwmon/hwmon0/energy1_input", "lots\n");
        }),
        Case::new("boards").tree(amd_board).boards(many_boards),
        Case::new("a lost board").tree(powercap).boards(lost_board),
        Case::new("a driver without boards").boards(|| Ok(Vec::new())),
        Case::new("an AMD board").tree(amd_board),
        Case::new("unknown sensors").tree(|tree| {
            tree.at("class/hwmon/hwmon1/name", "ina226\n").at("class/hwmon/hwmon1/power1_input", "7\n");
        }),
        Case { vendor: "arm-0x41", ..Case::new("Arm") },
        Case { vendor: "AuthenticAMD", ..Case::guest("AMD guest").tree(unit) },
        Case::new("without load and memory").tree(|tree| std::fs::remove_dir_all(tree.sys().join("proc")).unwrap()),
        Case::new("nothing at all").tree(|tree| {
            std::fs::remove_dir_all(tree.sys().join("proc")).unwrap();
            std::fs::remove_dir_all(tree.sys().join("class")).unwrap();
        }),
    ]
}

#[track_caller]
fn case(name: &str) -> Diagnosis {
    cases().into_iter().find(|case| case.name == name).unwrap().diagnose()
}

#[track_caller]
fn of(diagnosis: &Diagnosis, source: Interface) -> &Finding {
    diagnosis.findings.iter().find(|finding| finding.source == source).unwrap()
}

#[track_caller]
fn holds(text: &str, expected: &[&str]) {
    for expected in expected {
        assert!(text.contains(expected), "`{expected}` is missing in: {text}");
    }
}

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

#[test]
fn each_board_is_told_apart() {
    let diagnosis = case("boards");
    let boards: Vec<&Finding> =
        diagnosis.findings.iter().filter(|finding| finding.source == Interface::NvidiaBoards).collect();
    let states: Vec<(InterfaceState, bool)> = boards.iter().map(|board| (board.state, board.used)).collect();
    let (works, not) = ((InterfaceState::Measures, true), (InterfaceState::Dead, false));
    assert_eq!(states, [works, works, not, works, works]);
    assert_eq!(boards[2].covers, "2: scripted board");
    for (board, expected) in boards.iter().zip(["energy counter, renewed every 5", "power, sampled", "board lost"]) {
        holds(&board.why, &[expected]);
    }
    holds(&boards[1].notes.join("\n"), &["no energy counter (not supported by this board)"]);
    holds(&boards[3].notes.join("\n"), &["energy counter (37.0 W) and power sensor (65.0 W) disagree"]);
    holds(&boards[4].notes.join("\n"), &["MIG"]);
    // AMD's come behind, with the next number.
    let amd = of(&diagnosis, Interface::AmdBoards);
    assert_eq!((amd.state, amd.used), works);
    holds(&amd.covers, &["5: AMD board at hwmon2"]);
    holds(&diagnosis.verdict.sentence, &["the processor can only be modeled here", "5 GPUs measured"]);

    let lost = case("a lost board");
    assert_eq!(of(&lost, Interface::NvidiaBoards).state, InterfaceState::Dead);
    assert_eq!(lost.verdict.boards, None);
}

#[test]
fn a_board_on_the_bus_without_a_driver_is_noticed() {
    for (maker, class, source, expected) in [
        ("0x10de", "0x030200", Interface::NvidiaBoards, cfg!(feature = "nvml").then_some("nvidia-smi")),
        ("0x1002", "0x120000", Interface::AmdBoards, Some("modprobe amdgpu")),
        // A sound controller of the same maker is no board.
        ("0x1002", "0x040300", Interface::AmdBoards, None),
    ] {
        let case = Case::new("bus").tree(|tree| {
            let device = "bus/pci/devices/0000:01:00.0";
            tree.at(&format!("{device}/vendor"), &format!("{maker}\n"));
            tree.at(&format!("{device}/class"), &format!("{class}\n"));
        });
        let diagnosis = case.diagnose();
        let finding = of(&diagnosis, source);
        assert_eq!(finding.state, InterfaceState::Absent);
        match expected {
            Some(expected) => holds(finding.remedy.as_ref().unwrap(), &[expected]),
            None => assert!(finding.source != Interface::AmdBoards || finding.remedy.is_none(), "{finding:?}"),
        }
    }
}

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
