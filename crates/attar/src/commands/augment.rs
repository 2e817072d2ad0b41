//! `attar augment`: new rows out of training rows, for a teacher to label.

mod masked_lm;
mod output;
mod sources;

use std::path::PathBuf;
use std::time::Instant;

use anyhow::{Context, bail, ensure};
use attar_distill::data::LabeledData;
use attar_text::augment::{AugmentOptions, Augmenter, Semantics};
use attar_text::corpus::Corpus;
use attar_text::labeled::{Example, Label, Target};
use attar_text::random::Streams;
use serde::Serialize;

use self::output::{Columns, Output};
use crate::cli::augment::{AugmentArgs, SemanticsArg};
use crate::overwriting::refuse_overwriting_input;
use crate::progress::{Counting, counting};
use crate::{console, recipes, tables};

/// Rows that are augmented at a time.
const TURN: usize = 1024;

#[derive(Serialize)]
struct Finished {
    file: String,
    rows: usize,
    new_rows: usize,
    /// Words replaced in a new row, on average.
    replaced_a_row: Option<f64>,
    /// Rows of which no word had a candidate.
    without_candidates: usize,
    /// New rows left out because they had come before.
    repeated: usize,
    seconds: f64,
    new_rows_a_second: f64,
}

pub(crate) fn run(args: &AugmentArgs) -> anyhow::Result<()> {
    let semantics = match args.semantics {
        SemanticsArg::Clean => Semantics::Clean,
        SemanticsArg::Reference => Semantics::Reference,
    };
    let options = AugmentOptions { per_row: args.per_row, replace: args.replace, top: args.top, semantics };
    let streams = Streams::new(args.seed);
    // What can be refused is refused before the sources are read, some of which are large.
    let read = [&args.data, &args.unlabeled, &args.dev, &args.label.label_file].into_iter().flatten();
    refuse_overwriting_input(
        &args.out,
        read.chain(args.candidates.iter().map(|source| &source.path)).map(PathBuf::as_path),
    )?;
    let data = match &args.data {
        Some(_) => Some(labeled(args, &streams)?),
        None => None,
    };
    if let Some(data) = &data {
        // The files of a known data set's folder.
        let files = [&data.train.path, &data.dev.path].into_iter().flatten();
        refuse_overwriting_input(&args.out, files.map(PathBuf::as_path))?;
    }
    if data.as_ref().is_some_and(|data| matches!(data.train.target, Target::Answers { .. })) {
        bail!(
            "new words would move the answers of questions, and a question is about the words of its context: there is nothing to \
             augment; `--unlabeled` and `--noisy-copies` of `attar distill` give a student more questions"
        );
    }
    let has_tags = data.as_ref().is_some_and(|data| matches!(data.train.target, Target::Tags(_)));
    ensure!(
        !(args.keep_labels && has_tags),
        "--keep-labels keeps the label of a text, and here words have tags: leave it out"
    );
    let columns = Columns::of(args, data.as_ref().is_some_and(|data| data.train.has_pairs()))?;
    let target = data.as_ref().map(|data| &data.train.target).filter(|_| args.keep_labels);
    let mut output = Output::create(&args.out, columns)?;
    let sources = sources::open(&args.candidates, args.vectors, semantics)?;
    let mut augmenter = Augmenter::new(options, sources, streams)?;

    let began = Instant::now();
    if let Some(data) = &data {
        augmenter.keep_out(&data.dev.examples);
        augmenter.keep_out(&data.train.examples);
        let mut bar = counting(data.train.len(), "rows");
        for rows in data.train.examples.chunks(TURN) {
            augment(&mut augmenter, rows, target, &args.label.multi_label, &mut output)?;
            bar.inc(rows.len() as u64);
        }
        bar.finish_and_clear();
    } else if let Some(file) = &args.unlabeled {
        let mut corpus = Corpus::open(&[file])?;
        let (position, total) = (corpus.position(), corpus.total_bytes());
        let mut bar: Counting = counting(usize::try_from(total)?, "bytes");
        loop {
            let texts = corpus.by_ref().take(TURN);
            let rows: Vec<Example> = texts.map(|text| Example { text, pair: None, label: Label::Absent }).collect();
            if rows.is_empty() {
                break;
            }
            augmenter.keep_out(&rows);
            augment(&mut augmenter, &rows, None, &None, &mut output)?;
            bar.set_position(position.load(std::sync::atomic::Ordering::Relaxed));
        }
        bar.finish_and_clear();
        corpus.finish()?;
    }
    let seconds = began.elapsed().as_secs_f64();

    let tally = augmenter.tally();
    ensure!(
        output.rows() > 0,
        "none of {} rows has a word with a candidate: name other --candidates, or several",
        tally.rows
    );
    let new_rows = output.rows();
    output.finish()?;
    report(
        &Finished {
            file: args.out.display().to_string(),
            rows: tally.rows,
            new_rows,
            replaced_a_row: (tally.copies > 0).then(|| tally.replaced as f64 / tally.copies as f64),
            without_candidates: tally.without_candidates,
            repeated: tally.repeated,
            seconds,
            new_rows_a_second: new_rows as f64 / seconds,
        },
        args.json,
    )
}

/// The training rows, and those held out of them as `distill` does it.
fn labeled(args: &AugmentArgs, streams: &Streams) -> anyhow::Result<LabeledData> {
    let data = LabeledData::load(&recipes::data(&args.data_args())?, streams)?;
    data.notes.iter().for_each(console::note);
    Ok(data)
}

fn augment(
    augmenter: &mut Augmenter<'_>,
    rows: &[Example],
    target: Option<&Target>,
    separator: &Option<String>,
    output: &mut Output,
) -> anyhow::Result<()> {
    for new in augmenter.augment(rows)? {
        let label = target.map(|target| output::label(&new.example.label, target, separator.as_deref()));
        output.write(&new.example, label).with_context(|| format!("a new row of row {}", new.of + 1))?;
    }
    Ok(())
}

fn report(finished: &Finished, json: bool) -> anyhow::Result<()> {
    if json {
        return console::json(finished);
    }
    let Finished { file, rows, new_rows, replaced_a_row, without_candidates, repeated, .. } = finished;
    let count = |number: &usize| tables::count(*number as u64);
    console::say(format!(
        "{file}: {} new rows of {} rows, {:.1} words replaced in each; {} rows without any candidate, {} repetitions left \
         out; {} new rows a second",
        count(new_rows),
        count(rows),
        replaced_a_row.unwrap_or_default(),
        count(without_candidates),
        count(repeated),
        tables::count(finished.new_rows_a_second as u64),
    ))?;
    Ok(())
}
