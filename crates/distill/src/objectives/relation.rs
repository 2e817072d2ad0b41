//! Self-attention relations (MiniLMv2, arXiv 2012.15828, section 3.1).

use burn::tensor::activation::log_softmax;
use burn::tensor::{Tensor, TensorData};
use serde::{Deserialize, Serialize};

use super::term::{LossTerm, Misfit, Setting};
use super::{Comparison, one, sum};
use crate::engine::{Geometry, Qkv, RequiredOutputs, slice_qkv, split_into_heads};

/// Relations among queries, among keys and among values of the student's last layer and one
/// teacher layer. Neither widths nor numbers of heads need be equal.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct Relation {
    /// Factor of the term in the sum.
    #[serde(default = "one")]
    pub weight: f64,
    /// Relation heads; a divisor of both widths.
    pub heads: usize,
    /// Teacher layer, counted from 1; its last one if left out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub layer: Option<usize>,
}

impl LossTerm for Relation {
    fn weight(&self) -> f64 {
        self.weight
    }

    fn check(&self, setting: &Setting<'_>) -> Result<(), Misfit> {
        let (student, teacher, heads) = (setting.student.hidden, setting.teacher().hidden, self.heads);
        if heads == 0 || !student.is_multiple_of(heads) || !teacher.is_multiple_of(heads) {
            let expected = format!("relation heads that divide {student} and {teacher}");
            return Err(Misfit::new(expected, heads.to_string(), "choose a common divisor of both widths"));
        }
        let layers = setting.teacher().layers;
        match self.layer {
            Some(layer) if layer == 0 || layer > layers => {
                let expected = format!("a teacher layer from 1 to {layers}");
                Err(Misfit::new(expected, layer.to_string(), "leave `layer` out for the last one"))
            }
            _ => Ok(()),
        }
    }

    fn mark_required(&self, _: usize, required: &mut RequiredOutputs) {
        let layer = self.layer.unwrap_or(required.layers.len());
        required.layers[layer - 1].qkv = true;
    }

    fn value(&self, c: &Comparison<'_>) -> Tensor<1> {
        let teacher = c.teacher();
        let layer = self.layer.unwrap_or(teacher.layers.len());
        let [student, teacher] = [c.student.layers.last(), teacher.layers.get(layer - 1)]
            .map(|layer| &layer.expect("an encoder has layers").qkv);
        let [query, key, value] = [Qkv::Query, Qkv::Key, Qkv::Value]
            .map(|part| relation(&slice_qkv(student, part), &slice_qkv(teacher, part), self.heads, c.geometry));
        query + key + value
    }
}

/// Divergence of the student's token relations from the teacher's.
///
/// `student` `[N, d]` and `teacher` `[N, d']` hold queries, keys or values. Each is split anew into
/// `heads` relation heads, whatever the number of attention heads, so that neither widths nor head
/// counts need be equal. The relation of a head is softmax over real tokens of `x xᵀ / √(d/heads)`;
/// the term is the sum of KL(teacher || student) over heads and real tokens, divided by their number.
///
/// # Panics
/// If `heads` does not divide both widths; plans refuse that before any compute.
pub fn relation(student: &Tensor<2>, teacher: &Tensor<2>, heads: usize, geometry: &Geometry) -> Tensor<1> {
    let [student, teacher] = [student, teacher].map(|x| log_relations(x, heads, geometry));
    let [sequences, _, longest, _] = student.dims();
    // A padded key has log-probability -inf on both sides: its difference is set to 0 below.
    let weight = teacher.clone().exp() * real_pairs(geometry, [sequences, longest]);
    let difference = teacher.clamp_min(-1e30) - student.clamp_min(-1e30);
    let product = weight * difference;
    let count = sequences * heads * longest * longest;
    sum(product.reshape([count])) / (heads * geometry.layout.tokens()) as f64
}

/// `[B, heads, T, T]`: log-softmax over the real keys.
fn log_relations(x: &Tensor<2>, heads: usize, geometry: &Geometry) -> Tensor<4> {
    let width = x.dims()[1];
    assert_eq!(width % heads, 0, "{heads} relation heads do not divide a width of {width}");
    let x = split_into_heads(x.clone(), heads, geometry);
    let scale = 1.0 / ((width / heads) as f64).sqrt();
    let products = x.clone().matmul(x.swap_dims(2, 3)) * scale;
    match geometry.key_bias() {
        Some(bias) => log_softmax(products + bias.clone(), 3),
        None => log_softmax(products, 3),
    }
}

/// `[B, 1, T, T]`: 1 where both query and key are real.
fn real_pairs(geometry: &Geometry, [sequences, longest]: [usize; 2]) -> Tensor<4> {
    let mut real = vec![0.0f32; sequences * longest * longest];
    for (b, &length) in geometry.layout.real().iter().enumerate() {
        for query in 0..length {
            real[(b * longest + query) * longest..][..length].fill(1.0);
        }
    }
    Tensor::from_data(TensorData::new(real, [sequences, 1, longest, longest]), geometry.device())
}
