//! Idle power: watched while the machine was left alone, or told by a model.
//!
//! Whether the machine was left alone is looked at too. Where other processes kept cores busy while
//! idle power was watched, what was seen is not idle power: taken for it, their load would be booked
//! as idle, and nearly nothing would be left for the program. Then a model's own idle power stands in,
//! or what a busy core draws more is taken off, as the run itself shows it, with bounds that say how
//! little that is known; or, where the run does not show it, idle power is not known.

use std::collections::BTreeMap;

use serde::Serialize;

use super::is_idle;
use crate::estimate::{Estimate, Method};
use crate::quantity::{Joules, Seconds, Watts};
use crate::source::{Component, Description, FIXED};
use crate::window::{ComponentEnergy, Window};

/// Power of a machine that is left alone, by component.
#[derive(Debug, Clone, PartialEq, Default, Serialize)]
pub struct Baseline {
    /// Idle power with its interval. A component that is absent has an unknown idle power.
    pub components: BTreeMap<Component, IdlePower>,
    /// What was assumed, in words.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub notes: Vec<String>,
}

/// Idle power of one component.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct IdlePower {
    /// Watts with the interval of the meter.
    pub power: Estimate<Watts>,
    /// The least of the means over the phases in which the machine was watched, by the meter.
    #[serde(rename = "least_w")]
    pub least: Watts,
    /// The largest of them.
    #[serde(rename = "most_w")]
    pub most: Watts,
    /// How they were obtained: as the readings themselves, or modeled.
    pub method: Method,
    /// How long the machine was watched; `None` where it comes from a model.
    #[serde(rename = "watched_s")]
    pub watched: Option<Seconds>,
}

/// Cores that may be busy on a machine that is left alone: its daemons, and the meter.
pub(super) const QUIET: f64 = 0.05;

impl Baseline {
    /// Idle power from the windows of the phases in which the machine was left alone ([`is_idle`]),
    /// and from what sources say of themselves where there are none.
    ///
    /// Where the machine was watched before and after, the two may differ: the value is the mean
    /// over all the time, and shares are as wide as both ask for.
    pub fn new(windows: &[Window], sources: &[Description]) -> Self {
        let told = sources.iter().flat_map(|source| &source.idle).map(|(component, power)| {
            let of = sources.iter().find(|source| source.components.contains(component));
            let spread = of.map(|source| source.spread_of(*component));
            let estimate = spread.map_or(Estimate::exact(*power), |spread| Estimate::with_spread(*power, spread));
            let idle =
                IdlePower { power: estimate, least: *power, most: *power, method: Method::Modeled, watched: None };
            (*component, idle)
        });
        let mut components: BTreeMap<Component, IdlePower> = told.collect();
        let mut watched: BTreeMap<Component, BTreeMap<&str, IdlePhase>> = BTreeMap::new();
        for window in windows.iter().filter(|window| is_idle(&window.phase)) {
            for (component, energy) in &window.energy {
                let phase = watched.entry(*component).or_default().entry(&window.phase).or_default();
                phase.seconds += window.active_s;
                phase.energy = Some(phase.energy.map_or(energy.joules, |so_far| so_far + energy.joules));
                phase.method = phase.method.max(Some(energy.method));
            }
        }
        let busy = busy_cores(windows.iter().filter(|window| is_idle(&window.phase))).filter(|busy| *busy > QUIET);
        let mut notes = Vec::new();
        for (component, phases) in &watched {
            let Some(idle) = IdlePower::of(phases.values()) else { continue };
            // What memory and boards draw does not follow the processors' load.
            let follows = matches!(component, Component::Cpu(_) | Component::Machine);
            let Some(busy) = busy.filter(|_| follows && !is_constant(*component, sources.iter())) else {
                components.insert(*component, idle);
                continue;
            };
            let seen = format!("{busy:.2} cores were busy while idle power was watched");
            if components.contains_key(component) {
                notes.push(format!("{seen}: the idle power of {component} is that of the model"));
            } else if let Some((corrected, core)) = idle.without_load(busy, *component, windows) {
                notes.push(format!(
                    "{seen}: the idle power of {component} is what was seen less {core} for each, as the run shows it"
                ));
                components.insert(*component, corrected);
            } else {
                notes.push(format!("{seen}: what {component} drew then is not taken for idle power"));
            }
        }
        Self { components, notes }
    }

    /// Idle power of all components that have one.
    pub fn power(&self) -> Option<Estimate<Watts>> {
        self.components.values().map(|idle| idle.power).reduce(|a, b| a + b)
    }
}

struct IdlePhase {
    energy: Option<Estimate<Joules>>,
    seconds: Seconds,
    method: Option<Method>,
}

impl Default for IdlePhase {
    fn default() -> Self {
        Self { energy: None, seconds: Seconds::ZERO, method: None }
    }
}

impl IdlePower {
    fn of<'a>(phases: impl Iterator<Item = &'a IdlePhase>) -> Option<Self> {
        let sound = phases.filter(|phase| phase.seconds > Seconds::ZERO);
        let parts: Vec<(Estimate<Joules>, Seconds, Method)> =
            sound.filter_map(|phase| Some((phase.energy?, phase.seconds, phase.method?))).collect();
        let seconds: Seconds = parts.iter().map(|(_, seconds, _)| *seconds).sum();
        let energy = parts.iter().map(|(energy, ..)| *energy).reduce(|a, b| a + b)?;
        let each = parts.iter().map(|(energy, seconds, _)| (energy.value() / *seconds).get());
        let power = energy.map(|joules| joules / seconds);
        let mean = power.value().get();
        let (least, most) = each.fold((mean, mean), |(least, most), one| (least.min(one), most.max(one)));
        let (least, most) = (Watts::raw(least), Watts::raw(most));
        Some(Self {
            power,
            least,
            most,
            method: Method::weakest(parts.iter().map(|part| part.2))?,
            watched: Some(seconds),
        })
    }

    /// What was seen while so many cores were busy, less their load, and what a busy core drew; nothing
    /// where the busy windows do not show it. The load goes by cores: from none of it to twice as much
    /// may be true.
    fn without_load(self, busy: f64, component: Component, windows: &[Window]) -> Option<(Self, Watts)> {
        let run: Vec<&Window> =
            windows.iter().filter(|window| !is_idle(&window.phase) && window.energy.contains_key(&component)).collect();
        let more = busy_cores(run.iter().copied())? - busy;
        let seconds: Seconds = run.iter().map(|window| window.active_s).sum();
        let joules: f64 = run.iter().filter_map(|window| window.energy.get(&component)).map(value).sum();
        let seen = self.power.value().get();
        let core = (joules / seconds.get() - seen) / more;
        if more <= QUIET || !core.is_finite() || core <= 0.0 {
            return None;
        }
        let [least, middle] = [2.0, 1.0].map(|times| (seen - times * core * busy).max(0.0));
        let power = self.power.scaled(if seen > 0.0 { middle / seen } else { 0.0 });
        let method = self.method.max(Method::Apportioned);
        let idle = Self { power, least: Watts::raw(least), most: Watts::raw(seen), method, ..self };
        Some((idle, Watts::raw(core)))
    }
}

/// Whether a component's power is given as constant: then no load is in it.
pub(super) fn is_constant<'a>(component: Component, mut sources: impl Iterator<Item = &'a Description>) -> bool {
    sources.any(|source| source.name == FIXED && source.components.contains(&component))
}

/// Cores that all processes together kept busy, on average over the windows that tell it.
pub(super) fn busy_cores<'a>(windows: impl Iterator<Item = &'a Window>) -> Option<f64> {
    let told = windows.filter_map(|window| Some((window.cpu_s? + window.others_cpu_s?, window.active_s)));
    let (busy, time) = told.fold((0.0, 0.0), |sum, (busy, time)| (sum.0 + busy.get(), sum.1 + time.get()));
    (time > 0.0).then(|| busy / time)
}

fn value(energy: &ComponentEnergy) -> f64 {
    energy.joules.value().get()
}
