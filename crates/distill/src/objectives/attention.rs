//! Attention: squared difference of scores before the softmax (TinyBERT, arXiv 1909.10351, eq. 7).

use burn::tensor::Tensor;
use serde::{Deserialize, Serialize};

use super::term::{LossTerm, Misfit, Setting};
use super::{Comparison, LayerMap, Semantics, one};
use crate::engine::{Geometry, GradientAccumulator, RequiredOutputs, Scores, squared_difference};

/// Squared difference of the attention scores, summed over layers. Needs equal numbers of heads.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct Attention {
    /// Factor of the term in the sum.
    #[serde(default = "one")]
    pub weight: f64,
    /// Which layers are compared.
    #[serde(default)]
    pub map: LayerMap,
}

impl LossTerm for Attention {
    fn weight(&self) -> f64 {
        self.weight
    }

    fn check(&self, setting: &Setting<'_>) -> Result<(), Misfit> {
        let (student, teacher) = (setting.student.heads, setting.teacher().heads);
        if student != teacher {
            let way_out = "give the student as many heads, or use `relation`";
            return Err(Misfit::new(format!("the teacher's {teacher} heads"), student.to_string(), way_out));
        }
        self.map.check(setting)
    }

    fn mark_required(&self, student_layers: usize, required: &mut RequiredOutputs) {
        self.map.mark_teacher_layers(student_layers, required, |layer| layer.scores = true);
    }

    fn value(&self, c: &Comparison<'_>) -> Tensor<1> {
        c.sum_over_layers(&self.map, |s, t| {
            let (student, teacher) = (&c.student.layers[s - 1].scores, &c.teacher().layers[t - 1].scores);
            attention(student, teacher, c.geometry, c.semantics)
        })
    }
}

/// Mean squared difference of the attention scores of a student layer and a teacher layer.
///
/// Clean: over all query-key pairs of real tokens, heads and sequences together. Reference: -10,000
/// is added to the scores of padded keys on both sides, every score at or below -100 becomes 0 on
/// its own side, and the mean counts every stored pair; the geometry must then be a padded one.
///
/// # Panics
/// If the sides differ in their number of heads; plans refuse that before any compute.
pub fn attention(student: &Scores, teacher: &Scores, geometry: &Geometry, semantics: Semantics) -> Tensor<1> {
    let heads = student.heads();
    assert_eq!(heads, teacher.heads(), "attention scores are compared head by head");
    let accumulator = student.accumulator();
    let [student, teacher] = [student, teacher].map(|scores| scores.ragged(geometry));
    let (student, teacher, accumulator) = match semantics {
        Semantics::Clean => (student, teacher, accumulator),
        Semantics::Reference => {
            let padding = (geometry.real_keys(heads) - 1.0) * 10_000.0;
            let threshold = |x: Tensor<1>| {
                let x = x + padding.clone();
                let masked = x.clone().lower_equal_scalar(-100.0);
                x.mask_fill(masked, 0.0)
            };
            // The scores' other gradient is of the scores before the threshold.
            (threshold(student), threshold(teacher), GradientAccumulator::default())
        }
    };
    let pairs = student.dims()[0];
    squared_difference(student, teacher, &accumulator) / pairs as f64
}
