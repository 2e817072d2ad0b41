//! Energy from load and tables, for machines without counters (most virtual ones).
//!
//! `P = threads · (idle + u · (full − idle))` plus [`MEMORY_WATTS_PER_GB`] for all memory. The form
//! is linear in CPU time, so shares of processes add up to the machine.
//!
//! Watts per hardware thread are those of the packages by thermal design power where the machine is
//! no guest and its processor is listed by name. Otherwise they go by microarchitecture
//! ([`cpu_watts`](super::cpu_watts)): whole-server power at the wall, so power supply, fans, disks
//! and some memory are in them: nothing is added for those, and memory is counted partly twice,
//! which leans to the high side.
//!
//! Stated 90 % interval: from load sweeps on other machines, for a machine that is not among them
//! (see `watts`): ×0.38 to ×1.83 by thermal design power, ×0.35 to ×3.8 by microarchitecture. Wider
//! where the figures are borrowed or the load is not known. Memory: ×0.25 to ×5, which holds what was
//! measured of it and what calculators take.

use std::collections::BTreeMap;
use std::fmt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::{
    Component, ComponentReading, Cpu, CpuWatts, Description, Liveness, MEMORY_SPREAD, MEMORY_WATTS_PER_GB, Reading,
    Source, SourceError,
};
use super::{proc, watts};
use crate::clock::{Clock, Moment};
use crate::estimate::{Estimate, Method, Spread};
use crate::gap::{Gap, GapKind};
use crate::quantity::{Joules, Seconds, Watts};

/// Whose energy a model charges. Counters always show whole devices.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Scope {
    /// The whole machine as this system sees it (a guest sees itself), whatever keeps it busy: a
    /// total that never charges too little. In a container that is the whole host.
    #[default]
    Machine,
    /// What this process's own CPU time adds, and a share of what the machine draws when idle.
    Process(IdleShare),
}

/// Which part of the idle power a process is charged.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum IdleShare {
    /// None: it runs anyway.
    None,
    /// Its share of the CPU time that was used.
    Proportional,
    /// All of it: the machine runs for this process.
    All,
}

/// The model as a source.
pub struct Modeled {
    proc: PathBuf,
    cpu: Option<CpuWatts>,
    memory: Option<Watts>,
    threads: usize,
    scope: Scope,
    load: Load,
    remarks: Vec<String>,
    last: Option<LoadState>,
}

/// Where the load comes from, the best first.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Load {
    Machine,
    ThisProcess,
    Assumed,
}

#[derive(Clone, Copy)]
struct LoadState {
    elapsed: Duration,
    /// CPU seconds used so far by all processes.
    machine: Option<f64>,
    /// CPU seconds used so far by this process.
    process: Option<f64>,
}

/// A constant half load was 0.40 to 5.0 times the truth in the same sweeps.
const ASSUMED_LOAD: f64 = 0.5;
const ASSUMED_SPREAD: Spread = Spread::between(0.2, 2.5);

impl Modeled {
    /// A model of the machine whose procfs lies at `proc` (`/proc`) and whose processor this is.
    pub fn new(proc: &Path, cpu: &Cpu, scope: Scope) -> Self {
        let threads =
            proc::threads(proc).unwrap_or_else(|| std::thread::available_parallelism().map_or(1, usize::from));
        let cpu = watts::machine_watts(cpu, proc::packages(proc), threads);
        let mut remarks = cpu.remarks.clone();
        let memory = proc::memory_bytes(proc).map(|bytes| Watts::raw(bytes as f64 * 1e-9 * MEMORY_WATTS_PER_GB));
        if memory.is_none() {
            remarks.push("the amount of memory is not known: memory is not counted".to_owned());
        }
        Self { proc: proc.to_owned(), cpu: Some(cpu), memory, threads, scope, load: Load::Machine, remarks, last: None }
    }

    /// The model of memory alone, beside a counter of the processor.
    pub fn without_cpu(mut self) -> Self {
        // What remains to be said is about the processor.
        if self.cpu.take().is_some() && self.memory.is_some() {
            self.remarks.clear();
        }
        self
    }

    /// The model of the processor alone, beside a counter of memory.
    pub fn without_memory(self) -> Self {
        Self { memory: None, ..self }
    }

    fn state(&self, now: Moment) -> Result<LoadState, SourceError> {
        let machine = if self.load == Load::Machine { Some(proc::busy_seconds(&self.proc)?) } else { None };
        Ok(LoadState { elapsed: now.elapsed, machine, process: now.cpu.map(|cpu| cpu.as_secs_f64()) })
    }

    /// What the machine draws when nothing runs; a process that is not charged for it has none.
    fn idle(&self) -> BTreeMap<Component, Watts> {
        if self.scope != Scope::Machine {
            return BTreeMap::new();
        }
        let cpu = self.cpu.as_ref().map(|cpu| (Component::Cpu(0), Watts::raw(cpu.idle.get() * self.threads as f64)));
        cpu.into_iter().chain(self.memory.map(|memory| (Component::Memory(0), memory))).collect()
    }

    fn spread(&self, cpu: &CpuWatts) -> Spread {
        if self.load != Load::Assumed {
            return cpu.spread;
        }
        Spread::between(cpu.spread.low().min(ASSUMED_SPREAD.low()), cpu.spread.high().max(ASSUMED_SPREAD.high()))
    }

    /// At an assumed load the ratio of two powers says nothing that the intervals do not.
    fn between_loads(&self, cpu: &CpuWatts) -> Spread {
        if self.load != Load::Assumed {
            return cpu.between_loads;
        }
        Spread::factor(self.spread(cpu).high() / self.spread(cpu).low())
    }

    /// What to charge between two states; `None` if CPU time fell back.
    fn charge(&self, before: LoadState, after: LoadState) -> Option<Charge> {
        let rise = |of: fn(&LoadState) -> Option<f64>| Some(of(&after)? - of(&before)?).filter(|rise| *rise >= 0.0);
        let (machine, process) = (rise(|state| state.machine), rise(|state| state.process));
        let all = match self.load {
            Load::Machine => machine?,
            Load::ThisProcess => process?,
            Load::Assumed => (after.elapsed - before.elapsed).as_secs_f64() * self.threads as f64 * ASSUMED_LOAD,
        };
        Some(match (self.scope, process) {
            (Scope::Machine, None) | (Scope::Process(_), None) => Charge { own: all, others: 0.0, idle: 1.0 },
            // The machine's ticks are coarse: this process's finer count never exceeds them here.
            (Scope::Machine, Some(own)) => Charge { own: own.min(all), others: (all - own).max(0.0), idle: 1.0 },
            (Scope::Process(share), Some(own)) => {
                let idle = match share {
                    IdleShare::None => 0.0,
                    IdleShare::All => 1.0,
                    IdleShare::Proportional if own > 0.0 => own / all.max(own),
                    IdleShare::Proportional => 0.0,
                };
                Charge { own, others: 0.0, idle }
            }
        })
    }
}

/// CPU seconds of this process and of others to charge, and which part of the idle power.
struct Charge {
    own: f64,
    others: f64,
    idle: f64,
}

impl Source for Modeled {
    fn describe(&self) -> Description {
        let of_cpu = self.cpu.iter().map(|cpu| (Component::Cpu(0), self.spread(cpu)));
        let of_memory = self.memory.map(|_| (Component::Memory(0), MEMORY_SPREAD));
        let spreads: BTreeMap<Component, Spread> = of_cpu.chain(of_memory).collect();
        let widest = |a: Spread, b: &Spread| Spread::between(a.low().min(b.low()), a.high().max(b.high()));
        let size = match self.memory {
            Some(memory) => format!("{} threads, {:.1} GB", self.threads, memory.get() / MEMORY_WATTS_PER_GB),
            None => format!("{} threads", self.threads),
        };
        let mut notes = self.remarks.clone();
        if let Some(cpu) = &self.cpu {
            notes.insert(
                0,
                format!("{}: {} idle to {} at full load per thread", cpu.microarchitecture, cpu.idle, cpu.full),
            );
        }
        if self.memory.is_some() {
            let (low, high) = (MEMORY_SPREAD.low(), MEMORY_SPREAD.high());
            notes.push(format!(
                "memory at {MEMORY_WATTS_PER_GB} W/GB [{:.2}, {:.2}], from published measurements",
                MEMORY_WATTS_PER_GB * low,
                MEMORY_WATTS_PER_GB * high
            ));
        }
        let cpu = self.cpu.is_some().then_some(Component::Cpu(0));
        Description {
            name: "model".to_owned(),
            components: cpu.into_iter().chain(self.memory.map(|_| Component::Memory(0))).collect(),
            method: Method::Modeled,
            spread: spreads.values().fold(Spread::NONE, widest),
            spreads,
            between_loads: self.cpu.iter().map(|cpu| (Component::Cpu(0), self.between_loads(cpu))).collect(),
            resolution: Seconds::raw(1.0 / proc::TICKS_PER_SECOND),
            poll: None,
            scope: format!("{} ({size})", self.scope),
            idle: self.idle(),
            notes,
        }
    }

    fn probe(&mut self, clock: &dyn Clock) -> Liveness {
        if self.cpu.is_none() && self.memory.is_none() {
            return Liveness::Dead("neither processor nor memory is known".to_owned());
        }
        if self.cpu.is_none() && self.scope == Scope::Machine {
            // Memory draws the same whatever the load, so nothing need be read.
            self.load = Load::Assumed;
            return Liveness::Alive;
        }
        let own = clock.now().cpu.is_some();
        self.load = match proc::busy_seconds(&self.proc) {
            Ok(_) => Load::Machine,
            Err(error) if own => {
                self.remarks.push(format!(
                    "the load of the machine is unknown ({error}): only the CPU time of this process counts as active"
                ));
                Load::ThisProcess
            }
            Err(error) => {
                self.remarks.push(format!("no load is known ({error}): half load is assumed, with a wider interval"));
                Load::Assumed
            }
        };
        if !own && self.scope != Scope::Machine {
            self.remarks.push("this process's CPU time is not known: the whole machine is charged".to_owned());
        }
        Liveness::Alive
    }

    fn read(&mut self, now: Moment) -> Result<Reading, SourceError> {
        let state = self.state(now)?;
        let mut reading = Reading::default();
        let Some(before) = self.last.replace(state) else { return Ok(reading) };
        let over = state.elapsed.saturating_sub(before.elapsed);
        if over.is_zero() {
            // Nothing is used up: the old state stays.
            self.last = Some(before);
            return Ok(reading);
        }
        let seconds = Seconds::from(over);
        let charge = self.charge(before, state);
        let fell_back = charge.is_none();
        let Charge { own, others, idle } = charge.unwrap_or(Charge { own: 0.0, others: 0.0, idle: 1.0 });
        let method = Method::Modeled;
        if let Some(cpu) = &self.cpu {
            let machine = |watts: Watts| (watts * seconds).get() * self.threads as f64;
            let active = cpu.full.get() - cpu.idle.get();
            let background = Joules::raw(machine(cpu.idle) * idle + active * others);
            let mut energy = Estimate::with_spread(background + Joules::raw(active * own), self.spread(cpu));
            if fell_back {
                let detail = "CPU time decreased; idle power is assumed".to_owned();
                reading.gaps.push(Gap::new(Component::Cpu(0).to_string(), GapKind::Reset, seconds, detail));
                energy = energy.with_high_raised_by(machine(cpu.full) * cpu.spread.high());
            }
            reading.parts.push(ComponentReading { component: Component::Cpu(0), energy, background, over, method });
        }
        if let Some(memory) = self.memory {
            let background = Joules::raw((memory * seconds).get() * idle);
            let energy = Estimate::with_spread(background, MEMORY_SPREAD);
            reading.parts.push(ComponentReading { component: Component::Memory(0), energy, background, over, method });
        }
        reading.parts.retain(|part| part.energy.high() > Joules::ZERO);
        Ok(reading)
    }
}

impl fmt::Display for Scope {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Machine => "the whole machine as this system sees it",
            Self::Process(IdleShare::None) => "this process, without idle power",
            Self::Process(IdleShare::Proportional) => "this process, with its share of idle power",
            Self::Process(IdleShare::All) => "this process, with all idle power",
        })
    }
}
