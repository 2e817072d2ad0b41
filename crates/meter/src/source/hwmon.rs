//! Hardware monitors of Linux: sensors of known devices, by the name of their driver.
//!
//! - `amdgpu`: the power of an AMD GPU, which needs no library;
//! - `amd_energy`: energy counters of AMD sockets, where powercap and perf show none. The counters
//!   of its cores lie inside the sockets and are never added.
//!
//! Stated error of the sockets: ±10 %, as for the packages of powercap; a guess by analogy, for
//! nothing is published of this driver.
//!
//! A power that is one number for two seconds is that of a dead sensor: the noise of a living one is some
//! milliwatts at least, and its file has microwatts.
//!
//! Whatever else shows energy or power is named and not counted: what such a sensor covers, and
//! whether it contains another, its driver alone knows.

use std::path::{Path, PathBuf};

use super::gate::{Gate, Origin, Reader};
use super::zones::{Domain, MICROJOULE, Zone};
use super::{Description, GpuBoard, GpuError, Liveness, RawReading, Reading, Source, SourceError, files};
use crate::clock::{Clock, Moment};
use crate::estimate::Spread;
use crate::quantity::Watts;

/// The source of AMD's socket counters.
pub struct Hwmon {
    gate: Gate,
}

/// One monitor: its number, its driver's name and its folder.
struct Monitor {
    number: u32,
    name: String,
    folder: PathBuf,
}

const AMD_ENERGY: &str = "amd_energy";
const AMD_BOARD: &str = "amdgpu";
/// Inputs of one kind that a monitor may have; AMD's largest processors show a few hundred.
const MOST_INPUTS: u32 = 2048;

impl Hwmon {
    /// Finds the socket counters below a sysfs root (`/sys`). In a virtual machine their numbers
    /// are at best apportioned.
    ///
    /// # Errors
    /// If there are none.
    pub fn open(sys: &Path, virtual_machine: bool) -> Result<Self, SourceError> {
        let counters = socket_counters(sys);
        if counters.is_empty() {
            let what = sys.join("class/hwmon").display().to_string();
            return Err(SourceError::Nothing { what, reason: format!("no socket counter of {AMD_ENERGY} there") });
        }
        let counters =
            counters.into_iter().map(|(zone, path)| (zone, Box::new(move || files::number(&path)) as Reader)).collect();
        Ok(Self { gate: Gate::new(counters, Origin::Boot, Vec::new(), virtual_machine) })
    }
}

impl Source for Hwmon {
    fn describe(&self) -> Description {
        self.gate.describe(AMD_ENERGY, "whole processor sockets, with everything that runs on them")
    }

    fn probe(&mut self, clock: &dyn Clock) -> Liveness {
        self.gate.probe(clock)
    }

    fn read(&mut self, now: Moment) -> Result<Reading, SourceError> {
        Ok(self.gate.read(now))
    }

    fn raw_readings(&mut self) -> Vec<RawReading> {
        self.gate.raw_readings()
    }
}

/// The socket counters of AMD's monitor below a sysfs root, with their files.
pub(crate) fn socket_counters(sys: &Path) -> Vec<(Zone, PathBuf)> {
    let mut counters = Vec::new();
    for monitor in monitors(sys).into_iter().filter(|monitor| monitor.name == AMD_ENERGY) {
        for input in 1..=MOST_INPUTS {
            let Ok(label) = files::text(&monitor.folder.join(format!("energy{input}_label"))) else { break };
            let Some(socket) = label.strip_prefix("Esocket") else { continue };
            let zone = Zone {
                id: format!("hwmon{}/energy{input}", monitor.number),
                name: format!("socket-{socket}"),
                domain: Domain::Package,
                mapped: false,
                unit: MICROJOULE,
                // The driver adds the registers up in 64 bits.
                range: None,
                design: None,
            };
            counters.push((zone, monitor.folder.join(format!("energy{input}_input"))));
        }
    }
    counters
}

/// The AMD GPUs below a sysfs root (`/sys`), numbered from `first` on, and remarks
/// about those that are left out.
pub fn amd_boards(sys: &Path, first: u16) -> (Vec<Box<dyn GpuBoard>>, Vec<String>) {
    let (mut boards, mut remarks): (Vec<Box<dyn GpuBoard>>, _) = (Vec::new(), Vec::new());
    for monitor in monitors(sys).into_iter().filter(|monitor| monitor.name == AMD_BOARD) {
        let place = format!("hwmon{}", monitor.number);
        let sensor = ["power1_average", "power1_input"].iter().map(|name| monitor.folder.join(name));
        let Some(power) = sensor.into_iter().find(|path| path.exists()) else {
            remarks.push(format!("{place} `{AMD_BOARD}` reports no power: not counted"));
            continue;
        };
        // A board of its own has a limit that can be set. Where there is none, the graphics are part
        // of the processor, and so is their power.
        let cap = monitor.folder.join("power1_cap");
        if !cap.exists() {
            remarks.push(format!("{place} `{AMD_BOARD}` has no power cap, so it is part of a processor: not counted"));
            continue;
        }
        let index = boards.len().try_into().ok().and_then(|more| first.checked_add(more));
        let Some(index) = index else { break };
        boards.push(Box::new(AmdBoard {
            index,
            place,
            power,
            cap,
            busy: monitor.folder.join("device/gpu_busy_percent"),
        }));
    }
    (boards, remarks)
}

/// Monitors below a sysfs root (`/sys`) that show energy or power and are not counted, because
/// what they cover is not known here.
pub fn unknown_sensors(sys: &Path) -> Vec<String> {
    let known = [AMD_ENERGY, AMD_BOARD];
    let mut remarks = Vec::new();
    for Monitor { number, name, folder } in monitors(sys) {
        if known.contains(&name.as_str()) {
            continue;
        }
        let files = std::fs::read_dir(&folder).into_iter().flatten().flatten();
        let names = files.filter_map(|entry| entry.file_name().into_string().ok());
        let mut sensors: Vec<String> = names.filter(|name| is_sensor(name)).collect();
        sensors.sort();
        if !sensors.is_empty() {
            let sensors = sensors.join(", ");
            remarks
                .push(format!("hwmon{number} `{name}` shows {sensors}: what it covers is not known, so not counted"));
        }
    }
    remarks
}

/// Whether a file is `energyN_input`, `powerN_input` or `powerN_average`.
fn is_sensor(name: &str) -> bool {
    let Some((kind, what)) = name.split_once('_') else { return false };
    let numbered = |prefix: &str| {
        kind.strip_prefix(prefix).is_some_and(|n| !n.is_empty() && n.bytes().all(|byte| byte.is_ascii_digit()))
    };
    (numbered("energy") && what == "input") || (numbered("power") && matches!(what, "input" | "average"))
}

/// All monitors with a name, in the order of their numbers.
fn monitors(sys: &Path) -> Vec<Monitor> {
    let folders = std::fs::read_dir(sys.join("class/hwmon")).into_iter().flatten().flatten();
    let mut monitors: Vec<Monitor> = folders
        .filter_map(|entry| {
            let number = entry.file_name().to_str()?.strip_prefix("hwmon")?.parse().ok()?;
            let folder = entry.path();
            let name = files::text(&folder.join("name")).ok().filter(|name| !name.is_empty())?;
            Some(Monitor { number, name, folder })
        })
        .collect();
    monitors.sort_by_key(|monitor| monitor.number);
    monitors
}

struct AmdBoard {
    index: u16,
    place: String,
    power: PathBuf,
    cap: PathBuf,
    busy: PathBuf,
}

impl GpuBoard for AmdBoard {
    fn name(&self) -> String {
        format!("{}: AMD board at {}", self.index, self.place)
    }

    fn index(&self) -> u16 {
        self.index
    }

    fn energy_millijoules(&mut self) -> Result<u64, GpuError> {
        Err(GpuError::NotSupported)
    }

    fn power_milliwatts(&mut self) -> Result<u64, GpuError> {
        let microwatts = files::number(&self.power).map_err(|error| GpuError::Driver(error.to_string()))?;
        Ok(microwatts / 1000)
    }

    fn limit(&mut self) -> Option<Watts> {
        let microwatts = files::number(&self.cap).ok().filter(|microwatts| *microwatts > 0)?;
        Some(Watts::raw(microwatts as f64 * 1e-6))
    }

    // No figure is published: twice that of NVIDIA's sensors, as a cautious guess.
    fn spread(&self) -> Spread {
        Spread::relative(0.10)
    }

    fn must_waver(&self) -> bool {
        true
    }

    fn utilization(&mut self) -> Option<f64> {
        files::number(&self.busy).ok().filter(|percent| *percent <= 100).map(|percent| percent as f64 / 100.0)
    }

    fn remarks(&self) -> Vec<String> {
        vec!["the error of its power sensor is not published: ±10 % is a guess".to_owned()]
    }
}
