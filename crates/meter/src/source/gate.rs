//! The gate that every processor's energy counter must pass before it may be called measured: it
//! has to move, at a plausible power, while a core is kept busy.
//!
//! Twins are found here too: memory-mapped zones beside registers, and AMD dies that all show one
//! counter. What comes through is read from then on, whatever the interface it came from: files of
//! powercap, perf events, hardware monitors.

use std::collections::BTreeMap;
use std::time::Duration;

use super::component_counter::ComponentCounter;
use super::zones::{Domain, Zone};
use super::{Component, Counter, CounterChange, Description, Liveness, RawReading, Reading, SourceError};
use crate::clock::{Clock, Moment};
use crate::estimate::{Method, Spread};
use crate::quantity::{Joules, Watts};

/// Reads one raw counter.
pub(super) type Reader = Box<dyn FnMut() -> Result<u64, SourceError> + Send>;

/// The registers are renewed about every millisecond.
pub(super) const REFRESH: Duration = Duration::from_millis(1);
/// A processor that draws power changes its counter well within this time.
const PATIENCE: Duration = Duration::from_millis(100);
/// What a package can draw where its design power is not known.
const ANY_PACKAGE: Watts = Watts::raw(1000.0);
/// Below this no running package stays.
const LEAST_PACKAGE: f64 = 0.5;
/// One round of keeping a core busy; up to [`ROUNDS`] of them.
const ROUND: Duration = Duration::from_millis(50);
const ROUNDS: usize = 4;
/// A hypervisor that makes the counters up may renew them once a second only (QEMU does).
const ROUNDS_IN_GUEST: usize = 44;
/// Rounds that are always made: twins must agree over several readings.
const LEAST_ROUNDS: usize = 2;
/// Two interfaces of one processor, read side by side, differ by a refresh in a hundred at most.
/// Beyond this ratio they do not show the same thing.
const DISAGREE: f64 = 1.1;

/// Counters before, at and behind the gate.
pub(super) struct Gate {
    candidates: Vec<Candidate>,
    counted: Vec<(usize, ComponentCounter)>,
    remarks: Vec<String>,
    method: Method,
    origin: Origin,
}

/// Where the counters of one interface start.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Origin {
    /// With the machine: two that show one number are one counter.
    Boot,
    /// When they are opened: all are near zero, which tells nothing.
    Opening,
}

struct Candidate {
    zone: Zone,
    reader: Reader,
    trial: Trial,
}

/// What a counter showed while a core was kept busy.
struct Trial {
    counter: Counter,
    readings: Vec<(u64, Duration)>,
    error: Option<SourceError>,
    energy: f64,
    time: Duration,
}

impl Gate {
    /// What a source behind the gate says of itself.
    pub(super) fn describe(&self, name: &str, scope: &str) -> Description {
        Description {
            name: name.to_owned(),
            components: self.components(),
            method: self.method(),
            spread: self.spread(),
            spreads: self.counted.iter().map(|(_, metered)| (metered.component, metered.spread)).collect(),
            between_loads: BTreeMap::new(),
            resolution: REFRESH.into(),
            poll: None,
            scope: scope.to_owned(),
            idle: BTreeMap::new(),
            notes: self.remarks().to_vec(),
        }
    }

    /// A gate for these counters. In a virtual machine the hypervisor makes them up from CPU time,
    /// so their numbers are at best apportioned.
    pub(super) fn new(
        counters: Vec<(Zone, Reader)>,
        origin: Origin,
        mut remarks: Vec<String>,
        virtual_machine: bool,
    ) -> Self {
        if virtual_machine {
            remarks.push("inside a virtual machine: the hypervisor apportions these counters by CPU time".to_owned());
        }
        let candidate = |(zone, reader): (Zone, Reader)| {
            let counter = Counter::new(zone.unit, zone.range, most(&zone, 2.0), REFRESH);
            let trial = Trial { counter, readings: Vec::new(), error: None, energy: 0.0, time: Duration::ZERO };
            Candidate { zone, reader, trial }
        };
        Self {
            candidates: counters.into_iter().map(candidate).collect(),
            counted: Vec::new(),
            remarks,
            method: if virtual_machine { Method::Apportioned } else { Method::Measured },
            origin,
        }
    }

    /// Keeps a core busy for up to 200 ms and lets through what deserves it.
    pub(super) fn probe(&mut self, clock: &dyn Clock) -> Liveness {
        probe_together(&mut [self], clock).pop().unwrap_or_else(|| Liveness::Dead("nothing to probe".to_owned()))
    }

    pub(super) fn read(&mut self, now: Moment) -> Reading {
        let mut reading = Reading::default();
        for (i, metered) in &mut self.counted {
            let raw = (self.candidates[*i].reader)().map_err(|error| error.to_string());
            metered.take(raw, now.elapsed, &mut reading);
        }
        reading
    }

    pub(super) fn components(&self) -> Vec<Component> {
        self.counted.iter().map(|(_, metered)| metered.component).collect()
    }

    /// The widest of its components.
    pub(super) fn spread(&self) -> Spread {
        self.counted
            .iter()
            .map(|(_, metered)| metered.spread)
            .fold(Spread::NONE, |a, b| if b.high() > a.high() { b } else { a })
    }

    pub(super) fn method(&self) -> Method {
        self.method
    }

    pub(super) fn remarks(&self) -> &[String] {
        &self.remarks
    }

    /// The raw counters as they stand.
    pub(super) fn raw_readings(&mut self) -> Vec<RawReading> {
        let (method, counted, candidates) = (self.method, &self.counted, &mut self.candidates);
        counted
            .iter()
            .map(|(i, metered)| {
                let Candidate { zone, reader, .. } = &mut candidates[*i];
                let raw = reader();
                RawReading {
                    component: metered.component,
                    name: zone.name.clone(),
                    unit: zone.unit,
                    range: zone.range,
                    method,
                    spread: metered.spread,
                    error: raw.as_ref().err().map(ToString::to_string),
                    energy: raw.ok().map(|raw| Joules::raw(raw as f64 * zone.unit.get())),
                    power: None,
                    utilization: None,
                }
            })
            .collect()
    }

    /// The power that this interface and another of the same processors showed in the same busy
    /// time, if they do not agree.
    pub(super) fn disagreement(&self, other: &Self) -> Option<[Watts; 2]> {
        let (ours, theirs) = (self.watts()?, other.watts()?);
        let apart = ours > theirs * DISAGREE || theirs > ours * DISAGREE;
        apart.then(|| [Watts::raw(ours), Watts::raw(theirs)])
    }

    /// Mean power of all packages during the trial.
    fn watts(&self) -> Option<f64> {
        let mean = |(i, _): &(usize, ComponentCounter)| {
            let Candidate { zone, trial, .. } = &self.candidates[*i];
            (zone.domain != Domain::Dram).then(|| trial.energy / trial.time.as_secs_f64())
        };
        self.counted.iter().filter_map(mean).reduce(|a, b| a + b)
    }

    fn sample(&mut self, clock: &dyn Clock) {
        for Candidate { reader, trial, .. } in &mut self.candidates {
            trial.take(reader(), clock);
        }
    }

    fn has_moved(&self) -> bool {
        self.candidates.iter().all(|candidate| candidate.trial.error.is_some() || candidate.trial.energy > 0.0)
    }

    fn judge(&mut self) -> Liveness {
        let alive = match judge(&self.candidates, self.origin, &mut self.remarks) {
            Err(reason) => return Liveness::Dead(reason),
            Ok(alive) => alive,
        };
        let domain = |i: &usize| self.candidates[*i].zone.domain;
        let number = |of: Domain, until: usize| alive[..until].iter().filter(|i| domain(i) == of).count() as u16;
        self.counted = alive
            .iter()
            .enumerate()
            .map(|(place, i)| {
                let component = match domain(i) {
                    Domain::Package => Component::Cpu(number(Domain::Package, place)),
                    Domain::Dram => Component::Memory(number(Domain::Dram, place)),
                    Domain::Psys => Component::Machine,
                };
                (*i, metered(&self.candidates[*i].zone, component, self.method))
            })
            .collect();
        Liveness::Alive
    }
}

/// Tries several gates in the same busy time, so that they can be compared.
pub(super) fn probe_together(gates: &mut [&mut Gate], clock: &dyn Clock) -> Vec<Liveness> {
    let in_guest = gates.iter().any(|gate| gate.method == Method::Apportioned);
    let last = if in_guest { ROUNDS_IN_GUEST } else { ROUNDS };
    let rounds = if gates.is_empty() { 0..0 } else { 0..last + 1 };
    for round in rounds {
        gates.iter_mut().for_each(|gate| gate.sample(clock));
        if round >= LEAST_ROUNDS && gates.iter().all(|gate| gate.has_moved()) {
            break;
        }
        if round < last {
            clock.spin(ROUND);
        }
    }
    gates.iter_mut().map(|gate| gate.judge()).collect()
}

fn spread(domain: Domain) -> Spread {
    match domain {
        Domain::Package | Domain::Psys => Spread::relative(0.10),
        Domain::Dram => Spread::relative(0.20),
    }
}

fn metered(zone: &Zone, component: Component, method: Method) -> ComponentCounter {
    ComponentCounter {
        component,
        counter: Counter::new(zone.unit, zone.range, most(zone, 2.0), REFRESH),
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

impl Trial {
    fn take(&mut self, raw: Result<u64, SourceError>, clock: &dyn Clock) {
        let raw = match raw {
            Ok(raw) => raw,
            Err(error) => return self.error = self.error.take().or(Some(error)),
        };
        let at = clock.now().elapsed;
        self.readings.push((raw, at));
        if let CounterChange::Advanced { energy, over, .. } = self.counter.take(raw, at) {
            self.energy += energy.get();
            self.time += over;
        }
    }
}

impl Candidate {
    /// Why it does not count, if so.
    fn fault(&self) -> Option<String> {
        let (zone, trial, name) = (&self.zone, &self.trial, &self.zone.name);
        if let Some(error) = &trial.error {
            return Some(format!("{name}: {error}{}", way_out(error)));
        }
        if trial.energy == 0.0 {
            return Some(format!("{name} did not change while a core was busy"));
        }
        let watts = trial.energy / trial.time.as_secs_f64();
        let least = if zone.domain == Domain::Dram { 0.0 } else { LEAST_PACKAGE };
        let most = most(zone, 3.0).get();
        let plausible = watts > least && watts < most;
        (!plausible)
            .then(|| format!("{name} showed {} while a core was busy, not {least} to {most} W", Watts::raw(watts)))
    }

    /// Whether two zones show one counter: every pair of readings is as close as the power and the
    /// moment between them allow.
    fn mirrors(&self, other: &Self) -> bool {
        let limit = most(&self.zone, 3.0).get().max(most(&other.zone, 3.0).get());
        let close = |(a, b): (&(u64, Duration), &(u64, Duration))| {
            let between = (a.1.abs_diff(b.1) + REFRESH).as_secs_f64();
            a.0.abs_diff(b.0) as f64 * self.zone.unit.get() <= limit * between
        };
        let (ours, theirs) = (&self.trial.readings, &other.trial.readings);
        ours.len() == theirs.len() && ours.iter().zip(theirs).all(close)
    }
}

/// What a user can do about an error.
fn way_out(error: &SourceError) -> String {
    match error {
        SourceError::File { path, error } if error.kind() == std::io::ErrorKind::PermissionDenied => {
            let name = path.file_name().map(|name| name.to_string_lossy()).unwrap_or_default();
            format!("; run as root, or give read access to {name}")
        }
        _ => String::new(),
    }
}

/// The candidates that count, or why none does. One dead package makes the whole source dead: half
/// a machine must not pass for it.
fn judge(candidates: &[Candidate], origin: Origin, remarks: &mut Vec<String>) -> Result<Vec<usize>, String> {
    let mut alive: Vec<usize> = Vec::new();
    let mut faults: Vec<(&Zone, String)> = Vec::new();
    for (i, candidate) in candidates.iter().enumerate() {
        let zone = &candidate.zone;
        let known = |other: &&usize| candidates[**other].zone.domain == zone.domain;
        let twin = |other: &&usize| {
            let other = &candidates[**other].zone;
            other.name == zone.name && other.mapped != zone.mapped
        };
        let mirror = |other: &&usize| origin == Origin::Boot && candidate.mirrors(&candidates[**other]);
        if let Some(fault) = candidate.fault() {
            faults.push((zone, fault));
        } else if alive.iter().filter(known).any(|other| twin(&other)) {
            remarks.push(format!("zone {} shows {} a second time (memory-mapped): left out", zone.id, zone.name));
        } else if let Some(other) = alive.iter().filter(known).find(mirror) {
            remarks.push(format!("zone {} mirrors {}: left out", zone.id, candidates[*other].zone.id));
        } else {
            alive.push(i);
        }
    }
    // A dead zone does no harm where its twin lives.
    faults.retain(|(zone, _)| {
        !alive.iter().map(|i| &candidates[*i].zone).any(|known| known.domain == zone.domain && known.name == zone.name)
    });
    let (memory, fatal): (Vec<_>, Vec<_>) = faults.into_iter().partition(|(zone, _)| zone.domain == Domain::Dram);
    if !fatal.is_empty() {
        return Err(fatal.into_iter().map(|(_, fault)| fault).collect::<Vec<_>>().join("; "));
    }
    // Memory of one package must not pass for that of all.
    if !memory.is_empty() {
        alive.retain(|i| candidates[*i].zone.domain != Domain::Dram);
    }
    remarks.extend(memory.into_iter().map(|(_, fault)| format!("memory not counted: {fault}")));
    Ok(alive)
}
