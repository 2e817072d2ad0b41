//! What metered energy is worth: carbon, cost and water, each number with its interval and its method.
//!
//! A [`Bill`] is a function of [`Totals`](attar_meter::Totals), as a meter or its ledger gives them,
//! and of [`Factors`]: a [`Grid`], a [`Tariff`], and where they are known water and the manufacturing
//! of the hardware. So a ledger can be billed again, years later or for another place.
//!
//! ```
//! use attar_bill::{Bill, Grid, PuePreset, Tariff};
//! use attar_meter::{Meter, MeterOptions, Totals};
//!
//! let mut meter = Meter::start(MeterOptions::default(), None)?;
//! meter.enter("compute");
//! let totals: Totals = meter.finish();
//!
//! let tariff = Tariff::own_machine().with_pue(PuePreset::named("uptime2024")?.pue);
//! let bill = Bill::new(&totals, &Grid::for_region("FR")?, &tariff);
//! assert_eq!(bill.grid.region, "France");
//! assert!(!bill.exclusions.is_empty());
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! Besides:
//! - [`Budget`] is a limit in energy, carbon or money that a bill is held against.
//! - [`BreakEven`] says after how many uses what costs less to use has paid back the cost of making it.
//! - [`report`] bills ledgers again and shows them as tables, Markdown, LaTeX, JSON, CSV, a plot or a
//!   block of a model card, and compares them.
//! - [`forecast`] says what a computation will cost before it runs, from a description of a machine.
//! - [`strubell`] recomputes the table of 2019 beside its printed cells.
//! - [`licenses()`] names every embedded figure's source, year and license.
//!
//! One feature, on by default: `prometheus` writes totals as cumulative counters in OpenMetrics text.
//!
//! Rules that hold throughout:
//! - Nothing is zero because it is unknown, and a bill lists what it excludes.
//! - No place is guessed: without a region the world's average stands in, loudly.

mod bill;
mod break_even;
mod budget;
mod count;
mod device_price;
mod embodied;
mod equivalents;
#[cfg(feature = "prometheus")]
mod exposition;
mod factors;
pub mod forecast;
mod grid;
mod licenses;
mod money;
mod prices;
pub mod report;
mod sci;
mod sci_ai;
pub mod strubell;
mod tariff;
mod unit;
mod user_table;
mod water;

pub use bill::{Bill, BillLine};
pub use break_even::{BreakEven, BreakEvenError, Errors};
pub use budget::{Budget, BudgetError, BudgetShare, BudgetState};
pub use count::Count;
pub use device_price::{DevicePrice, DevicePriceError};
pub use embodied::{Embodied, EmbodiedError};
pub use equivalents::{Equivalent, equivalents};
#[cfg(feature = "prometheus")]
pub use exposition::exposition;
pub use factors::Factors;
pub use grid::{Grid, GridChoice, GridError, GridKind, GridTable, HourlyError, HourlyIntensity, MarketError};
pub use licenses::{License, licenses};
pub use money::{Currency, Money, MoneyError, PricePerHour, PricePerKwh};
pub use prices::{Offer, PriceBook, PriceError};
pub use sci::{Sci, SciError, SciScore};
pub use sci_ai::{ProviderScore, SciForAi};
pub use tariff::{PuePreset, PuePresetError, Tariff};
pub use unit::{Unit, UnitCost};
pub use user_table::{TableError, TableFault};
pub use water::Water;
