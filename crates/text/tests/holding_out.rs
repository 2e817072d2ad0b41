//! Rows held out: in proportion to the classes, also where they are few.

use attar_text::labeled::{Dataset, Example, Label, LabelSet, Target};
use attar_text::random::Streams;

/// Classes with so many rows, all of different text.
fn classes(rows: &[usize]) -> Dataset {
    let example = |class: usize, row: usize| Example {
        text: format!("{class} {row}"),
        pair: None,
        label: Label::Class(class as u32),
    };
    let examples = rows.iter().enumerate().flat_map(|(class, &rows)| (0..rows).map(move |row| example(class, row)));
    Dataset {
        examples: examples.collect(),
        target: Target::Classes(LabelSet { names: (0..rows.len()).map(|class| format!("c{class}")).collect() }),
        name: "test".into(),
        sha256: String::new(),
        path: None,
    }
}

#[test]
fn each_class_has_its_share() {
    let (train, dev, report) = classes(&[1000, 105, 50, 5, 4, 1]).hold_out(0.1, &Streams::new(1)).unwrap();
    let held = dev.class_counts();
    assert_eq!((held[0], held[2], held[5]), (100, 5, 0));
    assert!((10..=11).contains(&held[1]) && held[3] == 1 && held[4] <= 1, "{held:?}");
    assert_eq!(train.len() + dev.len(), 1165);
    assert_eq!((report.rows, report.held, report.share), (1165, dev.len(), 0.1));
    assert!(report.unseen.contains(&("c5".to_owned(), 1)));
}

#[test]
fn small_classes_share_what_falls_to_them_together() {
    // Each class is due 0.4 rows: 60 rows of 60 classes, and not none.
    let all = classes(&[4; 150]);
    let (train, dev, report) = all.hold_out(0.1, &Streams::new(1)).unwrap();
    assert_eq!((train.len(), dev.len(), report.unseen.len()), (540, 60, 90));
    assert!(dev.class_counts().iter().all(|&rows| rows <= 1));
    let other = all.hold_out(0.1, &Streams::new(2)).unwrap().1;
    assert_ne!(other.class_counts(), dev.class_counts());
    assert_eq!(all.hold_out(0.1, &Streams::new(1)).unwrap(), (train, dev, report.clone()));
    let named: Vec<String> = report.unseen[..5].iter().map(|(name, _)| format!("{name} (4)")).collect();
    assert_eq!(
        report.note(),
        format!(
            "held out 60 of 600 rows to choose and score by, the same share of each class; too few rows to hold one out: \
             {} and 85 more",
            named.join(", ")
        )
    );
}

#[test]
fn every_class_is_learned_and_those_with_five_rows_are_scored() {
    for share in [0.01, 0.1, 0.5, 0.9] {
        let (train, dev, _) = classes(&[5, 9, 300, 1, 2]).hold_out(share, &Streams::new(3)).unwrap();
        let (learned, scored) = (train.class_counts(), dev.class_counts());
        assert!(learned.iter().all(|&rows| rows > 0), "{learned:?} at {share}");
        assert!(scored[..3].iter().all(|&rows| rows > 0) && scored[3] == 0, "{scored:?} at {share}");
    }
}

#[test]
fn rows_with_one_text_stay_together() {
    let mut data = classes(&[6, 10]);
    data.examples[..6].iter_mut().for_each(|example| example.text = "same".into());
    let (train, dev, report) = data.hold_out(0.2, &Streams::new(1)).unwrap();
    assert_eq!((train.class_counts(), dev.class_counts()), (vec![6, 7], vec![0, 3]));
    assert_eq!(report.unseen, [("c0".to_owned(), 6)]);
    // A text of many rows is taken whole where nothing else is to be had.
    data.examples[0].text = "other".into();
    let (train, dev, _) = data.hold_out(0.2, &Streams::new(1)).unwrap();
    assert_eq!((train.class_counts()[0], dev.class_counts()[0]), (5, 1));
    assert!(classes(&[1, 1]).hold_out(0.5, &Streams::new(1)).is_err());
}

#[test]
fn the_note_says_what_was_kept_alike_or_together() {
    let note = |target: Target, label: Label| {
        // Two questions about each of twenty contexts, or as many pairs.
        let example = |row: usize| Example {
            text: format!("question {row}"),
            pair: Some(format!("context {}", row / 2)),
            label: label.clone(),
        };
        let data = Dataset::in_memory("asked", target, (0..40).map(example).collect());
        let (train, dev, report) = data.hold_out(0.25, &Streams::new(1)).unwrap();
        (
            report.note(),
            dev.examples.iter().filter(|row| train.examples.iter().any(|other| other.pair == row.pair)).count(),
        )
    };
    let asked = note(Target::Answers { has_unanswerable: true }, Label::Answers(Vec::new()));
    let said = "held out 10 of 40 rows to choose and score by";
    assert_eq!(asked, (format!("{said}; questions about one context stay together"), 0));
    let (scored, apart) = note(Target::Regression { low: 0.0, high: 1.0 }, Label::Score(0.5));
    assert_eq!(scored, said);
    assert!(apart > 0, "pairs of scores are divided by both texts");
}
