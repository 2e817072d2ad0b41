//! What is to be measured, checked before anything is.

use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context, ensure};
use attar_distill::model_directory;
use attar_distill::recipe::EnergySpec;
use attar_text::labeled::Dataset;
use attar_text::layout::Split;
use attar_text::random::Streams;
use attar_text::synthetic;
use serde::Serialize;

use crate::cli::bench::{BenchArgs, PrecisionArg, Threads};
use crate::held_out::divide;
use crate::{recipes, rows};

/// Tokens of the largest batch: room for its activations is needed.
const MOST_TOKENS: usize = 1 << 20;
/// Lengths that are timed where none are given.
const USUAL_LENGTHS: [usize; 2] = [32, 128];
/// Texts of attar's own, where no file is given.
const OWN_TEXTS: usize = 1000;

/// What is to be measured.
#[derive(Debug)]
pub(super) struct BenchPlan {
    pub(super) models: Vec<Named>,
    pub(super) precisions: Vec<PrecisionArg>,
    pub(super) threads: Vec<usize>,
    pub(super) shapes: Vec<Shape>,
    /// Whether the user asked for these lengths.
    lengths_given: bool,
    pub(super) texts: Texts,
    pub(super) max_tokens: Option<usize>,
    pub(super) rounds: usize,
    /// Least time of a turn.
    pub(super) turn: Duration,
    pub(super) starts: usize,
    pub(super) energy: EnergySpec,
}

/// A model directory and what it is called.
#[derive(Debug)]
pub(super) struct Named {
    pub(super) name: String,
    pub(super) directory: PathBuf,
}

/// Sequences of one length.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub(super) struct Shape {
    /// Sequences at once.
    pub(super) batch: usize,
    /// Tokens of each.
    pub(super) length: usize,
}

/// Texts to answer.
#[derive(Debug)]
pub(super) struct Texts {
    /// The file, or whose they are.
    pub(super) name: String,
    /// Texts and their pairs.
    pub(super) rows: Vec<(String, Option<String>)>,
}

impl BenchPlan {
    pub(super) fn new(args: &BenchArgs, threads: Option<&Threads>) -> anyhow::Result<BenchPlan> {
        for (flag, number) in [("--texts", args.texts), ("--rounds", args.rounds)] {
            ensure!(number > 0, "{flag} 0 measures nothing: give at least 1");
        }
        for (flag, number, most) in [("--rounds", args.rounds, 10_000), ("--starts", args.starts, 10_000)] {
            ensure!(number <= most, "{flag} {number} would not end: give at most {most}");
        }
        ensure!(
            args.seconds > 0.0 && args.seconds <= 600.0,
            "--seconds {} is no time of a turn: give more than 0 and at most 600",
            args.seconds
        );
        ensure!(args.max_tokens != Some(0), "--max-tokens 0 leaves nothing of a text: give at least 1");
        let (lengths, batches) = (distinct(&args.lengths), distinct(&args.batch));
        let lengths_given = !lengths.is_empty();
        let lengths = if lengths_given { lengths } else { USUAL_LENGTHS.to_vec() };
        ensure!(!lengths.contains(&0), "--lengths holds 0, and a text has at least 1 token: leave it out");
        ensure!(!batches.contains(&0), "--batch holds 0, and nothing is in such a batch: leave it out");
        let shapes: Vec<Shape> =
            batches.iter().flat_map(|&batch| lengths.iter().map(move |&length| Shape { batch, length })).collect();
        for Shape { batch, length } in &shapes {
            ensure!(
                batch.saturating_mul(*length) <= MOST_TOKENS,
                "{batch} sequences of {length} tokens are more than {MOST_TOKENS} tokens at once: give a smaller \
                 --batch or --lengths"
            );
        }
        let threads = match threads {
            Some(threads) => distinct(threads.all()),
            None => distinct(&[1, processors()]),
        };
        Ok(BenchPlan {
            models: named(&args.models)?,
            precisions: distinct(&args.precision),
            threads,
            shapes,
            lengths_given,
            texts: Texts::read(args)?,
            max_tokens: args.max_tokens,
            rounds: args.rounds,
            turn: Duration::from_secs_f64(args.seconds),
            starts: args.starts,
            energy: recipes::energy(&args.energy)?,
        })
    }

    /// Leaves out usual lengths that are too long for a model, and refuses those that were asked for.
    pub(super) fn fit(&mut self, model: &str, positions: usize) -> anyhow::Result<()> {
        if let Some(Shape { length, .. }) = self.shapes.iter().find(|shape| shape.length > positions) {
            ensure!(
                !self.lengths_given,
                "--lengths holds {length}, and {model} has {positions} positions: give lengths up to {positions}"
            );
            self.shapes.retain(|shape| shape.length <= positions);
        }
        Ok(())
    }
}

/// Processors that this program may use.
pub(super) fn processors() -> usize {
    std::thread::available_parallelism().map_or(1, usize::from)
}

impl Texts {
    fn read(args: &BenchArgs) -> anyhow::Result<Texts> {
        let (name, rows) = match (&args.data, &args.lines) {
            (Some(file), _) => {
                let data = divide(rows::texts(file, &args.table)?, &args.models, args.all_rows)?.scored;
                (file.display().to_string(), texts(data))
            }
            (None, Some(file)) => (file.display().to_string(), lines(file)?),
            (None, None) => {
                let data = synthetic::generate(&Streams::new(42), OWN_TEXTS, Split::Train);
                ("sentences of attar's own".to_owned(), texts(data))
            }
        };
        ensure!(!rows.is_empty(), "{name} holds no text: give a file with one a line as --lines, or a table as --data");
        let (all, kept) = (rows.len(), args.texts.min(rows.len()));
        // Evenly spread: a file may be sorted.
        let rows = (0..kept).map(|index| rows[index * all / kept].clone()).collect();
        Ok(Texts { name, rows })
    }

    /// The texts as a session takes them.
    pub(super) fn borrowed(&self) -> Vec<(&str, Option<&str>)> {
        self.rows.iter().map(|(text, pair)| (text.as_str(), pair.as_deref())).collect()
    }

    /// The text of middling length.
    pub(super) fn typical(&self) -> &(String, Option<String>) {
        let mut order: Vec<usize> = (0..self.rows.len()).collect();
        order.sort_by_key(|&row| self.rows[row].0.len());
        &self.rows[order[order.len() / 2]]
    }
}

fn texts(data: Dataset) -> Vec<(String, Option<String>)> {
    data.examples.into_iter().map(|example| (example.text, example.pair)).collect()
}

fn lines(file: &Path) -> anyhow::Result<Vec<(String, Option<String>)>> {
    let text = std::fs::read_to_string(file).with_context(|| format!("{} cannot be read as text", file.display()))?;
    Ok(text.lines().filter(|line| !line.trim().is_empty()).map(|line| (line.to_owned(), None)).collect())
}

/// Each once, in the order given.
fn distinct<T: Copy + PartialEq>(all: &[T]) -> Vec<T> {
    let mut once = Vec::new();
    for item in all {
        if !once.contains(item) {
            once.push(*item);
        }
    }
    once
}

/// Models under their folder's names, or under their paths where names would be the same.
fn named(models: &[PathBuf]) -> anyhow::Result<Vec<Named>> {
    let short: Vec<String> = models.iter().map(|path| model_directory::name(path)).collect();
    let names = models.iter().zip(&short).map(|(path, name)| {
        let alone = short.iter().filter(|other| *other == name).count() == 1;
        if alone { name.clone() } else { path.display().to_string() }
    });
    names.zip(models).map(|(name, path)| Ok(Named { name, directory: model_directory::existing(path)? })).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_told_apart() {
        let folder = tempfile::tempdir().unwrap();
        let names = |paths: &[&str]| -> Vec<String> {
            let paths: Vec<PathBuf> = paths.iter().map(|path| folder.path().join(path)).collect();
            paths.iter().for_each(|path| std::fs::create_dir_all(path).unwrap());
            let short = |model: Named| model.name.replace(&format!("{}/", folder.path().display()), "");
            named(&paths).unwrap().into_iter().map(short).collect()
        };
        assert_eq!(names(&["a/one", "b/two"]), ["one", "two"]);
        assert_eq!(names(&["a/one", "b/one", "c"]), ["a/one", "b/one", "c"]);
    }

    #[test]
    fn each_once_in_order() {
        assert_eq!(distinct(&[32, 1, 32, 1]), [32, 1]);
    }
}
