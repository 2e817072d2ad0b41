//! The layout of hidden states in memory.

use crate::model::PackedModel;

/// Strides of rows `[H]` and `[3H]`: whole cache lines, and of the latter an odd number, because attention reads the same few
/// columns of every row: with a stride of 9 KiB, as BERT-base has it, those of 128 rows would share four sets of the cache.
pub(crate) fn strides(model: &PackedModel) -> [usize; 2] {
    let h = model.config.hidden;
    [whole_lines(h), whole_lines(3 * h) | LINE]
}

/// Floats of the whole cache lines that so many floats take.
pub(crate) fn whole_lines(floats: usize) -> usize {
    floats.next_multiple_of(LINE)
}

/// Floats of a cache line.
const LINE: usize = 16;

/// Copies rows to memory without gaps between them.
pub(crate) fn copy_rows(from: &[f32], stride: usize, to: &mut [f32], columns: usize) {
    for (to, from) in to.chunks_exact_mut(columns).zip(from.chunks(stride)) {
        to.copy_from_slice(&from[..columns]);
    }
}

/// Splits off the first `count` elements.
pub(crate) fn take_front<'a>(rest: &mut &'a mut [f32], count: usize) -> &'a mut [f32] {
    let (front, after) = std::mem::take(rest).split_at_mut(count);
    *rest = after;
    front
}
