//! Budgets: a limit in energy, money or carbon that a run must not pass.

use std::fmt;
use std::str::FromStr;

use attar_meter::{Estimate, GramsCo2e, KilowattHours, Quantity};

use crate::bill::BillLine;
use crate::money::{Currency, Money};

/// What a run may use: energy of the building, carbon, or money.
///
/// ```
/// use attar_bill::Budget;
/// assert_eq!("50Wh".parse::<Budget>()?.to_string(), "50.0 Wh");
/// assert_eq!("1 usd".parse::<Budget>()?.to_string(), "1.00 USD");
/// assert_eq!("1.5 kg".parse::<Budget>()?.to_string(), "1.50 kg CO2e");
/// assert!("50".parse::<Budget>().is_err());
/// # Ok::<(), attar_bill::BudgetError>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Budget {
    /// Energy, power usage effectiveness included.
    Energy(KilowattHours),
    /// Greenhouse gas.
    Carbon(GramsCo2e),
    /// Money.
    Money(Money),
}

/// How far a budget is used.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum BudgetState {
    /// Less than [`Budget::WARN`] of it.
    Within,
    /// At least [`Budget::WARN`] of it.
    Near,
    /// All of it, or more.
    Used,
}

/// Why a budget cannot be used.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum BudgetError {
    /// It is not a number with a unit.
    #[error(
        "budget must be a number above 0 with a unit J, kJ, MJ, Wh, kWh, MWh, mg, g, kg, t or a currency such as USD, got `{got}`"
    )]
    Format {
        /// The value given.
        got: String,
    },
    /// The bill has no such number.
    #[error("budget of {budget} cannot be tracked: {reason}")]
    Unwatchable {
        /// The budget.
        budget: Budget,
        /// What is missing, and the way out.
        reason: String,
    },
}

impl Budget {
    /// The share of a budget from which on it is near its end.
    pub const WARN: f64 = 0.8;

    /// The part of the budget that a bill has used, with its interval.
    ///
    /// # Errors
    /// If the bill does not hold the number that the budget is about.
    pub fn used(&self, line: &BillLine) -> Result<Estimate<BudgetShare>, BudgetError> {
        let unwatchable = |reason: &str| BudgetError::Unwatchable { budget: *self, reason: reason.to_owned() };
        const NO_ENERGY: &str = "no source reads any energy here; give the machine's power with --watts";
        match self {
            Self::Energy(limit) => {
                let used = line.facility_kwh.ok_or_else(|| unwatchable(NO_ENERGY))?;
                Ok(used.map(|used| BudgetShare(used.get() / limit.get())))
            }
            Self::Carbon(limit) => {
                let used = line.carbon_g.ok_or_else(|| unwatchable(NO_ENERGY))?;
                Ok(used.map(|used| BudgetShare(used.get() / limit.get())))
            }
            Self::Money(limit) => {
                let used = line
                    .money
                    .ok_or_else(|| unwatchable("there is no price; give one with --price or --machine-hour"))?;
                if used.value().currency() != limit.currency() {
                    let prices = used.value().currency();
                    return Err(unwatchable(&format!("prices are in {prices}; use one currency throughout")));
                }
                Ok(used.map(|used| BudgetShare(used.amount() / limit.amount())))
            }
        }
    }

    /// What a used share means: by its value, not by its bounds.
    pub fn state(used: Estimate<BudgetShare>) -> BudgetState {
        match used.value().0 {
            share if share >= 1.0 => BudgetState::Used,
            share if share >= Self::WARN => BudgetState::Near,
            _ => BudgetState::Within,
        }
    }
}

/// A part of a budget: 1 is all of it.
#[derive(Debug, Clone, Copy, PartialEq, PartialOrd)]
pub struct BudgetShare(f64);

impl BudgetShare {
    /// The number.
    pub fn get(self) -> f64 {
        self.0
    }
}

impl Quantity for BudgetShare {
    fn magnitude(self) -> f64 {
        self.0
    }
    fn with(self, magnitude: f64) -> Self {
        Self(magnitude)
    }
    fn scale(self) -> attar_meter::display::Scale {
        attar_meter::display::Scale { divisor: 0.01, suffix: " %".to_owned() }
    }
}
/// `87.0 %`.
impl fmt::Display for BudgetShare {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.scale().write(self.0))
    }
}

impl FromStr for Budget {
    type Err = BudgetError;
    fn from_str(text: &str) -> Result<Self, BudgetError> {
        let wrong = || BudgetError::Format { got: text.to_owned() };
        let trimmed = text.trim();
        let end = trimmed.find(|c: char| c.is_alphabetic()).ok_or_else(wrong)?;
        let (number, unit) = trimmed.split_at(end);
        let number: f64 = number.trim().parse().map_err(|_| wrong())?;
        if !(number.is_finite() && number > 0.0) {
            return Err(wrong());
        }
        let kilowatt_hours = |each: f64| KilowattHours::new(number * each).map(Self::Energy);
        let grams = |each: f64| GramsCo2e::new(number * each).map(Self::Carbon);
        let known = match unit.trim_end() {
            "J" => kilowatt_hours(1.0 / 3.6e6),
            "kJ" => kilowatt_hours(1.0 / 3.6e3),
            "MJ" => kilowatt_hours(1.0 / 3.6),
            "Wh" => kilowatt_hours(1e-3),
            "kWh" => kilowatt_hours(1.0),
            "MWh" => kilowatt_hours(1e3),
            "mg" => grams(1e-3),
            "g" => grams(1.0),
            "kg" => grams(1e3),
            "t" => grams(1e6),
            // Other spellings of the units above would pass for currencies.
            code if ["kwh", "mwh"].contains(&code.to_ascii_lowercase().as_str()) => return Err(wrong()),
            code => {
                let currency: Currency = code.parse().map_err(|_| wrong())?;
                return Money::new(number, currency).map(Self::Money).map_err(|_| wrong());
            }
        };
        known.map_err(|_| wrong())
    }
}

impl fmt::Display for Budget {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Energy(limit) => limit.fmt(f),
            Self::Carbon(limit) => limit.fmt(f),
            Self::Money(limit) => limit.fmt(f),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Bill, Grid, PricePerHour, Tariff};
    use attar_meter::{Totals, Watts, Window};
    use std::collections::BTreeMap;

    fn line(tariff: &Tariff) -> BillLine {
        let json = r#"{"phase":"run","start":"1970-01-01T00:00:00Z","end":"1970-01-01T01:00:00Z","start_s":0,
            "end_s":3600,"active_s":3600,"cpu_s":null,"energy":{"cpu0":{"value":144000,"low":72000,"high":288000,
            "method":"measured"}},"split":"whole"}"#;
        let window: Window = serde_json::from_str(json).unwrap();
        assert_eq!(window.energy.values().next().unwrap().joules.value() / window.active_s, Watts::new(40.0).unwrap());
        Bill::new(&Totals::from_windows(&[window]), &Grid::custom(500.0, "here").unwrap(), tariff).total
    }

    #[test]
    fn a_budget_is_used_up_by_its_own_number() {
        let rent = PricePerHour::new(0.5, "USD".parse().unwrap()).unwrap();
        let priced = line(&Tariff::own_machine().with_device_hour(rent).unwrap());
        let cases = [
            ("45Wh", 40.0 / 45.0, BudgetState::Near),
            ("0.04 kWh", 1.0, BudgetState::Used),
            ("100Wh", 0.4, BudgetState::Within),
            ("144kJ", 1.0, BudgetState::Used),
            ("20g", 1.0, BudgetState::Used),
            ("0.1kg", 0.2, BudgetState::Within),
            ("0.6usd", 0.5 / 0.6, BudgetState::Near),
        ];
        for (text, share, state) in cases {
            let used = text.parse::<Budget>().unwrap().used(&priced).unwrap();
            assert!((used.value().get() - share).abs() < 1e-9, "{text}: {used:?}");
            assert_eq!(Budget::state(used), state, "{text}");
        }
        let used = "80Wh".parse::<Budget>().unwrap().used(&priced).unwrap();
        assert_eq!(used.to_string(), "50.0 % [25.0, 100.0]");
    }

    #[test]
    fn what_cannot_be_watched_is_refused() {
        let error = |text: &str, line: &BillLine| text.parse::<Budget>().unwrap().used(line).unwrap_err().to_string();
        assert!(error("1USD", &line(&Tariff::own_machine())).contains("there is no price; give one with --price"));
        let rent = PricePerHour::new(0.5, "EUR".parse().unwrap()).unwrap();
        let priced = line(&Tariff::own_machine().with_device_hour(rent).unwrap());
        assert!(error("1USD", &priced).contains("prices are in EUR"));
        let nothing =
            Bill::new(&Totals { components: BTreeMap::new(), ..Totals::default() }, &Grid::world(), &Tariff::default());
        assert!(error("1Wh", &nothing.total).contains("no source reads any energy"));
        for bad in ["", "50", "Wh", "-1Wh", "0g", "1e999Wh", "NaN g", "1 furlong", "5 W", "1,5kWh", "1 $", "5kwh"] {
            assert!(matches!(bad.parse::<Budget>(), Err(BudgetError::Format { .. })), "{bad}");
        }
    }
}
