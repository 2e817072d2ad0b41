//! `attar augment` as it is typed.

use std::path::PathBuf;
use std::str::FromStr;

use clap::{Args, ValueEnum};

use super::data::{DataArgs, LabelArgs, TableArgs};

#[derive(Debug, Args)]
pub(crate) struct AugmentArgs {
    /// Folder of a known data set (GLUE, SNIPS, CLINC150, AG News), or a TSV, CSV or JSONL file. Held-out rows are left
    /// out: dev rows, or those that `distill` holds out of a single file by the same seed.
    #[arg(long, required_unless_present = "unlabeled", value_name = "PATH", help_heading = "Data")]
    pub(crate) data: Option<PathBuf>,
    /// Texts without labels instead, one a line, plain or gzip; they may be larger than memory.
    #[arg(long, conflicts_with = "data", value_name = "FILE", help_heading = "Data")]
    pub(crate) unlabeled: Option<PathBuf>,
    /// Name of the known data set (default: told from its files).
    #[arg(long, value_name = "NAME", hide_short_help = true, help_heading = "Data")]
    pub(crate) layout: Option<String>,
    /// Rows to choose and score by, which no new row repeats (default: a tenth of the rows is held out).
    #[arg(long, value_name = "FILE", help_heading = "Data")]
    pub(crate) dev: Option<PathBuf>,
    /// Labels are numbers between these two.
    #[arg(long, num_args = 2, value_names = ["LOW", "HIGH"], help_heading = "Data")]
    pub(crate) regression: Option<Vec<f32>>,
    /// Use only this many training rows, drawn by the seed.
    #[arg(long, value_name = "N", help_heading = "Data")]
    pub(crate) rows: Option<usize>,
    /// Where other words come from: `wordnet:DIR` (synonyms), `vectors:FILE` (GloVe's text format), `embeddings:MODEL`
    /// (a model's own input embeddings) or `masked-lm:MODEL` (words of one piece, by context). Several are asked in turn.
    #[arg(long, required = true, value_name = "KIND:PATH", num_args = 1..)]
    pub(crate) candidates: Vec<CandidatesArg>,
    /// New rows of each row, at most; with `--semantics reference`, of each text of a pair.
    #[arg(long, value_name = "N", default_value_t = 4)]
    pub(crate) per_row: usize,
    /// Probability of replacing a word that has candidates.
    #[arg(long, value_name = "SHARE", default_value_t = 0.4)]
    pub(crate) replace: f64,
    /// Candidates of each word, at most.
    #[arg(long, value_name = "K", default_value_t = 15)]
    pub(crate) top: usize,
    /// Lines of a `vectors:` file to read, the first ones.
    #[arg(long, value_name = "N", default_value_t = 100_000, hide_short_help = true)]
    pub(crate) vectors: usize,
    /// The paper's algorithm put right, or as its published code runs it.
    #[arg(long, value_enum, default_value = "clean")]
    pub(crate) semantics: SemanticsArg,
    /// Write the label of the row that a new one is made of. Without it a teacher labels them, as `distill --unlabeled`.
    #[arg(long, conflicts_with = "unlabeled")]
    pub(crate) keep_labels: bool,
    /// File for the new rows: .csv, .tsv, .jsonl, or .txt with a text a line.
    #[arg(long, value_name = "FILE")]
    pub(crate) out: PathBuf,
    /// Random seed.
    #[arg(long, default_value_t = 42)]
    pub(crate) seed: u64,
    /// Print the result as JSON.
    #[arg(long)]
    pub(crate) json: bool,
    #[command(flatten)]
    pub(crate) table: TableArgs,
    #[command(flatten)]
    pub(crate) label: LabelArgs,
}

/// A source of candidates.
#[derive(Debug, Clone)]
pub(crate) struct CandidatesArg {
    pub(crate) kind: CandidatesKind,
    pub(crate) path: PathBuf,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum CandidatesKind {
    WordNet,
    Vectors,
    Embeddings,
    MaskedLm,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum SemanticsArg {
    Clean,
    Reference,
}

impl AugmentArgs {
    /// The data as `distill` is told of them.
    pub(crate) fn data_args(&self) -> DataArgs {
        DataArgs {
            data: self.data.clone(),
            layout: self.layout.clone(),
            dev: self.dev.clone(),
            dev_share: None,
            dev_label_file: None,
            table: self.table.clone(),
            label: self.label.clone(),
            regression: self.regression.clone(),
            metric: None,
            max_tokens: 128,
            rows: self.rows,
        }
    }
}

impl FromStr for CandidatesArg {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let kind = |name: &str| match name {
            "wordnet" => Some(CandidatesKind::WordNet),
            "vectors" => Some(CandidatesKind::Vectors),
            "embeddings" => Some(CandidatesKind::Embeddings),
            "masked-lm" => Some(CandidatesKind::MaskedLm),
            _ => None,
        };
        let found = text.split_once(':').filter(|(_, path)| !path.is_empty());
        let found = found.and_then(|(name, path)| Some(CandidatesArg { kind: kind(name)?, path: path.into() }));
        found.ok_or_else(|| "expected wordnet:DIR, vectors:FILE, embeddings:MODEL or masked-lm:MODEL".into())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sources_have_a_kind_and_a_path() {
        let source: CandidatesArg = "masked-lm:a:b/c".parse().unwrap();
        assert_eq!((source.kind, source.path.to_str()), (CandidatesKind::MaskedLm, Some("a:b/c")));
        for text in ["wordnet", "wordnet:", "glove:file", ":file", ""] {
            assert!(text.parse::<CandidatesArg>().unwrap_err().starts_with("expected wordnet:DIR"), "{text}");
        }
    }
}
