//! Machines of every kind that the crate knows, as trees of files with their kernel and boards.

use std::io;

use attar_meter::doctor::{Diagnosis, Finding, Interface, diagnose};
use attar_meter::source::{Cpu, Devices, EnergyEvent, EnergyEvents, FoundBoards, GpuBoard, GpuError};
use attar_meter::{Host, ManualClock};

use crate::perf::{EVENTS, Kernel, MEMORY, PACKAGE};
use crate::tree::Tree;

/// A machine: its files, its kernel, its boards.
pub(super) struct Case {
    pub(super) name: &'static str,
    pub(super) tree: Tree,
    pub(super) kernel: Option<Kernel>,
    pub(super) nvidia: fn() -> FoundBoards,
    pub(super) virtual_machine: bool,
    /// `GenuineIntel` if not set.
    pub(super) vendor: &'static str,
}

impl Case {
    pub(super) fn new(name: &'static str) -> Self {
        let nvidia = || Err("no NVIDIA driver".to_owned());
        let case =
            Self { name, tree: Tree::new(), kernel: None, nvidia, virtual_machine: false, vendor: "GenuineIntel" };
        case.tree
            .at("proc/stat", "cpu 1 0 0 1\ncpu0 1 0 0 1\ncpu1 1 0 0 1\n")
            .at("proc/meminfo", "MemTotal: 8000000 kB\n");
        case.tree.at("proc/sys/kernel/perf_event_paranoid", "4\n").at("proc/self/task/1/children", "");
        case
    }

    pub(super) fn guest(name: &'static str) -> Self {
        Self { virtual_machine: true, ..Self::new(name) }
    }

    pub(super) fn tree(self, act: impl FnOnce(&Tree)) -> Self {
        act(&self.tree);
        self
    }

    pub(super) fn kernel(self, watts: &[((u64, u32), f64)]) -> Self {
        Self { kernel: Some(Kernel::new(watts)), ..self }
    }

    pub(super) fn boards(self, nvidia: fn() -> FoundBoards) -> Self {
        Self { nvidia, ..self }
    }

    pub(super) fn host(&self) -> Host {
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

    pub(super) fn devices(&self) -> Devices {
        let events: Box<dyn EnergyEvents> = match &self.kernel {
            Some(kernel) => Box::new(kernel.clone()),
            None => Box::new(Forbidden),
        };
        Devices { events, nvidia: self.nvidia }
    }

    pub(super) fn clock(&self) -> ManualClock {
        let (clock, kernel, files) = (ManualClock::new(), self.kernel.clone(), self.tree.spinner());
        clock.on_spin(move |duration| {
            kernel.iter().for_each(|kernel| kernel.run(duration));
            files(duration);
        });
        clock
    }

    pub(super) fn diagnose(&self) -> Diagnosis {
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

pub(super) fn powercap(tree: &Tree) {
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
pub(super) fn cases() -> Vec<Case> {
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
pub(super) fn case(name: &str) -> Diagnosis {
    cases().into_iter().find(|case| case.name == name).unwrap().diagnose()
}

#[track_caller]
pub(super) fn of(diagnosis: &Diagnosis, source: Interface) -> &Finding {
    diagnosis.findings.iter().find(|finding| finding.source == source).unwrap()
}

#[track_caller]
pub(super) fn holds(text: &str, expected: &[&str]) {
    for expected in expected {
        assert!(text.contains(expected), "`{expected}` is missing in: {text}");
    }
}
