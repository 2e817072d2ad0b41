//! How many of something: uses, flights, kilometers.

use std::fmt;

use attar_meter::display::{self, Scale};
use attar_meter::{Quantity, QuantityError, check_range};
use serde::{Deserialize, Serialize};

/// A number of things; not always whole, where it comes from a division.
#[derive(Debug, Clone, Copy, PartialEq, PartialOrd, Serialize, Deserialize)]
#[serde(try_from = "f64", into = "f64")]
pub struct Count(f64);

impl Count {
    /// None of them.
    pub const ZERO: Self = Self(0.0);

    /// Checks a number from outside: finite and at least 0.
    ///
    /// # Errors
    /// If it is not.
    pub fn new(value: f64) -> Result<Self, QuantityError> {
        check_range("count", "finite and at least 0", value, value >= 0.0).map(|value| Self(value + 0.0))
    }

    /// The number.
    pub const fn get(self) -> f64 {
        self.0
    }

    /// The result of arithmetic on checked quantities.
    pub(crate) const fn raw(value: f64) -> Self {
        Self(value)
    }
}

impl Quantity for Count {
    fn magnitude(self) -> f64 {
        self.0
    }
    fn with(self, magnitude: f64) -> Self {
        Self(magnitude)
    }
    fn scale(self) -> Scale {
        Scale { divisor: 1.0, suffix: String::new() }
    }
}

impl TryFrom<f64> for Count {
    type Error = QuantityError;
    fn try_from(value: f64) -> Result<Self, QuantityError> {
        Self::new(value)
    }
}
impl From<Count> for f64 {
    fn from(count: Count) -> f64 {
        count.0
    }
}
/// Three significant digits below a hundred, whole numbers above.
impl fmt::Display for Count {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&display::digits(self.0, 3))
    }
}
