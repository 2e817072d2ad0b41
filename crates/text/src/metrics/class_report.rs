//! How a system does on each class, and which classes it takes for which.

use serde::{Deserialize, Serialize};

use super::classification::Confusion;

/// Most classes whose confusion matrix is shown whole: more do not fit a page.
const MATRIX: usize = 12;
/// Pairs of classes that are named.
const PAIRS: usize = 10;

/// How a system does on each of K classes.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ClassReport {
    /// Each class, in order.
    pub classes: Vec<ClassScores>,
    /// Rows of each true class (outer) that were predicted as each class (inner), `[K, K]`; none beyond 12 classes.
    pub matrix: Option<Vec<Vec<u64>>>,
    /// The pairs of classes that are taken for one another most often, at most 10, the most frequent first.
    pub confused: Vec<ConfusedPair>,
}

/// How a system does on one class.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ClassScores {
    /// Its name.
    pub name: String,
    /// Share of the rows predicted as it that are of it; `None` if none was predicted as it.
    pub precision: Option<f64>,
    /// Share of its rows that were predicted as it; `None` if it has none.
    pub recall: Option<f64>,
    /// Harmonic mean of the two; `None` if no row is of it and none was predicted as it.
    pub f1: Option<f64>,
    /// Rows of it.
    pub support: u64,
    /// Rows predicted as it.
    pub predicted: u64,
}

/// Rows of one class that were predicted as another.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ConfusedPair {
    /// The true class.
    pub truth: String,
    /// The predicted class.
    pub predicted: String,
    /// How many rows.
    pub rows: u64,
}

impl ClassReport {
    /// The report of what was counted, with the names of the classes in order.
    ///
    /// # Panics
    /// If there are not K names.
    #[track_caller]
    pub fn new(confusion: &Confusion, names: &[String]) -> ClassReport {
        assert_eq!(names.len(), confusion.classes(), "a name for each class");
        let all = 0..names.len() as u32;
        let class = |class: u32| ClassScores {
            name: names[class as usize].clone(),
            precision: confusion.precision(class),
            recall: confusion.recall(class),
            f1: confusion.f1(class),
            support: all.clone().map(|other| confusion.count(class, other)).sum(),
            predicted: all.clone().map(|other| confusion.count(other, class)).sum(),
        };
        let row = |truth: u32| all.clone().map(|predicted| confusion.count(truth, predicted)).collect();
        let mut pairs: Vec<(u64, u32, u32)> = all
            .clone()
            .flat_map(|truth| all.clone().map(move |predicted| (truth, predicted)))
            .filter(|(truth, predicted)| truth != predicted)
            .map(|(truth, predicted)| (confusion.count(truth, predicted), truth, predicted))
            .filter(|(rows, ..)| *rows > 0)
            .collect();
        // Stable: of equals the first classes come first.
        pairs.sort_by_key(|(rows, ..)| std::cmp::Reverse(*rows));
        pairs.truncate(PAIRS);
        let named = |(rows, truth, predicted): (u64, u32, u32)| ConfusedPair {
            truth: names[truth as usize].clone(),
            predicted: names[predicted as usize].clone(),
            rows,
        };
        ClassReport {
            classes: all.clone().map(class).collect(),
            matrix: (names.len() <= MATRIX).then(|| all.clone().map(row).collect()),
            confused: pairs.into_iter().map(named).collect(),
        }
    }

    /// Classes that rows are of and none was predicted as.
    pub fn never_predicted(&self) -> impl Iterator<Item = &ClassScores> {
        self.classes.iter().filter(|class| class.support > 0 && class.predicted == 0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(count: usize) -> Vec<String> {
        (0..count).map(|class| format!("class {class}")).collect()
    }

    #[test]
    fn every_class_has_its_scores() {
        let confusion = Confusion::new(&[0, 0, 0, 1, 1, 2], &[0, 0, 1, 1, 0, 0], 4);
        let report = ClassReport::new(&confusion, &names(4));
        let class = &report.classes[0];
        assert_eq!((class.precision, class.recall, class.support, class.predicted), (Some(0.5), Some(2.0 / 3.0), 3, 4));
        assert_eq!(class.f1, confusion.f1(0));
        // The last class has no rows, so that nobody misses it.
        let never: Vec<&str> = report.never_predicted().map(|class| class.name.as_str()).collect();
        assert_eq!(never, ["class 2"]);
        assert_eq!(report.matrix.as_ref().unwrap()[0], [2, 1, 0, 0]);
        let pairs: Vec<_> = report.confused.iter().map(|pair| (pair.truth.as_str(), pair.predicted.as_str())).collect();
        assert_eq!(pairs, [("class 0", "class 1"), ("class 1", "class 0"), ("class 2", "class 0")]);
        let text = serde_json::to_string(&report).unwrap();
        assert_eq!(serde_json::from_str::<ClassReport>(&text).unwrap(), report);
    }

    #[test]
    fn of_many_classes_the_worst_pairs_are_named() {
        let truth: Vec<u32> = (0..20).chain([3, 3, 3, 7, 7]).collect();
        let predicted: Vec<u32> = (0..20).map(|class| (class + 1) % 20).chain([9, 9, 9, 8, 8]).collect();
        let report = ClassReport::new(&Confusion::new(&truth, &predicted, 20), &names(20));
        assert_eq!(report.matrix, None);
        assert_eq!(report.confused.len(), 10);
        let pair = |truth: usize, predicted: usize, rows| ConfusedPair {
            truth: format!("class {truth}"),
            predicted: format!("class {predicted}"),
            rows,
        };
        assert_eq!(report.confused[..3], [pair(3, 9, 3), pair(7, 8, 3), pair(0, 1, 1)]);
    }
}
