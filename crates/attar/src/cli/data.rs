//! Flags about data, the same on every command that reads some.

use std::path::PathBuf;

use attar_distill::recipe::{Delimiter, TableEncoding, TableFormat, TableKind};
use clap::{Args, ValueEnum};

/// What a table looks like on disk.
#[derive(Debug, Clone, Args)]
#[command(next_help_heading = "Data")]
pub(crate) struct FormatArgs {
    /// Kind of file; else by its extension, a last `.gz` left out.
    #[arg(long, value_enum, hide_short_help = true)]
    pub(crate) format: Option<FormatArg>,
    /// Whether the first row names the columns; else it does if a column is given by name, or its label tells.
    #[arg(long, value_name = "BOOL", hide_short_help = true)]
    pub(crate) header: Option<bool>,
    /// Whether `"` quotes a field; else it does in CSV and does not in TSV.
    #[arg(long, value_name = "BOOL", hide_short_help = true)]
    pub(crate) quoting: Option<bool>,
    /// What separates columns: a character, or `tab`; else what the kind of file says.
    #[arg(long, value_name = "CHARACTER", hide_short_help = true)]
    pub(crate) delimiter: Option<Delimiter>,
    /// Encoding of the file; else UTF-16 if it begins with its mark, and UTF-8.
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
    /// Names of the classes in order; else those of the model, or of the training rows.
    #[arg(long, value_delimiter = ',', value_name = "A,B,…")]
    pub(crate) labels: Option<Vec<String>>,
    /// Rows may have several labels, or none: what stands between those of a cell. JSON arrays of strings need no flag.
    #[arg(long, value_name = "SEPARATOR")]
    pub(crate) multi_label: Option<String>,
    /// Second file with a label a line, one for each row.
    #[arg(long, value_name = "FILE", hide_short_help = true)]
    pub(crate) label_file: Option<PathBuf>,
}

/// Labelled text to learn from.
#[derive(Debug, Args)]
#[command(next_help_heading = "Data")]
pub(crate) struct DataArgs {
    /// Folder of a known data set (GLUE, SNIPS, CLINC150, AG News), or a TSV, CSV or JSONL file.
    #[arg(long, required_unless_present = "recipe", value_name = "PATH")]
    pub(crate) data: Option<PathBuf>,
    /// Name of the known data set; told from its files if left out.
    #[arg(long, value_name = "NAME", hide_short_help = true)]
    pub(crate) layout: Option<String>,
    /// File of rows to choose and score by; else a tenth of the rows is held out.
    #[arg(long, value_name = "FILE")]
    pub(crate) dev: Option<PathBuf>,
    /// Second file with a label a line for the rows of `--dev`.
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
    /// Longest text in tokens, special tokens included; longer ones are cut.
    #[arg(long, default_value_t = 128, value_name = "N", hide_short_help = true)]
    pub(crate) max_tokens: usize,
    /// Use only this many training rows, drawn by the seed.
    #[arg(long, value_name = "N")]
    pub(crate) rows: Option<usize>,
}

/// How labelled text is scored by.
#[derive(Debug, Args)]
#[command(next_help_heading = "Data")]
pub(crate) struct ScoringArgs {
    /// Name of the known data set; told from its files if left out.
    #[arg(long, value_name = "NAME", hide_short_help = true)]
    pub(crate) layout: Option<String>,
    /// Part of a known data set: dev (if left out), test or train.
    #[arg(long, value_enum)]
    pub(crate) split: Option<SplitArg>,
    #[command(flatten)]
    pub(crate) table: TableArgs,
    #[command(flatten)]
    pub(crate) label: LabelArgs,
    /// Score all rows of a table, those that a model was trained on too.
    #[arg(long)]
    pub(crate) all_rows: bool,
    /// Metric that decides; else the one usual for the data.
    #[arg(long)]
    pub(crate) metric: Option<String>,
    /// Longest text in tokens; else what the model was made for.
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
