//! The bill: what totals come to in kilowatt-hours, grams and money, and what it leaves out.

use std::fmt;

use attar_meter::source::Component;
use attar_meter::{
    Estimate, Gap, GramsCo2e, Joules, KilowattHours, Liters, Method, Pue, Quantity, Seconds, Totals, Watts,
};
use serde::Serialize;

use crate::embodied::Embodied;
use crate::factors::Factors;
use crate::grid::{Grid, GridChoice};
use crate::money::Money;
use crate::report::BillShare;
use crate::tariff::Tariff;
use crate::unit::{Unit, UnitCost};
use crate::water::Water;

/// What a run cost.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Bill {
    /// Each phase, in order.
    pub phases: Vec<BillLine>,
    /// All of it.
    pub total: BillLine,
    /// The grid that the carbon is computed with.
    pub grid: Grid,
    /// The grid that the market-based carbon is computed with.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub market: Option<Grid>,
    /// The prices and the PUE that it is computed with.
    pub tariff: Tariff,
    /// Source of the PUE, if given.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub pue_source: Option<String>,
    /// Source of the prices, if given.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub price_source: Option<String>,
    /// The water factors that it is computed with.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub water: Option<Water>,
    /// The manufacturing of the hardware that it is charged with.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub embodied: Option<Embodied>,
    /// The part of all CPU time that the run's own processes had, from 0 to 1: the bill charges the whole
    /// machine, whoever used it. `None` where the system does not tell it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cpu_share: Option<f64>,
    /// Whose energy it charges.
    #[serde(skip_serializing_if = "BillShare::is_machine")]
    pub share: BillShare,
    /// Problems encountered while metering.
    pub gaps: Vec<Gap>,
    /// What the bill does not include, in words. Never empty.
    pub exclusions: Vec<String>,
}

/// What one phase, or all, came to. Absent numbers were not read or have no price: they are not
/// zero. Carbon intensity, PUE, water factors and prices are taken as exact, so the intervals are
/// those of the energy, but for a machine with two prices, whose bounds are those prices, and for
/// the manufacturing of the hardware, whose interval is that of its total.
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
    /// Greenhouse gas of the building's energy, by the grid of the place (location-based). Nothing
    /// below is part of it.
    pub carbon_g: Option<Estimate<GramsCo2e>>,
    /// The same energy by what its operator's contracts make of the grid (market-based): another
    /// answer to the question of `carbon_g`, never to be added to it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub market_carbon_g: Option<Estimate<GramsCo2e>>,
    /// Greenhouse gas of manufacturing the hardware, the share of this time.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub embodied_g: Option<Estimate<GramsCo2e>>,
    /// Water.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub water_l: Option<Estimate<Liters>>,
    /// Electricity of the building and hours of the machine, as far as they have prices.
    pub money: Option<Estimate<Money>>,
    /// The weakest method behind the energy.
    pub method: Option<Method>,
}

impl Bill {
    /// Computes the bill of a run from a grid and prices alone: the short form of [`from_factors`](Self::from_factors).
    pub fn new(totals: &Totals, grid: &Grid, tariff: &Tariff) -> Self {
        Self::from_factors(totals, &Factors::new(grid.clone(), *tariff))
    }

    /// Computes the bill of a run.
    pub fn from_factors(totals: &Totals, factors: &Factors) -> Self {
        let line = |phase: &str, active, energy, method| BillLine::new(phase, active, energy, method, factors);
        Self {
            phases: totals
                .phases
                .iter()
                .map(|phase| line(&phase.phase, phase.active, phase.energy(), phase.method()))
                .collect(),
            total: line("total", totals.active(), totals.energy(), totals.method()),
            grid: factors.grid.clone(),
            market: factors.market.clone(),
            tariff: factors.tariff,
            pue_source: factors.pue_source.clone(),
            price_source: factors.price_source.clone(),
            water: factors.water,
            embodied: factors.embodied.clone(),
            cpu_share: totals.cpu_share(),
            share: BillShare::Machine,
            gaps: totals.gaps.clone(),
            exclusions: exclusions(totals, factors),
        }
    }

    /// Whose energy it charges, in words.
    pub fn scope(&self) -> String {
        let own = self.cpu_share.map_or_else(
            || "the run's own share of its CPU time is not known".to_owned(),
            // Time is counted in ticks: below a hundredth the number says nothing.
            |share| match share {
                ..0.01 => "the run's own processes had less than 1 % of its CPU time".to_owned(),
                share => format!("the run's own processes had {:.0} % of its CPU time", 100.0 * share),
            },
        );
        let covered = match self.share {
            BillShare::Machine => "the whole machine, whoever used it",
            BillShare::Own => {
                "the run's own share of the machine, by CPU time: of what was drawn beyond idle power, and of the idle \
                 power; prices by the hour and making of the hardware are charged whole"
            }
            BillShare::Active => {
                "the run's own share of what the machine drew beyond idle power, by CPU time; prices by the hour and \
                 making of the hardware are charged whole"
            }
        };
        format!("the bill covers {covered}; {own}")
    }

    /// What `each` units cost if all of the run did so many of them.
    pub fn per(&self, unit: &Unit, each: u64) -> UnitCost {
        self.total.per_unit(unit, each)
    }
}

impl BillLine {
    fn new(
        phase: &str,
        active: Seconds,
        energy: Option<Estimate<Joules>>,
        method: Option<Method>,
        factors: &Factors,
    ) -> Self {
        let tariff = factors.tariff;
        let pue = tariff.pue();
        let energy_kwh = energy.map(|energy| energy.map(KilowattHours::from));
        let facility_kwh = energy_kwh.map(|energy| energy.map(|energy| energy * pue));
        let power_w = energy.filter(|_| active > Seconds::ZERO).map(|energy| energy.map(|energy| energy / active));
        let electricity =
            facility_kwh.zip(tariff.electricity()).map(|(energy, price)| energy.map(|energy| energy * price));
        let machine = tariff.machine(active);
        let carbon = |grid: &Grid| facility_kwh.map(|energy| energy.map(|energy| energy * grid.g_per_kwh));
        Self {
            phase: phase.to_owned(),
            active_s: active,
            energy_kwh,
            facility_kwh,
            power_w,
            facility_w: power_w.map(|power| power.map(|power| power * pue)),
            carbon_g: carbon(&factors.grid),
            market_carbon_g: factors.market.as_ref().and_then(carbon),
            embodied_g: factors.embodied.as_ref().map(|embodied| embodied.for_duration(active)),
            water_l: factors.water.zip(energy_kwh.zip(facility_kwh)).map(|(water, (it, all))| water.liters(it, all)),
            money: match (electricity, machine) {
                (Some(electricity), Some(machine)) => Some(sum(electricity, machine)),
                (electricity, machine) => electricity.or(machine),
            },
            method,
        }
    }

    /// What `each` units cost if `done` of them were done: joules for a thousand requests, say.
    /// `None` if none was done.
    pub fn per(&self, done: u64, each: u64) -> Option<UnitCost> {
        Unit::new("unit", done as f64).ok().map(|unit| self.per_unit(&unit, each))
    }

    /// What `each` units cost if so many of them were done in this line.
    pub fn per_unit(&self, unit: &Unit, each: u64) -> UnitCost {
        let factor = each as f64 / unit.count();
        let joules =
            |energy: Option<Estimate<KilowattHours>>| energy.map(|energy| energy.map(Joules::from).scaled(factor));
        UnitCost {
            unit: unit.name().to_owned(),
            units: each,
            active_s: self.active_s.with(self.active_s.get() * factor),
            energy_j: joules(self.energy_kwh),
            facility_j: joules(self.facility_kwh),
            carbon_g: self.carbon_g.map(|carbon| carbon.scaled(factor)),
            market_carbon_g: self.market_carbon_g.map(|carbon| carbon.scaled(factor)),
            water_l: self.water_l.map(|water| water.scaled(factor)),
            embodied_g: self.embodied_g.map(|carbon| carbon.scaled(factor)),
            money: self.money.map(|money| money.scaled(factor)),
        }
    }
}

/// Bound by bound, like any sum of estimates; a tariff has one currency.
fn sum(a: Estimate<Money>, b: Estimate<Money>) -> Estimate<Money> {
    let plus = |a: Money, b: Money| a.with(a.amount() + b.amount());
    Estimate::exact(plus(a.value(), b.value())).with_bounds(plus(a.low(), b.low()), plus(a.high(), b.high()))
}

/// What the numbers do not include, read off the components that were measured and the prices given.
fn exclusions(totals: &Totals, factors: &Factors) -> Vec<String> {
    let tariff = factors.tariff;
    let mut out = Vec::new();
    match factors.embodied {
        None => out.push("manufacturing the hardware (embodied emissions)"),
        Some(_) => out.push("construction of the building and the network (embodied emissions)"),
    }
    out.push("network, and storage outside this machine");
    match factors.water {
        None => out.push("water"),
        Some(Water { source: None, .. }) => out.push("water for electricity generation"),
        Some(_) => {}
    }
    if tariff.pue() == Pue::ONE {
        out.push("cooling and power conversion of the building (PUE 1)");
    }
    let has = |wanted: fn(&Component) -> bool| totals.components.keys().any(wanted);
    if totals.components.is_empty() {
        out.push("all energy: no source reported any");
    } else if !has(|component| *component == Component::Machine) {
        if !has(|component| matches!(component, Component::Cpu(_))) {
            out.push("processors: no source reported any");
        }
        if !has(|component| matches!(component, Component::Memory(_))) {
            out.push("memory: no source reported any");
        }
        if !has(|component| matches!(component, Component::Gpu(_))) {
            out.push("GPUs, if there are any: none was read");
        }
        // By microarchitecture the model's figures are whole servers at the wall; counters and design
        // power see the package alone.
        let at_the_wall = |(component, energy): (&Component, &attar_meter::ComponentEnergy)| {
            matches!(component, Component::Cpu(_)) && energy.method == Method::Modeled
        };
        out.push(if totals.components.iter().any(at_the_wall) {
            "disks, fans, board and losses of the power supply, where the processor is modeled by its design power"
        } else {
            "disks, fans, board and losses of the power supply"
        });
    }
    match (tariff.electricity(), tariff.device_hour().or(tariff.spot_hour())) {
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
        writeln!(f, "{}", self.scope())?;
        writeln!(f, "grid: {}", self.grid)?;
        if self.grid.choice == GridChoice::Unspecified {
            writeln!(f, "      name the country or give your own g/kWh for a carbon figure of this location")?;
        }
        if let Some(market) = &self.market {
            writeln!(f, "market-based: {market}")?;
        }
        let said_by =
            |source: &Option<String>| source.as_ref().map(|source| format!(" ({source})")).unwrap_or_default();
        writeln!(f, "PUE: {}{}", self.tariff.pue(), said_by(&self.pue_source))?;
        if let Some(source) = &self.price_source {
            writeln!(f, "prices: {source}")?;
        }
        if let Some(water) = &self.water {
            writeln!(f, "water: {water}")?;
        }
        if let Some(embodied) = &self.embodied {
            writeln!(f, "hardware: {embodied}")?;
        }
        for gap in &self.gaps {
            writeln!(f, "gap: {gap}")?;
        }
        write!(f, "not included: {}", self.exclusions.join("; "))
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
        if let Some(carbon) = self.market_carbon_g {
            write!(f, " by the grid, {carbon} market-based")?;
        }
        if let Some(carbon) = self.embodied_g {
            write!(f, ", {carbon} embodied")?;
        }
        if let Some(water) = self.water_l {
            write!(f, ", {water} of water")?;
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
