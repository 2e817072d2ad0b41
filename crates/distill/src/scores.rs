//! How student and teacher do on the dev rows.

use std::collections::BTreeMap;

use attar_text::metrics::{ClassReport, Difference, Score};
use serde::{Deserialize, Serialize};

use crate::score::Agreement;

/// How student and teacher do on the dev rows.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Scores {
    /// The student's, the metric that decides first.
    pub student: Vec<Score>,
    /// How the student does on each class; none where scores are learned.
    pub classes: Option<ClassReport>,
    /// The teacher's, where it answers what the data ask.
    pub teacher: Option<TeacherScores>,
}

/// The loss of the last stage on text that was held out.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct HeldOutLoss {
    /// Sequences held out.
    pub sequences: usize,
    /// Their tokens.
    pub tokens: usize,
    /// Weighted sum of the terms.
    pub loss: f64,
    /// The terms before their weights.
    pub terms: BTreeMap<String, f64>,
    /// Of masked language modeling: to how many pieces, equally likely, the student's doubt amounts.
    pub perplexity: Option<f64>,
}

/// The teacher on the rows of the student.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct TeacherScores {
    /// Its scores, in the order of the student's.
    pub scores: Vec<Score>,
    /// Student less teacher in the metric that decides, paired by row.
    pub difference: Difference,
    /// The student's value over the teacher's in the metric that decides; `None` where the teacher has none above 0 or
    /// less is better.
    pub retention: Option<f64>,
    /// How often the two answer alike.
    pub agreement: Agreement,
}

/// What a student keeps of its teacher's score, in the metric that decides; `None` where the teacher has none above 0 or
/// less is better.
pub fn retention(student: &[Score], teacher: &[Score]) -> Option<f64> {
    let (student, teacher) = (student.first()?, teacher.first()?);
    let (value, whole) = (student.value?, teacher.value?);
    (whole > 0.0 && teacher.metric.higher_is_better()).then(|| value / whole)
}

#[cfg(test)]
mod tests {
    use super::*;
    use attar_text::metrics::Metric;

    #[test]
    fn retention_is_a_share_of_the_teacher() {
        let score = |metric, value| vec![Score { metric, value, interval: None, rows: 1 }];
        let of = |metric, student, teacher| retention(&score(metric, student), &score(metric, teacher));
        assert_eq!(of(Metric::Accuracy, Some(0.75), Some(0.5)), Some(1.5));
        assert_eq!(of(Metric::Pearson, Some(0.5), Some(0.0)), None);
        assert_eq!(of(Metric::Pearson, None, Some(0.5)), None);
        assert_eq!(of(Metric::MeanSquaredError, Some(1.0), Some(0.5)), None);
    }
}
