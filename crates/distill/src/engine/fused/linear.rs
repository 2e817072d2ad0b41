//! A linear layer.

use attar_kernels::Cpu;
use attar_kernels::train::{self, InputGradient};
use burn::tensor::Tensor;

use super::primitive::{Primitive, layer, like, matrix, numbers, recycle, rows};
use super::{GradientAccumulator, Operation, Parents, run};

/// `x W + b`: `[N, in]` to `[N, out]`. `accumulator` is shared by all operations that read `x`.
pub(in crate::engine) fn linear(
    x: Tensor<2>,
    layer: &crate::engine::Linear,
    accumulator: GradientAccumulator,
) -> Tensor<2> {
    let [weight, bias] = [layer.weight.clone().into_dispatch(), layer.bias.clone().into_dispatch()];
    Tensor::from_dispatch(run(LinearOperation { accumulator }, [x.into_dispatch(), weight, bias]))
}

#[derive(Debug, Clone)]
struct LinearOperation {
    /// Shared by all operations that read `x`.
    accumulator: GradientAccumulator,
}

impl Operation<3> for LinearOperation {
    type Saved = [Primitive; 3];

    fn forward(&self, inputs: &[Primitive; 3]) -> (Primitive, Self::Saved) {
        let [x, weight, bias] = inputs;
        let (rows, layer) = (rows(x), layer(weight, bias));
        let y = train::linear(Cpu::detect(), numbers(x), rows, layer);
        (matrix(y, rows, layer.outputs()), inputs.clone())
    }

    fn backward(&self, [x, weight, bias]: Self::Saved, dy: Primitive, mut parents: Parents<'_, 3>) {
        let input = match parents.take_existing(0, &self.accumulator) {
            Some(existing) => InputGradient::AddTo(existing),
            None if parents.wants(0) => InputGradient::New,
            None => InputGradient::Skip,
        };
        let layer = layer(&weight, &bias);
        let made = train::linear_backward(Cpu::detect(), numbers(&x), rows(&x), layer, numbers(&dy), input);
        parents.register(1, like(&weight, made.weight));
        parents.register(2, like(&bias, made.bias));
        if let Some(dx) = made.input {
            parents.register(0, like(&x, dx));
        }
        recycle(dy);
        recycle(x);
    }
}
