//! An axis: which numbers it shows, and where.

use crate::text::shortened;

/// How numbers are laid out along an axis.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AxisScale {
    /// Equal differences are equally long.
    Linear,
    /// Equal ratios are equally long.
    Log,
}

/// An axis of a chart.
#[derive(Debug, Clone, PartialEq)]
pub struct Axis {
    label: String,
    low: f64,
    high: f64,
    scale: AxisScale,
    /// What stands at 1, 2 and so on in place of numbers.
    names: Vec<String>,
}

impl Axis {
    /// An axis with equal distances from `low` to `high`, with what its numbers are, unit included.
    pub fn linear(label: impl Into<String>, low: f64, high: f64) -> Axis {
        let (low, high) = if low.is_finite() && high.is_finite() { (low, high) } else { (0.0, 1.0) };
        // An axis needs some length.
        let high = if high > low { high } else { low + (low.abs() * 1e-3).max(1e-3) };
        Axis { label: label.into(), low, high, scale: AxisScale::Linear, names: Vec::new() }
    }

    /// An axis of things that have names in place of numbers: the first lies at 1, the next at 2.
    pub fn named(label: impl Into<String>, names: Vec<String>) -> Axis {
        let axis = Axis::linear(label, 0.5, names.len().max(1) as f64 + 0.5);
        Axis { names, ..axis }
    }

    /// An axis with equal ratios; where a bound is not above 0, it is made so.
    pub fn log(label: impl Into<String>, low: f64, high: f64) -> Axis {
        let high = if high.is_finite() && high > 0.0 { high } else { 1.0 };
        let low = if low.is_finite() && low > 0.0 { low.min(high) } else { high / 10.0 };
        let (low, high) = if high / low < 1.5 { (low / 1.3, high * 1.3) } else { (low, high) };
        Axis { label: label.into(), low, high, scale: AxisScale::Log, names: Vec::new() }
    }

    /// A linear axis around these numbers, with a little room; those that are not finite do not count.
    pub fn around(label: impl Into<String>, numbers: impl IntoIterator<Item = f64>) -> Axis {
        let [low, high] = bounds(numbers);
        let room = 0.06 * (high - low);
        Axis::linear(label, low - room, high + room)
    }

    /// An axis with equal ratios around these numbers, with a little room; those that are not above 0 do not count.
    pub fn log_around(label: impl Into<String>, numbers: impl IntoIterator<Item = f64>) -> Axis {
        let [low, high] = bounds(numbers.into_iter().filter(|number| *number > 0.0));
        let room = (high / low).powf(0.08).max(1.15);
        Axis::log(label, low / room, high * room)
    }

    /// What its numbers are.
    pub fn label(&self) -> &str {
        &self.label
    }

    /// Its lowest and its highest number.
    pub fn bounds(&self) -> [f64; 2] {
        [self.low, self.high]
    }

    /// Where a number lies between the ends, from 0 to 1: beyond them at the nearer one. `None` for what is not finite,
    /// and on a scale of ratios for what is not above 0.
    pub(crate) fn place(&self, number: f64) -> Option<f64> {
        let share = match self.scale {
            AxisScale::Linear => (number - self.low) / (self.high - self.low),
            AxisScale::Log if number <= 0.0 => return None,
            AxisScale::Log => (number / self.low).ln() / (self.high / self.low).ln(),
        };
        number.is_finite().then(|| share.clamp(0.0, 1.0))
    }

    /// About `most` round numbers on the axis, with how they are written; all names of an axis that has some.
    pub(crate) fn ticks(&self, most: usize) -> Vec<(f64, String)> {
        if !self.names.is_empty() {
            return (1..).map(f64::from).zip(self.names.iter().map(|name| shortened(name, 30))).collect();
        }
        let numbers = match self.scale {
            AxisScale::Linear => self.linear_ticks(most),
            AxisScale::Log => self.log_ticks(most),
        };
        numbers.into_iter().map(|number| (number, written(number))).collect()
    }

    fn linear_ticks(&self, most: usize) -> Vec<f64> {
        let rough = (self.high - self.low) / most.max(1) as f64;
        let power = 10f64.powf(rough.log10().floor());
        let step = [1.0, 2.0, 5.0, 10.0].map(|unit| unit * power).into_iter().find(|step| *step >= rough * 0.999);
        let step = step.unwrap_or(rough);
        let first = (self.low / step).ceil() as i64;
        let last = (self.high / step * (1.0 + 1e-12)).floor() as i64;
        (first..=last).take(50).map(|count| count as f64 * step).collect()
    }

    fn log_ticks(&self, most: usize) -> Vec<f64> {
        let (first, last) = (self.low.log10().floor() as i32, self.high.log10().ceil() as i32);
        let of = |units: &[f64], every: usize| -> Vec<f64> {
            let decades = (first..=last).filter(|decade| decade.rem_euclid(every as i32) == 0);
            let all = decades.flat_map(|decade| units.iter().map(move |unit| unit * 10f64.powi(decade)));
            all.filter(|number| (self.low * 0.999..=self.high * 1.001).contains(number)).collect()
        };
        let choices =
            [(&[1.0, 2.0, 3.0, 5.0, 7.0][..], 1), (&[1.0, 2.0, 5.0][..], 1), (&[1.0][..], 1), (&[1.0][..], 2)];
        let fitting = choices.into_iter().map(|(units, every)| of(units, every)).find(|ticks| ticks.len() <= most);
        fitting.unwrap_or_else(|| of(&[1.0], ((last - first) as usize / most.max(1)).max(3)))
    }
}

/// The least and the greatest of the finite numbers; 0 and 1 where there is none.
fn bounds(numbers: impl IntoIterator<Item = f64>) -> [f64; 2] {
    let finite = numbers.into_iter().filter(|number| number.is_finite());
    let [low, high] = finite.fold([f64::INFINITY, f64::NEG_INFINITY], |[low, high], x| [low.min(x), high.max(x)]);
    if low <= high { [low, high] } else { [0.0, 1.0] }
}

/// `1250`, `2.5M`, `0.05`, `1e-6`: short, since ticks are round and no zeros stand at the end, with digits enough for ticks
/// that lie close together.
fn written(number: f64) -> String {
    let trimmed = |text: String| match text.contains('.') {
        true => text.trim_end_matches('0').trim_end_matches('.').to_owned(),
        false => text,
    };
    let size = number.abs();
    match size {
        _ if size < 1e-15 => "0".into(),
        ..1e-4 | 1e12.. => {
            let text = format!("{number:.5e}");
            let (digits, power) = text.split_once('e').unwrap_or((text.as_str(), "0"));
            format!("{}e{power}", trimmed(digits.to_owned()))
        }
        ..1e4 => trimmed(format!("{number:.8}")),
        ..1e6 => format!("{}k", trimmed(format!("{:.6}", number / 1e3))),
        ..1e9 => format!("{}M", trimmed(format!("{:.6}", number / 1e6))),
        ..1e12 => format!("{}G", trimmed(format!("{:.6}", number / 1e9))),
        _ => number.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn ticks_are_round() {
        let texts = |axis: &Axis, most| axis.ticks(most).into_iter().map(|(_, text)| text).collect::<Vec<_>>();
        assert_eq!(texts(&Axis::linear("", 0.0, 1250.0), 5), ["0", "500", "1000"]);
        assert_eq!(texts(&Axis::linear("", 0.92, 1.0), 4), ["0.92", "0.94", "0.96", "0.98", "1"]);
        assert_eq!(texts(&Axis::log("", 1e5, 1e8), 6), ["100k", "1M", "10M", "100M"]);
        assert_eq!(texts(&Axis::log("", 30.0, 200.0), 8), ["30", "50", "70", "100", "200"]);
        assert_eq!(texts(&Axis::linear("", 1e-4, 2e-4), 2), ["0.0001", "0.00015", "0.0002"]);
        assert_eq!([3.0000000000000004e-5, 1.5e12, 1250.0, -2e-6].map(written), ["3e-5", "1.5e12", "1250", "-2e-6"]);
    }

    #[test]
    fn names_stand_where_numbers_would() {
        let axis = Axis::named("task", ["CoLA", "SST-2"].map(str::to_owned).to_vec());
        assert_eq!(axis.ticks(1), [(1.0, "CoLA".to_owned()), (2.0, "SST-2".to_owned())]);
        assert_eq!((axis.place(1.0), axis.place(2.0)), (Some(0.25), Some(0.75)));
        assert!(Axis::named("", Vec::new()).place(1.0).is_some());
    }

    #[test]
    fn places_lie_between_the_ends() {
        let axis = Axis::log("", 1.0, 100.0);
        assert_eq!((axis.place(10.0), axis.place(0.0), axis.place(1e9)), (Some(0.5), None, Some(1.0)));
        assert_eq!(Axis::linear("", 0.0, 10.0).place(f64::NAN), None);
        assert_eq!(Axis::linear("", 0.0, 10.0).place(f64::INFINITY), None);
        // Without length and without sense there is still an axis.
        assert!(Axis::linear("", 5.0, 5.0).place(5.0).is_some());
        assert_eq!(Axis::around("", []).bounds().map(f64::round), [-0.0, 1.0]);
        assert!(Axis::log_around("", [0.0, -1.0]).place(0.5).is_some());
    }

    /// Whether no two ticks are written the same.
    fn are_distinct(ticks: &[(f64, String)]) -> bool {
        let texts: std::collections::BTreeSet<&str> = ticks.iter().map(|(_, text)| text.as_str()).collect();
        texts.len() == ticks.len()
    }

    proptest! {
        #[test]
        fn there_are_few_ticks_and_all_lie_on_the_axis(low in -1e9..1e9f64, length in 1e-6..1e9f64, most in 2usize..12) {
            let axis = Axis::linear("", low, low + length);
            let ticks = axis.ticks(most);
            prop_assert!(ticks.len() <= most + 2, "{ticks:?}");
            let [low, high] = axis.bounds();
            let room = 1e-9 * (low.abs() + high.abs());
            prop_assert!(ticks.iter().all(|(tick, _)| (low - room..=high + room).contains(tick)), "{ticks:?}");
            // Far from 0 close ticks differ in digits that nobody would read.
            if length > 1e-3 * low.abs().max(high.abs()) {
                prop_assert!(are_distinct(&ticks), "{ticks:?}");
            }
        }

        #[test]
        fn ratios_have_few_ticks_too(low in -9.0..9.0f64, decades in 0.1..14.0f64, most in 3usize..12) {
            let axis = Axis::log("", 10f64.powf(low), 10f64.powf(low + decades));
            let ticks = axis.ticks(most);
            prop_assert!(ticks.len() <= most + 2 && are_distinct(&ticks), "{ticks:?}");
        }
    }
}
