//! What electricity and machines cost, and what a data center adds.

use std::sync::OnceLock;

use attar_meter::table;
use attar_meter::{Estimate, Pue, Seconds};
use serde::{Deserialize, Serialize};

use crate::money::{Currency, Money, MoneyError, PricePerHour, PricePerKwh};

/// Prices and the power usage effectiveness that a bill is computed with.
///
/// There is no default price: no table of prices was found that may be embedded and is dated, and
/// a made-up one would look like a fact. Without prices a bill has no money and says so.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(try_from = "RawTariff")]
pub struct Tariff {
    electricity: Option<PricePerKwh>,
    device_hour: Option<PricePerHour>,
    #[serde(skip_serializing_if = "Option::is_none")]
    spot_hour: Option<PricePerHour>,
    pue: Pue,
}

/// A preset of the power usage effectiveness, with its source.
#[derive(Debug, Clone, PartialEq, Deserialize)]
pub struct PuePreset {
    /// Name to give.
    pub name: String,
    /// The factor.
    pub pue: Pue,
    /// The year that it is about.
    pub year: u16,
    /// Source of the figure.
    pub source: String,
    /// License of the source, or `fact`.
    pub license: String,
}

/// An unknown preset.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("preset `{got}` of the power usage effectiveness is not known; nearest: {nearest}; there are {}, or give a number from 1 to 3", known.join(", "))]
pub struct PuePresetError {
    /// The value given.
    pub got: String,
    /// The closest name.
    pub nearest: String,
    /// All names.
    pub known: Vec<String>,
}

impl Tariff {
    /// A machine of your own outside a data center: nothing added, no price known.
    pub fn own_machine() -> Self {
        Self { electricity: None, device_hour: None, spot_hour: None, pue: Pue::ONE }
    }

    /// With this power usage effectiveness.
    pub fn with_pue(self, pue: Pue) -> Self {
        Self { pue, ..self }
    }

    /// With this price of electricity.
    ///
    /// # Errors
    /// If the price of the machine is in another currency.
    pub fn with_electricity(self, price: PricePerKwh) -> Result<Self, MoneyError> {
        Self { electricity: Some(price), ..self }.checked()
    }

    /// With this price of the whole machine by the hour. Rent mostly includes electricity: give
    /// both prices only where both are paid, for they are added.
    ///
    /// # Errors
    /// If the price of electricity is in another currency.
    pub fn with_device_hour(self, price: PricePerHour) -> Result<Self, MoneyError> {
        Self { device_hour: Some(price), ..self }.checked()
    }

    /// With this price of the whole machine by the hour while it may be taken away at any time (spot,
    /// pre-emptible). Beside a price on demand the machine costs from the lower to the higher of the
    /// two, the one on demand being the value; alone it is simply the price.
    ///
    /// # Errors
    /// If another price is in another currency.
    pub fn with_spot_hour(self, price: PricePerHour) -> Result<Self, MoneyError> {
        Self { spot_hour: Some(price), ..self }.checked()
    }

    /// Price of electricity.
    pub fn electricity(&self) -> Option<PricePerKwh> {
        self.electricity
    }

    /// Price of the whole machine by the hour.
    pub fn device_hour(&self) -> Option<PricePerHour> {
        self.device_hour
    }

    /// Price of the whole machine by the hour while it may be taken away.
    pub fn spot_hour(&self) -> Option<PricePerHour> {
        self.spot_hour
    }

    /// What the whole machine costs in so much time: between spot and on demand where both are
    /// known. The bounds are prices that one may pay, not a confidence.
    pub fn machine(&self, time: Seconds) -> Option<Estimate<Money>> {
        let amounts = [self.device_hour, self.spot_hour].map(|price| price.map(|price| time * price));
        match amounts {
            [Some(demand), Some(spot)] if spot.amount() <= demand.amount() => {
                Some(Estimate::exact(demand).with_bounds(spot, demand))
            }
            [Some(demand), Some(spot)] => Some(Estimate::exact(demand).with_bounds(demand, spot)),
            [demand, spot] => demand.or(spot).map(Estimate::exact),
        }
    }

    /// Power usage effectiveness.
    pub fn pue(&self) -> Pue {
        self.pue
    }

    /// The currency of its prices.
    pub fn currency(&self) -> Option<Currency> {
        self.currencies().next()
    }

    fn currencies(&self) -> impl Iterator<Item = Currency> {
        let hours = [self.device_hour, self.spot_hour].map(|price| price.map(PricePerHour::currency));
        [self.electricity.map(PricePerKwh::currency), hours[0], hours[1]].into_iter().flatten()
    }

    fn checked(self) -> Result<Self, MoneyError> {
        let Some(first) = self.currency() else { return Ok(self) };
        match self.currencies().find(|currency| *currency != first) {
            Some(second) => Err(MoneyError::Mixed { first, second }),
            None => Ok(self),
        }
    }
}

/// [`Tariff::own_machine`].
impl Default for Tariff {
    fn default() -> Self {
        Self::own_machine()
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RawTariff {
    electricity: Option<PricePerKwh>,
    device_hour: Option<PricePerHour>,
    spot_hour: Option<PricePerHour>,
    pue: Pue,
}

impl TryFrom<RawTariff> for Tariff {
    type Error = MoneyError;
    fn try_from(raw: RawTariff) -> Result<Self, MoneyError> {
        let RawTariff { electricity, device_hour, spot_hour, pue } = raw;
        Self { electricity, device_hour, spot_hour, pue }.checked()
    }
}

impl PuePreset {
    /// All presets.
    pub fn all() -> &'static [Self] {
        static PRESETS: OnceLock<Vec<PuePreset>> = OnceLock::new();
        PRESETS.get_or_init(|| table::embedded(include_str!("../data/pue.csv")))
    }

    /// A preset by its name: `strubell2019`, `uptime2024`, `aws`, `azure` or `gcp`.
    ///
    /// # Errors
    /// If there is none with that name; the error names the closest match.
    pub fn named(name: &str) -> Result<&'static Self, PuePresetError> {
        let names = || Self::all().iter().map(|preset| preset.name.as_str());
        Self::all().iter().find(|preset| preset.name.eq_ignore_ascii_case(name.trim())).ok_or_else(|| PuePresetError {
            got: name.to_owned(),
            nearest: table::nearest(name, names(), 1).concat(),
            known: names().map(str::to_owned).collect(),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_presets_are_sound() {
        let values: Vec<(&str, f64)> =
            PuePreset::all().iter().map(|preset| (preset.name.as_str(), preset.pue.get())).collect();
        let expected = [("strubell2019", 1.58), ("uptime2024", 1.56), ("aws", 1.135), ("azure", 1.185), ("gcp", 1.1)];
        assert_eq!(values, expected);
        assert!(PuePreset::all().iter().all(|preset| !preset.source.is_empty() && preset.year >= 2018));
        let error = PuePreset::named("asw").unwrap_err();
        assert_eq!(error.nearest, "aws");
        assert!(error.to_string().contains("strubell2019, uptime2024"), "{error}");
        assert_eq!(PuePreset::named("GCP").unwrap().pue, Pue::new(1.1).unwrap());
    }

    #[test]
    fn prices_must_share_a_currency() {
        let power = PricePerKwh::new(0.3, "EUR".parse().unwrap()).unwrap();
        let rent = PricePerHour::new(1.46, "USD".parse().unwrap()).unwrap();
        let tariff = Tariff::own_machine().with_electricity(power).unwrap();
        assert!(matches!(tariff.with_device_hour(rent), Err(MoneyError::Mixed { .. })));
        let text = serde_json::to_string(&tariff).unwrap();
        assert_eq!(serde_json::from_str::<Tariff>(&text).unwrap(), tariff);
        let mixed =
            r#"{"electricity":{"amount":1,"currency":"EUR"},"device_hour":{"amount":1,"currency":"USD"},"pue":1}"#;
        assert!(serde_json::from_str::<Tariff>(mixed).is_err());
        assert!(serde_json::from_str::<Tariff>(r#"{"electricity":null,"device_hour":null,"pue":3}"#).is_err());
    }

    #[test]
    fn spot_and_on_demand_bound_the_machine() {
        let price = |amount| PricePerHour::new(amount, "USD".parse().unwrap()).unwrap();
        let hours = Seconds::new(7200.0).unwrap();
        let [demand, spot] = [price(2.0), price(0.5)];
        let both = Tariff::own_machine().with_device_hour(demand).unwrap().with_spot_hour(spot).unwrap();
        assert_eq!(both.machine(hours).unwrap().to_string(), "4.00 USD [1.00, 4.00]");
        let odd = Tariff::own_machine().with_device_hour(spot).unwrap().with_spot_hour(demand).unwrap();
        assert_eq!(odd.machine(hours).unwrap().to_string(), "1.00 USD [1.00, 4.00]");
        let alone = Tariff::own_machine().with_spot_hour(spot).unwrap();
        assert_eq!(alone.machine(hours).unwrap().to_string(), "1.00 USD");
        assert_eq!(Tariff::own_machine().machine(hours), None);
        let text = serde_json::to_string(&both).unwrap();
        assert_eq!(serde_json::from_str::<Tariff>(&text).unwrap(), both);
        let euro = PricePerHour::new(1.0, "EUR".parse().unwrap()).unwrap();
        assert!(matches!(both.with_spot_hour(euro), Err(MoneyError::Mixed { .. })));
        // What was written before there was a spot price.
        let older = r#"{"electricity":null,"device_hour":{"amount":2.0,"currency":"USD"},"pue":1.0}"#;
        let tariff: Tariff = serde_json::from_str(older).unwrap();
        assert_eq!(serde_json::to_string(&tariff).unwrap(), older);
    }
}
