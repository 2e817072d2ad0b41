//! Energy of computing as measured, each number with its interval and its method.
//!
//! A [`Meter`] records time and energy by *phase*. It reads [`source`]s: energy counters that have
//! proved themselves live, and a model of load and published tables where there are none. Each
//! interval becomes [`Window`]s, one line each of an append-only [`Ledger`], and windows add up to
//! [`Totals`].
//!
//! ```
//! use std::time::Duration;
//! use attar_meter::source::SourceChoice;
//! use attar_meter::{Host, ManualClock, Meter, MeterOptions, Watts};
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
//! assert_eq!(totals.energy().unwrap().to_string(), "100 Wh");
//! assert_eq!(totals.phase("load").unwrap().energy().unwrap().to_string(), "3000 J");
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! In reading order: quantities ([`Joules`], [`Watts`], [`KilowattHours`], [`GramsCo2e`], …) whose
//! only products are physical ones; [`Estimate`] and [`Method`], which accompany every number;
//! [`source`]; [`Meter`]; [`Ledger`]; [`Totals`].
//!
//! Besides:
//! - [`Meter::begin_span`] names a stretch of time that need not follow the phases; spans nest and
//!   overlap.
//! - [`Attribution`] splits the energy of a machine into idle, own and others, with a [`Baseline`] of
//!   idle power that was watched or that a model provides.
//! - [`doctor`] says what can be measured on a machine, what cannot and why.
//! - [`hardware`] knows accelerators and processors by name: what they are built to draw.
//! - [`licenses()`] names every embedded figure's source, year and license.
//!
//! What a ledger is worth in carbon and money is the matter of the crate `attar-bill`. Method, data,
//! formats and limits are described in `docs/energy.md` of the repository.
//!
//! Rules that hold throughout:
//! - Nothing is zero because it is unknown: it is absent, and a [`Gap`] or a reason says why.
//! - A total takes the weakest method among its parts.
//! - Nothing goes over the network.
//! - Time and system files come through a [`Clock`] and a [`Host`], so a test can replace both.

mod attribution;
mod cgroup;
mod clock;
mod coverage;
pub mod display;
pub mod doctor;
mod estimate;
mod free_memory;
mod gap;
pub mod hardware;
mod host;
mod job;
mod jsonl;
mod ledger;
mod licenses;
mod meter;
mod outbox;
mod process_tree;
mod quantity;
pub mod source;
mod split;
pub mod table;
mod totals;
mod window;

pub use attribution::{
    Attribution, Baseline, EnergyShares, IdlePower, busy_while_idle, is_idle, own_part, pooled_share,
};
pub use cgroup::{CgroupClock, CgroupError};
pub use clock::{Clock, ManualClock, Moment, SystemClock};
pub use estimate::{CONFIDENCE, Estimate, EstimateError, Method, Spread};
pub use free_memory::FreeMemory;
pub use gap::{Gap, GapKind};
pub use host::{Host, HostFacts};
pub use job::Job;
pub use jsonl::TornLine;
pub use ledger::{LEDGER_SCHEMA, Ledger, LedgerContents, LedgerError};
pub use licenses::{License, licenses};
pub use meter::{Meter, MeterError, MeterOptions, SpanId};
pub use process_tree::ProcessTreeClock;
pub use quantity::{
    GramsCo2e, GramsPerKwh, JOULES_PER_KILOWATT_HOUR, Joules, KilowattHours, Liters, LitersPerKwh, Pue, Quantity,
    QuantityError, SECONDS_PER_HOUR, Seconds, Watts, check_range,
};
pub use split::Split;
pub use totals::{PhaseTotals, Totals};
pub use window::{ComponentEnergy, LedgerHeader, Span, Window};
