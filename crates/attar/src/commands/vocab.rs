//! `attar vocab`: vocabularies of word pieces.

mod compare;
mod train;
mod trim;

use std::path::PathBuf;
use std::sync::atomic::Ordering;

use attar_text::corpus::Corpus;
use attar_text::tokenizer::Coverage;
use serde::Serialize;

use crate::cli::vocab::VocabCommand;
use crate::progress::counting;

pub(crate) fn run(command: &VocabCommand) -> anyhow::Result<()> {
    match command {
        VocabCommand::Train(args) => train::run(args),
        VocabCommand::Trim(args) => trim::run(args),
        VocabCommand::Compare(args) => compare::run(args),
    }
}

/// Share of unknown pieces of a text from which a vocabulary is not made for it.
const MOST_UNKNOWN: f64 = 0.01;
/// Lines between two updates of the progress.
const LINES_PER_UPDATE: u64 = 4096;

/// Gives the lines of files to `look`, with progress in kilobytes. A read error takes precedence over the result of
/// `look`, which has then seen a part of the lines.
pub(crate) fn over_lines<T, E>(
    files: &[PathBuf],
    what: &str,
    look: impl FnOnce(&mut dyn Iterator<Item = String>) -> Result<T, E>,
) -> anyhow::Result<T>
where
    anyhow::Error: From<E>,
{
    let mut corpus = Corpus::open(files)?;
    let position = corpus.position();
    let kilobytes = |bytes: u64| bytes / 1000;
    let mut bar = counting(kilobytes(corpus.total_bytes()) as usize, &format!("{what}, kB"));
    let mut lines = 0_u64;
    let mut each = corpus.by_ref().inspect(|_| {
        lines += 1;
        if lines.is_multiple_of(LINES_PER_UPDATE) {
            bar.set_position(kilobytes(position.load(Ordering::Relaxed)));
        }
    });
    let made = look(&mut each);
    drop(each);
    bar.finish_and_clear();
    corpus.finish()?;
    Ok(made?)
}

/// How a vocabulary covers a text, as it is printed.
#[derive(Debug, Clone, Copy, Serialize)]
struct Covered {
    words: u64,
    pieces: u64,
    pieces_a_word: Option<f64>,
    unknown: u64,
    unknown_share: Option<f64>,
}

impl Covered {
    fn of(coverage: Coverage) -> Self {
        Self {
            words: coverage.words,
            pieces: coverage.pieces,
            pieces_a_word: coverage.fertility(),
            unknown: coverage.unknown,
            unknown_share: coverage.unknown_share(),
        }
    }

    /// `1.312 pieces a word, 0.012 % unknown`
    fn sentence(&self) -> String {
        let number = |value: Option<f64>, decimals| value.map_or("–".into(), |value| format!("{value:.decimals$}"));
        let unknown = self.unknown_share.map(|share| 100.0 * share);
        format!("{} pieces a word, {} % unknown", number(self.pieces_a_word, 3), number(unknown, 3))
    }
}
