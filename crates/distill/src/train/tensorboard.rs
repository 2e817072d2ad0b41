//! The curves of a run as TensorBoard reads them: losses, rates, scores and power over updates.
//!
//! One file beside the log of events, appended as the run goes. Updates are counted through all stages, each with as many
//! as were planned, so that a curve continues where the previous stage ended. A run that is resumed first takes out what it
//! will do again.

mod message;
mod record;

use std::collections::BTreeSet;
use std::fs::{File, OpenOptions};
use std::io::Write;
use std::path::{Path, PathBuf};

use attar_model::atomic::write_file;

use super::events::{Event, LOG_EVERY, Step};
use crate::Error;
use message::{Content, EventRecord, Summary, SummaryValue};

/// Name of the file; TensorBoard looks for `tfevents` in it.
pub(crate) const FILE: &str = "events.out.tfevents.attar";
/// What the first record says.
const VERSION: &str = "brain.Event:2";

/// The file of a run.
#[derive(Debug)]
pub(super) struct TensorBoard {
    path: PathBuf,
    file: File,
    /// Updates planned for each stage.
    steps: Vec<usize>,
}

impl TensorBoard {
    /// Opens the file for appending; a record that a crash cut short is taken out.
    ///
    /// # Errors
    /// If it cannot be read or written.
    pub(super) fn append_to(path: &Path, steps: Vec<usize>) -> Result<TensorBoard, Error> {
        let file = rewrite(path, i64::MAX)?;
        Ok(TensorBoard { path: path.to_path_buf(), file, steps })
    }

    /// Appends what an event says in numbers; of updates, every tenth.
    ///
    /// # Errors
    /// If the disk is full or not writable.
    pub(super) fn write(&mut self, event: &Event) -> Result<(), Error> {
        let (stage, step, values) = match event {
            Event::Began { stage, step, .. } => {
                // No checkpoint precedes the first update, so a restarted run scores the initial student again: keep no earlier
                // score.
                let last = if (*stage, *step) == (0, 0) { -1 } else { self.place(*stage, *step) };
                self.file = rewrite(&self.path, last)?;
                return Ok(());
            }
            Event::Step(step) if step.step.is_multiple_of(LOG_EVERY) => (step.stage, step.step, of_update(step)),
            Event::Evaluated { stage, step, score, .. } => {
                let value = score.value.map(|value| scalar("score", score.metric.name(), value));
                (*stage, *step, value.into_iter().collect())
            }
            Event::HeldOut { stage, step, loss } => {
                let terms = loss.terms.iter().map(|(term, value)| scalar("held-out", term, *value));
                let perplexity = loss.perplexity.map(|value| scalar("held-out", "perplexity", value));
                (*stage, *step, terms.chain(perplexity).collect())
            }
            _ => return Ok(()),
        };
        if values.is_empty() {
            return Ok(());
        }
        let time = jiff::Timestamp::now().as_microsecond() as f64 * 1e-6;
        let content = Some(Content::Summary(Summary { values }));
        let entry = EventRecord { time, step: self.place(stage, step), content };
        let failed = |source| Error::Io { path: self.path.clone(), source };
        self.file.write_all(&record::framed(&entry)).map_err(failed)
    }

    /// An update's number through all stages.
    fn place(&self, stage: usize, step: usize) -> i64 {
        (self.steps.iter().take(stage).sum::<usize>() + step) as i64
    }
}

/// The file with its whole records up to an update, each number of an update once, opened for more.
fn rewrite(path: &Path, last: i64) -> Result<File, Error> {
    let failed = |source| Error::Io { path: path.to_path_buf(), source };
    let bytes = match std::fs::read(path) {
        Err(e) if e.kind() == std::io::ErrorKind::NotFound => Vec::new(),
        read => read.map_err(failed)?,
    };
    let version = EventRecord { time: 0.0, step: 0, content: Some(Content::FileVersion(VERSION.into())) };
    let mut kept = record::framed(&version);
    let mut seen = BTreeSet::new();
    let mut entries = Vec::new();
    // From the last one on, because what was written later holds.
    for entry in record::entries(&bytes).into_iter().rev() {
        let Some(Content::Summary(summary)) = &entry.content else { continue };
        let is_new = summary.values.iter().fold(false, |new, value| seen.insert((value.tag.clone(), entry.step)) | new);
        if is_new && entry.step <= last {
            entries.push(entry);
        }
    }
    entries.iter().rev().for_each(|entry| kept.extend(record::framed(entry)));
    if kept != bytes {
        write_file(path, &kept)?;
    }
    OpenOptions::new().append(true).open(path).map_err(failed)
}

fn of_update(step: &Step) -> Vec<SummaryValue> {
    let report = &step.report;
    let mut values = vec![scalar("loss", "weighted sum", report.loss)];
    values.extend(report.terms.iter().map(|(term, value)| scalar("loss", term, *value)));
    values.extend([scalar("update", "rate", report.rate), scalar("update", "gradient norm", report.norm)]);
    values.extend(step.watts.map(|watts| scalar("energy", "watts", watts.value().get())));
    values.extend(step.joules.map(|joules| scalar("energy", "joules", joules.value().get())));
    values
}

fn scalar(group: &str, name: &str, value: f64) -> SummaryValue {
    SummaryValue { tag: format!("{group}/{name}"), number: Some(value as f32) }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use attar_text::metrics::{Metric, Score};

    use super::*;
    use crate::train::StepReport;

    fn step(stage: usize, step: usize, loss: f64) -> Event {
        let terms = BTreeMap::from([("gold", loss)]);
        let report = StepReport { loss, terms, norm: 1.0, rate: 1e-5, rows: 1, tokens: 3 };
        Event::Step(Step { stage, step, report, seconds: 0.1, joules: None, watts: None })
    }

    #[test]
    fn an_update_says_what_was_read() {
        let watts = attar_meter::Watts::new(12.5).unwrap();
        let Event::Step(bare) = step(0, 10, 2.0) else { panic!() };
        let read = Step { watts: Some(attar_meter::Estimate::exact(watts)), ..bare.clone() };
        let tags = |step: &Step| of_update(step).into_iter().map(|value| value.tag).collect::<Vec<_>>();
        assert_eq!(tags(&bare), ["loss/weighted sum", "loss/gold", "update/rate", "update/gradient norm"]);
        assert_eq!(tags(&read).last().unwrap(), "energy/watts");
        assert_eq!(of_update(&read).last().unwrap().number, Some(12.5));
    }

    fn began(stage: usize, step: usize) -> Event {
        Event::Began { stage, step, energy: Vec::new() }
    }

    /// The losses in a file, with their updates.
    fn losses(path: &Path) -> Vec<(i64, f32)> {
        let of = |entry: &EventRecord| match &entry.content {
            Some(Content::Summary(summary)) => summary
                .values
                .iter()
                .find(|value| value.tag == "loss/gold")
                .map(|value| (entry.step, value.number.unwrap())),
            _ => None,
        };
        record::entries(&std::fs::read(path).unwrap()).iter().filter_map(of).collect()
    }

    #[test]
    fn a_resumed_run_does_nothing_twice() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join(FILE);
        let mut log = TensorBoard::append_to(&path, vec![30, 20]).unwrap();
        log.write(&began(0, 0)).unwrap();
        for at in 1..=30 {
            log.write(&step(0, at, 3.0)).unwrap();
        }
        log.write(&step(1, 10, 0.0)).unwrap();
        assert_eq!(losses(&path), [(10, 3.0), (20, 3.0), (30, 3.0), (40, 0.0)]);
        drop(log);
        // A crash cut a record short.
        let mut bytes = std::fs::read(&path).unwrap();
        bytes.truncate(bytes.len() - 3);
        std::fs::write(&path, &bytes).unwrap();
        let mut log = TensorBoard::append_to(&path, vec![30, 20]).unwrap();
        log.write(&began(0, 20)).unwrap();
        log.write(&step(0, 30, 2.0)).unwrap();
        assert_eq!(losses(&path), [(10, 3.0), (20, 3.0), (30, 2.0)]);
        let first = record::entries(&std::fs::read(&path).unwrap()).remove(0);
        assert_eq!(first.content, Some(Content::FileVersion(VERSION.into())));
    }

    #[test]
    fn a_score_before_the_first_update_is_there_once() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join(FILE);
        let scored = |log: &mut TensorBoard, stage, step| {
            let score = Score { metric: Metric::Accuracy, value: Some(0.5), interval: None, rows: 2 };
            log.write(&Event::Evaluated { stage, step, score, best: true }).unwrap();
        };
        let scores = || {
            let entries = record::entries(&std::fs::read(&path).unwrap());
            let of_score = |entry: &&EventRecord| matches!(&entry.content, Some(Content::Summary(_)));
            entries.iter().filter(of_score).map(|entry| entry.step).collect::<Vec<_>>()
        };
        // A run that was killed before its first checkpoint begins again.
        for _ in 0..2 {
            let mut log = TensorBoard::append_to(&path, vec![30, 20]).unwrap();
            log.write(&began(0, 0)).unwrap();
            scored(&mut log, 0, 0);
            assert_eq!(scores(), [0]);
        }
        // What a checkpoint follows is kept.
        let mut log = TensorBoard::append_to(&path, vec![30, 20]).unwrap();
        scored(&mut log, 0, 30);
        log.write(&began(1, 0)).unwrap();
        assert_eq!(scores(), [0, 30]);
    }
}
