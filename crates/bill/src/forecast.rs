//! What a computation will cost, before anything runs.
//!
//! A [`MachineSpec`] (accelerators, processors, memory, or explicit watts) and a [`Workload`] (hours, or
//! operations to carry out) give a [`Forecast`]: time, power and energy with a 90 % interval, by the
//! method *modeled*. [`Forecast::bill`] makes kilowatt-hours, grams and money of it, and [`what_if()`]
//! compares machines, places and prices.
//!
//! ```
//! use attar_bill::forecast::{Forecast, MachineSpec, Workload};
//! use attar_bill::{Grid, PuePreset, Tariff};
//!
//! let machine = MachineSpec::new().with_accelerators("A100 SXM", 4)?.with_processors("EPYC 7763", 1)?;
//! let machine = machine.with_memory_gb(512.0)?;
//! let forecast = Forecast::new(&machine, &Workload::hours(10.0)?.with_utilization(1.0)?)?;
//! let tariff = Tariff::own_machine().with_pue(PuePreset::named("uptime2024")?.pue);
//! let bill = forecast.bill(&Grid::for_region("DE")?, &tariff);
//! assert_eq!(bill.total.facility_kwh.unwrap().to_string(), "25.3 kWh [14.4, 33.8]");
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! How good it is, in short: the power of a board is a share of its limit, and the shares and their
//! intervals are fitted to 218 measured jobs on four boards; with each board forecast from the
//! other three, nine in ten of 1,609 measurements lie inside ([`power`] has the numbers). A
//! board of another generation may behave as none of the four did. Nothing beats measuring a minute
//! of the job and scaling it up ([`Totals::forecast`]).

mod machine;
pub mod power;
mod preset;
mod what_if;
mod workload;

use std::collections::BTreeMap;

use attar_meter::hardware::HardwareError;
use attar_meter::source::Component;
use attar_meter::{
    ComponentEnergy, Estimate, Joules, Method, PhaseTotals, Quantity, QuantityError, Seconds, Totals, Watts,
};
use serde::Serialize;

use crate::bill::Bill;
use crate::grid::Grid;
use crate::tariff::Tariff;

pub use machine::MachineSpec;
pub use preset::{Preset, PresetError, preset, presets};
pub use what_if::{Variant, WhatIf, what_if};
pub use workload::{EFFICIENCY, Efficiency, PeakPrecision, Workload};

/// Name of the one phase that a forecast has.
pub const PHASE: &str = "forecast";

/// What a workload on a machine will take.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Forecast {
    /// How long it takes, in seconds.
    pub time_s: Estimate<Seconds>,
    /// Mean power of the machine, in watts.
    pub power_w: Estimate<Watts>,
    /// Energy of the machine, in joules.
    pub energy_j: Estimate<Joules>,
    /// The same energy by component. All accelerators of one kind are one `gpuN`, all processors of
    /// one kind one `cpuN`, in the order in which the machine was described.
    pub components: BTreeMap<Component, ComponentEnergy>,
    /// Always modeled.
    pub method: Method,
    /// Where the numbers come from, and what is uncertain about them.
    pub remarks: Vec<String>,
    /// What the energy does not include.
    pub exclusions: Vec<String>,
}

/// A forecast that cannot be made.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum ForecastError {
    /// A device that no table knows, or that several entries answer to.
    #[error(transparent)]
    Hardware(#[from] HardwareError),
    /// A number outside the range of its quantity.
    #[error(transparent)]
    Quantity(#[from] QuantityError),
    /// A number outside its range.
    #[error("{what} must be {expected}, got {got}")]
    OutOfRange {
        /// What it is, with its unit.
        what: &'static str,
        /// The range that is allowed.
        expected: &'static str,
        /// The number given.
        got: f64,
    },
    /// The machine has nothing that draws power.
    #[error("machine has no accelerators, no processors, no memory and no watts; describe at least one of them")]
    EmptyMachine,
    /// Watts of the whole machine were given beside some of its parts.
    #[error("machine has watts for all of it, and {part} are a part of it; give either the parts or the whole")]
    PartBesideWhole {
        /// The part.
        part: &'static str,
    },
    /// Operations are to be carried out, and nothing with a known peak is there.
    #[error("time of {flops:e} operations needs {expected}; {reason}; give hours or your own peak")]
    NoPeak {
        /// How many operations.
        flops: f64,
        /// What is needed.
        expected: String,
        /// Why that is not there.
        reason: String,
    },
}

impl Forecast {
    /// Forecasts a workload on a machine.
    ///
    /// Power and time of a part have independent errors, so their factors are combined as independent
    /// log-normals (root of squares of the logarithms); the parts are added bound by bound.
    ///
    /// # Errors
    /// If the machine is empty, or the workload counts operations and the machine has no peak.
    pub fn new(machine: &MachineSpec, workload: &Workload) -> Result<Self, ForecastError> {
        let parts = machine.parts(workload)?;
        let mut remarks = machine.remarks(workload);
        let time_s = workload.time(machine, &mut remarks)?;
        let mut power_w: Option<Estimate<Watts>> = None;
        let mut components = BTreeMap::new();
        for (component, power) in parts {
            power_w = Some(power_w.map_or(power, |so_far| so_far + power));
            components.insert(component, ComponentEnergy { joules: energy(power, time_s), method: Method::Modeled });
        }
        let energy_j = components.values().map(|energy| energy.joules).reduce(|a, b| a + b);
        let (Some(power_w), Some(energy_j)) = (power_w, energy_j) else { return Err(ForecastError::EmptyMachine) };
        Ok(Self {
            time_s,
            power_w,
            energy_j,
            components,
            method: Method::Modeled,
            remarks,
            exclusions: machine.exclusions(),
        })
    }

    /// As totals with one phase, for a bill. Its length is the best single number.
    pub fn totals(&self) -> Totals {
        self.totals_of(self.time_s.value(), self.components.clone())
    }

    /// What it will cost. The interval of a rent by the hour is not on the bill, where time is
    /// exact, but in the rows of [`what_if()`].
    pub fn bill(&self, grid: &Grid, tariff: &Tariff) -> Bill {
        let mut bill = Bill::new(&self.totals(), grid, tariff);
        bill.exclusions.extend(self.exclusions.iter().cloned());
        bill
    }

    /// The same at the bounds of time and energy that the two functions pick.
    fn totals_at(
        &self,
        time: impl Fn(&Estimate<Seconds>) -> Seconds,
        energy: impl Fn(&Estimate<Joules>) -> Joules,
    ) -> Totals {
        let at = |part: &ComponentEnergy| ComponentEnergy { joules: Estimate::exact(energy(&part.joules)), ..*part };
        self.totals_of(
            time(&self.time_s),
            self.components.iter().map(|(component, part)| (*component, at(part))).collect(),
        )
    }

    fn totals_of(&self, active: Seconds, components: BTreeMap<Component, ComponentEnergy>) -> Totals {
        let phase = PhaseTotals {
            phase: PHASE.to_owned(),
            active,
            cpu: None,
            others_cpu: None,
            components: components.clone(),
        };
        Totals { phases: vec![phase], components, gaps: Vec::new() }
    }
}

/// Power over time, each with its own uncertainty.
fn energy(power: Estimate<Watts>, time: Estimate<Seconds>) -> Estimate<Joules> {
    let value = power.value() * time.value();
    let bound = |power: f64, time: f64, sign: f64| {
        // A bound of nothing stays nothing, however doubtful the other factor.
        if power == 0.0 || time == 0.0 { 0.0 } else { value.get() * (sign * power.ln().hypot(time.ln())).exp() }
    };
    let factor = |bound: f64, value: f64| if value > 0.0 { bound / value } else { 1.0 };
    let (p, t) = (power.value().get(), time.value().get());
    let low = if p > 0.0 { bound(factor(power.low().get(), p), factor(time.low().get(), t), -1.0) } else { 0.0 };
    let high = if p > 0.0 {
        bound(factor(power.high().get(), p), factor(time.high().get(), t), 1.0)
    } else {
        (power.high() * time.high()).get()
    };
    // The exponential of a logarithm may round past the value.
    Estimate::exact(value).with_bounds(value.with(low.min(value.get())), value.with(high.max(value.get())))
}

/// Refuses a number outside its range.
fn check(what: &'static str, expected: &'static str, got: f64, allowed: bool) -> Result<f64, ForecastError> {
    if got.is_finite() && allowed { Ok(got + 0.0) } else { Err(ForecastError::OutOfRange { what, expected, got }) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use attar_testing::assert_close_relative;
    use proptest::prelude::*;

    fn estimate<Q: Quantity>(value: Q, low: f64, high: f64) -> Estimate<Q> {
        Estimate::new(value, value.with(value.magnitude() * low), value.with(value.magnitude() * high)).unwrap()
    }

    #[test]
    fn independent_factors_combine_by_squares() {
        let (power, time) = (estimate(Watts::raw(100.0), 0.5, 2.0), estimate(Seconds::raw(10.0), 0.5, 2.0));
        let both = energy(power, time);
        let factor = 2f64.powf(2f64.sqrt());
        assert_close_relative("high", both.high().get(), 1000.0 * factor, 1e-14);
        assert_close_relative("low", both.low().get(), 1000.0 / factor, 1e-14);
        // One exact factor leaves the other's bounds.
        let one = energy(power, Estimate::exact(Seconds::raw(10.0)));
        assert_close_relative("low", one.low().get(), 500.0, 1e-14);
        assert_close_relative("high", one.high().get(), 2000.0, 1e-14);
    }

    #[test]
    fn a_bound_of_nothing_is_nothing() {
        let idle = Estimate::new(Watts::raw(0.0), Watts::raw(0.0), Watts::raw(5.0)).unwrap();
        let energy_of_idle = energy(idle, Estimate::exact(Seconds::raw(10.0)));
        assert_eq!((energy_of_idle.value().get(), energy_of_idle.high().get()), (0.0, 50.0));
        let doubtful = energy(estimate(Watts::raw(7.0), 0.0, 1.0), Estimate::exact(Seconds::raw(10.0)));
        assert_eq!((doubtful.low().get(), doubtful.high().get()), (0.0, 70.0));
    }

    proptest! {
        // Never narrower than either factor, never wider than both at once.
        #[test]
        fn bounds_lie_between_one_factor_and_both(
            p in 1e-3..1e6_f64, t in 1e-3..1e9_f64,
            pl in 0.01..1.0_f64, ph in 1.0..9.0_f64, tl in 0.01..1.0_f64, th in 1.0..9.0_f64,
        ) {
            let all = energy(estimate(Watts::raw(p), pl, ph), estimate(Seconds::raw(t), tl, th));
            let (low, high) = (all.low().get() / (p * t), all.high().get() / (p * t));
            prop_assert!(pl * tl * (1.0 - 1e-12) <= low && low <= pl.min(tl) * (1.0 + 1e-12));
            prop_assert!(ph.max(th) * (1.0 - 1e-12) <= high && high <= ph * th * (1.0 + 1e-12));
        }
    }
}
