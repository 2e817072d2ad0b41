//! Metrics of rows that have several labels, or none.

use super::class_report::{ClassReport, ClassScores};

/// How often each of K labels was true, predicted and both, over N rows.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LabelCounts {
    /// Rows of each label, rows it was predicted for, and rows with both.
    labels: Vec<[u64; 3]>,
    rows: u64,
    /// Rows whose labels were all predicted, and no others.
    exact: u64,
}

impl LabelCounts {
    /// Counts N pairs of true and predicted labels: ascending numbers below `labels`.
    ///
    /// # Panics
    /// If the lengths differ or a label is not below `labels`.
    #[track_caller]
    pub fn new(truth: &[Vec<u32>], predicted: &[Vec<u32>], labels: usize) -> LabelCounts {
        assert_eq!(truth.len(), predicted.len(), "true and predicted labels differ in number");
        LabelCounts::of(truth.iter().zip(predicted), labels)
    }

    #[track_caller]
    pub(super) fn of<'a>(rows: impl Iterator<Item = (&'a Vec<u32>, &'a Vec<u32>)>, labels: usize) -> LabelCounts {
        let mut counts = LabelCounts { labels: vec![[0; 3]; labels], rows: 0, exact: 0 };
        for (truth, predicted) in rows {
            counts.rows += 1;
            counts.exact += u64::from(truth == predicted);
            truth.iter().for_each(|&label| counts.labels[label as usize][0] += 1);
            for label in predicted {
                let count = &mut counts.labels[*label as usize];
                count[1] += 1;
                count[2] += u64::from(truth.binary_search(label).is_ok());
            }
        }
        counts
    }

    /// Share of rows whose labels were all predicted, and no others. `None` without rows.
    pub fn subset_accuracy(&self) -> Option<f64> {
        ratio(self.exact, self.rows)
    }

    /// F1 of all decisions together: 2 TP / (2 TP + FP + FN). `None` if nothing is true and nothing was predicted.
    pub fn micro_f1(&self) -> Option<f64> {
        let [truth, predicted, both] =
            self.labels.iter().fold([0; 3], |sum, count| [0, 1, 2].map(|i| sum[i] + count[i]));
        ratio(2 * both, truth + predicted)
    }

    /// Mean F1 of the labels that are true or predicted anywhere. `None` if there are none.
    pub fn macro_f1(&self) -> Option<f64> {
        let all: Vec<f64> = (0..self.labels.len()).filter_map(|label| self.f1(label)).collect();
        (!all.is_empty()).then(|| all.iter().sum::<f64>() / all.len() as f64)
    }

    /// Mean F1 weighted by the rows of each label. `None` if no row has a label.
    pub fn weighted_f1(&self) -> Option<f64> {
        let all: u64 = self.labels.iter().map(|[truth, ..]| truth).sum();
        let weighted = (0..self.labels.len()).map(|label| self.labels[label][0] as f64 * self.f1(label).unwrap_or(0.0));
        (all > 0).then(|| weighted.sum::<f64>() / all as f64)
    }

    fn f1(&self, label: usize) -> Option<f64> {
        let [truth, predicted, both] = self.labels[label];
        ratio(2 * both, truth + predicted)
    }

    /// How each label is answered, with the names in order; labels are not taken for one another.
    ///
    /// # Panics
    /// If there are not K names.
    #[track_caller]
    pub fn report(&self, names: &[String]) -> ClassReport {
        assert_eq!(names.len(), self.labels.len(), "a name for each label");
        let label = |(label, name): (usize, &String)| {
            let [support, predicted, both] = self.labels[label];
            ClassScores {
                name: name.clone(),
                precision: ratio(both, predicted),
                recall: ratio(both, support),
                f1: self.f1(label),
                support,
                predicted,
            }
        };
        ClassReport { classes: names.iter().enumerate().map(label).collect(), matrix: None, confused: Vec::new() }
    }
}

fn ratio(part: u64, whole: u64) -> Option<f64> {
    (whole > 0).then(|| part as f64 / whole as f64)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// `f1_score(truth, predicted, average=…)` and `accuracy_score` of scikit-learn 1.9.1 on
    /// `[[1,0,1,0],[0,1,0,0],[0,0,0,0],[1,1,0,0]]` and `[[1,0,0,0],[0,1,0,0],[0,0,1,0],[1,0,0,0]]`.
    #[test]
    fn it_is_that_of_scikit_learn() {
        let truth = [vec![0, 2], vec![1], vec![], vec![0, 1]];
        let predicted = [vec![0], vec![1], vec![2], vec![0]];
        let counts = LabelCounts::new(&truth, &predicted, 4);
        assert_eq!(counts.subset_accuracy(), Some(0.25));
        assert_eq!(counts.micro_f1(), Some(6.0 / 9.0));
        // The last label is nowhere, and no part of the mean.
        let third = 2.0 / 3.0;
        assert_eq!(counts.macro_f1(), Some((1.0 + third + 0.0) / 3.0));
        assert_eq!(counts.weighted_f1(), Some((2.0 + 2.0 * third) / 5.0));
        let report = counts.report(&["a", "b", "c", "d"].map(String::from));
        let second = &report.classes[1];
        assert_eq!((second.precision, second.recall, second.support, second.predicted), (Some(1.0), Some(0.5), 2, 1));
        assert_eq!(report.never_predicted().count(), 0);
        let none = LabelCounts::new(&[vec![]], &[vec![]], 2);
        assert_eq!((none.subset_accuracy(), none.micro_f1(), none.macro_f1()), (Some(1.0), None, None));
    }
}
