//! The columns of a report: each says its head for people, its key in JSON, and its number. What a
//! bill gains is one line more here, and appears in every format.

use std::collections::HashMap;
use std::fmt;

use attar_meter::display::Scale;
use attar_meter::source::Component;
use attar_meter::{ComponentEnergy, EnergyShares, Estimate, Quantity, Seconds};
use serde_json::{Value, json};

use super::Report;
use crate::bill::BillLine;
use crate::money::{Currency, Money};
use crate::sci::{Sci, SciScore};
use crate::unit::{Unit, UnitCost};

/// A column of rows of one kind.
pub(super) struct ReportColumn<R> {
    /// Its heading.
    pub(super) head: &'static str,
    /// Its stable name in JSON, with the unit.
    pub(super) key: &'static str,
    /// Where it is shown.
    pub(super) shown: Visibility,
    /// What it says of a row; `None` if that is not known.
    pub(super) of: fn(&R) -> Option<ReportCell>,
}

/// Where a column is shown. JSON has all of them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Visibility {
    /// In tables too, if some row has it.
    Always,
    /// In tables too if the building adds something: it says the same as its neighbor otherwise.
    WithPue,
    /// In JSON alone.
    InJson,
}

impl Visibility {
    /// Whether tables have the column, if the building adds something or not.
    pub(super) fn in_table(self, with_pue: bool) -> bool {
        match self {
            Self::Always => true,
            Self::WithPue => with_pue,
            Self::InJson => false,
        }
    }
}

/// The contents of a cell.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum ReportCell {
    /// A number with its interval.
    Figure(Figure),
    /// A number that is taken as exact.
    Exact(f64, String),
    /// A word.
    Word(String),
}

/// A number with its interval, in the unit of its column.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Figure {
    pub(super) value: f64,
    pub(super) low: f64,
    pub(super) high: f64,
    pub(super) currency: Option<Currency>,
    text: String,
    scale: Scale,
}

/// One phase, or all.
pub(super) struct PhaseLine {
    pub(super) name: String,
    pub(super) bill: BillLine,
    pub(super) cpu: Option<Seconds>,
}

/// One component over all phases.
pub(super) struct ComponentLine {
    pub(super) component: Component,
    pub(super) energy: ComponentEnergy,
    pub(super) share: Option<f64>,
}

/// One of what was done.
pub(super) struct UnitLine {
    pub(super) name: String,
    pub(super) count: f64,
    pub(super) cost: UnitCost,
    /// Nothing without the emissions of making the hardware.
    pub(super) sci: Option<SciScore>,
}

use Visibility::{Always, InJson, WithPue};

/// Of phases and their total.
pub(super) const LINES: &[ReportColumn<PhaseLine>] = &[
    ReportColumn { head: "time", key: "active_s", shown: Always, of: |line| exact(Some(line.bill.active_s)) },
    ReportColumn { head: "CPU time", key: "cpu_s", shown: Always, of: |line| exact(line.cpu) },
    ReportColumn { head: "energy", key: "energy_kwh", shown: Always, of: |line| figure(line.bill.energy_kwh) },
    ReportColumn {
        head: "energy × PUE",
        key: "facility_kwh",
        shown: WithPue,
        of: |line| figure(line.bill.facility_kwh),
    },
    ReportColumn { head: "power", key: "power_w", shown: Always, of: |line| figure(line.bill.power_w) },
    ReportColumn { head: "power × PUE", key: "facility_w", shown: InJson, of: |line| figure(line.bill.facility_w) },
    ReportColumn { head: "CO2e", key: "carbon_g", shown: Always, of: |line| figure(line.bill.carbon_g) },
    ReportColumn {
        head: "CO2e market-based",
        key: "market_carbon_g",
        shown: Always,
        of: |line| figure(line.bill.market_carbon_g),
    },
    ReportColumn { head: "CO2e embodied", key: "embodied_g", shown: Always, of: |line| figure(line.bill.embodied_g) },
    ReportColumn { head: "water", key: "water_l", shown: Always, of: |line| figure(line.bill.water_l) },
    ReportColumn { head: "money", key: "money", shown: Always, of: |line| money(line.bill.money) },
    ReportColumn { head: "method", key: "method", shown: Always, of: |line| word(line.bill.method) },
];

/// Of components.
pub(super) const COMPONENTS: &[ReportColumn<ComponentLine>] = &[
    ReportColumn { head: "energy", key: "energy_j", shown: Always, of: |line| figure(Some(line.energy.joules)) },
    ReportColumn {
        head: "share",
        key: "share",
        shown: Always,
        of: |line| line.share.map(|share| ReportCell::Exact(share, format!("{:.1} %", 100.0 * share))),
    },
    ReportColumn { head: "method", key: "method", shown: Always, of: |line| word(Some(line.energy.method)) },
];

/// Of shares: where each component's energy went.
pub(super) const SHARES: &[ReportColumn<EnergyShares>] = &[
    ReportColumn { head: "machine", key: "machine_j", shown: Always, of: |shares| figure(Some(shares.machine)) },
    ReportColumn { head: "idle", key: "idle_j", shown: Always, of: |shares| figure(shares.idle) },
    ReportColumn { head: "active", key: "active_j", shown: Always, of: |shares| figure(Some(shares.active)) },
    ReportColumn { head: "own", key: "own_j", shown: Always, of: |shares| figure(shares.own) },
    ReportColumn { head: "others", key: "others_j", shown: Always, of: |shares| figure(shares.others) },
    ReportColumn { head: "method", key: "method", shown: Always, of: |shares| word(Some(shares.method)) },
];

/// Of units, for one of them.
pub(super) const UNITS: &[ReportColumn<UnitLine>] = &[
    ReportColumn {
        head: "count",
        key: "count",
        shown: Always,
        of: |line| Some(ReportCell::Exact(line.count, line.count.to_string())),
    },
    ReportColumn { head: "time each", key: "active_s", shown: Always, of: |line| exact(Some(line.cost.active_s)) },
    ReportColumn { head: "energy each", key: "energy_j", shown: Always, of: |line| figure(line.cost.energy_j) },
    ReportColumn {
        head: "energy × PUE each",
        key: "facility_j",
        shown: WithPue,
        of: |line| figure(line.cost.facility_j),
    },
    ReportColumn { head: "CO2e each", key: "carbon_g", shown: Always, of: |line| figure(line.cost.carbon_g) },
    ReportColumn {
        head: "CO2e market-based each",
        key: "market_carbon_g",
        shown: Always,
        of: |line| figure(line.cost.market_carbon_g),
    },
    ReportColumn {
        head: "CO2e embodied each",
        key: "embodied_g",
        shown: Always,
        of: |line| figure(line.cost.embodied_g),
    },
    ReportColumn {
        head: "SCI",
        key: "sci_g",
        shown: Always,
        of: |line| figure(line.sci.as_ref().map(|sci| sci.score_g)),
    },
    ReportColumn { head: "water each", key: "water_l", shown: Always, of: |line| figure(line.cost.water_l) },
    ReportColumn { head: "money each", key: "money", shown: Always, of: |line| money(line.cost.money) },
];

impl Report {
    /// Every phase, in order.
    pub(super) fn phase_lines(&self) -> Vec<PhaseLine> {
        let cpu: HashMap<&str, Option<Seconds>> =
            self.totals.phases.iter().map(|phase| (phase.phase.as_str(), phase.cpu)).collect();
        let line = |bill: &BillLine| PhaseLine {
            name: bill.phase.clone(),
            bill: bill.clone(),
            cpu: cpu.get(bill.phase.as_str()).copied().flatten(),
        };
        self.bill.phases.iter().map(line).collect()
    }

    /// All phases together.
    pub(super) fn total_line(&self) -> PhaseLine {
        let cpu = self.totals.phases.iter().map(|phase| phase.cpu).reduce(|a, b| Some(a? + b?)).flatten();
        PhaseLine { name: "total".to_owned(), bill: self.bill.total.clone(), cpu }
    }

    /// Every component, in order.
    pub(super) fn component_lines(&self) -> Vec<ComponentLine> {
        let all = self.totals.energy().map_or(0.0, |energy| energy.value().get());
        let line = |(component, energy): (&Component, &ComponentEnergy)| ComponentLine {
            component: *component,
            energy: *energy,
            share: (all > 0.0).then(|| energy.joules.value().get() / all),
        };
        self.totals.components.iter().map(line).collect()
    }

    /// Every unit, in order.
    pub(super) fn unit_lines(&self) -> Vec<UnitLine> {
        let line = |unit: &Unit| UnitLine {
            name: unit.name().to_owned(),
            count: unit.count(),
            cost: self.bill.total.per_unit(unit, 1),
            sci: Sci::new(unit.name(), unit.count()).ok().and_then(|sci| sci.of(&self.bill.total).ok()),
        };
        self.units.iter().map(line).collect()
    }
}

impl ReportCell {
    /// For people.
    pub(super) fn text(&self) -> &str {
        match self {
            Self::Figure(Figure { text, .. }) | Self::Exact(_, text) | Self::Word(text) => text,
        }
    }

    /// For programs.
    pub(super) fn json(&self) -> Value {
        match self {
            Self::Figure(figure @ Figure { value, currency: None, .. }) if !figure.has_interval() => {
                json!({ "value": value, "low": null, "high": null })
            }
            Self::Figure(Figure { value, low, high, currency: None, .. }) => {
                json!({ "value": value, "low": low, "high": high })
            }
            Self::Figure(Figure { value, low, high, currency: Some(currency), .. }) => {
                json!({ "value": value, "low": low, "high": high, "currency": currency.code() })
            }
            Self::Exact(number, _) => json!(number),
            Self::Word(word) => json!(word),
        }
    }
}

impl Figure {
    /// Whether its error is known. A price is exact, anything else without width was given by a user who
    /// states no error.
    pub(super) fn has_interval(&self) -> bool {
        self.currency.is_some() || self.low < self.high || self.value == 0.0
    }

    /// A difference of two numbers of this kind, with its sign and bounds, in this one's unit.
    pub(super) fn write_difference(&self, [value, low, high]: [f64; 3]) -> String {
        if low == high { self.scale.write(value) } else { self.scale.write_interval(value, low, high) }
    }

    fn of<Q: Quantity + fmt::Display>(estimate: Estimate<Q>, currency: Option<Currency>) -> Self {
        let (value, high) = (estimate.value(), estimate.high());
        Self {
            value: value.magnitude(),
            low: estimate.low().magnitude(),
            high: high.magnitude(),
            currency,
            text: estimate.to_string(),
            scale: if value.magnitude() > 0.0 { value.scale() } else { high.scale() },
        }
    }
}

fn figure<Q: Quantity + fmt::Display>(estimate: Option<Estimate<Q>>) -> Option<ReportCell> {
    estimate.map(|estimate| ReportCell::Figure(Figure::of(estimate, None)))
}

fn money(estimate: Option<Estimate<Money>>) -> Option<ReportCell> {
    estimate.map(|estimate| ReportCell::Figure(Figure::of(estimate, Some(estimate.value().currency()))))
}

fn exact(time: Option<Seconds>) -> Option<ReportCell> {
    time.map(|time| ReportCell::Exact(time.get(), time.to_string()))
}

fn word(word: Option<impl fmt::Display>) -> Option<ReportCell> {
    word.map(|word| ReportCell::Word(word.to_string()))
}
