//! The five operations of an encoder layer, composed of tensor operations.
//!
//! Every operation takes and gives ragged tensors: `[N, …]` for tokens, `[P]` for query-key pairs.
//! The attention operations gather to padded `[B, T, …]`, compute, and gather back. This body runs
//! on every device and is what a faster one is tested against.

use attar_model::Activation;
use burn::tensor::activation::{gelu_approximate, relu, softmax};
use burn::tensor::{Device, Tensor, TensorData, module};

use super::dropout::Site;
use super::fused;
use super::layout::Geometry;
use crate::device;

/// Weight `[in, out]` and bias `[out]` of a linear layer.
#[derive(Debug, Clone)]
pub struct Linear {
    /// `[in, out]`
    pub weight: Tensor<2>,
    /// `[out]`
    pub bias: Tensor<1>,
}

/// Gain and bias `[H]` of a LayerNorm and its epsilon.
#[derive(Debug, Clone)]
pub(super) struct Norm {
    /// `[H]`
    pub gain: Tensor<1>,
    /// `[H]`
    pub bias: Tensor<1>,
    /// Added to the variance, inside the root.
    pub epsilon: f64,
}

/// `x W + b`: `[N, in]` to `[N, out]`.
pub fn linear(x: Tensor<2>, layer: &Linear) -> Tensor<2> {
    module::linear(x, layer.weight.clone(), Some(layer.bias.clone()))
}

/// LayerNorm over the last dimension, with the biased variance.
pub(super) fn layer_norm(x: Tensor<2>, norm: &Norm) -> Tensor<2> {
    module::layer_norm(x, norm.gain.clone(), Some(norm.bias.clone()), norm.epsilon)
}

/// `LayerNorm(dropout(x W + b) + residual)`: the end of the attention block, `[N, H]`.
pub(super) fn linear_residual_norm(
    x: Tensor<2>,
    layer: &Linear,
    residual: Tensor<2>,
    norm: &Norm,
    site: Option<Site<'_>>,
) -> Tensor<2> {
    layer_norm(dropped(linear(x, layer), site) + residual, norm)
}

/// `LayerNorm(dropout(act(x W₁ + b₁) W₂ + b₂) + x)`: the feed-forward block, `[N, H]`.
pub(super) fn feed_forward(
    x: Tensor<2>,
    [inner, outer]: [&Linear; 2],
    function: Activation,
    norm: &Norm,
    site: Option<Site<'_>>,
) -> Tensor<2> {
    let inside = activation(linear(x.clone(), inner), function);
    linear_residual_norm(inside, outer, x, norm, site)
}

/// The activation function that a config names.
pub(super) fn activation(x: Tensor<2>, function: Activation) -> Tensor<2> {
    match function {
        Activation::Gelu => gelu(x),
        Activation::GeluNew => gelu_approximate(x),
        Activation::Relu => relu(x),
    }
}

/// `x/2 (1 + erf(x/√2))`.
fn gelu(x: Tensor<2>) -> Tensor<2> {
    if device::is_flex(&x.device()) { fused::gelu(x) } else { composed_gelu(x) }
}

/// The GELU out of tensor operations: burn's own is differentiated as if it were the tanh form.
pub(super) fn composed_gelu(x: Tensor<2>) -> Tensor<2> {
    let share = (x.clone() * std::f64::consts::FRAC_1_SQRT_2).erf() + 1.0;
    x * share * 0.5
}

/// Scaled attention scores before mask and softmax, `q kᵀ / √D`, of a batch.
#[derive(Debug, Clone)]
pub struct Scores {
    /// `[B, A, T, T]`
    padded: Tensor<4>,
}

impl Scores {
    /// `[P]`: stored pairs in the order sequence, head, query, key.
    pub fn ragged(&self, geometry: &Geometry) -> Tensor<1> {
        let [sequences, heads, longest, _] = self.padded.dims();
        let flat = self.padded.clone().reshape([sequences * heads * longest * longest]);
        match geometry.pairs_in_padded(heads) {
            Some(cells) => flat.select(0, cells),
            None => flat,
        }
    }

    /// Scores `[B, A, T, T]` that were computed elsewhere.
    #[cfg(test)]
    pub(crate) fn from_padded(padded: Tensor<4>) -> Scores {
        Scores { padded }
    }

    /// A, the number of heads.
    pub fn heads(&self) -> usize {
        self.padded.dims()[1]
    }
}

/// Attention scores of queries, keys and values `[N, 3H]`.
pub(super) fn attention_scores(qkv: &Tensor<2>, heads: usize, geometry: &Geometry) -> Scores {
    let [query, key] = [0, 1].map(|part| split_into_heads(third(qkv, part), heads, geometry));
    let scale = 1.0 / (query.dims()[3] as f64).sqrt();
    Scores { padded: (query * scale).matmul(key.swap_dims(2, 3)) }
}

/// Softmax over the real keys, dropout, weighted sum of the values: `[N, H]`.
pub(super) fn attention_context(
    qkv: &Tensor<2>,
    scores: &Scores,
    heads: usize,
    geometry: &Geometry,
    site: Option<Site<'_>>,
) -> Tensor<2> {
    let scores = scores.padded.clone();
    let masked = match &geometry.key_bias {
        Some(bias) => scores + bias.clone(),
        None => scores,
    };
    let mut probabilities = softmax(masked, 3);
    if let Some(site) = site.filter(Site::drops) {
        probabilities = probabilities * pair_factors(&site, heads, geometry);
    }
    let value = split_into_heads(third(qkv, 2), heads, geometry);
    let [sequences, _, longest, width] = value.dims();
    let context = probabilities.matmul(value).swap_dims(1, 2).reshape([sequences * longest, heads * width]);
    match &geometry.to_ragged {
        Some(cells) => context.select(0, cells.clone()),
        None => context,
    }
}

/// Dropout on `[N, H]`, where there is any.
pub(super) fn dropped(x: Tensor<2>, site: Option<Site<'_>>) -> Tensor<2> {
    match site.filter(Site::drops) {
        Some(site) => {
            let [rows, columns] = x.dims();
            let factors = site.factors(rows * columns);
            let device = x.device().without_autodiff();
            x * Tensor::from_data(TensorData::new(factors, [rows, columns]), &device)
        }
        None => x,
    }
}

/// Queries (0), keys (1) or values (2) of `[N, 3H]`: `[N, H]`.
pub fn third(qkv: &Tensor<2>, part: usize) -> Tensor<2> {
    let hidden = qkv.dims()[1] / 3;
    qkv.clone().narrow(1, part * hidden, hidden)
}

/// `[N, H]` as `[B, heads, T, H/heads]`; what stands in padded rows is not to be looked at.
pub fn split_into_heads(x: Tensor<2>, heads: usize, geometry: &Geometry) -> Tensor<4> {
    let hidden = x.dims()[1];
    let padded = match &geometry.to_padded {
        Some(rows) => x.select(0, rows.clone()),
        None => x,
    };
    let [sequences, longest] = [geometry.layout.sequences(), geometry.layout.longest()];
    padded.reshape([sequences, longest, heads, hidden / heads]).swap_dims(1, 2)
}

/// Dropout factors of the stored pairs, drawn in ragged order, as `[B, A, T, T]`.
fn pair_factors(site: &Site<'_>, heads: usize, geometry: &Geometry) -> Tensor<4> {
    let layout = &geometry.layout;
    let [sequences, longest] = [layout.sequences(), layout.longest()];
    let ragged = site.factors(layout.pairs(heads));
    let padded = if layout.is_rectangular() {
        ragged
    } else {
        let mut padded = vec![0.0; sequences * heads * longest * longest];
        let mut rest = ragged.as_slice();
        for (b, &length) in layout.stored().iter().enumerate() {
            for row in 0..heads * length {
                let (factors, after) = rest.split_at(length);
                let cell = (b * heads * longest + row / length * longest + row % length) * longest;
                padded[cell..cell + length].copy_from_slice(factors);
                rest = after;
            }
        }
        padded
    };
    let device: &Device = geometry.device();
    Tensor::from_data(TensorData::new(padded, [sequences, heads, longest, longest]), device)
}
