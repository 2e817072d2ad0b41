//! True and predicted labels side by side.

use super::entities::TagScheme;
use super::label_sets::LabelCounts;
use super::metric::{Metric, average};

/// What was true and what was predicted, for N rows.
#[derive(Debug, Clone, Copy)]
pub enum Predictions<'a> {
    /// Classes below `classes`, `[N]` each.
    Classes {
        /// The true class of each row.
        truth: &'a [u32],
        /// The predicted class of each row.
        predicted: &'a [u32],
        /// Number of classes there are.
        classes: usize,
    },
    /// Any number of labels below `labels` for each row, ascending, `[N]` each.
    LabelSets {
        /// The true labels of each row.
        truth: &'a [Vec<u32>],
        /// The predicted labels of each row.
        predicted: &'a [Vec<u32>],
        /// Number of labels there are.
        labels: usize,
    },
    /// A tag below `tags` for each word of each row, `[N]` each.
    Tags {
        /// The true tags of each row.
        truth: &'a [Vec<u32>],
        /// The predicted tags of each row, as many.
        predicted: &'a [Vec<u32>],
        /// Number of tags there are.
        tags: usize,
        /// What the tags mean for entities, if they name some.
        scheme: Option<&'a TagScheme>,
    },
    /// Answers to questions, `[N]` each.
    Answers {
        /// The right answers to each question; none where it has no answer.
        truth: &'a [Vec<String>],
        /// The answer that was given to each; empty for none.
        predicted: &'a [String],
    },
    /// Numbers, `[N]` each.
    Scores {
        /// The true number of each row.
        truth: &'a [f64],
        /// The predicted number of each row.
        predicted: &'a [f64],
    },
}

impl Predictions<'_> {
    /// Number of rows N.
    pub fn rows(&self) -> usize {
        match self {
            Self::Classes { truth, .. } => truth.len(),
            Self::LabelSets { truth, .. } | Self::Tags { truth, .. } => truth.len(),
            Self::Answers { truth, .. } => truth.len(),
            Self::Scores { truth, .. } => truth.len(),
        }
    }

    /// What gives the metric on some of the rows, each as often as it is drawn; `None` where it is undefined or does not fit.
    pub(super) fn resampler(&self, metric: Metric) -> impl Fn(&[u32]) -> Option<f64> + Sync {
        // Texts are compared once, and not for each resample.
        let by_row = match *self {
            Self::Answers { truth, predicted } => metric.of_answers(truth, predicted).ok(),
            _ => None,
        };
        move |rows| match &by_row {
            Some(values) => average(rows.iter().map(|&row| values[row as usize])),
            None => self.resampled(metric, rows),
        }
    }

    fn resampled(&self, metric: Metric, rows: &[u32]) -> Option<f64> {
        let value = match *self {
            Self::Classes { truth, predicted, classes } => {
                let (truth, predicted): (Vec<u32>, Vec<u32>) =
                    rows.iter().map(|&row| (truth[row as usize], predicted[row as usize])).unzip();
                metric.compute(&Predictions::Classes { truth: &truth, predicted: &predicted, classes })
            }
            Self::LabelSets { truth, predicted, labels } => {
                let drawn = rows.iter().map(|&row| (&truth[row as usize], &predicted[row as usize]));
                metric.of_label_sets(&LabelCounts::of(drawn, labels))
            }
            Self::Tags { truth, predicted, tags, scheme } => {
                let drawn = rows.iter().map(|&row| (&truth[row as usize], &predicted[row as usize]));
                metric.of_tags(drawn, tags, scheme)
            }
            // Those of a metric that fits have values by row.
            Self::Answers { .. } => return None,
            Self::Scores { truth, predicted } => {
                let (truth, predicted): (Vec<f64>, Vec<f64>) =
                    rows.iter().map(|&row| (truth[row as usize], predicted[row as usize])).unzip();
                metric.compute(&Predictions::Scores { truth: &truth, predicted: &predicted })
            }
        };
        value.ok().flatten()
    }

    pub(super) fn same_truth(&self, other: &Predictions<'_>) -> bool {
        match (self, other) {
            (Self::Classes { truth: a, .. }, Predictions::Classes { truth: b, .. }) => a == b,
            (Self::LabelSets { truth: a, .. }, Predictions::LabelSets { truth: b, .. }) => a == b,
            (Self::Tags { truth: a, .. }, Predictions::Tags { truth: b, .. }) => a == b,
            (Self::Answers { truth: a, .. }, Predictions::Answers { truth: b, .. }) => a == b,
            (Self::Scores { truth: a, .. }, Predictions::Scores { truth: b, .. }) => a == b,
            _ => false,
        }
    }
}
