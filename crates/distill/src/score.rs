//! From logits to predictions and scores.

use attar_runtime::Span;
use attar_text::labeled::{Dataset, Example, Target};
use attar_text::metrics::{
    ClassReport, Confusion, Difference, LabelCounts, Metric, Predictions, Score, TagScheme, difference,
    normalized_answer, score,
};
use attar_text::random::Streams;
use serde::{Deserialize, Serialize};

use crate::Error;

/// What a model answers to each row.
#[derive(Debug, Clone, PartialEq)]
pub enum Answers {
    /// Class numbers.
    Classes(Vec<u32>),
    /// Numbers of all labels, ascending.
    LabelSets(Vec<Vec<u32>>),
    /// The number of each word's tag.
    Tags(Vec<Vec<u32>>),
    /// The text that answers each question; empty for none.
    Spans(Vec<String>),
    /// Scores.
    Scores(Vec<f64>),
}

impl Answers {
    /// The answers that logits mean: the largest class, also of each word, all labels more likely than not, or the number
    /// itself. Rows of words have the logits of their words one after the other.
    ///
    /// # Panics
    /// If questions are to be answered: their answers are parts of a text, which [`Answers::of_spans`] takes.
    pub fn from_logits(logits: &[Vec<f32>], target: &Target) -> Answers {
        match target {
            Target::Classes(_) => Answers::Classes(logits.iter().map(|row| largest(row)).collect()),
            Target::MultiLabel(_) => Answers::LabelSets(logits.iter().map(|row| likely(row)).collect()),
            Target::Tags(labels) => {
                let words = |row: &Vec<f32>| row.chunks(labels.len().max(1)).map(largest).collect();
                Answers::Tags(logits.iter().map(words).collect())
            }
            Target::Regression { .. } => Answers::Scores(logits.iter().map(|row| f64::from(row[0])).collect()),
            Target::Answers { .. } => panic!("answers to questions are spans of their contexts"),
        }
    }

    /// The texts of spans that answer the questions of some data. Where these know questions without an answer, a span that is less
    /// probable than none is none.
    pub fn of_spans(spans: &[Option<Span>], data: &Dataset) -> Answers {
        let has_unanswerable = data.target == Target::Answers { has_unanswerable: true };
        let text = |(span, example): (&Option<Span>, &Example)| match (span, &example.pair) {
            (Some(span), Some(context)) if !(has_unanswerable && span.is_unanswered()) => {
                context[span.bytes.clone()].to_owned()
            }
            _ => String::new(),
        };
        Answers::Spans(spans.iter().zip(&data.examples).map(text).collect())
    }
}

/// The truth of a data set, to hold answers against.
#[derive(Debug, Clone)]
pub struct Truth {
    gold: Gold,
    /// Names of the classes.
    names: Vec<String>,
    /// What they mean for entities, where they are tags.
    scheme: Option<TagScheme>,
}

/// The gold answers, per row.
#[derive(Debug, Clone)]
enum Gold {
    /// One label or score per row.
    One(Answers),
    /// Any of several answers to a question; an empty list means that it is unanswerable.
    AnyOf(Vec<Vec<String>>),
}

impl Truth {
    /// The labels of a data set; `None` if a row has none.
    pub fn of(data: &Dataset) -> Option<Truth> {
        let gold = match &data.target {
            Target::Classes(_) => Gold::One(Answers::Classes(data.classes()?)),
            Target::MultiLabel(_) => Gold::One(Answers::LabelSets(data.label_sets()?)),
            Target::Tags(_) => Gold::One(Answers::Tags(data.tags()?)),
            Target::Regression { .. } => Gold::One(Answers::Scores(data.scores()?)),
            Target::Answers { .. } => Gold::AnyOf(data.answers()?),
        };
        let names = data.target.labels().map_or_else(Vec::new, |labels| labels.names.clone());
        let scheme = scheme(&data.target);
        Some(Truth { gold, names, scheme })
    }

    /// The score of some answers.
    ///
    /// # Errors
    /// If the metric is of the other kind.
    pub fn score(&self, metric: Metric, answers: &Answers, streams: &Streams) -> Result<Score, Error> {
        Ok(score(metric, &self.against(answers), streams)?)
    }

    /// How much better `first` is than `second` on the same rows.
    ///
    /// # Errors
    /// As [`Truth::score`].
    pub fn difference(
        &self,
        metric: Metric,
        first: &Answers,
        second: &Answers,
        streams: &Streams,
    ) -> Result<Difference, Error> {
        Ok(difference(metric, &self.against(first), &self.against(second), streams)?)
    }

    /// Value of a metric without interval, for choosing among checkpoints.
    ///
    /// # Errors
    /// As [`Truth::score`].
    pub fn value(&self, metric: Metric, answers: &Answers) -> Result<Option<f64>, Error> {
        Ok(metric.compute(&self.against(answers))?)
    }

    /// How each class is answered; `None` for scores and answers to questions.
    pub fn class_report(&self, answers: &Answers) -> Option<ClassReport> {
        match self.against(answers) {
            Predictions::Classes { truth, predicted, classes } => {
                Some(ClassReport::new(&Confusion::new(truth, predicted, classes), &self.names))
            }
            Predictions::LabelSets { truth, predicted, labels } => {
                Some(LabelCounts::new(truth, predicted, labels).report(&self.names))
            }
            Predictions::Tags { truth, predicted, tags, .. } => {
                let [truth, predicted] = [truth, predicted].map(|rows| rows.concat());
                Some(ClassReport::new(&Confusion::new(&truth, &predicted, tags), &self.names))
            }
            Predictions::Scores { .. } | Predictions::Answers { .. } => None,
        }
    }

    fn against<'a>(&'a self, answers: &'a Answers) -> Predictions<'a> {
        match (&self.gold, answers) {
            (Gold::One(Answers::Classes(truth)), Answers::Classes(predicted)) => {
                Predictions::Classes { truth, predicted, classes: self.names.len() }
            }
            (Gold::One(Answers::LabelSets(truth)), Answers::LabelSets(predicted)) => {
                Predictions::LabelSets { truth, predicted, labels: self.names.len() }
            }
            (Gold::One(Answers::Tags(truth)), Answers::Tags(predicted)) => {
                Predictions::Tags { truth, predicted, tags: self.names.len(), scheme: self.scheme.as_ref() }
            }
            (Gold::One(Answers::Scores(truth)), Answers::Scores(predicted)) => Predictions::Scores { truth, predicted },
            (Gold::AnyOf(truth), Answers::Spans(predicted)) => Predictions::Answers { truth, predicted },
            _ => unreachable!("answers are made for the target of the data"),
        }
    }
}

/// Whether a metric can be computed for such a target, before there are any answers.
///
/// # Errors
/// If the metric is of the other kind, or of two classes alone where there are more; the text names one that fits.
pub fn check_metric(metric: Metric, target: &Target) -> Result<(), Error> {
    let scheme = scheme(target);
    let none = match target {
        Target::Classes(labels) => Predictions::Classes { truth: &[], predicted: &[], classes: labels.len() },
        Target::MultiLabel(labels) => Predictions::LabelSets { truth: &[], predicted: &[], labels: labels.len() },
        Target::Tags(labels) => {
            Predictions::Tags { truth: &[], predicted: &[], tags: labels.len(), scheme: scheme.as_ref() }
        }
        Target::Regression { .. } => Predictions::Scores { truth: &[], predicted: &[] },
        Target::Answers { .. } => Predictions::Answers { truth: &[], predicted: &[] },
    };
    metric.compute(&none)?;
    Ok(())
}

/// What tags mean for entities; `None` where there are no tags, or tags of something else.
fn scheme(target: &Target) -> Option<TagScheme> {
    match target {
        Target::Tags(labels) => TagScheme::of(&labels.names),
        Target::Classes(_) | Target::MultiLabel(_) | Target::Regression { .. } | Target::Answers { .. } => None,
    }
}

/// How far two models answer alike, whatever is true.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Agreement {
    /// What the value is.
    pub kind: AgreementKind,
    /// From 0 to 1, or from -1 to 1; `None` where it is undefined.
    pub value: Option<f64>,
    /// Rows compared, or words.
    pub rows: usize,
}

/// How agreement is measured.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum AgreementKind {
    /// The share of rows with the same class, with the very same labels or with the same answer as SQuAD compares them, or of words
    /// with the same tag.
    SameClass,
    /// Pearson's correlation of two scores.
    Correlation,
}

impl Agreement {
    fn same(same: usize, rows: usize) -> Agreement {
        let value = (rows > 0).then(|| same as f64 / rows as f64);
        Agreement { kind: AgreementKind::SameClass, value, rows }
    }

    /// Agreement of answers to the same rows.
    pub fn of(a: &Answers, b: &Answers) -> Agreement {
        match (a, b) {
            (Answers::Classes(a), Answers::Classes(b)) => {
                Agreement::same(a.iter().zip(b).filter(|(x, y)| x == y).count(), a.len())
            }
            (Answers::LabelSets(a), Answers::LabelSets(b)) => {
                Agreement::same(a.iter().zip(b).filter(|(x, y)| x == y).count(), a.len())
            }
            (Answers::Tags(a), Answers::Tags(b)) => {
                let words = || a.iter().flatten().zip(b.iter().flatten());
                Agreement::same(words().filter(|(x, y)| x == y).count(), words().count())
            }
            (Answers::Spans(a), Answers::Spans(b)) => {
                let is_same = |(x, y): &(&String, &String)| normalized_answer(x) == normalized_answer(y);
                Agreement::same(a.iter().zip(b).filter(is_same).count(), a.len())
            }
            (Answers::Scores(a), Answers::Scores(b)) => {
                let value = attar_text::metrics::pearson(a, b);
                Agreement { kind: AgreementKind::Correlation, value, rows: a.len() }
            }
            _ => unreachable!("answers are made for the target of the data"),
        }
    }
}

/// The labels of a row of logits whose probability, a sigmoid, is above one half.
fn likely(row: &[f32]) -> Vec<u32> {
    (0..row.len() as u32).filter(|&label| row[label as usize] > 0.0).collect()
}

/// The largest class of a row of logits; the first one on a tie.
fn largest(row: &[f32]) -> u32 {
    let mut best = 0;
    for (class, value) in row.iter().enumerate() {
        if *value > row[best] {
            best = class;
        }
    }
    best as u32
}

#[cfg(test)]
mod tests {
    use super::*;
    use attar_text::labeled::LabelSet;

    #[test]
    fn logits_become_answers() {
        let classes = Target::Classes(LabelSet { names: vec!["a".into(), "b".into(), "c".into()] });
        let logits = [vec![0.0, 2.0, 1.0], vec![3.0, 3.0, 1.0]];
        assert_eq!(Answers::from_logits(&logits, &classes), Answers::Classes(vec![1, 0]));
        let any = Target::MultiLabel(LabelSet { names: vec!["a".into(), "b".into(), "c".into()] });
        let sets = [vec![0.1, -2.0, 3.0], vec![0.0, -1.0, -1.0]];
        assert_eq!(Answers::from_logits(&sets, &any), Answers::LabelSets(vec![vec![0, 2], vec![]]));
        let tags = Target::Tags(LabelSet { names: vec!["O".into(), "B-X".into()] });
        let words = [vec![0.0, 1.0, 3.0, 2.0], vec![1.0, 1.0]];
        assert_eq!(Answers::from_logits(&words, &tags), Answers::Tags(vec![vec![1, 0], vec![0]]));
        let range = Target::Regression { low: 0.0, high: 5.0 };
        assert_eq!(Answers::from_logits(&[vec![2.5]], &range), Answers::Scores(vec![2.5]));
    }

    #[test]
    fn agreement_counts_equal_answers() {
        let agreement = Agreement::of(&Answers::Classes(vec![0, 1, 2, 2]), &Answers::Classes(vec![0, 1, 1, 2]));
        assert_eq!(agreement, Agreement { kind: AgreementKind::SameClass, value: Some(0.75), rows: 4 });
        let tags = |first: u32| Answers::Tags(vec![vec![first, 1], vec![0, 0]]);
        assert_eq!(Agreement::of(&tags(0), &tags(1)).value, Some(0.75));
        assert_eq!(Agreement::of(&Answers::Classes(vec![]), &Answers::Classes(vec![])).value, None);
    }

    #[test]
    fn spans_become_answers_where_they_are_more_probable_than_none() {
        use attar_text::labeled::Label;
        let example = |label| Example { text: "where?".into(), pair: Some("in Köln".into()), label };
        let rows = vec![example(Label::Answers(std::iter::once(3..8).collect())), example(Label::Answers(Vec::new()))];
        let span = |no_answer| Some(Span { bytes: 3..8, probability: 0.4, no_answer });
        for (has_unanswerable, expected) in [(true, ["Köln", ""]), (false, ["Köln", "Köln"])] {
            let data = Dataset::in_memory("asked", Target::Answers { has_unanswerable }, rows.clone());
            let answers = Answers::of_spans(&[span(0.3), span(0.5)], &data);
            assert_eq!(answers, Answers::Spans(expected.map(str::to_owned).to_vec()));
            let score = Truth::of(&data).unwrap().value(Metric::ExactMatch, &answers).unwrap();
            assert_eq!(score, Some(if has_unanswerable { 1.0 } else { 0.5 }));
            let others = Answers::Spans(vec!["köln.".into(), "Bonn".into()]);
            assert_eq!(Agreement::of(&answers, &others).value, Some(0.5));
        }
        let asked = Target::Answers { has_unanswerable: true };
        check_metric(Metric::AnswerF1, &asked).unwrap();
        assert!(check_metric(Metric::Accuracy, &asked).unwrap_err().to_string().contains("use answer_f1"));
    }

    #[test]
    fn agreement_of_scores_is_a_correlation() {
        let scores = |values: [f64; 3]| Answers::Scores(values.to_vec());
        let against = Agreement::of(&scores([1.0, 2.0, 3.0]), &scores([3.0, 2.0, 1.0]));
        assert_eq!(against, Agreement { kind: AgreementKind::Correlation, value: Some(-1.0), rows: 3 });
    }

    #[test]
    fn a_metric_is_refused_before_there_are_answers() {
        let names = |count: usize| Target::Classes(LabelSet { names: (0..count).map(|i| i.to_string()).collect() });
        check_metric(Metric::F1, &names(2)).unwrap();
        check_metric(Metric::MacroF1, &names(6)).unwrap();
        let error = check_metric(Metric::F1, &names(6)).unwrap_err().to_string();
        assert!(error.contains("found 6") && error.contains("macro_f1"), "{error}");
        assert!(check_metric(Metric::Pearson, &names(2)).is_err());
        let any = Target::MultiLabel(LabelSet { names: vec!["a".into(), "b".into()] });
        check_metric(Metric::MicroF1, &any).unwrap();
        assert!(check_metric(Metric::Accuracy, &any).unwrap_err().to_string().contains("subset_accuracy"));
        assert!(check_metric(Metric::Accuracy, &Target::Regression { low: 0.0, high: 5.0 }).is_err());
    }
}
