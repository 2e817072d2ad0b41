//! Sentence vectors: cosine and squared distances of pooled states (Reimers & Gurevych,
//! arXiv 2004.09813, for the squared distance of embeddings).

use burn::tensor::Tensor;
use serde::{Deserialize, Serialize};

use super::term::{LossTerm, Misfit, Setting};
use super::{Comparison, mean, mean_square, one};
use crate::engine::{Geometry, mean_pool, normalize};

/// 1 - cos of the last layers' outputs, over tokens. Needs equal widths.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct Cosine {
    /// Factor of the term in the sum.
    #[serde(default = "one")]
    pub weight: f64,
}

impl LossTerm for Cosine {
    fn weight(&self) -> f64 {
        self.weight
    }

    fn needs_layers(&self) -> bool {
        false
    }

    fn check(&self, setting: &Setting<'_>) -> Result<(), Misfit> {
        setting.check_equal_widths()
    }

    fn value(&self, c: &Comparison<'_>) -> Tensor<1> {
        cosine_tokens(c.student.last(), c.teacher().last())
    }
}

/// Mean over tokens of 1 - cos of states `[N, H]` of the same width.
pub fn cosine_tokens(student: &Tensor<2>, teacher: &Tensor<2>) -> Tensor<1> {
    one_minus_cosine(student.clone(), teacher.clone())
}

/// Mean over sequences of 1 - cos of the mean-pooled states.
pub fn cosine_pooled(student: &Tensor<2>, teacher: &Tensor<2>, geometry: &Geometry) -> Tensor<1> {
    one_minus_cosine(mean_pool(student, geometry), mean_pool(teacher, geometry))
}

/// Mean squared difference of sentence vectors `[B, H]`.
pub fn pooled_mse(student: Tensor<2>, teacher: Tensor<2>) -> Tensor<1> {
    mean_square(student, teacher)
}

fn one_minus_cosine(student: Tensor<2>, teacher: Tensor<2>) -> Tensor<1> {
    let cosine = (normalize(student) * normalize(teacher)).sum_dim(1);
    mean(cosine).neg() + 1.0
}
