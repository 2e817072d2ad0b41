//! Prices of devices by the hour that a paper's table implies.

use std::sync::OnceLock;

use attar_meter::table;
use serde::Deserialize;

use crate::money::{Currency, MoneyError, PricePerHour};
use crate::tariff::Tariff;

/// What one hour of a device cost in the paper of Strubell et al. 2019, in US dollars.
///
/// The two prices reproduce the lower and the upper cost that the paper's table 3 prints; they were
/// derived from it, not read in a price list.
#[derive(Debug, Clone, PartialEq, Deserialize)]
pub struct DevicePrice {
    /// Name of the device.
    pub device: String,
    preemptible: f64,
    on_demand: f64,
    /// What one of it is.
    pub unit: String,
    /// What to know before using the price; empty where there is nothing.
    pub note: String,
}

/// A device that the preset does not price.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("device `{got}` has no price in strubell2019; nearest: {nearest}; there are {}", known.join(", "))]
pub struct DevicePriceError {
    /// The value given.
    pub got: String,
    /// The closest name.
    pub nearest: String,
    /// All names.
    pub known: Vec<String>,
}

impl DevicePrice {
    /// The four devices of the preset `strubell2019`.
    pub fn strubell2019() -> &'static [Self] {
        static PRICES: OnceLock<Vec<DevicePrice>> = OnceLock::new();
        PRICES.get_or_init(|| table::embedded(include_str!("../data/prices-strubell2019.csv")))
    }

    /// One of them by its name: `P100`, `V100`, `TPUv2` or `TPUv3`.
    ///
    /// # Errors
    /// If there is none with that name; the error names the closest match.
    pub fn named(device: &str) -> Result<&'static Self, DevicePriceError> {
        let all = Self::strubell2019();
        let names = || all.iter().map(|price| price.device.as_str());
        all.iter().find(|price| price.device.eq_ignore_ascii_case(device.trim())).ok_or_else(|| DevicePriceError {
            got: crate::user_table::excerpt(device),
            nearest: table::nearest(device, names(), 1).concat(),
            known: names().map(str::to_owned).collect(),
        })
    }

    /// A tariff in which so many of the device are rented: from pre-emptible to on demand.
    ///
    /// ```
    /// use attar_bill::{DevicePrice, Tariff};
    /// use attar_meter::Seconds;
    /// let tariff = DevicePrice::named("V100")?.apply_to(Tariff::own_machine(), 64.0)?;
    /// let bert = tariff.machine(Seconds::new(79.2 * 3600.0)?).unwrap();
    /// assert_eq!(bert.to_string(), "12571 USD [3751, 12571]");
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// If the tariff has a price in another currency, or the number of devices is not finite and at least 0.
    pub fn apply_to(&self, tariff: Tariff, devices: f64) -> Result<Tariff, MoneyError> {
        let price = |amount: f64| PricePerHour::new(amount * devices, Currency::USD);
        tariff.with_device_hour(price(self.on_demand)?)?.with_spot_hour(price(self.preemptible)?)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_eight_prices_are_those_that_reproduce_the_table() {
        let all: Vec<(&str, f64, f64)> = DevicePrice::strubell2019()
            .iter()
            .map(|price| (price.device.as_str(), price.preemptible, price.on_demand))
            .collect();
        assert_eq!(all, [("P100", 0.43, 1.46), ("V100", 0.74, 2.48), ("TPUv2", 1.35, 4.5), ("TPUv3", 2.4, 8.0)]);
        assert!(DevicePrice::named("tpuv3").unwrap().note.contains("device of 4 chips"));
        let error = DevicePrice::named("H100").unwrap_err().to_string();
        assert!(error.contains("V100") || error.contains("P100"), "{error}");
        assert!(DevicePrice::named("V100").unwrap().apply_to(Tariff::own_machine(), -1.0).is_err());
    }
}
