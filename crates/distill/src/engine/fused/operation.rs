//! What an operation consists of, and how burn runs it.

use std::fmt::Debug;
use std::sync::Arc;

use burn::backend::autodiff::checkpoint::{base::Checkpointer, strategy::CheckpointStrategy};
use burn::backend::autodiff::grads::Gradients;
use burn::backend::autodiff::ops::{Backward, Ops, OpsKind};
use burn::backend::tensor::FloatTensor;
use burn::backend::{
    Autodiff, Backend, BackendTensor, Dispatch, DispatchAutodiffContext, DispatchTensor, DispatchTensorKind,
    ExtensionType, Flex, backend_extension,
};

use super::GradientAccumulator;
use super::primitive::{Primitive, into_numbers};

/// An operation of `N` tensors with one output. The struct holds what is not a tensor.
pub(super) trait Operation<const N: usize>: Debug + Clone + Send + Sync + 'static {
    /// What the backward pass reads besides the operation itself.
    type Saved: Debug + Send + Sync + 'static;

    /// The output for contiguous inputs. Cloning a tensor into `Saved` copies no numbers.
    fn forward(&self, inputs: &[Primitive; N]) -> (Primitive, Self::Saved);

    /// Registers the gradients of the inputs for the gradient `dy` of the output, which is contiguous.
    fn backward(&self, saved: Self::Saved, dy: Primitive, parents: Parents<'_, N>);
}

/// Where an operation registers the gradients of its inputs.
pub(super) struct Parents<'a, const N: usize> {
    ops: Ops<(), N>,
    gradients: &'a mut Gradients,
}

impl<const N: usize> Parents<'_, N> {
    /// True if the gradient of an input is used.
    pub(super) fn wants(&self, input: usize) -> bool {
        self.ops.parents[input].is_some()
    }

    /// Registers the gradient of an input, if it is used.
    pub(super) fn register(&mut self, input: usize, gradient: Primitive) {
        if let Some(node) = &self.ops.parents[input] {
            self.gradients.register::<Flex>(node.id, gradient);
        }
    }

    /// Takes out the gradient that another operation has registered for an input, so that this one can add to it.
    pub(super) fn take_existing(&mut self, input: usize, accumulator: &GradientAccumulator) -> Option<Vec<f32>> {
        match &self.ops.parents[input] {
            // The gradient of a leaf is shared with its reader.
            Some(node) if !node.parents.is_empty() && accumulator.take_registered() => {
                Some(into_numbers(self.gradients.consume::<Flex>(node).to_contiguous()))
            }
            _ => None,
        }
    }
}

/// Runs an operation on the CPU engine, with or without gradients.
pub(super) fn run<O: Operation<N>, const N: usize>(operation: O, inputs: [DispatchTensor; N]) -> DispatchTensor {
    <Dispatch as Run>::run::<O, N>(operation, OperationInputs(inputs.into()))
}

/// The tensors that an operation reads.
struct OperationInputs<B: Backend>(Vec<FloatTensor<B>>);

impl<B: Backend> OperationInputs<B> {
    fn into_array<const N: usize>(self) -> [FloatTensor<B>; N] {
        self.0.try_into().unwrap_or_else(|_| unreachable!("`run` takes an array of this length"))
    }
}

/// The one extension of burn's backends that all operations share.
#[backend_extension(Flex, Autodiff)]
trait Run: Backend {
    fn run<O: Operation<N>, const N: usize>(
        operation: O,
        #[extension_type] inputs: OperationInputs<Self>,
    ) -> FloatTensor<Self>;
}

impl Run for Flex {
    fn run<O: Operation<N>, const N: usize>(operation: O, inputs: OperationInputs<Self>) -> Primitive {
        operation.forward(&inputs.into_array().map(|tensor| tensor.to_contiguous())).0
    }
}

impl<C: CheckpointStrategy> Run for Autodiff<Flex, C> {
    fn run<O: Operation<N>, const N: usize>(operation: O, inputs: OperationInputs<Self>) -> FloatTensor<Self> {
        let inputs = inputs.into_array::<N>();
        let nodes = inputs.each_ref().map(|tensor| tensor.node());
        let tensors = inputs.map(|tensor| tensor.into_primitive().to_contiguous());
        let prepared = GraphNode(operation.clone()).prepare::<C>(nodes).compute_bound().stateful();
        let (y, saved) = operation.forward(&tensors);
        match prepared {
            OpsKind::Tracked(prepared) => prepared.finish(Arc::new(saved), y),
            OpsKind::UnTracked(prepared) => prepared.finish(y),
        }
    }
}

/// An operation in burn's graph.
#[derive(Debug)]
struct GraphNode<O>(O);

impl<O: Operation<N>, const N: usize> Backward<Flex, N> for GraphNode<O> {
    type State = Arc<O::Saved>;

    fn backward(self, ops: Ops<Self::State, N>, gradients: &mut Gradients, _: &mut Checkpointer) {
        let dy = gradients.consume::<Flex>(&ops.node).to_contiguous();
        let saved = Arc::into_inner(ops.state).expect("the graph holds the only copy of a state");
        let ops = Ops { parents: ops.parents, node: ops.node, state: () };
        self.0.backward(saved, dy, Parents { ops, gradients });
    }
}

/// What `#[derive(ExtensionType)]` makes of a struct with a field for each tensor.
impl<B: Backend> ExtensionType<B> for OperationInputs<B> {
    type Target = OperationInputs<Dispatch>;

    fn map_to_dispatch<F>(self, map_kind: F, autodiff: DispatchAutodiffContext) -> Self::Target
    where
        F: Fn(BackendTensor<B>) -> DispatchTensorKind,
    {
        let map = |tensor| DispatchTensor { kind: map_kind(BackendTensor::Float(tensor)), autodiff };
        OperationInputs(self.0.into_iter().map(map).collect())
    }

    fn map_from_dispatch<F>(target: Self::Target, unwrap_kind: F) -> Self
    where
        F: Fn(DispatchTensor) -> BackendTensor<B>,
    {
        OperationInputs(target.0.into_iter().map(|tensor| unwrap_kind(tensor).float()).collect())
    }

    fn routing_tensor(target: &Self::Target) -> Option<&DispatchTensor> {
        target.0.first()
    }

    fn routing_float_tensor(target: &Self::Target) -> Option<&DispatchTensor> {
        target.0.first()
    }

    fn autodiff_context(target: &Self::Target) -> DispatchAutodiffContext {
        let contexts = target.0.iter().map(|tensor| tensor.autodiff);
        contexts.fold(DispatchAutodiffContext::Disabled, DispatchAutodiffContext::merge)
    }
}
