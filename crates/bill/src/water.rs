//! Water: what a data center evaporates for its computers, and what making its electricity takes.

use std::fmt;

use attar_meter::{Estimate, KilowattHours, Liters, LitersPerKwh};
use serde::{Deserialize, Serialize};

/// Water factors of a place, both from the user: no table of them was found that may be embedded.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Water {
    /// Water used on the site for a kilowatt-hour **that the computers draw**: the water usage
    /// effectiveness (WUE) that a data center publishes.
    pub site: LitersPerKwh,
    /// Water used where the electricity is made, for a kilowatt-hour **that the building draws**;
    /// nothing where it is not known, which a bill then says.
    pub source: Option<LitersPerKwh>,
}

impl Water {
    /// Liters for so much energy of the computers (`it`) and of the building (`facility`, times PUE).
    pub(crate) fn liters(&self, it: Estimate<KilowattHours>, facility: Estimate<KilowattHours>) -> Estimate<Liters> {
        let liters = |it: KilowattHours, facility: KilowattHours| {
            Liters::raw(it.get() * self.site.get() + self.source.map_or(0.0, |source| facility.get() * source.get()))
        };
        // Both energies are one reading, so their bounds go together.
        Estimate::exact(liters(it.value(), facility.value()))
            .with_bounds(liters(it.low(), facility.low()), liters(it.high(), facility.high()))
    }
}

/// `1.80 l/kWh on the site, 3.10 l/kWh where the electricity is made`.
impl fmt::Display for Water {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} on the site", self.site)?;
        match self.source {
            Some(source) => write!(f, ", {source} where the electricity is made"),
            None => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_factor_has_its_own_energy() {
        let water = Water { site: LitersPerKwh::raw(1.8), source: Some(LitersPerKwh::raw(2.0)) };
        let energy = |kwh: f64| Estimate::exact(KilowattHours::new(kwh).unwrap());
        assert_eq!(water.liters(energy(10.0), energy(12.0)).value(), Liters::raw(42.0));
        assert_eq!(Water { source: None, ..water }.liters(energy(10.0), energy(12.0)).to_string(), "18.0 l");
    }

    #[test]
    fn refuses_what_is_no_factor() {
        for bad in [-0.1, 1000.0, f64::NAN, f64::INFINITY] {
            assert!(LitersPerKwh::new(bad).is_err(), "{bad}");
        }
        assert!(serde_json::from_str::<Water>(r#"{"site":-1,"source":null}"#).is_err());
        assert!(serde_json::from_str::<Water>(r#"{"site":1,"sauce":2}"#).is_err());
        assert_eq!(serde_json::from_str::<Water>(r#"{"site":1}"#).unwrap().source, None);
        assert_eq!(Liters::raw(2e-7).to_string(), "0.200 µl");
        assert_eq!(Liters::raw(0.0).to_string(), "0 l");
    }
}
