//! A file of rows in, the same rows with answers out: every byte of the input stays, columns are added at the end.
//!
//! Rows are TSV, CSV or JSONL, of a file or of standard input; those of Parquet and Arrow files become JSONL. They come out in their own form, as JSONL, or, where the answers
//! are vectors, as an array of numpy. At most [`TURN`] rows are in memory at a time, in order.

mod npy;
mod output;
mod places;
mod records;
mod write;

use std::fs::File;
use std::io::{BufRead, BufReader};
use std::path::Path;

use anyhow::{Context, bail, ensure};
use attar_distill::recipe::Delimiter;
use attar_runtime::{Error, Session, Text};
use attar_text::table::{self, Format};
use serde_json::Value;

use super::answers::{Tally, answer_turn};
use crate::cli::OnErrorArg;
use crate::cli::data::{EncodingArg, FormatArg, FormatArgs};
use crate::progress::{counting, counting_up};
use crate::rows::is_tagged;
use output::Output;
use places::{Places, find, texts_of};
use records::{Record, Records};

pub(crate) use npy::NpyFile;

/// Rows that are in memory at a time.
const TURN: usize = 2048;
/// Bytes of rows after which a turn is full.
const TURN_BYTES: usize = 4 << 20;

/// How rows are read and written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Form {
    /// Values with this byte between them.
    Separated {
        by: u8,
        /// Whether values may be quoted.
        quoted: bool,
    },
    /// A JSON object on each line.
    Json,
}

/// Computes answers to rows, and the columns that they become.
pub(crate) trait Answers {
    /// The answer to one row.
    type Answer;
    /// The columns that are added, at least one.
    fn columns(&self) -> &'static [&'static str];
    /// Answers to texts, in their order.
    fn answer(&self, session: &mut Session, texts: &[Text<'_>]) -> Result<Vec<Self::Answer>, Error>;
    /// What stands in the columns.
    fn values(&self, texts: Text<'_>, answer: &Self::Answer, form: Form) -> Vec<Value>;
    /// The answer as a row of numbers, if it is one.
    fn vector<'a>(&self, _: &'a Self::Answer) -> Option<&'a [f32]> {
        None
    }
    /// Whether tables hold the answers as JSON.
    fn are_json(&self) -> bool {
        false
    }
    /// Words that the columns may hold unquoted.
    fn words(&self) -> &[String] {
        &[]
    }
}

/// What is answered, and where the answers go.
#[derive(Debug, Clone, Copy)]
pub(crate) struct RowFile<'a> {
    /// The file, or `-` for standard input.
    pub(crate) data: &'a Path,
    /// The file of the answers; none for standard output.
    pub(crate) out: Option<&'a Path>,
    /// The model that answers.
    pub(crate) model: &'a Path,
    /// Column of the text.
    pub(crate) text: &'a str,
    /// Column of the second text.
    pub(crate) pair: Option<&'a str>,
    pub(crate) format: &'a FormatArgs,
    pub(crate) on_error: OnErrorArg,
}

/// Answers every row of a file.
pub(crate) fn run<A: Answers>(session: &mut Session, answers: &A, file: RowFile<'_>) -> anyhow::Result<()> {
    let (form, format) = form(file)?;
    let is_standard_input = file.data == Path::new("-");
    let name = if is_standard_input { "standard input".into() } else { file.data.display().to_string() };
    let about = || name.clone();
    session.watch_cuts();
    let mut answering = Answering { answers, form, file, tally: Tally::new(file.on_error, "line") };
    if is_standard_input {
        let mut bar = counting_up("rows");
        let progress = |_, rows| bar.inc(rows);
        answering.all(session, BufReader::new(std::io::stdin().lock()), progress).with_context(about)?;
        bar.finish_and_clear();
    } else if let Some(input) = table::as_json_lines(file.data, format)? {
        let mut bar = counting_up("rows");
        answering.all(session, input, |_, rows| bar.inc(rows))?;
        bar.finish_and_clear();
    } else {
        let input = File::open(file.data).with_context(|| format!("{name} cannot be read"))?;
        let mut bar = counting(usize::try_from(input.metadata()?.len())?, "bytes");
        let progress = |bytes, _| bar.inc(bytes);
        answering.all(session, BufReader::new(input), progress).with_context(about)?;
        bar.finish_and_clear();
    }
    answering.tally.tell(session.limit().max_tokens);
    Ok(())
}

/// Answering a file.
struct Answering<'a, A> {
    answers: &'a A,
    form: Form,
    file: RowFile<'a>,
    tally: Tally,
}

impl<A: Answers> Answering<'_, A> {
    /// Answers all records; `progress` gets bytes and rows.
    fn all(
        &mut self,
        session: &mut Session,
        input: impl BufRead,
        mut progress: impl FnMut(u64, u64),
    ) -> anyhow::Result<()> {
        let quoted_by = match self.form {
            Form::Separated { by, quoted: true } => Some(by),
            _ => None,
        };
        let mut records = Records::new(input, quoted_by);
        let mut out: Option<(Places, Output)> = None;
        let mut turn: Vec<Record> = Vec::new();
        let mut bytes = 0;
        loop {
            let next = records.next()?;
            let is_last = next.is_none();
            bytes += next.as_ref().map_or(0, |record| record.raw.len());
            turn.extend(next);
            if turn.len() < TURN && bytes < TURN_BYTES && !is_last {
                continue;
            }
            let mut first = 0;
            if out.is_none()
                && let Some(place) = turn.iter().position(|record| !record.is_blank())
            {
                let (places, header) = find(&turn[place], self.form, self.file)?;
                let mut output = Output::new(self.file, self.form, header.clone(), self.answers.columns())?;
                self.check_words(&output)?;
                if header.is_some() {
                    first = place + 1;
                    turn[..place].iter().try_for_each(|blank| output.blank(blank))?;
                    output.header(&turn[place])?;
                }
                out = Some((places, output));
            }
            if let Some((places, output)) = &mut out {
                self.turn(session, &turn[first..], places, output)?;
                // A program that reads the output sees every finished turn.
                output.flush()?;
            }
            progress(bytes as u64, turn.len() as u64);
            turn.clear();
            bytes = 0;
            if is_last {
                return match out {
                    Some((_, output)) => output.finish(),
                    None => bail!("the input has no rows"),
                };
            }
        }
    }

    fn turn(
        &mut self,
        session: &mut Session,
        turn: &[Record],
        places: &Places,
        output: &mut Output,
    ) -> anyhow::Result<()> {
        let added = output.added();
        let texts = |record| texts_of(record, places, self.form, added).map_err(|error| format!("{error:#}"));
        let all: Vec<(&Record, Option<Result<_, String>>)> =
            turn.iter().map(|record| (record, (!record.is_blank()).then(|| texts(record)))).collect();
        let good: Vec<Text<'_>> = (all.iter())
            .filter_map(|(_, texts)| texts.as_ref()?.as_ref().ok())
            .map(|(text, pair): &(String, Option<String>)| (text.as_str(), pair.as_deref()))
            .collect();
        let answered = answer_turn(session, &good, |session, texts| self.answers.answer(session, texts));
        let mut answered = good.iter().zip(answered);
        for (record, texts) in &all {
            let answer = match texts {
                None => {
                    output.blank(record)?;
                    continue;
                }
                Some(Ok(_)) => match answered.next() {
                    Some((text, Ok((answer, is_cut)))) => Ok((*text, answer, is_cut)),
                    Some((_, Err(problem))) => Err(problem),
                    None => Err("no answer".into()),
                },
                Some(Err(problem)) => Err(problem.clone()),
            };
            match answer {
                Ok((text, answer, is_cut)) => {
                    self.tally.answered(record.line, is_cut);
                    output.answered(record, self.answers, text, &answer)?;
                }
                Err(problem) => {
                    self.tally.refused(record.line, &problem)?;
                    output.unanswered(record)?;
                }
            }
        }
        Ok(())
    }

    /// Refuses words that cannot stand in a column as they are.
    fn check_words(&self, output: &Output) -> anyhow::Result<()> {
        if let Some(Form::Separated { by, quoted: false }) = output.form() {
            let fits = |name: &&String| !name.contains([char::from(by), '\n', '\r']);
            ensure!(
                self.answers.words().iter().all(|name| fits(&name)),
                "a label holds a separator: write the rows as CSV or JSONL"
            );
            // JSON writes a tab in a text as `\t`, and other separators as they are.
            ensure!(
                by == b'\t' || !self.answers.are_json(),
                "entities hold commas and other marks: write the rows as JSONL, or give --quoting true"
            );
        }
        Ok(())
    }
}

/// The extension of a file name, in lower case.
pub(crate) fn extension(path: &Path) -> Option<String> {
    path.extension().map(|extension| extension.to_string_lossy().to_ascii_lowercase())
}

/// How rows are written, by the flags or else by the extension, and the format of the file.
fn form(file: RowFile<'_>) -> anyhow::Result<(Form, Format)> {
    let extension = extension(file.data);
    let format = match (file.format.format, extension.as_deref()) {
        (Some(format), _) => format,
        (None, Some("csv")) => FormatArg::Csv,
        (None, Some("tsv" | "txt" | "tab")) => FormatArg::Tsv,
        (None, Some("jsonl" | "ndjson")) => FormatArg::Jsonl,
        (None, Some("parquet" | "pq")) => FormatArg::Parquet,
        (None, Some("arrow" | "arrows" | "feather" | "ipc")) => FormatArg::Arrow,
        (None, Some("json")) => bail!(
            "{}: rows are read line by line, and a .json file is one document: write an object a line (.jsonl); questions as SQuAD has \
             them become lines by `jq -c '.data[].paragraphs[] | .context as $context | .qas[] | {{id, question, context: $context}}'`",
            file.data.display()
        ),
        (None, Some(_)) if is_tagged(file.data) => bail!(
            "{}: words with tags are for training and scoring (`attar eval`): give a text a row in a .tsv, .csv or .jsonl file",
            file.data.display()
        ),
        _ if file.data == Path::new("-") => {
            bail!("--data -: standard input has no extension that tells its format: state it with --format")
        }
        _ => bail!("{}: the extension does not tell the format: state it with --format", file.data.display()),
    };
    ensure!(
        matches!(file.format.encoding, None | Some(EncodingArg::Utf8)),
        "--encoding: rows go through as they are, so they have to be in UTF-8: convert them first (`iconv`)"
    );
    let separated = |by, quoted| Form::Separated {
        by: file.format.delimiter.map_or(by, Delimiter::byte),
        quoted: file.format.quoting.unwrap_or(quoted),
    };
    Ok(match format {
        FormatArg::Csv => (separated(b',', true), Format::Csv),
        FormatArg::Tsv => (separated(b'\t', false), Format::Tsv),
        FormatArg::Jsonl => (Form::Json, Format::Jsonl),
        FormatArg::Parquet | FormatArg::Arrow if file.data == Path::new("-") => {
            bail!("--data -: Parquet and Arrow files are not read from a pipe: name the file")
        }
        FormatArg::Parquet => (Form::Json, Format::Parquet),
        FormatArg::Arrow => (Form::Json, Format::Arrow),
        FormatArg::Lines | FormatArg::LabelFirst | FormatArg::FastText => {
            bail!("--format: such lines have no room for answers: give a TSV, CSV or JSONL file")
        }
    })
}
