//! New rows from rows: sources of candidates, both semantics, pairs, what is kept out, and that nothing but a row decides.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on must stop")]

use std::collections::BTreeMap;
use std::fs;
use std::path::PathBuf;

use attar_text::augment::{
    AugmentOptions, Augmenter, CandidateSource, NearestWords, NewRow, Semantics, Slot, SourceError, Thesaurus,
};
use attar_text::labeled::{Example, Label};
use attar_text::random::Streams;
use attar_text::tokenizer::{Tokenizer, WordPieceOptions};
use attar_text::vocabulary::Vocabulary;
use tempfile::TempDir;

/// Candidates by a list.
#[derive(Clone)]
struct Listed(BTreeMap<&'static str, Vec<&'static str>>);

impl CandidateSource for Listed {
    fn candidates(&mut self, slots: &[Slot<'_>], most: usize) -> Result<Vec<Option<Vec<String>>>, SourceError> {
        let of = |slot: &Slot<'_>| {
            let words = self.0.get(slot.word.as_str())?;
            Some(words.iter().take(most).map(|&word| word.to_owned()).collect())
        };
        Ok(slots.iter().map(of).collect())
    }
}

fn listed(words: &[(&'static str, &[&'static str])]) -> Listed {
    Listed(words.iter().map(|(word, candidates)| (*word, candidates.to_vec())).collect())
}

fn films() -> Listed {
    listed(&[
        ("film", &["movie", "picture", "film", "the", "Cinema"]),
        ("great", &["grand", "terrific", "awesome"]),
        ("plot", &["story", "intrigue"]),
    ])
}

fn row(text: &str, pair: Option<&str>) -> Example {
    Example { text: text.to_owned(), pair: pair.map(str::to_owned), label: Label::Class(1) }
}

fn augmenter(options: AugmentOptions, source: impl CandidateSource + 'static) -> Augmenter<'static> {
    Augmenter::new(options, vec![Box::new(source)], Streams::new(7)).unwrap()
}

fn texts(rows: &[NewRow]) -> Vec<&str> {
    rows.iter().map(|row| row.example.text.as_str()).collect()
}

fn file(name: &str, text: &str) -> (TempDir, PathBuf) {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join(name);
    fs::write(&path, text).unwrap();
    (dir, path)
}

/// What each word is always replaced by.
fn first_candidates(source: impl CandidateSource + 'static, text: &str) -> Option<String> {
    let options = AugmentOptions { top: 1, replace: 1.0, per_row: 1, ..AugmentOptions::default() };
    let rows = augmenter(options, source).augment(&[row(text, None)]).unwrap();
    rows.first().map(|row| row.example.text.clone())
}

#[test]
fn copies_differ_in_words_with_candidates_alone() {
    let options = AugmentOptions { per_row: 50, ..AugmentOptions::default() };
    let mut augmenter = augmenter(options, films());
    let original = row("A great film , not a\tGREAT plot !", None);
    let rows = augmenter.augment(&[original.clone(), row("nothing here", None)]).unwrap();
    for NewRow { of, example, replaced } in &rows {
        assert_eq!((*of, &example.pair, &example.label), (0, &None, &Label::Class(1)));
        let words: Vec<&str> = example.text.split([' ', '\t']).collect();
        let before: Vec<&str> = original.text.split([' ', '\t']).collect();
        let changed: Vec<usize> = (0..words.len()).filter(|&at| words[at] != before[at]).collect();
        // The articles before `awesome` and `intrigue` change with them.
        let allowed = [
            ["A", "An"].as_slice(),
            &["great", "grand", "terrific", "awesome"],
            &["film", "movie", "picture"],
            &[","],
            &["not"],
            &["a", "an"],
            &["GREAT", "GRAND", "TERRIFIC", "AWESOME"],
            &["plot", "story", "intrigue"],
            &["!"],
        ];
        for (word, allowed) in words.iter().zip(allowed) {
            assert!(allowed.contains(word), "{word} in {}", example.text);
        }
        let counted = changed.iter().filter(|at| [1, 2, 6, 7].contains(at)).count();
        assert_eq!(*replaced, counted, "{}", example.text);
        assert!(*replaced > 0);
        assert_eq!(words[0] == "An", words[1] == "awesome");
        assert_eq!(words[5] == "an", words[6] == "AWESOME");
    }
    // 4 * 3 * 4 * 3 texts less the original itself: fifty different ones are found.
    assert_eq!(rows.len(), 50);
    let tally = augmenter.tally();
    assert_eq!((tally.rows, tally.without_candidates, tally.copies, tally.repeated), (2, 1, 50, 0));
    assert_eq!(tally.replaced, rows.iter().map(|row| row.replaced).sum::<usize>());
    // The share of words replaced is that asked for: 200 draws, five standard errors of which are 0.17.
    let share = tally.replaced as f64 / 200.0;
    assert!((share - 0.4).abs() < 0.2, "{share}");
}

#[test]
fn few_candidates_give_few_copies() {
    let options = AugmentOptions { per_row: 20, ..AugmentOptions::default() };
    let rows = augmenter(options, films()).augment(&[row("the film", None)]).unwrap();
    let mut found = texts(&rows);
    found.sort_unstable();
    // Neither the word itself nor a stop word nor a name.
    assert_eq!(found, ["the movie", "the picture"]);
    // Nor is a name replaced, at the beginning of a sentence either.
    let rows = augmenter(options, films()).augment(&[row("Film Plot, in Great Film. Great: film", None)]).unwrap();
    assert!(!rows.is_empty() && rows.iter().all(|row| row.example.text.starts_with("Film Plot, in Great Film. ")));
    assert!(rows.iter().any(|row| row.example.text.ends_with(" Grand: film")), "{:?}", texts(&rows));
}

#[test]
fn rows_that_are_known_are_not_made_again() {
    let options = AugmentOptions { per_row: 20, ..AugmentOptions::default() };
    let mut augmenter = augmenter(options, films());
    augmenter.keep_out(&[row("The  MOVIE", None)]);
    let rows = [row("the film", None), row("the  film", None), row("the plot", None)];
    let made = augmenter.augment(&rows).unwrap();
    assert_eq!(made.iter().map(|row| row.of).collect::<Vec<_>>(), [0, 2, 2]);
    assert_eq!(made[0].example.text, "the picture");
    // One for the row kept out, one of the second row, whose copies are the first one's; and the row kept out again.
    assert_eq!(augmenter.tally().repeated, 3);
    // Nor later.
    assert_eq!(augmenter.augment(&rows).unwrap(), []);
}

#[test]
fn pairs_change_on_one_side_at_a_time() {
    let options = AugmentOptions { per_row: 4, ..AugmentOptions::default() };
    let (first, second) = ("great film plot", "a plot , a great film");
    let rows = augmenter(options, films()).augment(&[row(first, Some(second))]).unwrap();
    let sides: Vec<(bool, bool)> =
        rows.iter().map(|row| (row.example.text != first, row.example.pair.as_deref() != Some(second))).collect();
    assert_eq!(sides, [(true, false), (false, true), (true, false), (false, true)]);

    let rows = augmenter(options, films()).augment(&[row("nothing", Some(second))]).unwrap();
    assert_eq!(rows.len(), 4);
    assert!(rows.iter().all(|row| row.example.text == "nothing" && row.example.pair.as_deref() != Some(second)));
}

#[test]
fn the_published_code_is_followed_in_its_semantics() {
    let options = AugmentOptions { per_row: 30, semantics: Semantics::Reference, ..AugmentOptions::default() };
    let mut augmenter = augmenter(options, films());
    let original = row("A Great film,\tisn't it?", Some("film"));
    augmenter.keep_out(&[row("movie", None)]);
    let rows = augmenter.augment(std::slice::from_ref(&original)).unwrap();
    let pairs: Vec<(&str, &str)> =
        rows.iter().map(|row| (row.example.text.as_str(), row.example.pair.as_deref().unwrap())).collect();
    // The row itself first, as it is; then copies as lower-case tokens, beside the second text as it is.
    assert_eq!(pairs[0], ("A Great film,\tisn't it?", "film"));
    let seconds = pairs.iter().rposition(|(_, second)| *second == "film").unwrap();
    let last = pairs[seconds - 1].0;
    assert_ne!(last, pairs[0].0);
    // The second text's rows stand beside the last copy of the first text; the unchanged one is there too.
    assert_eq!(pairs[seconds], (last, "film"));
    assert!(pairs[seconds..].iter().all(|(first, _)| *first == last), "{pairs:?}");
    let mut second: Vec<&str> = pairs[seconds..].iter().map(|(_, second)| *second).collect();
    second.sort_unstable();
    // Stop words and capitals are candidates like others.
    assert_eq!(second, ["Cinema", "film", "movie", "picture", "the"]);
    for (first, _) in &pairs[1..seconds] {
        let words: Vec<&str> = first.split(' ').collect();
        assert_eq!((words[0], &words[3..]), ("a", &[",", "isn", "'", "t", "it", "?"][..]), "{first}");
        assert!(["great", "grand", "terrific", "awesome"].contains(&words[1]), "{first}");
    }
    // With 5 * 4 texts the thirty draws repeat some, which are dropped; the draws need not change a word.
    assert!(seconds < 22, "{seconds}");
    assert!(pairs[1..seconds].iter().any(|(first, _)| *first == "a great film , isn ' t it ?"));
    assert_eq!((rows[0].replaced, augmenter.tally().repeated), (0, 0));

    // A source that answers with nothing is not passed over for the next one there, as it is in clean semantics.
    let empty = listed(&[("film", &[])]);
    for (semantics, expected) in [(Semantics::Reference, 1), (Semantics::Clean, 2)] {
        let options = AugmentOptions { per_row: 9, semantics, ..options };
        let sources: Vec<Box<dyn CandidateSource>> = vec![Box::new(empty.clone()), Box::new(films())];
        let rows = Augmenter::new(options, sources, Streams::new(7)).unwrap().augment(&[row("film", None)]).unwrap();
        assert_eq!(rows.len(), expected, "{semantics:?}");
    }
}

#[test]
fn a_row_alone_decides_about_its_copies() {
    let sentences: Vec<Example> = (0..200)
        .map(|n| row(&format!("the great film {n} has a plot {}", n % 7), (n % 3 == 0).then_some("a great plot")))
        .collect();
    for semantics in [Semantics::Clean, Semantics::Reference] {
        let options = AugmentOptions { semantics, ..AugmentOptions::default() };
        let whole = augmenter(options, films()).augment(&sentences).unwrap();
        let mut in_parts = augmenter(options, films());
        let parts: Vec<Example> =
            sentences.chunks(37).flat_map(|rows| in_parts.augment(rows).unwrap()).map(|row| row.example).collect();
        assert!(whole.iter().map(|row| &row.example).eq(&parts), "{semantics:?}");
        let one = rayon::ThreadPoolBuilder::new().num_threads(1).build().unwrap();
        assert_eq!(one.install(|| augmenter(options, films()).augment(&sentences).unwrap()), whole);
        let backwards: Vec<Example> = sentences.iter().rev().cloned().collect();
        let mut reversed = augmenter(options, films()).augment(&backwards).unwrap();
        reversed.sort_by_key(|row| std::cmp::Reverse(row.of));
        assert!(reversed.iter().map(|row| &row.example).eq(whole.iter().map(|row| &row.example)), "{semantics:?}");
        let other = Augmenter::new(options, vec![Box::new(films())], Streams::new(8)).unwrap().augment(&sentences);
        assert_ne!(other.unwrap(), whole, "the seed matters");
    }
    // More copies leave the first ones as they are.
    let few =
        augmenter(AugmentOptions { per_row: 2, ..AugmentOptions::default() }, films()).augment(&sentences).unwrap();
    let more =
        augmenter(AugmentOptions { per_row: 5, ..AugmentOptions::default() }, films()).augment(&sentences).unwrap();
    assert!(few.iter().all(|row| more.contains(row)));
}

#[test]
fn vectors_are_read_and_the_nearest_found() {
    // Cosines with `film`: movie 0.995, flick 0.98, movies 0.97, plot 0.
    let glove = "film 1 0\nmovie 2.0 0.2\n. 1 0.01\nflick 5 -1\nFilms 1 0.02\nnew york 1 0.05\nplot 0 1\nmovies 4 1\n";
    let (_dir, path) = file("vectors.txt", glove);
    let vectors = NearestWords::from_glove(&path, usize::MAX).unwrap();
    assert_eq!(vectors.len(), 6);
    let options = AugmentOptions { top: 3, per_row: 30, ..AugmentOptions::default() };
    let rows = augmenter(options, vectors.clone()).augment(&[row("Film", None)]).unwrap();
    let mut found = texts(&rows);
    found.sort_unstable();
    assert_eq!(found, ["Flick", "Movie", "Movies"]);
    let rows = augmenter(options, vectors.with_same_endings()).augment(&[row("Film", None)]).unwrap();
    let mut found = texts(&rows);
    found.sort_unstable();
    assert_eq!(found, ["Flick", "Movie", "Plot"]);

    // As word2vec writes it, and only so many lines.
    let (_dir, path) = file("vectors.txt", &format!("8 2\n{glove}"));
    let vectors = NearestWords::from_glove(&path, 2).unwrap();
    assert_eq!((vectors.len(), first_candidates(vectors, "flick film")), (2, Some("flick movie".to_owned())));

    for (text, expected) in [
        (
            "film 1 0\nmovie 1\n",
            "FILE: line 2: expected a word and 2 finite numbers, separated by spaces, as GloVe writes them",
        ),
        ("film 1 x\n", "FILE: line 1: expected a word and 2 finite numbers, separated by spaces, as GloVe writes them"),
        (
            "film 1 nan\n",
            "FILE: line 1: expected a word and 2 finite numbers, separated by spaces, as GloVe writes them",
        ),
        ("film\n", "FILE: line 1: expected a word and 0 finite numbers, separated by spaces, as GloVe writes them"),
        (". 1 2\n", "FILE: no word with a vector, expected a line for each word, with its numbers"),
    ] {
        let (_dir, path) = file("vectors.txt", text);
        let error = NearestWords::from_glove(&path, 9).unwrap_err().to_string();
        assert_eq!(error.replace(&path.display().to_string(), "FILE"), expected);
    }
}

/// Random vectors against the plain way to find the nearest.
#[test]
fn search_is_exact() {
    let width = 37;
    let mut stream = Streams::new(3).stream("vectors", &[]);
    let letters = |mut n: usize| {
        let mut word = String::from("x");
        while n > 0 {
            word.push(char::from(b'a' + (n % 26) as u8));
            n /= 26;
        }
        word
    };
    let words: Vec<String> = (0..300).map(letters).collect();
    let vectors: Vec<f32> = (0..words.len() * width).map(|_| stream.normal() as f32).collect();
    let vector = |row: usize| vectors[row * width..][..width].iter().map(|&x| f64::from(x));
    let cosine = |a: usize, b: usize| {
        let length = |row: usize| vector(row).map(|x| x * x).sum::<f64>().sqrt();
        vector(a).zip(vector(b)).map(|(x, y)| x * y).sum::<f64>() / length(a) / length(b)
    };
    let mut near = NearestWords::new(words.clone(), vectors.clone(), width);
    let rows: Vec<Example> = words.iter().map(|word| row(word, None)).collect();
    let slots: Vec<Slot<'_>> =
        rows.iter().map(|row| Slot { row, text: 0, bytes: 0..row.text.len(), word: row.text.clone() }).collect();
    let found = near.candidates(&slots, 10).unwrap();
    for (word, found) in found.into_iter().enumerate() {
        let mut order: Vec<usize> = (0..words.len()).filter(|&other| other != word).collect();
        order.sort_by(|&a, &b| cosine(word, b).total_cmp(&cosine(word, a)));
        let expected: Vec<&String> = order[..10].iter().map(|&row| &words[row]).collect();
        assert_eq!(found.unwrap().iter().collect::<Vec<_>>(), expected, "{}", words[word]);
    }
}

#[test]
fn embeddings_give_whole_words() {
    let tokens = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", "film", "##film", "movie", "##s", "!", "plot", "x"];
    let vocabulary = Vocabulary::from_tokens(tokens.map(String::from).to_vec()).unwrap();
    let tokenizer = Tokenizer::from_vocabulary(vocabulary, WordPieceOptions::uncased()).unwrap();
    // All alike but `movie` and `plot`: only words count.
    let embeddings: Vec<f32> = tokens
        .iter()
        .flat_map(|token| match *token {
            "movie" => [1.0, 0.5],
            "plot" => [-1.0, 0.5],
            _ => [1.0, 0.0],
        })
        .collect();
    let near = NearestWords::from_embeddings(&tokenizer, &embeddings, 2);
    assert_eq!(near.len(), 3);
    assert_eq!(first_candidates(near, "a film, films!").as_deref(), Some("a movie, films!"));
}

const SYNSETS: &str = "1-n\tn\tmovie|film|moving picture|Film Art\t\t\n\
    2-n\tn\tfilm\t\t\n\
    3-v\tv\tfilm|shoot|take\t\t\n\
    4-s\ts\tgripping|riveting\t\t5-a\n\
    5-a\ta\tinteresting\t\t4-s\n\
    6-v\tv\tlove|adore|bask\t\t\n\
    7-v\tv\tlove|enjoy\t\t\n\
    8-v\tv\tenjoy|have\t\t\n\
    9-n\tn\tlove|passion\t\t\n\
    10-v\tv\tshoot|hit\t\t\n\
    11-r\tr\tquickly|rapidly|chop-chop\t\t\n\
    12-n\tn\tadult female|woman|lady\t\t\n\
    13-v\tv\twatch|see|catch\t\t\n\
    16-n\tn\ttimes|multiplication|multiplication table\t\t\n\
    17-n\tn\ttime|clock\t\t\n\
    18-n\tn\ttime|clock|clocks\t\t\n\
    19-v\tv\tcome|arrive\t\t20-v\n\
    20-v\tv\tarrive|reach\t\t\n\
    21-n\tn\tbuilding|edifice|edifice complex\t\t\n\
    22-v\tv\tbuild|erect|erection\t\t\n\
    14-n\tn\tmovies|riveting machine|adorer|tale of passion|passion play|catcher|lady-in-waiting\t\t\n\
    15-r\tr\trapidly flowing|takeoff|seeing|interesting times|gripping tale|loving\t\t\n";

#[test]
fn synonyms_stand_in_the_form_of_the_word() {
    let (dir, path) = file("oewn_synsets.tsv", SYNSETS);
    let thesaurus = Thesaurus::read(&path).unwrap();
    assert_eq!(Thesaurus::read(dir.path()).unwrap().len(), thesaurus.len());
    let first = |text: &str| first_candidates(thesaurus.clone(), text);
    assert_eq!(first("Two films").as_deref(), Some("Two movies"));
    assert_eq!(first("they film it").as_deref(), Some("they take it"));
    assert_eq!(first("he filmed it").as_deref(), Some("he took it"));
    assert_eq!(first("a gripping film").as_deref(), Some("a riveting movie"));
    assert_eq!(first("she loves it").as_deref(), Some("she adores it"));
    assert_eq!(first("the love").as_deref(), Some("the passion"));
    assert_eq!(first("we watched women").as_deref(), Some("we caught ladies"));
    assert_eq!(first("it moves quickly").as_deref(), Some("it moves rapidly"));
    assert_eq!(first("an interesting one").as_deref(), Some("a gripping one"));
    // The form of another word, where it is the likelier.
    assert_eq!(first("a few times").as_deref(), Some("a few clocks"));
    assert_eq!(first("they have come").as_deref(), Some("they have arrived"));
    assert_eq!(first("high buildings and building").as_deref(), Some("high edifices and edifice"));
    // What is similar to a verb is not a candidate, nor what shares one sense of many.
    let options = AugmentOptions { per_row: 20, replace: 1.0, ..AugmentOptions::default() };
    let rows = augmenter(options, thesaurus.clone()).augment(&[row("they come", None)]).unwrap();
    assert_eq!(texts(&rows), ["they arrive"]);
    let many: String =
        (1..10).map(|n| format!("{n}-v\tv\trun|{}\t\t\n", if n == 1 { "flow|flower" } else { "runs" })).collect();
    let (_many, path) = file("oewn_synsets.tsv", &many);
    assert_eq!(first_candidates(Thesaurus::read(&path).unwrap(), "they run"), None);
    // No lemma, no sense in this place, no synonym.
    assert_eq!(first("the fast glass"), None);

    for (text, expected) in [
        ("1-n\tx\tfilm\t\t\n", "FILE: line 1: expected a part of speech, one of n, v, a, s and r, found \"x\""),
        ("1-n\tn\tfilm\t\t2-n\n", "FILE: line 1: expected ids of synsets of the file, found \"2-n\""),
        (
            "",
            "FILE: no synset, expected one a line: id, part of speech, members joined by |, hypernyms, similar synsets",
        ),
    ] {
        let (_dir, path) = file("synsets.tsv", text);
        let error = Thesaurus::read(&path).unwrap_err().to_string();
        assert_eq!(error.replace(&path.display().to_string(), "FILE"), expected);
    }
}

#[test]
fn impossible_options_are_refused() {
    let refused = |options: AugmentOptions, sources: Vec<Box<dyn CandidateSource>>| {
        Augmenter::new(options, sources, Streams::new(1)).err().unwrap().to_string()
    };
    let options = AugmentOptions::default();
    let films = || -> Vec<Box<dyn CandidateSource>> { vec![Box::new(films())] };
    for replace in [0.0, -0.1, 1.1, f64::NAN] {
        let error = refused(AugmentOptions { replace, ..options }, films());
        assert!(error.contains("above 0 and at most 1"), "{error}");
    }
    for (options, sources, what) in [
        (AugmentOptions { per_row: 0, ..options }, films(), "copy a row"),
        (AugmentOptions { top: 0, ..options }, films(), "candidate a word"),
        (options, Vec::new(), "source of candidates"),
    ] {
        assert_eq!(refused(options, sources), format!("augmentation: expected at least one {what}, found none"));
    }
    struct Broken;
    impl CandidateSource for Broken {
        fn candidates(&mut self, _: &[Slot<'_>], _: usize) -> Result<Vec<Option<Vec<String>>>, SourceError> {
            Err("no model".into())
        }
    }
    let error = augmenter(options, Broken).augment(&[row("film", None)]).unwrap_err();
    assert_eq!(error.to_string(), "candidates for words: no model");
}
