//! Published jobs as forecasts.

use attar_meter::Estimate;
use attar_meter::table;
use serde::Serialize;

use super::{Forecast, ForecastError, MachineSpec, Workload};
use crate::grid::Grid;
use crate::money::{MoneyError, PricePerHour};
use crate::strubell::{self, StrubellRow, TpuPricing};
use crate::tariff::Tariff;

/// A row of Strubell et al.'s Table 3 as a forecast, with the paper's grid, PUE and prices.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Preset {
    /// Its name.
    pub name: String,
    /// What it is about.
    pub title: String,
    /// The forecast: the paper's watts and hours, taken as exact; for tensor processors, of which
    /// the paper gives no power, their published mean power with its interval.
    pub forecast: Forecast,
    /// The paper's grid.
    pub grid: Grid,
    /// The paper's PUE and lower prices. Tensor processors are priced as the paper does it: by the chip.
    pub tariff_low: Tariff,
    /// The paper's PUE and upper prices.
    pub tariff_high: Tariff,
    /// Where the numbers come from and what is wrong with them; to be shown with them.
    pub notes: Vec<String>,
}

/// An unknown preset, or one that cannot be built.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum PresetError {
    /// No preset of that name.
    #[error("preset `{got}` is not known; nearest: {nearest}; there are {}", known.join(", "))]
    Unknown {
        /// The value given.
        got: String,
        /// The closest name.
        nearest: String,
        /// All names.
        known: Vec<String>,
    },
    /// Its forecast cannot be made.
    #[error(transparent)]
    Forecast(#[from] ForecastError),
    /// Its prices do not fit together.
    #[error(transparent)]
    Money(#[from] MoneyError),
}

/// Names of all presets.
pub fn presets() -> Vec<String> {
    strubell::table(TpuPricing::Paper).into_iter().map(|row| row.id).collect()
}

/// A preset by its name, such as `bert-v100`.
///
/// ```
/// use attar_bill::forecast;
/// let bert = forecast::preset("bert-v100")?;
/// let bill = bert.forecast.bill(&bert.grid, &bert.tariff_low);
/// assert_eq!(bill.total.facility_kwh.unwrap().to_string(), "1.51 MWh");
/// # Ok::<(), forecast::PresetError>(())
/// ```
///
/// # Errors
/// If there is none with that name; the error names the closest match.
pub fn preset(name: &str) -> Result<Preset, PresetError> {
    let rows = strubell::table(TpuPricing::Paper);
    match rows.iter().find(|row| row.id.eq_ignore_ascii_case(name.trim())) {
        Some(row) => of(row),
        None => {
            let got: String = name.chars().take(80).collect();
            let nearest = table::nearest(&got, rows.iter().map(|row| row.id.as_str()), 1).concat();
            Err(PresetError::Unknown { got, nearest, known: rows.into_iter().map(|row| row.id).collect() })
        }
    }
}

fn of(row: &StrubellRow) -> Result<Preset, PresetError> {
    let machine = match row.power_w {
        Some(power) => MachineSpec::from_watts(Estimate::exact(power)),
        None => MachineSpec::new().with_accelerators(&row.accelerator, row.devices)?,
    };
    let mut notes: Vec<String> = strubell::notes().iter().map(|note| (*note).to_owned()).collect();
    if row.power_w.is_none() {
        // The first two notes are about watts that this row does not have.
        notes[0] = format!(
            "the paper gives no power for this row; {} × {} of its published mean stand in",
            row.devices, row.accelerator
        );
    }
    notes.extend(row.remarks.iter().cloned());
    let tariff = |price: PricePerHour| {
        let whole = PricePerHour::new(price.amount() * row.priced_devices, price.currency())?;
        Tariff::own_machine().with_pue(strubell::pue()).with_device_hour(whole)
    };
    Ok(Preset {
        name: row.id.clone(),
        title: format!("{} on {}, {} h (Strubell et al. 2019)", row.model, row.hardware, row.hours),
        forecast: Forecast::new(&machine, &Workload::hours(row.hours)?)?,
        grid: strubell::grid(),
        tariff_low: tariff(row.price_low)?,
        tariff_high: tariff(row.price_high)?,
        notes,
    })
}
