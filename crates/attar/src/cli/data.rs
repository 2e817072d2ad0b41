//! Flags about data, the same on every command that reads some.

use std::path::PathBuf;
use std::str::FromStr;

use attar_distill::recipe::{Delimiter, TableEncoding, TableFormat, TableKind};
use clap::{Args, ValueEnum};

/// What a table looks like on disk.
#[derive(Debug, Clone, Args)]
#[command(next_help_heading = "Data")]
pub(crate) struct FormatArgs {
    /// Kind of file (default: by its extension, `.gz` and `.zst` ignored).
    #[arg(long, value_enum, hide_short_help = true)]
    pub(crate) format: Option<FormatArg>,
    /// Whether the first row names the columns (default: if a column is given by name, or told from the labels).
    #[arg(long, value_name = "BOOL", hide_short_help = true)]
    pub(crate) header: Option<bool>,
    /// Whether `"` quotes a field (default: in CSV, not in TSV).
    #[arg(long, value_name = "BOOL", hide_short_help = true)]
    pub(crate) quoting: Option<bool>,
    /// Separator of columns: a character, or `tab` (default: by the kind of file).
    #[arg(long, value_name = "CHARACTER", hide_short_help = true)]
    pub(crate) delimiter: Option<Delimiter>,
    /// Encoding of the file (default: UTF-8, or UTF-16 if it starts with a byte-order mark).
    #[arg(long, value_enum, hide_short_help = true)]
    pub(crate) encoding: Option<EncodingArg>,
}

/// The texts of a table.
#[derive(Debug, Clone, Args)]
#[command(next_help_heading = "Data")]
pub(crate) struct TableArgs {
    /// Column of the text: a name, or a number from 1.
    #[arg(long, default_value = "text", value_name = "COLUMN")]
    pub(crate) text: String,
    /// Column of the second text of a pair.
    #[arg(long, value_name = "COLUMN")]
    pub(crate) pair: Option<String>,
    #[command(flatten)]
    pub(crate) format: FormatArgs,
}

/// The labels of a table.
#[derive(Debug, Clone, Args)]
#[command(next_help_heading = "Data")]
pub(crate) struct LabelArgs {
    /// Column of the label.
    #[arg(long, default_value = "label", value_name = "COLUMN")]
    pub(crate) label: String,
    /// Names of the classes in order, in quotation marks where a name has a comma (default: those of the model, or of the
    /// training rows).
    #[arg(long, value_name = "A,B,…")]
    pub(crate) labels: Option<ClassNames>,
    /// Separator of labels within a cell, for rows with any number of labels. JSON arrays of strings need no flag.
    #[arg(long, value_name = "SEPARATOR")]
    pub(crate) multi_label: Option<String>,
    /// Second file with the label of each row, one a line.
    #[arg(long, value_name = "FILE", hide_short_help = true)]
    pub(crate) label_file: Option<PathBuf>,
    /// Each word has a tag: CoNLL columns, or JSON lines with arrays `tokens` and `tags` (default: for `.conll`, `.iob`,
    /// `.iob2` and `.bio`).
    #[arg(long, conflicts_with_all = ["multi_label", "label_file"], hide_short_help = true)]
    pub(crate) tagged: bool,
    /// Read the data as questions answered by a part of their context: SQuAD's JSON (1.1 or 2.0), or JSON lines with
    /// `question`, `context` and `answers`.
    #[arg(long, conflicts_with_all = ["tagged", "labels", "multi_label", "label_file"], hide_short_help = true)]
    pub(crate) answers: bool,
}

/// Names that a flag lists, as a line of CSV does.
#[derive(Debug, Clone)]
pub(crate) struct ClassNames(Vec<String>);

impl FromStr for ClassNames {
    type Err = csv::Error;

    fn from_str(list: &str) -> Result<Self, csv::Error> {
        let mut reader = csv::ReaderBuilder::new().has_headers(false).from_reader(list.as_bytes());
        Ok(ClassNames(reader.deserialize().next().transpose()?.unwrap_or_default()))
    }
}

impl ClassNames {
    pub(crate) fn names(&self) -> &[String] {
        &self.0
    }
}

impl LabelArgs {
    pub(crate) fn class_names(&self) -> Option<Vec<String>> {
        self.labels.as_ref().map(|names| names.names().to_vec())
    }
}

/// Labeled text to train on.
#[derive(Debug, Clone, Args)]
#[command(next_help_heading = "Data")]
pub(crate) struct DataArgs {
    /// Folder of a known data set (GLUE, SNIPS, CLINC150, AG News), or a TSV, CSV or JSONL file.
    #[arg(long, value_name = "PATH")]
    pub(crate) data: Option<PathBuf>,
    /// Name of the known data set (default: told from its files).
    #[arg(long, value_name = "NAME", hide_short_help = true)]
    pub(crate) layout: Option<String>,
    /// Rows to choose checkpoints and to score on (default: a tenth of the rows is held out).
    #[arg(long, value_name = "FILE")]
    pub(crate) dev: Option<PathBuf>,
    /// Share of the rows held out to choose by where there is no `--dev`, as in 0.1.
    ///
    /// A known data set chooses by its own dev part unless this is given; that part then stays unseen.
    #[arg(long, conflicts_with = "dev", value_name = "SHARE", hide_short_help = true)]
    pub(crate) dev_share: Option<f64>,
    /// Second file with the labels of `--dev`, one a line.
    #[arg(long, requires = "dev", value_name = "FILE", hide_short_help = true)]
    pub(crate) dev_label_file: Option<PathBuf>,
    #[command(flatten)]
    pub(crate) table: TableArgs,
    #[command(flatten)]
    pub(crate) label: LabelArgs,
    /// Labels are numbers between these two.
    #[arg(long, num_args = 2, value_names = ["LOW", "HIGH"])]
    pub(crate) regression: Option<Vec<f32>>,
    /// Metric that chooses the best checkpoint.
    #[arg(long, hide_short_help = true)]
    pub(crate) metric: Option<String>,
    /// Longest text in tokens, special tokens included; longer ones are cut, and contexts of questions read in overlapping windows.
    #[arg(long, default_value_t = 128, value_name = "N", hide_short_help = true)]
    pub(crate) max_tokens: usize,
    /// Use only this many training rows, drawn by the seed.
    #[arg(long, value_name = "N")]
    pub(crate) rows: Option<usize>,
}

/// Raw text to learn from.
#[derive(Debug, Clone, Args)]
#[command(next_help_heading = "Data")]
pub(crate) struct CorpusArgs {
    /// Raw text to learn from: documents between blank lines.
    ///
    /// Files may be packed by gzip or zstd.
    #[arg(long, num_args = 1.., value_name = "FILE", conflicts_with = "recipe")]
    pub(crate) corpus: Vec<PathBuf>,
    /// Take each line for a text of its own instead of joining the lines of a document.
    #[arg(long, hide_short_help = true)]
    pub(crate) lines: bool,
    /// Sequences of the corpus that are held out to report the loss on.
    #[arg(long, default_value_t = 512, value_name = "N", hide_short_help = true)]
    pub(crate) held_out: usize,
}

/// How labeled text is scored.
#[derive(Debug, Clone, Args)]
#[command(next_help_heading = "Data")]
pub(crate) struct ScoringArgs {
    /// Name of the known data set (default: told from its files).
    #[arg(long, value_name = "NAME", hide_short_help = true)]
    pub(crate) layout: Option<String>,
    /// Part of a known data set (default: dev).
    #[arg(long, value_enum)]
    pub(crate) split: Option<SplitArg>,
    #[command(flatten)]
    pub(crate) table: TableArgs,
    #[command(flatten)]
    pub(crate) label: LabelArgs,
    /// Score all rows of a table, including those that a model was trained on.
    #[arg(long)]
    pub(crate) all_rows: bool,
    /// Metric that decides (default: the usual one for the data).
    #[arg(long)]
    pub(crate) metric: Option<String>,
    /// Longest text in tokens (default: the model's own limit).
    #[arg(long, value_name = "N", hide_short_help = true)]
    pub(crate) max_tokens: Option<usize>,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
pub(crate) enum FormatArg {
    /// Columns separated by tabs.
    Tsv,
    /// Columns separated by commas.
    Csv,
    /// A JSON object a line.
    Jsonl,
    /// A text a line, as column `text`.
    Lines,
    /// `LABEL:text` a line, as columns `label` and `text`.
    LabelFirst,
    /// `__label__LABEL text` a line, as columns `label` and `text`.
    FastText,
    /// Apache Parquet, in programs built with `--features parquet`.
    Parquet,
    /// Arrow's own files (Feather) and streams, in programs built with `--features parquet`.
    Arrow,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum EncodingArg {
    #[value(name = "utf-8")]
    Utf8,
    #[value(name = "utf-16")]
    Utf16,
    /// As browsers read it, which is Windows-1252.
    #[value(name = "latin-1")]
    Latin1,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum SplitArg {
    Train,
    Dev,
    /// Of MNLI: rows of other genres than the training rows'.
    DevMismatched,
    Test,
}

impl FormatArgs {
    /// The same as a recipe has it.
    pub(crate) fn table_format(&self) -> TableFormat {
        TableFormat {
            kind: self.format.map(|format| match format {
                FormatArg::Tsv => TableKind::Tsv,
                FormatArg::Csv => TableKind::Csv,
                FormatArg::Jsonl => TableKind::Jsonl,
                FormatArg::Lines => TableKind::Lines,
                FormatArg::LabelFirst => TableKind::LabelFirst,
                FormatArg::FastText => TableKind::FastText,
                FormatArg::Parquet => TableKind::Parquet,
                FormatArg::Arrow => TableKind::Arrow,
            }),
            header: self.header,
            quoting: self.quoting,
            delimiter: self.delimiter,
            encoding: self.encoding.map(|encoding| match encoding {
                EncodingArg::Utf8 => TableEncoding::Utf8,
                EncodingArg::Utf16 => TableEncoding::Utf16,
                EncodingArg::Latin1 => TableEncoding::Latin1,
            }),
        }
    }
}
