//! The feed-forward block.

use std::sync::Arc;

use attar_kernels::Cpu;
use attar_kernels::train::{self, Activation, FeedForwardKept, Mask};
use burn::tensor::Tensor;

use super::primitive::{Primitive, columns, layer, like, matrix, norm, numbers, recycle, rows};
use super::{Operation, Parents, run};
use crate::engine::layer_weights::Norm;

/// `LayerNorm(dropout(act(x W₁ + b₁) W₂ + b₂) + x)`, `[N, H]`.
pub(in crate::engine) fn feed_forward(
    x: Tensor<2>,
    [inner, outer]: [&crate::engine::Linear; 2],
    activation: attar_model::Activation,
    norm: &Norm,
    mask: Option<Arc<Mask>>,
) -> Tensor<2> {
    let activation = match activation {
        attar_model::Activation::Gelu => Activation::Gelu,
        attar_model::Activation::GeluNew => Activation::GeluTanh,
        attar_model::Activation::Relu => Activation::Relu,
    };
    let [gain, shift] = [norm.gain.clone().into_dispatch(), norm.bias.clone().into_dispatch()];
    let inputs = [
        x.into_dispatch(),
        inner.weight.clone().into_dispatch(),
        inner.bias.clone().into_dispatch(),
        outer.weight.clone().into_dispatch(),
        outer.bias.clone().into_dispatch(),
        gain,
        shift,
    ];
    Tensor::from_dispatch(run(FeedForward { activation, epsilon: norm.epsilon as f32, mask }, inputs))
}

#[derive(Debug, Clone)]
struct FeedForward {
    activation: Activation,
    /// Added to the variance, inside the root.
    epsilon: f32,
    /// `[N, H]`
    mask: Option<Arc<Mask>>,
}

impl FeedForward {
    fn layers<'a>(
        &self,
        [_, inner_weight, inner_bias, outer_weight, outer_bias, gain, shift]: &'a [Primitive; 7],
    ) -> train::FeedForward<'a> {
        train::FeedForward {
            inner: layer(inner_weight, inner_bias),
            activation: self.activation,
            outer: layer(outer_weight, outer_bias),
            norm: norm(gain, shift, self.epsilon),
        }
    }
}

impl Operation<7> for FeedForward {
    type Saved = ([Primitive; 7], FeedForwardKept);

    fn forward(&self, inputs: &[Primitive; 7]) -> (Primitive, Self::Saved) {
        let (x, rows) = (&inputs[0], rows(&inputs[0]));
        let mask = self.mask.as_deref();
        let (y, kept) = train::feed_forward(Cpu::detect(), numbers(x), rows, self.layers(inputs), mask);
        (matrix(y, rows, columns(x)), (inputs.clone(), kept))
    }

    fn backward(&self, (inputs, kept): Self::Saved, dy: Primitive, mut parents: Parents<'_, 7>) {
        let (x, layers, mask) = (&inputs[0], self.layers(&inputs), self.mask.as_deref());
        let made = train::feed_forward_backward(Cpu::detect(), numbers(x), rows(x), layers, mask, &kept, numbers(&dy));
        let gradients = [
            made.input,
            made.inner.weight,
            made.inner.bias,
            made.outer.weight,
            made.outer.bias,
            made.norm.gain,
            made.norm.bias,
        ];
        for (index, gradient) in gradients.into_iter().enumerate() {
            parents.register(index, like(&inputs[index], gradient));
        }
        recycle(dy);
        let [x, ..] = inputs;
        recycle(x);
    }
}
