//! Metrics of tagged entities: an entity counts as found if both its type and its span are right.

use std::collections::{BTreeMap, BTreeSet};

use super::MetricError;

/// Which sequences of tags are entities.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Tagging {
    /// An `I-X` that continues no X opens one, as if it were `B-X`.
    Lenient,
    /// IOB2 to the letter: only `B-X` opens an entity, a stray `I-X` is none.
    StrictIob2,
}

/// Precision, recall and F1 over entities.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct EntityScores {
    /// Share of the predicted entities that are true. `None` if none was predicted.
    pub precision: Option<f64>,
    /// Share of the true entities that were predicted. `None` if there is none.
    pub recall: Option<f64>,
    /// Harmonic mean of the two, over all entities. `None` only if none is true and none predicted.
    pub f1: Option<f64>,
    /// Mean of the F1 of each type that is true or predicted anywhere. `None` as `f1`.
    pub macro_f1: Option<f64>,
}

/// Scores tags (`O`, `B-X`, `I-X`) of N sentences against the true ones.
///
/// # Errors
/// [`MetricError::Tag`] for a tag of another form, [`MetricError::TagCount`] if a sentence has more or
/// fewer tags than words.
///
/// # Panics
/// If the numbers of sentences differ.
#[track_caller]
pub fn entity_scores<S: AsRef<str>>(
    truth: &[Vec<S>],
    predicted: &[Vec<S>],
    tagging: Tagging,
) -> Result<EntityScores, MetricError> {
    assert_eq!(truth.len(), predicted.len(), "true and predicted sentences differ in number");
    let (mut all, mut by_type) = (Counts::default(), BTreeMap::<String, Counts>::new());
    for (sentence, (truth, predicted)) in truth.iter().zip(predicted).enumerate() {
        if truth.len() != predicted.len() {
            return Err(MetricError::TagCount { sentence, expected: truth.len(), found: predicted.len() });
        }
        let truth = spans(sentence, truth, tagging)?;
        let predicted = spans(sentence, predicted, tagging)?;
        for span in truth.union(&predicted) {
            let count = |counts: &mut Counts| {
                counts.truth += usize::from(truth.contains(span));
                counts.predicted += usize::from(predicted.contains(span));
                counts.both += usize::from(truth.contains(span) && predicted.contains(span));
            };
            count(&mut all);
            count(by_type.entry(span.0.to_owned()).or_default());
        }
    }
    let types = by_type.values().filter_map(Counts::f1);
    let macro_f1 = (!by_type.is_empty()).then(|| types.sum::<f64>() / by_type.len() as f64);
    Ok(EntityScores {
        precision: ratio(all.both, all.predicted),
        recall: ratio(all.both, all.truth),
        f1: all.f1(),
        macro_f1,
    })
}

#[derive(Default)]
struct Counts {
    truth: usize,
    predicted: usize,
    both: usize,
}

impl Counts {
    fn f1(&self) -> Option<f64> {
        ratio(2 * self.both, self.truth + self.predicted)
    }
}

fn ratio(part: usize, whole: usize) -> Option<f64> {
    (whole > 0).then(|| part as f64 / whole as f64)
}

/// The entities of a sentence: type, first word, one past the last word.
fn spans<S: AsRef<str>>(
    sentence: usize,
    tags: &[S],
    tagging: Tagging,
) -> Result<BTreeSet<(&str, usize, usize)>, MetricError> {
    let mut spans = BTreeSet::new();
    let mut open: Option<(&str, usize)> = None;
    for (word, tag) in tags.iter().enumerate() {
        let tag = tag.as_ref();
        let (begins, kind) = match tag.split_once('-') {
            Some(("B", kind)) => (true, Some(kind)),
            Some(("I", kind)) => (false, Some(kind)),
            _ if tag == "O" => (false, None),
            _ => return Err(MetricError::Tag { sentence, word, tag: tag.to_owned() }),
        };
        let continues = !begins && kind.is_some() && open.map(|(kind, _)| kind) == kind;
        if continues {
            continue;
        }
        spans.extend(open.take().map(|(kind, first)| (kind, first, word)));
        if begins || tagging == Tagging::Lenient {
            open = kind.map(|kind| (kind, word));
        }
    }
    spans.extend(open.map(|(kind, first)| (kind, first, tags.len())));
    Ok(spans)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spans_by_both_readings() {
        let tags = ["I-A", "B-A", "I-A", "I-B", "O", "I-B", "B-B", "B-B-C"];
        let lenient = spans(0, &tags, Tagging::Lenient).unwrap();
        let expected = [("A", 0, 1), ("A", 1, 3), ("B", 3, 4), ("B", 5, 6), ("B", 6, 7), ("B-C", 7, 8)];
        assert_eq!(lenient, BTreeSet::from(expected));
        let strict = spans(0, &tags, Tagging::StrictIob2).unwrap();
        assert_eq!(strict, BTreeSet::from([("A", 1, 3), ("B", 6, 7), ("B-C", 7, 8)]));
    }

    #[test]
    fn wrong_tags_are_named() {
        let error = |truth: &[&str], predicted: &[&str]| {
            let truth = [vec!["O"], truth.to_vec()];
            entity_scores(&truth, &[vec!["O"], predicted.to_vec()], Tagging::Lenient).unwrap_err().to_string()
        };
        assert_eq!(error(&["O", "X-PER"], &["O", "O"]), "sentence 1, word 1: expected O, B-… or I-…, found \"X-PER\"");
        assert_eq!(error(&["O", ""], &["O", "O"]), "sentence 1, word 1: expected O, B-… or I-…, found \"\"");
        assert_eq!(error(&["O", "O"], &["O"]), "sentence 1: expected 2 tags, found 1");
    }
}
