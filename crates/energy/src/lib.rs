//! Energy, carbon and cost of computing, each number with its interval and its method.
//!
//! A [`Meter`] keeps account of time and energy by *phase*. It reads [`source`]s: energy counters
//! that have proved themselves live, and a model from load and published tables where there are
//! none. What it reads becomes [`Window`]s, one line each of an append-only [`Ledger`]; windows add
//! up to [`Totals`], and totals with a [`Grid`] and a [`Tariff`] to a [`Bill`].
//!
//! ```
//! use std::time::Duration;
//! use attar_energy::source::SourceChoice;
//! use attar_energy::{Bill, Grid, Host, ManualClock, Meter, MeterOptions, PuePreset, Tariff, Watts};
//!
//! // A machine of 50 W and a clock advanced by hand; `Meter::start` takes the real ones.
//! let clock = ManualClock::new();
//! let options = MeterOptions { sources: SourceChoice::Fixed(Watts::new(50.0)?), ..MeterOptions::default() };
//! let mut meter = Meter::start_on(&Host::local(), Box::new(clock.clone()), options, None)?;
//!
//! meter.enter("load");
//! clock.advance(Duration::from_secs(60), Duration::ZERO);
//! meter.enter("compute");
//! clock.advance(Duration::from_secs(7140), Duration::ZERO);
//!
//! let totals = meter.finish();
//! let tariff = Tariff::own_machine().with_pue(PuePreset::named("uptime2024")?.pue);
//! let bill = Bill::new(&totals, &Grid::for_region("FR")?, &tariff);
//! assert_eq!(bill.total.facility_kwh.unwrap().to_string(), "156 Wh");
//! assert_eq!(bill.total.carbon_g.unwrap().to_string(), "8.74 g CO2e");
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! In reading order: quantities ([`Joules`], [`Watts`], [`KilowattHours`], [`GramsCo2e`], …) whose
//! only products are physical ones; [`Estimate`] and [`Method`], which go with every number;
//! [`source`]; [`Meter`]; [`Ledger`]; [`Bill`]; [`report`] and [`exposition()`], which show it.
//!
//! Around that line:
//! - [`Meter::begin_span`] names a stretch of time that need not follow the phases; spans nest and
//!   overlap.
//! - [`Attribution`] splits the energy of a machine into idle, own and others, with a [`Baseline`] of
//!   idle power that was watched or that a model provides.
//! - [`Factors`] are all that turns an energy into a bill: grid, market-based grid, prices, water and
//!   the manufacturing of the hardware.
//! - [`Budget`] is a limit in energy, carbon or money that a bill is held against.
//! - [`BreakEven`] says after how many uses what costs less to use has paid back the cost of making it.
//! - [`report`] bills ledgers again and shows them as tables, Markdown, LaTeX, JSON, CSV, a plot or a
//!   block of a model card, and compares them.
//! - [`exposition()`] writes totals as cumulative counters for Prometheus.
//! - [`forecast`] says what a computation will cost before it runs, from a description of a machine.
//! - [`hardware`] knows accelerators and processors by name: what they are built to draw.
//! - [`strubell`] recomputes the table of 2019 beside its printed cells.
//! - [`licenses()`] names every embedded figure's source, year and license.
//!
//! Method, data, formats and limits stand in `docs/energy.md` of the repository.
//!
//! Rules that hold throughout:
//! - Nothing is zero because it is not known: it is absent, and a [`Gap`] or a reason says why.
//! - A total takes the weakest method among its parts, and a bill lists what it excludes.
//! - Nothing goes over the network, and no place is guessed: without a region the world's average
//!   stands in, loudly.
//! - Time and system files come through a [`Clock`] and a [`Host`], so a test can replace both.

mod attribution;
mod bill;
mod break_even;
mod budget;
mod clock;
mod count;
mod device_price;
mod display;
pub mod doctor;
mod embodied;
mod equivalents;
mod estimate;
mod exposition;
mod factors;
pub mod forecast;
mod gap;
mod grid;
pub mod hardware;
mod host;
mod jsonl;
mod ledger;
mod licenses;
mod meter;
mod money;
mod outbox;
mod prices;
mod process_tree;
mod quantity;
pub mod report;
mod sci;
pub mod source;
mod split;
pub mod strubell;
mod table;
mod tariff;
mod totals;
mod unit;
mod user_table;
mod water;
mod window;

pub use attribution::{Attribution, Baseline, EnergyShares, IdlePower, is_idle};
pub use bill::{Bill, BillLine};
pub use break_even::{BreakEven, BreakEvenError, Errors};
pub use budget::{Budget, BudgetError, BudgetShare, BudgetState};
pub use clock::{Clock, ManualClock, Moment, SystemClock};
pub use count::Count;
pub use device_price::{DevicePrice, DevicePriceError};
pub use embodied::{Embodied, EmbodiedError};
pub use equivalents::{Equivalent, equivalents};
pub use estimate::{CONFIDENCE, Estimate, EstimateError, Method, Spread};
pub use exposition::exposition;
pub use factors::Factors;
pub use gap::{Gap, GapKind};
pub use grid::{Grid, GridChoice, GridError, GridTable, MarketError};
pub use host::{Host, HostFacts};
pub use jsonl::TornLine;
pub use ledger::{LEDGER_SCHEMA, Ledger, LedgerContents, LedgerError};
pub use licenses::{License, licenses};
pub use meter::{Meter, MeterError, MeterOptions, SpanId};
pub use money::{Currency, Money, MoneyError, PricePerHour, PricePerKwh};
pub use prices::{Offer, PriceBook, PriceError};
pub use process_tree::ProcessTreeClock;
pub use quantity::{
    GramsCo2e, GramsPerKwh, JOULES_PER_KILOWATT_HOUR, Joules, KilowattHours, Liters, LitersPerKwh, Pue, Quantity,
    QuantityError, SECONDS_PER_HOUR, Seconds, Watts,
};
pub use sci::{Sci, SciError, SciScore};
pub use split::Split;
pub use tariff::{PuePreset, PuePresetError, Tariff};
pub use totals::{PhaseTotals, Totals};
pub use unit::{Unit, UnitCost};
pub use user_table::{TableError, TableFault};
pub use water::Water;
pub use window::{ComponentEnergy, LedgerHeader, Span, Window};
