//! A trained vocabulary: deterministic to the byte, and fit for its text.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on must stop")]

use std::process::Command;

use attar_testing::shared;
use attar_text::random::Streams;
use attar_text::tokenizer::{Limit, Tokenizer, TrainOptions, WordCounts, train_wordpiece};

/// Made-up words with a skewed distribution, many ties among them.
fn texts() -> Vec<String> {
    let mut stream = Streams::new(1).stream("training test", &[]);
    let syllables = ["ka", "lo", "mi", "zor", "de", "pe", "si", "ñu", "tt", "é"];
    (0..3000)
        .map(|_| {
            let words: Vec<String> = (0..8)
                .map(|_| {
                    (0..=stream.below(3)).map(|_| syllables[stream.below(10).min(stream.below(10)) as usize]).collect()
                })
                .collect();
            words.join(" ")
        })
        .collect()
}

fn vocabulary(tokenizer: &Tokenizer) -> String {
    tokenizer.vocabulary().unwrap().to_text().unwrap()
}

#[test]
fn the_same_text_gives_the_same_bytes() {
    let texts = texts();
    let options = TrainOptions::new(300);
    let first = train_wordpiece(&texts, options).unwrap();
    let backwards = train_wordpiece(texts.iter().rev(), options).unwrap();
    assert_eq!(vocabulary(&first), vocabulary(&backwards));
    assert_eq!(first.to_json().unwrap(), backwards.to_json().unwrap());
}

/// So that one training tells what every smaller vocabulary would be.
#[test]
fn the_first_pieces_are_those_of_a_smaller_vocabulary() {
    let whole = train_wordpiece(texts(), TrainOptions::new(300)).unwrap();
    for size in [120, 200, 299] {
        let smaller = train_wordpiece(texts(), TrainOptions::new(size)).unwrap();
        let kept: Vec<u32> = (0..smaller.vocabulary_size() as u32).collect();
        let first = whole.trimmed(&kept).unwrap().tokenizer;
        assert_eq!(vocabulary(&first), vocabulary(&smaller), "{size}");
    }
}

/// A tokenizer cuts the words of a text as it cuts the text.
#[test]
fn words_are_cut_as_the_text_is() {
    let texts = [texts(), vec!["Ka, lo-mi… ZÖR!".into(); 3]].concat();
    // Fifteen letters and two signs of punctuation: the hyphen and the ellipsis are unknown.
    let words = WordCounts::of(&texts, TrainOptions { characters: 17, ..TrainOptions::new(300) }).unwrap();
    let whole = words.train().unwrap();
    assert_eq!(whole.coverage(&texts).unwrap().unknown, 2 * 3);
    // Punctuation divides the last three texts into eight words each, not into three.
    let split = texts.iter().map(|text| text.split_whitespace().count()).sum::<usize>() + 3 * (8 - 3);
    for size in [120, 200, whole.vocabulary_size()] {
        let first = whole.trimmed(&(0..size as u32).collect::<Vec<_>>()).unwrap().tokenizer;
        let pieces = first.coverage(&texts).unwrap().pieces;
        assert_eq!(words.fertility(&first).unwrap(), Some(pieces as f64 / split as f64), "{size}");
    }
    let none = WordCounts::of([""], TrainOptions::new(300)).unwrap();
    assert_eq!(none.fertility(&whole).unwrap(), None);
}

/// Hash maps are seeded per process, so one process alone would prove little.
#[test]
fn another_process_gives_the_same_bytes() {
    const CHILD: &str = "ATTAR_TEXT_TRAINING_CHILD";
    let trained = train_wordpiece(texts(), TrainOptions::new(300)).unwrap();
    let out = tempfile::tempdir().unwrap();
    if let Some(dir) = std::env::var_os(CHILD) {
        trained.save(dir.as_ref()).unwrap();
        return;
    }
    let status = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "another_process_gives_the_same_bytes"])
        .env(CHILD, out.path())
        .env("RAYON_NUM_THREADS", "1")
        .output()
        .unwrap()
        .status;
    assert!(status.success());
    assert_eq!(std::fs::read_to_string(out.path().join("vocab.txt")).unwrap(), vocabulary(&trained));
    assert_eq!(std::fs::read_to_string(out.path().join("tokenizer.json")).unwrap(), trained.to_json().unwrap());
}

#[test]
fn tokens_stand_in_their_order() {
    let tokenizer = train_wordpiece(["abab abab abab ab", "ba Ba é"], TrainOptions::new(100)).unwrap();
    let vocabulary = tokenizer.vocabulary().unwrap();
    // a##b comes up 4 times; then ##a##b and ab##a are tied at 3, and the smaller ids go first.
    assert_eq!(
        vocabulary.tokens(),
        ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", "a", "b", "e", "##a", "##b", "ab", "##ab", "abab", "ba"]
    );
    assert_eq!(tokenizer.encode("ABAB bab", None, Limit::unlimited()).unwrap().ids, [2, 12, 13, 9, 3]);
    let two = train_wordpiece(["aa aa bb"], TrainOptions { min_frequency: 3, ..TrainOptions::new(100) }).unwrap();
    assert_eq!(two.vocabulary().unwrap().tokens()[5..], ["a", "b", "##a", "##b"]);
    let cased = train_wordpiece(["É É"], TrainOptions { lowercase: false, ..TrainOptions::new(100) }).unwrap();
    assert_eq!(cased.vocabulary().unwrap().tokens()[5..], ["É"]);
}

#[test]
fn the_size_is_kept() {
    for size in [40, 41, 100, 257] {
        let trained = train_wordpiece(texts(), TrainOptions::new(size)).unwrap();
        assert_eq!(trained.vocabulary_size(), size);
    }
    let error = |options: TrainOptions| train_wordpiece(["abc d"], options).unwrap_err().to_string();
    assert_eq!(
        error(TrainOptions::new(8)),
        "a vocabulary of 8 tokens is too small: 11 are needed for the special tokens and the single characters; \
         allow 11 or more, or fewer characters than 4"
    );
    assert_eq!(
        train_wordpiece([" \t"; 3], TrainOptions::new(50)).unwrap_err().to_string(),
        "no word in the training text, expected at least one"
    );
    assert!(train_wordpiece(Vec::<String>::new(), TrainOptions::new(50)).is_err());
    let few = train_wordpiece(["aa ab ac aa"], TrainOptions { characters: 2, ..TrainOptions::new(50) }).unwrap();
    assert_eq!(few.vocabulary().unwrap().tokens()[5..], ["a", "b", "##a", "##b", "aa"]);
}

/// Real text: words it was trained on are covered, and frequent ones are one token.
#[test]
#[ignore = "needs the data sets of ../shared"]
fn film_reviews() {
    let path = shared("data/glue/SST-2/train.tsv");
    let text = std::fs::read_to_string(path).unwrap();
    let tokenizer = train_wordpiece(text.lines().skip(1), TrainOptions::new(2000)).unwrap();
    assert_eq!(tokenizer.vocabulary_size(), 2000);
    for word in ["movie", "the", "performances"] {
        assert!(tokenizer.id(word).is_some(), "{word}");
    }
    let unknown = tokenizer.unk_id().unwrap();
    let rows: Vec<(&str, Option<&str>)> = text.lines().skip(1).take(5000).map(|line| (line, None)).collect();
    let encodings = tokenizer.encode_all(&rows, Limit::unlimited()).unwrap();
    assert!(encodings.iter().all(|encoding| !encoding.ids.contains(&unknown)));
    let (tokens, words) = encodings.iter().zip(&rows).fold((0, 0), |(tokens, words), (encoding, (line, _))| {
        (tokens + encoding.len() - 2, words + line.split_whitespace().count())
    });
    assert!(tokens < 2 * words, "{tokens} tokens for {words} words");
}
