//! Models side by side.

use attar_chart::Range;
use attar_text::metrics::Metric;

use crate::charts::{Cost, Dot, Scale, pareto, series};
use crate::document::{Block, Table};
use crate::numbers::{UNKNOWN, bytes, count, or_unknown, percent, score};
use crate::run::{ModelKind, ReportedModel, Run};

/// The verdict of a run: what each model is worth and what it takes.
pub(super) fn of(run: &Run) -> Vec<Block> {
    let Some(decides) = metric(run) else { return Vec::new() };
    let metric = decides.name();
    let mut blocks = vec![Block::Heading(2, "Models compared".into())];
    let data = run.data.as_ref();
    let on = data.map_or_else(String::new, |data| format!(" on {} rows of {}", count(data.rows as u64), data.name));
    let head = [
        "model",
        &format!("{metric} [95\u{a0}%]"),
        "retained",
        "minus the first [95\u{a0}%]",
        "bytes",
        "parameters",
        "µs/text",
        "J/1,000 texts [90\u{a0}%]",
    ];
    let rows = run.models.iter().map(row).collect();
    blocks.push(Block::Table(Table::new(&format!("Models{on}"), &head, rows)));
    let others: Vec<String> = run.models.iter().flat_map(other_scores).collect();
    if !others.is_empty() {
        blocks.push(Block::List(others));
    }
    let dots = |cost: Cost| run.models.iter().filter_map(|model| dot(model, cost)).collect::<Vec<_>>();
    let costs = [Cost::Bytes, Cost::Micros, Cost::Joules];
    let scale = Scale { metric, is_more_better: decides.higher_is_better(), bars: "intervals" };
    let figures: Vec<_> = costs.into_iter().filter_map(|cost| pareto(cost, scale, &dots(cost))).collect();
    if !figures.is_empty() {
        blocks.push(Block::Heading(2, "Score against cost".into()));
        let better = if scale.is_more_better { "Up" } else { "Down" };
        blocks.push(Block::Hint(format!(
            "{better} and to the left is better. Bars are intervals: 95 % of scores, 90 % of energy, the fastest and the slowest \
             round of times. No model is both better and less costly than those at the corners of the dotted line."
        )));
        blocks.push(Block::Figures(figures));
    }
    blocks
}

/// The students of several runs.
pub(super) fn side_by_side(runs: &[Run]) -> Vec<Block> {
    let row = |run: &Run| {
        let student = run.model(ModelKind::Student).or(run.models.first());
        let energy = run.energy.as_ref().and_then(|energy| energy.0.totals().energy());
        vec![
            run.name.clone(),
            student
                .and_then(|model| model.scores.first())
                .map_or_else(|| UNKNOWN.into(), |score| score.metric.name().into()),
            or_unknown(student.and_then(|model| model.scores.first()), score),
            or_unknown(student.and_then(|model| model.kept), percent),
            or_unknown(student.and_then(|model| model.bytes), bytes),
            or_unknown(student.and_then(|model| model.speed.as_ref()), |speed| format!("{:.1}", speed.micros)),
            or_unknown(energy, |energy| energy.to_string()),
        ]
    };
    let head = ["run", "metric", "score [95\u{a0}%]", "retained", "bytes", "µs/text", "energy of training [90\u{a0}%]"];
    vec![Block::Table(Table::new("What each run made", &head, runs.iter().map(row).collect()))]
}

/// The metric that decides.
fn metric(run: &Run) -> Option<Metric> {
    Some(run.models.first()?.scores.first()?.metric)
}

fn row(model: &ReportedModel) -> Vec<String> {
    let difference = model.difference.as_ref().and_then(|difference| Some((difference.value?, difference.interval?)));
    vec![
        model.name.clone(),
        or_unknown(model.scores.first(), score),
        or_unknown(model.kept, percent),
        or_unknown(difference, |(value, i)| format!("{value:+.4} [{:+.4}, {:+.4}]", i.low, i.high)),
        or_unknown(model.bytes, bytes),
        or_unknown(model.parameters, |parameters| count(parameters as u64)),
        or_unknown(model.speed.as_ref(), |speed| format!("{:.1}", speed.micros)),
        or_unknown(model.speed.as_ref().and_then(|speed| speed.joules_per_thousand), |joules| joules.to_string()),
    ]
}

/// `student: macro_f1 0.9862 [0.9796, 0.9921]`: the scores that do not decide.
fn other_scores(model: &ReportedModel) -> Option<String> {
    let others: Vec<String> =
        model.scores.iter().skip(1).map(|other| format!("{} {}", other.metric.name(), score(other))).collect();
    (!others.is_empty()).then(|| format!("{}: {}", model.name, others.join("; ")))
}

fn dot(model: &ReportedModel, cost: Cost) -> Option<Dot> {
    let first = model.scores.first()?;
    let value = first.value?;
    let score = first.interval.map_or(Range::exact(value), |i| Range { value, low: i.low, high: i.high });
    let cost = match cost {
        Cost::Bytes => Range::exact(model.bytes? as f64),
        Cost::Micros => {
            let speed = model.speed.as_ref()?;
            Range { value: speed.micros, low: speed.micros_range[0], high: speed.micros_range[1] }
        }
        Cost::Joules => {
            let joules = model.speed.as_ref()?.joules_per_thousand?;
            Range { value: joules.value().get(), low: joules.low().get(), high: joules.high().get() }
        }
    };
    Some(Dot { series: series(model.kind), name: model.name.clone(), cost, score })
}
