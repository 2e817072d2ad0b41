//! From what a classification head gives to what it means.

use attar_model::Target;

/// The probability of each label, `[K]`, by the logits of a text, computed in double precision: the softmax over
/// classes, the sigmoid of each label where a text may have several. A regression's number is what it is.
pub fn probabilities(target: &Target, logits: &[f32]) -> Vec<f64> {
    match target {
        Target::Regression => logits.iter().map(|&logit| logit.into()).collect(),
        Target::MultiLabel(_) => logits.iter().map(|&logit| 1.0 / (1.0 + (-f64::from(logit)).exp())).collect(),
        Target::Labels(_) => softmax(logits),
    }
}

/// Shares that add up to 1, computed in double precision. `-inf` has a share of 0.
pub fn softmax(logits: &[f32]) -> Vec<f64> {
    let largest = logits.iter().copied().fold(f32::NEG_INFINITY, f32::max);
    let exponentials: Vec<f64> = logits.iter().map(|&x| f64::from(x - largest).exp()).collect();
    let sum: f64 = exponentials.iter().sum();
    exponentials.into_iter().map(|x| x / sum).collect()
}

/// How sure a model is of its answer to a text, from 0 to 1: the probability of the most probable class, or, where a
/// text may have several labels, the probability of the very labels that are more likely than not, each by itself.
/// `None` for a regression.
pub fn confidence(target: &Target, logits: &[f32]) -> Option<f64> {
    let probabilities = probabilities(target, logits).into_iter();
    match target {
        Target::Regression => None,
        Target::Labels(_) => Some(probabilities.fold(0.0, f64::max)),
        Target::MultiLabel(_) => Some(probabilities.map(|probability| probability.max(1.0 - probability)).product()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_model_is_as_sure_as_its_answer_is_probable() {
        let names = || vec!["no".to_owned(), "yes".to_owned()];
        let near = |found: Option<f64>, expected: f64| assert!((found.unwrap() - expected).abs() < 1e-7, "{found:?}");
        near(confidence(&Target::Labels(names()), &[3f32.ln(), 0.0]), 0.75);
        near(confidence(&Target::MultiLabel(names()), &[3f32.ln(), -(4f32.ln())]), 0.75 * 0.8);
        assert_eq!(confidence(&Target::Regression, &[2.5]), None);
    }

    #[test]
    fn probabilities_are_those_of_the_target() {
        let close = |found: Vec<f64>, expected: &[f64]| {
            assert!(found.len() == expected.len() && found.iter().zip(expected).all(|(a, b)| (a - b).abs() < 1e-7));
        };
        let names = || vec!["no".to_owned(), "yes".to_owned()];
        close(probabilities(&Target::Labels(names()), &[0.0, 3f32.ln()]), &[0.25, 0.75]);
        close(probabilities(&Target::Labels(names()), &[1000.0, 1000.0]), &[0.5, 0.5]);
        close(probabilities(&Target::MultiLabel(names()), &[2.0, 0.0]), &[0.880_797_078, 0.5]);
        close(probabilities(&Target::Regression, &[2.5]), &[2.5]);
    }
}
