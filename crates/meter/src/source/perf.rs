//! Running average power limit (RAPL) counters through perf events: the unit `power` of the kernel.
//!
//! The kernel extends the registers to 64 bits and hands them out in one system call, which costs
//! less than a file. What is summed is what powercap sums: packages and their memory, never the
//! cores inside a package. The stated error is that of the registers, as for powercap.
//!
//! In a virtual machine without powercap nothing is opened: there `energy-psys` is a phantom that
//! opens, counts 0.00 J forever and floods the kernel log.

use std::collections::BTreeSet;
use std::path::Path;

use super::events::EnergyEvents;
use super::gate::{Gate, Origin, Reader};
use super::zones::{self, Domain, Zone};
use super::{Description, Domains, Liveness, RawReading, Reading, Source, SourceError, files, proc};
use crate::clock::{Clock, Moment};
use crate::host::Host;
use crate::quantity::Joules;

/// The source of perf events.
pub struct PerfEnergy {
    pub(super) gate: Gate,
}

/// The folder of the unit, below a sysfs root.
const UNIT: &str = "bus/event_source/devices/power";
/// No machine has more processors; a mask that says so is not one.
const MOST_CPUS: u32 = 1 << 16;

impl PerfEnergy {
    /// Finds the unit `power` of a machine and opens its events.
    ///
    /// # Errors
    /// If there is no such unit or event, if its files hold something else, if an event is refused
    /// (with the command that would change it), or in a virtual machine without powercap.
    pub fn open(host: &Host, events: &mut dyn EnergyEvents, domains: Domains) -> Result<Self, SourceError> {
        let unit = host.sys.join(UNIT);
        let nothing =
            |reason: &str| SourceError::Nothing { what: unit.display().to_string(), reason: reason.to_owned() };
        if !is_there(host) {
            return Err(nothing("no such folder"));
        }
        if is_phantom(host) {
            return Err(nothing("not opened: in a virtual machine without powercap its events are phantoms"));
        }
        let kind = files::number(&unit.join("type"))?;
        let kind = u32::try_from(kind)
            .map_err(|_| files::content(&unit.join("type"), "a 32-bit number", &kind.to_string()))?;
        let (mut cpus, mut remarks) = (cpus(&unit)?, Vec::new());
        if domains == Domains::Platform {
            // One platform, whichever processor is asked.
            cpus.truncate(1);
        } else if host.cpu.vendor != "GenuineIntel" {
            cpus = one_a_package(&host.sys, cpus, &mut remarks);
        }

        let mut counters = Vec::new();
        let wanted: &[(&[&str], Domain)] = match domains {
            Domains::PackagesAndMemory => {
                &[(&["energy-pkg"], Domain::Package), (&["energy-ram", "energy-dram"], Domain::Dram)]
            }
            Domains::Platform => &[(&["energy-psys"], Domain::Psys)],
        };
        for (names, domain) in wanted {
            let Some(name) = names.iter().find(|name| unit.join("events").join(name).exists()) else {
                if *domain == Domain::Dram {
                    continue;
                }
                return Err(nothing(&format!("no event {} there", names[0])));
            };
            match open_all(&unit, name, *domain, kind, &cpus, events, host) {
                Ok(more) => counters.extend(more),
                Err(error) if *domain == Domain::Dram => remarks.push(format!("memory not counted: {error}")),
                Err(error) => return Err(error),
            }
        }
        Ok(Self { gate: Gate::new(counters, Origin::Opening, remarks, host.cpu.virtual_machine) })
    }
}

impl Source for PerfEnergy {
    fn describe(&self) -> Description {
        self.gate.describe("perf", "whole processor packages, with everything that runs on them")
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

/// Whether the unit is there, but its events would count nothing forever: in a virtual machine
/// without powercap.
pub(crate) fn is_phantom(host: &Host) -> bool {
    let powercap = || zones::find(&host.sys).is_ok_and(|(zones, _)| !zones.is_empty());
    host.cpu.virtual_machine && is_there(host) && !powercap()
}

/// Whether the kernel shows the unit.
pub(crate) fn is_there(host: &Host) -> bool {
    host.sys.join(UNIT).is_dir()
}

/// One event on every processor of the mask.
fn open_all(
    unit: &Path,
    name: &str,
    domain: Domain,
    kind: u32,
    cpus: &[u32],
    events: &mut dyn EnergyEvents,
    host: &Host,
) -> Result<Vec<(Zone, Reader)>, SourceError> {
    let (config, joules) = event(unit, name)?;
    let mut counters = Vec::new();
    for (package, &cpu) in cpus.iter().enumerate() {
        let full = format!("power/{name}/");
        let mut open = events.open(kind, config, cpu).map_err(|error| {
            let way_out = way_out(&error, host);
            SourceError::Event { action: "open", event: full.clone(), cpu, error, way_out }
        })?;
        let zone = Zone {
            id: format!("{full} on CPU {cpu}"),
            name: match domain {
                Domain::Psys => "psys".to_owned(),
                Domain::Package => format!("package-{package}"),
                Domain::Dram => format!("package-{package}/dram"),
            },
            domain,
            mapped: false,
            unit: joules,
            range: None,
            design: None,
        };
        let reader = move || {
            open.read().map_err(|error| SourceError::Event {
                action: "read",
                event: full.clone(),
                cpu,
                error,
                way_out: String::new(),
            })
        };
        counters.push((zone, Box::new(reader) as Reader));
    }
    Ok(counters)
}

/// The number of an event and the energy of one count.
fn event(unit: &Path, name: &str) -> Result<(u64, Joules), SourceError> {
    // Other fields than the plain number would need their place in the unit's format.
    const EVENT: &str = "`event=` and a hexadecimal number";
    let path = unit.join("events").join(name);
    let text = files::text(&path)?;
    let number = text.strip_prefix("event=").and_then(|number| {
        let digits = number.strip_prefix("0x").unwrap_or(number);
        u64::from_str_radix(digits, 16).ok().filter(|number| *number <= 0xff)
    });
    let number = number.ok_or_else(|| files::content(&path, EVENT, &text))?;

    let path = unit.join("events").join(format!("{name}.unit"));
    let text = files::text(&path)?;
    if text != "Joules" {
        return Err(files::content(&path, "`Joules`", &text));
    }
    let path = unit.join("events").join(format!("{name}.scale"));
    let text = files::text(&path)?;
    let scale = text.parse().ok().filter(|scale: &f64| *scale > 0.0 && *scale <= 1.0);
    let scale = scale.ok_or_else(|| files::content(&path, "a number above 0 and up to 1", &text))?;
    Ok((number, Joules::raw(scale)))
}

/// The processors on which the unit is to be read: one for each package.
fn cpus(unit: &Path) -> Result<Vec<u32>, SourceError> {
    let path = unit.join("cpumask");
    let text = files::text(&path)?;
    let refused = || files::content(&path, "a list of processors such as `0,28` or `0-1`", &text);
    let mut cpus = BTreeSet::new();
    for part in text.split(',') {
        let (first, last) = part.split_once('-').unwrap_or((part, part));
        let (Ok(first), Ok(last)) = (first.trim().parse::<u32>(), last.trim().parse::<u32>()) else {
            return Err(refused());
        };
        if first > last || last >= MOST_CPUS {
            return Err(refused());
        }
        cpus.extend(first..=last);
    }
    Ok(cpus.into_iter().collect())
}

/// Leaves one processor for each package: on AMD some kernels list one for each die, and all dies
/// show the counter of the package. Intel's dies have their own.
fn one_a_package(sys: &Path, cpus: Vec<u32>, remarks: &mut Vec<String>) -> Vec<u32> {
    let mut seen = BTreeSet::new();
    let (kept, twins): (Vec<u32>, Vec<u32>) = cpus.into_iter().partition(|cpu| {
        let topology = sys.join(format!("devices/system/cpu/cpu{cpu}/topology/physical_package_id"));
        // Where the system does not tell, each stands for itself.
        files::text(&topology).map_or(true, |package| seen.insert(package))
    });
    remarks.extend(twins.iter().map(|cpu| format!("CPU {cpu} shows a package a second time: left out")));
    kept
}

/// What would let an event open that was refused.
fn way_out(error: &std::io::Error, host: &Host) -> String {
    if error.kind() != std::io::ErrorKind::PermissionDenied {
        return String::new();
    }
    let now = proc::perf_event_paranoid(&host.proc).map_or_else(String::new, |level| format!(" (it is {level})"));
    format!(
        "; it takes CAP_PERFMON or kernel.perf_event_paranoid of 0 or less{now}: \
         `sudo sysctl kernel.perf_event_paranoid=0`, or `sudo setcap cap_perfmon=ep` on the program"
    )
}
