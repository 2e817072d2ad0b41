//! What was done, in units that mean something, and what one of them cost.

use std::fmt;

use attar_meter::{Estimate, GramsCo2e, Joules, Liters, QuantityError, Seconds, check_range};
use serde::{Deserialize, Serialize};

use crate::money::Money;

/// So many of something that a run did: samples, tokens, epochs, requests, points of accuracy.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(try_from = "RawUnit")]
pub struct Unit {
    name: String,
    count: f64,
}

/// A line of a bill divided by what was done with it. What is absent is not known.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct UnitCost {
    /// Name of one unit, in the singular.
    pub unit: String,
    /// So many units cost what follows.
    pub units: u64,
    /// Time.
    pub active_s: Seconds,
    /// Energy that the machine drew.
    pub energy_j: Option<Estimate<Joules>>,
    /// Energy that the building drew for it.
    pub facility_j: Option<Estimate<Joules>>,
    /// Greenhouse gas, location-based.
    pub carbon_g: Option<Estimate<GramsCo2e>>,
    /// Greenhouse gas, market-based.
    pub market_carbon_g: Option<Estimate<GramsCo2e>>,
    /// Water.
    pub water_l: Option<Estimate<Liters>>,
    /// Greenhouse gas of manufacturing the hardware.
    pub embodied_g: Option<Estimate<GramsCo2e>>,
    /// Money.
    pub money: Option<Estimate<Money>>,
}

impl Unit {
    /// So many of what `name` names in the singular: `Unit::new("request", 41_000.0)`.
    ///
    /// # Errors
    /// If the count is not finite or less than a billionth: what was not done has no price.
    pub fn new(name: &str, count: f64) -> Result<Self, QuantityError> {
        // The bound keeps a quotient finite.
        let count = check_range("number of units", "finite and at least 1e-9", count, count >= 1e-9)?;
        Ok(Self { name: name.to_owned(), count })
    }

    /// As many more of the same.
    pub(crate) fn plus(&self, other: &Self) -> Self {
        Self { name: self.name.clone(), count: (self.count + other.count).min(f64::MAX) }
    }

    /// Name of one unit, in the singular.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// How many there were.
    pub fn count(&self) -> f64 {
        self.count
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RawUnit {
    name: String,
    count: f64,
}

impl TryFrom<RawUnit> for Unit {
    type Error = QuantityError;
    fn try_from(raw: RawUnit) -> Result<Self, QuantityError> {
        Self::new(&raw.name, raw.count)
    }
}

/// `1000 × request: 12.3 J [6.2, 24.6], 1.23 mg CO2e …`: joules first.
impl fmt::Display for UnitCost {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} × {}: ", self.units, self.unit)?;
        match self.facility_j {
            Some(energy) => write!(f, "{energy}")?,
            None => f.write_str("no energy read")?,
        }
        write!(f, ", {}", self.active_s)?;
        if let Some(carbon) = self.carbon_g {
            write!(f, ", {carbon}")?;
        }
        if let Some(carbon) = self.market_carbon_g {
            write!(f, ", {carbon} market-based")?;
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
        Ok(())
    }
}
