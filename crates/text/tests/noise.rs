//! Noisy copies of rows: what each kind of noise does, and what no copy may be.

use std::collections::{HashMap, HashSet};

use attar_text::labeled::{Example, Label};
use attar_text::layout::Split;
use attar_text::noise::{Noise, noisy};
use attar_text::random::Streams;
use attar_text::synthetic;

const NONE: Noise = Noise { mask: 0.0, replace: 0.0, swap: 0.0, ngram: 0.0, splice: 0.0 };

fn single(text: &str) -> Example {
    Example { text: text.to_owned(), pair: None, label: Label::Class(1) }
}

fn pair(text: &str, pair: &str) -> Example {
    Example { text: text.to_owned(), pair: Some(pair.to_owned()), label: Label::Score(2.5) }
}

/// Rows of words that no other row has: `r3w0 r3w1 …`.
fn rows(lengths: &[usize]) -> Vec<Example> {
    let text = |(row, &length): (usize, &usize)| {
        (0..length).map(|word| format!("r{row}w{word}")).collect::<Vec<_>>().join(" ")
    };
    lengths.iter().enumerate().map(|row| single(&text(row))).collect()
}

fn words(example: &Example) -> Vec<&str> {
    example.text.split(' ').collect()
}

#[test]
fn masking_hides_words_or_drops_them() {
    let rows = rows(&[200]);
    let noise = Noise { mask: 0.3, ..NONE };
    let streams = Streams::new(1);
    let masked = noisy(&rows, Some("[MASK]"), 50, noise, &streams);
    assert_eq!(masked.len(), 50);
    let mut hidden = 0;
    for copy in &masked {
        let (got, before) = (words(copy), words(&rows[0]));
        assert_eq!(got.len(), 200);
        assert!(got.iter().zip(&before).all(|(word, before)| word == before || *word == "[MASK]"));
        hidden += got.iter().filter(|&&word| word == "[MASK]").count();
    }
    // 3,000 expected of 10,000; the standard deviation is 46.
    assert!((2800..3200).contains(&hidden), "{hidden}");
    let dropped = noisy(&rows, None, 50, noise, &streams);
    for (masked, dropped) in masked.iter().zip(&dropped) {
        let left: Vec<&str> = words(masked).into_iter().filter(|&word| word != "[MASK]").collect();
        assert_eq!(words(dropped), left);
    }
}

#[test]
fn replacements_are_as_frequent_as_the_words() {
    // Of 1,000 words 900 are `often`, 99 `seldom`, and case and punctuation belong to the word.
    let text = format!("{} {} Once,", "often ".repeat(900).trim(), "seldom ".repeat(99).trim());
    let copies = noisy(&[single(&text)], None, 20, Noise { replace: 1.0, ..NONE }, &Streams::new(2));
    let mut counts: HashMap<&str, usize> = HashMap::new();
    copies.iter().flat_map(words).for_each(|word| *counts.entry(word).or_default() += 1);
    assert_eq!(counts.values().sum::<usize>(), 20_000);
    assert!((17_800..18_200).contains(&counts["often"]), "{counts:?}");
    assert!((1_800..2_200).contains(&counts["seldom"]), "{counts:?}");
    assert!((5..50).contains(&counts["Once,"]), "{counts:?}");
}

#[test]
fn swaps_move_words_by_one_place() {
    let rows = rows(&[100]);
    let before = words(&rows[0]);
    let mut moved = 0;
    for copy in noisy(&rows, None, 20, Noise { swap: 0.2, ..NONE }, &Streams::new(3)) {
        let got = words(&copy);
        assert_eq!(got.iter().collect::<HashSet<_>>(), before.iter().collect());
        for (at, word) in got.iter().enumerate() {
            let from = before.iter().position(|before| before == word).unwrap();
            assert!(from.abs_diff(at) <= 1, "{word} from {from} to {at}");
            moved += usize::from(from != at);
        }
    }
    // Two words for one swap, at 0.2 of the places where a word has not moved yet: about 33 of 100.
    assert!((550..800).contains(&moved), "{moved} of 2000");
    let all = noisy(&self::rows(&[5]), None, 1, Noise { swap: 1.0, ..NONE }, &Streams::new(3));
    assert_eq!(all[0].text, "r0w1 r0w0 r0w3 r0w2 r0w4");
}

#[test]
fn ngrams_are_one_to_five_neighbors() {
    let rows = rows(&[60]);
    let mut lengths = [0; 6];
    let copies = noisy(&rows, None, 150, Noise { ngram: 1.0, ..NONE }, &Streams::new(4));
    for copy in &copies {
        assert!(format!(" {} ", rows[0].text).contains(&format!(" {} ", copy.text)), "{}", copy.text);
        lengths[words(copy).len()] += 1;
    }
    assert!(copies.len() > 140);
    assert!(lengths[0] == 0 && lengths[1..].iter().all(|&count| count > 10), "{lengths:?}");
}

#[test]
fn splices_end_as_another_row_does() {
    let rows = rows(&[5, 4, 1]);
    let copies = noisy(&rows, None, 20, Noise { splice: 1.0, ..NONE }, &Streams::new(5));
    let got: HashSet<&str> = copies.iter().map(|copy| copy.text.as_str()).collect();
    let expected = [
        "r0w0 r0w1 r0w2 r1w2 r1w3",
        "r0w0 r0w1 r0w2 r2w0",
        "r1w0 r1w1 r0w2 r0w3 r0w4",
        "r1w0 r1w1 r2w0",
        "r2w0 r0w2 r0w3 r0w4",
        "r2w0 r1w2 r1w3",
    ];
    assert_eq!(got, HashSet::from(expected));
    // Each once, although twenty were asked for of each row.
    assert_eq!(copies.len(), 6);
    assert!(noisy(&rows[..1], None, 20, Noise { splice: 1.0, ..NONE }, &Streams::new(5)).is_empty());
}

#[test]
fn one_text_of_a_pair_is_noisy() {
    let rows: Vec<Example> =
        (0..40).map(|row| pair(&format!("a{row} b c d e f g"), &format!("A{row} B C D E F G"))).collect();
    let copies = noisy(&rows, Some("?"), 10, Noise::default(), &Streams::new(6));
    assert!(copies.len() > 380, "{}", copies.len());
    // Every copy has one text of a row, and another one beside it.
    let (mut firsts, mut seconds) = (0, 0);
    for copy in &copies {
        let differs = |row: &&Example| (row.text != copy.text) != (row.pair != copy.pair);
        let row = rows.iter().find(differs).unwrap_or_else(|| panic!("{copy:?}"));
        firsts += usize::from(row.text != copy.text);
        seconds += usize::from(row.pair != copy.pair);
    }
    assert!(firsts > 140 && seconds > 140, "{firsts} and {seconds}");
    let splices = noisy(&rows, None, 10, Noise { splice: 1.0, ..NONE }, &Streams::new(6));
    assert!(splices.iter().all(|copy| copy.text == copy.text.to_lowercase()));
    // A text without words is left as it is.
    let half_empty = noisy(&[pair("", "x y")], None, 5, Noise { swap: 1.0, ..NONE }, &Streams::new(7));
    assert_eq!(half_empty, [Example { label: Label::Absent, ..pair("", "y x") }]);
}

#[test]
fn copies_are_new_texts() {
    let mut rows = synthetic::generate(&Streams::new(8), 300, Split::Train).examples;
    rows.extend([single(""), single("word"), single(" word  word ")]);
    let copies = noisy(&rows, Some("[MASK]"), 20, Noise::default(), &Streams::new(8));
    let plain = |example: &Example| example.text.to_lowercase().split_whitespace().collect::<Vec<_>>().join(" ");
    let mut seen: HashSet<String> = rows.iter().map(plain).collect();
    for copy in &copies {
        assert!(seen.insert(plain(copy)), "{:?} twice", copy.text);
        assert!(copy.text.split(' ').any(|word| !word.is_empty() && word != "[MASK]"), "{:?}", copy.text);
        assert_eq!((&copy.label, &copy.pair), (&Label::Absent, &None));
    }
    assert!(copies.len() > 5400, "{} of {}", copies.len(), rows.len() * 20);
}

#[test]
fn copies_depend_on_seed_and_row_alone() {
    let rows = synthetic::generate(&Streams::new(9), 50, Split::Train).examples;
    let noise = Noise { splice: 0.0, ..Noise::default() };
    let make = |rows: &[Example], copies, seed| noisy(rows, Some("[MASK]"), copies, noise, &Streams::new(seed));
    let all = make(&rows, 6, 1);
    assert_eq!(make(&rows, 6, 1), all);
    assert_ne!(make(&rows, 6, 2), all);
    let one = rayon::ThreadPoolBuilder::new().num_threads(1).build().unwrap();
    assert_eq!(one.install(|| make(&rows, 6, 1)), all);
    // Fewer copies are among more of them.
    let few = make(&rows, 2, 1);
    assert!(few.len() > 90 && few.iter().all(|copy| all.contains(copy)));
    // Another order of one row's words changes nothing in the copies of the other rows.
    let mut other = rows.clone();
    let mut turned: Vec<&str> = rows[20].text.split(' ').collect();
    turned.reverse();
    other[20].text = turned.join(" ");
    let changed = make(&other, 6, 1);
    let differ = all.iter().filter(|copy| !changed.contains(copy)).count();
    assert!((1..=6).contains(&differ), "{differ}");
    assert_eq!(noisy(&[], None, 5, noise, &Streams::new(1)), []);
    assert_eq!(noisy(&rows, None, 0, noise, &Streams::new(1)), []);
}

#[test]
fn impossible_noise_is_refused() {
    let message = |noise: Noise| noise.check().unwrap_err().to_string();
    assert!(Noise::default().check().is_ok());
    assert_eq!(message(NONE), "noise: every share is 0, expected at least one kind of noise");
    assert_eq!(message(Noise { swap: 1.5, ..NONE }), "noise: expected swap to be a share between 0 and 1, found 1.5");
    assert_eq!(
        message(Noise { ngram: f64::NAN, ..NONE }),
        "noise: expected ngram to be a share between 0 and 1, found NaN"
    );
    assert_eq!(
        message(Noise { splice: -0.1, ..NONE }),
        "noise: expected splice to be a share between 0 and 1, found -0.1"
    );
    assert_eq!(
        message(Noise { mask: 0.75, replace: 0.5, ..NONE }),
        "noise: mask and replace are 1.25 together, expected at most 1, since a word has one of them"
    );
    let result = std::panic::catch_unwind(|| noisy(&[single("a b")], None, 1, NONE, &Streams::new(1)));
    assert!(result.is_err());
}
