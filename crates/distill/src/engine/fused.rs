//! Operations with a body of their own on the CPU engine, as extensions of burn's backends.
//!
//! An operation has one output and a hand-written backward pass. Its composed counterpart in
//! [`operations`](super::operations) runs everywhere else and is what it is tested against.

use burn::backend::autodiff::NodeId;
use burn::backend::autodiff::checkpoint::{base::Checkpointer, strategy::CheckpointStrategy};
use burn::backend::autodiff::grads::Gradients;
use burn::backend::autodiff::ops::{Backward, Ops, OpsKind};
use burn::backend::tensor::FloatTensor;
use burn::backend::{Autodiff, Backend, Dispatch, Flex, backend_extension};
use burn::tensor::{Tensor, TensorData};

/// The operations.
#[backend_extension(Flex, Autodiff)]
pub(super) trait Fused: Backend {
    /// The erf GELU.
    fn fused_gelu(x: FloatTensor<Self>) -> FloatTensor<Self>;
    /// Gradient of the erf GELU at its input.
    fn fused_gelu_backward(x: FloatTensor<Self>, gradient: FloatTensor<Self>) -> FloatTensor<Self>;
}

/// The erf GELU of a tensor on the CPU engine.
pub(super) fn gelu(x: Tensor<2>) -> Tensor<2> {
    Tensor::from_dispatch(Dispatch::fused_gelu(x.into_dispatch()))
}

type Primitive = FloatTensor<Flex>;

impl Fused for Flex {
    fn fused_gelu(x: Primitive) -> Primitive {
        let x = x.to_contiguous();
        let mut y = vec![0.0; x.storage::<f32>().len()];
        attar_kernels::gelu(x.storage(), &mut y);
        like(&x, y)
    }

    fn fused_gelu_backward(x: Primitive, gradient: Primitive) -> Primitive {
        let (x, gradient) = (x.to_contiguous(), gradient.to_contiguous());
        let mut dx = vec![0.0; x.storage::<f32>().len()];
        attar_kernels::gelu_backward(x.storage(), gradient.storage(), &mut dx);
        like(&x, dx)
    }
}

/// Numbers in the shape of a tensor.
fn like(tensor: &Primitive, numbers: Vec<f32>) -> Primitive {
    Primitive::from_data(TensorData::new(numbers, tensor.layout().shape().clone()))
}

impl<B: Fused, C: CheckpointStrategy> Fused for Autodiff<B, C> {
    fn fused_gelu(x: FloatTensor<Self>) -> FloatTensor<Self> {
        #[derive(Debug)]
        struct Gelu;
        impl<B: Fused> Backward<B, 1> for Gelu {
            type State = NodeId;
            fn backward(self, ops: Ops<NodeId, 1>, gradients: &mut Gradients, checkpointer: &mut Checkpointer) {
                let [parent] = ops.parents;
                let gradient = gradients.consume::<B>(&ops.node);
                if let Some(parent) = parent {
                    let x: FloatTensor<B> = checkpointer.retrieve_node_output(ops.state);
                    gradients.register::<B>(parent.id, B::fused_gelu_backward(x, gradient));
                }
            }
        }
        match Gelu.prepare::<C>([x.node()]).compute_bound().stateful() {
            OpsKind::Tracked(mut prepared) => {
                let state = prepared.checkpoint(&x);
                prepared.finish(state, B::fused_gelu(x.into_primitive()))
            }
            OpsKind::UnTracked(prepared) => prepared.finish(B::fused_gelu(x.into_primitive())),
        }
    }

    fn fused_gelu_backward(_: FloatTensor<Self>, _: FloatTensor<Self>) -> FloatTensor<Self> {
        unreachable!("a backward pass is not differentiated")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use burn::tensor::Device;

    #[test]
    fn equals_the_composed_body() {
        let numbers: Vec<f32> = (0..600).map(|i| (i as f32 - 300.0) / 50.0).collect();
        let leaf = || {
            let data = TensorData::new(numbers.clone(), [20, 30]);
            Tensor::<2>::from_data(data, &Device::flex()).autodiff().require_grad()
        };
        let outcome = |f: fn(Tensor<2>) -> Tensor<2>| {
            let x = leaf();
            // A transposed view, so that the layout matters too.
            let y = f(x.clone().transpose());
            let mut tape = (y.clone() * y.clone()).sum().backward();
            let numbers =
                |t: Tensor<2>| -> Vec<f64> { t.try_into_vec_as::<f32>().unwrap().into_iter().map(f64::from).collect() };
            (numbers(y), numbers(x.grad_remove(&mut tape).unwrap()))
        };
        let (y, dx) = outcome(gelu);
        let (composed_y, composed_dx) = outcome(super::super::operations::composed_gelu);
        // The stated errors of the kernel; the gradient is 2 y times the slope, and |y| is up to 6.
        attar_testing::assert_close("y", &y, &composed_y, 2e-6);
        attar_testing::assert_close("dx", &dx, &composed_dx, 3e-5);
    }
}
