//! Normalized states of the first token (Patient knowledge distillation, Sun et al., arXiv 1908.09355, eq. 7).

use burn::tensor::Tensor;
use serde::{Deserialize, Serialize};

use super::term::{LossTerm, Misfit, Setting};
use super::{Comparison, LayerMap, one};
use crate::engine::{Geometry, RequiredOutputs, normalize};

/// Squared distance of the first token's states, each scaled to length 1, summed over layers. Needs equal widths.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct Patient {
    /// Factor of the term in the sum.
    #[serde(default = "one")]
    pub weight: f64,
    /// Which layers are compared.
    #[serde(default)]
    pub map: LayerMap,
}

impl LossTerm for Patient {
    fn weight(&self) -> f64 {
        self.weight
    }

    fn check(&self, setting: &Setting<'_>) -> Result<(), Misfit> {
        setting.check_equal_widths()?;
        self.map.check(setting)
    }

    fn mark_required(&self, student_layers: usize, required: &mut RequiredOutputs) {
        self.map.mark_teacher_layers(student_layers, required, |layer| layer.hidden = true);
    }

    fn value(&self, c: &Comparison<'_>) -> Tensor<1> {
        c.sum_over_layers(&self.map, |s, t| patient(c.student.hidden(s), c.teacher().hidden(t), c.geometry))
    }
}

/// Squared distance of the normalized states of each sequence's first token, averaged over sequences.
///
/// `student` and `teacher` are `[N, H]`. A distance lies between 0 and 4.
pub fn patient(student: &Tensor<2>, teacher: &Tensor<2>, geometry: &Geometry) -> Tensor<1> {
    let [student, teacher] = [student, teacher].map(|states| normalize(geometry.first_rows(states)));
    let [sequences, _] = student.dims();
    (student - teacher).square().sum_dim(1).sum() / sequences as f64
}
