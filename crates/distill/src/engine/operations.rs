//! The five operations of an encoder layer.
//!
//! Every operation takes and gives ragged tensors: `[N, …]` for tokens, `[P]` for query-key pairs. On the
//! CPU engine they are those of [`fused`]. Elsewhere, and in tests of those, they are composed of tensor
//! operations: the attention operations then gather to padded `[B, T, …]`, compute, and gather back.

use std::sync::Arc;

use attar_model::Activation;
use burn::tensor::activation::{gelu_approximate, relu, softmax};
use burn::tensor::{Device, Tensor, TensorData, module};

use super::dropout::Site;
use super::fused::{self, Join};
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

/// Which bodies the operations of a pass have.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Body {
    /// Tensor operations: any device.
    Composed,
    /// One kernel each: the CPU engine.
    Fused,
}

impl Body {
    /// The fastest that a tensor's device has.
    pub(super) fn of<const D: usize>(x: &Tensor<D>) -> Body {
        if device::is_flex(&x.device()) { Body::Fused } else { Body::Composed }
    }
}

/// `x W + b`: `[N, in]` to `[N, out]`.
pub fn linear(x: Tensor<2>, layer: &Linear) -> Tensor<2> {
    let body = Body::of(&x);
    body.linear(x, layer, &Join::default())
}

/// `Σ (a - b)²` of two tensors of one shape, `[1]`.
pub(crate) fn squared_difference<const D: usize>(a: Tensor<D>, b: Tensor<D>, join: &Join) -> Tensor<1> {
    debug_assert_eq!(a.dims(), b.dims());
    match Body::of(&a) {
        Body::Fused => fused::squared_difference(a, b, join.clone()),
        Body::Composed => {
            let [rows, columns] = [a.dims()[0], a.dims()[1..].iter().product()];
            let difference = (a - b).square().reshape([rows, columns]);
            difference.sum_dim(1).sum()
        }
    }
}

/// LayerNorm over the last dimension, with the biased variance.
pub(super) fn layer_norm(x: Tensor<2>, norm: &Norm) -> Tensor<2> {
    module::layer_norm(x, norm.gain.clone(), Some(norm.bias.clone()), norm.epsilon)
}

impl Body {
    /// `x W + b`: `[N, in]` to `[N, out]`.
    pub(super) fn linear(self, x: Tensor<2>, layer: &Linear, join: &Join) -> Tensor<2> {
        match self {
            Body::Composed => module::linear(x, layer.weight.clone(), Some(layer.bias.clone())),
            Body::Fused => fused::linear(x, layer, join.clone()),
        }
    }

    /// `LayerNorm(dropout(x W + b) + residual)`: the end of the attention block, `[N, H]`.
    ///
    /// `join` is where the gradients of the residual and those of another use of it meet.
    pub(super) fn linear_residual_norm(
        self,
        x: Tensor<2>,
        layer: &Linear,
        residual: Tensor<2>,
        norm: &Norm,
        site: Option<Site<'_>>,
        join: &Join,
    ) -> Tensor<2> {
        match self {
            Body::Composed => layer_norm(dropped(self.linear(x, layer, join), site) + residual, norm),
            Body::Fused => {
                let mask = site.filter(Site::drops).map(|site| Arc::new(site.mask(residual.shape().num_elements())));
                fused::linear_residual_norm(x, layer, residual, norm, mask, join.clone())
            }
        }
    }

    /// `LayerNorm(dropout(act(x W₁ + b₁) W₂ + b₂) + x)`: the feed-forward block, `[N, H]`.
    pub(super) fn feed_forward(
        self,
        x: Tensor<2>,
        [inner, outer]: [&Linear; 2],
        function: Activation,
        norm: &Norm,
        site: Option<Site<'_>>,
    ) -> Tensor<2> {
        match self {
            Body::Composed => {
                let inside = composed_activation(self.linear(x.clone(), inner, &Join::default()), function);
                self.linear_residual_norm(inside, outer, x, norm, site, &Join::default())
            }
            Body::Fused => {
                let mask = site.filter(Site::drops).map(|site| Arc::new(site.mask(x.shape().num_elements())));
                fused::feed_forward(x, [inner, outer], function, norm, mask)
            }
        }
    }

    /// Attention scores of queries, keys and values `[N, 3H]`.
    pub(super) fn attention_scores(self, qkv: &Tensor<2>, heads: usize, geometry: &Geometry) -> Scores {
        match self {
            Body::Composed => {
                let [query, key] = [0, 1].map(|part| split_into_heads(third(qkv, part), heads, geometry));
                let scale = 1.0 / (query.dims()[3] as f64).sqrt();
                Scores(Layered::Padded((query * scale).matmul(key.swap_dims(2, 3))))
            }
            Body::Fused => {
                let ragged = Arc::clone(&geometry.ragged);
                let attention = fused::Attention { heads, ragged, qkv: Join::default(), scores: Join::default() };
                let scores = fused::attention_scores(qkv.clone(), attention.clone());
                Scores(Layered::Ragged(scores, attention))
            }
        }
    }

    /// Softmax over the real keys, dropout, weighted sum of the values: `[N, H]`.
    pub(super) fn attention_context(
        self,
        qkv: &Tensor<2>,
        scores: &Scores,
        heads: usize,
        geometry: &Geometry,
        site: Option<Site<'_>>,
    ) -> Tensor<2> {
        match &scores.0 {
            Layered::Padded(padded) => composed_context(qkv, padded.clone(), heads, geometry, site),
            Layered::Ragged(ragged, attention) => {
                let mask = site.filter(Site::drops).map(|site| Arc::new(site.mask(geometry.layout.pairs(heads))));
                fused::attention_context(ragged.clone(), qkv.clone(), attention.clone(), mask)
            }
        }
    }
}

/// The activation function that a config names.
pub(super) fn activation(x: Tensor<2>, function: Activation) -> Tensor<2> {
    match (function, Body::of(&x)) {
        (Activation::Gelu, Body::Fused) => fused::gelu(x),
        _ => composed_activation(x, function),
    }
}

fn composed_activation(x: Tensor<2>, function: Activation) -> Tensor<2> {
    match function {
        Activation::Gelu => composed_gelu(x),
        Activation::GeluNew => gelu_approximate(x),
        Activation::Relu => relu(x),
    }
}

/// The GELU out of tensor operations: burn's own is differentiated as if it were the tanh form.
pub(super) fn composed_gelu(x: Tensor<2>) -> Tensor<2> {
    let share = (x.clone() * std::f64::consts::FRAC_1_SQRT_2).erf() + 1.0;
    x * share * 0.5
}

/// Scaled attention scores before mask and softmax, `q kᵀ / √D`, of a batch.
#[derive(Debug, Clone)]
pub struct Scores(Layered);

/// Scores as the body that made them lays them out.
#[derive(Debug, Clone)]
enum Layered {
    /// `[B, A, T, T]`
    Padded(Tensor<4>),
    /// `[P]`
    Ragged(Tensor<1>, fused::Attention),
}

impl Scores {
    /// `[P]`: stored pairs in the order sequence, head, query, key.
    pub fn ragged(&self, geometry: &Geometry) -> Tensor<1> {
        let padded = match &self.0 {
            Layered::Ragged(scores, _) => return scores.clone(),
            Layered::Padded(padded) => padded,
        };
        let [sequences, heads, longest, _] = padded.dims();
        let flat = padded.clone().reshape([sequences * heads * longest * longest]);
        match geometry.pairs_in_padded(heads) {
            Some(cells) => flat.select(0, cells),
            None => flat,
        }
    }

    /// Scores `[P]` of `heads` heads that were computed elsewhere.
    pub(crate) fn from_ragged(scores: Tensor<1>, heads: usize, geometry: &Geometry) -> Scores {
        let ragged = Arc::clone(&geometry.ragged);
        Scores(Layered::Ragged(
            scores,
            fused::Attention { heads, ragged, qkv: Join::default(), scores: Join::default() },
        ))
    }

    /// Scores `[B, A, T, T]` that were computed elsewhere.
    #[cfg(test)]
    pub(crate) fn from_padded(padded: Tensor<4>) -> Scores {
        Scores(Layered::Padded(padded))
    }

    /// A, the number of heads.
    pub fn heads(&self) -> usize {
        match &self.0 {
            Layered::Padded(padded) => padded.dims()[1],
            Layered::Ragged(_, attention) => attention.heads,
        }
    }

    /// Where the gradients of the ragged scores meet.
    pub(crate) fn join(&self) -> Join {
        match &self.0 {
            Layered::Padded(_) => Join::default(),
            Layered::Ragged(_, attention) => attention.scores.clone(),
        }
    }
}

fn composed_context(
    qkv: &Tensor<2>,
    scores: Tensor<4>,
    heads: usize,
    geometry: &Geometry,
    site: Option<Site<'_>>,
) -> Tensor<2> {
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
