//! A number with its interval, and how it was obtained.

use std::fmt;
use std::ops::Add;

use serde::{Deserialize, Serialize};

use crate::quantity::{GramsCo2e, Joules, KilowattHours, Quantity, Watts};

/// Stated confidence of every interval: the true value lies inside in 90 cases of 100.
///
/// It is stated, not proved: it rests on the comparisons that each source names.
pub const CONFIDENCE: f64 = 0.90;

/// A quantity with a [90 %](CONFIDENCE) interval: `low <= value <= high`.
///
/// Intervals add bound by bound. Readings of one kind of source have shared errors (a model that is 30 %
/// high is so in every window), so for them this is exact; for sources with independent errors it is the
/// worst case, wider than a root of squares and never too narrow. Multiplying by a factor that is
/// taken as exact (a price, a carbon intensity, a PUE) multiplies the bounds.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(
    try_from = "RawEstimate<Q>",
    bound(serialize = "Q: Quantity + Serialize", deserialize = "Q: Quantity + Deserialize<'de>")
)]
pub struct Estimate<Q> {
    value: Q,
    low: Q,
    high: Q,
}

/// An interval whose bounds are out of order.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
#[error("interval must hold low <= value <= high with finite numbers of at least 0, got {low} <= {value} <= {high}")]
pub struct EstimateError {
    /// The value given.
    pub value: f64,
    /// The lower bound given.
    pub low: f64,
    /// The upper bound given.
    pub high: f64,
}

/// How far the true value may lie from an estimate, as factors of it: `low <= 1 <= high`.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Spread {
    low: f64,
    high: f64,
}

/// How a number was obtained, from the strongest to the weakest.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Method {
    /// Read from a counter or sensor of just this.
    Measured,
    /// A share of something measured.
    Apportioned,
    /// What a trace holds that was measured at another time, perhaps elsewhere.
    Replayed,
    /// Computed from a load and a table.
    Modeled,
}

impl<Q: Quantity> Estimate<Q> {
    /// An interval from its three numbers.
    ///
    /// # Errors
    /// If they are out of order, negative or not finite.
    pub fn new(value: Q, low: Q, high: Q) -> Result<Self, EstimateError> {
        let (v, l, h) = (value.magnitude(), low.magnitude(), high.magnitude());
        // Written so that a NaN fails.
        if 0.0 <= l && l <= v && v <= h && h.is_finite() {
            Ok(Self { value, low, high })
        } else {
            Err(EstimateError { value: v, low: l, high: h })
        }
    }

    /// A value without uncertainty.
    pub fn exact(value: Q) -> Self {
        Self { value, low: value, high: value }
    }

    /// A value and how far the true value may lie from it.
    pub fn with_spread(value: Q, spread: Spread) -> Self {
        let v = value.magnitude();
        Self { value, low: value.with(v * spread.low), high: value.with(v * spread.high) }
    }

    /// The single best number.
    pub fn value(&self) -> Q {
        self.value
    }

    /// The lower bound.
    pub fn low(&self) -> Q {
        self.low
    }

    /// The upper bound.
    pub fn high(&self) -> Q {
        self.high
    }

    /// Whether its error is known: a quantity of something measured or modeled whose bounds are its value
    /// was given by a user, who states no error. Nothing has no error.
    pub fn has_interval(&self) -> bool {
        self.low.magnitude() < self.high.magnitude() || self.value.magnitude() == 0.0
    }

    /// Another quantity that grows with this one: `f` must not decrease, or the bounds would swap.
    ///
    /// ```
    /// use attar_meter::{Estimate, Joules, KilowattHours};
    /// let energy = Estimate::exact(Joules::new(7.2e6)?);
    /// assert_eq!(energy.map(KilowattHours::from).value(), KilowattHours::new(2.0)?);
    /// # Ok::<(), attar_meter::QuantityError>(())
    /// ```
    pub fn map<R: Quantity>(self, f: impl Fn(Q) -> R) -> Estimate<R> {
        Estimate { value: f(self.value), low: f(self.low), high: f(self.high) }
    }

    /// The same quantity, so many times.
    ///
    /// # Panics
    /// If the factor is negative or not finite.
    #[track_caller]
    pub fn scaled(self, factor: f64) -> Self {
        assert!(factor.is_finite() && factor >= 0.0, "an estimate cannot be scaled by {factor}");
        self.map(|quantity| quantity.with(quantity.magnitude() * factor))
    }

    /// The same value between other bounds, which must be in order.
    pub fn with_bounds(self, low: Q, high: Q) -> Self {
        Self { low, high, ..self }
    }

    /// The same value with an upper bound raised by so much.
    pub(crate) fn with_high_raised_by(self, by: f64) -> Self {
        Self { high: self.high.with(self.high.magnitude() + by), ..self }
    }
}

macro_rules! sums {
    ($($name:ident)*) => {$(
        impl Add for Estimate<$name> {
            type Output = Self;
            /// Bound by bound: see [`Estimate`].
            fn add(self, other: Self) -> Self {
                Self { value: self.value + other.value, low: self.low + other.low, high: self.high + other.high }
            }
        }
    )*};
}
sums!(Joules KilowattHours Watts GramsCo2e);

/// `12.3 J [6.2, 24.6]`, or `12.3 J` where the number is exact; `at most 40 J` where nothing was seen
/// below a bound that is not zero (a lost interval), for zero is then no finding.
impl<Q: Quantity + fmt::Display> fmt::Display for Estimate<Q> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.low == self.high {
            return write!(f, "{}", self.value);
        }
        if self.value.magnitude() == 0.0 {
            return write!(f, "at most {}", self.high);
        }
        let scale = self.value.scale();
        f.write_str(&scale.write_interval(self.value.magnitude(), self.low.magnitude(), self.high.magnitude()))
    }
}

#[derive(Deserialize)]
struct RawEstimate<Q> {
    value: Q,
    low: Q,
    high: Q,
}

impl<Q: Quantity> TryFrom<RawEstimate<Q>> for Estimate<Q> {
    type Error = EstimateError;
    fn try_from(raw: RawEstimate<Q>) -> Result<Self, EstimateError> {
        Self::new(raw.value, raw.low, raw.high)
    }
}

impl Spread {
    /// No uncertainty.
    pub const NONE: Self = Self { low: 1.0, high: 1.0 };

    /// Plus or minus so much of the value: `relative(0.05)` is ±5 %.
    pub const fn relative(error: f64) -> Self {
        Self { low: 1.0 - error, high: 1.0 + error }
    }

    /// Times and divided by: `factor(2.0)` is from half to double.
    pub const fn factor(factor: f64) -> Self {
        Self { low: 1.0 / factor, high: factor }
    }

    /// From one multiple of the value to another.
    pub const fn between(low: f64, high: f64) -> Self {
        Self { low, high }
    }

    /// The lower bound as a multiple of the value.
    pub fn low(self) -> f64 {
        self.low
    }

    /// The upper bound as a multiple of the value.
    pub fn high(self) -> f64 {
        self.high
    }
}

/// `×0.5 to ×2`.
impl fmt::Display for Spread {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "×{:.2} to ×{:.2}", self.low, self.high)
    }
}

impl Method {
    /// The method of a total: the weakest of its parts, or `None` if it has none.
    pub fn weakest(parts: impl IntoIterator<Item = Self>) -> Option<Self> {
        parts.into_iter().max()
    }
}

impl fmt::Display for Method {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Measured => "measured",
            Self::Apportioned => "apportioned",
            Self::Replayed => "replayed",
            Self::Modeled => "modeled",
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn joules(value: f64, low: f64, high: f64) -> Estimate<Joules> {
        Estimate::new(Joules::raw(value), Joules::raw(low), Joules::raw(high)).unwrap()
    }

    #[test]
    fn prints_value_and_bounds_in_one_unit() {
        assert_eq!(Estimate::with_spread(Joules::raw(12.3), Spread::factor(2.0)).to_string(), "12.3 J [6.2, 24.6]");
        assert_eq!(
            Estimate::with_spread(Joules::raw(4428.0), Spread::relative(0.05)).to_string(),
            "1.23 Wh [1.17, 1.29]"
        );
        assert_eq!(Estimate::exact(Joules::raw(5.0)).to_string(), "5.00 J");
        assert_eq!(joules(0.0, 0.0, 40.0).to_string(), "at most 40.0 J");
        assert_eq!(joules(100.0, 0.001, 200.0).to_string(), "100 J [0.0010, 200]");
    }

    #[test]
    fn refuses_disordered_bounds() {
        for (value, low, high) in [(1.0, 2.0, 3.0), (3.0, 1.0, 2.0), (f64::NAN, 0.0, 1.0), (1.0, f64::NAN, 2.0)] {
            assert!(Estimate::new(Joules::raw(value), Joules::raw(low), Joules::raw(high)).is_err());
        }
        assert!(serde_json::from_str::<Estimate<Joules>>(r#"{"value":1,"low":2,"high":3}"#).is_err());
        assert!(serde_json::from_str::<Estimate<Joules>>(r#"{"value":1,"low":0,"high":1e999}"#).is_err());
        let kept = joules(0.1, 0.05, 0.2);
        assert_eq!(serde_json::from_str::<Estimate<Joules>>(&serde_json::to_string(&kept).unwrap()).unwrap(), kept);
    }

    #[test]
    fn a_total_is_as_weak_as_its_weakest_part() {
        use Method::{Apportioned, Measured, Modeled, Replayed};
        assert_eq!(Method::weakest([Measured, Modeled, Apportioned]), Some(Modeled));
        assert_eq!(Method::weakest([Measured, Apportioned]), Some(Apportioned));
        assert_eq!(Method::weakest([Measured, Replayed, Apportioned]), Some(Replayed));
        assert_eq!(Method::weakest([Replayed, Modeled]), Some(Modeled));
        assert_eq!(Method::weakest([]), None);
    }

    proptest! {
        #[test]
        fn sums_and_factors_keep_the_order(a in 0.0..1e9_f64, b in 0.0..1e9_f64, f in 1.0..9.0_f64, k in 0.0..1e3_f64) {
            let sum = Estimate::with_spread(Joules::raw(a), Spread::factor(f))
                + Estimate::with_spread(Joules::raw(b), Spread::relative(0.1));
            let scaled = sum.scaled(k);
            prop_assert!(Estimate::new(sum.value(), sum.low(), sum.high()).is_ok());
            prop_assert!(Estimate::new(scaled.value(), scaled.low(), scaled.high()).is_ok());
            prop_assert_eq!(sum.high().get(), a * f + b * 1.1);
        }
    }
}
