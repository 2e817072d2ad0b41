//! Reports against each other: ratios with two intervals, each named for what it assumes.
//!
//! *Independent errors*: the errors of the two have nothing to do with each other. The bounds are the worst case,
//! `low B / high A` to `high B / low A`, and hold whatever the truth is about them.
//!
//! *Shared errors*: both were read on the same machine by the same sources in the same version. A model
//! that is 30 % high for one is so for the other, so what is common to the intervals of a component
//! cancels. What remains is what one of the two has more (a gap that raised its upper bound),
//! where components have shares of different size, that each component errs for itself, and what a
//! model errs differently at another load
//! ([`Description::between_loads`](attar_meter::source::Description::between_loads)). What a single run each cannot show in either interval is the noise from run to run.

use attar_meter::display;
use attar_meter::source::Component;
use attar_meter::{CONFIDENCE, Estimate, Joules, Method, Pue, Seconds, Spread};
use serde::Serialize;
use serde_json::{Value, json};

use super::columns::{Figure, LINES, ReportCell, ReportColumn, UNITS, Visibility};
use super::describe::{count, distinct, machine, source};
use super::ratio::{Bounds, ComparisonVerdict, Interval, Summand, differences, line, over, shared_interval};
use super::tables::UNKNOWN;
use super::{REPORT_SCHEMA, Report, ReportError, ReportTable, markdown};
use crate::bill::Bill;
use crate::grid::{Grid, GridChoice, GridKind};
use crate::tariff::Tariff;

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
    /// Whether machine, sources and version are the same, so that the intervals for shared errors apply.
    pub same_instrument: bool,
    /// What else differs, or is unsound on one side, as sentences.
    pub warnings: Vec<String>,
    with_pue: bool,
    /// Components whose ratio errs with the load, and by which factors.
    between_loads: Vec<(Component, Spread)>,
    basis: [Basis; 2],
}

/// What a report's numbers are of, and what they are computed with.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Basis {
    /// How the energy was obtained; `None` where none was read.
    pub method: Option<Method>,
    /// What of the machine was read.
    pub components: Vec<Component>,
    /// The grid that the carbon is computed with.
    pub grid: Grid,
    /// The PUE.
    pub pue: Pue,
    /// What is not included, in words.
    pub exclusions: Vec<String>,
}

impl Basis {
    /// As sentences.
    pub fn sentences(&self) -> Vec<String> {
        let method = self.method.map_or_else(|| "no energy was read".to_owned(), |method| format!("energy {method}"));
        let parts = super::describe::names(&self.components);
        let of = if parts.is_empty() { String::new() } else { format!(", of the whole machine's {parts}") };
        vec![
            format!("Basis: {method}{of}; PUE {}.", self.pue.get()),
            format!("Grid: {}.", self.grid),
            format!("Not included: {}.", self.exclusions.join("; ")),
        ]
    }
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
    /// Value of B over value of A; `None` if A is zero.
    pub ratio: Option<f64>,
    /// The ratio's interval if the errors of A and B are independent; nothing for a number without
    /// an interval of its own, such as time.
    pub independent: Option<Interval>,
    /// The ratio's interval if the two share machine and sources; `None` if they do not.
    pub shared: Option<Interval>,
    /// B less A: value, low, high, in the unit of the key, with the interval that applies.
    pub difference: [f64; 3],
    /// The difference for people.
    pub difference_text: String,
    /// What the interval that applies says.
    pub verdict: ComparisonVerdict,
    shown: Visibility,
}

impl Report {
    /// What its numbers are of, and what they are computed with.
    pub fn basis(&self) -> Basis {
        Basis {
            method: self.bill.total.method,
            components: self.totals.components.keys().copied().collect(),
            grid: self.bill.grid.clone(),
            pue: self.bill.tariff.pue(),
            exclusions: self.bill.exclusions.clone(),
        }
    }

    /// Whether this report's errors are those of another: by which factors the ratio of their energies
    /// may be off all the same, because a model's error differs with the load.
    ///
    /// # Errors
    /// Why they are not, in words: other machines, sources, versions or components.
    pub fn shares_errors_with(&self, other: &Self) -> Result<Spread, String> {
        same_instrument(self, other)?;
        let (own, theirs) = (&self.totals.components, &other.totals.components);
        if own.keys().ne(theirs.keys()) {
            return Err("the components differ".to_owned());
        }
        let spreads = own.keys().map(|component| between_loads(self, *component));
        Ok(spreads.reduce(wider).unwrap_or(Spread::NONE))
    }
}

impl Comparison {
    /// Compares all reports with the first.
    ///
    /// # Errors
    /// If there are fewer than two.
    pub fn new(reports: &[Report]) -> Result<Self, ReportError> {
        match reports {
            [] => Err(ReportError::NoPath),
            [alone] => Err(ReportError::Alone { name: alone.name.clone() }),
            [first, others @ ..] => Ok(Self { pairs: others.iter().map(|other| Pair::of(first, other)).collect() }),
        }
    }

    /// A table for each pair.
    pub fn tables(&self) -> Vec<ReportTable> {
        self.pairs.iter().map(Pair::table).collect()
    }

    /// What a reader must know besides the numbers, pair by pair.
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
        let by_load = a.totals.components.keys().map(|component| (*component, between_loads(a, *component)));
        let by_load = by_load.filter(|(_, spread)| summands.is_some() && *spread != Spread::NONE).collect();
        Self {
            a: a.name.clone(),
            b: b.name.clone(),
            ratios,
            same_instrument: summands.is_some(),
            warnings,
            with_pue,
            between_loads: by_load,
            basis: [a.basis(), b.basis()],
        }
    }

    fn table(&self) -> ReportTable {
        let shown = self.ratios.iter().filter(|ratio| ratio.shown.in_table(self.with_pue));
        let rows = shown.map(|ratio| {
            let text = |interval: Option<Interval>| interval.map_or_else(|| UNKNOWN.to_owned(), |i| i.to_string());
            vec![
                ratio.what.clone(),
                ratio.a.clone(),
                ratio.b.clone(),
                ratio.ratio.map_or_else(|| UNKNOWN.to_owned(), |ratio| display::digits(ratio, 3)),
                text(ratio.independent),
                text(ratio.shared),
                ratio.difference_text.clone(),
                ratio.verdict.to_string(),
            ]
        });
        let head = ["", "A", "B", "B / A", "independent", "shared", "B − A", "verdict"];
        ReportTable::new(&format!("{} (B) against {} (A)", self.b, self.a), &head, rows.collect())
    }

    fn statement(&self) -> Vec<String> {
        let mut out = vec![
            "Independent errors: bounds of B / A if the errors of A and B are independent, the worst case of both intervals."
                .to_owned(),
        ];
        if self.same_instrument {
            out.push(
                "Shared errors: both were read on the same kind of machine by the same sources in the same version. If it \
                 is one machine, an error of a source is common to both and cancels; what remains are gaps, \
                 components with other shares in the sum, and what a model errs differently at another load. This \
                 interval decides the verdict."
                    .to_owned(),
            );
        }
        out.extend(self.between_loads.iter().map(|(component, spread)| {
            format!(
                "By load: {component} is modeled, and the model's error differs with the load: of two loads of one \
                 machine the ratio is off by {spread} in 90 % of measured pairs. The shared interval holds that."
            )
        }));
        if self.ratios.iter().any(|ratio| ratio.key.ends_with("energy_kwh") && ratio.independent.is_none()) {
            out.push(
                "No interval: a power that was given has no stated error, so of what follows from it the values alone \
                 are compared, without a verdict."
                    .to_owned(),
            );
        }
        out.push(
            "Run-to-run noise is in neither interval: compare several runs of each before trusting a small \
             difference."
                .to_owned(),
        );
        let [a, b] = self.basis.each_ref().map(Basis::sentences);
        for (of_a, of_b) in a.into_iter().zip(b) {
            if of_a == of_b {
                out.push(of_a);
            } else {
                out.extend([format!("A: {of_a}"), format!("B: {of_b}")]);
            }
        }
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
                "independent": interval(ratio.independent),
                "shared": interval(ratio.shared),
                "difference": { "value": value, "low": low, "high": high },
                "verdict": ratio.verdict.key(),
            })
        };
        json!({
            "a": self.a,
            "b": self.b,
            "same_instrument": self.same_instrument,
            "basis": { "a": self.basis[0], "b": self.basis[1] },
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
    fn compare<R>(&self, before: &str, path: &str, columns: &[ReportColumn<R>], a: &R, b: &R) -> Vec<Ratio> {
        let compared = columns.iter().filter(|column| column.key != "count").filter_map(|column| {
            let (cell_a, cell_b) = ((column.of)(a)?, (column.of)(b)?);
            let blank = Ratio {
                what: format!("{before}{}", column.head),
                key: format!("{path}{}", column.key),
                a: cell_a.text().to_owned(),
                b: cell_b.text().to_owned(),
                ratio: None,
                independent: None,
                shared: None,
                difference: [0.0; 3],
                difference_text: String::new(),
                verdict: ComparisonVerdict::NoInterval,
                shown: column.shown,
            };
            match (&cell_a, &cell_b) {
                (ReportCell::Figure(a), ReportCell::Figure(b)) if a.currency == b.currency => {
                    Some(self.figures(blank, a, b))
                }
                (ReportCell::Exact(a, _), ReportCell::Exact(b, _)) => {
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
        if !(figure_a.has_interval() && figure_b.has_interval()) {
            // An error that nobody knows bounds nothing: the values stand beside each other.
            let difference = [b.value - a.value; 3];
            let difference_text = figure_a.write_difference(difference);
            return Ratio { ratio: over(b.value, a.value), difference, difference_text, ..blank };
        }
        let independent = Interval { low: over(b.low, a.high).unwrap_or(0.0), high: over(b.high, a.low) };
        let summands = self.summands_of(a, b);
        // Never wider than the worst case of both.
        let shared = summands.as_deref().and_then(shared_interval).map(|shared| shared.within(independent));
        let apart = (b.low - a.high, b.high - a.low);
        let (low, high) = match &summands {
            Some(summands) if shared.is_some() => {
                let (low, high) = differences(summands);
                (low.max(apart.0), high.min(apart.1))
            }
            _ => apart,
        };
        // What two sums of the same differ by in their last bits is no difference.
        let noise = 1e-9 * a.high.max(b.high);
        let difference =
            [b.value - a.value, low, high].map(|difference| if difference.abs() <= noise { 0.0 } else { difference });
        Ratio {
            ratio: over(b.value, a.value),
            // Beside a zero there is no ratio, but the difference tells.
            verdict: match shared.unwrap_or(independent).verdict() {
                ComparisonVerdict::Inconclusive if low > 0.0 => ComparisonVerdict::More,
                ComparisonVerdict::Inconclusive if high < 0.0 => ComparisonVerdict::Less,
                verdict => verdict,
            },
            independent: Some(independent),
            shared,
            difference_text: figure_a.write_difference(difference),
            difference,
            ..blank
        }
    }

    /// The summands of a number that grows with the energy by a fixed factor on top of something
    /// exact (the price of hours, say); `None` if it does not.
    fn summands_of(&self, a: Bounds, b: Bounds) -> Option<Vec<Summand>> {
        let ((energy_a, energy_b), summands) = self.energies.zip(self.summands)?;
        let ((slope_a, rest_a), (slope_b, rest_b)) = (line(energy_a, a)?, line(energy_b, b)?);
        let scaled = summands.iter().map(|s| Summand { a: s.a.times(slope_a), b: s.b.times(slope_b), ..*s });
        let rest = Summand { a: Bounds::exact(rest_a), b: Bounds::exact(rest_b), common: (1.0, 1.0) };
        Some(scaled.chain([rest]).collect())
    }
}

fn seconds(difference: f64) -> String {
    let sign = if difference < 0.0 { "-" } else { "" };
    // A difference of two checked times is finite.
    format!("{sign}{}", Seconds::raw(difference.abs()))
}

fn energies(report: &Report) -> Option<Bounds> {
    report.totals.energy().map(Bounds::energy)
}

/// The components of both, side by side; `None` if one has a component that the other has not.
fn summands(a: &Report, b: &Report) -> Option<Vec<Summand>> {
    let of = a;
    let (a, b) = (&a.totals.components, &b.totals.components);
    let same = !a.is_empty() && a.keys().eq(b.keys());
    same.then(|| {
        let pairs = a.iter().zip(b.values());
        let summand = |(component, a, b): (&Component, Estimate<Joules>, Estimate<Joules>)| {
            Summand::of(Bounds::energy(a), Bounds::energy(b), between_loads(of, *component))
        };
        pairs.map(|((component, a), b)| summand((component, a.joules, b.joules))).collect()
    })
}

/// By how much the ratio of two of a component's numbers may be off.
fn between_loads(report: &Report, component: Component) -> Spread {
    let sources = report.headers.iter().flat_map(|header| &header.sources);
    let of = sources.filter(|source| source.components.contains(&component));
    of.map(|source| source.between_loads_of(component)).reduce(wider).unwrap_or(Spread::NONE)
}

fn wider(a: Spread, b: Spread) -> Spread {
    Spread::between(a.low().min(b.low()), a.high().max(b.high()))
}

/// Whether errors of the two are common, or why not.
fn same_instrument(a: &Report, b: &Report) -> Result<(), String> {
    let headers = || a.headers.iter().chain(&b.headers);
    if a.headers.is_empty() || b.headers.is_empty() {
        return Err("a ledger without header does not name the machine it was written on".to_owned());
    }
    if let [first, second, ..] = distinct(headers().map(|header| machine(&header.host))).as_slice() {
        return Err(format!("the machines differ: {first}, and {second}"));
    }
    if let [first, second, ..] = distinct(headers().map(|header| header.version.clone())).as_slice() {
        return Err(format!("the versions of the meter differ: {first} and {second}"));
    }
    // Notes too: they hold the figures of a model, and a power given by the user.
    let sources = headers().map(|header| header.sources.iter().map(source).collect::<Vec<_>>().join(" "));
    if let [first, second, ..] = distinct(sources).as_slice() {
        let named = |sources: &str| {
            if sources.is_empty() { "none".to_owned() } else { sources.trim_end_matches('.').to_owned() }
        };
        return Err(format!("the sources differ: {}, and {}", named(first), named(second)));
    }
    Ok(())
}

fn warnings(a: &Report, b: &Report) -> Vec<String> {
    let mut out = Vec::new();
    let (components_a, components_b) = (&a.totals.components, &b.totals.components);
    if components_a.keys().ne(components_b.keys()) {
        let names = |report: &Report| {
            let names = super::describe::names(&report.totals.components.keys().copied().collect::<Vec<_>>());
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
    let prices = |tariff: &Tariff| (tariff.electricity(), tariff.device_hour(), tariff.spot_hour());
    if prices(tariff_a) != prices(tariff_b) {
        out.push("the prices differ, so the cost reflects the prices as much as the work".to_owned());
    }
    let others = |bill: &Bill| (bill.market.clone(), bill.water, bill.embodied.clone());
    if others(&a.bill) != others(&b.bill) {
        out.push("the contracts, the water or the hardware that the bills are computed with differ".to_owned());
    }
    if a.bill.grid != b.bill.grid {
        out.push(format!("the grids differ: {} in A, {} in B", a.bill.grid, b.bill.grid));
        out.extend(GridKind::mixed([&a.bill.grid, &b.bill.grid]));
    } else if a.bill.grid.choice == GridChoice::Unspecified {
        out.push("no region was given, so carbon uses the world average".to_owned());
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
