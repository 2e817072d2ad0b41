//! The share of its teacher's score that each model of a suite retains, task by task.

use attar_chart::{Axis, Chart, Frame, Range};

use crate::document::Figure;
use crate::numbers::percent;
use crate::report::SuiteLine;

/// Width of the chart in pixels.
const WIDTH: f64 = 820.0;
/// Heights in pixels: of each model of a task, between two tasks, and of what stands below and above all.
const MODEL: f64 = 14.0;
const BETWEEN: f64 = 20.0;
const FRAME: f64 = 60.0;

/// The chart; `None` where no model has a teacher to be held against. `models` number the series.
pub(crate) fn retained(lines: &[SuiteLine], models: &[&str]) -> Option<Figure> {
    let lines: Vec<&SuiteLine> =
        lines.iter().filter(|line| line.kept.is_some_and(|kept| kept.mean.is_finite())).collect();
    let mut tasks: Vec<&str> = Vec::new();
    for line in &lines {
        if !tasks.contains(&line.task.as_str()) {
            tasks.push(&line.task);
        }
    }
    if tasks.is_empty() {
        return None;
    }
    let shown: Vec<&str> =
        models.iter().copied().filter(|model| lines.iter().any(|line| line.model == *model)).collect();
    let shares = lines.iter().filter_map(|line| line.kept).map(|kept| {
        let half = kept.deviation.unwrap_or(0.0);
        Range { value: 100.0 * kept.mean, low: 100.0 * (kept.mean - half), high: 100.0 * (kept.mean + half) }
    });
    let shares: Vec<Range> = shares.collect();
    let bounds = shares.iter().flat_map(|share| [share.low, share.high]).chain([100.0]);
    let task_height = BETWEEN + MODEL * shown.len() as f64;
    // The first task stands at the top.
    let names: Vec<String> = tasks.iter().rev().map(|task| (*task).to_owned()).collect();
    let mut chart = Chart::new(Frame {
        title: "Share of the teacher's score that is retained".into(),
        description: description(&lines, &shown, tasks.len()),
        width: WIDTH,
        height: FRAME + task_height * tasks.len() as f64,
        x: Axis::around("percent of the teacher's score", bounds),
        y: Axis::named("", names),
    });
    chart.upright(100.0);
    for (line, share) in lines.iter().zip(shares) {
        let (Some(task), Some(place)) =
            (tasks.iter().position(|task| *task == line.task), shown.iter().position(|model| *model == line.model))
        else {
            continue;
        };
        let series = models.iter().position(|model| *model == line.model).unwrap_or_default();
        let aside = MODEL * ((shown.len() as f64 - 1.0) / 2.0 - place as f64) / task_height;
        chart.name_points(series, &line.model);
        chart.point(series, share, Range::exact((tasks.len() - task) as f64 + aside));
    }
    chart.name_uprights("the teacher");
    Some(Figure::of(&chart, "Share of the teacher's score retained".into(), true))
}

/// `4 tasks. student retains from 95.0 % (CoLA) to 99.0 % (SST-2).`
fn description(lines: &[&SuiteLine], shown: &[&str], tasks: usize) -> String {
    let mut out =
        format!("{tasks} {}, with standard deviations over seeds.", if tasks == 1 { "task" } else { "tasks" });
    for model in shown {
        let mut own: Vec<(f64, &str)> = (lines.iter().filter(|line| line.model == *model))
            .filter_map(|line| Some((line.kept?.mean, line.task.as_str())))
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
    }
}
