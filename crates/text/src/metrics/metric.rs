//! Metrics by name.

use std::fmt;

use serde::{Deserialize, Serialize};

use super::answers::{answer_f1, exact_match};
use super::classification::Confusion;
use super::correlation::{mean_absolute_error, mean_squared_error, pearson, spearman};
use super::entities::TagScheme;
use super::error::MetricError;
use super::label_sets::LabelCounts;
use super::predictions::Predictions;
use crate::nearest::nearest;

/// One number that says how good predictions are.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Metric {
    /// Share of rows predicted right.
    Accuracy,
    /// F1 of class 1, of two classes.
    F1,
    /// Mean of accuracy and F1 of class 1, as GLUE averages for MRPC.
    AccuracyF1Mean,
    /// Mean F1 of the classes that are true or predicted anywhere.
    MacroF1,
    /// F1 weighted by the number of rows of each class.
    WeightedF1,
    /// F1 of all decisions together; of rows with one class each this is the accuracy.
    MicroF1,
    /// Share of rows whose labels were all predicted, and no others.
    SubsetAccuracy,
    /// Matthews correlation.
    Matthews,
    /// F1 of the entities that tags name, type and span both right, as CoNLL-2003 scores.
    EntityF1,
    /// Mean over questions of the F1 of an answer's words, the best over the right answers, as SQuAD scores.
    AnswerF1,
    /// Share of questions answered by one of the right answers, as SQuAD scores.
    ExactMatch,
    /// Pearson correlation.
    Pearson,
    /// Spearman correlation.
    Spearman,
    /// Mean of the two correlations, as GLUE averages for STS-B.
    PearsonSpearmanMean,
    /// Mean of the squared differences; less is better.
    MeanSquaredError,
    /// Mean of the absolute differences; less is better.
    MeanAbsoluteError,
}

impl Metric {
    /// All metrics.
    pub const ALL: [Self; 16] = [
        Self::Accuracy,
        Self::F1,
        Self::AccuracyF1Mean,
        Self::MacroF1,
        Self::WeightedF1,
        Self::MicroF1,
        Self::SubsetAccuracy,
        Self::Matthews,
        Self::EntityF1,
        Self::AnswerF1,
        Self::ExactMatch,
        Self::Pearson,
        Self::Spearman,
        Self::PearsonSpearmanMean,
        Self::MeanSquaredError,
        Self::MeanAbsoluteError,
    ];

    /// Its name in recipes and reports.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Accuracy => "accuracy",
            Self::F1 => "f1",
            Self::AccuracyF1Mean => "accuracy_f1_mean",
            Self::MacroF1 => "macro_f1",
            Self::WeightedF1 => "weighted_f1",
            Self::MicroF1 => "micro_f1",
            Self::SubsetAccuracy => "subset_accuracy",
            Self::Matthews => "matthews",
            Self::EntityF1 => "entity_f1",
            Self::AnswerF1 => "answer_f1",
            Self::ExactMatch => "exact_match",
            Self::Pearson => "pearson",
            Self::Spearman => "spearman",
            Self::PearsonSpearmanMean => "pearson_spearman_mean",
            Self::MeanSquaredError => "mean_squared_error",
            Self::MeanAbsoluteError => "mean_absolute_error",
        }
    }

    /// The metric of this [`name`](Self::name); case, spaces, `-` and `_` do not matter.
    ///
    /// # Errors
    /// [`MetricError::UnknownName`] with the nearest name.
    pub fn from_name(name: &str) -> Result<Self, MetricError> {
        let plain = |name: &str| name.to_lowercase().replace(['-', '_', ' '], "");
        Self::ALL.into_iter().find(|metric| plain(metric.name()) == plain(name)).ok_or_else(|| {
            let hint = nearest(name, Self::ALL.iter().map(|metric| metric.name()));
            let hint = hint.map_or_else(String::new, |nearest| format!(", the nearest is {nearest:?}"));
            MetricError::UnknownName { name: name.to_owned(), hint }
        })
    }

    /// Whether more is better; so for all but the errors.
    pub const fn higher_is_better(self) -> bool {
        !matches!(self, Self::MeanSquaredError | Self::MeanAbsoluteError)
    }

    /// Whether it is about answers to questions.
    pub const fn is_of_answers(self) -> bool {
        matches!(self, Self::AnswerF1 | Self::ExactMatch)
    }

    /// Whether it is about classes, and neither about numbers nor about answers to questions.
    pub const fn is_of_classes(self) -> bool {
        match self {
            Self::Accuracy
            | Self::F1
            | Self::AccuracyF1Mean
            | Self::MacroF1
            | Self::WeightedF1
            | Self::MicroF1
            | Self::SubsetAccuracy
            | Self::Matthews
            | Self::EntityF1 => true,
            Self::AnswerF1
            | Self::ExactMatch
            | Self::Pearson
            | Self::Spearman
            | Self::PearsonSpearmanMean
            | Self::MeanSquaredError
            | Self::MeanAbsoluteError => false,
        }
    }

    /// Its value; `None` where it is undefined.
    ///
    /// # Errors
    /// [`MetricError`] if it does not fit the predictions.
    ///
    /// # Panics
    /// If there are more predictions than truths or fewer, or a class is out of range.
    #[track_caller]
    pub fn compute(self, predictions: &Predictions<'_>) -> Result<Option<f64>, MetricError> {
        if self.is_of_answers() && !matches!(predictions, Predictions::Answers { .. }) {
            return Err(MetricError::NotOfAnswers { metric: self });
        }
        match *predictions {
            Predictions::Classes { truth, predicted, classes } => {
                self.of_confusion(&Confusion::new(truth, predicted, classes))
            }
            Predictions::LabelSets { truth, predicted, labels } => {
                self.of_label_sets(&LabelCounts::new(truth, predicted, labels))
            }
            Predictions::Tags { truth, predicted, tags, scheme } => {
                self.of_tags(truth.iter().zip(predicted), tags, scheme)
            }
            Predictions::Scores { truth, predicted } => self.of_scores(truth, predicted),
            Predictions::Answers { truth, predicted } => Ok(average(self.of_answers(truth, predicted)?.into_iter())),
        }
    }

    /// What it is for each question.
    ///
    /// # Errors
    /// [`MetricError::OfAnswers`] if it is about something else.
    #[track_caller]
    pub(super) fn of_answers(self, truth: &[Vec<String>], predicted: &[String]) -> Result<Vec<f64>, MetricError> {
        assert_eq!(truth.len(), predicted.len(), "true and predicted answers differ in number");
        let value = match self {
            Self::AnswerF1 => answer_f1,
            Self::ExactMatch => exact_match,
            _ => return Err(MetricError::OfAnswers { metric: self }),
        };
        Ok(truth.iter().zip(predicted).map(|(right, answer)| value(right, answer)).collect())
    }

    fn of_confusion(self, confusion: &Confusion) -> Result<Option<f64>, MetricError> {
        let classes = confusion.classes();
        if matches!(self, Self::F1 | Self::AccuracyF1Mean) && classes != 2 {
            return Err(MetricError::NotBinary { metric: self, classes });
        }
        match self {
            Self::Accuracy => Ok(confusion.accuracy()),
            Self::F1 => Ok(confusion.f1(1)),
            Self::AccuracyF1Mean => Ok(mean(confusion.accuracy(), confusion.f1(1))),
            Self::MacroF1 => Ok(confusion.macro_f1()),
            Self::WeightedF1 => Ok(confusion.weighted_f1()),
            Self::MicroF1 => Ok(confusion.micro_f1()),
            Self::SubsetAccuracy => Ok(confusion.accuracy()),
            Self::Matthews => Ok(confusion.matthews()),
            Self::EntityF1 => Err(MetricError::NotOfEntities { metric: self }),
            _ => Err(MetricError::Kind { metric: self }),
        }
    }

    pub(super) fn of_label_sets(self, counts: &LabelCounts) -> Result<Option<f64>, MetricError> {
        match self {
            Self::MicroF1 => Ok(counts.micro_f1()),
            Self::MacroF1 => Ok(counts.macro_f1()),
            Self::WeightedF1 => Ok(counts.weighted_f1()),
            Self::SubsetAccuracy => Ok(counts.subset_accuracy()),
            _ => Err(MetricError::NotOfSets { metric: self }),
        }
    }

    /// Of rows whose words have tags: over entities, or over all words.
    pub(super) fn of_tags<'a>(
        self,
        rows: impl Iterator<Item = (&'a Vec<u32>, &'a Vec<u32>)> + Clone,
        tags: usize,
        scheme: Option<&TagScheme>,
    ) -> Result<Option<f64>, MetricError> {
        match (self, scheme) {
            (Self::EntityF1, Some(scheme)) => Ok(scheme.f1(rows)),
            (Self::EntityF1, None) => Err(MetricError::NotOfEntities { metric: self }),
            _ => self.of_confusion(&Confusion::of_rows(rows, tags)),
        }
    }

    #[track_caller]
    fn of_scores(self, truth: &[f64], predicted: &[f64]) -> Result<Option<f64>, MetricError> {
        match self {
            Self::Pearson => Ok(pearson(truth, predicted)),
            Self::Spearman => Ok(spearman(truth, predicted)),
            Self::PearsonSpearmanMean => Ok(mean(pearson(truth, predicted), spearman(truth, predicted))),
            Self::MeanSquaredError => Ok(mean_squared_error(truth, predicted)),
            Self::MeanAbsoluteError => Ok(mean_absolute_error(truth, predicted)),
            _ => Err(MetricError::Kind { metric: self }),
        }
    }
}

impl fmt::Display for Metric {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

fn mean(a: Option<f64>, b: Option<f64>) -> Option<f64> {
    Some((a? + b?) / 2.0)
}

/// The mean of some values; `None` of none.
pub(super) fn average(values: impl ExactSizeIterator<Item = f64>) -> Option<f64> {
    let count = values.len();
    (count > 0).then(|| values.sum::<f64>() / count as f64)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_lead_back() {
        for metric in Metric::ALL {
            assert_eq!(Metric::from_name(metric.name()), Ok(metric));
            assert_eq!(serde_json::to_value(metric).unwrap(), metric.name());
            assert_eq!(metric.to_string(), metric.name());
        }
        assert_eq!(Metric::from_name("Macro-F1"), Ok(Metric::MacroF1));
        let error = Metric::from_name("acuracy").unwrap_err().to_string();
        assert!(
            error.starts_with("no metric \"acuracy\", the nearest is \"accuracy\"; there are accuracy, f1, "),
            "{error}"
        );
        assert!(Metric::from_name("bleu").unwrap_err().to_string().starts_with("no metric \"bleu\"; there are "));
    }

    #[test]
    fn metrics_must_fit() {
        let classes = Predictions::Classes { truth: &[0, 2], predicted: &[0, 2], classes: 3 };
        let scores = Predictions::Scores { truth: &[0.0, 2.0], predicted: &[0.0, 2.0] };
        for metric in Metric::ALL {
            if metric == Metric::EntityF1 || metric.is_of_answers() {
                continue;
            }
            let (fits, other) = if metric.is_of_classes() { (classes, scores) } else { (scores, classes) };
            assert_eq!(metric.compute(&other), Err(MetricError::Kind { metric }));
            match metric {
                Metric::F1 | Metric::AccuracyF1Mean => {
                    assert_eq!(metric.compute(&fits), Err(MetricError::NotBinary { metric, classes: 3 }));
                }
                _ => assert_eq!(metric.compute(&fits), Ok(Some(f64::from(u8::from(metric.higher_is_better()))))),
            }
        }
        assert_eq!(
            Metric::Pearson.compute(&classes).unwrap_err().to_string(),
            "pearson needs predicted scores, found classes"
        );
        let sets = Predictions::LabelSets { truth: &[vec![0, 2]], predicted: &[vec![0, 2]], labels: 3 };
        assert_eq!(Metric::SubsetAccuracy.compute(&sets), Ok(Some(1.0)));
        assert_eq!(
            Metric::Accuracy.compute(&sets).unwrap_err().to_string(),
            "accuracy is not defined where a row may have several labels; use micro_f1, macro_f1, weighted_f1 or \
             subset_accuracy"
        );
        assert_eq!(
            Metric::F1.compute(&classes).unwrap_err().to_string(),
            "f1 is defined for 2 classes, found 3; use macro_f1"
        );
    }

    #[test]
    fn tags_are_scored_by_word_and_by_entity() {
        let scheme = TagScheme::of(&["O", "B-PER", "I-PER"]).unwrap();
        let (truth, predicted) = ([vec![1, 2, 0], vec![0, 1]], [vec![1, 0, 0], vec![0, 1]]);
        let tags = |scheme| Predictions::Tags { truth: &truth, predicted: &predicted, tags: 3, scheme };
        assert_eq!(Metric::Accuracy.compute(&tags(None)), Ok(Some(0.8)));
        assert_eq!(Metric::EntityF1.compute(&tags(Some(&scheme))), Ok(Some(0.5)));
        assert_eq!(tags(Some(&scheme)).resampler(Metric::EntityF1)(&[1, 1]), Some(1.0));
        let error = Metric::EntityF1.compute(&tags(None)).unwrap_err().to_string();
        assert!(error.starts_with("entity_f1 is of entities"), "{error}");
        let classes = Predictions::Classes { truth: &[0, 2], predicted: &[0, 2], classes: 3 };
        assert!(Metric::EntityF1.compute(&classes).is_err());
    }

    #[test]
    fn answers_are_scored_by_question() {
        let truth = [vec!["the Rhine".to_owned(), "Rhine river".to_owned()], vec![], vec!["1905".to_owned()]];
        let predicted = ["rhine".to_owned(), "Köln".to_owned(), "in 1905".to_owned()];
        let answers = Predictions::Answers { truth: &truth, predicted: &predicted };
        assert_eq!(Metric::ExactMatch.compute(&answers), Ok(Some(1.0 / 3.0)));
        // 1, 0 and 2 · (1 · 1/2) / (1 + 1/2).
        let f1 = Metric::AnswerF1.compute(&answers).unwrap().unwrap();
        assert!((f1 - (1.0 + 2.0 / 3.0) / 3.0).abs() < 1e-15, "{f1}");
        let drawn = answers.resampler(Metric::AnswerF1)(&[2, 0, 0, 2]).unwrap();
        assert!((drawn - (1.0 + 2.0 / 3.0) / 2.0).abs() < 1e-15, "{drawn}");
        assert!(Metric::Accuracy.compute(&answers).unwrap_err().to_string().contains("use answer_f1 or exact_match"));
        let classes = Predictions::Classes { truth: &[0, 2], predicted: &[0, 2], classes: 3 };
        let scores = Predictions::Scores { truth: &[0.0], predicted: &[0.0] };
        for other in [classes, scores] {
            assert_eq!(Metric::AnswerF1.compute(&other), Err(MetricError::NotOfAnswers { metric: Metric::AnswerF1 }));
        }
    }

    #[test]
    fn means_are_means() {
        let classes = Predictions::Classes { truth: &[0, 1, 1, 0], predicted: &[1, 1, 0, 0], classes: 2 };
        let value = |metric: Metric| metric.compute(&classes).unwrap().unwrap();
        assert_eq!(value(Metric::AccuracyF1Mean), (value(Metric::Accuracy) + value(Metric::F1)) / 2.0);
        let undefined = Predictions::Classes { truth: &[0, 0], predicted: &[0, 0], classes: 2 };
        assert_eq!(Metric::AccuracyF1Mean.compute(&undefined), Ok(None));
    }
}
