//! From the recipe's words to labeled rows.

use std::path::{Path, PathBuf};

use attar_model::EncoderConfig;
use attar_text::labeled::{
    DataError, Dataset, Label, LabeledSpec, Target, TargetSpec, read, read_answers, read_tagged,
};
use attar_text::layout::{Layout, Split};
use attar_text::metrics::{Metric, TagScheme};
use attar_text::random::Streams;
use attar_text::synthetic;
use attar_text::table::{Column, Format, Header, Quoting, TableSpec, TextEncoding};

use crate::Error;
use crate::labels::ClassOrder;
use crate::plan::ranges;
use crate::recipe::{DataSpec, Delimiter, TableEncoding, TableFormat, TableKind};

/// Labeled rows to learn from and to score by.
#[derive(Debug, Clone)]
pub struct LabeledData {
    /// Rows to learn from.
    pub train: Dataset,
    /// Rows to choose and score by; none of them is learned from.
    pub dev: Dataset,
    /// The metric that decides, then the others that are reported.
    pub metrics: Vec<Metric>,
    /// Longest sequence in tokens.
    pub max_tokens: usize,
    /// Whether the order of the classes means something.
    pub class_order: ClassOrder,
    /// Sentences for the user: what had to be decided on reading, and what was held out.
    pub notes: Vec<String>,
}

impl LabeledData {
    /// Reads what a recipe names.
    ///
    /// Where there is no dev file, [`Dataset::hold_out`] decides by the rows and the streams alone which are held out, before
    /// `rows` of the others are taken: a teacher's fine-tuning and its distillation by the same file and seed keep the same
    /// rows back.
    ///
    /// # Errors
    /// If a number is out of its range, or a file is missing or not what it is said to be.
    pub fn load(spec: &DataSpec, streams: &Streams) -> Result<LabeledData, Error> {
        ranges::data(spec)?;
        let mut notes = Vec::new();
        let (train, dev, metrics, max_tokens) = match spec {
            DataSpec::Known { layout, path, dev_share, max_tokens, .. } => {
                let layout = Layout::from_name(layout)?;
                let (train, dev) = known(layout, path, *dev_share, streams, &mut notes)?;
                (train, dev, layout.metrics().to_vec(), *max_tokens)
            }
            DataSpec::Table { metric, max_tokens, .. } => {
                let (train, dev) = tables(spec, streams, &mut notes)?;
                let metrics = metrics(metric.as_deref(), &train.target)?;
                (train, dev, metrics, *max_tokens)
            }
            DataSpec::Tagged { train, dev, dev_share, labels, metric, max_tokens, .. } => {
                let learned = read_tagged(train, labels.as_deref())?;
                let (train, dev) = match dev {
                    // The dev sentences have the tags of the training sentences, in their order.
                    Some(dev) => {
                        let dev = read_tagged(dev, learned.target.labels().map(|labels| labels.names.as_slice()))?;
                        (learned, dev)
                    }
                    None => hold_out(&learned, *dev_share, streams, &mut notes)?,
                };
                let metrics = metrics(metric.as_deref(), &train.target)?;
                (train, dev, metrics, *max_tokens)
            }
            DataSpec::Answers { train, dev, dev_share, metric, max_tokens, .. } => {
                let learned = read_answers(train)?;
                let (mut train, mut dev) = match dev {
                    Some(dev) => (learned, read_answers(dev)?),
                    None => hold_out(&learned, *dev_share, streams, &mut notes)?,
                };
                unify_answer_targets(&mut train, &mut dev)?;
                let metrics = metrics(metric.as_deref(), &train.target)?;
                (train, dev, metrics, *max_tokens)
            }
            DataSpec::Corpus { .. } => {
                let out = "name a table (`kind = \"table\"`) or a data set";
                return Err(Error::refused("data", "labeled rows", "a corpus", out));
            }
            DataSpec::Memory { .. } => {
                let out = "name a table (`kind = \"table\"`), or give the program's rows as `Inputs::train`";
                return Err(Error::refused("data", "rows in memory", "none", out));
            }
            DataSpec::Embedded { rows, dev_rows, max_tokens } => {
                let [train, dev] = [(Split::Train, rows), (Split::Dev, dev_rows)]
                    .map(|(split, rows)| synthetic::generate(streams, *rows, split));
                (train, dev, vec![Metric::Accuracy, Metric::MacroF1], *max_tokens)
            }
        };
        let rows = match spec {
            DataSpec::Known { rows, .. }
            | DataSpec::Table { rows, .. }
            | DataSpec::Tagged { rows, .. }
            | DataSpec::Answers { rows, .. } => *rows,
            DataSpec::Corpus { .. } | DataSpec::Memory { .. } | DataSpec::Embedded { .. } => None,
        };
        let train = match rows {
            Some(rows) => train.take(rows, streams),
            None => train,
        };
        check_classes(&train)?;
        let class_order = match spec {
            DataSpec::Table { labels: None, .. } | DataSpec::Tagged { labels: None, .. } => ClassOrder::Found,
            _ => ClassOrder::Stated,
        };
        Ok(LabeledData { train, dev, metrics, max_tokens, class_order, notes })
    }
}

impl LabeledData {
    /// Cuts texts to what this model takes, and says so.
    pub(crate) fn fit_positions(&mut self, model: &str, config: &EncoderConfig) {
        let (positions, wanted) = (config.usable_positions(), self.max_tokens);
        if wanted > positions {
            self.notes.push(format!("{model} takes {positions} tokens of a text at most, not {wanted}"));
            self.max_tokens = positions;
        }
    }
}

/// The metric that was named, or else the usual ones.
pub(crate) fn metrics(named: Option<&str>, target: &Target) -> Result<Vec<Metric>, Error> {
    Ok(match named {
        Some(name) => vec![Metric::from_name(name)?],
        None => default_metrics(target),
    })
}

/// The metrics of a target of the user's own.
pub fn default_metrics(target: &Target) -> Vec<Metric> {
    match target {
        Target::Classes(_) => vec![Metric::Accuracy, Metric::MacroF1],
        Target::MultiLabel(_) => vec![Metric::MicroF1, Metric::MacroF1, Metric::SubsetAccuracy],
        Target::Tags(labels) if TagScheme::of(&labels.names).is_some() => vec![Metric::EntityF1, Metric::Accuracy],
        Target::Tags(_) => vec![Metric::Accuracy, Metric::MacroF1],
        Target::Answers { .. } => vec![Metric::AnswerF1, Metric::ExactMatch],
        Target::Regression { .. } => vec![Metric::PearsonSpearmanMean, Metric::Pearson, Metric::Spearman],
    }
}

fn known(
    layout: Layout,
    path: &Path,
    dev_share: Option<f64>,
    streams: &Streams,
    notes: &mut Vec<String>,
) -> Result<(Dataset, Dataset), Error> {
    match (layout.load(path, Split::Train), dev_share) {
        (Ok(train), Some(share)) => hold_out(&train, share, streams, notes),
        (Ok(train), None) => Ok((train, layout.load(path, Split::Dev)?)),
        // A set that has a single part is learned from and scored by parts of it.
        (Err(error @ DataError::NoSplit { .. }), _) => match layout.load(path, Split::Dev) {
            Ok(whole) => hold_out(&whole, dev_share.unwrap_or(0.1), streams, notes),
            Err(_) => Err(error.into()),
        },
        (Err(error), _) => Err(error.into()),
    }
}

/// # Errors
/// If all rows have the same label: nothing could be told apart.
pub(crate) fn check_classes(train: &Dataset) -> Result<(), Error> {
    match &train.target {
        Target::Classes(labels) if labels.len() == 1 => Err(Error::refused(
            &train.name,
            "two classes or more",
            format!("the label {:?} in every row", labels.names[0]),
            "add rows of other classes, or name all classes with `labels` (--labels)",
        )),
        _ => Ok(()),
    }
}

/// If either set has unanswerable questions, marks both as having them, so that both are scored by the same rule. Other targets
/// are left as they are.
///
/// # Errors
/// If a question to score by has no label: the run would end without a score.
pub(crate) fn unify_answer_targets(train: &mut Dataset, dev: &mut Dataset) -> Result<(), Error> {
    let (Target::Answers { has_unanswerable: a }, Target::Answers { has_unanswerable: b }) =
        (&mut train.target, &mut dev.target)
    else {
        return Ok(());
    };
    (*a, *b) = (*a || *b, *a || *b);
    let unlabeled = dev.examples.iter().filter(|example| example.label == Label::Absent).count();
    if unlabeled > 0 {
        let got = format!("{unlabeled} of {} without a label (in a file: without the key `answers`)", dev.len());
        let out = "score by other questions (`dev`, `--dev`); those without answers can be learned from a teacher as \
                   `[more] unlabeled` (`--unlabeled`)";
        return Err(Error::refused(&dev.name, "an answer label on every dev question", got, out));
    }
    Ok(())
}

fn hold_out(
    whole: &Dataset,
    share: f64,
    streams: &Streams,
    notes: &mut Vec<String>,
) -> Result<(Dataset, Dataset), Error> {
    let (train, dev, held_out) = whole.hold_out(share, streams)?;
    notes.push(held_out.note());
    Ok((train, dev))
}

fn tables(spec: &DataSpec, streams: &Streams, notes: &mut Vec<String>) -> Result<(Dataset, Dataset), Error> {
    let DataSpec::Table { train, dev, dev_share, text, pair, label, labels, regression, format, .. } = spec else {
        unreachable!("the caller has a table")
    };
    let DataSpec::Table { label_file, dev_label_file, multi_label, .. } = spec else {
        unreachable!("the caller has a table")
    };
    if dev.is_some() && label_file.is_some() != dev_label_file.is_some() {
        return Err(Error::refused(
            "data",
            "`label-file` and `dev-label-file`, or neither, where there is a `dev` file",
            "one of them",
            "state the other one too",
        ));
    }
    let column = |name: &String| -> Result<Column, Error> { Ok(name.parse()?) };
    let target = match (labels, multi_label, regression) {
        (Some(_), _, Some(_)) => {
            return Err(Error::refused("data", "`labels` or `regression`, not both", "both", "leave one of them out"));
        }
        (None, Some(_), Some(_)) => {
            let expected = "`multi-label` or `regression`, not both";
            return Err(Error::refused("data", expected, "both", "leave one of them out"));
        }
        (_, Some(separator), None) if separator.is_empty() => {
            let out = "name what stands between two labels, as in `;`; JSON arrays of strings need no separator";
            return Err(Error::refused("data", "a separator in `multi-label` (`--multi-label`)", "nothing", out));
        }
        (names, Some(separator), None) => multi_label_target(separator, names.clone()),
        (Some(names), None, None) => TargetSpec::Named(names.clone()),
        (None, None, Some([low, high])) => TargetSpec::Regression { low: *low, high: *high },
        (None, None, None) => TargetSpec::Discover,
    };
    let mut labeled = |path: &Path, label_file: &Option<PathBuf>, target: TargetSpec| -> Result<Dataset, Error> {
        let loaded = read(&LabeledSpec {
            table: TableSpec { label_file: label_file.clone(), ..table(path, *format) },
            text: column(text)?,
            pair: pair.as_ref().map(column).transpose()?,
            label: Some(column(label)?),
            target,
        })?;
        notes.extend(loaded.notes);
        Ok(loaded.data)
    };
    let learned = labeled(train, label_file, target.clone())?;
    let Some(dev) = dev else { return hold_out(&learned, *dev_share, streams, notes) };
    // The dev rows have the classes of the training rows, in their order.
    let target = match &learned.target {
        Target::Classes(labels) => TargetSpec::Named(labels.names.clone()),
        Target::MultiLabel(labels) => {
            multi_label_target(multi_label.as_deref().unwrap_or_default(), Some(labels.names.clone()))
        }
        Target::Regression { .. } | Target::Tags(_) | Target::Answers { .. } => target,
    };
    let dev = labeled(dev, dev_label_file, target)?;
    Ok((learned, dev))
}

/// Cells of several labels with this between them.
pub fn multi_label_target(separator: &str, names: Option<Vec<String>>) -> TargetSpec {
    TargetSpec::MultiLabel { separator: Some(separator.to_owned()).filter(|separator| !separator.is_empty()), names }
}

/// How a table of the user's own is read.
pub fn table(path: &Path, format: TableFormat) -> TableSpec {
    TableSpec {
        format: match format.kind {
            None => Format::Auto,
            Some(TableKind::Tsv) => Format::Tsv,
            Some(TableKind::Csv) => Format::Csv,
            Some(TableKind::Jsonl) => Format::Jsonl,
            Some(TableKind::Lines) => Format::Lines,
            Some(TableKind::LabelFirst) => Format::LabelFirst,
            Some(TableKind::FastText) => Format::FastText,
            Some(TableKind::Parquet) => Format::Parquet,
            Some(TableKind::Arrow) => Format::Arrow,
        },
        header: match format.header {
            None => Header::Auto,
            Some(true) => Header::Present,
            Some(false) => Header::Absent,
        },
        quoting: match format.quoting {
            None => Quoting::Auto,
            Some(true) => Quoting::On,
            Some(false) => Quoting::Off,
        },
        delimiter: format.delimiter.map(Delimiter::byte),
        encoding: match format.encoding {
            None => TextEncoding::Auto,
            Some(TableEncoding::Utf8) => TextEncoding::Utf8,
            Some(TableEncoding::Utf16) => TextEncoding::Utf16,
            Some(TableEncoding::Latin1) => TextEncoding::Latin1,
        },
        ..TableSpec::new(path)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_are_cut_to_what_a_model_takes() {
        let spec = DataSpec::Embedded { rows: 40, dev_rows: 20, max_tokens: 128 };
        let mut data = LabeledData::load(&spec, &Streams::new(1)).unwrap();
        assert_eq!(data.class_order, ClassOrder::Stated);
        let small = EncoderConfig { positions: 64, ..EncoderConfig::bert_base() };
        data.fit_positions("small", &small);
        assert_eq!(data.max_tokens, 64);
        assert_eq!(data.notes, ["small takes 64 tokens of a text at most, not 128"]);
        data.fit_positions("large", &EncoderConfig::bert_base());
        assert_eq!((data.max_tokens, data.notes.len()), (64, 1));
    }
}
