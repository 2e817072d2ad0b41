//! Predictions: soft labels of the teacher (Hinton et al., arXiv 1503.02531; TinyBERT, eq. 10) and
//! gold labels.

use burn::tensor::activation::{log_sigmoid, log_softmax, sigmoid, softmax};
use burn::tensor::{Int, Tensor};

use super::{Semantics, mean, mean_square};
use crate::engine;

/// Cross-entropy of the student's logits against the teacher's soft labels, both `[B, K]`.
///
/// Clean: summed over classes, averaged over rows, times T². Reference: averaged over rows and
/// classes, without T².
pub fn soft_cross_entropy(student: Tensor<2>, teacher: Tensor<2>, temperature: f64, semantics: Semantics) -> Tensor<1> {
    let classes = student.dims()[1] as f64;
    let target = softmax(teacher / temperature, 1);
    let product = mean(target * log_softmax(student / temperature, 1));
    match semantics {
        Semantics::Clean => product * (-classes * temperature * temperature),
        Semantics::Reference => product.neg(),
    }
}

/// Binary cross-entropy of each logit `[B, K]` by itself against the probabilities `[B, K]` that the label is there, averaged
/// over rows and labels: PyTorch's `BCEWithLogitsLoss`.
pub fn binary_cross_entropy(logits: Tensor<2>, targets: Tensor<2>) -> Tensor<1> {
    // log(1 - σ(z)) is log σ(-z), which no logit makes infinite.
    let present = targets.clone() * log_sigmoid(logits.clone());
    let absent = (targets.neg() + 1.0) * log_sigmoid(logits.neg());
    mean(present + absent).neg()
}

/// Binary cross-entropy of the student's logits against the sigmoids of the teacher's, both `[B, K]`, averaged over rows and
/// labels, times T².
pub fn soft_binary_cross_entropy(student: Tensor<2>, teacher: Tensor<2>, temperature: f64) -> Tensor<1> {
    let targets = sigmoid(teacher / temperature);
    binary_cross_entropy(student / temperature, targets) * (temperature * temperature)
}

/// Cross-entropy of logits `[B, K]` against class numbers `[B]`, averaged over rows.
pub fn cross_entropy(logits: Tensor<2>, classes: Tensor<1, Int>) -> Tensor<1> {
    engine::cross_entropy(logits, classes)
}

/// Cross-entropy of logits `[B, K]` against class numbers `[B]`, that of each row times its weight `[B]`, averaged over rows.
///
/// The sum is not divided by that of the weights: a batch without rare rows must not count as much as one with many.
pub fn weighted_cross_entropy(logits: Tensor<2>, classes: Tensor<1, Int>, weights: Tensor<1>) -> Tensor<1> {
    let [rows, _] = logits.dims();
    let picked = log_softmax(logits, 1).gather(1, classes.reshape([rows, 1]));
    mean(picked * weights.reshape([rows, 1])).neg()
}

/// Mean squared difference of scores `[B, K]`: of a regression against gold scores, or of logits
/// against the teacher's.
pub fn regression(predicted: Tensor<2>, target: Tensor<2>) -> Tensor<1> {
    mean_square(predicted, target)
}
