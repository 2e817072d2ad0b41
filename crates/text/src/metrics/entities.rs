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

/// What tags mean for entities: `O` is none, `B-X` begins one and `I-X` continues it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TagScheme {
    tags: Vec<Tag>,
}

/// A tag; kinds are numbered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Tag {
    Outside,
    Begins(u32),
    Continues(u32),
}

impl TagScheme {
    /// The tag of a word that is part of no entity.
    pub const OUTSIDE: &'static str = "O";

    /// The scheme of these tags; `None` if one has another form, as parts of speech have.
    pub fn of<S: AsRef<str>>(names: &[S]) -> Option<TagScheme> {
        let mut kinds = Kinds::default();
        let tags = names.iter().map(|name| kinds.tag(name.as_ref())).collect::<Option<_>>()?;
        Some(TagScheme { tags })
    }

    /// F1 over the entities of sentences, true and predicted tags of each by number, as [`Tagging::Lenient`].
    pub(super) fn f1<'a>(&self, sentences: impl Iterator<Item = (&'a Vec<u32>, &'a Vec<u32>)>) -> Option<f64> {
        let mut counts = Counts::default();
        for (truth, predicted) in sentences {
            let of = |tags: &[u32]| spans(tags.iter().map(|&tag| self.tags[tag as usize]), Tagging::Lenient);
            counts.add(&of(truth), &of(predicted));
        }
        counts.f1()
    }
}

/// Numbers of the kinds of entities, in the order in which they came.
#[derive(Default)]
struct Kinds<'a>(Vec<&'a str>);

impl<'a> Kinds<'a> {
    fn tag(&mut self, name: &'a str) -> Option<Tag> {
        let mut number = |kind| {
            let known = self.0.iter().position(|known| *known == kind);
            known.unwrap_or_else(|| {
                self.0.push(kind);
                self.0.len() - 1
            }) as u32
        };
        match name.split_once('-') {
            Some(("B", kind)) => Some(Tag::Begins(number(kind))),
            Some(("I", kind)) => Some(Tag::Continues(number(kind))),
            _ => (name == TagScheme::OUTSIDE).then_some(Tag::Outside),
        }
    }
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
    let mut kinds = Kinds::default();
    let (mut all, mut by_kind) = (Counts::default(), BTreeMap::<u32, Counts>::new());
    for (sentence, (truth, predicted)) in truth.iter().zip(predicted).enumerate() {
        if truth.len() != predicted.len() {
            return Err(MetricError::TagCount { sentence, expected: truth.len(), found: predicted.len() });
        }
        let truth = spans(parsed(sentence, truth, &mut kinds)?.into_iter(), tagging);
        let predicted = spans(parsed(sentence, predicted, &mut kinds)?.into_iter(), tagging);
        all.add(&truth, &predicted);
        for kind in truth.iter().chain(&predicted).map(|span| span.kind).collect::<BTreeSet<u32>>() {
            let of = |spans: &[EntitySpan]| -> Vec<EntitySpan> {
                spans.iter().filter(|span| span.kind == kind).copied().collect()
            };
            by_kind.entry(kind).or_default().add(&of(&truth), &of(&predicted));
        }
    }
    // By name, so that a sum does not depend on which kind came first.
    let mut kinds: Vec<(&str, u32)> = kinds.0.into_iter().zip(0..).collect();
    kinds.sort_unstable();
    let of_kinds = kinds.iter().filter_map(|(_, kind)| by_kind.get(kind)).filter_map(Counts::f1);
    let macro_f1 = (!by_kind.is_empty()).then(|| of_kinds.sum::<f64>() / by_kind.len() as f64);
    Ok(EntityScores {
        precision: ratio(all.both, all.predicted),
        recall: ratio(all.both, all.truth),
        f1: all.f1(),
        macro_f1,
    })
}

fn parsed<'a, S: AsRef<str>>(sentence: usize, tags: &'a [S], kinds: &mut Kinds<'a>) -> Result<Vec<Tag>, MetricError> {
    let tag = |(word, tag): (usize, &'a S)| {
        let tag = tag.as_ref();
        kinds.tag(tag).ok_or_else(|| MetricError::Tag { sentence, word, tag: tag.to_owned() })
    };
    tags.iter().enumerate().map(tag).collect()
}

#[derive(Default)]
struct Counts {
    truth: usize,
    predicted: usize,
    both: usize,
}

impl Counts {
    /// Counts the entities of a sentence, each list in the order of the text.
    fn add(&mut self, truth: &[EntitySpan], predicted: &[EntitySpan]) {
        self.truth += truth.len();
        self.predicted += predicted.len();
        self.both += predicted.iter().filter(|span| truth.binary_search(span).is_ok()).count();
    }

    fn f1(&self) -> Option<f64> {
        ratio(2 * self.both, self.truth + self.predicted)
    }
}

fn ratio(part: usize, whole: usize) -> Option<f64> {
    (whole > 0).then(|| part as f64 / whole as f64)
}

/// An entity; the order of entities is that of the text, for they do not overlap.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct EntitySpan {
    first: usize,
    /// One past the last word.
    end: usize,
    kind: u32,
}

/// The entities of a sentence.
fn spans(tags: impl Iterator<Item = Tag>, tagging: Tagging) -> Vec<EntitySpan> {
    let mut spans = Vec::new();
    let mut open: Option<(u32, usize)> = None;
    let mut words = 0;
    for (word, tag) in tags.enumerate() {
        words = word + 1;
        let (begins, kind) = match tag {
            Tag::Outside => (false, None),
            Tag::Begins(kind) => (true, Some(kind)),
            Tag::Continues(kind) => (false, Some(kind)),
        };
        let continues = !begins && kind.is_some() && open.map(|(kind, _)| kind) == kind;
        if continues {
            continue;
        }
        spans.extend(open.take().map(|(kind, first)| EntitySpan { first, end: word, kind }));
        if begins || tagging == Tagging::Lenient {
            open = kind.map(|kind| (kind, word));
        }
    }
    spans.extend(open.map(|(kind, first)| EntitySpan { first, end: words, kind }));
    spans
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spans_by_both_readings() {
        let tags = ["I-A", "B-A", "I-A", "I-B", "O", "I-B", "B-B", "B-B-C"];
        let spans = |tagging| -> Vec<(u32, usize, usize)> {
            let scheme = TagScheme::of(&tags).unwrap();
            super::spans(scheme.tags.into_iter(), tagging).into_iter().map(|s| (s.kind, s.first, s.end)).collect()
        };
        let lenient = [(0, 0, 1), (0, 1, 3), (1, 3, 4), (1, 5, 6), (1, 6, 7), (2, 7, 8)];
        assert_eq!(spans(Tagging::Lenient), lenient);
        assert_eq!(spans(Tagging::StrictIob2), [(0, 1, 3), (1, 6, 7), (2, 7, 8)]);
    }

    #[test]
    fn tags_by_number_score_as_tags_by_name() {
        let names = ["O", "B-PER", "I-PER", "B-LOC"];
        let (truth, predicted) = ([vec![1, 2, 0, 3], vec![0, 0]], [vec![1, 2, 0, 1], vec![3, 0]]);
        let by_name = |rows: &[Vec<u32>]| -> Vec<Vec<&str>> {
            rows.iter().map(|row| row.iter().map(|&tag| names[tag as usize]).collect()).collect()
        };
        let scores = entity_scores(&by_name(&truth), &by_name(&predicted), Tagging::Lenient).unwrap();
        // One of two true entities is among the three predicted.
        assert_eq!(scores.f1, Some(0.4));
        assert_eq!(TagScheme::of(&names).unwrap().f1(truth.iter().zip(&predicted)), Some(0.4));
        assert_eq!(TagScheme::of(&["NN", "VB"]), None);
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
