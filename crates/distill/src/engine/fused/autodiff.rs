//! The backward passes.

use std::sync::Arc;

use attar_kernels::Cpu;
use attar_kernels::train::{self, Activation, FeedForwardKept, InputGradient, Mask, ResidualNormKept};
use burn::backend::autodiff::checkpoint::{base::Checkpointer, strategy::CheckpointStrategy};
use burn::backend::autodiff::grads::Gradients;
use burn::backend::autodiff::ops::{Backward, NodeGuard, Ops, OpsKind};
use burn::backend::tensor::FloatTensor;
use burn::backend::{Autodiff, Flex};

use super::primitive::{Primitive, flat, into_numbers, like, numbers, recycle, rows};
use super::{Attention, Fused, Join, NormOptions, block, feed_forward_of, layer, norm, residual_norm};

/// The gradient that a parent has already, if the join knows of one that may be changed.
macro_rules! there {
    ($parent:expr, $join:expr, $gradients:expr) => {
        match &$parent {
            // A leaf's gradient is only lent.
            Some(parent) if !parent.parents.is_empty() && $join.take() => {
                Some(into_numbers($gradients.consume::<Flex>(parent).to_contiguous()))
            }
            _ => None,
        }
    };
}

/// Registers gradients with the parents that want them.
macro_rules! register {
    ($gradients:expr, $($parent:expr => $gradient:expr),* $(,)?) => {
        $(if let Some(parent) = &$parent {
            $gradients.register::<Flex>(parent.id, $gradient);
        })*
    };
}

/// Runs an operation, which keeps something for its backward pass if one of its inputs is tracked.
fn track<C: CheckpointStrategy, B: Backward<Flex, N>, K, const N: usize>(
    step: B,
    nodes: [NodeGuard; N],
    tensors: [Primitive; N],
    forward: impl FnOnce(&[Primitive; N]) -> (Primitive, K),
    state: impl FnOnce([Primitive; N], K) -> B::State,
) -> FloatTensor<Autodiff<Flex, C>> {
    let tensors = tensors.map(|t| t.to_contiguous());
    let prepared = step.prepare::<C>(nodes).compute_bound().stateful();
    let (y, kept) = forward(&tensors);
    match prepared {
        OpsKind::Tracked(prepared) => prepared.finish(state(tensors, kept), y),
        OpsKind::UnTracked(prepared) => prepared.finish(y),
    }
}

impl<C: CheckpointStrategy> Fused for Autodiff<Flex, C> {
    fn fused_gelu(x: FloatTensor<Self>) -> FloatTensor<Self> {
        let nodes = [x.node()];
        track::<C, _, _, 1>(Gelu, nodes, [x.into_primitive()], |[x]| (Flex::fused_gelu(x.clone()), ()), |[x], ()| x)
    }

    fn fused_linear(
        x: FloatTensor<Self>,
        weight: FloatTensor<Self>,
        bias: FloatTensor<Self>,
        join: Join,
    ) -> FloatTensor<Self> {
        let nodes = [x.node(), weight.node(), bias.node()];
        let tensors = [x, weight, bias].map(|t| t.into_primitive());
        let forward = |[x, weight, bias]: &[Primitive; 3]| {
            (Flex::fused_linear(x.clone(), weight.clone(), bias.clone(), Join::default()), ())
        };
        track::<C, _, _, 3>(Linear, nodes, tensors, forward, |tensors, ()| (tensors, join))
    }

    fn fused_scores(qkv: FloatTensor<Self>, attention: Attention) -> FloatTensor<Self> {
        let nodes = [qkv.node()];
        let forward = |[qkv]: &[Primitive; 1]| (Flex::fused_scores(qkv.clone(), attention.clone()), ());
        track::<C, _, _, 1>(Scores, nodes, [qkv.into_primitive()], forward, |[qkv], ()| (qkv, attention.clone()))
    }

    fn fused_context(
        scores: FloatTensor<Self>,
        qkv: FloatTensor<Self>,
        attention: Attention,
        mask: Option<Arc<Mask>>,
    ) -> FloatTensor<Self> {
        let nodes = [scores.node(), qkv.node()];
        let tensors = [scores, qkv].map(|t| t.into_primitive());
        let forward = |[scores, qkv]: &[Primitive; 2]| {
            (Flex::fused_context(scores.clone(), qkv.clone(), attention.clone(), mask.clone()), ())
        };
        let state = |tensors, ()| (tensors, attention.clone(), mask.clone());
        track::<C, _, _, 2>(Context, nodes, tensors, forward, state)
    }

    fn fused_residual_norm(
        x: FloatTensor<Self>,
        weight: FloatTensor<Self>,
        bias: FloatTensor<Self>,
        residual: FloatTensor<Self>,
        gain: FloatTensor<Self>,
        shift: FloatTensor<Self>,
        options: NormOptions,
        join: Join,
    ) -> FloatTensor<Self> {
        let nodes = [x.node(), weight.node(), bias.node(), residual.node(), gain.node(), shift.node()];
        let tensors = [x, weight, bias, residual, gain, shift].map(|t| t.into_primitive());
        let forward = |tensors: &[Primitive; 6]| residual_norm(tensors, &options);
        let state = |[x, weight, bias, _, gain, shift]: [Primitive; 6], kept| {
            ([x, weight, bias, gain, shift], options.clone(), Arc::new(kept), join)
        };
        track::<C, _, _, 6>(ResidualNorm, nodes, tensors, forward, state)
    }

    fn fused_feed_forward(
        x: FloatTensor<Self>,
        inner_weight: FloatTensor<Self>,
        inner_bias: FloatTensor<Self>,
        outer_weight: FloatTensor<Self>,
        outer_bias: FloatTensor<Self>,
        gain: FloatTensor<Self>,
        shift: FloatTensor<Self>,
        activation: Activation,
        options: NormOptions,
    ) -> FloatTensor<Self> {
        let tensors = [x, inner_weight, inner_bias, outer_weight, outer_bias, gain, shift];
        let nodes = tensors.each_ref().map(|t| t.node());
        let tensors = tensors.map(|t| t.into_primitive());
        let forward = |tensors: &[Primitive; 7]| feed_forward_of(tensors, activation, &options);
        let state = |tensors, kept| (tensors, activation, options.clone(), Arc::new(kept));
        track::<C, _, _, 7>(FeedForward, nodes, tensors, forward, state)
    }

    fn fused_squared_difference(a: FloatTensor<Self>, b: FloatTensor<Self>, join: Join) -> FloatTensor<Self> {
        let nodes = [a.node(), b.node()];
        let tensors = [a, b].map(|t| t.into_primitive());
        let forward =
            |[a, b]: &[Primitive; 2]| (Flex::fused_squared_difference(a.clone(), b.clone(), Join::default()), ());
        track::<C, _, _, 2>(SquaredDifference, nodes, tensors, forward, |tensors, ()| (tensors, join))
    }
}

#[derive(Debug)]
struct Gelu;

impl Backward<Flex, 1> for Gelu {
    type State = Primitive;

    fn backward(self, ops: Ops<Primitive, 1>, gradients: &mut Gradients, _: &mut Checkpointer) {
        let dy = gradients.consume::<Flex>(&ops.node).to_contiguous();
        let x = ops.state;
        let mut dx = train::pool::acquire(numbers(&x).len());
        attar_kernels::gelu_backward(numbers(&x), numbers(&dy), &mut dx);
        register!(gradients, ops.parents[0] => like(&x, dx));
    }
}

#[derive(Debug)]
struct Linear;

impl Backward<Flex, 3> for Linear {
    type State = ([Primitive; 3], Join);

    fn backward(self, ops: Ops<Self::State, 3>, gradients: &mut Gradients, _: &mut Checkpointer) {
        let dy = gradients.consume::<Flex>(&ops.node).to_contiguous();
        let ([x, weight, bias], join) = ops.state;
        let [of_x, of_weight, of_bias] = &ops.parents;
        let input = match (of_x, there!(of_x, join, gradients)) {
            (None, _) => InputGradient::Skip,
            (Some(_), None) => InputGradient::New,
            (Some(_), Some(there)) => InputGradient::AddTo(there),
        };
        let layer = layer(&weight, &bias);
        let made = train::linear_backward(Cpu::detect(), numbers(&x), rows(&x), layer, numbers(&dy), input);
        register!(gradients, of_weight => like(&weight, made.weight), of_bias => like(&bias, made.bias));
        if let Some(dx) = made.input {
            register!(gradients, of_x => like(&x, dx));
        }
        recycle(dy);
        recycle(x);
    }
}

#[derive(Debug)]
struct Scores;

impl Backward<Flex, 1> for Scores {
    type State = (Primitive, Attention);

    fn backward(self, ops: Ops<Self::State, 1>, gradients: &mut Gradients, _: &mut Checkpointer) {
        let ds = gradients.consume::<Flex>(&ops.node).to_contiguous();
        let (qkv, Attention { heads, ragged, qkv: join, .. }) = ops.state;
        let [parent] = &ops.parents;
        let there = there!(parent, join, gradients);
        let made = train::attention_scores_backward(Cpu::detect(), numbers(&qkv), heads, &ragged, numbers(&ds), there);
        register!(gradients, parent => like(&qkv, made));
        recycle(ds);
        recycle(qkv);
    }
}

#[derive(Debug)]
struct Context;

impl Backward<Flex, 2> for Context {
    type State = ([Primitive; 2], Attention, Option<Arc<Mask>>);

    fn backward(self, ops: Ops<Self::State, 2>, gradients: &mut Gradients, _: &mut Checkpointer) {
        let dc = gradients.consume::<Flex>(&ops.node).to_contiguous();
        let ([scores, qkv], Attention { heads, ragged, qkv: at_qkv, scores: at_scores }, mask) = ops.state;
        let [of_scores, of_qkv] = &ops.parents;
        let there = there!(of_scores, at_scores, gradients);
        let [ds, dqkv] = train::attention_context_backward(
            Cpu::detect(),
            numbers(&scores),
            numbers(&qkv),
            heads,
            &ragged,
            mask.as_deref(),
            numbers(&dc),
            there,
        );
        register!(gradients, of_scores => flat(ds), of_qkv => like(&qkv, dqkv));
        at_qkv.mark();
        recycle(dc);
        recycle(scores);
        recycle(qkv);
    }
}

#[derive(Debug)]
struct ResidualNorm;

impl Backward<Flex, 6> for ResidualNorm {
    /// Input, weight, bias, gain, shift.
    type State = ([Primitive; 5], NormOptions, Arc<ResidualNormKept>, Join);

    fn backward(self, ops: Ops<Self::State, 6>, gradients: &mut Gradients, _: &mut Checkpointer) {
        let dy = gradients.consume::<Flex>(&ops.node).to_contiguous();
        let ([x, weight, bias, gain, shift], options, kept, join) = ops.state;
        let [of_x, of_weight, of_bias, of_residual, of_gain, of_shift] = &ops.parents;
        let made = train::linear_residual_norm_backward(
            Cpu::detect(),
            numbers(&x),
            rows(&x),
            layer(&weight, &bias),
            norm(&gain, &shift, &options),
            options.mask.as_deref(),
            &kept,
            numbers(&dy),
            of_x.is_some(),
        );
        register!(gradients,
            of_weight => like(&weight, made.linear.weight),
            of_bias => like(&bias, made.linear.bias),
            of_residual => like(&dy, made.residual),
            of_gain => like(&gain, made.norm.gain),
            of_shift => like(&shift, made.norm.bias),
        );
        if let Some(dx) = made.linear.input {
            register!(gradients, of_x => like(&x, dx));
        }
        if of_residual.is_some() {
            join.mark();
        }
        recycle(dy);
        recycle(x);
    }
}

#[derive(Debug)]
struct FeedForward;

impl Backward<Flex, 7> for FeedForward {
    type State = ([Primitive; 7], Activation, NormOptions, Arc<FeedForwardKept>);

    fn backward(self, ops: Ops<Self::State, 7>, gradients: &mut Gradients, _: &mut Checkpointer) {
        let dy = gradients.consume::<Flex>(&ops.node).to_contiguous();
        let (tensors, activation, options, kept) = ops.state;
        let x = &tensors[0];
        let layers = block(&tensors, activation, &options);
        let mask = options.mask.as_deref();
        let made = train::feed_forward_backward(Cpu::detect(), numbers(x), rows(x), layers, mask, &kept, numbers(&dy));
        let [of_x, of_inner_weight, of_inner_bias, of_outer_weight, of_outer_bias, of_gain, of_shift] = &ops.parents;
        register!(gradients,
            of_x => like(x, made.input),
            of_inner_weight => like(&tensors[1], made.inner.weight),
            of_inner_bias => like(&tensors[2], made.inner.bias),
            of_outer_weight => like(&tensors[3], made.outer.weight),
            of_outer_bias => like(&tensors[4], made.outer.bias),
            of_gain => like(&tensors[5], made.norm.gain),
            of_shift => like(&tensors[6], made.norm.bias),
        );
        recycle(dy);
        let [x, ..] = tensors;
        recycle(x);
    }
}

#[derive(Debug)]
struct SquaredDifference;

impl Backward<Flex, 2> for SquaredDifference {
    type State = ([Primitive; 2], Join);

    fn backward(self, ops: Ops<Self::State, 2>, gradients: &mut Gradients, _: &mut Checkpointer) {
        let dy = gradients.consume::<Flex>(&ops.node).to_contiguous();
        let ([a, b], join) = ops.state;
        let factor = 2.0 * numbers(&dy).first().copied().unwrap_or(0.0);
        let [of_a, of_b] = &ops.parents;
        let gradient = |factor| like(&a, train::squared_difference_backward(numbers(&a), numbers(&b), factor));
        register!(gradients, of_a => gradient(factor), of_b => gradient(-factor));
        if of_a.is_some() {
            join.mark();
        }
        recycle(a);
        recycle(b);
    }
}
