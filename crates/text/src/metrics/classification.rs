//! Metrics of predicted classes, all from the confusion matrix.

/// How often each class (row) was predicted as each class (column).
///
/// K classes give `[K, K]` counts; N rows were counted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Confusion {
    classes: usize,
    counts: Vec<u64>,
}

impl Confusion {
    /// Counts N pairs of a true and a predicted class, both below `classes`.
    ///
    /// # Panics
    /// If the lengths differ or a class is not below `classes`.
    #[track_caller]
    pub fn new(truth: &[u32], predicted: &[u32], classes: usize) -> Self {
        let mut confusion = Self { classes, counts: vec![0; classes * classes] };
        confusion.add(truth, predicted);
        confusion
    }

    /// Counts the words of rows, a true and a predicted class for each.
    #[track_caller]
    pub(crate) fn of_rows<'a>(rows: impl Iterator<Item = (&'a Vec<u32>, &'a Vec<u32>)>, classes: usize) -> Self {
        let mut confusion = Self { classes, counts: vec![0; classes * classes] };
        rows.for_each(|(truth, predicted)| confusion.add(truth, predicted));
        confusion
    }

    #[track_caller]
    fn add(&mut self, truth: &[u32], predicted: &[u32]) {
        assert_eq!(truth.len(), predicted.len(), "true and predicted classes differ in number");
        let classes = self.classes;
        for (&t, &p) in truth.iter().zip(predicted) {
            let (t, p) = (t as usize, p as usize);
            assert!(t < classes && p < classes, "true class {t}, predicted class {p}, but there are {classes}");
            self.counts[t * classes + p] += 1;
        }
    }

    /// Number of classes K.
    pub fn classes(&self) -> usize {
        self.classes
    }

    /// Number of rows N.
    pub fn rows(&self) -> u64 {
        self.counts.iter().sum()
    }

    /// Rows of this true class that were predicted as that class.
    ///
    /// # Panics
    /// If a class is not below K.
    #[track_caller]
    pub fn count(&self, truth: u32, predicted: u32) -> u64 {
        let (t, p) = (truth as usize, predicted as usize);
        assert!(t < self.classes && p < self.classes, "there are {} classes", self.classes);
        self.counts[t * self.classes + p]
    }

    /// Share of rows predicted right. `None` without rows.
    pub fn accuracy(&self) -> Option<f64> {
        ratio(self.right(), self.rows())
    }

    /// Share of the rows predicted as this class that are of this class: TP / (TP + FP).
    /// `None` if no row was predicted as it.
    pub fn precision(&self, class: u32) -> Option<f64> {
        ratio(self.count(class, class), self.predicted(class as usize))
    }

    /// Share of the rows of this class that were predicted as it: TP / (TP + FN).
    /// `None` if no row is of it.
    pub fn recall(&self, class: u32) -> Option<f64> {
        ratio(self.count(class, class), self.support(class as usize))
    }

    /// F1 of one class: 2 TP / (2 TP + FP + FN). `None` only if no row is of this class and none was
    /// predicted as it.
    pub fn f1(&self, class: u32) -> Option<f64> {
        ratio(2 * self.count(class, class), self.support(class as usize) + self.predicted(class as usize))
    }

    /// Mean F1 of the classes that are true or predicted anywhere. `None` without rows.
    pub fn macro_f1(&self) -> Option<f64> {
        mean((0..self.classes as u32).filter_map(|class| self.f1(class)))
    }

    /// Mean F1 of all K classes, those that are nowhere counted as 0. `None` without rows.
    pub fn macro_f1_all_classes(&self) -> Option<f64> {
        (self.rows() > 0).then(|| mean((0..self.classes as u32).map(|class| self.f1(class).unwrap_or(0.0))))?
    }

    /// F1 over all decisions. Every row has one class and one prediction, so this is the accuracy.
    /// `None` without rows.
    pub fn micro_f1(&self) -> Option<f64> {
        self.accuracy()
    }

    /// F1 of each class weighted by the number of its rows. `None` without rows.
    pub fn weighted_f1(&self) -> Option<f64> {
        let rows = self.rows();
        let weighted = (0..self.classes).map(|class| self.support(class) as f64 * self.f1(class as u32).unwrap_or(0.0));
        (rows > 0).then(|| weighted.sum::<f64>() / rows as f64)
    }

    /// Matthews correlation, for any number of classes (Gorodkin's R_K). `None` if all rows are of
    /// one class or all are predicted as one.
    pub fn matthews(&self) -> Option<f64> {
        // Sums of squares of up to 2^32 rows fit 128 bits exactly; only the last step rounds.
        let rows = i128::from(self.rows());
        let (mut truth, mut predicted, mut both) = (0, 0, 0);
        for class in 0..self.classes {
            let (t, p) = (i128::from(self.support(class)), i128::from(self.predicted(class)));
            truth += t * t;
            predicted += p * p;
            both += t * p;
        }
        let covariance = i128::from(self.right()) * rows - both;
        let (truth, predicted) = (rows * rows - truth, rows * rows - predicted);
        let defined = truth > 0 && predicted > 0;
        // One root of the product: for truth = predicted it is exact, two roots would not be.
        defined.then(|| covariance as f64 / (truth as f64 * predicted as f64).sqrt())
    }

    fn right(&self) -> u64 {
        (0..self.classes).map(|class| self.counts[class * self.classes + class]).sum()
    }

    fn support(&self, class: usize) -> u64 {
        self.counts[class * self.classes..(class + 1) * self.classes].iter().sum()
    }

    fn predicted(&self, class: usize) -> u64 {
        self.counts.iter().skip(class).step_by(self.classes).sum()
    }
}

fn ratio(part: u64, whole: u64) -> Option<f64> {
    (whole > 0).then(|| part as f64 / whole as f64)
}

fn mean(values: impl Iterator<Item = f64>) -> Option<f64> {
    let (sum, count) = values.fold((0.0, 0_u32), |(sum, count), value| (sum + value, count + 1));
    (count > 0).then(|| sum / f64::from(count))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counts_by_truth_then_prediction() {
        let confusion = Confusion::new(&[0, 0, 2, 2, 2], &[0, 2, 2, 2, 0], 4);
        assert_eq!((confusion.rows(), confusion.classes()), (5, 4));
        assert_eq!([confusion.count(0, 2), confusion.count(2, 0), confusion.count(2, 2)], [1, 1, 2]);
        assert_eq!([confusion.precision(0), confusion.precision(1)], [Some(0.5), None]);
        assert_eq!([confusion.recall(2), confusion.recall(3)], [Some(2.0 / 3.0), None]);
        assert_eq!(confusion.f1(3), None);
    }

    #[test]
    fn nothing_is_undefined_everywhere() {
        for classes in [0, 2] {
            let none = Confusion::new(&[], &[], classes);
            let all =
                [none.accuracy(), none.macro_f1(), none.macro_f1_all_classes(), none.micro_f1(), none.weighted_f1()];
            assert_eq!((all, none.matthews()), ([None; 5], None));
        }
    }

    #[test]
    fn matthews_has_its_ends() {
        let truth: Vec<u32> = (0..999).map(|i| i % 3).collect();
        let shifted: Vec<u32> = truth.iter().map(|class| (class + 1) % 3).collect();
        assert_eq!(Confusion::new(&truth, &truth, 3).matthews(), Some(1.0));
        let worst = Confusion::new(&truth, &shifted, 3).matthews().unwrap();
        assert!((worst + 0.5).abs() < 1e-15, "{worst}");
    }
}
