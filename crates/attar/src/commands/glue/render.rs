//! The table of a suite.

use attar_distill::suite::{SuiteAverage, SuiteLine, SuiteSummary};
use attar_text::metrics::Spread;
use comfy_table::presets::ASCII_MARKDOWN;

use crate::tables;

const COLUMNS: [&str; 10] =
    ["task", "model", "score ± SD", "retained", "parameters", "bytes", "FLOPs", "µs/text", "J/1,000 texts", "training"];

/// For a person at the terminal.
pub(super) fn terminal(summary: &SuiteSummary) -> String {
    fill(tables::table(&COLUMNS), summary).to_string()
}

/// Of a single task, without a mean over tasks.
pub(crate) fn of_one_task(summary: &SuiteSummary) -> String {
    let summary = SuiteSummary { averages: Vec::new(), ..summary.clone() };
    fill(tables::table(&COLUMNS), &summary).to_string()
}

/// For a file.
pub(super) fn markdown(summary: &SuiteSummary) -> String {
    let mut table = tables::table(&COLUMNS);
    table.load_style(ASCII_MARKDOWN);
    format!("{}\n", fill(table, summary))
}

fn fill(mut table: comfy_table::Table, summary: &SuiteSummary) -> comfy_table::Table {
    for line in &summary.lines {
        table.add_row(row(line));
    }
    for average in &summary.averages {
        table.add_row(mean(average));
    }
    table
}

fn dash<T>(value: Option<T>, show: impl Fn(T) -> String) -> String {
    value.map_or_else(|| "–".to_string(), show)
}

fn percent(kept: Option<Spread>) -> String {
    dash(kept, |kept| {
        let percent = Spread { mean: 100.0 * kept.mean, deviation: kept.deviation.map(|d| 100.0 * d), ..kept };
        format!("{percent:.1} %")
    })
}

fn row(line: &SuiteLine) -> [String; 10] {
    let metric = dash(line.metric, |metric| metric.name().to_string());
    let made = dash(line.seconds, |seconds| tables::seconds(seconds.mean));
    [
        format!("{} ({metric})", line.task),
        line.model.clone(),
        dash(line.score, |score| score.to_string()),
        percent(line.kept),
        dash(line.parameters, |count| tables::count(count as u64)),
        tables::bytes(line.bytes),
        dash(line.flops, tables::flops),
        dash(line.micros, |micros| format!("{:.0}", micros.mean)),
        dash(line.joules_per_thousand, |joules| format!("{:.2}", joules.mean)),
        format!("{made}{}", line.joules.map_or_else(String::new, |joules| format!(", {:.1} kJ", joules.mean / 1000.0))),
    ]
}

fn mean(average: &SuiteAverage) -> [String; 10] {
    let mut row = std::array::from_fn(|_| String::new());
    row[0] = match average.tasks {
        1 => "mean of one task".into(),
        tasks => format!("mean of {tasks} tasks"),
    };
    row[1] = average.model.clone();
    row[2] = dash(average.score, |score| score.to_string());
    row[3] = percent(average.kept);
    row
}
