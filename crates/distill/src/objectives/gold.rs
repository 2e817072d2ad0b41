//! The labels of the data.

use burn::tensor::Tensor;
use serde::{Deserialize, Serialize};

use super::term::LossTerm;
use super::{BatchLabels, Comparison, binary_cross_entropy, cross_entropy, one, regression, weighted_cross_entropy};

/// The labels of the data.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct Gold {
    /// Factor of the term in the sum.
    #[serde(default = "one")]
    pub weight: f64,
}

impl LossTerm for Gold {
    fn weight(&self) -> f64 {
        self.weight
    }

    fn needs_labels(&self) -> bool {
        true
    }

    fn predicts(&self) -> bool {
        true
    }

    fn value(&self, c: &Comparison<'_>) -> Tensor<1> {
        let logits = c.student_logits();
        match c.labels.expect("the plan checked that rows have labels") {
            BatchLabels::Classes(classes) => cross_entropy(logits, classes.clone()),
            BatchLabels::WeightedClasses(classes, weights) => {
                weighted_cross_entropy(logits, classes.clone(), weights.as_ref().clone())
            }
            BatchLabels::LabelSets(labels) => binary_cross_entropy(logits, labels.clone()),
            BatchLabels::Scores(scores) => regression(logits, scores.clone()),
            BatchLabels::Pieces(_) => panic!("the plan checked that rows have labels"),
        }
    }
}
