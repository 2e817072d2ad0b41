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
    /// Whether two questions ask the same: not_duplicate, duplicate.
    Qqp,
    /// Whether the first text entails the second, across genres: entailment, neutral, contradiction. Its dev and test rows
    /// are in two parts, of the genres of the training rows and of other ones, which are never mixed.
    Mnli,
}

impl Task {
    /// All tasks.
    pub const ALL: [Self; 9] =
        [Self::Sst2, Self::Cola, Self::Rte, Self::Mrpc, Self::StsB, Self::Wnli, Self::Qnli, Self::Qqp, Self::Mnli];

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
            Self::Qqp => "QQP",
            Self::Mnli => "MNLI",
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
        let bytes = ["dev.tsv", "dev_matched.tsv", "train.tsv"]
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
            ["id", "qid1", "qid2", "question1", "question2", "is_duplicate"] => Some(Self::Qqp),
            ["index", "promptID", "pairID", "genre", .., "gold_label"] => Some(Self::Mnli),
            [_, "0" | "1", _, _] => Some(Self::Cola),
            _ => None,
        }
    }

    /// What is to be predicted: classes under the names and in the order of the Hugging Face hub.
    pub fn target(self) -> Target {
        match self {
            Self::StsB => Target::Regression { low: LOWEST_SIMILARITY, high: HIGHEST_SIMILARITY },
            _ => Target::Classes(LabelSet { names: names(self.labels().1) }),
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
            label: columns.label.filter(|_| !matches!(split, Split::Test | Split::TestMismatched)),
            target: match self {
                Self::StsB => TargetSpec::Regression { low: LOWEST_SIMILARITY, high: HIGHEST_SIMILARITY },
                _ => TargetSpec::Named(names(written)),
            },
        })?;
        dataset.target = self.target();
        dataset.name = format!("{} {}", self.name(), split.name());
        Ok(dataset)
    }

    /// The parts whose scores are reported: [`Split::Dev`], and of MNLI that of other genres beside it.
    pub const fn scored(self) -> &'static [Split] {
        match self {
            Self::Mnli => &[Split::Dev, Split::DevMismatched],
            _ => &[Split::Dev],
        }
    }

    /// The parts without labels, each with the name of the file in which the benchmark wants their answers.
    pub const fn submitted(self) -> &'static [(Split, &'static str)] {
        match self {
            Self::Sst2 => &[(Split::Test, "SST-2.tsv")],
            Self::Cola => &[(Split::Test, "CoLA.tsv")],
            Self::Rte => &[(Split::Test, "RTE.tsv")],
            Self::Mrpc => &[(Split::Test, "MRPC.tsv")],
            Self::StsB => &[(Split::Test, "STS-B.tsv")],
            Self::Wnli => &[(Split::Test, "WNLI.tsv")],
            Self::Qnli => &[(Split::Test, "QNLI.tsv")],
            Self::Qqp => &[(Split::Test, "QQP.tsv")],
            Self::Mnli => &[(Split::Test, "MNLI-m.tsv"), (Split::TestMismatched, "MNLI-mm.tsv")],
        }
    }

    /// The classes in the order of [`Task::target`], as files of answers write them; none for scores.
    pub fn written_classes(self) -> &'static [&'static str] {
        self.labels().0
    }

    /// The metric by which systems are compared: Matthews correlation for CoLA, F1 for MRPC and QQP, the mean
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
            Self::Qqp => &[Metric::F1, Metric::Accuracy],
            Self::Sst2 | Self::Rte | Self::Wnli | Self::Qnli | Self::Mnli => &[Metric::Accuracy],
        }
    }

    fn file(self, split: Split) -> Option<&'static str> {
        match (self, split) {
            (_, Split::Train) => Some("train.tsv"),
            (Self::Mnli, Split::Dev) => Some("dev_matched.tsv"),
            (Self::Mnli, Split::DevMismatched) => Some("dev_mismatched.tsv"),
            (Self::Mnli, Split::Test) => Some("test_matched.tsv"),
            (Self::Mnli, Split::TestMismatched) => Some("test_mismatched.tsv"),
            (_, Split::DevMismatched | Split::TestMismatched) => None,
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
            (Self::Qqp, _) => Columns::named("question1", Some("question2"), "is_duplicate"),
            (Self::Mnli, _) => Columns::named("sentence1", Some("sentence2"), "gold_label"),
        }
    }

    /// The classes, as the files write them and by name.
    fn labels(self) -> (&'static [&'static str], &'static [&'static str]) {
        match self {
            Self::Sst2 => (&["0", "1"], &["negative", "positive"]),
            Self::Cola => (&["0", "1"], &["unacceptable", "acceptable"]),
            Self::Mrpc => (&["0", "1"], &["not_equivalent", "equivalent"]),
            Self::Wnli => (&["0", "1"], &["not_entailment", "entailment"]),
            Self::Qqp => (&["0", "1"], &["not_duplicate", "duplicate"]),
            Self::Rte | Self::Qnli => (&["entailment", "not_entailment"], &["entailment", "not_entailment"]),
            Self::Mnli => (&["entailment", "neutral", "contradiction"], &["entailment", "neutral", "contradiction"]),
            // It has scores.
            Self::StsB => (&[], &[]),
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

fn names(labels: &[&str]) -> Vec<String> {
    labels.iter().map(|&label| label.to_owned()).collect()
}
