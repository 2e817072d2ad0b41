//! `attar vocab compare`: two vocabularies on the same text.

use std::path::Path;

use attar_distill::model_directory;
use attar_text::tokenizer::{Tokenizer, compare_vocabularies};
use serde::Serialize;

use super::{Covered, over_lines};
use crate::cli::vocab::CompareArgs;
use crate::{console, tables};

#[derive(Serialize)]
struct Compared {
    first: Side,
    second: Side,
    /// Pieces that both have.
    common: usize,
    /// Pieces of the text in the second for each one in the first.
    growth: Option<f64>,
    different_words: usize,
    /// Words that the second cuts into more pieces.
    broken_words: usize,
    worst: Vec<Word>,
}

#[derive(Serialize)]
struct Side {
    directory: String,
    pieces: usize,
    text: Covered,
}

#[derive(Serialize)]
struct Word {
    word: String,
    uses: u64,
    pieces: [usize; 2],
}

pub(super) fn run(args: &CompareArgs) -> anyhow::Result<()> {
    let tokenizers = [&args.first, &args.second].map(|directory| tokenizer(directory));
    let [first, second] = tokenizers;
    let (first, second) = (first?, second?);
    let comparison = over_lines(&args.corpus.text, "words of the text", |lines| {
        compare_vocabularies([&first, &second], lines, args.words)
    })?;
    let side = |at: usize, directory: &Path| Side {
        directory: directory.display().to_string(),
        pieces: comparison.pieces[at],
        text: Covered::of(comparison.coverage[at]),
    };
    let compared = Compared {
        first: side(0, &args.first),
        second: side(1, &args.second),
        common: comparison.common,
        growth: comparison.growth(),
        different_words: comparison.different_words,
        broken_words: comparison.broken_words,
        worst: comparison
            .worst
            .into_iter()
            .map(|word| Word { word: word.word, uses: word.uses, pieces: word.pieces })
            .collect(),
    };
    if args.json {
        return console::json(&compared);
    }
    print(&compared)?;
    Ok(())
}

/// The tokenizer of a folder, which need not hold a model.
fn tokenizer(directory: &Path) -> anyhow::Result<Tokenizer> {
    anyhow::ensure!(
        directory.is_dir(),
        "{}: expected the folder of a tokenizer, found {}",
        directory.display(),
        if directory.exists() { "a file" } else { "nothing" }
    );
    Ok(Tokenizer::from_dir(&model_directory::locate(directory))?)
}

fn print(compared: &Compared) -> std::io::Result<()> {
    for side in [&compared.first, &compared.second] {
        console::say(format!("{}: {} pieces; {}", side.directory, side.pieces, side.text.sentence()))?;
    }
    console::say(format!("{} pieces are in both", compared.common))?;
    if let Some(growth) = compared.growth {
        console::say(format!("texts are {growth:.3} times as long in the second"))?;
    }
    console::say(format!(
        "{} of {} different words are cut into more pieces by the second",
        compared.broken_words, compared.different_words
    ))?;
    if !compared.worst.is_empty() {
        let mut table = tables::table(&["word", "uses", "pieces, first", "pieces, second"]);
        for word in &compared.worst {
            let numbers = [word.uses.to_string(), word.pieces[0].to_string(), word.pieces[1].to_string()];
            table.add_row([vec![word.word.clone()], numbers.to_vec()].concat());
        }
        console::say(table.to_string())?;
    }
    Ok(())
}
