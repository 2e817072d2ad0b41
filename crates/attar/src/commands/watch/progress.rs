//! What is known of a run from its events so far.

use std::collections::BTreeMap;

use attar_text::metrics::Metric;
use jiff::Timestamp;
use serde::Deserialize;

/// A line of the log: when, and what.
#[derive(Deserialize)]
struct LoggedLine {
    time: Timestamp,
    #[serde(flatten)]
    event: Logged,
}

/// The events that are shown.
#[derive(Deserialize)]
#[serde(tag = "event", rename_all = "snake_case")]
enum Logged {
    Began {},
    Stage {
        stage: usize,
        name: String,
        steps: usize,
        done: usize,
    },
    Step {
        step: usize,
        loss: f64,
        terms: BTreeMap<String, f64>,
        tokens: f64,
        seconds: f64,
        joules: Option<Read>,
        watts: Option<Read>,
    },
    Evaluated {
        score: Scored,
    },
    HeldOut {
        loss: HeldOut,
    },
    Finished {},
    #[serde(other)]
    Other,
}

/// A reading with its interval.
#[derive(Debug, Clone, Copy, PartialEq, Deserialize)]
pub(super) struct Read {
    pub(super) value: f64,
    pub(super) low: f64,
    pub(super) high: f64,
}

#[derive(Deserialize)]
struct Scored {
    metric: String,
    value: Option<f64>,
}

#[derive(Deserialize)]
struct HeldOut {
    loss: f64,
    perplexity: Option<f64>,
}

/// What is known of a run so far.
#[derive(Debug, Default)]
pub(super) struct Progress {
    /// How many stages there are, where that is known.
    pub(super) stages: Option<usize>,
    /// The stage, from 0, its name, its updates, and those done.
    pub(super) stage: usize,
    pub(super) name: String,
    pub(super) steps: usize,
    pub(super) step: usize,
    /// The losses of the stage in the order of its updates: the sum first, then each objective.
    pub(super) losses: BTreeMap<String, Vec<f64>>,
    /// The last score, and the best one of the stage.
    pub(super) score: Option<(String, f64, f64)>,
    pub(super) watts: Option<Read>,
    pub(super) joules: Option<Read>,
    /// Tokens a second at the last update.
    pub(super) speed: f64,
    /// Update and time when the stage began or went on.
    since: Option<(usize, Timestamp)>,
    /// When the run began or went on, and what happened last.
    began: Option<Timestamp>,
    last: Option<Timestamp>,
    ended: bool,
}

impl Progress {
    /// Nothing has happened yet.
    pub(super) fn of(stages: Option<usize>) -> Progress {
        Progress { stages, ..Progress::default() }
    }

    /// Takes a line of the log; one that is damaged says nothing.
    pub(super) fn take(&mut self, line: &str) {
        let Ok(LoggedLine { time, event }) = serde_json::from_str(line) else { return };
        self.last = Some(time);
        match event {
            Logged::Began {} => self.began = Some(time),
            Logged::Stage { stage, name, steps, done } => {
                // Another stage may have another metric.
                if stage != self.stage {
                    self.score = None;
                }
                (self.stage, self.name, self.steps, self.step) = (stage, name, steps, done);
                self.since = Some((done, time));
                self.losses.clear();
            }
            Logged::Step { step, loss, terms, tokens, seconds, joules, watts } => {
                self.step = step;
                self.losses.entry("loss".into()).or_default().push(loss);
                for (term, value) in terms {
                    self.losses.entry(format!("  {term}")).or_default().push(value);
                }
                self.speed = tokens / seconds;
                (self.joules, self.watts) = (joules.or(self.joules), watts.or(self.watts));
            }
            Logged::Evaluated { score } => {
                if let Some(value) = score.value {
                    let is_error = Metric::from_name(&score.metric).is_ok_and(|metric| !metric.higher_is_better());
                    let better: fn(f64, f64) -> f64 = if is_error { f64::min } else { f64::max };
                    let best = self.score.as_ref().map_or(value, |(_, _, best)| better(*best, value));
                    self.score = Some((score.metric, value, best));
                }
            }
            Logged::HeldOut { loss } => {
                let (name, value) = loss.perplexity.map_or(("held-out loss", loss.loss), |value| ("perplexity", value));
                let best = self.score.as_ref().map_or(value, |(_, _, best)| best.min(value));
                self.score = Some((name.into(), value, best));
            }
            Logged::Finished {} => self.ended = true,
            Logged::Other => {}
        }
    }

    /// Whether nothing more will come.
    pub(super) fn has_ended(&self) -> bool {
        self.ended
    }

    /// Seconds since the run began, or went on after an interruption.
    pub(super) fn elapsed(&self) -> Option<f64> {
        Some(seconds(self.began?, self.last?))
    }

    /// Seconds that the stage has left at the pace that it had so far.
    pub(super) fn left(&self) -> Option<f64> {
        let ((from, since), last) = (self.since?, self.last?);
        let done = self.step.saturating_sub(from);
        (done > 0).then(|| seconds(since, last) / done as f64 * self.steps.saturating_sub(self.step) as f64)
    }
}

fn seconds(from: Timestamp, to: Timestamp) -> f64 {
    to.duration_since(from).as_secs_f64()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_state_follows_the_events() {
        let mut progress = Progress::of(Some(2));
        let at = |second: usize, rest: &str| format!("{{\"time\":\"2026-01-01T00:00:{second:02}Z\",{rest}}}");
        progress.take(&at(0, "\"event\":\"began\",\"stage\":0,\"step\":0,\"energy\":[]"));
        progress.take(&at(1, "\"event\":\"stage\",\"stage\":0,\"name\":\"states\",\"steps\":40,\"done\":0"));
        assert_eq!(progress.left(), None);
        let step = "\"event\":\"step\",\"stage\":0,\"step\":10,\"loss\":0.5,\"terms\":{\"hidden\":0.5},\"tokens\":100,\"seconds\":0.1,\
                    \"joules\":{\"value\":5.0,\"low\":4.0,\"high\":6.0},\"watts\":null";
        progress.take(&at(11, step));
        progress.take("{\"time\":\"2026-01-0");
        assert_eq!((progress.elapsed(), progress.left()), (Some(11.0), Some(30.0)));
        assert_eq!((progress.speed, progress.joules.unwrap().value, progress.watts), (1000.0, 5.0, None));
        assert_eq!(progress.losses.keys().collect::<Vec<_>>(), ["  hidden", "loss"]);
        let score = |metric: &str, value: f64| {
            format!(
                "\"event\":\"evaluated\",\"stage\":0,\"step\":10,\"best\":true,\"score\":{{\"metric\":\"{metric}\",\"value\":{value}}}"
            )
        };
        progress.take(&at(12, &score("accuracy", 0.9)));
        progress.take(&at(13, &score("accuracy", 0.8)));
        assert_eq!(progress.score, Some(("accuracy".into(), 0.8, 0.9)));
        // The next stage has a metric of its own, of which less is better.
        progress.take(&at(13, "\"event\":\"stage\",\"stage\":1,\"name\":\"scores\",\"steps\":40,\"done\":0"));
        assert_eq!(progress.score, None);
        let error = Metric::MeanSquaredError.name();
        progress.take(&at(13, &score(error, 0.25)));
        progress.take(&at(13, &score(error, 0.5)));
        assert_eq!(progress.score, Some((error.into(), 0.5, 0.25)));
        assert!(!progress.has_ended());
        progress.take(&at(14, "\"event\":\"finished\",\"student\":null"));
        assert!(progress.has_ended());
    }
}
