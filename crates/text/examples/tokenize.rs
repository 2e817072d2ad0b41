//! Splits texts into word pieces: `cargo run --release -p attar-text --example tokenize -- DIR "some text"`, with the
//! tokenizer of a model directory, or without arguments with one that is trained on the spot.

use attar_text::layout::Split;
use attar_text::random::Streams;
use attar_text::synthetic;
use attar_text::tokenizer::{Limit, Tokenizer, TrainOptions, train_wordpiece};

pub(crate) fn main() -> Result<(), Box<dyn std::error::Error>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    match &arguments[..] {
        [folder, texts @ ..] if !texts.is_empty() => show(&Tokenizer::from_dir(folder.as_ref())?, texts),
        _ => trained(),
    }
}

/// A vocabulary of 300 pieces from commands to a home and a shop.
pub(crate) fn trained() -> Result<(), Box<dyn std::error::Error>> {
    let rows = synthetic::generate(&Streams::new(1), 500, Split::Train);
    let tokenizer = train_wordpiece(rows.examples.iter().map(|row| &row.text), TrainOptions::new(300))?;
    show(&tokenizer, &["turn the lights off".into(), "unbelievable".into()])
}

#[expect(clippy::print_stdout, reason = "the pieces are what this program is for")]
fn show(tokenizer: &Tokenizer, texts: &[String]) -> Result<(), Box<dyn std::error::Error>> {
    for text in texts {
        let encoding = tokenizer.encode(text, None, Limit::new(64))?;
        let pieces: Vec<String> = encoding.ids.iter().filter_map(|&id| tokenizer.token(id)).collect();
        println!("{}\n{:?}", pieces.join(" "), encoding.ids);
    }
    Ok(())
}
