//! Flags of `attar pretrain`.

use std::path::PathBuf;

use clap::Args;

use super::data::CorpusArgs;
use super::training::{EnergyArgs, QualityArgs, RunArgs, TrainingArgs};

#[derive(Debug, Args)]
pub(crate) struct PretrainArgs {
    /// Model directory to train further; it gets a masked-language-model head if it has none. For a new encoder give
    /// `--tokenizer` and a shape instead.
    #[arg(required_unless_present_any = ["recipe", "tokenizer"], conflicts_with = "tokenizer")]
    pub(crate) model: Option<PathBuf>,
    #[command(flatten)]
    pub(crate) shape: NewShapeArgs,
    #[command(flatten)]
    pub(crate) corpus: CorpusArgs,
    /// Longest sequence in tokens, special tokens included.
    #[arg(long, default_value_t = 128, value_name = "N", help_heading = "Data")]
    pub(crate) max_tokens: usize,
    /// Use only this many sequences, drawn by the seed.
    #[arg(long, value_name = "N", help_heading = "Data", hide_short_help = true)]
    pub(crate) rows: Option<usize>,
    /// Directory with a second tokenizer that cuts some of the words; the model that comes out has its pieces alone.
    #[arg(long, value_name = "DIR", help_heading = "Second vocabulary", requires = "model")]
    pub(crate) second_tokenizer: Option<PathBuf>,
    /// Share of the words that the second tokenizer cuts.
    #[arg(
        long,
        default_value_t = 0.5,
        value_name = "SHARE",
        help_heading = "Second vocabulary",
        requires = "second_tokenizer"
    )]
    pub(crate) second_share: f64,
    /// Width of the second tokenizer's embeddings, which an affine map lifts to the model's (default: the model's own).
    ///
    /// The narrow ones are written beside the model, for `--embeddings` of a new encoder of that width.
    #[arg(long, value_name = "N", help_heading = "Second vocabulary", requires = "second_tokenizer")]
    pub(crate) second_width: Option<usize>,
    /// Share of the pieces that are hidden.
    #[arg(long, default_value_t = 0.15, value_name = "SHARE", help_heading = "Training")]
    pub(crate) mask: f64,
    /// Hide all pieces of a word together.
    #[arg(long, help_heading = "Training")]
    pub(crate) whole_words: bool,
    #[command(flatten)]
    pub(crate) quality: QualityArgs,
    #[command(flatten)]
    pub(crate) training: TrainingArgs,
    #[command(flatten)]
    pub(crate) energy: EnergyArgs,
    #[command(flatten)]
    pub(crate) run: RunArgs,
}

/// Shape of a new encoder.
#[derive(Debug, Clone, Args)]
#[command(next_help_heading = "New encoder")]
pub(crate) struct NewShapeArgs {
    /// Directory with the tokenizer of a new encoder, as `attar vocab train` makes it.
    #[arg(long, value_name = "DIR")]
    pub(crate) tokenizer: Option<PathBuf>,
    /// Model directory with narrow word embeddings beside its weights, as `--second-width` leaves them, for a new encoder of that
    /// width.
    #[arg(long, value_name = "DIR", requires = "tokenizer")]
    pub(crate) embeddings: Option<PathBuf>,
    /// Layers (default: 4).
    #[arg(long)]
    pub(crate) layers: Option<usize>,
    /// Hidden width, a multiple of the heads (default: 312).
    #[arg(long)]
    pub(crate) hidden: Option<usize>,
    /// Width of the embeddings, below the hidden width: a linear map takes them there (default: the hidden width).
    #[arg(long, value_name = "N")]
    pub(crate) embedding_width: Option<usize>,
    /// Attention heads (default: 12).
    #[arg(long)]
    pub(crate) heads: Option<usize>,
    /// Feed-forward width (default: four times the hidden width).
    #[arg(long)]
    pub(crate) feed_forward: Option<usize>,
}
