//! `attar vocab train`: a WordPiece vocabulary from text.

use anyhow::Context;
use attar_text::tokenizer::{TrainOptions, train_wordpiece};
use serde::Serialize;

use super::{Covered, MOST_UNKNOWN, over_lines};
use crate::cli::vocab::TrainArgs;
use crate::{console, tables};

#[derive(Serialize)]
struct Trained {
    directory: String,
    pieces: usize,
    bytes: u64,
    text: Covered,
}

pub(super) fn run(args: &TrainArgs) -> anyhow::Result<()> {
    let options = TrainOptions {
        vocabulary_size: args.size,
        min_frequency: args.min_frequency,
        characters: args.characters,
        lowercase: !args.cased,
    };
    refuse_model(&args.out)?;
    let tokenizer = over_lines(&args.corpus.text, "words of the text", |lines| train_wordpiece(lines, options))?;
    let coverage = over_lines(&args.corpus.text, "pieces of the text", |lines| tokenizer.coverage(lines))?;
    if let Some(share) = coverage.unknown_share().filter(|&share| share > MOST_UNKNOWN) {
        console::warning(format!(
            "{:.1} % of the text is unknown to this vocabulary, since it keeps {} different characters: raise --characters",
            100.0 * share,
            args.characters
        ));
    }
    if tokenizer.vocabulary_size() < args.size {
        console::warning(format!(
            "the text yields {} of the {} pieces asked for: give more text, or a --min-frequency below {}",
            tokenizer.vocabulary_size(),
            args.size,
            args.min_frequency
        ));
    }
    std::fs::create_dir_all(&args.out).with_context(|| args.out.display().to_string())?;
    tokenizer.save(&args.out)?;
    let sizes =
        ["tokenizer.json", "vocab.txt"].map(|name| std::fs::metadata(args.out.join(name)).map_or(0, |m| m.len()));
    let trained = Trained {
        directory: args.out.display().to_string(),
        pieces: tokenizer.vocabulary_size(),
        bytes: sizes.iter().sum(),
        text: Covered::of(coverage),
    };
    if args.json {
        return console::json(&trained);
    }
    console::say(format!(
        "{} pieces in {} ({}): {}",
        trained.pieces,
        trained.directory,
        tables::bytes(trained.bytes),
        trained.text.sentence()
    ))?;
    Ok(())
}

/// A model whose tokenizer is replaced reads nonsense from then on.
fn refuse_model(out: &std::path::Path) -> anyhow::Result<()> {
    anyhow::ensure!(
        !out.join("config.json").exists(),
        "{}: expected a folder without a model, found config.json: its embeddings belong to its own vocabulary; choose \
         another --out",
        out.display()
    );
    Ok(())
}
