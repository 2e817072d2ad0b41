//! The end of the attention block.

use std::sync::Arc;

use attar_kernels::Cpu;
use attar_kernels::train::{self, Mask, ResidualNormKept};
use burn::tensor::Tensor;

use super::primitive::{Primitive, layer, like, matrix, norm, numbers, recycle, rows};
use super::{GradientAccumulator, Operation, Parents, run};
use crate::engine::layer_weights::Norm;

/// `LayerNorm(dropout(x W + b) + residual)`, `[N, H]`; `accumulator` is shared by all operations that read the residual.
pub(in crate::engine) fn linear_residual_norm(
    x: Tensor<2>,
    layer: &crate::engine::Linear,
    residual: Tensor<2>,
    norm: &Norm,
    mask: Option<Arc<Mask>>,
    accumulator: GradientAccumulator,
) -> Tensor<2> {
    let operation = LinearResidualNorm { epsilon: norm.epsilon as f32, mask, accumulator };
    let [weight, bias] = [layer.weight.clone().into_dispatch(), layer.bias.clone().into_dispatch()];
    let [gain, shift] = [norm.gain.clone().into_dispatch(), norm.bias.clone().into_dispatch()];
    let inputs = [x.into_dispatch(), weight, bias, residual.into_dispatch(), gain, shift];
    Tensor::from_dispatch(run(operation, inputs))
}

#[derive(Debug, Clone)]
struct LinearResidualNorm {
    /// Added to the variance, inside the root.
    epsilon: f32,
    /// `[N, H]`
    mask: Option<Arc<Mask>>,
    /// Shared by all operations that read the residual.
    accumulator: GradientAccumulator,
}

#[derive(Debug)]
struct Saved {
    x: Primitive,
    weight: Primitive,
    bias: Primitive,
    gain: Primitive,
    shift: Primitive,
    kept: ResidualNormKept,
}

impl Operation<6> for LinearResidualNorm {
    type Saved = Saved;

    fn forward(&self, inputs: &[Primitive; 6]) -> (Primitive, Saved) {
        let [x, weight, bias, residual, gain, shift] = inputs;
        let (rows, layer, norm) = (rows(x), layer(weight, bias), norm(gain, shift, self.epsilon));
        let (cpu, mask) = (Cpu::detect(), self.mask.as_deref());
        let (y, kept) = train::linear_residual_norm(cpu, numbers(x), rows, layer, numbers(residual), norm, mask);
        let [x, weight, bias, gain, shift] = [x, weight, bias, gain, shift].map(Primitive::clone);
        (matrix(y, rows, layer.outputs()), Saved { x, weight, bias, gain, shift, kept })
    }

    fn backward(&self, saved: Saved, dy: Primitive, mut parents: Parents<'_, 6>) {
        let Saved { x, weight, bias, gain, shift, kept } = saved;
        let made = train::linear_residual_norm_backward(
            Cpu::detect(),
            numbers(&x),
            rows(&x),
            layer(&weight, &bias),
            norm(&gain, &shift, self.epsilon),
            self.mask.as_deref(),
            &kept,
            numbers(&dy),
            parents.wants(0),
        );
        parents.register(1, like(&weight, made.linear.weight));
        parents.register(2, like(&bias, made.linear.bias));
        parents.register(3, like(&dy, made.residual));
        parents.register(4, like(&gain, made.norm.gain));
        parents.register(5, like(&shift, made.norm.bias));
        if let Some(dx) = made.linear.input {
            parents.register(0, like(&x, dx));
        }
        if parents.wants(3) {
            self.accumulator.mark_registered();
        }
        recycle(dy);
        recycle(x);
    }
}
