//! Break-even: after how many uses something that costs less to use has paid back the cost of making it.

use std::fmt;

use attar_meter::{Estimate, Quantity, Spread};
use serde::Serialize;

use crate::count::Count;

/// After how many uses a replacement has paid back the cost of making it against its incumbent.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
#[serde(tag = "verdict", rename_all = "snake_case")]
pub enum BreakEven {
    /// After so many uses, at most the upper bound.
    After {
        /// The uses.
        uses: Estimate<Count>,
    },
    /// Perhaps never: within the intervals a use of the replacement may cost as much as one of the incumbent.
    MayNever {
        /// What the best numbers say; `None` where by them the replacement costs as much or more.
        uses: Option<Count>,
        /// The fewest uses within the intervals.
        at_least: Count,
    },
    /// Never: a use of the replacement costs as much or more, whatever the truth within the intervals; or
    /// the uses are more than there are numbers for.
    Never,
}

/// How the costs of one use err.
#[derive(Debug, Clone, Copy, PartialEq, Default, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Errors {
    /// Each by itself: the worst case, and always safe to say.
    #[default]
    Independent,
    /// By one factor: both were read by the same meter on the same machine in one run, and what the
    /// meter gets wrong it gets wrong alike for both. The factor lies within the wider of their two
    /// relative intervals. Making still errs by itself.
    ///
    /// Only for intervals that are the meter's error. A scatter between repetitions is not common
    /// to both, and to claim so would make the answer too sharp.
    Shared,
    /// By one factor, but for the ratio of the two costs, which may be off by so much: a model's error
    /// differs with the load, so it is common to teacher and student in part only.
    SharedInPart(Spread),
}

/// Costs that cannot be compared.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "break-even compares costs of one kind, got {making}, {incumbent} and {replacement}; use one currency throughout"
)]
pub struct BreakEvenError {
    /// The cost of making, with its unit.
    pub making: String,
    /// The cost of the incumbent's use, with its unit.
    pub incumbent: String,
    /// The cost of the replacement's use, with its unit.
    pub replacement: String,
}

impl BreakEven {
    /// After how many uses making (`M`) is repaid, if one use of the incumbent costs `T` and one of the
    /// replacement `S`, in joules, grams or money alike: `M / (T − S)`.
    ///
    /// The bounds are worst cases. With [independent errors](Errors::Independent) they are `M.low / (T.high − S.low)`
    /// and `M.high / (T.low − S.high)`; where `T.low <= S.high`, the upper one is infinite. With
    /// [shared errors](Errors::Shared), a common factor between `k` and `K`, they are
    /// `M.low / (K · (T − S))` and `M.high / (k · (T − S))`; which of the two costs more is then not
    /// in doubt. `k` is the lesser of `T.low / T` and `S.low / S`, `K` the greater of `T.high / T`
    /// and `S.high / S`; costs of zero err independently. With errors [shared in
    /// part](Errors::SharedInPart), `S` is besides off by the ratio's bounds `r` and `R`:
    /// `M.low / (K · (T − r S))` and `M.high / (k · (T − R S))`, but never wider than with
    /// independent errors.
    ///
    /// ```
    /// use attar_bill::{BreakEven, Errors};
    /// use attar_meter::{Estimate, Joules};
    /// let joules = |x| Joules::new(x).map(Estimate::exact);
    /// let even = BreakEven::new(joules(820_000.0)?, joules(25.0)?, joules(5.0)?, Errors::Independent).unwrap();
    /// assert_eq!(even.to_string(), "after 41000 uses");
    /// # Ok::<(), attar_meter::QuantityError>(())
    /// ```
    ///
    /// # Errors
    /// If the three are money of different currencies.
    pub fn new<Q: Quantity + fmt::Display>(
        making: Estimate<Q>,
        incumbent: Estimate<Q>,
        replacement: Estimate<Q>,
        errors: Errors,
    ) -> Result<Self, BreakEvenError> {
        // Money without its amount is its currency; other quantities have one kind only.
        let kind = |cost: Estimate<Q>| cost.value().with(0.0);
        if kind(making) != kind(incumbent) || kind(making) != kind(replacement) {
            return Err(BreakEvenError {
                making: making.to_string(),
                incumbent: incumbent.to_string(),
                replacement: replacement.to_string(),
            });
        }
        let [m, t, s] = [making, incumbent, replacement].map(CostBounds::of);
        let saved = t.value - s.value;
        let apart = (t.low - s.high, t.high - s.low);
        let common = || ((t.low / t.value).min(s.low / s.value), (t.high / t.value).max(s.high / s.value));
        let (least, most) = match errors {
            Errors::Shared if t.value > 0.0 && s.value > 0.0 => {
                let (low, high) = common();
                // The sign is that of the difference, whatever the factor.
                if saved > 0.0 { (low * saved, high * saved) } else { (saved, saved) }
            }
            Errors::SharedInPart(ratio) if t.value > 0.0 && s.value > 0.0 => {
                let (low, high) = common();
                let (least, most) = (t.value - s.value * ratio.high(), t.value - s.value * ratio.low());
                // A difference below zero is the further from it the larger the factor.
                let least = if least > 0.0 { low * least } else { high * least };
                let most = if most > 0.0 { high * most } else { low * most };
                (least.max(apart.0), most.min(apart.1))
            }
            _ => apart,
        };
        if most <= 0.0 {
            return Ok(Self::Never);
        }
        let uses = |cost: f64, saved: f64| if saved > 0.0 { cost / saved } else { f64::INFINITY };
        let [low, value, high] = [uses(m.low, most), uses(m.value, saved), uses(m.high, least)];
        if high.is_finite() {
            // Rounding may put a bound past the value by its last bit.
            let (low, high) = (Count::raw(low.min(value)), Count::raw(high.max(value)));
            return Ok(Self::After { uses: Estimate::exact(Count::raw(value)).with_bounds(low, high) });
        }
        if !low.is_finite() {
            // More uses than there are numbers for.
            return Ok(Self::Never);
        }
        let uses = value.is_finite().then_some(Count::raw(value));
        Ok(Self::MayNever { uses, at_least: Count::raw(low) })
    }
}

/// The numbers of an estimate.
struct CostBounds {
    value: f64,
    low: f64,
    high: f64,
}

impl CostBounds {
    fn of<Q: Quantity>(cost: Estimate<Q>) -> Self {
        let [value, low, high] = [cost.value(), cost.low(), cost.high()].map(Quantity::magnitude);
        Self { value, low, high }
    }
}

/// `after 41000 uses [20500, 82000]`.
impl fmt::Display for BreakEven {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::After { uses } if uses.low() == uses.high() => write!(f, "after {} uses", uses.value()),
            Self::After { uses } => {
                write!(f, "after {} uses [{}, {}]", uses.value(), uses.low(), uses.high())
            }
            Self::MayNever { uses: Some(uses), at_least } => {
                write!(
                    f,
                    "after {uses} uses, not before {at_least}, and possibly never: the costs per use are too close"
                )
            }
            Self::MayNever { uses: None, at_least } => {
                write!(
                    f,
                    "probably never, and not before {at_least} uses: by the best estimates each use costs as much or more"
                )
            }
            Self::Never => f.write_str("never: each use costs as much or more"),
        }
    }
}

#[cfg(test)]
mod tests {
    use attar_testing::assert_close_relative;
    use proptest::prelude::*;

    use super::*;
    use crate::Money;
    use attar_meter::Joules;

    fn joules(value: f64, low: f64, high: f64) -> Estimate<Joules> {
        Estimate::new(Joules::raw(value), Joules::raw(low), Joules::raw(high)).unwrap()
    }

    fn exact(value: f64) -> Estimate<Joules> {
        joules(value, value, value)
    }

    fn of(m: Estimate<Joules>, t: Estimate<Joules>, s: Estimate<Joules>, errors: Errors) -> BreakEven {
        BreakEven::new(m, t, s, errors).unwrap()
    }

    #[test]
    fn bounds_are_the_worst_cases() {
        let (m, t, s) = (joules(1000.0, 500.0, 2000.0), joules(30.0, 25.0, 40.0), joules(10.0, 5.0, 15.0));
        let BreakEven::After { uses } = of(m, t, s, Errors::Independent) else { panic!() };
        assert_close_relative("low", uses.low().get(), 500.0 / 35.0, 1e-15);
        assert_eq!((uses.value().get(), uses.high().get()), (50.0, 200.0));
        // By one factor from 0.5 to 1.5, the wider of the two.
        let BreakEven::After { uses } = of(m, t, s, Errors::Shared) else { panic!() };
        assert_close_relative("low", uses.low().get(), 500.0 / 30.0, 1e-15);
        assert_eq!((uses.value().get(), uses.high().get()), (50.0, 200.0));
    }

    #[test]
    fn what_may_never_come_is_said() {
        let m = exact(100.0);
        // A factor of two each way, as a model from load and tables has: apart nothing is certain.
        let (t, s) = (joules(10.0, 5.0, 20.0), joules(6.0, 3.0, 12.0));
        let apart = of(m, t, s, Errors::Independent);
        assert!(matches!(apart, BreakEven::MayNever { uses: Some(uses), .. } if uses.get() == 25.0), "{apart}");
        assert!(apart.to_string().contains("possibly never"));
        assert_eq!(of(m, t, s, Errors::Shared).to_string(), "after 25.0 uses [12.5, 50.0]");
        let worse = of(m, s, t, Errors::Independent);
        assert!(matches!(worse, BreakEven::MayNever { uses: None, .. }), "{worse}");
        assert_eq!(of(m, s, t, Errors::Shared), BreakEven::Never);
        assert_eq!(of(m, exact(5.0), exact(5.0), Errors::Independent), BreakEven::Never);
        assert_eq!(of(m, exact(4.0), exact(5.0), Errors::Independent), BreakEven::Never);
        assert_eq!(of(exact(0.0), exact(5.0), exact(1.0), Errors::Independent).to_string(), "after 0 uses");
        assert_eq!(of(exact(1e300), exact(1e-300), exact(0.0), Errors::Shared), BreakEven::Never);
        // A meter that may have read nothing at all.
        let open = of(m, joules(10.0, 0.0, 20.0), joules(5.0, 0.0, 10.0), Errors::Shared);
        assert!(matches!(open, BreakEven::MayNever { .. }), "{open}");
        let json = serde_json::to_value(apart).unwrap();
        assert_eq!((json["verdict"].as_str(), json["uses"].as_f64()), (Some("may_never"), Some(25.0)));
    }

    #[test]
    fn what_errs_with_the_load_is_common_in_part_only() {
        let (m, t, s) = (exact(100.0), joules(10.0, 5.0, 20.0), joules(4.0, 2.0, 8.0));
        let part = |factor| of(m, t, s, Errors::SharedInPart(Spread::factor(factor)));
        assert_eq!(part(1.0), of(m, t, s, Errors::Shared));
        // By one factor from a half to two, and the student's by two more: 10 − 8 to 10 − 2 are saved.
        let BreakEven::After { uses } = part(2.0) else { panic!("{}", part(2.0)) };
        assert_close_relative("low", uses.low().get(), 100.0 / 16.0, 1e-12);
        assert_close_relative("high", uses.high().get(), 100.0, 1e-12);
        // Where the student may cost as much, it may never repay itself, as with independent errors.
        assert!(matches!(part(5.0), BreakEven::MayNever { .. }), "{}", part(5.0));
        // Never wider than the worst case.
        let BreakEven::MayNever { at_least, .. } = part(1e6) else { panic!("{}", part(1e6)) };
        assert_close_relative("at least", at_least.get(), 100.0 / 18.0, 1e-12);
    }

    #[test]
    fn money_must_be_of_one_currency() {
        let money = |code: &str| Estimate::exact(Money::new(5.0, code.parse().unwrap()).unwrap());
        let error =
            BreakEven::new(money("EUR"), money("EUR"), money("USD"), Errors::Independent).unwrap_err().to_string();
        assert!(error.contains("5.00 EUR") && error.contains("5.00 USD"), "{error}");
        assert!(BreakEven::new(money("EUR"), money("EUR"), money("EUR"), Errors::Independent).is_ok());
    }

    fn estimates() -> impl Strategy<Value = Estimate<Joules>> {
        // Zero is among them, as a value and as a bound.
        (0.0..1e6_f64, 0.0..=1.0_f64, 1.0..5.0_f64, 0..8_u8).prop_map(|(value, low, high, zero)| {
            let value = if zero == 0 { 0.0 } else { value };
            joules(value, if zero == 1 { 0.0 } else { value * low }, value * high)
        })
    }

    fn errors() -> impl Strategy<Value = Errors> {
        prop_oneof![Just(Errors::Independent), Just(Errors::Shared)]
    }

    fn low_and_high(even: BreakEven) -> (f64, f64) {
        match even {
            BreakEven::After { uses } => (uses.low().get(), uses.high().get()),
            BreakEven::MayNever { at_least, .. } => (at_least.get(), f64::INFINITY),
            BreakEven::Never => (f64::INFINITY, f64::INFINITY),
        }
    }

    proptest! {
        #[test]
        fn never_negative_and_in_order(m in estimates(), t in estimates(), s in estimates(), errors in errors()) {
            match of(m, t, s, errors) {
                BreakEven::After { uses } => {
                    prop_assert!(Estimate::new(uses.value(), uses.low(), uses.high()).is_ok(), "{uses:?}");
                }
                BreakEven::MayNever { uses, at_least } => {
                    prop_assert!(at_least.get() >= 0.0 && uses.is_none_or(|uses| uses.get() >= at_least.get() * (1.0 - 1e-12)));
                }
                BreakEven::Never => prop_assert!(t.value().get() <= s.value().get()),
            }
        }

        #[test]
        fn grows_with_making(m in estimates(), t in estimates(), s in estimates(), more in 1.0..10.0_f64, errors in errors()) {
            let (low, high) = low_and_high(of(m, t, s, errors));
            let (low_more, high_more) = low_and_high(of(m.scaled(more), t, s, errors));
            prop_assert!(low <= low_more && high <= high_more);
        }

        #[test]
        fn exact_costs_give_the_closed_form(m in 0.0..1e9_f64, s in 0.001..1e3_f64, saved in 0.001..1e3_f64, errors in errors()) {
            let BreakEven::After { uses } = of(exact(m), exact(s + saved), exact(s), errors) else { panic!() };
            // The subtraction of like numbers loses at most the digits by which they are alike: 1e6.
            assert_close_relative("uses", uses.value().get() * saved, m, 1e-9);
            prop_assert!(uses.low().get() >= uses.value().get() * (1.0 - 1e-12));
            prop_assert!(uses.high().get() <= uses.value().get() * (1.0 + 1e-12));
        }

        // Whatever the truth within the intervals, the bounds hold it.
        #[test]
        fn the_truth_is_inside(m in estimates(), t in estimates(), s in estimates(), at in proptest::array::uniform3(0.0..=1.0_f64)) {
            let truth = |e: Estimate<Joules>, at: f64| e.low().get() + at * (e.high().get() - e.low().get());
            let (m_true, t_true, s_true) = (truth(m, at[0]), truth(t, at[1]), truth(s, at[2]));
            let (low, high) = low_and_high(of(m, t, s, Errors::Independent));
            if t_true > s_true {
                let uses = m_true / (t_true - s_true);
                prop_assert!(low <= uses * (1.0 + 1e-9) && uses <= high * (1.0 + 1e-9), "{low} {uses} {high}");
            } else {
                prop_assert!(high.is_infinite());
            }
        }

        // And with one factor, however it lies within the interval of the one it was drawn from.
        #[test]
        fn one_factor_cancels(m in 1.0..1e6_f64, t in 0.1..1e3_f64, s in 0.1..1e3_f64, f in 1.0..3.0_f64, at in 0.0..=1.0_f64) {
            let around = |x: f64| joules(x, x / f, x * f);
            let factor = 1.0 / f + at * (f - 1.0 / f);
            let (low, high) = low_and_high(of(exact(m), around(t), around(s), Errors::Shared));
            let (apart_low, apart_high) = low_and_high(of(exact(m), around(t), around(s), Errors::Independent));
            if t > s {
                let uses = m / (factor * (t - s));
                prop_assert!(low <= uses * (1.0 + 1e-9) && uses <= high * (1.0 + 1e-9));
                prop_assert!(apart_low <= low * (1.0 + 1e-9) && high <= apart_high * (1.0 + 1e-9), "sharper, never wider");
            } else {
                prop_assert!(low.is_infinite());
            }
        }
    }
}
