//! Attribution: which part of what a machine drew is idle, and which part of the rest one process
//! (with its children) caused.
//!
//! `machine = idle + active`, and active energy goes by CPU time: `own = active · cpu / all cpu`
//! (of a GPU by the work that its driver tells of each process). So the shares of all processes add up to the
//! active energy, but for a GPU without such a driver, all of which is charged to each process. Idle power is shown separately and charged to nobody. It is measured (phases in which the machine was left
//! alone), or computed by a model that knows its own idle power, or not known: then all energy counts
//! as active and [`Attribution::notes`] says so.
//!
//! Idle and busy are read by the same meter, whose error is taken as common to both: a meter that is
//! 10 % high is so in all shares. What idle power itself changed while it was watched widens them.
//!
//! Whole machine, active, and own are three totals that must not be mixed.

mod baseline;

use std::collections::{BTreeMap, BTreeSet};

use serde::Serialize;

use crate::estimate::{Estimate, Method};
use crate::quantity::{Joules, Seconds, Watts};
use crate::source::proc::TICKS_PER_SECOND;
use crate::source::{Component, Description};
use crate::window::Window;

use baseline::busy_cores;
pub use baseline::{Baseline, IdlePower};

/// True for phases in which the machine was left alone: those named `idle`, alone or before another word.
pub fn is_idle(phase: &str) -> bool {
    phase.strip_prefix("idle").is_some_and(|rest| !rest.starts_with(char::is_alphanumeric))
}

/// How many cores were kept busy in the phases in which the machine was to be left alone, if more than
/// a quiet machine's: then what was seen is not idle power.
pub fn busy_while_idle<'a>(windows: &[Window], sources: impl Iterator<Item = &'a Description> + Clone) -> Option<f64> {
    let follows = |component: &Component| matches!(component, Component::Cpu(_) | Component::Machine);
    let components: BTreeSet<Component> =
        windows.iter().flat_map(|window| window.energy.keys().copied()).filter(follows).collect();
    let by_load = components.into_iter().any(|component| !baseline::is_constant(component, sources.clone()));
    let busy = busy_cores(windows.iter().filter(|window| is_idle(&window.phase)));
    busy.filter(|busy| *busy > baseline::QUIET && by_load)
}

/// Where the energy of some windows went.
#[derive(Debug, Clone, PartialEq, Default, Serialize)]
pub struct Attribution {
    /// Each component separately.
    pub components: BTreeMap<Component, EnergyShares>,
    /// What was assumed, in words.
    pub notes: Vec<String>,
}

/// Where the energy of a component went: `machine = idle + active` and `active = own + others`.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct EnergyShares {
    /// All of it.
    pub machine: Estimate<Joules>,
    /// What the component would have drawn anyway; `None` where that is not known.
    pub idle: Option<Estimate<Joules>>,
    /// What it drew on top of that; all of it where idle power is not known.
    pub active: Estimate<Joules>,
    /// The share of the active energy that the process and its children caused; `None` where no
    /// CPU time was reported.
    pub own: Option<Estimate<Joules>>,
    /// The share of all other processes.
    pub others: Option<Estimate<Joules>>,
    /// How the shares were obtained: at best apportioned.
    pub method: Method,
}

impl Attribution {
    /// Attributes the energy of one meter's windows, those left out in which the machine was left
    /// alone.
    pub fn for_meter(windows: &[Window], sources: &[Description]) -> Self {
        let busy = windows.iter().filter(|window| !is_idle(&window.phase));
        Self::new(busy, &Baseline::new(windows, sources))
    }

    /// Attributes the energy of windows.
    pub fn new<'a>(windows: impl IntoIterator<Item = &'a Window>, baseline: &Baseline) -> Self {
        let windows: Vec<&Window> = windows.into_iter().collect();
        Self::with_pooled_share(&windows, baseline, pooled_share(windows.iter().copied()))
    }

    /// Attributes the energy of some windows of a run, whose share of all CPU time ([`pooled_share`]) stands in where a
    /// window tells too little of it.
    pub fn with_pooled_share(windows: &[&Window], baseline: &Baseline, pooled: Option<f64>) -> Self {
        let mut attribution = Self { notes: baseline.notes.clone(), ..Self::default() };
        let (mut without_cpu_time, mut whole_boards) = (false, false);
        for window in windows.iter().copied() {
            without_cpu_time |= by_cpu_time(window, pooled).is_none();
            for (component, energy) in &window.energy {
                let idle = baseline.components.get(component);
                let told = window.own_share.contains_key(component);
                whole_boards |= !told && matches!(component, Component::Gpu(_));
                let share = own_part(window, *component, pooled);
                let shares = EnergyShares::new(energy.joules, energy.method, idle, window.active_s, share);
                let known = attribution.components.get(component).copied();
                attribution.components.insert(*component, known.map_or(shares, |known| known.plus(shares)));
            }
        }
        if let Some(off) = tick_error(windows) {
            let by_cpu_time = |(component, shares): (&Component, &mut EnergyShares)| {
                if !matches!(component, Component::Gpu(_)) {
                    shares.widen(off);
                }
            };
            attribution.components.iter_mut().for_each(by_cpu_time);
        }
        for component in attribution.components.keys().filter(|known| !baseline.components.contains_key(known)) {
            attribution.notes.push(format!("idle power of {component} is unknown: all its energy counts as active"));
        }
        if whole_boards {
            let note = "GPUs: all activity is attributed to the command where no per-process share is available";
            attribution.notes.push(note.to_owned());
        }
        if without_cpu_time {
            attribution
                .notes
                .push("CPU time is missing for part of the run, or none was used: no per-process share".to_owned());
        }
        attribution
    }

    /// Adds what another meter saw.
    pub fn add(&mut self, other: &Self) {
        for (component, shares) in &other.components {
            let sum = self.components.get(component).map_or(*shares, |known| known.plus(*shares));
            self.components.insert(*component, sum);
        }
        for note in &other.notes {
            if !self.notes.contains(note) {
                self.notes.push(note.clone());
            }
        }
    }

    /// One of the shares over all components; `None` if some component has none.
    pub fn total(&self, of: impl Fn(&EnergyShares) -> Option<Estimate<Joules>>) -> Option<Estimate<Joules>> {
        let mut parts = self.components.values().map(of);
        let first = parts.next()??;
        parts.try_fold(first, |sum, part| part.map(|part| sum + part))
    }

    /// Energy of the whole machine.
    pub fn machine(&self) -> Option<Estimate<Joules>> {
        self.total(|shares| Some(shares.machine))
    }

    /// What the machine would have drawn anyway; `None` where that is not known of every component.
    pub fn idle(&self) -> Option<Estimate<Joules>> {
        self.total(|shares| shares.idle)
    }

    /// What it drew on top.
    pub fn active(&self) -> Option<Estimate<Joules>> {
        self.total(|shares| Some(shares.active))
    }

    /// The share of the process and its children.
    pub fn own(&self) -> Option<Estimate<Joules>> {
        self.total(|shares| shares.own)
    }
}

/// What of a difference of two energies is rounding, as a part of them, and in joules.
const ROUNDING: f64 = 1e-9;
const QUANTA: f64 = 4.0 / (1_u64 << 30) as f64;

/// CPU seconds of a window below which the shares of the whole run stand in.
const FEW: f64 = 0.1;

/// The part of all CPU time that the process had; `None` where one of the two was not told, or both
/// together are no more than this.
fn cpu_share(window: &Window, more_than: f64) -> Option<f64> {
    share_of(window.cpu_s?.get(), window.others_cpu_s?.get(), more_than)
}

/// By how much the program's share of all CPU time may be off, because CPU time is counted in ticks:
/// each count may be a tick short at both ends.
fn tick_error(windows: &[&Window]) -> Option<f64> {
    let told = windows.iter().filter_map(|window| Some(window.cpu_s?.get() + window.others_cpu_s?.get()));
    let all: f64 = told.sum();
    (all > 0.0).then(|| (2.0 / TICKS_PER_SECOND / all).min(1.0))
}

/// The part of a component's active energy that the process has in a window: what the driver told, all of a GPU whose
/// driver tells nothing, else its part of the CPU time, for which `pooled` stands in where the window has few ticks.
pub fn own_part(window: &Window, component: Component, pooled: Option<f64>) -> Option<f64> {
    match (window.own_share.get(&component), component) {
        // A ledger may say anything.
        (Some(told), _) => Some(if told.is_finite() { told.clamp(0.0, 1.0) } else { 1.0 }),
        (None, Component::Gpu(_)) => Some(1.0),
        _ => by_cpu_time(window, pooled),
    }
}

fn by_cpu_time(window: &Window, pooled: Option<f64>) -> Option<f64> {
    // A window with a few ticks in it tells little of who used it.
    cpu_share(window, FEW).or(pooled.filter(|_| window.others_cpu_s.is_some()))
}

/// The part of all CPU time that the process had over all windows that report it.
pub fn pooled_share<'a>(windows: impl IntoIterator<Item = &'a Window>) -> Option<f64> {
    let told = windows.into_iter().filter_map(|window| Some((window.cpu_s?.get(), window.others_cpu_s?.get())));
    let (own, others) = told.fold((0.0, 0.0), |sum, one| (sum.0 + one.0, sum.1 + one.1));
    share_of(own, others, 0.0)
}

fn share_of(own: f64, others: f64, more_than: f64) -> Option<f64> {
    (own + others > more_than).then(|| own / (own + others))
}

impl EnergyShares {
    fn new(
        machine: Estimate<Joules>,
        method: Method,
        idle: Option<&IdlePower>,
        time: Seconds,
        share: Option<f64>,
    ) -> Self {
        // What the meter may be wrong by, common to all shares.
        let value = machine.value().get();
        let by = |bound: Joules| if value > 0.0 { bound.get() / value } else { 1.0 };
        let (low, high) = (by(machine.low()), by(machine.high()));
        let estimate = |[least, middle, most]: [f64; 3]| {
            Estimate::exact(Joules::raw(middle)).with_bounds(Joules::raw(least * low), Joules::raw(most * high))
        };
        // A quiet moment can lie below the mean idle power: then all of it is idle.
        // What is left over by rounding is nothing: sums and quanta of energy differ in their last bits.
        let noise = (value * ROUNDING).max(QUANTA);
        let idle_of = |power: Watts| Some((power * time).get()).filter(|idle| value - idle > noise).unwrap_or(value);
        let drawn = idle.map(|idle| [idle.least, idle.power.value(), idle.most].map(idle_of));
        let idle_energy = drawn.map(estimate);
        let active =
            drawn.map_or(machine, |[least, middle, most]| estimate([value - most, value - middle, value - least]));
        let part = |share: f64| active.scaled(share);
        let weakest = method.max(idle.map_or(Method::Apportioned, |idle| idle.method.max(Method::Apportioned)));
        Self {
            machine,
            idle: idle_energy,
            active,
            own: share.map(part),
            others: share.map(|share| part(1.0 - share)),
            method: weakest,
        }
    }

    /// Moves the bounds of own and others apart by so much of the active energy, which bounds both.
    fn widen(&mut self, off: f64) {
        let active = self.active;
        let wide = |share: Estimate<Joules>| {
            let low = (share.low().get() - off * active.low().get()).max(0.0);
            let high = (share.high().get() + off * active.high().get()).min(active.high().get());
            share.with_bounds(Joules::raw(low), Joules::raw(high.max(share.value().get())))
        };
        self.own = self.own.map(wide);
        self.others = self.others.map(wide);
    }

    fn plus(self, other: Self) -> Self {
        let both = |a: Option<Estimate<Joules>>, b: Option<Estimate<Joules>>| a.zip(b).map(|(a, b)| a + b);
        Self {
            machine: self.machine + other.machine,
            idle: both(self.idle, other.idle),
            active: self.active + other.active,
            own: both(self.own, other.own),
            others: both(self.others, other.others),
            method: self.method.max(other.method),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::estimate::Spread;
    use crate::split::Split;
    use crate::window::ComponentEnergy;
    use proptest::prelude::*;

    const CPU: Component = Component::Cpu(0);

    fn window(phase: &str, seconds: f64, joules: f64, own: f64, others: f64) -> Window {
        let joules = Estimate::with_spread(Joules::raw(joules), Spread::relative(0.1));
        Window {
            phase: phase.to_owned(),
            start: jiff::Timestamp::UNIX_EPOCH,
            end: jiff::Timestamp::UNIX_EPOCH,
            start_s: Seconds::ZERO,
            end_s: Seconds::raw(seconds),
            active_s: Seconds::raw(seconds),
            cpu_s: Some(Seconds::raw(own)),
            others_cpu_s: Some(Seconds::raw(others)),
            own_share: BTreeMap::new(),
            energy: BTreeMap::from([(CPU, ComponentEnergy { joules, method: Method::Measured })]),
            split: Split::Whole,
            gaps: Vec::new(),
        }
    }

    #[test]
    fn idle_phases_are_told_by_a_word() {
        assert!(["idle", "idle before", "idle-2"].into_iter().all(is_idle));
        assert!(!["idler", "idle2", "", "busy", "my idle"].into_iter().any(is_idle));
    }

    #[test]
    fn idle_is_watched_and_the_rest_goes_by_cpu_time() {
        let windows = [
            window("idle before", 10.0, 100.0, 0.0, 0.0),
            window("command", 10.0, 500.0, 15.0, 5.0),
            window("idle after", 10.0, 140.0, 0.0, 0.0),
        ];
        let baseline = Baseline::new(&windows, &[]);
        let power = baseline.power().unwrap();
        // 10 W before and 14 W after.
        let idle = baseline.components[&CPU];
        assert_eq!((power.value().get(), idle.least.get(), idle.most.get()), (12.0, 10.0, 14.0));
        assert_eq!(idle.watched, Some(Seconds::raw(20.0)));
        let attribution = Attribution::for_meter(&windows, &[]);
        let shares = attribution.components[&CPU];
        let values = [Some(shares.machine), shares.idle, Some(shares.active), shares.own, shares.others]
            .map(|estimate| estimate.unwrap().value().get());
        assert_eq!(values, [500.0, 120.0, 380.0, 285.0, 95.0]);
        assert_eq!(shares.method, Method::Apportioned);
        // The meter's 10 % either way go on top.
        assert!((shares.active.low().get() - 0.9 * (500.0 - 140.0)).abs() < 1e-9);
        assert!((shares.active.high().get() - 1.1 * (500.0 - 100.0)).abs() < 1e-9);
        assert!((shares.idle.unwrap().high().get() - 1.1 * 140.0).abs() < 1e-9);
        assert!(attribution.notes.is_empty(), "{:?}", attribution.notes);
    }

    // 10 W idle and 5 W a core; two cores of others all the time, one of the program's.
    #[test]
    fn the_load_of_others_is_not_booked_as_idle() {
        let windows = [
            window("idle before", 10.0, 200.0, 0.0, 20.0),
            window("command", 10.0, 250.0, 10.0, 20.0),
            window("idle after", 10.0, 200.0, 0.0, 20.0),
        ];
        let attribution = Attribution::for_meter(&windows, &[]);
        let shares = attribution.components[&CPU];
        let (idle, own) = (shares.idle.unwrap(), shares.own.unwrap());
        assert!((idle.value().get() - 100.0).abs() < 1e-9 && (own.value().get() - 50.0).abs() < 1e-9, "{shares:?}");
        // From none of the others' load to twice as much may have been in what was watched.
        assert!(idle.low().get() < 1e-9 && idle.high().get() > 200.0, "{idle:?}");
        assert!(
            attribution.notes[0].starts_with("2.00 cores were busy while idle power was watched"),
            "{attribution:?}"
        );
        assert_eq!(busy_while_idle(&windows, [].iter()), Some(2.0));
        // A run that does nothing beside them shows nothing: then idle power is not known.
        let still = [windows[0].clone(), window("command", 10.0, 201.0, 0.0, 20.0)];
        let attribution = Attribution::for_meter(&still, &[]);
        assert_eq!(attribution.components[&CPU].idle, None);
        let notes = attribution.notes.join("\n");
        assert!(
            notes.contains("not taken for idle power") && notes.contains("idle power of cpu0 is unknown"),
            "{notes}"
        );
        // A model knows its idle power without watching.
        let model = Description {
            name: "model".to_owned(),
            components: vec![CPU],
            method: Method::Modeled,
            spread: Spread::relative(0.5),
            spreads: BTreeMap::new(),
            between_loads: BTreeMap::new(),
            resolution: Seconds::ZERO,
            poll: None,
            scope: String::new(),
            idle: BTreeMap::from([(CPU, Watts::raw(10.0))]),
            notes: Vec::new(),
        };
        let attribution = Attribution::for_meter(&windows, std::slice::from_ref(&model));
        assert_eq!(attribution.components[&CPU].idle.unwrap().value().get(), 100.0);
        assert_eq!(attribution.components[&CPU].own.unwrap().value().get(), 50.0);
        // Left alone, what was watched goes over the model.
        let quiet = [window("idle before", 10.0, 120.0, 0.0, 0.1), windows[1].clone()];
        assert_eq!(
            Attribution::for_meter(&quiet, std::slice::from_ref(&model)).components[&CPU].idle.unwrap().value().get(),
            120.0
        );
        assert_eq!(busy_while_idle(&quiet, [].iter()), None);
        // A given power does not follow the load and has none in it.
        let fixed = [Description { name: "fixed".to_owned(), idle: BTreeMap::new(), ..model }];
        assert_eq!(Attribution::for_meter(&windows, &fixed).components[&CPU].idle.unwrap().value().get(), 200.0);
        assert_eq!(busy_while_idle(&windows, fixed.iter()), None);
    }

    // A program that ends between two ticks has used something: zero is only what was counted.
    #[test]
    fn less_than_a_tick_is_a_bound_and_not_nothing() {
        let short = [window("command", 0.3, 10.0, 0.0, 0.2)];
        let mut baseline = Baseline::default();
        let power = Estimate::exact(Watts::raw(20.0));
        let idle = IdlePower {
            power,
            least: Watts::raw(20.0),
            most: Watts::raw(20.0),
            method: Method::Measured,
            watched: None,
        };
        baseline.components.insert(CPU, idle);
        let own = Attribution::new(&short, &baseline).components[&CPU].own.unwrap();
        // 4 J are active, with ten percent; two ticks of 0.2 s are a tenth of them.
        assert_eq!((own.value().get(), own.low().get()), (0.0, 0.0));
        assert!((own.high().get() - 0.44).abs() < 1e-9, "{own}");
        assert_eq!(own.to_string(), "at most 440 mJ");
        // In a long run it does not show.
        let long = [window("command", 300.0, 10_000.0, 100.0, 100.0)];
        let own = Attribution::new(&long, &baseline).components[&CPU].own.unwrap();
        assert!((own.high().get() / own.value().get() - 1.1).abs() < 0.001, "{own}");
    }

    #[test]
    fn rounding_is_not_energy() {
        let watched =
            [window("idle before", 3.0, 0.3, 0.0, 0.0), window("command", 7.0, 0.7 * (1.0 + 1e-12), 1.0, 0.0)];
        let shares = Attribution::for_meter(&watched, &[]).components[&CPU];
        assert_eq!((shares.active.value().get(), shares.active.high().get()), (0.0, 0.0), "{shares:?}");
        assert_eq!(shares.idle.unwrap().value(), shares.machine.value());
    }

    #[test]
    fn what_is_not_known_is_said() {
        let mut told = window("command", 10.0, 500.0, 15.0, 5.0);
        told.others_cpu_s = None;
        let attribution = Attribution::new([&told], &Baseline::default());
        let shares = attribution.components[&CPU];
        assert_eq!((shares.idle, shares.own, shares.active), (None, None, shares.machine));
        assert_eq!((attribution.idle(), attribution.own()), (None, None));
        let notes = attribution.notes.join("\n");
        assert!(notes.contains("idle power of cpu0 is unknown") && notes.contains("CPU time"), "{notes}");
        assert_eq!(Attribution::new([], &Baseline::default()).machine(), None);
    }

    proptest! {
        // Processes that share a machine: each is metered apart, the others are its others.
        #[test]
        fn shares_of_all_processes_are_the_active_energy(
            cpu in prop::collection::vec(0.0..100.0_f64, 1..6),
            energies in prop::collection::vec(0.0..1e6_f64, 1..5),
            idle_watts in prop::option::of(0.0..1e4_f64),
        ) {
            let all: f64 = cpu.iter().sum();
            prop_assume!(all > 1e-6);
            let mut baseline = Baseline::default();
            if let Some(watts) = idle_watts {
                let power = Estimate::with_spread(Watts::raw(watts), Spread::relative(0.2));
                let (least, most) = (Watts::raw(watts * 0.7), Watts::raw(watts * 1.5));
                let idle = IdlePower { power, least, most, method: Method::Measured, watched: None };
                baseline.components.insert(CPU, idle);
            }
            let mut sum = 0.0;
            let mut active = 0.0;
            for own in &cpu {
                let windows: Vec<Window> =
                    energies.iter().map(|joules| window("command", 10.0, *joules, *own, all - own)).collect();
                let attribution = Attribution::new(&windows, &baseline);
                let shares = attribution.components[&CPU];
                let (machine, own) = (shares.machine.value().get(), shares.own.unwrap().value().get());
                prop_assert!(0.0 <= own && own <= shares.active.value().get() * (1.0 + 1e-12));
                prop_assert!(shares.active.value().get() <= machine * (1.0 + 1e-12));
                let idle = shares.idle.map_or(0.0, |idle| idle.value().get());
                prop_assert!((idle + shares.active.value().get() - machine).abs() <= 1e-9 * machine.max(1.0));
                for estimate in [Some(shares.machine), shares.idle, Some(shares.active), shares.own, shares.others] {
                    let Some(e) = estimate else { continue };
                    prop_assert!(Estimate::new(e.value(), e.low(), e.high()).is_ok(), "{e:?}");
                }
                sum += own;
                active = shares.active.value().get();
            }
            prop_assert!((sum - active).abs() <= 1e-9 * active.max(1.0), "{sum} against {active}");
        }
    }
}
