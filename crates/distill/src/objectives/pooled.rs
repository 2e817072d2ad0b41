//! Vectors of whole texts, for sentence embedders (Reimers & Gurevych, arXiv 2004.09813).

use burn::tensor::Tensor;
use serde::{Deserialize, Serialize};

use super::term::{LossTerm, Misfit, Setting};
use super::{Comparison, Projection, one, pooled_mse};
use crate::engine::{linear, normalize};

/// Squared difference of the means over the last layers' outputs; different widths need a projection.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct Pooled {
    /// Factor of the term in the sum.
    #[serde(default = "one")]
    pub weight: f64,
    /// Whether both vectors are scaled to length 1 first, as where cosines are what counts.
    #[serde(default)]
    pub normalize: bool,
}

impl LossTerm for Pooled {
    fn weight(&self) -> f64 {
        self.weight
    }

    fn needs_layers(&self) -> bool {
        false
    }

    fn projects(&self) -> bool {
        true
    }

    fn check(&self, setting: &Setting<'_>) -> Result<(), Misfit> {
        setting.check_projected_widths()
    }

    fn value(&self, c: &Comparison<'_>) -> Tensor<1> {
        let [student, teacher] = c.means();
        let student = match c.projections.last() {
            Some(Projection(layer)) => linear(student, layer),
            None => student,
        };
        let vectors = [student, teacher];
        let [student, teacher] = vectors.map(|vector| if self.normalize { normalize(vector) } else { vector });
        pooled_mse(student, teacher)
    }
}
