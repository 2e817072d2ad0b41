//! Texts and megabytes a second through the `tokenizers` crate and through this one, on one thread,
//! alternating in one run so that both meet the same noise; then the time that reading a
//! `tokenizer.json` takes.
//!
//! The texts are those of `../shared` where they are, and made-up ones where they are not.

use std::error::Error;
use std::hint::black_box;
use std::io::Read;
use std::path::Path;
use std::time::{Duration, Instant};

use attar_testing::find_shared;
use attar_text::layout::Split;
use attar_text::random::Streams;
use attar_text::synthetic;
use attar_text::tokenizer::{Encodings, Limit, Tokenizer, TrainOptions, train_wordpiece};

#[expect(clippy::print_stdout, reason = "a benchmark prints what it measures")]
fn main() -> Result<(), Box<dyn Error + Send + Sync>> {
    // `cargo test --benches` runs everything once, to see that it runs.
    let rounds = if std::env::args().any(|argument| argument == "--bench") { 9 } else { 1 };
    let json = vocabulary()?;
    let crates = tokenizers::Tokenizer::from_bytes(&json)?;
    let ours = Tokenizer::from_json(json.clone())?;
    println!("{} tokens; minima of {rounds} rounds, one thread", ours.vocabulary_size());
    println!(
        "{:>24} {:>7} {:>9} | {:>10} {:>7} | {:>10} {:>7} | ratio",
        "", "texts", "bytes", "crate t/s", "MB/s", "here t/s", "MB/s"
    );
    for (name, texts) in corpora()? {
        let (mut slow, mut fast) = (Duration::MAX, Duration::MAX);
        let mut batch = Encodings::default();
        for _ in 0..rounds {
            slow = slow.min(seconds(|| {
                for text in &texts {
                    black_box(crates.encode_fast(text.as_str(), true)?);
                }
                Ok(())
            })?);
            fast = fast.min(
                seconds(|| {
                    for _ in 0..PASSES {
                        batch.clear();
                        for text in &texts {
                            batch.push(&ours, text, None, Limit::unlimited())?;
                        }
                        black_box(&batch);
                    }
                    Ok(())
                })? / PASSES,
            );
        }
        let bytes: usize = texts.iter().map(String::len).sum();
        let rate = |count: usize, time: Duration| count as f64 / time.as_secs_f64();
        println!(
            "{name:>24} {:>7} {bytes:>9} | {:>10.0} {:>7.2} | {:>10.0} {:>7.1} | {:>5.1}",
            texts.len(),
            rate(texts.len(), slow),
            rate(bytes, slow) / 1e6,
            rate(texts.len(), fast),
            rate(bytes, fast) / 1e6,
            slow.as_secs_f64() / fast.as_secs_f64(),
        );
    }
    let (mut slow, mut fast) = (Duration::MAX, Duration::MAX);
    for _ in 0..rounds {
        slow = slow.min(seconds(|| Ok(_ = black_box(tokenizers::Tokenizer::from_bytes(&json)?)))?);
        let copy = json.clone();
        fast = fast.min(seconds(|| Ok(_ = black_box(Tokenizer::from_json(copy)?)))?);
    }
    let milliseconds = |time: Duration| time.as_secs_f64() * 1e3;
    println!("reading tokenizer.json: crate {:.2} ms, here {:.2} ms", milliseconds(slow), milliseconds(fast));
    Ok(())
}

/// Passes of the fast way against one of the slow, so that both are timed for as long, and a small
/// corpus does not show how fast the tables come back into the cache.
const PASSES: u32 = 20;

fn seconds(
    work: impl FnOnce() -> Result<(), Box<dyn Error + Send + Sync>>,
) -> Result<Duration, Box<dyn Error + Send + Sync>> {
    let start = Instant::now();
    work()?;
    Ok(start.elapsed())
}

/// BERT's own vocabulary, or a small one of made-up text.
fn vocabulary() -> Result<Vec<u8>, Box<dyn Error + Send + Sync>> {
    if let Some(dir) = find_shared("data/tokenizer/bert-base-uncased") {
        return Ok(std::fs::read(dir.join("tokenizer.json"))?);
    }
    Ok(train_wordpiece(made_up(), TrainOptions::new(2000))?.to_json()?.into_bytes())
}

/// A name and texts.
type Corpus = (&'static str, Vec<String>);

fn corpora() -> Result<Vec<Corpus>, Box<dyn Error + Send + Sync>> {
    let mut corpora = vec![("made up", made_up())];
    if let Some(path) = find_shared("data/glue/SST-2/dev.tsv") {
        let rows = std::fs::read_to_string(path)?;
        let texts = rows.lines().skip(1).filter_map(|row| row.split('\t').next()).map(str::to_owned).collect();
        corpora.push(("SST-2 dev", texts));
    }
    if let Some(path) = find_shared("data/corpus/wiki/enwiki2015-00.txt.gz") {
        let text = unpacked(&path)?;
        let lines: Vec<String> = text.lines().filter(|line| !line.is_empty()).map(str::to_owned).collect();
        let ascii = lines.iter().filter(|line| line.is_ascii()).cloned().collect();
        corpora.extend([("Wikipedia", lines), ("Wikipedia, ASCII lines", ascii)]);
    }
    Ok(corpora)
}

fn made_up() -> Vec<String> {
    synthetic::generate(&Streams::new(1), 2000, Split::Train).examples.into_iter().map(|example| example.text).collect()
}

/// The first two megabytes of a packed text.
fn unpacked(path: &Path) -> Result<String, Box<dyn Error + Send + Sync>> {
    let mut bytes = Vec::new();
    flate2::read::GzDecoder::new(std::fs::File::open(path)?).take(2 << 20).read_to_end(&mut bytes)?;
    Ok(String::from_utf8_lossy(&bytes).into_owned())
}
