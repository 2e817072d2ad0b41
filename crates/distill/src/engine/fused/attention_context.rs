//! The values, weighted by attention.

use std::sync::Arc;

use attar_kernels::Cpu;
use attar_kernels::train::{self, Mask};
use burn::tensor::Tensor;

use super::attention_scores::Attention;
use super::primitive::{Primitive, columns, flat, like, matrix, numbers, recycle};
use super::{Operation, Parents, run};

/// `dropout(softmax(scores)) V`: scores `[P]` and `[N, 3H]` to `[N, H]`; the mask is over `[P]`.
pub(in crate::engine) fn attention_context(
    scores: Tensor<1>,
    qkv: Tensor<2>,
    attention: Attention,
    mask: Option<Arc<Mask>>,
) -> Tensor<2> {
    let operation = AttentionContext { attention, mask };
    Tensor::from_dispatch(run(operation, [scores.into_dispatch(), qkv.into_dispatch()]))
}

#[derive(Debug, Clone)]
struct AttentionContext {
    attention: Attention,
    mask: Option<Arc<Mask>>,
}

impl Operation<2> for AttentionContext {
    type Saved = [Primitive; 2];

    fn forward(&self, inputs: &[Primitive; 2]) -> (Primitive, Self::Saved) {
        let [scores, qkv] = inputs;
        let Attention { heads, ragged, .. } = &self.attention;
        let (cpu, mask) = (Cpu::detect(), self.mask.as_deref());
        let context = train::attention_context(cpu, numbers(scores), numbers(qkv), *heads, ragged, mask);
        (matrix(context, ragged.rows(), columns(qkv) / 3), inputs.clone())
    }

    fn backward(&self, [scores, qkv]: Self::Saved, dy: Primitive, mut parents: Parents<'_, 2>) {
        let Attention { heads, ragged, qkv: at_qkv, scores: at_scores } = &self.attention;
        let existing = parents.take_existing(0, at_scores);
        let [ds, dqkv] = train::attention_context_backward(
            Cpu::detect(),
            numbers(&scores),
            numbers(&qkv),
            *heads,
            ragged,
            self.mask.as_deref(),
            numbers(&dy),
            existing,
        );
        parents.register(0, flat(ds));
        parents.register(1, like(&qkv, dqkv));
        at_qkv.mark_registered();
        recycle(dy);
        recycle(scores);
        recycle(qkv);
    }
}
