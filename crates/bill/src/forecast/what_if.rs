//! The same work elsewhere: machines, places and prices side by side.

use attar_meter::{Estimate, GramsCo2e, GramsPerKwh, KilowattHours, Method, Pue, Quantity, Seconds, Watts};
use serde::Serialize;

use super::Forecast;
use crate::bill::Bill;
use crate::grid::{Grid, GridKind};
use crate::money::Money;
use crate::tariff::Tariff;

/// One choice of machine, place and prices.
#[derive(Debug, Clone)]
pub struct Variant<'a> {
    /// What to call it.
    pub label: String,
    /// What runs, on what.
    pub forecast: &'a Forecast,
    /// Where.
    pub grid: &'a Grid,
    /// At what price and in which building.
    pub tariff: &'a Tariff,
}

/// What a variant comes to.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct WhatIf {
    /// What the variant is called.
    pub label: String,
    /// Where the electricity is from.
    pub region: String,
    /// Its carbon intensity.
    pub g_per_kwh: GramsPerKwh,
    /// Which emissions are in it: rows of different kinds do not compare.
    pub grid_kind: GridKind,
    /// What the building adds.
    pub pue: Pue,
    /// How long it takes, in seconds.
    pub time_s: Estimate<Seconds>,
    /// Mean power of the machine.
    pub power_w: Estimate<Watts>,
    /// Energy of the building for it: times the PUE.
    pub facility_kwh: Estimate<KilowattHours>,
    /// Greenhouse gas of that energy.
    pub carbon_g: Estimate<GramsCo2e>,
    /// Electricity and rent, as far as they have prices. Long and hungry go together in its bounds.
    pub money: Option<Estimate<Money>>,
    /// Always modeled.
    pub method: Method,
}

impl<'a> Variant<'a> {
    /// Every machine in every place at every price, in this order. Labels are joined by commas, with
    /// the region in the middle; an empty label is left out.
    pub fn all(forecasts: &[(&str, &'a Forecast)], grids: &[&'a Grid], tariffs: &[(&str, &'a Tariff)]) -> Vec<Self> {
        let mut variants = Vec::new();
        for (machine, forecast) in forecasts {
            for grid in grids {
                for (price, tariff) in tariffs {
                    let words = [*machine, grid.region.as_str(), *price];
                    let label = words.into_iter().filter(|word| !word.is_empty()).collect::<Vec<_>>().join(", ");
                    variants.push(Self { label, forecast, grid, tariff });
                }
            }
        }
        variants
    }
}

/// A row for each variant, in their order.
pub fn what_if(variants: &[Variant<'_>]) -> Vec<WhatIf> {
    variants.iter().map(row).collect()
}

fn row(variant: &Variant<'_>) -> WhatIf {
    let Variant { label, forecast, grid, tariff } = variant;
    let facility_kwh = forecast.energy_j.map(|energy| KilowattHours::from(energy) * tariff.pue());
    WhatIf {
        label: label.clone(),
        region: grid.region.clone(),
        g_per_kwh: grid.g_per_kwh,
        grid_kind: grid.kind,
        pue: tariff.pue(),
        time_s: forecast.time_s,
        power_w: forecast.power_w,
        facility_kwh,
        carbon_g: facility_kwh.map(|energy| energy * grid.g_per_kwh),
        money: money(forecast, grid, tariff),
        method: forecast.method,
    }
}

/// The money of three bills: at the best numbers and at both bounds of time and energy, so that the
/// doubt about time is in the rent too.
fn money(forecast: &Forecast, grid: &Grid, tariff: &Tariff) -> Option<Estimate<Money>> {
    let of = |totals| Bill::new(&totals, grid, tariff).total.money;
    let value = of(forecast.totals())?.value();
    // Each of the bills has bounds of its own where the machine has two prices.
    let low = of(forecast.totals_at(Estimate::low, Estimate::low))?.low();
    let high = of(forecast.totals_at(Estimate::high, Estimate::high))?.high();
    let order = |a: Money, b: Money| a.magnitude() <= b.magnitude();
    // Rounding may put a bound of an exact number past it.
    let low = if order(low, value) { low } else { value };
    let high = if order(value, high) { high } else { value };
    Some(Estimate::exact(value).with_bounds(low, high))
}
