//! Bounds of a ratio and of a difference, where errors are independent and where they are shared.

use std::fmt;

use attar_meter::display;
use attar_meter::{Estimate, Joules, Spread};

use super::columns::Figure;

/// Bounds of a ratio.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Interval {
    /// The lower bound.
    pub low: f64,
    /// The upper bound; `None` if there is none, because A may be zero.
    pub high: Option<f64>,
}

/// What a comparison comes to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ComparisonVerdict {
    /// B is below A throughout the interval.
    Less,
    /// B is above A throughout the interval.
    More,
    /// The interval holds 1.
    Inconclusive,
    /// The number has no interval: the values alone are compared.
    NoInterval,
}

/// A number with bounds.
#[derive(Debug, Clone, Copy)]
pub(super) struct Bounds {
    pub(super) value: f64,
    pub(super) low: f64,
    pub(super) high: f64,
}

/// A summand that A and B have alike, such as one component.
#[derive(Debug, Clone, Copy)]
pub(super) struct Summand {
    pub(super) a: Bounds,
    pub(super) b: Bounds,
    /// Bounds of the factor that both share.
    pub(super) common: (f64, f64),
}

impl Bounds {
    pub(super) fn of(figure: &Figure) -> Self {
        Self { value: figure.value, low: figure.low, high: figure.high }
    }

    pub(super) fn energy(estimate: Estimate<Joules>) -> Self {
        Self { value: estimate.value().get(), low: estimate.low().get(), high: estimate.high().get() }
    }

    pub(super) fn exact(value: f64) -> Self {
        Self { value, low: value, high: value }
    }

    pub(super) fn times(self, factor: f64) -> Self {
        Self { value: self.value * factor, low: self.low * factor, high: self.high * factor }
    }
}

impl Summand {
    /// Takes the factor that both intervals hold out of them. What of it the two do not have in common,
    /// because it differs with the load, stays with B: its ratio to A may be off by so much.
    pub(super) fn of(a: Bounds, b: Bounds, between_loads: Spread) -> Self {
        let summand = Self::sharing(a, b);
        let b = summand.b;
        let b = Bounds { low: b.low * between_loads.low(), high: b.high * between_loads.high(), ..b };
        Self { b, ..summand }
    }

    fn sharing(a: Bounds, b: Bounds) -> Self {
        if a.value <= 0.0 || b.value <= 0.0 {
            // A lost interval has no value that a factor could belong to.
            return Self { a, b, common: (1.0, 1.0) };
        }
        let low = (a.low / a.value).max(b.low / b.value);
        let high = (a.high / a.value).min(b.high / b.value);
        let own = |x: Bounds| Bounds {
            value: x.value,
            // At a common factor of zero nothing of the low side is anyone's own.
            low: if low > 0.0 { (x.low / low).min(x.value) } else { x.value },
            high: (x.high / high).max(x.value),
        };
        Self { a: own(a), b: own(b), common: (low, high) }
    }
}

impl Interval {
    /// The part that another interval has too.
    pub(super) fn within(self, other: Self) -> Self {
        let high = match (self.high, other.high) {
            (Some(a), Some(b)) => Some(a.min(b)),
            (a, b) => a.or(b),
        };
        Self { low: self.low.max(other.low), high }
    }

    pub(super) fn verdict(self) -> ComparisonVerdict {
        match self {
            Self { high: Some(high), .. } if high < 1.0 => ComparisonVerdict::Less,
            Self { low, .. } if low > 1.0 => ComparisonVerdict::More,
            _ => ComparisonVerdict::Inconclusive,
        }
    }
}

impl fmt::Display for Interval {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let low = display::digits(self.low, 3);
        match self.high {
            None => write!(f, "{low} or more"),
            Some(high) => match display::digits(high, 3) {
                same if same == low => f.write_str(&same),
                high => write!(f, "{low} to {high}"),
            },
        }
    }
}

impl ComparisonVerdict {
    /// For programs.
    pub(super) fn key(self) -> &'static str {
        match self {
            Self::Less => "less",
            Self::More => "more",
            Self::Inconclusive => "inconclusive",
            Self::NoInterval => "no_interval",
        }
    }
}

impl fmt::Display for ComparisonVerdict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Less => "B is less",
            Self::More => "B is more",
            Self::Inconclusive => "inconclusive",
            Self::NoInterval => "no interval",
        })
    }
}

/// The ratio's bounds over all factors that the summands may have. The extreme of a ratio of sums
/// lies where every factor is at one of its bounds, and those above some ratio of their own at the
/// other bound than those below it: so few cases hold it.
pub(super) fn shared_interval(summands: &[Summand]) -> Option<Interval> {
    let low = extreme(summands, |s| (s.b.low, s.a.high), false)?;
    // Where A may be zero there is no upper bound.
    let high = extreme(summands, |s| (s.b.high, s.a.low), true);
    Some(Interval { low, high })
}

fn extreme(summands: &[Summand], of: impl Fn(&Summand) -> (f64, f64), highest: bool) -> Option<f64> {
    let mut terms: Vec<(f64, f64, (f64, f64))> = summands.iter().map(|s| (of(s).0, of(s).1, s.common)).collect();
    terms.retain(|(b, a, _)| *b > 0.0 || *a > 0.0);
    // By b / a, without dividing by zero.
    terms.sort_by(|x, y| (y.0 * x.1).total_cmp(&(x.0 * y.1)));
    let candidates = (0..=terms.len()).map(|cut| {
        let factor = |place: usize, (low, high): (f64, f64)| if (place < cut) == highest { high } else { low };
        let (b, a) = terms.iter().enumerate().fold((0.0, 0.0), |(b, a), (place, term)| {
            let k = factor(place, term.2);
            (b + k * term.0, a + k * term.1)
        });
        over(b, a)
    });
    let candidates: Vec<f64> = candidates.collect::<Option<_>>()?;
    candidates.into_iter().reduce(if highest { f64::max } else { f64::min })
}

/// The bounds of B less A over all factors that the summands may have.
pub(super) fn differences(summands: &[Summand]) -> (f64, f64) {
    let sum = |of: fn(&Summand) -> f64, pick: fn(f64, f64) -> f64| {
        summands.iter().map(|s| pick(of(s) * s.common.0, of(s) * s.common.1)).sum::<f64>()
    };
    (sum(|s| s.b.low - s.a.high, f64::min), sum(|s| s.b.high - s.a.low, f64::max))
}

/// Slope and rest of a number that is a line over the energy; `None` if it is none.
pub(super) fn line(energy: Bounds, number: Bounds) -> Option<(f64, f64)> {
    let near = |a: f64, b: f64| (a - b).abs() <= 1e-9 * number.high.max(f64::MIN_POSITIVE);
    let (slope, rest) = if energy.high > energy.low {
        let slope = (number.high - number.low) / (energy.high - energy.low);
        (slope, number.value - slope * energy.value)
    } else if energy.value > 0.0 {
        (number.value / energy.value, 0.0)
    } else {
        (0.0, number.value)
    };
    let rest = if near(rest, 0.0) { 0.0 } else { rest };
    let holds = near(slope * energy.low + rest, number.low) && near(slope * energy.high + rest, number.high);
    (slope >= 0.0 && rest >= 0.0 && holds).then_some((slope, rest))
}

pub(super) fn over(b: f64, a: f64) -> Option<f64> {
    (a > 0.0).then(|| b / a)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn bounds(value: f64, low: f64, high: f64) -> Bounds {
        Bounds { value, low, high }
    }

    fn of(a: Bounds, b: Bounds) -> Summand {
        Summand::of(a, b, Spread::NONE)
    }

    #[test]
    fn what_a_model_errs_by_load_does_not_cancel() {
        let by_load = Spread::factor(2.0);
        let one = [Summand::of(bounds(100.0, 50.0, 200.0), bounds(150.0, 75.0, 300.0), by_load)];
        assert_eq!(shared_interval(&one), Some(Interval { low: 0.75, high: Some(3.0) }));
        let worst = Interval { low: 1.0, high: Some(2.5) };
        assert_eq!(shared_interval(&one).map(|shared| shared.within(worst)), Some(worst));
    }

    #[test]
    fn a_common_factor_cancels() {
        let one = [of(bounds(100.0, 50.0, 200.0), bounds(150.0, 75.0, 300.0))];
        assert_eq!(shared_interval(&one), Some(Interval { low: 1.5, high: Some(1.5) }));
        assert_eq!(differences(&one), (25.0, 100.0));
        // A gap raised the upper bound of A from 200 to 240: a fifth remains.
        let gap = [of(bounds(100.0, 50.0, 240.0), bounds(150.0, 75.0, 300.0))];
        assert_eq!(shared_interval(&gap), Some(Interval { low: 1.25, high: Some(1.5) }));
    }

    #[test]
    fn components_err_each_for_itself() {
        // 100 + 10 against 10 + 100, each times or divided by two.
        let (much, little) = (bounds(100.0, 50.0, 200.0), bounds(10.0, 5.0, 20.0));
        let got = shared_interval(&[of(much, little), of(little, much)]).unwrap();
        assert_eq!(got, Interval { low: 70.0 / 205.0, high: Some(205.0 / 70.0) });
        assert_eq!(got.verdict(), ComparisonVerdict::Inconclusive);
    }

    #[test]
    fn lines_are_told_from_what_is_none() {
        let energy = bounds(2.0, 1.0, 4.0);
        assert_eq!(line(energy, bounds(6.0, 3.0, 12.0)), Some((3.0, 0.0)));
        assert_eq!(line(energy, bounds(11.0, 8.0, 17.0)), Some((3.0, 5.0)));
        assert_eq!(line(energy, bounds(6.0, 3.0, 13.0)), None);
        assert_eq!(line(bounds(2.0, 2.0, 2.0), bounds(6.0, 6.0, 6.0)), Some((3.0, 0.0)));
    }

    #[test]
    fn intervals_are_written_for_people() {
        assert_eq!(Interval { low: 0.25, high: Some(4.0) }.to_string(), "0.250 to 4.00");
        assert_eq!(Interval { low: 1.5, high: Some(1.5) }.to_string(), "1.50");
        assert_eq!(Interval { low: 0.5, high: None }.to_string(), "0.500 or more");
    }

    proptest! {
        // Every ratio that factors within their bounds can give lies inside, and inside the one for independent errors.
        #[test]
        fn the_interval_holds_every_case(
            parts in proptest::collection::vec(
                (0.1..100.0_f64, 0.1..100.0_f64, 0.0..1.0_f64, 1.0..3.0_f64, 1.0..1.5_f64, 0.0..1.0_f64, 0.0..1.0_f64), 1..5),
        ) {
            let mut summands = Vec::new();
            let (mut a, mut b) = (0.0, 0.0);
            let (mut all_a, mut all_b) = (bounds(0.0, 0.0, 0.0), bounds(0.0, 0.0, 0.0));
            for (of_a, of_b, low, high, more, place, own) in parts {
                let low = low.max(0.01);
                let bounds_a = bounds(of_a, of_a * low, of_a * high * more);
                let bounds_b = bounds(of_b, of_b * low, of_b * high);
                summands.push(of(bounds_a, bounds_b));
                let k = low + place * (high - low);
                a += k * of_a * (1.0 + own * (more - 1.0));
                b += k * of_b;
                for (all, one) in [(&mut all_a, bounds_a), (&mut all_b, bounds_b)] {
                    *all = bounds(all.value + one.value, all.low + one.low, all.high + one.high);
                }
            }
            let got = shared_interval(&summands).unwrap();
            let (low, high) = (got.low, got.high.unwrap());
            prop_assert!(low * (1.0 - 1e-12) <= b / a && b / a <= high * (1.0 + 1e-12), "{low} {} {high}", b / a);
            prop_assert!(all_b.low / all_a.high <= low * (1.0 + 1e-12));
            prop_assert!(high <= all_b.high / all_a.low * (1.0 + 1e-12));
            let (less, more) = differences(&summands);
            prop_assert!(less <= b - a + 1e-9 && b - a <= more + 1e-9);
        }
    }
}
