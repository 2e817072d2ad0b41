//! The tasks of the GLUE benchmark as they are downloaded: tab-separated without quoting, each file
//! with columns of its own.

use std::path::Path;

use crate::files;
use crate::labeled::{self, DataError, Dataset, LabelSet, LabeledSpec, Target, TargetSpec};
use crate::layout::{Split, plain_name};
use crate::metrics::Metric;
use crate::table::{Column, ExtraColumns, Format, Header, Quoting, TableSpec};

/// A task. Its directory is the folder that holds `train.tsv` or `dev.tsv`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Task {
    /// Sentiment of film reviews: negative, positive.
    Sst2,
    /// Whether a sentence is acceptable English: unacceptable, acceptable.
    Cola,
    /// Whether the first text entails the second: entailment, not_entailment.
    Rte,
    /// Whether two sentences say the same: not_equivalent, equivalent.
    Mrpc,
    /// How similar two sentences are, 0 to 5.
    StsB,
    /// Whether the second sentence follows from the first: not_entailment, entailment.
    Wnli,
    /// Whether the sentence answers the question: entailment, not_entailment.
    Qnli,
}

impl Task {
    /// All tasks.
    pub const ALL: [Self; 7] = [Self::Sst2, Self::Cola, Self::Rte, Self::Mrpc, Self::StsB, Self::Wnli, Self::Qnli];

    /// Its usual name, such as "SST-2".
    pub const fn name(self) -> &'static str {
        match self {
            Self::Sst2 => "SST-2",
            Self::Cola => "CoLA",
            Self::Rte => "RTE",
            Self::Mrpc => "MRPC",
            Self::StsB => "STS-B",
            Self::Wnli => "WNLI",
            Self::Qnli => "QNLI",
        }
    }

    /// The task of this name; case and punctuation do not matter ("sst2", "STS-B", "sts_b").
    ///
    /// # Errors
    /// [`DataError::UnknownName`] with the nearest name.
    pub fn from_name(name: &str) -> Result<Self, DataError> {
        Self::ALL
            .into_iter()
            .find(|task| plain_name(task.name()) == plain_name(name))
            .ok_or_else(|| DataError::unknown_name(name, Self::ALL.map(|task| task.name().to_owned()).to_vec()))
    }

    /// The task whose files are in this folder. Headers tell, and for CoLA, which has none, the
    /// width; RTE and WNLI share a header, their labels tell.
    pub fn detect(dir: &Path) -> Option<Self> {
        let bytes = ["dev.tsv", "train.tsv"]
            .iter()
            .find_map(|name| files::read(&dir.join(name), files::MOST_TABLE_BYTES).ok())?;
        let mut lines = files::lines(&bytes).map(|line| String::from_utf8_lossy(line).into_owned());
        let (first, second) = (lines.next()?, lines.next().unwrap_or_default());
        match first.split('\t').collect::<Vec<&str>>()[..] {
            ["sentence", "label"] => Some(Self::Sst2),
            ["index", "question", "sentence", "label"] => Some(Self::Qnli),
            ["index", "sentence1", "sentence2", "label"] if second.ends_with("entailment") => Some(Self::Rte),
            ["index", "sentence1", "sentence2", "label"] => Some(Self::Wnli),
            ["Quality", "#1 ID", "#2 ID", "#1 String", "#2 String"] => Some(Self::Mrpc),
            ["index", .., "sentence1", "sentence2", "score"] => Some(Self::StsB),
            [_, "0" | "1", _, _] => Some(Self::Cola),
            _ => None,
        }
    }

    /// What is to be predicted: classes under the names and in the order of the Hugging Face hub.
    pub fn target(self) -> Target {
        match self {
            Self::StsB => Target::Regression { low: LOWEST_SIMILARITY, high: HIGHEST_SIMILARITY },
            _ => Target::Classes(LabelSet { names: self.labels().1.map(str::to_owned).to_vec() }),
        }
    }

    /// Reads a part. Test parts have no labels; the labeled ones are known for SST-2, MRPC and STS-B.
    ///
    /// # Errors
    /// [`DataError::NoSplit`] if the part has no file here, else as [`labeled::load`].
    pub fn load(self, dir: &Path, split: Split) -> Result<Dataset, DataError> {
        let present = |split: &Split| self.file(*split).is_some_and(|file| dir.join(file).exists());
        let file = match self.file(split) {
            Some(file) if dir.join(file).exists() => file,
            _ => return Err(DataError::no_split(dir, self.name(), split, present)),
        };
        let columns = self.columns(split);
        let (written, _) = self.labels();
        let mut dataset = labeled::load(&LabeledSpec {
            table: TableSpec {
                format: Format::Tsv,
                header: Header::Auto,
                quoting: Quoting::Off,
                extra_columns: columns.extra,
                ..TableSpec::new(dir.join(file))
            },
            text: columns.text,
            pair: columns.pair,
            label: columns.label.filter(|_| split != Split::Test),
            target: match self {
                Self::StsB => TargetSpec::Regression { low: LOWEST_SIMILARITY, high: HIGHEST_SIMILARITY },
                _ => TargetSpec::Named(written.map(str::to_owned).to_vec()),
            },
        })?;
        dataset.target = self.target();
        dataset.name = format!("{} {}", self.name(), split.name());
        Ok(dataset)
    }

    /// The metric by which systems are compared: Matthews correlation for CoLA, F1 for MRPC, the mean
    /// of both correlations for STS-B, accuracy for the others.
    pub const fn metric(self) -> Metric {
        self.metrics()[0]
    }

    /// All metrics that are reported, the one of [`metric`](Self::metric) first.
    pub const fn metrics(self) -> &'static [Metric] {
        match self {
            Self::Cola => &[Metric::Matthews, Metric::Accuracy],
            Self::Mrpc => &[Metric::F1, Metric::Accuracy, Metric::AccuracyF1Mean],
            Self::StsB => &[Metric::PearsonSpearmanMean, Metric::Pearson, Metric::Spearman],
            Self::Sst2 | Self::Rte | Self::Wnli | Self::Qnli => &[Metric::Accuracy],
        }
    }

    fn file(self, split: Split) -> Option<&'static str> {
        match (self, split) {
            (_, Split::Train) => Some("train.tsv"),
            (_, Split::Dev) => Some("dev.tsv"),
            (_, Split::Test) => Some("test.tsv"),
            (Self::Sst2 | Self::Mrpc, Split::TestLabeled) => Some("test_labelled.tsv"),
            (Self::StsB, Split::TestLabeled) => Some("sts-test_labelled.tsv"),
            (_, Split::TestLabeled) => None,
        }
    }

    /// The columns of a part; the label column is absent from `test.tsv`.
    fn columns(self, split: Split) -> Columns {
        match (self, split) {
            (Self::Sst2, _) | (Self::Cola, Split::Test) => Columns::named("sentence", None, "label"),
            (Self::Cola, _) => Columns {
                text: Column::Number(4),
                pair: None,
                label: Some(Column::Number(2)),
                extra: ExtraColumns::Refused,
            },
            (Self::Mrpc, _) => Columns::named("#1 String", Some("#2 String"), "Quality"),
            // 284 of its rows name their source in two more columns.
            (Self::StsB, Split::TestLabeled) => Columns {
                text: Column::Number(6),
                pair: Some(Column::Number(7)),
                label: Some(Column::Number(5)),
                extra: ExtraColumns::Allowed,
            },
            (Self::StsB, _) => Columns::named("sentence1", Some("sentence2"), "score"),
            (Self::Rte | Self::Wnli, _) => Columns::named("sentence1", Some("sentence2"), "label"),
            (Self::Qnli, _) => Columns::named("question", Some("sentence"), "label"),
        }
    }

    /// The two classes, as the files write them and by name.
    fn labels(self) -> ([&'static str; 2], [&'static str; 2]) {
        match self {
            Self::Sst2 => (["0", "1"], ["negative", "positive"]),
            Self::Cola => (["0", "1"], ["unacceptable", "acceptable"]),
            Self::Mrpc => (["0", "1"], ["not_equivalent", "equivalent"]),
            Self::Wnli => (["0", "1"], ["not_entailment", "entailment"]),
            Self::Rte | Self::Qnli => (["entailment", "not_entailment"], ["entailment", "not_entailment"]),
            // It has scores; `target` never asks.
            Self::StsB => ([""; 2], [""; 2]),
        }
    }
}

const LOWEST_SIMILARITY: f32 = 0.0;
const HIGHEST_SIMILARITY: f32 = 5.0;

struct Columns {
    text: Column,
    pair: Option<Column>,
    label: Option<Column>,
    extra: ExtraColumns,
}

impl Columns {
    fn named(text: &str, pair: Option<&str>, label: &str) -> Self {
        let column = |name: &str| Column::Name(name.to_owned());
        Self { text: column(text), pair: pair.map(column), label: Some(column(label)), extra: ExtraColumns::Refused }
    }
}
