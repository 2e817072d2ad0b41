//! The n-gram baseline: what it learns from texts and pairs, classes and scores.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on must stop")]

use attar_distill::baseline::NgramBaseline;
use attar_text::labeled::{Dataset, Example, Label, LabelSet, Target};
use attar_text::layout::Split;
use attar_text::random::Streams;
use attar_text::synthetic;

fn data(rows: impl IntoIterator<Item = (String, Option<String>, Label)>, target: Target) -> Dataset {
    let examples = rows.into_iter().map(|(text, pair, label)| Example { text, pair, label }).collect();
    Dataset { examples, target, name: "test".into(), sha256: String::new(), path: None }
}

fn two_classes() -> Target {
    Target::Classes(LabelSet { names: vec!["a".into(), "b".into()] })
}

fn answer(model: &NgramBaseline, text: &str, pair: Option<&str>) -> usize {
    let logits = model.predict(&Example { text: text.into(), pair: pair.map(Into::into), label: Label::Absent });
    (0..logits.len()).max_by(|&a, &b| logits[a].total_cmp(&logits[b])).unwrap()
}

#[test]
fn learns_words_and_pairs_of_words() {
    let rows = [("good film", 1), ("bad film", 0), ("not good", 0), ("not bad", 1)];
    let rows = rows.repeat(5).into_iter().map(|(text, class)| (text.to_owned(), None, Label::Class(class)));
    let model = NgramBaseline::train(&data(rows, two_classes()), &Streams::new(1)).unwrap();
    assert_eq!(
        ["a good film", "a bad film", "not good!", "Not bad"].map(|text| answer(&model, text, None)),
        [1, 0, 0, 1]
    );
}

#[test]
fn knows_words_by_their_letters() {
    let rows = [("loading", 1), ("reading", 1), ("loaded", 0), ("reader", 0)];
    let rows = rows.repeat(5).into_iter().map(|(text, class)| (text.to_owned(), None, Label::Class(class)));
    let model = NgramBaseline::train(&data(rows, two_classes()), &Streams::new(1)).unwrap();
    assert_eq!(["singing", "folded", "leader"].map(|text| answer(&model, text, None)), [1, 0, 0]);
}

#[test]
fn commands_are_told_apart() {
    let [train, dev] = [(Split::Train, 1000), (Split::Dev, 300)]
        .map(|(split, rows)| synthetic::generate(&Streams::new(1), rows, split));
    let model = NgramBaseline::train(&train, &Streams::new(1)).unwrap();
    let truth = dev.classes().unwrap();
    let right = dev
        .examples
        .iter()
        .zip(&truth)
        .filter(|(example, class)| answer(&model, &example.text, None) == **class as usize);
    let share = right.count() as f64 / dev.len() as f64;
    // Logistic regression on one to two words reaches 85 % from four times as many.
    assert!(share > 0.7, "{share}");
    let again = NgramBaseline::train(&train, &Streams::new(1)).unwrap();
    assert_eq!((model.predict(&dev.examples[0]), model.penalty()), (again.predict(&dev.examples[0]), again.penalty()));
    // 18 weights of four bytes for each n-gram, and its letters.
    assert!(model.bytes() > 18 * 4 * 1000, "{}", model.bytes());
}

/// Pairs of random words of which the second text repeats so many of the first's four.
fn pair(stream: &mut attar_text::random::Stream) -> (String, String, usize) {
    let mut word = || format!("w{}", stream.below(500));
    let first: Vec<String> = (0..4).map(|_| word()).collect();
    let other: Vec<String> = (0..4).map(|_| word()).collect();
    let common = stream.below(5) as usize;
    let second = [&first[..common], &other[common..]].concat();
    (first.join(" "), second.join(" "), common)
}

#[test]
fn pairs_are_told_apart_by_what_they_share() {
    let mut stream = Streams::new(2).stream("pairs", &[]);
    let rows: Vec<_> = (0..300).map(|_| pair(&mut stream)).collect();
    let class = |common: usize| Label::Class(u32::from(common > 2));
    let labeled = rows.iter().map(|(a, b, common)| (a.clone(), Some(b.clone()), class(*common)));
    let model = NgramBaseline::train(&data(labeled, two_classes()), &Streams::new(1)).unwrap();
    assert_eq!(answer(&model, "new words here now", Some("new words here then")), 1);
    assert_eq!(answer(&model, "new words here now", Some("quite other ones then")), 0);
}

#[test]
fn scores_are_learned_within_their_range() {
    let mut stream = Streams::new(3).stream("pairs", &[]);
    let target = Target::Regression { low: 0.0, high: 4.0 };
    let rows: Vec<_> = (0..300).map(|_| pair(&mut stream)).collect();
    let labeled = rows.iter().map(|(a, b, common)| (a.clone(), Some(b.clone()), Label::Score(*common as f32)));
    let model = NgramBaseline::train(&data(labeled, target.clone()), &Streams::new(1)).unwrap();
    // The words are new, and not all of the measures are linear in what is common.
    for (second, expected) in
        [("red green blue gray", 4.0), ("red green black white", 2.0), ("one two three four", 0.0)]
    {
        let example = Example { text: "red green blue gray".into(), pair: Some(second.into()), label: Label::Absent };
        let score = model.predict(&example)[0];
        assert!((score - expected).abs() < 1.2 && (0.0..=4.0).contains(&score), "{score} for {expected}");
    }
    // Single texts: a score for each word.
    let words = ["awful", "poor", "fair", "great"];
    let rows = (0..40).map(|row| (format!("a {} film", words[row % 4]), None, Label::Score((row % 4) as f32)));
    let model = NgramBaseline::train(&data(rows, target), &Streams::new(1)).unwrap();
    let score = |text: &str| model.predict(&Example { text: text.into(), pair: None, label: Label::Absent })[0];
    assert!(score("great film") > 2.4 && score("awful film") < 0.6, "{} {}", score("great film"), score("awful film"));
}

#[test]
fn rows_without_labels_are_refused() {
    let rows = [("x".to_owned(), None, Label::Class(0)), ("y".to_owned(), None, Label::Absent)];
    for target in [two_classes(), Target::Regression { low: 0.0, high: 1.0 }] {
        let error = NgramBaseline::train(&data(rows.clone(), target), &Streams::new(1)).unwrap_err().to_string();
        assert_eq!(
            error,
            "test: expected a label for every row, to train a baseline, got rows without; leave the baseline out"
        );
    }
}
