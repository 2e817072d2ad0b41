//! Scaled products of queries and keys, with a bias by distance or without.

use std::sync::Arc;

use attar_kernels::Cpu;
use attar_kernels::train::{self, Ragged};
use burn::tensor::Tensor;

use super::primitive::{Primitive, columns, flat, like, matrix, numbers, recycle};
use super::{GradientAccumulator, Operation, Parents, run};

/// How attention is split into heads and sequences, and the accumulators of its inputs.
#[derive(Debug, Clone)]
pub(in crate::engine) struct Attention {
    /// Number of heads, A.
    pub heads: usize,
    /// The sequences.
    pub ragged: Arc<Ragged>,
    /// For operations that read queries, keys and values.
    pub qkv: GradientAccumulator,
    /// For operations that read the scores.
    pub scores: GradientAccumulator,
}

impl Attention {
    /// With accumulators of its own.
    pub(in crate::engine) fn new(heads: usize, ragged: Arc<Ragged>) -> Attention {
        Attention { heads, ragged, qkv: GradientAccumulator::default(), scores: GradientAccumulator::default() }
    }
}

/// Ragged scores `q kᵀ / √D + bias`: `[N, 3H]`, and biases by distance `[A, 2T - 1]` where there are any, to `[P]`.
pub(in crate::engine) fn attention_scores(qkv: Tensor<2>, bias: Option<Tensor<2>>, attention: Attention) -> Tensor<1> {
    let qkv = qkv.into_dispatch();
    Tensor::from_dispatch(match bias {
        None => run(AttentionScores(attention), [qkv]),
        Some(bias) => run(BiasedAttentionScores(attention), [qkv, bias.into_dispatch()]),
    })
}

#[derive(Debug, Clone)]
struct AttentionScores(Attention);

impl Operation<1> for AttentionScores {
    type Saved = Primitive;

    fn forward(&self, [qkv]: &[Primitive; 1]) -> (Primitive, Primitive) {
        let Attention { heads, ragged, .. } = &self.0;
        (flat(train::attention_scores(Cpu::detect(), numbers(qkv), *heads, ragged, None)), qkv.clone())
    }

    fn backward(&self, qkv: Primitive, ds: Primitive, mut parents: Parents<'_, 1>) {
        self.0.scores_backward(&qkv, &ds, &mut parents);
        recycle(ds);
        recycle(qkv);
    }
}

#[derive(Debug, Clone)]
struct BiasedAttentionScores(Attention);

impl Operation<2> for BiasedAttentionScores {
    /// Queries, keys and values, and for how many tokens there are biases.
    type Saved = (Primitive, usize);

    fn forward(&self, [qkv, bias]: &[Primitive; 2]) -> (Primitive, Self::Saved) {
        let Attention { heads, ragged, .. } = &self.0;
        let scores = train::attention_scores(Cpu::detect(), numbers(qkv), *heads, ragged, Some(numbers(bias)));
        (flat(scores), (qkv.clone(), columns(bias).div_ceil(2)))
    }

    fn backward(&self, (qkv, longest): Self::Saved, ds: Primitive, mut parents: Parents<'_, 2>) {
        let Attention { heads, ragged, .. } = &self.0;
        if parents.wants(1) {
            let made = train::attention_bias_backward(numbers(&ds), *heads, ragged, longest);
            parents.register(1, matrix(made, *heads, 2 * longest - 1));
        }
        self.0.scores_backward(&qkv, &ds, &mut parents);
        recycle(ds);
        recycle(qkv);
    }
}

impl Attention {
    /// Registers the gradient of queries, keys and values, input 0.
    fn scores_backward<const N: usize>(&self, qkv: &Primitive, ds: &Primitive, parents: &mut Parents<'_, N>) {
        let existing = parents.take_existing(0, &self.qkv);
        let (cpu, qkv_numbers) = (Cpu::detect(), numbers(qkv));
        let made = train::attention_scores_backward(cpu, qkv_numbers, self.heads, &self.ragged, numbers(ds), existing);
        parents.register(0, like(qkv, made));
    }
}
