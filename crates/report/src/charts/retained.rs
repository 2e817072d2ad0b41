//! The share of its teacher's score that each model of a suite retains, task by task.

use attar_chart::{Axis, Chart, Frame, Range};

use super::{DEVIATIONS, distinct, has_bar, with_deviation};
use crate::document::Figure;
use crate::numbers::{in_percent, percent};
use crate::report::SuiteLine;

/// Width of the chart in pixels.
const WIDTH: f64 = 820.0;
/// Heights in pixels: of each model of a task, between two tasks, and of what stands below and above all.
const MODEL_HEIGHT: f64 = 14.0;
const TASK_GAP: f64 = 20.0;
const FRAME_HEIGHT: f64 = 60.0;

/// The chart; `None` where no model has a teacher to be held against. `models` number the series.
pub(crate) fn retained(lines: &[SuiteLine], models: &[&str]) -> Option<Figure> {
    let share = |line: &SuiteLine| line.kept.filter(|kept| kept.mean.is_finite()).map(in_percent).map(with_deviation);
    let shares: Vec<(&SuiteLine, Range)> = lines.iter().filter_map(|line| Some((line, share(line)?))).collect();
    let tasks = distinct(shares.iter().map(|(line, _)| line.task.as_str()));
    if tasks.is_empty() {
        return None;
    }
    let is_shown = |model: &str| shares.iter().any(|(line, _)| line.model == model);
    let shown: Vec<(usize, &str)> = models.iter().copied().enumerate().filter(|(_, model)| is_shown(model)).collect();
    let bounds = shares.iter().flat_map(|(_, share)| [share.low, share.high]).chain([100.0]);
    let task_height = TASK_GAP + MODEL_HEIGHT * shown.len() as f64;
    // The first task stands at the top.
    let names: Vec<String> = tasks.iter().rev().map(|task| (*task).to_owned()).collect();
    let mut chart = Chart::new(Frame {
        title: "Share of the teacher's score that is retained".into(),
        description: description(&shares, &shown, tasks.len()),
        width: WIDTH,
        height: FRAME_HEIGHT + task_height * tasks.len() as f64,
        x: Axis::around("percent of the teacher's score", bounds),
        y: Axis::named("", names),
    });
    chart.upright(100.0);
    for (row, &(series, model)) in shown.iter().enumerate() {
        let offset = MODEL_HEIGHT * ((shown.len() as f64 - 1.0) / 2.0 - row as f64) / task_height;
        chart.name_points(series, model);
        for (index, task) in tasks.iter().enumerate() {
            let place = Range::exact((tasks.len() - index) as f64 + offset);
            for (_, share) in shares.iter().filter(|(line, _)| line.model == model && line.task == *task) {
                chart.point(series, *share, place);
            }
        }
    }
    chart.name_uprights("the teacher");
    Some(Figure::of(&chart, "Share of the teacher's score retained".into(), true))
}

/// `4 tasks, with standard deviations over seeds. student: from 95.0 % (CoLA) to 99.0 % (SST-2).`
fn description(shares: &[(&SuiteLine, Range)], shown: &[(usize, &str)], tasks: usize) -> String {
    let mut out = format!("{tasks} {}", if tasks == 1 { "task" } else { "tasks" });
    if shares.iter().any(|(_, share)| has_bar(*share)) {
        out += &format!(", with {DEVIATIONS}");
    }
    out += ".";
    for (_, model) in shown {
        let mut own: Vec<(f64, &str)> = (shares.iter().filter(|(line, _)| line.model == *model))
            .filter_map(|(line, _)| Some((line.kept?.mean, line.task.as_str())))
            .collect();
        own.sort_by(|a, b| a.0.total_cmp(&b.0));
        if let [(low, first), .., (high, last)] = own[..] {
            out += &format!(" {model}: from {} ({first}) to {} ({last}).", percent(low), percent(high));
        } else if let [(share, task)] = own[..] {
            out += &format!(" {model}: {} ({task}).", percent(share));
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use attar_text::metrics::Spread;

    use super::*;

    fn line(task: &str, model: &str, kept: &[f64]) -> SuiteLine {
        SuiteLine {
            task: task.into(),
            model: model.into(),
            metric: None,
            score: None,
            kept: Spread::of(kept),
            bytes: None,
            micros: None,
            joules_per_thousand: None,
        }
    }

    #[test]
    fn every_task_has_its_place() {
        let lines = [
            line("CoLA", "teacher", &[]),
            line("CoLA", "student", &[0.9, 0.92]),
            line("SST-2", "student", &[0.99, 1.01]),
            line("SST-2", "quantized", &[0.98]),
        ];
        let figure = retained(&lines, &["teacher", "student", "quantized"]).unwrap();
        let expected = "2 tasks, with standard deviations over seeds. student: from 91.0 % (CoLA) to 100.0 % (SST-2). \
                        quantized: 98.0 % (SST-2).";
        assert_eq!(figure.description, expected);
        // A point for each line with a share, whiskers where seeds differ, and both names.
        assert_eq!(figure.svg.matches("class=\"mark").count(), 3 + 2, "{}", figure.svg);
        assert!(["CoLA", "SST-2", "the teacher"].iter().all(|name| figure.svg.contains(&format!(">{name}<"))));
        assert!(retained(&lines[..1], &["teacher"]).is_none());
        // Of one seed there is no deviation.
        let figure = retained(&lines[3..], &["quantized"]).unwrap();
        assert_eq!(figure.description, "1 task. quantized: 98.0 % (SST-2).");
    }
}
