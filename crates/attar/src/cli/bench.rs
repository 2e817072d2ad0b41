//! The command line of `attar bench`.

use std::path::PathBuf;
use std::str::FromStr;

use attar_runtime::Precision;
use clap::{Args, ValueEnum};
use serde::Serialize;

use super::EnergyArgs;
use super::data::TableArgs;

#[derive(Debug, Args)]
pub(crate) struct BenchArgs {
    /// Model directories or folders of runs; the first is what the others are compared with.
    #[arg(required = true, value_name = "MODEL")]
    pub(crate) models: Vec<PathBuf>,
    /// Texts to answer, one a line; sentences of attar's own if there is neither this nor `--data`.
    #[arg(long, value_name = "FILE", conflicts_with = "data")]
    pub(crate) lines: Option<PathBuf>,
    /// Texts to answer: a TSV, CSV or JSONL file.
    #[arg(long, value_name = "FILE")]
    pub(crate) data: Option<PathBuf>,
    /// Use all rows of a table, those that a model was trained on too.
    #[arg(long)]
    pub(crate) all_rows: bool,
    /// Use at most this many texts, spread over the file.
    #[arg(long, default_value_t = 1000, value_name = "N")]
    pub(crate) texts: usize,
    /// Longest text in tokens (default: what the model was made for).
    #[arg(long, value_name = "N")]
    pub(crate) max_tokens: Option<usize>,
    /// Lengths in tokens to time beside the texts; 32 and 128 if left out, where all models take them.
    #[arg(long, value_delimiter = ',', value_name = "N,…")]
    pub(crate) lengths: Vec<usize>,
    /// Sequences at once, for each of the lengths.
    #[arg(long, value_delimiter = ',', default_value = "1,32", value_name = "N,…")]
    pub(crate) batch: Vec<usize>,
    /// Precisions of the linear layers.
    #[arg(long, value_enum, value_delimiter = ',', default_value = "f32,int8", value_name = "PRECISION,…")]
    pub(crate) precision: Vec<PrecisionArg>,
    /// Rounds, in each of which everything has its turn.
    #[arg(long, default_value_t = 5, value_name = "N")]
    pub(crate) rounds: usize,
    /// Shortest time of a turn, in seconds.
    #[arg(long, default_value_t = 0.2, value_name = "S")]
    pub(crate) seconds: f64,
    /// Starts of the program for the time to the first answer; 0 for none.
    #[arg(long, default_value_t = 5, value_name = "N")]
    pub(crate) starts: usize,
    /// How the result is written.
    #[arg(long = "as", value_enum, default_value_t = BenchFormatArg::Table)]
    pub(crate) form: BenchFormatArg,
    /// Print the result as JSON: short for `--as json`.
    #[arg(long, conflicts_with = "form")]
    pub(crate) json: bool,
    #[command(flatten)]
    pub(crate) table: TableArgs,
    #[command(flatten)]
    pub(crate) energy: EnergyArgs,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum BenchFormatArg {
    Table,
    Markdown,
    Json,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum, Serialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum PrecisionArg {
    /// 32-bit floats.
    F32,
    /// 8-bit integers.
    Int8,
}

/// What `attar bench` starts to time a start.
#[derive(Debug, Args)]
pub(crate) struct FirstAnswerArgs {
    /// Model directory.
    pub(crate) model: PathBuf,
    /// Precision of the linear layers.
    #[arg(long, value_enum)]
    pub(crate) precision: PrecisionArg,
}

/// Numbers of threads: one, or several that are compared.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Threads(Vec<usize>);

impl PrecisionArg {
    pub(crate) fn precision(self) -> Precision {
        match self {
            PrecisionArg::F32 => Precision::F32,
            PrecisionArg::Int8 => Precision::Int8,
        }
    }

    pub(crate) fn name(self) -> &'static str {
        match self {
            PrecisionArg::F32 => "f32",
            PrecisionArg::Int8 => "int8",
        }
    }
}

impl Threads {
    /// More than any machine has.
    const MOST: usize = 4096;

    /// The numbers in the order given.
    pub(crate) fn all(&self) -> &[usize] {
        &self.0
    }

    /// The number, for a command that takes one.
    pub(crate) fn one(&self) -> anyhow::Result<usize> {
        match self.0[..] {
            [one] => Ok(one),
            _ => {
                anyhow::bail!("--threads takes one number here, got {}: only `attar bench` takes several", self.0.len())
            }
        }
    }
}

impl FromStr for Threads {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let number = |word: &str| match word.trim().parse() {
            Ok(0) => Err("0 threads cannot compute: give at least 1".to_owned()),
            Ok(threads @ 1..=Self::MOST) => Ok(threads),
            Ok(threads) => Err(format!("{threads} threads are more than {}", Self::MOST)),
            Err(error) => Err(format!("`{word}` is not a number of threads: {error}")),
        };
        Ok(Threads(text.split(',').map(number).collect::<Result<_, _>>()?))
    }
}
