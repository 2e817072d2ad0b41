//! Water: what a data centre evaporates for its computers, and what making its electricity takes.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::estimate::Estimate;
use crate::quantity::{self, KilowattHours, Quantity, QuantityError, sealed};
use crate::words::{self, Scale};

const LITRES: words::Scales = &[(1e-6, " µl"), (1e-3, " ml"), (1.0, " l"), (1e3, " m³")];

macro_rules! water {
    ($($(#[$doc:meta])* $name:ident, $words:literal, $range:literal, |$x:ident| $allowed:expr, $scale:expr;)*) => {$(
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, PartialEq, PartialOrd, Serialize, Deserialize)]
        #[serde(try_from = "f64", into = "f64")]
        pub struct $name(f64);

        impl $name {
            #[doc = concat!("Checks a number from outside: ", $range, ".")]
            ///
            /// # Errors
            /// If it is not finite or out of that range.
            pub fn new(value: f64) -> Result<Self, QuantityError> {
                let $x = value;
                quantity::check($words, $range, value, $allowed).map(|value| Self(value + 0.0))
            }

            /// The number.
            pub const fn get(self) -> f64 {
                self.0
            }
        }

        impl sealed::Sealed for $name {}
        impl Quantity for $name {
            fn magnitude(self) -> f64 {
                self.0
            }
            fn with(self, magnitude: f64) -> Self {
                Self(magnitude)
            }
            fn scale(self) -> Scale {
                words::scale(self.0, $scale)
            }
        }

        impl TryFrom<f64> for $name {
            type Error = QuantityError;
            fn try_from(value: f64) -> Result<Self, QuantityError> {
                Self::new(value)
            }
        }
        impl From<$name> for f64 {
            fn from(quantity: $name) -> f64 {
                quantity.0
            }
        }
        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.scale().write(self.0))
            }
        }
    )*};
}

water! {
    /// A volume of water in litres.
    Litres, "water in litres", "finite and at least 0", |x| x >= 0.0, LITRES;
    /// Water for a kilowatt-hour. The bound is wide: a reservoir can evaporate tens of litres for a
    /// kilowatt-hour of hydropower, but nothing takes a cubic metre.
    LitresPerKwh, "water in litres per kWh", "at least 0 and less than 1000", |x| (0.0..1000.0).contains(&x), &[(1.0, " l/kWh")];
}

/// Water factors of a place, both from the user: no table of them was found that may be embedded.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Water {
    /// Water used on the site for a kilowatt-hour **that the computers draw**: the water usage
    /// effectiveness (WUE) that a data centre publishes.
    pub site: LitresPerKwh,
    /// Water used where the electricity is made, for a kilowatt-hour **that the building draws**;
    /// nothing where it is not known, which a bill then says.
    pub source: Option<LitresPerKwh>,
}

impl Water {
    /// Litres for so much energy of the computers (`it`) and of the building (`facility`, times PUE).
    pub(crate) fn litres(&self, it: Estimate<KilowattHours>, facility: Estimate<KilowattHours>) -> Estimate<Litres> {
        let litres = |it: KilowattHours, facility: KilowattHours| {
            Litres(it.get() * self.site.0 + self.source.map_or(0.0, |source| facility.get() * source.0))
        };
        // Both energies are one reading, so their bounds go together.
        Estimate::exact(litres(it.value(), facility.value()))
            .between(litres(it.low(), facility.low()), litres(it.high(), facility.high()))
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
        let water = Water { site: LitresPerKwh(1.8), source: Some(LitresPerKwh(2.0)) };
        let energy = |kwh: f64| Estimate::exact(KilowattHours::new(kwh).unwrap());
        assert_eq!(water.litres(energy(10.0), energy(12.0)).value(), Litres(42.0));
        assert_eq!(Water { source: None, ..water }.litres(energy(10.0), energy(12.0)).to_string(), "18.0 l");
    }

    #[test]
    fn refuses_what_is_no_factor() {
        for bad in [-0.1, 1000.0, f64::NAN, f64::INFINITY] {
            assert!(LitresPerKwh::new(bad).is_err(), "{bad}");
        }
        assert!(serde_json::from_str::<Water>(r#"{"site":-1,"source":null}"#).is_err());
        assert!(serde_json::from_str::<Water>(r#"{"site":1,"sauce":2}"#).is_err());
        assert_eq!(serde_json::from_str::<Water>(r#"{"site":1}"#).unwrap().source, None);
        assert_eq!(Litres(2e-7).to_string(), "0.200 µl");
        assert_eq!(Litres(0.0).to_string(), "0 l");
    }
}
