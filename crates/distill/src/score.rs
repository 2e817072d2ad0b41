//! From logits to predictions and scores.

use attar_text::labelled::{Dataset, Target};
use attar_text::metrics::{Difference, Metric, Predictions, Score, difference, score};
use attar_text::random::Streams;
use serde::Serialize;

use crate::Error;

/// What a model answers to each row.
#[derive(Debug, Clone, PartialEq)]
pub enum Answers {
    /// Class numbers.
    Classes(Vec<u32>),
    /// Scores.
    Scores(Vec<f64>),
}

impl Answers {
    /// The answers that logits mean: the largest class, or the number itself.
    pub fn from_logits(logits: &[Vec<f32>], target: &Target) -> Answers {
        match target {
            Target::Classes(_) => Answers::Classes(logits.iter().map(|row| largest(row)).collect()),
            Target::Regression { .. } => Answers::Scores(logits.iter().map(|row| f64::from(row[0])).collect()),
        }
    }
}

/// The truth of a data set, to hold answers against.
#[derive(Debug, Clone)]
pub struct Truth {
    answers: Answers,
    classes: usize,
}

impl Truth {
    /// The labels of a data set; `None` if a row has none.
    pub fn of(data: &Dataset) -> Option<Truth> {
        let answers = match &data.target {
            Target::Classes(_) => Answers::Classes(data.classes()?),
            Target::Regression { .. } => Answers::Scores(data.scores()?),
        };
        Some(Truth { answers, classes: data.target.outputs() })
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

    fn against<'a>(&'a self, answers: &'a Answers) -> Predictions<'a> {
        match (&self.answers, answers) {
            (Answers::Classes(truth), Answers::Classes(predicted)) => {
                Predictions::Classes { truth, predicted, classes: self.classes }
            }
            (Answers::Scores(truth), Answers::Scores(predicted)) => Predictions::Scores { truth, predicted },
            _ => unreachable!("answers are made for the target of the data"),
        }
    }
}

/// How far two models answer alike, whatever is true.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Agreement {
    /// Share of rows with the same class, or Pearson correlation of the scores.
    pub value: Option<f64>,
    /// Rows compared.
    pub rows: usize,
}

impl Agreement {
    /// Agreement of answers to the same rows.
    pub fn of(a: &Answers, b: &Answers) -> Agreement {
        match (a, b) {
            (Answers::Classes(a), Answers::Classes(b)) => {
                let same = a.iter().zip(b).filter(|(x, y)| x == y).count();
                let rows = a.len();
                Agreement { value: (rows > 0).then(|| same as f64 / rows as f64), rows }
            }
            (Answers::Scores(a), Answers::Scores(b)) => {
                Agreement { value: attar_text::metrics::pearson(a, b), rows: a.len() }
            }
            _ => unreachable!("answers are made for the target of the data"),
        }
    }
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
    use attar_text::labelled::LabelSet;

    #[test]
    fn logits_become_answers() {
        let classes = Target::Classes(LabelSet { names: vec!["a".into(), "b".into(), "c".into()] });
        let logits = [vec![0.0, 2.0, 1.0], vec![3.0, 3.0, 1.0]];
        assert_eq!(Answers::from_logits(&logits, &classes), Answers::Classes(vec![1, 0]));
        let range = Target::Regression { low: 0.0, high: 5.0 };
        assert_eq!(Answers::from_logits(&[vec![2.5]], &range), Answers::Scores(vec![2.5]));
    }

    #[test]
    fn agreement_counts_equal_answers() {
        let agreement = Agreement::of(&Answers::Classes(vec![0, 1, 2, 2]), &Answers::Classes(vec![0, 1, 1, 2]));
        assert_eq!(agreement, Agreement { value: Some(0.75), rows: 4 });
        assert_eq!(Agreement::of(&Answers::Classes(vec![]), &Answers::Classes(vec![])).value, None);
    }
}
