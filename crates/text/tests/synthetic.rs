//! The made-up commands: the same every time, without leaks, and neither trivial nor hopeless.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on must stop")]

use std::collections::{HashMap, HashSet};

use attar_text::labeled::Dataset;
use attar_text::layout::Split;
use attar_text::random::Streams;
use attar_text::synthetic::generate;

/// The words, without case and punctuation.
fn words(text: &str) -> Vec<String> {
    text.to_lowercase()
        .split(|c: char| !c.is_alphanumeric() && c != '\'')
        .filter(|w| !w.is_empty())
        .map(String::from)
        .collect()
}

#[test]
fn the_same_seed_gives_the_same_rows() {
    let streams = Streams::new(0);
    let small = generate(&streams, 200, Split::Train);
    // Pinned: examples in documents and recorded runs depend on these rows.
    assert_eq!(small.content_hash(), "ad4ba856a765f02c6f17f867f652318e90f14ea04db25a1df63fc3dce23e2a0b");
    let large = generate(&streams, 1000, Split::Train);
    assert_eq!(large.examples[..200], small.examples[..]);
    assert_ne!(large.sha256, small.sha256);
    assert_ne!(generate(&Streams::new(1), 200, Split::Train).examples, small.examples);
    assert_eq!(generate(&streams, 30, Split::Test).examples, generate(&streams, 30, Split::TestLabeled).examples);
    assert_eq!((small.name.as_str(), &small.path), ("home and shop commands train", &None));
}

#[test]
fn no_sentence_is_in_two_parts_whatever_the_seed() {
    let train = generate(&Streams::new(0), 20_000, Split::Train);
    let plain = |data: &Dataset| -> Vec<String> { data.examples.iter().map(|e| words(&e.text).join(" ")).collect() };
    let known: HashSet<String> = plain(&train).into_iter().collect();
    // A slip may meet a slip, nothing else repeats.
    assert!(known.len() > 19_900, "{}", known.len());
    for seed in [0, 1] {
        for split in [Split::Dev, Split::Test] {
            let other = generate(&Streams::new(seed), 2_000, split);
            assert_eq!(other.duplicates_with(&train), 0);
            assert_eq!(plain(&other).iter().filter(|text| known.contains(*text)).count(), 0);
        }
    }
}

#[test]
fn intents_are_balanced() {
    let counts = generate(&Streams::new(3), 18_000, Split::Train).class_counts();
    assert_eq!(counts.len(), 18);
    // 1000 expected each, with a standard deviation of 31.
    assert!(counts.iter().all(|count| (850..1150).contains(count)), "{counts:?}");
}

#[test]
fn something_is_held_out() {
    let vocabulary =
        |data: &Dataset| -> HashSet<String> { data.examples.iter().flat_map(|e| words(&e.text)).collect() };
    let train = vocabulary(&generate(&Streams::new(0), 20_000, Split::Train));
    let dev = vocabulary(&generate(&Streams::new(0), 2_000, Split::Dev));
    for word in ["cellar", "toaster", "accra", "salsa", "tuesday"] {
        assert!(dev.contains(word) && !train.contains(word), "{word}");
    }
}

/// Accuracy of an averaged perceptron on single words and pairs of neighbors.
fn baseline(train: &Dataset, dev: &Dataset) -> f64 {
    let classes = train.target.outputs();
    let mut ids: HashMap<String, usize> = HashMap::new();
    let mut features = |data: &Dataset, known_only: bool| -> Vec<Vec<usize>> {
        let of_text = |text: &str| {
            let words = words(text);
            let pairs = words.windows(2).map(|pair| pair.join(" "));
            let grams: HashSet<String> = words.iter().cloned().chain(pairs).collect();
            let mut grams: Vec<String> = grams.into_iter().collect();
            grams.sort();
            grams
        };
        let texts = data.examples.iter().map(|example| of_text(&example.text));
        texts
            .map(|grams| {
                let id = |gram: String| {
                    let next = ids.len();
                    if known_only { ids.get(&gram).copied() } else { Some(*ids.entry(gram).or_insert(next)) }
                };
                grams.into_iter().filter_map(id).collect()
            })
            .collect()
    };
    let (train_features, dev_features) = (features(train, false), features(dev, true));
    let (truth, dev_truth) = (train.classes().unwrap(), dev.classes().unwrap());
    let mut weights = vec![0.0; ids.len() * classes];
    let mut average = weights.clone();
    let predict = |weights: &[f64], features: &[usize]| {
        let score = |class: usize| features.iter().map(|feature| weights[feature * classes + class]).sum::<f64>();
        (0..classes).max_by(|&a, &b| score(a).total_cmp(&score(b))).unwrap()
    };
    const EPOCHS: u64 = 8;
    for epoch in 0..EPOCHS {
        let mut order: Vec<usize> = (0..train.len()).collect();
        Streams::new(0).stream("perceptron", &[epoch]).shuffle(&mut order);
        for (step, &row) in order.iter().enumerate() {
            let (features, right) = (&train_features[row], truth[row] as usize);
            let got = predict(&weights, features);
            if got != right {
                // What this change adds to the average of all states still to come.
                let left = (EPOCHS - epoch) as f64 * train.len() as f64 - step as f64;
                for feature in features {
                    for (class, change) in [(right, 1.0), (got, -1.0)] {
                        weights[feature * classes + class] += change;
                        average[feature * classes + class] += change * left;
                    }
                }
            }
        }
    }
    let right = dev_features.iter().zip(dev_truth).filter(|(f, truth)| predict(&average, f) == *truth as usize).count();
    right as f64 / dev.len() as f64
}

#[test]
fn word_pairs_come_far_but_not_all_the_way() {
    let streams = Streams::new(0);
    let (train, dev) = (generate(&streams, 8_000, Split::Train), generate(&streams, 2_000, Split::Dev));
    let accuracy = baseline(&train, &dev);
    assert!((0.82..0.92).contains(&accuracy), "{accuracy}");
}
