//! Scaled products of queries and keys.

use std::sync::Arc;

use attar_kernels::Cpu;
use attar_kernels::train::{self, Ragged};
use burn::tensor::Tensor;

use super::primitive::{Primitive, flat, like, numbers, recycle};
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

/// Ragged scores `q kᵀ / √D`: `[N, 3H]` to `[P]`.
pub(in crate::engine) fn attention_scores(qkv: Tensor<2>, attention: Attention) -> Tensor<1> {
    Tensor::from_dispatch(run(AttentionScores(attention), [qkv.into_dispatch()]))
}

#[derive(Debug, Clone)]
struct AttentionScores(Attention);

impl Operation<1> for AttentionScores {
    type Saved = Primitive;

    fn forward(&self, [qkv]: &[Primitive; 1]) -> (Primitive, Primitive) {
        let Attention { heads, ragged, .. } = &self.0;
        (flat(train::attention_scores(Cpu::detect(), numbers(qkv), *heads, ragged)), qkv.clone())
    }

    fn backward(&self, qkv: Primitive, ds: Primitive, mut parents: Parents<'_, 1>) {
        let Attention { heads, ragged, qkv: accumulator, .. } = &self.0;
        let existing = parents.take_existing(0, accumulator);
        let made =
            train::attention_scores_backward(Cpu::detect(), numbers(&qkv), *heads, ragged, numbers(&ds), existing);
        parents.register(0, like(&qkv, made));
        recycle(ds);
        recycle(qkv);
    }
}
