//! Running average power limit (RAPL) counters of Intel and AMD processors, through Linux powercap.
//!
//! The total is packages plus memory, or the platform alone where it is asked for: zones that
//! contain each other are never added. Before anything counts, the counters must move at a
//! plausible power while a core is kept busy; twins (memory-mapped zones, AMD dies that all show
//! one counter) are found and left out.
//!
//! Stated error: ±10 % for packages and the platform, ±20 % for memory. These are cautious round
//! numbers after published comparisons with external meters (Khan et al. 2018 for packages,
//! Desrochers et al. 2016 for memory), not measurements of this crate.

use std::collections::BTreeMap;
use std::path::Path;
use std::time::Duration;

use super::metered::Metered;
use super::zones::{self, Domain, Zone};
use super::{Advance, Component, Counter, Description, Liveness, Reading, Source, SourceError, files};
use crate::clock::{Clock, Moment};
use crate::estimate::{Method, Spread};
use crate::quantity::{Joules, Watts};

/// What of a processor's counters makes the total.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Domains {
    /// Packages and their memory.
    #[default]
    PackagesAndMemory,
    /// The platform zone alone, which contains the others.
    Platform,
}

/// The powercap source.
pub struct Rapl {
    zones: Vec<Zone>,
    remarks: Vec<String>,
    method: Method,
    virtual_machine: bool,
    counted: Vec<(Zone, Metered)>,
}

const MICROJOULE: Joules = Joules::raw(1e-6);
/// The registers are renewed about every millisecond.
const REFRESH: Duration = Duration::from_millis(1);
/// A processor that draws power moves its counter well within this time.
const PATIENCE: Duration = Duration::from_millis(100);
/// What a package can draw where its design power is not known.
const ANY_PACKAGE: Watts = Watts::raw(1000.0);
/// Below this no running package stays.
const LEAST_PACKAGE: f64 = 0.5;
/// One round of keeping a core busy; up to [`ROUNDS`] of them.
const ROUND: Duration = Duration::from_millis(50);
const ROUNDS: usize = 4;
/// Rounds that are always made: twins must agree over several readings.
const LEAST_ROUNDS: usize = 2;

impl Rapl {
    /// Finds the zones below a sysfs root (`/sys`). In a virtual machine the hypervisor makes the
    /// counters up from CPU time, so their numbers are at best apportioned.
    ///
    /// # Errors
    /// If there is no powercap folder, or no zone in it for these domains.
    pub fn open(sys: &Path, domains: Domains, virtual_machine: bool) -> Result<Self, SourceError> {
        let (mut zones, remarks) = zones::find(sys)?;
        zones.retain(|zone| (zone.domain == Domain::Psys) == (domains == Domains::Platform));
        if !zones.iter().any(|zone| zone.domain != Domain::Dram) {
            let wanted = if domains == Domains::Platform { "psys" } else { "package" };
            let what = sys.join("class/powercap").display().to_string();
            return Err(SourceError::Nothing { what, reason: format!("no {wanted} zone there") });
        }
        let method = if virtual_machine { Method::Apportioned } else { Method::Measured };
        Ok(Self { zones, remarks, method, virtual_machine, counted: Vec::new() })
    }
}

impl Source for Rapl {
    fn describe(&self) -> Description {
        let mut notes = self.remarks.clone();
        if self.virtual_machine {
            notes.push("inside a virtual machine: the hypervisor apportions these counters by CPU time".to_owned());
        }
        Description {
            name: "powercap".to_owned(),
            components: self.counted.iter().map(|(_, metered)| metered.component).collect(),
            method: self.method,
            // The widest of its parts.
            spread: self
                .counted
                .iter()
                .map(|(zone, _)| spread(zone.domain))
                .fold(Spread::NONE, |a, b| if b.high() > a.high() { b } else { a }),
            resolution: REFRESH.into(),
            poll: None,
            scope: "whole processor packages, with everything that runs on them".to_owned(),
            idle: BTreeMap::new(),
            notes,
        }
    }

    fn probe(&mut self, clock: &dyn Clock) -> Liveness {
        let mut trials: Vec<Trial> = self.zones.iter().map(Trial::new).collect();
        for round in 0..=ROUNDS {
            trials.iter_mut().for_each(|trial| trial.read(clock));
            if round >= LEAST_ROUNDS && trials.iter().all(|trial| trial.error.is_some() || trial.energy > 0.0) {
                break;
            }
            if round < ROUNDS {
                clock.spin(ROUND);
            }
        }
        match judge(&trials, &mut self.remarks) {
            Err(reason) => Liveness::Dead(reason),
            Ok(alive) => {
                let number =
                    |domain, until: usize| alive[..until].iter().filter(|zone| zone.domain == domain).count() as u16;
                self.counted = alive
                    .iter()
                    .enumerate()
                    .map(|(i, zone)| {
                        let component = match zone.domain {
                            Domain::Package => Component::Cpu(number(Domain::Package, i)),
                            Domain::Dram => Component::Memory(number(Domain::Dram, i)),
                            Domain::Psys => Component::Machine,
                        };
                        (zone.clone(), metered(zone, component, self.method))
                    })
                    .collect();
                Liveness::Alive
            }
        }
    }

    fn read(&mut self, now: Moment) -> Result<Reading, SourceError> {
        let mut reading = Reading::default();
        for (zone, metered) in &mut self.counted {
            let raw = files::number(&zone.counter).map_err(|error| error.to_string());
            metered.take(raw, now.elapsed, &mut reading);
        }
        Ok(reading)
    }
}

fn spread(domain: Domain) -> Spread {
    match domain {
        Domain::Package | Domain::Psys => Spread::relative(0.10),
        Domain::Dram => Spread::relative(0.20),
    }
}

fn metered(zone: &Zone, component: Component, method: Method) -> Metered {
    Metered {
        component,
        counter: Counter::new(MICROJOULE, zone.range, most(zone, 2.0), REFRESH),
        spread: spread(zone.domain),
        method,
        patience: PATIENCE,
        tried: None,
    }
}

/// So many times the design power, with 100 W at least because laptops turbo far beyond it; a
/// kilowatt where it is not known.
fn most(zone: &Zone, times: f64) -> Watts {
    zone.design.map_or(ANY_PACKAGE, |design| Watts::raw((design.get() * times).max(100.0)))
}

/// A zone on trial: its readings while a core is kept busy.
struct Trial<'a> {
    zone: &'a Zone,
    counter: Counter,
    readings: Vec<(u64, Duration)>,
    error: Option<SourceError>,
    energy: f64,
    time: Duration,
}

impl<'a> Trial<'a> {
    fn new(zone: &'a Zone) -> Self {
        let counter = Counter::new(MICROJOULE, zone.range, most(zone, 2.0), REFRESH);
        Self { zone, counter, readings: Vec::new(), error: None, energy: 0.0, time: Duration::ZERO }
    }

    fn read(&mut self, clock: &dyn Clock) {
        let raw = match files::number(&self.zone.counter) {
            Ok(raw) => raw,
            Err(error) => return self.error = self.error.take().or(Some(error)),
        };
        let at = clock.now().elapsed;
        self.readings.push((raw, at));
        if let Advance::Moved { energy, over, .. } = self.counter.take(raw, at) {
            self.energy += energy.get();
            self.time += over;
        }
    }

    /// Why it does not count, if so.
    fn fault(&self) -> Option<String> {
        let name = &self.zone.name;
        if let Some(error) = &self.error {
            let denied = matches!(error, SourceError::File { error, .. } if error.kind() == std::io::ErrorKind::PermissionDenied);
            let way = if denied { "; run as root, or give read access to energy_uj" } else { "" };
            return Some(format!("{name}: {error}{way}"));
        }
        if self.energy == 0.0 {
            return Some(format!("{name} did not move while a core was busy"));
        }
        let watts = self.energy / self.time.as_secs_f64();
        let least = if self.zone.domain == Domain::Dram { 0.0 } else { LEAST_PACKAGE };
        let most = most(self.zone, 3.0).get();
        let plausible = watts > least && watts < most;
        (!plausible)
            .then(|| format!("{name} showed {} while a core was busy, not {least} to {most} W", Watts::raw(watts)))
    }

    /// Whether two zones show one counter: every pair of readings is as close as the power and the
    /// moment between them allow.
    fn mirrors(&self, other: &Self) -> bool {
        let limit = most(self.zone, 3.0).get().max(most(other.zone, 3.0).get());
        let close = |(a, b): (&(u64, Duration), &(u64, Duration))| {
            let between = (a.1.abs_diff(b.1) + REFRESH).as_secs_f64();
            a.0.abs_diff(b.0) as f64 * MICROJOULE.get() <= limit * between
        };
        self.readings.len() == other.readings.len() && self.readings.iter().zip(&other.readings).all(close)
    }
}

/// The zones that count, or why none does. One dead package makes the whole source dead: half a
/// machine must not pass for it.
fn judge(trials: &[Trial<'_>], remarks: &mut Vec<String>) -> Result<Vec<Zone>, String> {
    let mut alive: Vec<&Trial<'_>> = Vec::new();
    let mut faults: Vec<(&Zone, String)> = Vec::new();
    for trial in trials {
        let zone = trial.zone;
        if let Some(fault) = trial.fault() {
            faults.push((zone, fault));
        } else if alive.iter().any(|known| {
            known.zone.domain == zone.domain && known.zone.name == zone.name && known.zone.mapped != zone.mapped
        }) {
            remarks.push(format!("zone {} shows {} a second time (memory-mapped): left out", zone.id, zone.name));
        } else if let Some(known) = alive.iter().find(|known| known.zone.domain == zone.domain && trial.mirrors(known))
        {
            remarks.push(format!("zone {} mirrors {}: left out", zone.id, known.zone.id));
        } else {
            alive.push(trial);
        }
    }
    // A dead zone does no harm where its twin lives.
    faults.retain(|(zone, _)| {
        !alive.iter().any(|known| known.zone.domain == zone.domain && known.zone.name == zone.name)
    });
    let memory_fault = faults.iter().any(|(zone, _)| zone.domain == Domain::Dram);
    let fatal: Vec<&str> =
        faults.iter().filter(|(zone, _)| zone.domain != Domain::Dram).map(|(_, fault)| fault.as_str()).collect();
    if !fatal.is_empty() {
        return Err(fatal.join("; "));
    }
    remarks.extend(faults.into_iter().map(|(_, fault)| format!("memory not counted: {fault}")));
    Ok(alive
        .iter()
        .filter(|trial| !(memory_fault && trial.zone.domain == Domain::Dram))
        .map(|trial| trial.zone.clone())
        .collect())
}
