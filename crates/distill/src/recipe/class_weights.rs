//! How much the rows of each class count.

use std::collections::BTreeMap;
use std::ops::RangeInclusive;
use std::str::FromStr;

use attar_text::labeled::{Dataset, Target, list_names};
use serde::{Deserialize, Serialize};

use crate::Error;

/// How much the rows of each class count in the `gold` term, and in the linear model that a head begins as.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(untagged, expecting = "expected \"balanced\" or a weight for each class, such as { rare = 5.0 }")]
pub enum ClassWeights {
    /// A named rule.
    Rule(ClassWeightRule),
    /// A weight by name of the class; classes that are not named count once.
    Named(BTreeMap<String, f64>),
}

/// The rules that have names.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ClassWeightRule {
    /// `rows / (classes · rows of the class)`: all classes count alike, as scikit-learn's `class_weight="balanced"`.
    Balanced,
}

/// Weights that train: beyond them a class is as good as absent, or the only one.
const WEIGHTS: RangeInclusive<f64> = 1e-6..=1e6;

/// Why a list of weights was refused.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ClassWeightsError {
    /// Neither the rule nor a list of weights.
    #[error("expected `balanced` or weights such as `rare=5,other=0.5`, got {0:?}")]
    Unreadable(String),
    /// A class with two weights.
    #[error("the class {0:?} is named twice, expected one weight for it")]
    Twice(String),
}

impl FromStr for ClassWeights {
    type Err = ClassWeightsError;

    fn from_str(text: &str) -> Result<ClassWeights, ClassWeightsError> {
        if text.trim() == "balanced" {
            return Ok(ClassWeights::Rule(ClassWeightRule::Balanced));
        }
        let weight = |item: &str| {
            // A name may hold the sign too.
            let (name, weight) = item.rsplit_once('=')?;
            Some((name.trim().to_owned(), weight.trim().parse().ok()?))
        };
        let weights = text.split(',').map(weight).collect::<Option<Vec<(String, f64)>>>();
        let weights = weights.ok_or_else(|| ClassWeightsError::Unreadable(text.to_owned()))?;
        let mut named = BTreeMap::new();
        for (name, weight) in weights {
            if named.insert(name.clone(), weight).is_some() {
                return Err(ClassWeightsError::Twice(name));
            }
        }
        Ok(ClassWeights::Named(named))
    }
}

impl ClassWeights {
    /// The weight of each class of these training rows, `[K]`; `place` is whose key this is.
    ///
    /// # Errors
    /// If the rows have no classes, a class is not there, or a weight is not a finite number above 0.
    pub(crate) fn of(&self, place: &str, data: &Dataset) -> Result<Vec<f32>, Error> {
        let refused = |expected: String, got: String, out: &str| Err(Error::refused(place, expected, got, out));
        let Target::Classes(labels) = &data.target else {
            let expected = "rows with one class each, to which `class-weights` (`--class-weights`) applies";
            return refused(expected.into(), "rows of another kind".into(), "leave the weights out");
        };
        let weights = match self {
            ClassWeights::Rule(ClassWeightRule::Balanced) => return Ok(balanced(&data.class_counts())),
            ClassWeights::Named(weights) => weights,
        };
        let mut all = vec![1.0; labels.len()];
        for (name, &weight) in weights {
            let Some(class) = labels.class(name) else {
                let expected = format!("`class-weights` of the classes {}", list_names(&labels.names));
                return refused(expected, format!("{name:?}"), "name classes as the data do, or say `balanced`");
            };
            if !WEIGHTS.contains(&weight) {
                let expected =
                    format!("a weight from {:e} to {:e} for the class {name:?}", WEIGHTS.start(), WEIGHTS.end());
                return refused(expected, format!("{weight:e}"), "correct it; 1 is the weight of classes without one");
            }
            all[class as usize] = weight as f32;
        }
        Ok(all)
    }
}

/// Weights by which all classes that have rows count alike; a class without rows counts once.
fn balanced(counts: &[usize]) -> Vec<f32> {
    let rows: usize = counts.iter().sum();
    let classes = counts.iter().filter(|&&count| count > 0).count();
    let weight = |&count: &usize| if count == 0 { 1.0 } else { rows as f32 / (classes * count) as f32 };
    counts.iter().map(weight).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn balanced_classes_count_alike() {
        // compute_class_weight("balanced", classes=[0, 1, 2], y=[0] * 6 + [1] * 3 + [2]) of scikit-learn
        assert_eq!(balanced(&[6, 3, 1]), [10.0 / 18.0, 10.0 / 9.0, 10.0 / 3.0]);
        assert_eq!(balanced(&[3, 0, 1]), [4.0 / 6.0, 1.0, 2.0]);
    }

    #[test]
    fn flags_name_classes_and_weights() {
        let named = |text: &str| match text.parse() {
            Ok(ClassWeights::Named(weights)) => weights.into_iter().collect::<Vec<_>>(),
            other => panic!("{other:?}"),
        };
        assert_eq!("balanced".parse::<ClassWeights>().unwrap(), ClassWeights::Rule(ClassWeightRule::Balanced));
        assert_eq!(named("rare=5, a=b=0.5"), [("a=b".to_owned(), 0.5), ("rare".to_owned(), 5.0)]);
        assert!("rare=1,rare=2".parse::<ClassWeights>().unwrap_err().to_string().contains("\"rare\" is named twice"));
        for wrong in ["balance", "rare=five", "rare", ""] {
            let error = wrong.parse::<ClassWeights>().unwrap_err().to_string();
            assert!(error.contains("`balanced` or weights"), "{error}");
        }
    }
}
