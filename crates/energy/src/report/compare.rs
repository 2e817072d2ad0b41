//! Reports against each other: ratios with two intervals, each named for what it assumes.
//!
//! *Apart*: the errors of the two have nothing to do with each other. The bounds are the worst case,
//! `low B / high A` to `high B / low A`, and hold whatever the truth is about them.
//!
//! *Together*: both were read on the same machine by the same sources in the same version. A model
//! that is 30 % high for one is so for the other, so what is common to the intervals of a component
//! cancels. What remains is what one of the two has more (a gap that raised its upper bound), and,
//! where components have shares of different size, that each component errs for itself. What a
//! single run each cannot show in either interval is the noise from run to run.

use serde_json::{Value, json};

use super::columns::{Cell, Column, Figure, LINES, Shown, UNITS};
use super::statement::{count, distinct, machine};
use super::tables::UNKNOWN;
use super::{REPORT_SCHEMA, Report, ReportError, Table, markdown};
use crate::estimate::{CONFIDENCE, Estimate};
use crate::grid::GridChoice;
use crate::quantity::{Joules, Pue, Seconds};
use crate::words;

/// Reports compared with the first of them.
#[derive(Debug, Clone, PartialEq)]
pub struct Comparison {
    /// One for each report after the first, in order.
    pub pairs: Vec<Pair>,
}

/// One report (B) compared with another (A).
#[derive(Debug, Clone, PartialEq)]
pub struct Pair {
    /// Name of A.
    pub a: String,
    /// Name of B.
    pub b: String,
    /// Time, energy, carbon and money, then the same for each unit: those that both have.
    pub ratios: Vec<Ratio>,
    /// Whether machine, sources and version are the same, so that the intervals *together* apply.
    pub together: bool,
    /// What else differs, or is unsound on one side, in sentences.
    pub warnings: Vec<String>,
    with_pue: bool,
}

/// One number of B over that of A.
#[derive(Debug, Clone, PartialEq)]
pub struct Ratio {
    /// What is compared, for people.
    pub what: String,
    /// The same for programs, with the unit; the unit's name goes before it with a dot.
    pub key: String,
    /// The number of A, with its interval, for people.
    pub a: String,
    /// The number of B.
    pub b: String,
    /// Value of B over value of A; nothing if A is zero.
    pub ratio: Option<f64>,
    /// The ratio's interval if the errors of A and B are independent; nothing for a number without
    /// an interval of its own, such as time.
    pub apart: Option<Interval>,
    /// The ratio's interval if the two share machine and sources; nothing if they do not.
    pub together: Option<Interval>,
    /// B less A: value, low, high, in the unit of the key, with the interval that applies.
    pub difference: [f64; 3],
    /// The difference for people.
    pub difference_text: String,
    /// What the interval that applies says.
    pub verdict: Verdict,
    shown: Shown,
}

/// Bounds of a ratio.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Interval {
    /// The lower bound.
    pub low: f64,
    /// The upper bound; nothing if there is none, because A may be zero.
    pub high: Option<f64>,
}

/// What a comparison comes to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// B is below A throughout the interval.
    Less,
    /// B is above A throughout the interval.
    More,
    /// The interval holds 1.
    CannotBeToldApart,
    /// The number has no interval: the values alone are compared.
    NoInterval,
}

/// A number with bounds.
#[derive(Debug, Clone, Copy)]
struct Bounds {
    value: f64,
    low: f64,
    high: f64,
}

/// A summand that A and B have alike, such as one component.
#[derive(Debug, Clone, Copy)]
struct Summand {
    a: Bounds,
    b: Bounds,
    /// Bounds of the factor that both share.
    common: (f64, f64),
}

impl Comparison {
    /// Compares all reports with the first.
    ///
    /// # Errors
    /// If there are fewer than two.
    pub fn of(reports: &[Report]) -> Result<Self, ReportError> {
        match reports {
            [] => Err(ReportError::NoPath),
            [alone] => Err(ReportError::Alone { name: alone.name.clone() }),
            [first, others @ ..] => Ok(Self { pairs: others.iter().map(|other| Pair::of(first, other)).collect() }),
        }
    }

    /// A table for each pair.
    pub fn tables(&self) -> Vec<Table> {
        self.pairs.iter().map(Pair::table).collect()
    }

    /// What a reader must know beside the numbers, pair by pair.
    pub fn statement(&self) -> Vec<String> {
        distinct(self.pairs.iter().flat_map(Pair::statement))
    }

    /// Tables and statement as Markdown.
    pub fn markdown(&self) -> String {
        let pair =
            |pair: &Pair| format!("{}{}", markdown::table(&pair.table()), markdown::paragraphs(&pair.statement()));
        format!("# Comparison\n\n{}", self.pairs.iter().map(pair).collect::<Vec<_>>().join("\n"))
    }

    /// Everything, for programs. What does not apply is `null`.
    pub fn json(&self) -> Value {
        json!({
            "schema": REPORT_SCHEMA,
            "kind": "energy comparison",
            "confidence": CONFIDENCE,
            "pairs": self.pairs.iter().map(Pair::json).collect::<Vec<_>>(),
        })
    }
}

impl Pair {
    fn of(a: &Report, b: &Report) -> Self {
        let mut warnings = warnings(a, b);
        let summands = match same_instrument(a, b) {
            Ok(()) => summands(a, b),
            Err(reason) => {
                warnings.insert(0, reason);
                None
            }
        };
        let energies = energies(a).zip(energies(b));
        let context = Context { energies, summands: summands.as_deref() };
        let mut ratios = context.compare("", "", LINES, &a.total_line(), &b.total_line());
        let (units_a, units_b) = (a.unit_lines(), b.unit_lines());
        for unit in &units_a {
            if let Some(other) = units_b.iter().find(|other| other.name == unit.name) {
                ratios.extend(context.compare(
                    &format!("{}: ", unit.name),
                    &format!("{}.", unit.name),
                    UNITS,
                    unit,
                    other,
                ));
            }
        }
        let with_pue = [a, b].iter().any(|report| report.bill.tariff.pue() != Pue::ONE);
        Self { a: a.name.clone(), b: b.name.clone(), ratios, together: summands.is_some(), warnings, with_pue }
    }

    fn table(&self) -> Table {
        let shown = self.ratios.iter().filter(|ratio| ratio.shown.in_table(self.with_pue));
        let rows = shown.map(|ratio| {
            let text = |interval: Option<Interval>| interval.map_or_else(|| UNKNOWN.to_owned(), |i| i.to_string());
            vec![
                ratio.what.clone(),
                ratio.a.clone(),
                ratio.b.clone(),
                ratio.ratio.map_or_else(|| UNKNOWN.to_owned(), |ratio| words::digits(ratio, 3)),
                text(ratio.apart),
                text(ratio.together),
                ratio.difference_text.clone(),
                ratio.verdict.to_string(),
            ]
        });
        let head = ["", "A", "B", "B / A", "apart", "together", "B − A", "verdict"];
        Table::new(&format!("{} (B) against {} (A)", self.b, self.a), &head, rows.collect())
    }

    fn statement(&self) -> Vec<String> {
        let mut out = vec![
            "Apart: bounds of B / A if the errors of A and B are independent, the worst case of both intervals."
                .to_owned(),
        ];
        if self.together {
            out.push(
                "Together: both were read on the same kind of machine by the same sources in the same version. If it \
                 is one machine, an error of a source is common to both and cancels; what remains are gaps, and \
                 components with other shares in the sum. This interval decides the verdict."
                    .to_owned(),
            );
        }
        out.push(
            "Noise from run to run is in neither interval: compare several runs of each before a small difference \
             is believed."
                .to_owned(),
        );
        out.extend(self.warnings.iter().map(|warning| format!("Warning: {warning}.")));
        out
    }

    fn json(&self) -> Value {
        let ratio = |ratio: &Ratio| {
            let interval = |i: Option<Interval>| i.map(|i| json!({ "low": i.low, "high": i.high }));
            let [value, low, high] = ratio.difference;
            json!({
                "what": ratio.key,
                "ratio": ratio.ratio,
                "apart": interval(ratio.apart),
                "together": interval(ratio.together),
                "difference": { "value": value, "low": low, "high": high },
                "verdict": ratio.verdict.key(),
            })
        };
        json!({
            "a": self.a,
            "b": self.b,
            "same_instrument": self.together,
            "ratios": self.ratios.iter().map(ratio).collect::<Vec<_>>(),
            "warnings": self.warnings,
        })
    }
}

/// What the numbers of two reports share.
struct Context<'a> {
    energies: Option<(Bounds, Bounds)>,
    summands: Option<&'a [Summand]>,
}

impl Context<'_> {
    /// The ratios of two rows, for the columns that hold a number in both.
    fn compare<R>(&self, before: &str, path: &str, columns: &[Column<R>], a: &R, b: &R) -> Vec<Ratio> {
        let compared = columns.iter().filter(|column| column.key != "count").filter_map(|column| {
            let (cell_a, cell_b) = ((column.of)(a)?, (column.of)(b)?);
            let blank = Ratio {
                what: format!("{before}{}", column.head),
                key: format!("{path}{}", column.key),
                a: cell_a.text().to_owned(),
                b: cell_b.text().to_owned(),
                ratio: None,
                apart: None,
                together: None,
                difference: [0.0; 3],
                difference_text: String::new(),
                verdict: Verdict::NoInterval,
                shown: column.shown,
            };
            match (&cell_a, &cell_b) {
                (Cell::Figure(a), Cell::Figure(b)) if a.currency == b.currency => Some(self.figures(blank, a, b)),
                (Cell::Exact(a, _), Cell::Exact(b, _)) => {
                    let less = b - a;
                    let difference_text = seconds(less);
                    Some(Ratio { ratio: over(*b, *a), difference: [less; 3], difference_text, ..blank })
                }
                _ => None,
            }
        });
        compared.collect()
    }

    fn figures(&self, blank: Ratio, figure_a: &Figure, figure_b: &Figure) -> Ratio {
        let (a, b) = (Bounds::of(figure_a), Bounds::of(figure_b));
        let apart = Interval { low: over(b.low, a.high).unwrap_or(0.0), high: over(b.high, a.low) };
        let summands = self.summands_of(a, b);
        let together = summands.as_deref().and_then(together);
        let (low, high) = match &summands {
            Some(summands) if together.is_some() => differences(summands),
            _ => (b.low - a.high, b.high - a.low),
        };
        let difference = [b.value - a.value, low, high];
        Ratio {
            ratio: over(b.value, a.value),
            verdict: together.unwrap_or(apart).verdict(),
            apart: Some(apart),
            together,
            difference_text: figure_a.write_difference(difference),
            difference,
            ..blank
        }
    }

    /// The summands of a number that grows with the energy by a fixed factor on top of something
    /// exact (the price of hours, say); nothing if it does not.
    fn summands_of(&self, a: Bounds, b: Bounds) -> Option<Vec<Summand>> {
        let ((energy_a, energy_b), summands) = self.energies.zip(self.summands)?;
        let ((slope_a, rest_a), (slope_b, rest_b)) = (line(energy_a, a)?, line(energy_b, b)?);
        let scaled = summands.iter().map(|s| Summand { a: s.a.times(slope_a), b: s.b.times(slope_b), ..*s });
        let rest = Summand { a: Bounds::exact(rest_a), b: Bounds::exact(rest_b), common: (1.0, 1.0) };
        Some(scaled.chain([rest]).collect())
    }
}

impl Bounds {
    fn of(figure: &Figure) -> Self {
        Self { value: figure.value, low: figure.low, high: figure.high }
    }

    fn energy(estimate: Estimate<Joules>) -> Self {
        Self { value: estimate.value().get(), low: estimate.low().get(), high: estimate.high().get() }
    }

    fn exact(value: f64) -> Self {
        Self { value, low: value, high: value }
    }

    fn times(self, factor: f64) -> Self {
        Self { value: self.value * factor, low: self.low * factor, high: self.high * factor }
    }
}

impl Summand {
    /// Takes the factor that both intervals hold out of them.
    fn of(a: Bounds, b: Bounds) -> Self {
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
    fn verdict(self) -> Verdict {
        match self {
            Self { high: Some(high), .. } if high < 1.0 => Verdict::Less,
            Self { low, .. } if low > 1.0 => Verdict::More,
            _ => Verdict::CannotBeToldApart,
        }
    }
}

impl std::fmt::Display for Interval {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let low = words::digits(self.low, 3);
        match self.high {
            None => write!(f, "{low} or more"),
            Some(high) => match words::digits(high, 3) {
                same if same == low => f.write_str(&same),
                high => write!(f, "{low} to {high}"),
            },
        }
    }
}

impl Verdict {
    /// For programs.
    fn key(self) -> &'static str {
        match self {
            Self::Less => "less",
            Self::More => "more",
            Self::CannotBeToldApart => "cannot_be_told_apart",
            Self::NoInterval => "no_interval",
        }
    }
}

impl std::fmt::Display for Verdict {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Less => "B is less",
            Self::More => "B is more",
            Self::CannotBeToldApart => "cannot be told apart",
            Self::NoInterval => "no interval",
        })
    }
}

/// The ratio's bounds over all factors that the summands may have. The extreme of a ratio of sums
/// lies where every factor is at one of its bounds, and those above some ratio of their own at the
/// other bound than those below it: so few cases hold it.
fn together(summands: &[Summand]) -> Option<Interval> {
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
fn differences(summands: &[Summand]) -> (f64, f64) {
    let sum = |of: fn(&Summand) -> f64, pick: fn(f64, f64) -> f64| {
        summands.iter().map(|s| pick(of(s) * s.common.0, of(s) * s.common.1)).sum::<f64>()
    };
    (sum(|s| s.b.low - s.a.high, f64::min), sum(|s| s.b.high - s.a.low, f64::max))
}

/// Slope and rest of a number that is a line over the energy; nothing if it is none.
fn line(energy: Bounds, number: Bounds) -> Option<(f64, f64)> {
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

fn over(b: f64, a: f64) -> Option<f64> {
    (a > 0.0).then(|| b / a)
}

fn seconds(difference: f64) -> String {
    let sign = if difference < 0.0 { "-" } else { "" };
    // A difference of two checked times is finite.
    format!("{sign}{}", Seconds::raw(difference.abs()))
}

fn energies(report: &Report) -> Option<Bounds> {
    report.totals.energy().map(Bounds::energy)
}

/// The components of both, side by side; nothing if one has a component that the other has not.
fn summands(a: &Report, b: &Report) -> Option<Vec<Summand>> {
    let (a, b) = (&a.totals.components, &b.totals.components);
    let same = !a.is_empty() && a.keys().eq(b.keys());
    same.then(|| a.values().zip(b.values()).map(|(a, b)| (a.joules, b.joules)))
        .map(|pairs| pairs.map(|(a, b)| Summand::of(Bounds::energy(a), Bounds::energy(b))).collect())
}

/// Whether errors of the two are common, or why not.
fn same_instrument(a: &Report, b: &Report) -> Result<(), String> {
    let headers = || a.headers.iter().chain(&b.headers);
    if a.headers.is_empty() || b.headers.is_empty() {
        return Err("a ledger without header does not say on what machine it was written".to_owned());
    }
    if let [first, second, ..] = distinct(headers().map(|header| machine(&header.host))).as_slice() {
        return Err(format!("the machines differ: {first}, and {second}"));
    }
    if let [first, second, ..] = distinct(headers().map(|header| header.version.clone())).as_slice() {
        return Err(format!("the versions of the meter differ: {first} and {second}"));
    }
    // Notes may name what changes from run to run; what errors depend on is compared.
    let sources = headers().map(|header| {
        let described = header.sources.iter().map(|s| format!("{} ({}, {}, {})", s.name, s.method, s.spread, s.scope));
        described.collect::<Vec<_>>().join(", ")
    });
    if let [first, second, ..] = distinct(sources).as_slice() {
        let named = |sources: &str| if sources.is_empty() { "none".to_owned() } else { sources.to_owned() };
        return Err(format!("the sources differ: {}, and {}", named(first), named(second)));
    }
    Ok(())
}

fn warnings(a: &Report, b: &Report) -> Vec<String> {
    let mut out = Vec::new();
    let (components_a, components_b) = (&a.totals.components, &b.totals.components);
    if components_a.keys().ne(components_b.keys()) {
        let names = |report: &Report| {
            let names = super::tables::names(&report.totals.components.keys().copied().collect::<Vec<_>>());
            if names.is_empty() { "none".to_owned() } else { names }
        };
        out.push(format!("the components differ: {} in A, {} in B", names(a), names(b)));
    }
    for (component, energy_a) in components_a {
        if let Some(energy_b) = components_b.get(component).filter(|energy_b| energy_b.method != energy_a.method) {
            out.push(format!("the methods differ: {component} is {} in A, {} in B", energy_a.method, energy_b.method));
        }
    }
    let (tariff_a, tariff_b) = (&a.bill.tariff, &b.bill.tariff);
    if tariff_a.pue() != tariff_b.pue() {
        out.push(format!("the PUE differs: {} in A, {} in B", tariff_a.pue().get(), tariff_b.pue().get()));
    }
    if (tariff_a.electricity(), tariff_a.device_hour()) != (tariff_b.electricity(), tariff_b.device_hour()) {
        out.push("the prices differ, so the money says as much about them as about the work".to_owned());
    }
    if a.bill.grid != b.bill.grid {
        out.push(format!("the grids differ: {} in A, {} in B", a.bill.grid, b.bill.grid));
    } else if a.bill.grid.choice == GridChoice::NotGiven {
        out.push("the region was not given, so the carbon is that of the world's average".to_owned());
    }
    for (side, report) in [("A", a), ("B", b)] {
        if !report.bill.gaps.is_empty() {
            out.push(format!("{side} has {}", count(report.bill.gaps.len(), "kind") + " of gaps"));
        }
        if !report.torn.is_empty() {
            out.push(format!("{side} has {}, whose energy is missing", count(report.torn.len(), "torn line")));
        }
        if report.headers.len() > 1 {
            out.push(format!("{side} was written by {}", count(report.headers.len(), "meter")));
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn bounds(value: f64, low: f64, high: f64) -> Bounds {
        Bounds { value, low, high }
    }

    #[test]
    fn a_common_factor_cancels() {
        let one = [Summand::of(bounds(100.0, 50.0, 200.0), bounds(150.0, 75.0, 300.0))];
        assert_eq!(together(&one), Some(Interval { low: 1.5, high: Some(1.5) }));
        assert_eq!(differences(&one), (25.0, 100.0));
        // A gap raised the upper bound of A from 200 to 240: a fifth remains.
        let gap = [Summand::of(bounds(100.0, 50.0, 240.0), bounds(150.0, 75.0, 300.0))];
        assert_eq!(together(&gap), Some(Interval { low: 1.25, high: Some(1.5) }));
    }

    #[test]
    fn components_err_each_for_itself() {
        // 100 + 10 against 10 + 100, each times or divided by two.
        let (much, little) = (bounds(100.0, 50.0, 200.0), bounds(10.0, 5.0, 20.0));
        let got = together(&[Summand::of(much, little), Summand::of(little, much)]).unwrap();
        assert_eq!(got, Interval { low: 70.0 / 205.0, high: Some(205.0 / 70.0) });
        assert_eq!(got.verdict(), Verdict::CannotBeToldApart);
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
        // Every ratio that factors within their bounds can give lies inside, and inside *apart*.
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
                summands.push(Summand::of(bounds_a, bounds_b));
                let k = low + place * (high - low);
                a += k * of_a * (1.0 + own * (more - 1.0));
                b += k * of_b;
                for (all, one) in [(&mut all_a, bounds_a), (&mut all_b, bounds_b)] {
                    *all = bounds(all.value + one.value, all.low + one.low, all.high + one.high);
                }
            }
            let got = together(&summands).unwrap();
            let (low, high) = (got.low, got.high.unwrap());
            prop_assert!(low * (1.0 - 1e-12) <= b / a && b / a <= high * (1.0 + 1e-12), "{low} {} {high}", b / a);
            prop_assert!(all_b.low / all_a.high <= low * (1.0 + 1e-12));
            prop_assert!(high <= all_b.high / all_a.low * (1.0 + 1e-12));
            let (less, more) = differences(&summands);
            prop_assert!(less <= b - a + 1e-9 && b - a <= more + 1e-9);
        }
    }
}
