//! Table 4: what it took to develop one model.

use std::sync::OnceLock;

use attar_meter::table;
use serde::{Deserialize, Serialize};

use super::{RecomputedCell, cost, hours, price};
use crate::money::PricePerHour;

/// A row of Table 4: the development of LISA, priced as P100.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct LisaRow {
    /// How many models were trained.
    pub models: u32,
    /// Hours of one board, all together.
    pub gpu_hours: f64,
    /// Lower price of one hour.
    pub price_low: PricePerHour,
    /// Upper price of one hour.
    pub price_high: PricePerHour,
    /// Cost at the lower price, in US dollars.
    pub usd_low: RecomputedCell,
    /// Cost at the upper price, in US dollars.
    pub usd_high: RecomputedCell,
    /// Cost of electricity as printed, in US dollars. RECALLED: the price (0.12 USD/kWh) and energy
    /// behind it were not seen, so it is neither recomputed nor checked.
    pub electricity_usd_recalled: u64,
}

/// Table 4, its cloud cost recomputed.
pub fn lisa() -> Vec<LisaRow> {
    inputs().iter().map(row).collect()
}

/// A row of `data/strubell-lisa.csv`.
#[derive(Debug, Deserialize)]
struct LisaInput {
    models: u32,
    gpu_hours: f64,
    price_low: f64,
    price_high: f64,
    step: u32,
    printed_usd_low: u64,
    printed_usd_high: u64,
    printed_electricity: u64,
}

fn inputs() -> &'static [LisaInput] {
    static ROWS: OnceLock<Vec<LisaInput>> = OnceLock::new();
    ROWS.get_or_init(|| table::embedded(include_str!("../../data/strubell-lisa.csv")))
}

fn row(input: &LisaInput) -> LisaRow {
    let (price_low, price_high) = (price(input.price_low), price(input.price_high));
    let cell = |price, printed| {
        let dollars = cost(hours(input.gpu_hours), price, 1.0).amount();
        RecomputedCell::new(dollars, dollars, printed, input.step)
    };
    LisaRow {
        models: input.models,
        gpu_hours: input.gpu_hours,
        usd_low: cell(price_low, input.printed_usd_low),
        usd_high: cell(price_high, input.printed_usd_high),
        price_low,
        price_high,
        electricity_usd_recalled: input.printed_electricity,
    }
}
