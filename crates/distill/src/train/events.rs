//! What happens in a run, as it happens.

use std::fs::{File, OpenOptions};
use std::io::Write;
use std::path::{Path, PathBuf};

use attar_meter::{Estimate, Joules, Watts};
use attar_text::metrics::Score;
use serde::Serialize;

use super::trainer::StepReport;
use crate::Error;
use crate::begin::{BeginningProgress, FrozenHead};
use crate::scores::HeldOutLoss;

/// Something that happened in a run.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(tag = "event", rename_all = "snake_case")]
pub enum Event {
    /// The run started, or resumed from a checkpoint.
    Began {
        /// Stage at which it starts, counted from 0.
        stage: usize,
        /// Updates done in that stage.
        step: usize,
        /// Why energy is read as it is.
        energy: Vec<String>,
    },
    /// A stage started or resumed.
    Stage {
        /// Stage, counted from 0.
        stage: usize,
        /// Its name.
        name: String,
        /// Its updates.
        steps: usize,
        /// Updates done.
        done: usize,
    },
    /// A part of what is computed before the first update; not logged.
    Beginning(BeginningProgress),
    /// The teacher answers fewer dev rows right than its most frequent class would.
    WeakTeacher {
        /// Share that it answers right.
        accuracy: f64,
        /// Share of the most frequent class.
        majority: f64,
        /// Dev rows looked at.
        rows: usize,
    },
    /// The linear model over the frozen encoder that became the student's classifier.
    FrozenHead(FrozenHead),
    /// An update.
    Step(Step),
    /// A scoring on the dev rows.
    Evaluated {
        /// Stage, counted from 0.
        stage: usize,
        /// Updates done.
        step: usize,
        /// The score that decides.
        score: Score,
        /// True if these are the best weights of the stage so far.
        best: bool,
    },
    /// The loss on held-out text.
    HeldOut {
        /// Stage, counted from 0.
        stage: usize,
        /// Updates done.
        step: usize,
        /// What it is.
        loss: HeldOutLoss,
    },
    /// A stage ended before its last update, because the score had not risen for long enough.
    Stopped {
        /// Stage, counted from 0.
        stage: usize,
        /// Updates done.
        step: usize,
    },
    /// A checkpoint is complete.
    Checkpoint {
        /// Stage, counted from 0.
        stage: usize,
        /// Updates done.
        step: usize,
        /// Where it is.
        path: PathBuf,
    },
    /// The run had finished before: nothing is computed or written.
    Stored {
        /// Where the student is.
        student: PathBuf,
    },
    /// The student is trained and scored; the run is over once it is written.
    Finished {
        /// Where the student will be; nowhere for a run in memory.
        student: Option<PathBuf>,
    },
}

/// An update.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Step {
    /// Stage, counted from 0.
    pub stage: usize,
    /// Updates done, this one included.
    pub step: usize,
    /// What it did.
    #[serde(flatten)]
    pub report: StepReport,
    /// Seconds that the update took.
    pub seconds: f64,
    /// Energy of the run so far, as of the last reading.
    pub joules: Option<Estimate<Joules>>,
    /// Power at the last reading.
    pub watts: Option<Estimate<Watts>>,
}

/// Receives the events of a run.
pub trait Observer {
    /// Called for every event, every update included.
    fn event(&mut self, event: &Event);

    /// Whether the run is to stop. Asked after every update; the run then writes a checkpoint and ends with
    /// [`Error::Stopped`].
    fn stops(&mut self) -> bool {
        false
    }
}

/// Ignores all events.
impl Observer for () {
    fn event(&mut self, _: &Event) {}
}

/// Updates between two that are logged.
pub(super) const LOG_EVERY: usize = 10;

/// The log of a run: a JSON object a line, appended.
#[derive(Debug)]
pub struct EventLog {
    path: PathBuf,
    file: File,
}

#[derive(Serialize)]
struct EventLine<'a> {
    time: String,
    #[serde(flatten)]
    event: &'a Event,
}

impl EventLog {
    /// Opens a log for appending; a line that a crash cut short is ended first.
    ///
    /// # Errors
    /// If the file cannot be written.
    pub fn append_to(path: &Path) -> Result<EventLog, Error> {
        let failed = |source| Error::Io { path: path.to_path_buf(), source };
        let torn = std::fs::read(path).is_ok_and(|bytes| bytes.last().is_some_and(|&last| last != b'\n'));
        let mut file = OpenOptions::new().create(true).append(true).open(path).map_err(failed)?;
        if torn {
            file.write_all(b"\n").map_err(failed)?;
        }
        Ok(EventLog { path: path.to_path_buf(), file })
    }

    /// Appends an event; of updates, every tenth.
    ///
    /// # Errors
    /// If the disk is full or not writable.
    pub fn write(&mut self, event: &Event) -> Result<(), Error> {
        if let Event::Step(step) = event
            && !step.step.is_multiple_of(LOG_EVERY)
        {
            return Ok(());
        }
        let line = EventLine { time: jiff::Timestamp::now().to_string(), event };
        let failed = |source| Error::Io { path: self.path.clone(), source };
        let mut text = serde_json::to_vec(&line).map_err(|e| failed(e.into()))?;
        text.push(b'\n');
        self.file.write_all(&text).map_err(failed)
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;

    #[test]
    fn a_line_cut_short_is_ended_and_updates_are_thinned() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("events.jsonl");
        std::fs::write(&path, "{\"event\":\"be").unwrap();
        let mut log = EventLog::append_to(&path).unwrap();
        for step in 1..=20 {
            let terms = BTreeMap::from([("gold", 0.5)]);
            let report = StepReport { loss: 0.5, terms, norm: 1.0, rate: 1e-5, rows: 1, tokens: 3 };
            let step = Step { stage: 0, step, report, seconds: 0.1, joules: None, watts: None };
            log.write(&Event::Step(step)).unwrap();
        }
        let text = std::fs::read_to_string(&path).unwrap();
        let lines: Vec<&str> = text.lines().skip(1).collect();
        assert_eq!(lines.len(), 2);
        let line: serde_json::Value = serde_json::from_str(lines[1]).unwrap();
        assert_eq!((line["event"].as_str(), line["step"].as_u64()), (Some("step"), Some(20)));
        assert_eq!(line["terms"]["gold"].as_f64(), Some(0.5));
    }
}
