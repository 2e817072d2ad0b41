//! The bill: what totals come to in kilowatt-hours, grams and money, and what it leaves out.

use std::fmt;

use serde::Serialize;

use crate::estimate::{Estimate, Method};
use crate::gap::Gap;
use crate::grid::{Grid, GridChoice};
use crate::money::Money;
use crate::quantity::{GramsCo2e, Joules, KilowattHours, Pue, Quantity, Seconds, Watts};
use crate::source::Component;
use crate::tariff::Tariff;
use crate::totals::Totals;

/// What a run cost.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Bill {
    /// Each phase, in order.
    pub phases: Vec<BillLine>,
    /// All of it.
    pub total: BillLine,
    /// The grid that the carbon is computed with.
    pub grid: Grid,
    /// The prices and the PUE that it is computed with.
    pub tariff: Tariff,
    /// What went wrong while measuring.
    pub gaps: Vec<Gap>,
    /// What the bill does not hold, in words. Never empty.
    pub leaves_out: Vec<String>,
}

/// What one phase, or all, came to. Absent numbers were not read or have no price: they are not
/// zero. Carbon intensity, PUE and prices are taken as exact, so the intervals are those of the
/// energy.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct BillLine {
    /// Name of the phase, or `total`.
    pub phase: String,
    /// How long it was active, in seconds.
    pub active_s: Seconds,
    /// Energy that the machine drew.
    pub energy_kwh: Option<Estimate<KilowattHours>>,
    /// Energy that the building drew for it: times the PUE.
    pub facility_kwh: Option<Estimate<KilowattHours>>,
    /// Mean power of the machine.
    pub power_w: Option<Estimate<Watts>>,
    /// Mean power of the building for it: times the PUE.
    pub facility_w: Option<Estimate<Watts>>,
    /// Greenhouse gas of the building's energy.
    pub carbon_g: Option<Estimate<GramsCo2e>>,
    /// Electricity of the building and hours of the machine, as far as they have prices.
    pub money: Option<Estimate<Money>>,
    /// The weakest method behind the energy.
    pub method: Option<Method>,
}

/// A line divided by what was done with it.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct UnitCost {
    /// So many units cost what follows.
    pub units: u64,
    /// Time.
    pub active_s: Seconds,
    /// Energy that the machine drew.
    pub energy_j: Option<Estimate<Joules>>,
    /// Energy that the building drew for it.
    pub facility_j: Option<Estimate<Joules>>,
    /// Greenhouse gas.
    pub carbon_g: Option<Estimate<GramsCo2e>>,
    /// Money.
    pub money: Option<Estimate<Money>>,
}

impl Bill {
    /// Computes the bill of a run.
    pub fn new(totals: &Totals, grid: &Grid, tariff: &Tariff) -> Self {
        let line = |phase: &str, active, energy, method| BillLine::new(phase, active, energy, method, grid, tariff);
        Self {
            phases: totals
                .phases
                .iter()
                .map(|phase| line(&phase.phase, phase.active, phase.energy(), phase.method()))
                .collect(),
            total: line("total", totals.active(), totals.energy(), totals.method()),
            grid: grid.clone(),
            tariff: *tariff,
            gaps: totals.gaps.clone(),
            leaves_out: leaves_out(totals, tariff),
        }
    }
}

impl BillLine {
    fn new(
        phase: &str,
        active: Seconds,
        energy: Option<Estimate<Joules>>,
        method: Option<Method>,
        grid: &Grid,
        tariff: &Tariff,
    ) -> Self {
        let pue = tariff.pue();
        let energy_kwh = energy.map(|energy| energy.map(KilowattHours::from));
        let facility_kwh = energy_kwh.map(|energy| energy.map(|energy| energy * pue));
        let power_w = energy.filter(|_| active > Seconds::ZERO).map(|energy| energy.map(|energy| energy / active));
        let electricity =
            facility_kwh.zip(tariff.electricity()).map(|(energy, price)| energy.map(|energy| energy * price));
        let machine = tariff.device_hour().map(|price| active * price);
        Self {
            phase: phase.to_owned(),
            active_s: active,
            energy_kwh,
            facility_kwh,
            power_w,
            facility_w: power_w.map(|power| power.map(|power| power * pue)),
            carbon_g: facility_kwh.map(|energy| energy.map(|energy| energy * grid.g_per_kwh)),
            money: match (electricity, machine) {
                (Some(electricity), Some(machine)) => {
                    // A tariff has one currency.
                    Some(electricity.map(|money| money.with(money.amount() + machine.amount())))
                }
                (Some(electricity), None) => Some(electricity),
                (None, machine) => machine.map(Estimate::exact),
            },
            method,
        }
    }

    /// What `each` units cost if `done` of them were done: joules for a thousand requests, say.
    /// Nothing if none was done.
    pub fn per(&self, done: u64, each: u64) -> Option<UnitCost> {
        let factor = (done > 0).then(|| each as f64 / done as f64)?;
        let joules =
            |energy: Option<Estimate<KilowattHours>>| energy.map(|energy| energy.map(Joules::from).scaled(factor));
        Some(UnitCost {
            units: each,
            active_s: self.active_s.with(self.active_s.get() * factor),
            energy_j: joules(self.energy_kwh),
            facility_j: joules(self.facility_kwh),
            carbon_g: self.carbon_g.map(|carbon| carbon.scaled(factor)),
            money: self.money.map(|money| money.scaled(factor)),
        })
    }
}

/// What the numbers do not hold, read off the components that were measured and the prices given.
fn leaves_out(totals: &Totals, tariff: &Tariff) -> Vec<String> {
    let mut out = vec!["making the hardware (embodied emissions)", "network, and storage outside this machine"];
    if tariff.pue() == Pue::ONE {
        out.push("cooling and power conversion of the building (PUE 1)");
    }
    let has = |wanted: fn(&Component) -> bool| totals.components.keys().any(wanted);
    if totals.components.is_empty() {
        out.push("all energy: no source gave any");
    } else if !has(|component| *component == Component::Machine) {
        if !has(|component| matches!(component, Component::Cpu(_))) {
            out.push("processors: no source gave any");
        }
        if !has(|component| matches!(component, Component::Memory(_))) {
            out.push("memory: no source gave any");
        }
        if !has(|component| matches!(component, Component::Gpu(_))) {
            out.push("graphics boards, if there are any: none was read");
        }
        // The model's figures are whole servers at the wall; counters see the package alone.
        let at_the_wall = |(component, energy): (&Component, &crate::window::ComponentEnergy)| {
            matches!(component, Component::Cpu(_)) && energy.method == Method::Modelled
        };
        if !totals.components.iter().any(at_the_wall) {
            out.push("disks, fans, board and losses of the power supply");
        }
    }
    match (tariff.electricity(), tariff.device_hour()) {
        (None, None) => out.push("money: no price was given"),
        (None, Some(_)) => out.push("price of electricity, unless the price by the hour includes it"),
        (Some(_), None) => out.push("price of the machine"),
        (Some(_), Some(_)) => {}
    }
    out.into_iter().map(str::to_owned).collect()
}

/// A few lines for a terminal.
impl fmt::Display for Bill {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for line in self.phases.iter().chain([&self.total]) {
            writeln!(f, "{line}")?;
        }
        writeln!(f, "grid: {}", self.grid)?;
        if self.grid.choice == GridChoice::NotGiven {
            writeln!(f, "      name the country or give your own g/kWh for a carbon figure that means this place")?;
        }
        writeln!(f, "PUE: {}", self.tariff.pue())?;
        for gap in &self.gaps {
            writeln!(f, "gap: {gap}")?;
        }
        write!(f, "left out: {}", self.leaves_out.join("; "))
    }
}

impl fmt::Display for BillLine {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.phase, self.active_s)?;
        if let Some(energy) = self.facility_kwh {
            write!(f, ", {energy}")?;
        }
        if let Some(power) = self.facility_w {
            write!(f, ", {power}")?;
        }
        if let Some(carbon) = self.carbon_g {
            write!(f, ", {carbon}")?;
        }
        if let Some(money) = self.money {
            write!(f, ", {money}")?;
        }
        match self.method {
            Some(method) => write!(f, " ({method})"),
            None => f.write_str(" (no energy read)"),
        }
    }
}
