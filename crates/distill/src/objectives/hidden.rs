//! Hidden states and embeddings: squared difference after a learned projection (TinyBERT,
//! arXiv 1909.10351, eq. 8 and 9).

use burn::tensor::Tensor;
use serde::{Deserialize, Serialize};

use super::term::{LossTerm, Misfit, Setting};
use super::{Comparison, LayerMap, Projection, mean_square, one};
use crate::engine::{RequiredOutputs, linear};

/// Squared difference of the embedding outputs.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct Embedding {
    /// Factor of the term in the sum.
    #[serde(default = "one")]
    pub weight: f64,
}

/// Squared difference of the layers' outputs, summed over layers.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct Hidden {
    /// Factor of the term in the sum.
    #[serde(default = "one")]
    pub weight: f64,
    /// Which layers are compared.
    #[serde(default)]
    pub map: LayerMap,
}

impl LossTerm for Embedding {
    fn weight(&self) -> f64 {
        self.weight
    }

    fn projects(&self) -> bool {
        true
    }

    fn check(&self, setting: &Setting<'_>) -> Result<(), Misfit> {
        setting.check_projected_widths()
    }

    fn mark_required(&self, _: usize, required: &mut RequiredOutputs) {
        required.embeddings = true;
    }

    fn value(&self, c: &Comparison<'_>) -> Tensor<1> {
        hidden(c.student.hidden(0), c.teacher().hidden(0), c.projection(0))
    }
}

impl LossTerm for Hidden {
    fn weight(&self) -> f64 {
        self.weight
    }

    fn projects(&self) -> bool {
        true
    }

    fn check(&self, setting: &Setting<'_>) -> Result<(), Misfit> {
        setting.check_projected_widths()?;
        self.map.check(setting)
    }

    fn mark_required(&self, student_layers: usize, required: &mut RequiredOutputs) {
        self.map.mark_teacher_layers(student_layers, required, |layer| layer.hidden = true);
    }

    fn value(&self, c: &Comparison<'_>) -> Tensor<1> {
        c.sum_over_layers(&self.map, |s, t| hidden(c.student.hidden(s), c.teacher().hidden(t), c.projection(s)))
    }
}

/// Mean squared difference of two states, over rows and features.
///
/// `student` is `[N, H]`, `teacher` `[N, H']`; without a projection the widths are equal. Under
/// both semantics this is a plain mean over the stored rows: what differs is whether padding is
/// stored.
pub fn hidden(student: &Tensor<2>, teacher: &Tensor<2>, projection: Option<&Projection>) -> Tensor<1> {
    let student = match projection {
        Some(Projection(layer)) => linear(student.clone(), layer),
        None => student.clone(),
    };
    mean_square(student, teacher.clone())
}
