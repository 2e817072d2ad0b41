//! The cost table that started the field, recomputed from its inputs.
//!
//! Strubell, Ganesh, McCallum 2019, "Energy and Policy Considerations for Deep Learning in NLP" (arXiv 1906.02243):
//! Table 3 ([`table()`]), Table 1 ([`comparators`]) and Table 4 ([`lisa()`]). Every cell is computed here from watts,
//! hours, devices and prices, with the crate's own quantities, and compared with what the paper prints;
//! nothing that is printed goes into a sum.
//!
//! ```
//! use attar_bill::strubell::{self, TpuPricing};
//! let rows = strubell::table(TpuPricing::Paper);
//! let bert = rows.iter().find(|row| row.id == "bert-v100").unwrap();
//! let carbon = bert.carbon_lb.as_ref().unwrap();
//! assert_eq!((carbon.rounded, carbon.printed, carbon.matches), (1438, 1438, true));
//! assert!(!carbon.matches_as_printed, "the paper prints 79 h and used 79.2 h");
//! ```
//!
//! Two rows of eight need another number of hours than the paper prints; their remarks say so. Three rows
//! price tensor processors by the chip or core with the price of a device: [`TpuPricing`].

mod cell;
mod lisa;

use std::sync::OnceLock;

use attar_meter::hardware::DeviceUnit;
use attar_meter::table;
use attar_meter::{GramsCo2e, GramsPerKwh, KilowattHours, Pue, Quantity, SECONDS_PER_HOUR, Seconds, Watts};
use serde::{Deserialize, Serialize};

use crate::grid::Grid;
use crate::money::{Currency, Money, PricePerHour};

pub use cell::RecomputedCell;
pub use lisa::{LisaRow, lisa};

/// Grams in an international avoirdupois pound, exactly.
pub const GRAMS_PER_POUND: f64 = 453.592_37;

/// Carbon intensity that the paper takes, in pounds of CO2e per kilowatt-hour: the mean of the United
/// States (EPA eGRID, 2018).
pub const POUNDS_PER_KWH: f64 = 0.954;

/// How the prices of tensor processors are read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum TpuPricing {
    /// As the paper computes: the price of a device for every chip, and for the one core of the
    /// architecture search.
    Paper,
    /// As it is rented: 4 chips or 8 cores are one device with one price.
    Device,
}

/// A row of Table 3.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct StrubellRow {
    /// Short name, such as `bert-v100`; [`forecast::preset`](crate::forecast::preset) takes it.
    pub id: String,
    /// The model.
    pub model: String,
    /// The hardware in the paper's words, such as `V100x64`.
    pub hardware: String,
    /// Its name in [`hardware`](attar_meter::hardware).
    pub accelerator: String,
    /// How many units of hardware.
    pub devices: u32,
    /// What a unit is.
    pub unit: DeviceUnit,
    /// How many times the price is paid in this reading.
    pub priced_devices: f64,
    /// Power of everything together, as printed; none is printed for tensor processors.
    pub power_w: Option<Watts>,
    /// Hours as the paper prints them.
    pub hours_printed: f64,
    /// Hours that the cells are computed with.
    pub hours: f64,
    /// Lower price (pre-emptible) of one device's hour.
    pub price_low: PricePerHour,
    /// Upper price (on demand) of one device's hour.
    pub price_high: PricePerHour,
    /// Energy times PUE, in kilowatt-hours.
    pub facility_kwh: Option<RecomputedCell>,
    /// Emissions in pounds of CO2e.
    pub carbon_lb: Option<RecomputedCell>,
    /// The same in grams.
    pub carbon_g: Option<GramsCo2e>,
    /// Cost at the lower price, in US dollars.
    pub usd_low: RecomputedCell,
    /// Cost at the upper price, in US dollars.
    pub usd_high: RecomputedCell,
    /// The emissions against those of Table 1.
    pub comparisons: Vec<StrubellComparison>,
    /// What is wrong or doubtful about this row.
    pub remarks: Vec<String>,
}

/// A familiar emission of Table 1.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Comparator {
    /// Short name.
    pub id: String,
    /// What it is.
    pub name: String,
    /// Pounds of CO2e, as printed.
    pub pounds: f64,
}

/// A row against a familiar emission.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct StrubellComparison {
    /// The familiar emission.
    #[serde(flatten)]
    pub comparator: Comparator,
    /// How many of them the row comes to.
    pub ratio: f64,
}

/// Table 3, recomputed, in the order of the paper.
pub fn table(reading: TpuPricing) -> Vec<StrubellRow> {
    inputs().iter().map(|input| row(input, reading)).collect()
}

/// The familiar emissions of Table 1, as printed.
pub fn comparators() -> &'static [Comparator] {
    static ROWS: OnceLock<Vec<Comparator>> = OnceLock::new();
    ROWS.get_or_init(|| table::embedded(include_str!("../data/strubell-comparators.csv")))
}

/// What must be said wherever the table is shown: where its inputs are from.
pub fn notes() -> &'static [&'static str] {
    &[
        "watts are host + devices × the draw of a Titan X on which each model ran for at most a day \
         (ELMo: three GTX 1080 Ti); they were not measured on P100 or V100",
        "hours and hardware are those that the models' own authors report",
        "prices by the hour are inferred: they reproduce every printed cost",
        "PUE 1.58 is the world's mean of 2018 and overstates the clouds of today, which state 1.1 to 1.2",
        "0.954 lb/kWh is the mean of the United States (EPA eGRID, 2018)",
    ]
}

/// The building's overhead that the paper takes: the world's mean of 2018 (Uptime Institute).
pub fn pue() -> Pue {
    Pue::raw(1.58)
}

/// The grid that the paper takes.
pub fn grid() -> Grid {
    Grid {
        region: "United States (Strubell et al. 2019)".to_owned(),
        g_per_kwh: intensity(),
        year: Some(2018),
        source: "EPA eGRID through Strubell et al. 2019, 0.954 lb/kWh".to_owned(),
        license: String::new(),
        carbon_free: None,
        choice: crate::grid::GridChoice::Custom,
        kind: crate::grid::GridKind::Production,
        country: Some("USA".to_owned()),
    }
}

/// Pounds of a mass in grams.
pub fn pounds(mass: GramsCo2e) -> f64 {
    mass.get() / GRAMS_PER_POUND
}

/// A row of `data/strubell.csv`.
#[derive(Debug, Deserialize)]
struct StrubellInput {
    id: String,
    model: String,
    hardware: String,
    accelerator: String,
    devices: u32,
    unit: DeviceUnit,
    watts: Option<Watts>,
    hours_printed: f64,
    hours: f64,
    price_low: f64,
    price_high: f64,
    printed_kwh: Option<u64>,
    printed_lb: Option<u64>,
    printed_usd_low: u64,
    printed_usd_high: u64,
    remark: Option<String>,
}

fn inputs() -> &'static [StrubellInput] {
    static ROWS: OnceLock<Vec<StrubellInput>> = OnceLock::new();
    ROWS.get_or_init(|| table::embedded(include_str!("../data/strubell.csv")))
}

fn intensity() -> GramsPerKwh {
    GramsPerKwh::raw(POUNDS_PER_KWH * GRAMS_PER_POUND)
}

fn hours(hours: f64) -> Seconds {
    Seconds::raw(hours * SECONDS_PER_HOUR)
}

fn energy(watts: Watts, time: Seconds) -> KilowattHours {
    KilowattHours::from(watts * time) * pue()
}

/// A price of the paper's. Its unit is US dollars.
fn price(amount: f64) -> PricePerHour {
    // A test parses every price of the embedded tables.
    #[expect(clippy::expect_used, reason = "constants, parsed by a test")]
    PricePerHour::new(amount, "USD".parse::<Currency>().expect("three letters")).expect("a price of the table")
}

fn cost(time: Seconds, price: PricePerHour, times: f64) -> Money {
    let one = time * price;
    one.with(one.amount() * times)
}

fn row(input: &StrubellInput, reading: TpuPricing) -> StrubellRow {
    let priced_devices = f64::from(input.devices)
        * match reading {
            TpuPricing::Paper => 1.0,
            TpuPricing::Device => input.unit.share_of_device().unwrap_or(1.0),
        };
    let (price_low, price_high) = (price(input.price_low), price(input.price_high));
    let both = |of: &dyn Fn(Seconds) -> f64, printed| {
        RecomputedCell::new(of(hours(input.hours)), of(hours(input.hours_printed)), printed, 1)
    };
    let energy_cell = |watts: Watts, printed| both(&|time| energy(watts, time).get(), printed);
    let carbon = |watts: Watts, time| energy(watts, time) * intensity();
    let carbon_cell = |watts: Watts, printed| both(&|time| pounds(carbon(watts, time)), printed);
    let cost_cell = |price: PricePerHour, printed| both(&|time| cost(time, price, priced_devices).amount(), printed);
    let carbon_lb = input.watts.zip(input.printed_lb).map(|(watts, printed)| carbon_cell(watts, printed));
    let mut row = StrubellRow {
        id: input.id.clone(),
        model: input.model.clone(),
        hardware: input.hardware.clone(),
        accelerator: input.accelerator.clone(),
        devices: input.devices,
        unit: input.unit,
        priced_devices,
        power_w: input.watts,
        hours_printed: input.hours_printed,
        hours: input.hours,
        facility_kwh: input.watts.zip(input.printed_kwh).map(|(watts, printed)| energy_cell(watts, printed)),
        carbon_g: input.watts.map(|watts| carbon(watts, hours(input.hours))),
        usd_low: cost_cell(price_low, input.printed_usd_low),
        usd_high: cost_cell(price_high, input.printed_usd_high),
        price_low,
        price_high,
        comparisons: carbon_lb.as_ref().map_or_else(Vec::new, compared),
        carbon_lb,
        remarks: Vec::new(),
    };
    row.remarks = remarks(&row, input, reading);
    row
}

fn compared(carbon: &RecomputedCell) -> Vec<StrubellComparison> {
    let of = |comparator: &Comparator| StrubellComparison {
        comparator: comparator.clone(),
        ratio: carbon.computed / comparator.pounds,
    };
    comparators().iter().map(of).collect()
}

fn remarks(row: &StrubellRow, input: &StrubellInput, reading: TpuPricing) -> Vec<String> {
    let mut remarks = Vec::new();
    if row.hours != row.hours_printed {
        let reason = input.remark.as_deref().unwrap_or("the printed cells need other hours");
        let energy = row.facility_kwh.as_ref().zip(row.carbon_lb.as_ref());
        let energy = energy.map(|(kwh, lb)| {
            format!(
                "{} kWh and {} lb where {} and {} are printed, and ",
                kwh.as_printed_rounded, lb.as_printed_rounded, kwh.printed, lb.printed
            )
        });
        remarks.push(format!(
            "{} h are printed and {} h used: {reason}; the {} h would give {}{} to {} USD where {} to {} are printed",
            row.hours_printed,
            row.hours,
            row.hours_printed,
            energy.unwrap_or_default(),
            row.usd_low.as_printed_rounded,
            row.usd_high.as_printed_rounded,
            row.usd_low.printed,
            row.usd_high.printed,
        ));
    } else {
        remarks.extend(input.remark.clone());
    }
    if let Some(share) = row.unit.share_of_device() {
        let unit = row.unit;
        let times = 1.0 / share;
        remarks.push(match reading {
            TpuPricing::Paper => format!(
                "the price is that of a Cloud TPU device, which has 4 chips or 8 cores, and is paid here for \
                 every {unit}: {times} times what the share of a device costs"
            ),
            TpuPricing::Device => format!(
                "{times} {unit}s share the price of one Cloud TPU device, so the cost is 1/{times} of the paper's, \
                 and its printed cells do not apply"
            ),
        });
        if row.unit == DeviceUnit::Core {
            remarks.push(
                "one core is priced as a whole device in the paper; a single core cannot be rented, \
                 so with seven cores idle the paper's figure is what is paid"
                    .to_owned(),
            );
        }
        remarks.push("no power is printed: none was public for tensor processors".to_owned());
    }
    if row.id.starts_with("nas-") {
        remarks.push(
            "Patterson et al. 2021 (arXiv 2104.10350): the search ran on a small proxy task, so the energy is \
             18.7 times too high for an average organization and the emissions 88 times too high for Google \
             (about 3.2 t in place of 284 t); it is paid once for a search space, not for each model"
                .to_owned(),
        );
    }
    remarks
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_inputs_are_sound() {
        assert_eq!(inputs().len(), 8);
        for input in inputs() {
            assert!(0.0 < input.price_low && input.price_low < input.price_high && input.price_high < 10.0);
            assert!(input.hours > 0.0 && input.devices > 0);
            assert_eq!(input.watts.is_some(), input.printed_kwh.is_some() && input.printed_lb.is_some());
            assert_eq!(input.watts.is_none(), input.unit != DeviceUnit::Board);
            let accelerator = attar_meter::hardware::accelerator(&input.accelerator).unwrap();
            assert_eq!(accelerator.unit, input.unit, "{}", input.id);
        }
        assert_eq!(pue(), crate::PuePreset::named("strubell2019").unwrap().pue);
        assert_eq!(comparators().len(), 4);
    }
}
