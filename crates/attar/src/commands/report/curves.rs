//! The curves of a run, from the log of what happened.

use std::collections::BTreeMap;
use std::path::Path;

use anyhow::Context;
use attar_report::{Curve, Stage};
use attar_text::metrics::Score;
use serde::Deserialize;

/// The events that make curves; of others nothing is read.
#[derive(Deserialize)]
#[serde(tag = "event", rename_all = "snake_case")]
enum Logged {
    Stage {
        stage: usize,
        name: String,
        steps: usize,
    },
    Step {
        stage: usize,
        step: usize,
        loss: f64,
        terms: BTreeMap<String, f64>,
    },
    Evaluated {
        stage: usize,
        step: usize,
        score: Score,
    },
    #[serde(other)]
    Other,
}

/// What is known of a stage, by update: what a resumed run did again counts once.
#[derive(Default)]
struct Points {
    name: String,
    steps: usize,
    losses: BTreeMap<usize, f64>,
    terms: BTreeMap<String, BTreeMap<usize, f64>>,
    metric: String,
    scores: BTreeMap<usize, f64>,
}

/// The stages of the run in a folder; none where it has no log.
pub(super) fn read(folder: &Path) -> anyhow::Result<Vec<Stage>> {
    let path = folder.join("events.jsonl");
    match std::fs::read_to_string(&path) {
        Ok(text) => Ok(stages(&text)),
        Err(e) if e.kind() == std::io::ErrorKind::NotFound => Ok(Vec::new()),
        Err(e) => Err(e).with_context(|| format!("{} cannot be read", path.display())),
    }
}

fn stages(log: &str) -> Vec<Stage> {
    let mut all: BTreeMap<usize, Points> = BTreeMap::new();
    // A line that a crash tore is none.
    for event in log.lines().filter_map(|line| serde_json::from_str::<Logged>(line).ok()) {
        match event {
            Logged::Stage { stage, name, steps } => {
                let points = all.entry(stage).or_default();
                (points.name, points.steps) = (name, steps);
            }
            Logged::Step { stage, step, loss, terms } => {
                let points = all.entry(stage).or_default();
                points.losses.insert(step, loss);
                for (term, value) in terms {
                    points.terms.entry(term).or_default().insert(step, value);
                }
            }
            Logged::Evaluated { stage, step, score } => {
                let points = all.entry(stage).or_default();
                points.metric = score.metric.name().into();
                points.scores.extend(score.value.map(|value| (step, value)));
            }
            Logged::Other => {}
        }
    }
    all.into_values().map(stage).collect()
}

fn stage(points: Points) -> Stage {
    let curve = |name: String, points: BTreeMap<usize, f64>| Curve {
        name,
        points: points.into_iter().map(|(step, value)| [step as f64, value]).collect(),
    };
    // A single objective is the sum itself, but for its weight.
    let is_sum_told = points.terms.len() > 1 && !points.losses.is_empty();
    let sum = is_sum_told.then(|| curve("weighted sum".into(), points.losses));
    Stage {
        name: points.name,
        steps: points.steps,
        losses: sum.into_iter().chain(points.terms.into_iter().map(|(term, points)| curve(term, points))).collect(),
        scores: (!points.scores.is_empty()).then(|| curve(points.metric, points.scores)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn updates_that_were_done_again_count_once() {
        let step = |step: usize, loss: f64| {
            format!(
                "{{\"event\":\"step\",\"stage\":0,\"step\":{step},\"loss\":{loss},\"terms\":{{\"a\":{loss},\"b\":0.5}}}}\n"
            )
        };
        let log = "{\"event\":\"stage\",\"stage\":0,\"name\":\"states\",\"steps\":30,\"done\":0}\n".to_string()
            + &step(10, 3.0)
            + &step(20, 2.0)
            + "{\"event\":\"st\n"
            + "{\"event\":\"checkpoint\",\"stage\":0,\"step\":10}\n"
            + &step(20, 1.5)
            + &step(30, 1.0)
            + "{\"event\":\"evaluated\",\"stage\":0,\"step\":30,\"best\":true,\
               \"score\":{\"metric\":\"accuracy\",\"value\":0.5,\"interval\":null,\"rows\":4}}\n";
        let [stage] = &stages(&log)[..] else { panic!() };
        assert_eq!((stage.name.as_str(), stage.steps), ("states", 30));
        let names: Vec<&str> = stage.losses.iter().map(|curve| curve.name.as_str()).collect();
        assert_eq!(names, ["weighted sum", "a", "b"]);
        assert_eq!(stage.losses[0].points, [[10.0, 3.0], [20.0, 1.5], [30.0, 1.0]]);
        assert_eq!(stage.scores.as_ref().unwrap().points, [[30.0, 0.5]]);
    }
}
