//! Physical quantities as types: only products that mean something compile.
//!
//! Every quantity is finite and not negative, because its constructors refuse anything else and
//! nothing here subtracts.

use std::fmt;
use std::iter::Sum;
use std::ops::{Add, AddAssign, Div, Mul};
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::display::{self, Scale};

/// Joules in a kilowatt-hour, exactly.
pub const JOULES_PER_KILOWATT_HOUR: f64 = 3.6e6;

/// Seconds in an hour, exactly.
pub const SECONDS_PER_HOUR: f64 = 3600.0;

/// A number outside the range of its quantity.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
#[error("{quantity} must be {expected}, got {got}")]
pub struct QuantityError {
    /// Name of the quantity, with its unit.
    pub quantity: &'static str,
    /// The range that is allowed.
    pub expected: &'static str,
    /// The number given.
    pub got: f64,
}

/// A quantity with one unit: what an [`Estimate`](crate::Estimate) is about.
///
/// Implemented here for physical quantities, and by other crates for what they count or price.
pub trait Quantity: Copy + PartialEq + fmt::Debug {
    /// The number in the quantity's own unit.
    fn magnitude(self) -> f64;
    /// The same kind of quantity (for money: the same currency) with another number.
    fn with(self, magnitude: f64) -> Self;
    /// The unit in which a person would read it.
    fn scale(self) -> Scale;
}

/// Refuses a number outside its range.
///
/// # Errors
/// If the number is not finite or `allowed` is false.
pub fn check_range(
    quantity: &'static str,
    expected: &'static str,
    value: f64,
    allowed: bool,
) -> Result<f64, QuantityError> {
    if value.is_finite() && allowed { Ok(value) } else { Err(QuantityError { quantity, expected, got: value }) }
}

macro_rules! quantities {
    ($($(#[$doc:meta])* $name:ident, $words:literal, $range:literal, |$x:ident| $allowed:expr, $scales:expr;)*) => {$(
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
                // Adding zero turns a negative zero into zero, so that it never prints its sign.
                check_range($words, $range, value, $allowed).map(|value| Self(value + 0.0))
            }

            /// The number.
            pub const fn get(self) -> f64 {
                self.0
            }

            /// The result of arithmetic on checked quantities: unchecked, so the caller answers for its range.
            pub const fn raw(value: f64) -> Self {
                Self(value)
            }
        }

        impl Quantity for $name {
            fn magnitude(self) -> f64 {
                self.0
            }
            fn with(self, magnitude: f64) -> Self {
                Self::raw(magnitude)
            }
            fn scale(self) -> Scale {
                display::scale(self.0, $scales)
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

quantities! {
    /// Energy in joules. Printed in joules up to 3600 J, in watt-hours above.
    ///
    /// ```
    /// use attar_meter::{Joules, Seconds, Watts};
    /// assert_eq!(Watts::new(20.0)? * Seconds::new(3.0)?, Joules::new(60.0)?);
    /// # Ok::<(), attar_meter::QuantityError>(())
    /// ```
    ///
    /// What is not physics does not compile:
    /// ```compile_fail
    /// # use attar_meter::{Joules, Watts};
    /// let sum = Joules::new(1.0).unwrap() + Watts::new(1.0).unwrap();
    /// ```
    /// ```compile_fail
    /// # use attar_meter::{Joules, GramsPerKwh};
    /// let grams = Joules::new(1.0).unwrap() * GramsPerKwh::new(400.0).unwrap();
    /// ```
    Joules, "energy in joules", "finite and at least 0", |x| x >= 0.0, display::JOULES;
    /// Power in watts.
    Watts, "power in watts", "finite and at least 0", |x| x >= 0.0, display::WATTS;
    /// A length of time in seconds.
    Seconds, "time in seconds", "finite and at least 0", |x| x >= 0.0, display::SECONDS;
    /// Energy in kilowatt-hours. Printed like [`Joules`], so that a small energy never reads 0 kWh.
    KilowattHours, "energy in kilowatt-hours", "finite and at least 0", |x| x >= 0.0, display::KILOWATT_HOURS;
    /// Mass of greenhouse gas in grams of CO2 equivalent.
    GramsCo2e, "carbon in grams", "finite and at least 0", |x| x >= 0.0, display::GRAMS;
    /// Carbon intensity of electricity in grams of CO2 equivalent per kilowatt-hour. No grid on
    /// record is at zero or reaches 2000, so such a number is a mistake of unit or a missing value.
    GramsPerKwh, "carbon intensity in g/kWh", "more than 0 and less than 2000", |x| x > 0.0 && x < 2000.0, display::GRAMS_PER_KWH;
    /// A volume of water in liters.
    Liters, "water in liters", "finite and at least 0", |x| x >= 0.0, display::LITERS;
    /// Water for a kilowatt-hour. The bound is wide: a reservoir can evaporate tens of liters for a
    /// kilowatt-hour of hydropower, but nothing takes a cubic meter.
    LitersPerKwh, "water in liters per kWh", "at least 0 and less than 1000", |x| (0.0..1000.0).contains(&x), display::LITERS_PER_KWH;
    /// Power usage effectiveness: what the building draws for one unit that the computer draws.
    Pue, "power usage effectiveness", "at least 1 and less than 3", |x| (1.0..3.0).contains(&x), display::PUE;
}

impl Pue {
    /// Nothing added: a computer outside a data center.
    pub const ONE: Self = Self::raw(1.0);
}

macro_rules! additive {
    ($($name:ident)*) => {$(
        impl $name {
            /// None of it.
            pub const ZERO: Self = Self(0.0);
        }
        impl Add for $name {
            type Output = Self;
            fn add(self, other: Self) -> Self {
                Self(self.0 + other.0)
            }
        }
        impl AddAssign for $name {
            fn add_assign(&mut self, other: Self) {
                *self = *self + other;
            }
        }
        impl Sum for $name {
            fn sum<I: Iterator<Item = Self>>(all: I) -> Self {
                all.fold(Self::ZERO, Add::add)
            }
        }
    )*};
}
additive!(Joules Watts Seconds KilowattHours GramsCo2e);

macro_rules! products {
    ($($a:ident * $b:ident = $c:ident;)*) => {$(
        impl Mul<$b> for $a {
            type Output = $c;
            fn mul(self, other: $b) -> $c {
                $c::raw(self.0 * other.0)
            }
        }
        impl Mul<$a> for $b {
            type Output = $c;
            fn mul(self, other: $a) -> $c {
                other * self
            }
        }
    )*};
}
products! {
    Watts * Seconds = Joules;
    KilowattHours * GramsPerKwh = GramsCo2e;
    KilowattHours * Pue = KilowattHours;
    Joules * Pue = Joules;
    Watts * Pue = Watts;
}

impl Div<Seconds> for Joules {
    type Output = Watts;
    /// Mean power. Over no time it is not a number: ask only for windows that have a length.
    fn div(self, time: Seconds) -> Watts {
        Watts(self.0 / time.0)
    }
}

impl From<Joules> for KilowattHours {
    fn from(energy: Joules) -> Self {
        Self(energy.0 / JOULES_PER_KILOWATT_HOUR)
    }
}

impl From<KilowattHours> for Joules {
    fn from(energy: KilowattHours) -> Self {
        Self(energy.0 * JOULES_PER_KILOWATT_HOUR)
    }
}

impl From<Duration> for Seconds {
    fn from(time: Duration) -> Self {
        Self(time.as_secs_f64())
    }
}

impl Seconds {
    /// The same time in hours, for rates by the hour.
    pub fn hours(self) -> f64 {
        self.0 / SECONDS_PER_HOUR
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use attar_testing::assert_close_relative;
    use proptest::prelude::*;

    #[test]
    fn products_are_physical() {
        let (power, hour) = (Watts::new(1000.0).unwrap(), Seconds::from(Duration::from_secs(3600)));
        assert_eq!(power * hour, Joules(3.6e6));
        assert_eq!(hour * power, power * hour);
        assert_eq!(KilowattHours::from(power * hour), KilowattHours(1.0));
        assert_eq!(power * hour / hour, power);
        let grams = KilowattHours(2.0) * GramsPerKwh::new(475.0).unwrap();
        assert_eq!(grams, GramsCo2e(950.0));
        assert_eq!(hour.hours(), 1.0);
    }

    #[test]
    fn refuses_what_is_no_quantity() {
        for bad in [f64::NAN, f64::INFINITY, f64::NEG_INFINITY, -1e-300] {
            assert!(Joules::new(bad).is_err() && Watts::new(bad).is_err() && Seconds::new(bad).is_err());
        }
        for bad in [0.0, -1.0, 2000.0, f64::NAN] {
            assert!(GramsPerKwh::new(bad).is_err());
        }
        for bad in [0.99, 3.0, f64::NAN] {
            assert!(Pue::new(bad).is_err());
        }
        assert_eq!(Pue::new(1.0).unwrap(), Pue::ONE);
        let error = Pue::new(0.5).unwrap_err().to_string();
        assert_eq!(error, "power usage effectiveness must be at least 1 and less than 3, got 0.5");
    }

    #[test]
    fn serializes_as_its_number() {
        assert_eq!(serde_json::to_string(&Joules(0.1)).unwrap(), "0.1");
        assert_eq!(serde_json::from_str::<Joules>("0.1").unwrap(), Joules(0.1));
        assert!(serde_json::from_str::<Joules>("-1").is_err());
    }

    proptest! {
        // Two roundings of 2^-53 each.
        #[test]
        fn units_round_trip(joules in 0.0..1e15_f64) {
            let back = Joules::from(KilowattHours::from(Joules(joules))).get();
            assert_close_relative("joules", back, joules, 3e-16);
        }
    }
}
