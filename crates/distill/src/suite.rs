//! Scores of several models on several tasks by several seeds, and what they come to.

use std::collections::BTreeSet;

use attar_text::metrics::{Metric, Score, Spread};
use serde::{Deserialize, Serialize};

/// A model on a task, made with a seed.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct SuiteRow {
    /// The task.
    pub task: String,
    /// The part of it that is scored, where it has several, as MNLI has.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub part: Option<String>,
    /// Seed of the models.
    pub seed: u64,
    /// What the model is in the suite, such as `student`.
    pub model: String,
    /// Its scores, the metric that decides first.
    pub scores: Vec<Score>,
    /// Its score over that of the teacher with the same seed.
    pub kept: Option<f64>,
    /// Parameters; of encoders alone.
    pub parameters: Option<usize>,
    /// Bytes as shipped.
    pub bytes: u64,
    /// FLOPs of the encoder for 128 tokens.
    pub flops: Option<f64>,
    /// Microseconds a text, many at a time.
    pub micros: Option<f64>,
    /// Joules for 1,000 texts, many at a time.
    pub joules_per_thousand: Option<f64>,
    /// What its making took.
    pub made: Option<Making>,
}

/// Time and energy of a training.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Making {
    /// Seconds.
    pub seconds: f64,
    /// Joules that the machine drew; `None` where no energy was read.
    pub joules: Option<f64>,
}

/// A model on a task over all seeds.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct SuiteLine {
    /// The task, with the part that is scored where it has several.
    pub task: String,
    /// The metric that decides on it.
    pub metric: Option<Metric>,
    /// The model.
    pub model: String,
    /// Its score; `None` where a seed has none.
    pub score: Option<Spread>,
    /// What it keeps of its teacher's.
    pub kept: Option<Spread>,
    /// Parameters of the largest; of encoders alone.
    pub parameters: Option<usize>,
    /// Bytes as shipped, of the largest.
    pub bytes: u64,
    /// FLOPs of the encoder for 128 tokens.
    pub flops: Option<f64>,
    /// Microseconds a text.
    pub micros: Option<Spread>,
    /// Joules for 1,000 texts.
    pub joules_per_thousand: Option<Spread>,
    /// Seconds of its making.
    pub seconds: Option<Spread>,
    /// Joules of its making.
    pub joules: Option<Spread>,
}

/// A model over all tasks: the mean over the tasks, seed by seed, of which each counts once whatever its parts.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct SuiteAverage {
    /// The model.
    pub model: String,
    /// Tasks that it was scored on.
    pub tasks: usize,
    /// Its mean score; of seeds with all of the tasks alone.
    pub score: Option<Spread>,
    /// The mean share that it keeps of its teacher's score.
    pub kept: Option<Spread>,
}

/// What a suite came to.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct SuiteSummary {
    /// A line for each task and model, in the order of their first rows.
    pub lines: Vec<SuiteLine>,
    /// A line for each model.
    pub averages: Vec<SuiteAverage>,
}

impl SuiteSummary {
    /// Of all rows.
    pub fn of(rows: &[SuiteRow]) -> SuiteSummary {
        let tasks: Vec<String> = rows.iter().map(SuiteRow::scored).collect();
        let tasks = distinct(tasks.iter().map(String::as_str));
        let models = distinct(rows.iter().map(|row| row.model.as_str()));
        let mut lines = Vec::new();
        for task in &tasks {
            for model in &models {
                let of_both: Vec<&SuiteRow> =
                    rows.iter().filter(|row| row.scored() == *task && row.model == *model).collect();
                lines.extend(SuiteLine::of(&of_both));
            }
        }
        let averages = models.iter().map(|model| average(rows, model)).collect();
        SuiteSummary { lines, averages }
    }
}

impl SuiteRow {
    /// What is scored: the task, or a part of it.
    fn scored(&self) -> String {
        match &self.part {
            Some(part) => format!("{}, {part}", self.task),
            None => self.task.clone(),
        }
    }

    fn score(&self) -> Option<f64> {
        self.scores.first()?.value
    }
}

impl SuiteLine {
    /// Of the rows of one task and model; none of no rows.
    fn of(rows: &[&SuiteRow]) -> Option<SuiteLine> {
        let first = rows.first()?;
        let making = |pick: fn(&Making) -> Option<f64>| spread(rows, |row| row.made.as_ref().and_then(pick));
        Some(SuiteLine {
            task: first.scored(),
            metric: first.scores.first().map(|score| score.metric),
            model: first.model.clone(),
            score: spread(rows, SuiteRow::score),
            kept: spread(rows, |row| row.kept),
            parameters: rows.iter().filter_map(|row| row.parameters).max(),
            bytes: rows.iter().map(|row| row.bytes).max().unwrap_or_default(),
            flops: first.flops,
            micros: spread(rows, |row| row.micros),
            joules_per_thousand: spread(rows, |row| row.joules_per_thousand),
            seconds: making(|made| Some(made.seconds)),
            joules: making(|made| made.joules),
        })
    }
}

/// Of a value that every row has.
fn spread(rows: &[&SuiteRow], value: impl Fn(&SuiteRow) -> Option<f64>) -> Option<Spread> {
    Spread::of(&rows.iter().map(|row| value(row)).collect::<Option<Vec<f64>>>()?)
}

fn average(rows: &[SuiteRow], model: &str) -> SuiteAverage {
    let own: Vec<&SuiteRow> = rows.iter().filter(|row| row.model == model).collect();
    let tasks = distinct(own.iter().map(|row| row.task.as_str())).len();
    let seeds: BTreeSet<u64> = own.iter().map(|row| row.seed).collect();
    let means = |value: fn(&SuiteRow) -> Option<f64>| {
        let mean = |&seed: &u64| {
            let of_seed: Vec<&SuiteRow> = own.iter().filter(|row| row.seed == seed).copied().collect();
            let tasks_here = distinct(of_seed.iter().map(|row| row.task.as_str()));
            if tasks_here.len() < tasks {
                return None;
            }
            let of_task = |task: &&str| {
                let parts: Vec<&SuiteRow> = of_seed.iter().filter(|row| row.task == *task).copied().collect();
                Some(spread(&parts, value)?.mean)
            };
            Some(Spread::of(&tasks_here.iter().map(of_task).collect::<Option<Vec<f64>>>()?)?.mean)
        };
        Spread::of(&seeds.iter().filter_map(mean).collect::<Vec<f64>>())
    };
    SuiteAverage { model: model.into(), tasks, score: means(SuiteRow::score), kept: means(|row| row.kept) }
}

/// Each name once, in the order of its first appearance.
fn distinct<'a>(names: impl Iterator<Item = &'a str>) -> Vec<&'a str> {
    let mut seen = BTreeSet::new();
    names.filter(|name| seen.insert(*name)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row(task: &str, seed: u64, model: &str, score: Option<f64>, kept: Option<f64>) -> SuiteRow {
        SuiteRow {
            task: task.into(),
            part: None,
            seed,
            model: model.into(),
            scores: vec![Score { metric: Metric::Accuracy, value: score, interval: None, rows: 10 }],
            kept,
            parameters: Some(100 + seed as usize),
            bytes: 1000,
            flops: None,
            micros: Some(5.0),
            joules_per_thousand: None,
            made: Some(Making { seconds: 60.0, joules: None }),
        }
    }

    #[test]
    fn seeds_become_a_spread_and_tasks_a_mean() {
        let rows = [
            row("a", 1, "teacher", Some(0.9), None),
            row("a", 1, "student", Some(0.8), Some(0.75)),
            row("a", 2, "student", Some(0.6), Some(0.5)),
            row("b", 1, "student", Some(0.4), Some(1.0)),
            row("b", 2, "student", Some(0.2), Some(1.0)),
        ];
        let summary = SuiteSummary::of(&rows);
        let names: Vec<_> = summary.lines.iter().map(|line| (line.task.as_str(), line.model.as_str())).collect();
        assert_eq!(names, [("a", "teacher"), ("a", "student"), ("b", "student")]);
        let student = &summary.lines[1];
        assert!((student.score.unwrap().mean - 0.7).abs() < 1e-12 && student.score.unwrap().count == 2);
        assert_eq!((student.parameters, student.seconds.unwrap().mean), (Some(102), 60.0));
        let average = &summary.averages[1];
        // Seed 1: 0.6 and 0.875; seed 2: 0.4 and 0.75.
        assert_eq!((average.model.as_str(), average.tasks), ("student", 2));
        assert!((average.score.unwrap().mean - 0.5).abs() < 1e-12);
        assert!((average.kept.unwrap().mean - 0.8125).abs() < 1e-12);
    }

    #[test]
    fn a_task_of_two_parts_counts_once() {
        let part =
            |part: &str, score: f64| SuiteRow { part: Some(part.into()), ..row("a", 1, "student", Some(score), None) };
        let rows = [part("matched", 0.2), part("mismatched", 0.4), row("b", 1, "student", Some(0.9), None)];
        let summary = SuiteSummary::of(&rows);
        let names: Vec<_> = summary.lines.iter().map(|line| line.task.as_str()).collect();
        assert_eq!(names, ["a, matched", "a, mismatched", "b"]);
        assert_eq!(summary.averages[0].tasks, 2);
        assert!((summary.averages[0].score.unwrap().mean - 0.6).abs() < 1e-12);
    }

    #[test]
    fn what_a_seed_lacks_is_not_averaged_away() {
        let rows = [
            row("a", 1, "student", Some(0.8), None),
            row("b", 1, "student", Some(0.4), None),
            row("a", 2, "student", None, None),
        ];
        let summary = SuiteSummary::of(&rows);
        assert_eq!(summary.lines[0].score, None);
        let average = summary.averages[0].score.unwrap();
        assert_eq!(average.count, 1);
        assert!((average.mean - 0.6).abs() < 1e-12);
    }
}
