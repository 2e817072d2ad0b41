//! Money and prices: an amount always names its currency, and currencies never mix.

use std::fmt;
use std::ops::Mul;
use std::str::FromStr;

use attar_meter::display::{self, Scale};
use attar_meter::{KilowattHours, Quantity, QuantityError, Seconds, check_range};
use serde::{Deserialize, Serialize};

/// A currency by its three-letter code (ISO 4217), such as `EUR`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Currency([u8; 3]);

/// A price or an amount that cannot be used.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum MoneyError {
    /// The code is not three letters.
    #[error("currency must be a code of three letters such as EUR or USD, got `{got}`")]
    Currency {
        /// The value given.
        got: String,
    },
    /// Two prices of one tariff are in different currencies.
    #[error("currencies must agree: one price is in {first}, another in {second}; give both in one of them")]
    Mixed {
        /// The currency met first.
        first: Currency,
        /// The one that differs.
        second: Currency,
    },
    /// The amount is negative or not a number.
    #[error(transparent)]
    Amount(#[from] QuantityError),
}

impl Currency {
    /// US dollars.
    pub const USD: Self = Self(*b"USD");

    /// The code.
    pub fn code(&self) -> &str {
        // Only ASCII letters are ever stored, so this cannot fail.
        std::str::from_utf8(&self.0).unwrap_or("???")
    }
}

impl FromStr for Currency {
    type Err = MoneyError;
    fn from_str(code: &str) -> Result<Self, MoneyError> {
        match <[u8; 3]>::try_from(code.trim().as_bytes()) {
            Ok(letters) if letters.iter().all(u8::is_ascii_alphabetic) => {
                Ok(Self(letters.map(|c| c.to_ascii_uppercase())))
            }
            _ => Err(MoneyError::Currency { got: code.to_owned() }),
        }
    }
}

impl TryFrom<String> for Currency {
    type Error = MoneyError;
    fn try_from(code: String) -> Result<Self, MoneyError> {
        code.parse()
    }
}
impl From<Currency> for String {
    fn from(currency: Currency) -> String {
        currency.code().to_owned()
    }
}
impl fmt::Display for Currency {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.code())
    }
}

macro_rules! amounts {
    ($($(#[$doc:meta])* $name:ident, $words:literal;)*) => {$(
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
        #[serde(try_from = "Amount", into = "Amount")]
        pub struct $name {
            amount: f64,
            currency: Currency,
        }

        impl $name {
            /// Checks a number from outside: finite and at least 0.
            ///
            /// # Errors
            /// If it is not.
            pub fn new(amount: f64, currency: Currency) -> Result<Self, MoneyError> {
                let amount = check_range($words, "finite and at least 0", amount, amount >= 0.0)?;
                Ok(Self { amount: amount + 0.0, currency })
            }

            /// The number, in units of the currency.
            pub const fn amount(self) -> f64 {
                self.amount
            }

            /// The currency.
            pub const fn currency(self) -> Currency {
                self.currency
            }
        }

        impl TryFrom<Amount> for $name {
            type Error = MoneyError;
            fn try_from(raw: Amount) -> Result<Self, MoneyError> {
                Self::new(raw.amount, raw.currency)
            }
        }
        impl From<$name> for Amount {
            fn from(money: $name) -> Amount {
                Amount { amount: money.amount, currency: money.currency }
            }
        }
    )*};
}

/// How an amount is written in JSON.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Amount {
    amount: f64,
    currency: Currency,
}

amounts! {
    /// An amount of money.
    Money, "amount of money";
    /// Price of one kilowatt-hour of electricity.
    PricePerKwh, "price per kWh";
    /// Price of one hour of a machine (rent).
    PricePerHour, "price per hour";
}

impl Money {
    /// The sum of two amounts.
    ///
    /// # Errors
    /// If their currencies differ.
    pub fn plus(self, other: Self) -> Result<Self, MoneyError> {
        if self.currency != other.currency {
            return Err(MoneyError::Mixed { first: self.currency, second: other.currency });
        }
        Ok(Self { amount: self.amount + other.amount, currency: self.currency })
    }
}

impl Mul<PricePerKwh> for KilowattHours {
    type Output = Money;
    fn mul(self, price: PricePerKwh) -> Money {
        Money { amount: self.get() * price.amount, currency: price.currency }
    }
}

impl Mul<PricePerHour> for Seconds {
    type Output = Money;
    fn mul(self, price: PricePerHour) -> Money {
        Money { amount: self.hours() * price.amount, currency: price.currency }
    }
}

impl Quantity for Money {
    fn magnitude(self) -> f64 {
        self.amount
    }
    fn with(self, magnitude: f64) -> Self {
        Self { amount: magnitude, currency: self.currency }
    }
    fn scale(self) -> Scale {
        Scale { divisor: 1.0, suffix: format!(" {}", self.currency) }
    }
}

/// Hundredths at least, three significant digits below them: `1234.50 EUR`, `0.00123 EUR`.
impl fmt::Display for Money {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.amount == 0.0 || self.amount >= 0.1 {
            write!(f, "{:.2} {}", self.amount, self.currency)
        } else {
            write!(f, "{} {}", display::digits(self.amount, 3), self.currency)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn eur() -> Currency {
        "eur".parse().unwrap()
    }

    #[test]
    fn prices_make_money() {
        let price = PricePerKwh::new(0.30, eur()).unwrap();
        assert_eq!(KilowattHours::new(2.0).unwrap() * price, Money::new(0.6, eur()).unwrap());
        let rent = PricePerHour::new(1.46, eur()).unwrap();
        assert_eq!(Seconds::new(7200.0).unwrap() * rent, Money::new(2.92, eur()).unwrap());
        assert_eq!(Money::new(1234.5, eur()).unwrap().to_string(), "1234.50 EUR");
        assert_eq!(Money::new(0.001_23, eur()).unwrap().to_string(), "0.00123 EUR");
    }

    #[test]
    fn currencies_do_not_mix() {
        let (a, b) = (Money::new(1.0, eur()).unwrap(), Money::new(1.0, "USD".parse().unwrap()).unwrap());
        assert_eq!(a.plus(a).unwrap().amount(), 2.0);
        let error = a.plus(b).unwrap_err().to_string();
        assert!(error.contains("EUR") && error.contains("USD"), "{error}");
        for bad in ["", "EU", "EURO", "E1R", "€"] {
            assert!(bad.parse::<Currency>().is_err(), "{bad}");
        }
        assert!(PricePerKwh::new(-0.1, eur()).is_err());
    }

    #[test]
    fn json_names_the_currency() {
        let money = Money::new(0.5, eur()).unwrap();
        let text = serde_json::to_string(&money).unwrap();
        assert_eq!(text, r#"{"amount":0.5,"currency":"EUR"}"#);
        assert_eq!(serde_json::from_str::<Money>(&text).unwrap(), money);
        assert!(serde_json::from_str::<Money>(r#"{"amount":0.5,"currency":"euro"}"#).is_err());
    }
}
