//! Why a metric cannot be computed.

use super::metric::Metric;

/// Why a metric cannot be computed at all.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum MetricError {
    /// A metric of classes for numbers, or the other way round.
    #[error("{metric} needs predicted {}, found {}", if .metric.is_of_classes() { "classes" } else { "scores" },
        if .metric.is_of_classes() { "scores" } else { "classes" })]
    Kind {
        /// The metric.
        metric: Metric,
    },
    /// A metric of one class a row where rows may have several labels.
    #[error(
        "{metric} is not defined where a row may have several labels; use micro_f1, macro_f1, weighted_f1 or subset_accuracy"
    )]
    NotOfSets {
        /// The metric.
        metric: Metric,
    },
    /// A metric of entities where words have no tags that name some.
    #[error("{metric} is of entities, which tags of the form O, B-… and I-… name; use accuracy or macro_f1")]
    NotOfEntities {
        /// The metric.
        metric: Metric,
    },
    /// A metric of answers to questions for something else.
    #[error(
        "{metric} is of answers to questions, which are parts of a text; leave it out for the usual metrics of the data"
    )]
    NotOfAnswers {
        /// The metric.
        metric: Metric,
    },
    /// A metric of something else for answers to questions.
    #[error("{metric} is not defined for answers to questions; use answer_f1 or exact_match")]
    OfAnswers {
        /// The metric.
        metric: Metric,
    },
    /// A metric of two classes for another number of them.
    #[error("{metric} is defined for 2 classes, found {classes}; use macro_f1")]
    NotBinary {
        /// The metric.
        metric: Metric,
        /// Number of classes.
        classes: usize,
    },
    /// A name that no metric has.
    #[error("no metric {name:?}{hint}; there are {}", Metric::ALL.map(Metric::name).join(", "))]
    UnknownName {
        /// The name.
        name: String,
        /// The nearest name there is, as half a sentence, or nothing.
        hint: String,
    },
    /// Two systems that were not measured on the same rows.
    #[error("the true labels of the two systems differ, expected predictions of the same rows")]
    DifferentRows,
    /// A tag that is neither inside, nor the beginning, nor outside of an entity.
    #[error("sentence {sentence}, word {word}: expected O, B-… or I-…, found {tag:?}")]
    Tag {
        /// Counted from 0.
        sentence: usize,
        /// Counted from 0.
        word: usize,
        /// The tag.
        tag: String,
    },
    /// More or fewer predicted tags than words.
    #[error("sentence {sentence}: expected {expected} tags, found {found}")]
    TagCount {
        /// Counted from 0.
        sentence: usize,
        /// True tags.
        expected: usize,
        /// Predicted tags.
        found: usize,
    },
}
