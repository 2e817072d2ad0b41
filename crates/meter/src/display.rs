//! How numbers are written for people: a unit that fits, three significant digits, never a
//! rounded-off zero.

/// Unit of a printed number.
#[derive(Debug, Clone, PartialEq)]
pub struct Scale {
    /// How many of the quantity's own unit make one of these.
    pub divisor: f64,
    /// What follows the number, a space included where one belongs.
    pub suffix: String,
}

/// Units of one quantity in rising order: how large one is, and how it is written.
pub type Scales = &'static [(f64, &'static str)];

/// Units of joules.
pub const JOULES: Scales =
    &[(1e-9, " nJ"), (1e-6, " µJ"), (1e-3, " mJ"), (1.0, " J"), (3.6e3, " Wh"), (3.6e6, " kWh"), (3.6e9, " MWh")];
/// Units of kilowatt hours.
pub const KILOWATT_HOURS: Scales = &[
    (1e-9 / 3.6e6, " nJ"),
    (1e-6 / 3.6e6, " µJ"),
    (1e-3 / 3.6e6, " mJ"),
    (1.0 / 3.6e6, " J"),
    (1e-3, " Wh"),
    (1.0, " kWh"),
    (1e3, " MWh"),
];
/// Units of watts.
pub const WATTS: Scales = &[(1e-6, " µW"), (1e-3, " mW"), (1.0, " W"), (1e3, " kW"), (1e6, " MW")];
/// Units of seconds.
pub const SECONDS: Scales =
    &[(1e-9, " ns"), (1e-6, " µs"), (1e-3, " ms"), (1.0, " s"), (60.0, " min"), (3600.0, " h"), (86400.0, " d")];
/// Units of grams.
pub const GRAMS: Scales = &[
    (1e-9, " ng CO2e"),
    (1e-6, " µg CO2e"),
    (1e-3, " mg CO2e"),
    (1.0, " g CO2e"),
    (1e3, " kg CO2e"),
    (1e6, " t CO2e"),
];
/// Units of liters.
pub const LITERS: Scales = &[(1e-6, " µl"), (1e-3, " ml"), (1.0, " l"), (1e3, " m³")];
/// Units of liters per kwh.
pub const LITERS_PER_KWH: Scales = &[(1.0, " l/kWh")];
/// Units of grams per kwh.
pub const GRAMS_PER_KWH: Scales = &[(1.0, " g CO2e/kWh")];
/// Units of pue.
pub const PUE: Scales = &[(1.0, "")];

/// The largest unit of which there is at least one; zero is written in the first unit without prefix.
pub fn scale(value: f64, scales: Scales) -> Scale {
    let base = scales.iter().find(|(_, suffix)| matches!(*suffix, " J" | " W" | " s" | " g CO2e" | " l"));
    let fitting = scales.iter().rev().find(|(size, _)| value >= *size);
    let chosen = if value == 0.0 { base.or(fitting) } else { fitting };
    // The tables above are not empty, so the last resort is never the default.
    let (divisor, suffix) = chosen.or(scales.first()).copied().unwrap_or((1.0, ""));
    Scale { divisor, suffix: suffix.to_owned() }
}

impl Scale {
    /// The number in this unit, with three significant digits.
    pub fn write(&self, value: f64) -> String {
        format!("{}{}", digits(value / self.divisor, 3), self.suffix)
    }

    /// `12.3 J [6.2, 24.6]`: the bounds in the unit of the value, with its decimals, or with more
    /// where a bound would otherwise show fewer than two digits.
    pub fn write_interval(&self, value: f64, low: f64, high: f64) -> String {
        let shown = decimals(value / self.divisor, 3);
        let bound = |x: f64| {
            let x = x / self.divisor;
            let decimals = if x == 0.0 { 0 } else { shown.max(decimals(x, 2)) };
            format!("{x:.decimals$}")
        };
        format!("{} [{}, {}]", self.write(value), bound(low), bound(high))
    }
}

/// A number with so many significant digits, without exponent.
pub fn digits(x: f64, significant: i32) -> String {
    let decimals = decimals(x, significant);
    format!("{x:.decimals$}")
}

/// How many places after the point show so many significant digits.
fn decimals(x: f64, significant: i32) -> usize {
    if x == 0.0 || !x.is_finite() {
        return 0;
    }
    let order = x.abs().log10().floor() as i32;
    usize::try_from(significant - 1 - order).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{GramsCo2e, Joules, KilowattHours, Seconds, Watts};

    #[test]
    fn reads_as_a_person_would_write() {
        let cases = [
            (Joules::raw(12.34).to_string(), "12.3 J"),
            (Joules::raw(4428.0).to_string(), "1.23 Wh"),
            (Joules::raw(3.6e6).to_string(), "1.00 kWh"),
            (Joules::raw(3599.0).to_string(), "3599 J"),
            (Joules::raw(4.2e-7).to_string(), "420 nJ"),
            (Joules::raw(1e-12).to_string(), "0.00100 nJ"),
            (Joules::ZERO.to_string(), "0 J"),
            (KilowattHours::raw(1e-6).to_string(), "3.60 J"),
            (KilowattHours::raw(0.00123).to_string(), "1.23 Wh"),
            (KilowattHours::raw(656_347.28).to_string(), "656 MWh"),
            (GramsCo2e::raw(0.0456).to_string(), "45.6 mg CO2e"),
            (GramsCo2e::raw(284.0e6).to_string(), "284 t CO2e"),
            (Seconds::raw(90.0).to_string(), "1.50 min"),
            (Watts::raw(12_041.51).to_string(), "12.0 kW"),
            (crate::Pue::ONE.to_string(), "1.00"),
        ];
        for (got, expected) in cases {
            assert_eq!(got, expected);
        }
    }

    #[test]
    fn nothing_small_prints_as_zero() {
        for exponent in -30..30 {
            let value = 1.7 * 10f64.powi(exponent);
            for text in [Joules::raw(value).to_string(), KilowattHours::raw(value).to_string()] {
                assert!(text.contains(|c: char| ('1'..='9').contains(&c)), "{value:e} printed as {text}");
            }
            let interval = Joules::raw(value).scale_of().write_interval(value, value * 1e-5, value * 2.0);
            assert!(!interval.contains("[0.00,"), "{interval}");
        }
    }

    impl Joules {
        fn scale_of(self) -> Scale {
            scale(self.get(), JOULES)
        }
    }
}
