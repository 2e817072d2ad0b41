//! Perf events over a fake unit and scripted counters.

use std::collections::BTreeMap;
use std::io;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use attar_meter::source::{
    Component, Cpu, Devices, Domains, EnergyEvent, EnergyEvents, GpuChoice, Liveness, PerfEnergy, Reading, Scope,
    Selection, Source, SourceChoice, select_with,
};
use attar_meter::{Clock, GapKind, Host, ManualClock, Method};

use crate::tree::Tree;

const SECOND: Duration = Duration::from_secs(1);
pub(crate) const PACKAGE: u64 = 2;
pub(crate) const MEMORY: u64 = 3;
const PLATFORM: u64 = 5;
pub(crate) const EVENTS: [(&str, u64); 5] = [
    ("energy-cores", 1),
    ("energy-pkg", PACKAGE),
    ("energy-ram", MEMORY),
    ("energy-gpu", 4),
    ("energy-psys", PLATFORM),
];

/// A kernel whose counters draw scripted watts, by event and processor.
#[derive(Clone, Default)]
pub(crate) struct Kernel(Arc<Mutex<State>>);

#[derive(Default)]
pub(crate) struct State {
    watts: BTreeMap<(u64, u32), f64>,
    joules: BTreeMap<(u64, u32), f64>,
    opened: Vec<(u64, u32)>,
    pub(crate) refuse: Option<io::ErrorKind>,
    failing: bool,
}

struct Event(Kernel, (u64, u32));

impl EnergyEvents for Kernel {
    fn open(&mut self, kind: u32, config: u64, cpu: u32) -> io::Result<Box<dyn EnergyEvent>> {
        assert_eq!(kind, 21);
        let mut state = self.0.lock().unwrap();
        state.opened.push((config, cpu));
        if let Some(kind) = state.refuse {
            return Err(kind.into());
        }
        state.joules.insert((config, cpu), 0.0);
        Ok(Box::new(Event(self.clone(), (config, cpu))))
    }
}

impl EnergyEvent for Event {
    fn read(&mut self) -> io::Result<u64> {
        let state = self.0.0.lock().unwrap();
        if state.failing {
            return Err(io::ErrorKind::Interrupted.into());
        }
        Ok((state.joules[&self.1] * 2f64.powi(32)) as u64)
    }
}

impl Kernel {
    pub(crate) fn new(watts: &[((u64, u32), f64)]) -> Self {
        let kernel = Self::default();
        kernel.0.lock().unwrap().watts = watts.iter().copied().collect();
        kernel
    }

    pub(crate) fn set(&self, act: impl FnOnce(&mut State)) {
        act(&mut self.0.lock().unwrap());
    }

    fn opened(&self) -> Vec<(u64, u32)> {
        self.0.lock().unwrap().opened.clone()
    }

    pub(crate) fn run(&self, duration: Duration) {
        self.set(|state| {
            for (event, joules) in &mut state.joules {
                *joules += state.watts.get(event).unwrap_or(&0.0) * duration.as_secs_f64();
            }
        });
    }

    fn clock(&self) -> ManualClock {
        let (clock, kernel) = (ManualClock::new(), self.clone());
        clock.on_spin(move |duration| kernel.run(duration));
        clock
    }

    fn pass(&self, clock: &ManualClock, duration: Duration) {
        clock.advance(duration, duration);
        self.run(duration);
    }
}

fn host(tree: &Tree, vendor: &str, virtual_machine: bool) -> Host {
    tree.at("proc/stat", "cpu 1 0 0 1\ncpu0 1 0 0 1\n").at("proc/meminfo", "MemTotal: 8000000 kB\n");
    tree.at("proc/sys/kernel/perf_event_paranoid", "2\n");
    let cpu = Cpu { vendor: vendor.into(), family: 6, model: 207, stepping: 2, name: String::new(), virtual_machine };
    Host { sys: tree.sys().to_owned(), proc: tree.sys().join("proc"), cpu }
}

fn open(tree: &Tree, kernel: &Kernel) -> Result<PerfEnergy, String> {
    let host = host(tree, "GenuineIntel", false);
    PerfEnergy::open(&host, &mut kernel.clone(), Domains::PackagesAndMemory).map_err(|error| error.to_string())
}

fn joules(reading: &Reading) -> Vec<(Component, f64)> {
    // Counts are cut off, never rounded.
    reading.parts.iter().map(|part| (part.component, (part.energy.value().get() * 1e3).round() / 1e3)).collect()
}

fn two_sockets() -> (Tree, Kernel) {
    let tree = Tree::new();
    tree.unit(&EVENTS, "0,28");
    let watts = [((PACKAGE, 0), 60.0), ((PACKAGE, 28), 61.0), ((MEMORY, 0), 4.0), ((MEMORY, 28), 5.0)];
    (tree, Kernel::new(&watts))
}

fn chosen(tree: &Tree, kernel: &Kernel, virtual_machine: bool, clock: &ManualClock) -> Selection {
    let devices = Devices { events: Box::new(kernel.clone()), nvidia: || Err("no NVIDIA driver".to_owned()) };
    let host = host(tree, "GenuineIntel", virtual_machine);
    select_with(devices, SourceChoice::Auto, &GpuChoice::All, Scope::Machine, &host, clock)
}

#[test]
fn packages_and_memory_count_once_a_socket_and_nothing_inside_them() {
    let (tree, kernel) = two_sockets();
    let (mut perf, clock) = (open(&tree, &kernel).unwrap(), kernel.clock());
    assert_eq!(perf.probe(&clock), Liveness::Alive);
    assert_eq!(perf.read(clock.now()).unwrap(), Reading::default());
    kernel.pass(&clock, SECOND * 10);
    let expected = [
        (Component::Cpu(0), 600.0),
        (Component::Cpu(1), 610.0),
        (Component::Memory(0), 40.0),
        (Component::Memory(1), 50.0),
    ];
    assert_eq!(joules(&perf.read(clock.now()).unwrap()), expected);
    assert_eq!(kernel.opened(), [(PACKAGE, 0), (PACKAGE, 28), (MEMORY, 0), (MEMORY, 28)]);
    let description = perf.describe();
    assert_eq!((description.name.as_str(), description.method), ("perf", Method::Measured));
    assert_eq!(description.notes, Vec::<String>::new());
}

#[test]
fn the_platform_is_opened_only_when_asked_for() {
    let (tree, kernel) = two_sockets();
    kernel.set(|state| _ = state.watts.insert((PLATFORM, 0), 200.0));
    let host = host(&tree, "GenuineIntel", false);
    let mut perf = PerfEnergy::open(&host, &mut kernel.clone(), Domains::Platform).unwrap();
    let clock = kernel.clock();
    assert_eq!(perf.probe(&clock), Liveness::Alive);
    perf.read(clock.now()).unwrap();
    kernel.pass(&clock, SECOND);
    assert_eq!(joules(&perf.read(clock.now()).unwrap()), [(Component::Machine, 200.0)]);
    assert_eq!(kernel.opened(), [(PLATFORM, 0)]);
}

#[test]
fn a_fall_is_a_reset_never_a_wrap() {
    let (tree, kernel) = two_sockets();
    let (mut perf, clock) = (open(&tree, &kernel).unwrap(), kernel.clock());
    perf.probe(&clock);
    kernel.pass(&clock, SECOND * 10);
    perf.read(clock.now()).unwrap();
    kernel.set(|state| _ = state.joules.insert((PACKAGE, 0), 0.0));
    kernel.pass(&clock, SECOND);
    let reading = perf.read(clock.now()).unwrap();
    assert_eq!((reading.gaps[0].kind, reading.gaps[0].of.as_str()), (GapKind::Reset, "cpu0"));
    assert_eq!(reading.parts[0].energy.value().get(), 0.0);
    assert!(reading.parts[0].energy.high().get() > 0.0);
}

#[test]
fn a_failed_read_loses_nothing() {
    let (tree, kernel) = two_sockets();
    let (mut perf, clock) = (open(&tree, &kernel).unwrap(), kernel.clock());
    perf.probe(&clock);
    perf.read(clock.now()).unwrap();
    kernel.pass(&clock, SECOND);
    kernel.set(|state| state.failing = true);
    let reading = perf.read(clock.now()).unwrap();
    assert!(reading.parts.is_empty() && reading.gaps.iter().all(|gap| gap.kind == GapKind::ReadFailed));
    assert!(
        reading.gaps[0].detail.starts_with("cannot read perf event power/energy-pkg/ on CPU 0"),
        "{}",
        reading.gaps[0]
    );
    kernel.set(|state| state.failing = false);
    kernel.pass(&clock, SECOND);
    assert_eq!(joules(&perf.read(clock.now()).unwrap())[0], (Component::Cpu(0), 120.0));
}

#[test]
fn a_phantom_is_dead() {
    let (tree, kernel) = two_sockets();
    kernel.set(|state| _ = state.watts.insert((PACKAGE, 28), 0.0));
    let reason = match open(&tree, &kernel).unwrap().probe(&kernel.clock()) {
        Liveness::Dead(reason) => reason,
        Liveness::Alive => panic!("alive"),
    };
    assert_eq!(reason, "package-1 did not change while a core was busy");
}

#[test]
fn a_guest_without_powercap_opens_nothing() {
    let (tree, kernel) = two_sockets();
    for domains in [Domains::PackagesAndMemory, Domains::Platform] {
        let error = PerfEnergy::open(&host(&tree, "GenuineIntel", true), &mut kernel.clone(), domains).err().unwrap();
        assert!(error.to_string().contains("in a virtual machine without powercap its events are phantoms"), "{error}");
    }
    let selection = chosen(&tree, &kernel, true, &kernel.clock());
    assert!(kernel.opened().is_empty());
    assert_eq!(selection.sources[0].describe().method, Method::Modeled);
    // With powercap the hypervisor shows something: at best a share.
    tree.zone("intel-rapl:0", "package-0", 0, 0.0);
    let selection = chosen(&tree, &kernel, true, &kernel.clock());
    assert_eq!(selection.sources[0].describe().method, Method::Apportioned);
}

#[test]
fn a_refusal_names_what_would_change_it() {
    let (tree, kernel) = two_sockets();
    kernel.set(|state| state.refuse = Some(io::ErrorKind::PermissionDenied));
    let error = open(&tree, &kernel).err().unwrap();
    for expected in [
        "cannot open perf event power/energy-pkg/ on CPU 0: permission denied",
        "CAP_PERFMON",
        "(it is 2)",
        "sudo sysctl kernel.perf_event_paranoid=0",
    ] {
        assert!(error.contains(expected), "{expected} is missing in {error}");
    }
    let reasons = chosen(&tree, &kernel, false, &kernel.clock()).reasons.join("\n");
    assert!(reasons.contains("nor perf: cannot open") && reasons.contains("sudo sysctl"), "{reasons}");
}

#[test]
fn spoiled_files_of_the_unit_are_named() {
    const UNIT: &str = "bus/event_source/devices/power";
    for (file, content, expected) in [
        ("type", "", "a whole number"),
        ("type", "99999999999", "a 32-bit number"),
        ("cpumask", "", "a list of processors"),
        ("cpumask", "3-1", "a list of processors"),
        ("cpumask", "0-4294967295", "a list of processors"),
        ("events/energy-pkg", "", "`event=`"),
        ("events/energy-pkg", "event=0x02,umask=0x1", "`event=`"),
        ("events/energy-pkg", "event=zwei", "`event=`"),
        ("events/energy-pkg", "event=0xffff", "`event=`"),
        ("events/energy-pkg.unit", "Watts", "`Joules`"),
        ("events/energy-pkg.scale", "nan", "a number above 0"),
        ("events/energy-pkg.scale", "-1", "a number above 0"),
        ("events/energy-pkg.scale", "1e300", "a number above 0"),
    ] {
        let (tree, kernel) = two_sockets();
        tree.at(&format!("{UNIT}/{file}"), content);
        let error = open(&tree, &kernel).err().unwrap();
        assert!(error.contains(&format!("{file} must hold {expected}")), "{file} `{content}`: {error}");
        assert!(kernel.opened().is_empty());
    }
    let tree = Tree::new();
    assert!(open(&tree, &Kernel::default()).err().unwrap().contains("no such folder"));
    tree.unit(&[("energy-psys", PLATFORM)], "0");
    assert!(open(&tree, &Kernel::default()).err().unwrap().contains("no event energy-pkg there"));
}

#[test]
fn memory_that_cannot_be_opened_is_left_to_the_model() {
    let (tree, kernel) = two_sockets();
    tree.at("bus/event_source/devices/power/events/energy-ram.unit", "Cubits");
    let (mut perf, clock) = (open(&tree, &kernel).unwrap(), kernel.clock());
    assert_eq!(perf.probe(&clock), Liveness::Alive);
    assert_eq!(perf.describe().components, [Component::Cpu(0), Component::Cpu(1)]);
    assert!(perf.describe().notes[0].starts_with("memory not counted"), "{:?}", perf.describe().notes);
}

#[test]
fn dies_of_one_amd_package_count_once_and_those_of_intel_each() {
    let topology = |tree: &Tree| {
        for cpu in [0, 28] {
            tree.at(&format!("devices/system/cpu/cpu{cpu}/topology/physical_package_id"), "0\n");
        }
    };
    for (vendor, expected) in [("AuthenticAMD", 1), ("GenuineIntel", 2)] {
        let (tree, kernel) = two_sockets();
        topology(&tree);
        let host = host(&tree, vendor, false);
        let mut perf = PerfEnergy::open(&host, &mut kernel.clone(), Domains::PackagesAndMemory).unwrap();
        assert_eq!(perf.probe(&kernel.clock()), Liveness::Alive);
        assert_eq!(perf.describe().components.len(), expected * 2, "{vendor}");
    }
}

#[test]
fn powercap_comes_first_and_is_compared() {
    for (watts, apart) in [(60.0, false), (63.0, false), (20.0, true)] {
        let tree = Tree::new();
        tree.unit(&EVENTS, "0").zone("intel-rapl:0", "package-0", 9, 60.0).zone("intel-rapl:0:0", "dram", 9, 4.0);
        let kernel = Kernel::new(&[((PACKAGE, 0), watts), ((MEMORY, 0), 4.0)]);
        let clock = ManualClock::new();
        let (both, files) = (kernel.clone(), tree.spinner());
        clock.on_spin(move |duration| {
            both.run(duration);
            files(duration);
        });
        let selection = chosen(&tree, &kernel, false, &clock);
        assert_eq!(selection.sources[0].describe().name, "powercap");
        let reasons = selection.reasons.join("\n");
        let said = reasons.contains("powercap (60.0 W) and perf (20.0 W) disagree; powercap is used");
        assert_eq!(said, apart, "{reasons}");
    }
}

#[test]
fn perf_stands_in_where_powercap_is_dead_or_not_there() {
    for powercap in [false, true] {
        let (tree, kernel) = two_sockets();
        if powercap {
            tree.zone("intel-rapl:0", "package-0", 77, 0.0);
        }
        let selection = chosen(&tree, &kernel, false, &kernel.clock());
        let names: Vec<String> = selection.sources.iter().map(|source| source.describe().name).collect();
        assert_eq!(names, ["perf"], "{:?}", selection.reasons);
        let reasons = selection.reasons.join("\n");
        let expected = if powercap { "package-0 did not change" } else { "no package zone there" };
        assert!(reasons.contains("not powercap") && reasons.contains(expected), "{reasons}");
    }
}
