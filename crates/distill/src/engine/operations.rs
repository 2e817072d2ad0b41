//! The operations of an encoder layer.
//!
//! Every operation takes and returns ragged tensors: `[N, …]` for tokens, `[P]` for query-key pairs. The CPU engine
//! runs those of [`fused`]. Other devices, and the tests of the fused ones, compose them from tensor operations: the
//! attention operations then gather to padded `[B, T, …]`, compute, and gather back.

use std::ops::Range;
use std::sync::Arc;

use attar_model::Activation;
use burn::tensor::activation::{gelu_approximate, log_softmax, relu, softmax};
use burn::tensor::{Device, Int, Tensor, TensorData, module};

use super::dropout::Site;
use super::fused::{self, GradientAccumulator};
use super::layer_weights::{Linear, Norm};
use super::layout::{Geometry, indices};
use super::relative_bias::RelativeBias;
use crate::device;

/// How the operations of a pass are computed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Implementation {
    /// Tensor operations: any device.
    Composed,
    /// One kernel each: the CPU engine.
    Fused,
}

impl Implementation {
    /// The fastest on a tensor's device.
    pub(super) fn of<const D: usize>(x: &Tensor<D>) -> Implementation {
        if device::is_flex(&x.device()) { Implementation::Fused } else { Implementation::Composed }
    }
}

/// `x W + b`: `[N, in]` to `[N, out]`.
pub fn linear(x: Tensor<2>, layer: &Linear) -> Tensor<2> {
    Implementation::of(&x).linear(x, layer, &GradientAccumulator::default())
}

/// `Σ (a - b)²` of two tensors of one shape, `[1]`.
pub(crate) fn squared_difference<const D: usize>(
    a: Tensor<D>,
    b: Tensor<D>,
    accumulator: &GradientAccumulator,
) -> Tensor<1> {
    debug_assert_eq!(a.dims(), b.dims());
    match Implementation::of(&a) {
        Implementation::Fused => fused::squared_difference(a, b, accumulator.clone()),
        Implementation::Composed => {
            let [rows, columns] = [a.dims()[0], a.dims()[1..].iter().product()];
            let difference = (a - b).square().reshape([rows, columns]);
            difference.sum_dim(1).sum()
        }
    }
}

/// Cross-entropy of logits `[B, K]` against class numbers `[B]`, averaged over rows, `[1]`.
///
/// # Panics
/// If a label is no class, or the device fails to hand the labels out.
pub(crate) fn cross_entropy(logits: Tensor<2>, classes: Tensor<1, Int>) -> Tensor<1> {
    let [rows, _] = logits.dims();
    match Implementation::of(&logits) {
        Implementation::Fused => {
            let labels = classes.into_data().convert::<i64>();
            let labels = labels.as_slice::<i64>().expect("labels are integers");
            fused::cross_entropy(logits, labels.iter().map(|&label| label as u32).collect())
        }
        Implementation::Composed => {
            let picked = log_softmax(logits, 1).gather(1, classes.reshape([rows, 1]));
            picked.sum().neg() / rows as f64
        }
    }
}

/// LayerNorm over the last dimension, with the biased variance.
pub(super) fn layer_norm(x: Tensor<2>, norm: &Norm) -> Tensor<2> {
    module::layer_norm(x, norm.gain.clone(), Some(norm.bias.clone()), norm.epsilon)
}

impl Implementation {
    /// The mean of the rows of each segment: `[N, H]` to `[W, H]`. Segments do not overlap.
    ///
    /// # Panics
    /// If a segment is empty or ends beyond the rows.
    pub(super) fn segment_mean(self, x: Tensor<2>, segments: &Arc<[Range<u32>]>) -> Tensor<2> {
        if self == Implementation::Fused {
            return fused::segment_mean(x, segments.clone());
        }
        let device = x.device();
        let longest = segments.iter().map(ExactSizeIterator::len).max().unwrap_or(0);
        // The first row of each segment, then the second where there is one, and so on.
        let turn = |place: usize| {
            let row = |s: &Range<u32>| s.start as usize + place.min(s.len() - 1);
            let share = |s: &Range<u32>| if place < s.len() { 1.0 / s.len() as f32 } else { 0.0 };
            let rows: Vec<usize> = segments.iter().map(row).collect();
            let shares: Vec<f32> = segments.iter().map(share).collect();
            let shares = Tensor::<2>::from_data(TensorData::new(shares, [segments.len(), 1]), &device);
            x.clone().select(0, indices(&rows, &device)) * shares
        };
        (0..longest).map(turn).reduce(|a, b| a + b).expect("segments have rows")
    }

    /// `x W + b`: `[N, in]` to `[N, out]`.
    pub(super) fn linear(self, x: Tensor<2>, layer: &Linear, accumulator: &GradientAccumulator) -> Tensor<2> {
        match self {
            Implementation::Composed => module::linear(x, layer.weight.clone(), Some(layer.bias.clone())),
            Implementation::Fused => fused::linear(x, layer, accumulator.clone()),
        }
    }

    /// `LayerNorm(dropout(x W + b) + residual)`: the end of the attention block, `[N, H]`.
    ///
    /// `accumulator` is shared by all operations that read the residual.
    pub(super) fn linear_residual_norm(
        self,
        x: Tensor<2>,
        layer: &Linear,
        residual: Tensor<2>,
        norm: &Norm,
        site: Option<Site<'_>>,
        accumulator: &GradientAccumulator,
    ) -> Tensor<2> {
        match self {
            Implementation::Composed => {
                layer_norm(apply_dropout(self.linear(x, layer, accumulator), site) + residual, norm)
            }
            Implementation::Fused => {
                let mask = site.filter(Site::drops).map(|site| Arc::new(site.mask(residual.shape().num_elements())));
                fused::linear_residual_norm(x, layer, residual, norm, mask, accumulator.clone())
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
            Implementation::Composed => {
                let inner =
                    composed_activation(self.linear(x.clone(), inner, &GradientAccumulator::default()), function);
                self.linear_residual_norm(inner, outer, x, norm, site, &GradientAccumulator::default())
            }
            Implementation::Fused => {
                let mask = site.filter(Site::drops).map(|site| Arc::new(site.mask(x.shape().num_elements())));
                fused::feed_forward(x, [inner, outer], function, norm, mask)
            }
        }
    }

    /// Attention scores of queries, keys and values `[N, 3H]`, with a bias that was made for this implementation.
    pub(super) fn attention_scores(
        self,
        qkv: &Tensor<2>,
        heads: usize,
        geometry: &Geometry,
        bias: Option<&RelativeBias>,
    ) -> Scores {
        match self {
            Implementation::Composed => {
                let [query, key] =
                    [Qkv::Query, Qkv::Key].map(|part| split_into_heads(slice_qkv(qkv, part), heads, geometry));
                let scale = 1.0 / (query.dims()[3] as f64).sqrt();
                let products = (query * scale).matmul(key.swap_dims(2, 3));
                Scores(ScoresLayout::Padded(match bias {
                    Some(RelativeBias::Padded(bias)) => products + bias.clone(),
                    _ => products,
                }))
            }
            Implementation::Fused => {
                let attention = fused::Attention::new(heads, Arc::clone(&geometry.ragged));
                let bias = match bias {
                    Some(RelativeBias::ByDistance(bias)) => Some(bias.clone()),
                    _ => None,
                };
                let scores = fused::attention_scores(qkv.clone(), bias, attention.clone());
                Scores(ScoresLayout::Ragged(scores, attention))
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
            ScoresLayout::Padded(padded) => composed_context(qkv, padded.clone(), heads, geometry, site),
            ScoresLayout::Ragged(ragged, attention) => {
                let mask = site.filter(Site::drops).map(|site| Arc::new(site.mask(geometry.layout.pairs(heads))));
                fused::attention_context(ragged.clone(), qkv.clone(), attention.clone(), mask)
            }
        }
    }
}

/// The activation function that a config names.
pub(super) fn activation(x: Tensor<2>, function: Activation) -> Tensor<2> {
    match (function, Implementation::of(&x)) {
        (Activation::Gelu, Implementation::Fused) => fused::gelu(x),
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

/// Scaled attention scores before mask and softmax, `q kᵀ / √D` and a bias where the model has one, of a batch.
#[derive(Debug, Clone)]
pub struct Scores(ScoresLayout);

/// Scores as the implementation that computed them lays them out.
#[derive(Debug, Clone)]
enum ScoresLayout {
    /// `[B, A, T, T]`
    Padded(Tensor<4>),
    /// `[P]`
    Ragged(Tensor<1>, fused::Attention),
}

impl Scores {
    /// `[P]`: stored pairs in the order sequence, head, query, key.
    pub fn ragged(&self, geometry: &Geometry) -> Tensor<1> {
        let padded = match &self.0 {
            ScoresLayout::Ragged(scores, _) => return scores.clone(),
            ScoresLayout::Padded(padded) => padded,
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
        Scores(ScoresLayout::Ragged(scores, fused::Attention::new(heads, Arc::clone(&geometry.ragged))))
    }

    /// Scores `[B, A, T, T]` that were computed elsewhere.
    #[cfg(test)]
    pub(crate) fn from_padded(padded: Tensor<4>) -> Scores {
        Scores(ScoresLayout::Padded(padded))
    }

    /// A, the number of heads.
    pub fn heads(&self) -> usize {
        match &self.0 {
            ScoresLayout::Padded(padded) => padded.dims()[1],
            ScoresLayout::Ragged(_, attention) => attention.heads,
        }
    }

    /// Shared by all operations that read the ragged scores.
    pub(crate) fn accumulator(&self) -> GradientAccumulator {
        match &self.0 {
            ScoresLayout::Padded(_) => GradientAccumulator::default(),
            ScoresLayout::Ragged(_, attention) => attention.scores.clone(),
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
    let value = split_into_heads(slice_qkv(qkv, Qkv::Value), heads, geometry);
    let [sequences, _, longest, width] = value.dims();
    let context = probabilities.matmul(value).swap_dims(1, 2).reshape([sequences * longest, heads * width]);
    match &geometry.to_ragged {
        Some(cells) => context.select(0, cells.clone()),
        None => context,
    }
}

/// Dropout on `[N, H]`, where there is any.
pub(super) fn apply_dropout(x: Tensor<2>, site: Option<Site<'_>>) -> Tensor<2> {
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

/// The part of a projection `[N, 3H]` that queries, keys or values take.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Qkv {
    /// Columns 0 to H.
    Query,
    /// Columns H to 2H.
    Key,
    /// Columns 2H to 3H.
    Value,
}

/// Queries, keys or values of `[N, 3H]`: `[N, H]`.
pub fn slice_qkv(qkv: &Tensor<2>, part: Qkv) -> Tensor<2> {
    let hidden = qkv.dims()[1] / 3;
    qkv.clone().narrow(1, part as usize * hidden, hidden)
}

/// `[N, H]` as `[B, heads, T, H/heads]`; contents of padded rows unspecified.
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
