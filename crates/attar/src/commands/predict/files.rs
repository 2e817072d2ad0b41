//! A file of rows in, the same rows with answers out: every byte of the input stays, columns are added at the end.

use std::fs::File;
use std::io::{BufReader, BufWriter, Write};
use std::path::Path;

use anyhow::{Context, bail, ensure};
use attar_distill::recipe::Delimiter;
use attar_model::Target;
use attar_runtime::{Session, Text};
use attar_text::table::Column;
use serde_json::Value;

use super::prediction;
use super::records::{Record, Records};
use crate::cli::PredictArgs;
use crate::cli::data::{EncodingArg, FormatArg};
use crate::commands::answers::{Tally, answer_turn};
use crate::commands::part_file;
use crate::progress::counting;

/// Rows that are in memory at a time.
const TURN: usize = 2048;
/// Bytes of rows after which a turn is full.
const TURN_BYTES: usize = 4 << 20;
/// Columns that are added.
const LABEL: &str = "predicted_label";
const LABELS: &str = "predicted_labels";
const PROBABILITIES: &str = "predicted_probabilities";
const PROBABILITY: &str = "predicted_probability";
const SCORE: &str = "predicted_score";

/// How rows are written.
#[derive(Clone, Copy)]
enum Rows {
    Separated { by: u8, quoted: bool },
    Json,
}

/// Where the texts of a row are.
enum Places {
    Columns(usize, Option<usize>),
    Keys(String, Option<String>),
}

/// Answers every row of a file, some thousand at a time.
pub(super) fn run(session: &mut Session, target: &Target, data: &Path, args: &PredictArgs) -> anyhow::Result<()> {
    let rows = rows(data, args)?;
    if let (Rows::Separated { by, quoted: false }, Target::Labels(names) | Target::MultiLabel(names)) = (rows, target) {
        let fits = |name: &&String| !name.contains([char::from(by), '\n', '\r']);
        ensure!(names.iter().all(|name| fits(&name)), "a label holds a separator: write the rows as CSV or JSONL");
    }
    let input = File::open(data).with_context(|| format!("{} cannot be read", data.display()))?;
    let mut bar = counting(usize::try_from(input.metadata()?.len())?, "bytes");
    let about = || data.display().to_string();
    session.watch_cuts();
    let mut answering = Answering { target, rows, args, tally: Tally::new(args.on_error, "line") };
    if let Some(out) = &args.out {
        ensure!(!is_same(data, out), "{} is read and cannot be written too: name another --out", out.display());
        // Beside its place until it is complete, so that an incomplete file is never read as the result.
        let unwritable = || format!("{} cannot be written", out.display());
        let mut part = part_file::beside(out).with_context(unwritable)?;
        let to = BufWriter::new(part.as_file_mut());
        answering.all(session, input, to, |bytes| bar.inc(bytes)).with_context(about)?;
        part.persist(out).with_context(unwritable)?;
    } else {
        let to = BufWriter::new(std::io::stdout().lock());
        answering.all(session, input, to, |bytes| bar.inc(bytes)).with_context(about)?;
    }
    bar.finish_and_clear();
    answering.tally.tell(session.limit().max_tokens);
    Ok(())
}

/// Answering a file.
struct Answering<'a> {
    target: &'a Target,
    rows: Rows,
    args: &'a PredictArgs,
    tally: Tally,
}

impl Answering<'_> {
    fn all(
        &mut self,
        session: &mut Session,
        input: File,
        mut out: impl Write,
        mut progress: impl FnMut(u64),
    ) -> anyhow::Result<()> {
        let (rows, target) = (self.rows, self.target);
        let quoted_by = match rows {
            Rows::Separated { by, quoted: true } => Some(by),
            _ => None,
        };
        let mut records = Records::new(BufReader::new(input), quoted_by);
        let mut places: Option<Places> = None;
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
            if places.is_none()
                && let Some(record) = turn.iter().find(|record| !record.is_blank())
            {
                let (found, is_header) = find(record, rows, self.args)?;
                places = Some(found);
                if is_header {
                    first = 1 + turn.iter().position(|record| !record.is_blank()).unwrap_or(0);
                    turn[..first - 1].iter().try_for_each(|blank| out.write_all(&blank.raw))?;
                    refuse_answered(&turn[first - 1], rows, target)?;
                    write_header(&mut out, &turn[first - 1], rows, target)?;
                }
            }
            if let Some(places) = &places {
                self.turn(session, &turn[first..], places, &mut out)?;
            }
            // Whoever reads along has what is there.
            out.flush()?;
            progress(bytes as u64);
            turn.clear();
            bytes = 0;
            if is_last {
                ensure!(places.is_some(), "no row");
                return Ok(());
            }
        }
    }

    fn turn(
        &mut self,
        session: &mut Session,
        turn: &[Record],
        places: &Places,
        out: &mut impl Write,
    ) -> anyhow::Result<()> {
        let texts = |record| texts_of(record, places, self.rows).map_err(|error| format!("{error:#}"));
        let all: Vec<(&Record, Option<Result<_, String>>)> =
            turn.iter().map(|record| (record, (!record.is_blank()).then(|| texts(record)))).collect();
        let good: Vec<Text<'_>> = (all.iter())
            .filter_map(|(_, texts)| texts.as_ref()?.as_ref().ok())
            .map(|(text, pair): &(String, Option<String>)| (text.as_str(), pair.as_deref()))
            .collect();
        let mut answers = answer_turn(session, &good, |session, texts| session.logits(texts, |_| ())).into_iter();
        for (record, texts) in &all {
            let answer = match texts {
                None => {
                    out.write_all(&record.raw)?;
                    continue;
                }
                Some(Ok(_)) => answers.next().unwrap_or_else(|| Err("no answer".into())),
                Some(Err(problem)) => Err(problem.clone()),
            };
            match answer {
                Ok((logits, is_cut)) => {
                    self.tally.answered(record.line, is_cut);
                    write_row(out, record, self.rows, &added(self.target, self.rows, &logits))?;
                }
                Err(problem) => {
                    self.tally.refused(record.line, &problem)?;
                    self.write_unanswered(out, record)?;
                }
            }
        }
        Ok(())
    }

    /// A row with nothing in the columns that are added; JSON goes through as it is.
    fn write_unanswered(&self, out: &mut impl Write, record: &Record) -> anyhow::Result<()> {
        match self.rows {
            Rows::Json => Ok(out.write_all(&record.raw)?),
            Rows::Separated { .. } => {
                let added: Vec<_> = added_columns(self.target).iter().map(|name| (*name, Value::from(""))).collect();
                write_row(out, record, self.rows, &added)
            }
        }
    }
}

/// What is added to a row.
fn added(target: &Target, rows: Rows, logits: &[f32]) -> Vec<(&'static str, Value)> {
    let answer = prediction("", None, target, logits);
    if let Some(labels) = &answer.labels {
        let chances: Vec<f64> = answer.likely().map(|(_, probability)| rounded(probability)).collect();
        return vec![(LABELS, several(labels, rows)), (PROBABILITIES, several(&chances, rows))];
    }
    let best = answer.probabilities.iter().find(|(name, _)| Some(*name) == answer.label);
    match (answer.label, best, answer.score) {
        (Some(label), Some((_, probability)), _) => {
            vec![(LABEL, Value::from(label)), (PROBABILITY, Value::from(rounded(*probability)))]
        }
        (.., score) => vec![(SCORE, Value::from(score))],
    }
}

/// Six places: more are noise of 32-bit logits.
fn rounded(probability: f64) -> f64 {
    (probability * 1e6).round() / 1e6
}

/// Several values of a row: an array in JSON, else with semicolons between them, or bars where semicolons part columns.
fn several<T: serde::Serialize + ToString>(values: &[T], rows: Rows) -> Value {
    match rows {
        Rows::Json => serde_json::json!(values),
        Rows::Separated { by, .. } => {
            values.iter().map(T::to_string).collect::<Vec<_>>().join(if by == b';' { "|" } else { ";" }).into()
        }
    }
}

/// The columns that are added.
fn added_columns(target: &Target) -> &'static [&'static str] {
    match target {
        Target::Labels(_) => &[LABEL, PROBABILITY],
        Target::MultiLabel(_) => &[LABELS, PROBABILITIES],
        Target::Regression => &[SCORE],
    }
}

/// A file that was answered before would have two columns of the same name.
fn refuse_answered(header: &Record, rows: Rows, target: &Target) -> anyhow::Result<()> {
    let Rows::Separated { by, quoted } = rows else { return Ok(()) };
    let columns = values(header.parts().0, by, quoted)?;
    match added_columns(target).iter().find(|name| columns.iter().any(|column| column == *name)) {
        Some(name) => bail!("line {}: there is a column `{name}` already: remove or rename it", header.line),
        None => Ok(()),
    }
}

fn write_header(out: &mut impl Write, record: &Record, rows: Rows, target: &Target) -> anyhow::Result<()> {
    let added: Vec<(&str, Value)> = added_columns(target).iter().map(|name| (*name, Value::from(*name))).collect();
    write_row(out, record, rows, &added)
}

/// A row as it was, with what is added.
fn write_row(out: &mut impl Write, record: &Record, rows: Rows, added: &[(&str, Value)]) -> anyhow::Result<()> {
    let (body, end) = record.parts();
    match rows {
        Rows::Separated { by, quoted } => {
            out.write_all(body)?;
            for (_, value) in added {
                let text = value.as_str().map_or_else(|| value.to_string(), str::to_owned);
                let needs = quoted && text.contains([char::from(by), '"', '\n', '\r']);
                let text = if needs { format!("\"{}\"", text.replace('"', "\"\"")) } else { text };
                out.write_all(&[by])?;
                out.write_all(text.as_bytes())?;
            }
        }
        Rows::Json => {
            // The object was read, so it ends in a brace.
            let brace = body.iter().rposition(|&byte| byte == b'}').unwrap_or(body.len());
            let (before, after) = body.split_at(brace);
            out.write_all(before)?;
            let mut comma = if before.trim_ascii_end().ends_with(b"{") { "" } else { "," };
            for (name, value) in added {
                write!(out, "{comma}\"{name}\":{value}")?;
                comma = ",";
            }
            out.write_all(after)?;
        }
    }
    Ok(out.write_all(end)?)
}

/// Where the texts are, from the first record, and whether that is a header.
fn find(record: &Record, rows: Rows, args: &PredictArgs) -> anyhow::Result<(Places, bool)> {
    let pair = args.pair.as_deref();
    let Rows::Separated { by, quoted } = rows else {
        return Ok((Places::Keys(args.text.clone(), pair.map(str::to_owned)), false));
    };
    let columns: Vec<Column> =
        [Some(args.text.as_str()), pair].into_iter().flatten().map(str::parse).collect::<Result<_, _>>()?;
    let by_name = columns.iter().all(|column| matches!(column, Column::Name(_)));
    let is_header = args.format.header.unwrap_or(by_name);
    let mut values = values(record.parts().0, by, quoted)?;
    if let Some(first) = values.first_mut() {
        *first = first.trim_start_matches('\u{feff}').to_string();
    }
    let place = |column: &Column| match column {
        Column::Number(number) => {
            ensure!(*number <= values.len(), "no column {number}: line {} has {}", record.line, values.len());
            Ok(number - 1)
        }
        Column::Name(name) => {
            ensure!(is_header, "a column named {name} needs a header: number the columns, or leave --header out");
            values.iter().position(|known| known == name).with_context(|| {
                format!("no column {name}: there are {}; name one with --text or --pair", values.join(", "))
            })
        }
    };
    let places = columns.iter().map(place).collect::<anyhow::Result<Vec<usize>>>()?;
    Ok((Places::Columns(places[0], places.get(1).copied()), is_header))
}

/// The text of a row, and the second one.
fn texts_of(record: &Record, places: &Places, rows: Rows) -> anyhow::Result<(String, Option<String>)> {
    let body = record.parts().0;
    match (places, rows) {
        (Places::Columns(text, pair), Rows::Separated { by, quoted }) => {
            ensure!(
                !quoted || !record.has_stray_quote(by),
                "a quotation mark inside a quoted value is followed by neither a separator nor the end of the line: write \
                 it twice, or give --quoting false"
            );
            let values = values(body, by, quoted)?;
            let take = |column: usize| {
                let value = values.get(column).cloned();
                value.with_context(|| format!("expected at least {} columns, found {}", column + 1, values.len()))
            };
            Ok((take(*text)?, pair.map(take).transpose()?))
        }
        (Places::Keys(text, pair), _) => {
            let body = body.strip_prefix("\u{feff}".as_bytes()).unwrap_or(body);
            let object: serde_json::Map<String, Value> = serde_json::from_slice(body).context("expected an object")?;
            let answered = [LABEL, LABELS, PROBABILITIES, PROBABILITY, SCORE];
            if let Some(key) = answered.iter().find(|key| object.contains_key(**key)) {
                bail!("there is a key `{key}` already: remove or rename it");
            }
            let take = |key: &String| match object.get(key) {
                Some(Value::String(text)) => Ok(text.clone()),
                Some(other) => bail!("{key}: expected a string, found {other:.40}"),
                None => {
                    let keys: Vec<&str> = object.keys().map(String::as_str).collect();
                    bail!("no key {key}: there are {}; name one with --text or --pair", keys.join(", "))
                }
            };
            Ok((take(text)?, pair.as_ref().map(take).transpose()?))
        }
        (Places::Columns(..), Rows::Json) => unreachable!("keys are looked for in objects"),
    }
}

/// The values of a record without its line end.
fn values(body: &[u8], by: u8, quoted: bool) -> anyhow::Result<Vec<String>> {
    if !quoted {
        let text = std::str::from_utf8(body).context("not UTF-8")?;
        return Ok(text.split(char::from(by)).map(str::to_owned).collect());
    }
    let mut reader = csv::ReaderBuilder::new()
        .delimiter(by)
        .terminator(csv::Terminator::Any(b'\n'))
        .has_headers(false)
        .buffer_capacity(body.len().max(1))
        .from_reader(body);
    let mut record = csv::StringRecord::new();
    reader.read_record(&mut record).context("not UTF-8")?;
    Ok(record.iter().map(str::to_owned).collect())
}

/// By the flags, or else by the extension.
fn rows(data: &Path, args: &PredictArgs) -> anyhow::Result<Rows> {
    let extension = data.extension().map(|extension| extension.to_string_lossy().to_ascii_lowercase());
    let format = match (args.format.format, extension.as_deref()) {
        (Some(format), _) => format,
        (None, Some("csv")) => FormatArg::Csv,
        (None, Some("tsv" | "txt" | "tab")) => FormatArg::Tsv,
        (None, Some("jsonl" | "ndjson")) => FormatArg::Jsonl,
        _ => bail!("{}: the extension does not tell the format: state it with --format", data.display()),
    };
    ensure!(
        matches!(args.format.encoding, None | Some(EncodingArg::Utf8)),
        "--encoding: rows go through as they are, so they have to be in UTF-8: convert them first (`iconv`)"
    );
    let separated = |by, quoted| Rows::Separated {
        by: args.format.delimiter.map_or(by, Delimiter::byte),
        quoted: args.format.quoting.unwrap_or(quoted),
    };
    Ok(match format {
        FormatArg::Csv => separated(b',', true),
        FormatArg::Tsv => separated(b'\t', false),
        FormatArg::Jsonl => Rows::Json,
        FormatArg::Lines | FormatArg::LabelFirst | FormatArg::FastText => {
            bail!("--format: such lines have no room for answers: give a TSV, CSV or JSONL file")
        }
    })
}

fn is_same(a: &Path, b: &Path) -> bool {
    matches!((a.canonicalize(), b.canonicalize()), (Ok(a), Ok(b)) if a == b)
}
