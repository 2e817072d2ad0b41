//! Suites: models over tasks and seeds.

use attar_chart::Range;

use crate::charts::{Cost, DEVIATIONS, Dot, Scale, distinct, has_bar, pareto, retained, with_deviation};
use crate::document::{Block, Figure, Table};
use crate::numbers::{UNKNOWN, bytes, in_percent, or_unknown};
use crate::report::{Suite, SuiteLine};

/// A suite: means over all tasks, what each model retains, then task by task.
pub(super) fn of(suite: &Suite) -> Vec<Block> {
    let mut blocks = vec![Block::Heading(2, format!("Suite {}", suite.name))];
    if !suite.averages.is_empty() {
        blocks.push(table("Means over all tasks", &suite.averages));
    }
    let models = models(suite);
    let means: Vec<Figure> = of_means(suite, &models).into_iter().chain(retained(&suite.lines, &models)).collect();
    if !means.is_empty() {
        if has_deviations(suite) {
            blocks.push(Block::Hint(format!("Bars are {DEVIATIONS}.")));
        }
        blocks.push(Block::Figures(means));
    }
    let tasks = distinct(suite.lines.iter().map(|line| line.task.as_str()));
    for task in tasks {
        let lines: Vec<&SuiteLine> = suite.lines.iter().filter(|line| line.task == task).collect();
        let figures: Vec<Figure> =
            [Cost::Bytes, Cost::Micros].into_iter().filter_map(|cost| of_task(cost, &lines, &models)).collect();
        if !figures.is_empty() {
            blocks.push(Block::Heading(3, task.into()));
            blocks.push(Block::Figures(figures));
        }
    }
    let caption = match has_deviations(suite) {
        true => "Every task: means over seeds, with their standard deviation",
        false => "Every task",
    };
    blocks.push(table(caption, &suite.lines));
    blocks
}

/// Whether anything differs between seeds: of a single one there is no deviation.
fn has_deviations(suite: &Suite) -> bool {
    let lines = suite.averages.iter().chain(&suite.lines);
    let spreads = lines.flat_map(|line| [line.score, line.kept, line.micros, line.joules_per_thousand]);
    spreads.flatten().any(|spread| has_bar(with_deviation(spread)))
}

/// The models in the order in which they first appear: the number of each is its series in all charts.
fn models(suite: &Suite) -> Vec<&str> {
    distinct(suite.averages.iter().chain(&suite.lines).map(|line| line.model.as_str()))
}

fn table(caption: &str, lines: &[SuiteLine]) -> Block {
    let row = |line: &SuiteLine| {
        vec![
            line.task.clone(),
            line.model.clone(),
            line.metric.clone().unwrap_or_else(|| UNKNOWN.into()),
            or_unknown(line.score, |score| format!("{score:.4}")),
            or_unknown(line.kept, |kept| format!("{:.1} %", in_percent(kept))),
            or_unknown(line.bytes, bytes),
            or_unknown(line.micros, |micros| format!("{micros:.1}")),
            or_unknown(line.joules_per_thousand, |joules| format!("{joules:.3}")),
        ]
    };
    let head = ["task", "model", "metric", "score", "retained", "bytes", "µs/text", "J/1,000 texts"];
    Block::Table(Table::new(caption, &head, lines.iter().map(row).collect()))
}

/// The mean scores by the size of the largest model of a name.
fn of_means(suite: &Suite, models: &[&str]) -> Option<Figure> {
    let bytes_of =
        |model: &str| suite.lines.iter().filter(|line| line.model == model).filter_map(|line| line.bytes).max();
    let dot = |line: &SuiteLine| {
        let cost = Range::exact(bytes_of(&line.model)? as f64);
        Some(Dot { series: series(models, line), name: line.model.clone(), cost, score: with_deviation(line.score?) })
    };
    let dots: Vec<Dot> = suite.averages.iter().filter_map(dot).collect();
    pareto(Cost::Bytes, scale("mean score"), &dots)
}

/// The scores of one task by what they cost.
fn of_task(cost: Cost, lines: &[&SuiteLine], models: &[&str]) -> Option<Figure> {
    let metric = lines.iter().find_map(|line| line.metric.as_deref())?;
    let dot = |line: &&SuiteLine| {
        let cost = match cost {
            Cost::Bytes => Range::exact(line.bytes? as f64),
            Cost::Micros => with_deviation(line.micros?),
            Cost::Joules => with_deviation(line.joules_per_thousand?),
        };
        Some(Dot { series: series(models, line), name: line.model.clone(), cost, score: with_deviation(line.score?) })
    };
    pareto(cost, scale(metric), &lines.iter().filter_map(dot).collect::<Vec<_>>())
}

/// Of all metrics of suites more is better.
fn scale(metric: &str) -> Scale<'_> {
    Scale { metric, is_more_better: true, bars: DEVIATIONS }
}

fn series(models: &[&str], line: &SuiteLine) -> usize {
    models.iter().position(|model| *model == line.model).unwrap_or_default()
}
