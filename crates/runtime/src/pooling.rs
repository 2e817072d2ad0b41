//! From the hidden states of a sequence to its vector.

use attar_kernels::{Rows, mean, normalize_length};
use attar_model::{Pooling, PoolingMode};

use crate::batch::Input;

/// Pools the states of each sequence, `[N, H]` in rows that begin `stride` apart, to its vector, `[B, H]`. `skipped` tokens
/// at the beginning of each are left out, as far as one is left.
pub(crate) fn pool(pooling: Pooling, skipped: usize, group: Input<'_>, x: &[f32], stride: usize, out: &mut [f32]) {
    let h = out.len() / group.sequences().max(1);
    for (to, span) in out.chunks_exact_mut(h.max(1)).zip(group.spans()) {
        let first = &x[span.start * stride..][..h];
        let skipped = skipped.min(span.len().saturating_sub(1));
        let (states, tokens) = (&x[(span.start + skipped) * stride..], span.len() - skipped);
        match pooling.mode {
            PoolingMode::Mean => mean(Rows::new(states, tokens, h, stride), to),
            PoolingMode::Cls => to.copy_from_slice(first),
            PoolingMode::LastToken => to.copy_from_slice(&states[(tokens - 1) * stride..][..h]),
            PoolingMode::MeanSqrtLength => {
                mean(Rows::new(states, tokens, h, stride), to);
                let root = (tokens as f32).sqrt();
                to.iter_mut().for_each(|number| *number *= root);
            }
            PoolingMode::Max => {
                to.copy_from_slice(&states[..h]);
                for state in states.chunks(stride).take(tokens).skip(1) {
                    // What is no number stays, so that it is found.
                    let larger = |most: f32, number: f32| if most >= number { most } else { number };
                    to.iter_mut().zip(state).for_each(|(most, &number)| *most = larger(*most, number));
                }
            }
        }
        if pooling.normalize {
            normalize_length(to);
        }
    }
}
