//! Sentences a second that augmentation makes, by source of candidates, on all cores: the first pass, in which the
//! candidates of each word are found, and a second one over the same rows, in which they are known.
//!
//! The texts and synonyms are those of `../shared` where they are, and made-up ones where they are not; vectors are
//! random, as many as BERT has pieces that are words.

use std::error::Error;
use std::hint::black_box;
use std::time::Instant;

use attar_testing::find_shared;
use attar_text::augment::{AugmentOptions, Augmenter, CandidateSource, NearestWords, Thesaurus};
use attar_text::labeled::Example;
use attar_text::layout::{Layout, Split};
use attar_text::random::Streams;
use attar_text::synthetic;

/// Words of BERT's vocabulary, and the width of a small teacher's embeddings.
const WORDS: usize = 23_000;
const WIDTH: usize = 384;

#[expect(clippy::print_stdout, reason = "a benchmark prints what it measures")]
fn main() -> Result<(), Box<dyn Error + Send + Sync>> {
    // `cargo test --benches` runs everything once, to see that it runs.
    let rows = if std::env::args().any(|argument| argument == "--bench") { 10_000 } else { 50 };
    let streams = Streams::new(42);
    let examples = match find_shared("data/glue/SST-2") {
        Some(folder) => Layout::from_name("SST-2")?.load(&folder, Split::Train)?.take(rows, &streams).examples,
        None => synthetic::generate(&streams, rows, Split::Train).examples,
    };
    println!("{} texts, {} threads", examples.len(), rayon::current_num_threads());
    println!("{:>12} {:>10} {:>16} {:>16}", "", "new rows", "first, rows/s", "second, rows/s");
    let mut sources: Vec<(&str, Box<dyn CandidateSource>)> = vec![("vectors", Box::new(vectors(&examples, &streams)))];
    if let Some(folder) = find_shared("data/wordnet") {
        sources.push(("synonyms", Box::new(Thesaurus::read(&folder)?)));
    }
    for (name, source) in sources {
        // The copies of the second pass have all come before: it finds them and drops them.
        let mut augmenter = Augmenter::new(AugmentOptions::default(), vec![source], streams)?;
        let mut pass = || -> Result<(usize, f64), Box<dyn Error + Send + Sync>> {
            let began = Instant::now();
            let made = examples.chunks(1024).map(|rows| Ok(black_box(augmenter.augment(rows)?).len()));
            let made = made.sum::<Result<usize, attar_text::augment::AugmentError>>()?;
            Ok((made, began.elapsed().as_secs_f64()))
        };
        let ((made, first), (_, second)) = (pass()?, pass()?);
        println!("{name:>12} {made:>10} {:>16.0} {:>16.0}", made as f64 / first, made as f64 / second);
    }
    Ok(())
}

/// The words of the texts and others, each with a random vector.
fn vectors(examples: &[Example], streams: &Streams) -> NearestWords {
    let texts = examples.iter().flat_map(|example| example.text.split_whitespace());
    let made_up = (0..WORDS).map(|n| n.to_string().bytes().map(|digit| char::from(digit + 49)).collect());
    let mut words: Vec<String> = texts.map(str::to_lowercase).collect();
    words.sort_unstable();
    words.dedup();
    words.extend(made_up);
    words.truncate(WORDS);
    let mut stream = streams.stream("vectors", &[]);
    let numbers = (0..words.len() * WIDTH).map(|_| stream.normal() as f32).collect();
    NearestWords::new(words, numbers, WIDTH).with_same_endings()
}
