//! Text from files, line by line.
#![expect(clippy::unwrap_used, reason = "a failed call is a failed test")]

use std::io::Write;
use std::path::PathBuf;
use std::sync::atomic::Ordering;

use attar_text::corpus::{Corpus, CorpusError};
use attar_text::tokenizer::{Limit, Tokenizer, TrainOptions, compare_vocabularies, train_wordpiece};

fn file(dir: &tempfile::TempDir, name: &str, bytes: &[u8]) -> PathBuf {
    let path = dir.path().join(name);
    std::fs::write(&path, bytes).unwrap();
    path
}

fn packed(text: &[u8]) -> Vec<u8> {
    let mut packer = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::default());
    packer.write_all(text).unwrap();
    packer.finish().unwrap()
}

#[test]
fn lines_of_plain_and_packed_files_follow_each_other() {
    let dir = tempfile::tempdir().unwrap();
    let plain = file(&dir, "a.txt", b"\xef\xbb\xbfone\r\n\n  \ntwo");
    // Its name does not say so.
    let gzip = file(&dir, "b.txt", &packed("three\nvier ü\n".as_bytes()));
    let mut corpus = Corpus::open(&[&plain, &gzip]).unwrap();
    let total = corpus.total_bytes();
    let position = corpus.position();
    let lines: Vec<String> = corpus.by_ref().collect();
    assert_eq!(lines, ["one", "two", "three", "vier ü"]);
    assert_eq!(position.load(Ordering::Relaxed), total);
    assert_eq!(corpus.finish().unwrap(), 4);
}

#[test]
fn an_error_ends_the_lines_and_is_told() {
    let dir = tempfile::tempdir().unwrap();
    let good = file(&dir, "good.txt", b"fine\n");
    let bad = file(&dir, "bad.txt", b"fine\nnot \xff text\nfine\n");
    let mut corpus = Corpus::open(&[&bad, &good]).unwrap();
    assert_eq!(corpus.by_ref().collect::<Vec<_>>(), ["fine"]);
    assert!(corpus.next().is_none(), "no line after an error");
    match corpus.finish().unwrap_err() {
        CorpusError::NotUtf8 { path, line } => assert_eq!((path, line), (bad, 2)),
        other => panic!("{other}"),
    }
    let torn = packed(&b"a line\n".repeat(1000));
    let torn = file(&dir, "torn.txt.gz", &torn[..torn.len() - 9]);
    let mut corpus = Corpus::open(&[&torn]).unwrap();
    corpus.by_ref().for_each(drop);
    assert!(matches!(corpus.finish(), Err(CorpusError::Io { .. })));
    // What is missing is told before anything is read.
    assert!(Corpus::open(&[good, dir.path().join("none.txt")]).is_err());
    assert!(Corpus::open(&[dir.path()]).is_err());
    // A pipe is gone after one reading.
    #[cfg(unix)]
    assert!(Corpus::open(&["/dev/null"]).err().unwrap().to_string().contains("regular file"));
}

/// A tokenizer whose pieces are characters and these words.
fn with_words(words: &str) -> Tokenizer {
    let texts = [words; 3].into_iter().chain(["violets once, for their letters"]);
    train_wordpiece(texts, TrainOptions { min_frequency: 3, ..TrainOptions::new(400) }).unwrap()
}

#[test]
fn comparison_counts_what_encoding_gives() {
    let (rich, poor) = (with_words("roses violets"), with_words("roses"));
    let texts = ["roses violets roses", "violets ✿", ""];
    let comparison = compare_vocabularies([&rich, &poor], texts, 5).unwrap();
    for (tokenizer, coverage) in [&rich, &poor].into_iter().zip(comparison.coverage) {
        let lengths = texts.map(|text| tokenizer.encode(text, None, Limit::unlimited()).unwrap().len() as u64 - 2);
        assert_eq!(coverage.pieces, lengths.iter().sum::<u64>());
        assert_eq!((coverage.words, coverage.unknown), (5, 1));
        assert_eq!(coverage, tokenizer.coverage(texts).unwrap());
    }
    let cut = poor.encode("violets", None, Limit::unlimited()).unwrap().len() - 2;
    assert!(cut > 1);
    assert_eq!((comparison.different_words, comparison.broken_words), (3, 1));
    let worst = &comparison.worst[0];
    assert_eq!(
        (worst.word.as_str(), worst.uses, worst.pieces, worst.added()),
        ("violets", 2, [1, cut], 2 * (cut as u64 - 1))
    );
    let [first, second] = comparison.coverage.map(|coverage| coverage.pieces as f64);
    assert_eq!(comparison.growth(), Some(second / first));
    assert_eq!(comparison.pieces, [rich.vocabulary_size(), poor.vocabulary_size()]);
    assert!(comparison.common <= poor.vocabulary_size());
    assert!(compare_vocabularies([&rich, &poor], texts, 0).unwrap().worst.is_empty());
    // A word that the first does not know at all is not broken by a second that spells it.
    let ignorant = train_wordpiece(["roses"; 3], TrainOptions::new(60)).unwrap();
    let comparison = compare_vocabularies([&ignorant, &poor], ["violets"], 5).unwrap();
    assert_eq!((comparison.coverage.map(|c| c.unknown), comparison.broken_words), ([1, 0], 0));
}

#[test]
fn a_line_that_never_ends_is_an_error() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("long.txt");
    std::fs::write(&path, format!("short\n{}", "a".repeat((64 << 20) + 1))).unwrap();
    let mut corpus = Corpus::open(&[&path]).unwrap();
    assert_eq!(corpus.by_ref().count(), 1);
    let error = corpus.finish().unwrap_err().to_string();
    assert!(error.ends_with("line 2: longer than 67108864 bytes, is this a text file?"), "{error}");
}
