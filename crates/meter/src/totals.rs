//! Totals: what windows add up to, by phase and as a whole.

use std::collections::hash_map::Entry;
use std::collections::{BTreeMap, HashMap};

use serde::{Deserialize, Serialize};

use crate::attribution::is_idle;
use crate::estimate::{Estimate, Method};
use crate::gap::{self, Gap, GapKind};
use crate::quantity::{Joules, Quantity, Seconds};
use crate::source::Component;
use crate::split::Split;
use crate::window::{ComponentEnergy, Window};

/// Time and energy of a run.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub struct Totals {
    /// Each phase, in the order of their first windows.
    pub phases: Vec<PhaseTotals>,
    /// Each component over all phases. Nothing is split here, so a measured component stays measured.
    pub components: BTreeMap<Component, ComponentEnergy>,
    /// Problems encountered, each kind once for each thing.
    pub gaps: Vec<Gap>,
}

/// Time and energy of one phase.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct PhaseTotals {
    /// Its name.
    pub phase: String,
    /// How long it was active.
    pub active: Seconds,
    /// CPU time of the process in it; `None` where the system did not tell throughout.
    pub cpu: Option<Seconds>,
    /// CPU time of all other processes meanwhile; `None` where the system did not tell throughout.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub others_cpu: Option<Seconds>,
    /// Its energy by component. Where phases took turns between two reads, the method is at best
    /// apportioned; the split itself is taken as exact.
    pub components: BTreeMap<Component, ComponentEnergy>,
}

impl Totals {
    /// Adds up windows, those of several ledgers too. Over the windows that a meter wrote this
    /// equals what the meter itself says.
    pub fn from_windows(windows: &[Window]) -> Self {
        let mut totals = Self::default();
        // By name: a ledger may have as many phases as windows.
        let (mut places, mut gaps) = (HashMap::<&str, usize>::new(), HashMap::<(&str, GapKind), usize>::new());
        for window in windows {
            let place = *places.entry(window.phase.as_str()).or_insert_with(|| totals.begin(&window.phase));
            totals.add_to(place, window);
            for gap in &window.gaps {
                match gaps.entry((gap.of.as_str(), gap.kind)) {
                    Entry::Occupied(known) => totals.gaps[*known.get()].add(gap),
                    Entry::Vacant(new) => {
                        new.insert(totals.gaps.len());
                        totals.gaps.push(gap.clone());
                    }
                }
            }
        }
        totals
    }

    /// Adds one window.
    pub fn add(&mut self, window: &Window) {
        let known = self.phases.iter().position(|known| known.phase == window.phase);
        let place = known.unwrap_or_else(|| self.begin(&window.phase));
        self.add_to(place, window);
        window.gaps.iter().for_each(|gap| gap::record(&mut self.gaps, gap));
    }

    /// A phase that has not been seen before; its place.
    fn begin(&mut self, phase: &str) -> usize {
        self.phases.push(PhaseTotals {
            phase: phase.to_owned(),
            active: Seconds::ZERO,
            cpu: Some(Seconds::ZERO),
            others_cpu: Some(Seconds::ZERO),
            components: BTreeMap::new(),
        });
        self.phases.len() - 1
    }

    /// Adds a window's time and energy to a phase.
    fn add_to(&mut self, place: usize, window: &Window) {
        let phase = &mut self.phases[place];
        phase.active += window.active_s;
        let plus = |so_far: Option<Seconds>, more| so_far.zip(more).map(|(so_far, more)| so_far + more);
        phase.cpu = plus(phase.cpu, window.cpu_s);
        phase.others_cpu = plus(phase.others_cpu, window.others_cpu_s);
        for (component, energy) in &window.energy {
            accumulate(&mut self.components, *component, *energy);
            let method =
                if window.split == Split::Whole { energy.method } else { energy.method.max(Method::Apportioned) };
            accumulate(&mut phase.components, *component, ComponentEnergy { method, ..*energy });
        }
    }

    /// What the same phases would come to in all of `seconds` at the powers and shares of time that
    /// they had: a forecast, and so modeled, whatever its beginnings were. The phases left out by
    /// `keep` are not in it.
    ///
    /// Without any time to go by, there is nothing to forecast.
    pub fn forecast(&self, seconds: Seconds, keep: impl Fn(&str) -> bool) -> Self {
        let mut forecast = Self::default();
        let phases: Vec<&PhaseTotals> = self.phases.iter().filter(|phase| keep(&phase.phase)).collect();
        let active: Seconds = phases.iter().map(|phase| phase.active).sum();
        if active == Seconds::ZERO {
            return forecast;
        }
        let factor = seconds.get() / active.get();
        for phase in phases {
            let mut components = BTreeMap::new();
            for (component, energy) in &phase.components {
                let energy = ComponentEnergy { joules: energy.joules.scaled(factor), method: Method::Modeled };
                accumulate(&mut components, *component, energy);
                accumulate(&mut forecast.components, *component, energy);
            }
            let scaled = |time: Seconds| time.with(time.get() * factor);
            forecast.phases.push(PhaseTotals {
                phase: phase.phase.clone(),
                active: scaled(phase.active),
                cpu: phase.cpu.map(scaled),
                others_cpu: phase.others_cpu.map(scaled),
                components,
            });
        }
        forecast
    }

    /// One phase by name.
    pub fn phase(&self, name: &str) -> Option<&PhaseTotals> {
        self.phases.iter().find(|phase| phase.phase == name)
    }

    /// Energy of all components and phases; `None` where none was read, which is not zero.
    pub fn energy(&self) -> Option<Estimate<Joules>> {
        sum(&self.components)
    }

    /// The weakest method of all components; `None` where none was read.
    pub fn method(&self) -> Option<Method> {
        weakest(&self.components)
    }

    /// The part of all CPU time that the metered processes had, from 0 to 1, the phases left out in which the
    /// machine was left alone; `None` where the system did
    /// not tell throughout, or none was used.
    pub fn cpu_share(&self) -> Option<f64> {
        let busy = self.phases.iter().filter(|phase| !is_idle(&phase.phase));
        let told = busy.map(|phase| Some((phase.cpu?.get(), phase.others_cpu?.get())));
        let sum = |sum: (f64, f64), one: Option<(f64, f64)>| one.map(|one| (sum.0 + one.0, sum.1 + one.1));
        let (own, others) = told.into_iter().try_fold((0.0, 0.0), sum)?;
        (own + others > 0.0).then(|| own / (own + others))
    }

    /// The components whose error is not known, such as a machine at a given power. Where there are
    /// others too, the interval of the sum lacks theirs.
    pub fn without_interval(&self) -> impl Iterator<Item = Component> {
        self.components.iter().filter(|(_, energy)| !energy.joules.has_interval()).map(|(component, _)| *component)
    }

    /// Time of all phases.
    pub fn active(&self) -> Seconds {
        self.phases.iter().map(|phase| phase.active).sum()
    }
}

impl PhaseTotals {
    /// Energy of all its components; `None` where none was read, which is not zero.
    pub fn energy(&self) -> Option<Estimate<Joules>> {
        sum(&self.components)
    }

    /// The weakest method of its components; `None` where none was read.
    pub fn method(&self) -> Option<Method> {
        weakest(&self.components)
    }
}

fn accumulate(into: &mut BTreeMap<Component, ComponentEnergy>, component: Component, energy: ComponentEnergy) {
    into.entry(component).and_modify(|so_far| so_far.add(energy)).or_insert(energy);
}

fn sum(components: &BTreeMap<Component, ComponentEnergy>) -> Option<Estimate<Joules>> {
    components.values().map(|energy| energy.joules).reduce(|a, b| a + b)
}

fn weakest(components: &BTreeMap<Component, ComponentEnergy>) -> Option<Method> {
    Method::weakest(components.values().map(|energy| energy.method))
}
