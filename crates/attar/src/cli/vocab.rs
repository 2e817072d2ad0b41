//! `attar vocab` as it is typed.

use std::path::PathBuf;

use clap::{ArgGroup, Args, Subcommand};

use super::values::bytes;

#[derive(Debug, Subcommand)]
pub(crate) enum VocabCommand {
    /// Train a WordPiece vocabulary on text: the same text gives the same files.
    Train(TrainArgs),
    /// Keep the pieces of a model's vocabulary that your text needs, with their embeddings.
    Trim(TrimArgs),
    /// Compare two vocabularies on your text.
    Compare(CompareArgs),
}

/// Text to read.
#[derive(Debug, Args)]
pub(crate) struct CorpusArgs {
    /// Files with a text a line, also packed by gzip or zstd. They may be larger than memory; their distinct words must fit.
    #[arg(long, value_name = "FILE", required = true, num_args = 1..)]
    pub(crate) text: Vec<PathBuf>,
}

#[derive(Debug, Args)]
pub(crate) struct TrainArgs {
    #[command(flatten)]
    pub(crate) corpus: CorpusArgs,
    /// Pieces wanted, special tokens included.
    #[arg(long, value_name = "N", default_value_t = 5_000)]
    pub(crate) size: usize,
    /// Keep capitals and accents.
    #[arg(long)]
    pub(crate) cased: bool,
    /// Least occurrences of a piece of several characters.
    #[arg(long, value_name = "N", default_value_t = 2, value_parser = clap::value_parser!(u64).range(1..))]
    pub(crate) min_frequency: u64,
    /// Most distinct characters; words with a rarer one are unknown.
    #[arg(long, value_name = "N", default_value_t = 1_000)]
    pub(crate) characters: usize,
    /// Folder for the tokenizer's files; must not hold a model.
    #[arg(long, value_name = "DIR")]
    pub(crate) out: PathBuf,
    /// Print the result as JSON.
    #[arg(long)]
    pub(crate) json: bool,
}

#[derive(Debug, Args)]
#[command(group = ArgGroup::new("kept").args(["size", "max_bytes"]).required(true))]
pub(crate) struct TrimArgs {
    /// Model directory whose tokenizer is of the WordPiece kind.
    pub(crate) model: PathBuf,
    #[command(flatten)]
    pub(crate) corpus: CorpusArgs,
    /// Pieces to keep.
    #[arg(long, value_name = "N")]
    pub(crate) size: Option<usize>,
    /// Size of the model in 8-bit integers, as in 7MB: keeps as many pieces as fit.
    #[arg(long, value_name = "BYTES", value_parser = bytes)]
    pub(crate) max_bytes: Option<usize>,
    /// Folder for the model with its smaller vocabulary; must be new or empty.
    #[arg(long, value_name = "DIR")]
    pub(crate) out: PathBuf,
    /// Print the result as JSON.
    #[arg(long)]
    pub(crate) json: bool,
}

#[derive(Debug, Args)]
pub(crate) struct CompareArgs {
    /// Folder of a tokenizer or a model.
    pub(crate) first: PathBuf,
    /// Folder of another one.
    pub(crate) second: PathBuf,
    #[command(flatten)]
    pub(crate) corpus: CorpusArgs,
    /// Most words to list that the second splits into more pieces.
    #[arg(long, value_name = "N", default_value_t = 10)]
    pub(crate) words: usize,
    /// Print the result as JSON.
    #[arg(long)]
    pub(crate) json: bool,
}
