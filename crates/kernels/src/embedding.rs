//! Embedding lookup, and pooling of hidden states.

use crate::buffer::{Rows, RowsMut};
use crate::cpu::{Cpu, Kernel};
use crate::isa::Isa;

/// A table of vectors `[rows, H]`, in one of the precisions in which it may be stored.
#[derive(Debug, Clone, Copy)]
pub enum EmbeddingTable<'a> {
    /// 32-bit floats.
    F32(&'a [f32]),
    /// Signed bytes with a scale for each row.
    Int8 {
        /// `[rows, H]`
        bytes: &'a [i8],
        /// `[rows]`
        scales: &'a [f32],
    },
    /// Signed 4-bit integers, two in a byte, the lower half first; each row begins at a byte.
    Int4 {
        /// `[rows, ⌈H / 2⌉]`
        bytes: &'a [u8],
        /// The scale of each `group` columns of each row: `[rows, ⌈H / group⌉]`
        scales: &'a [f32],
        /// Columns that share a scale; even.
        group: usize,
    },
}

impl EmbeddingTable<'_> {
    #[track_caller]
    fn check(&self, columns: usize, largest: Option<u32>) {
        let rows = match *self {
            EmbeddingTable::F32(numbers) => numbers.len() / columns,
            EmbeddingTable::Int8 { bytes, scales } => scales.len().min(bytes.len() / columns),
            EmbeddingTable::Int4 { bytes, scales, group } => {
                assert!(group > 0 && group.is_multiple_of(2), "a group of {group} columns");
                (bytes.len() / columns.div_ceil(2)).min(scales.len() / columns.div_ceil(group))
            }
        };
        if let Some(row) = largest {
            assert!((row as usize) < rows, "row {row} of a table of {rows}");
        }
    }
}

/// Adds the row `ids[i]` of the table to row `i` of `output`, if `add`, or else writes it there.
///
/// # Panics
/// If an id is not in the table, or there is not one id for each row.
#[track_caller]
pub fn gather(cpu: Cpu, table: EmbeddingTable<'_>, ids: &[u32], output: RowsMut<'_, f32>, add: bool) {
    assert_eq!(ids.len(), output.rows, "an id for each row");
    if output.columns == 0 {
        return;
    }
    table.check(output.columns, ids.iter().copied().max());
    cpu.run(Gather { table, ids, output, add });
}

struct Gather<'a> {
    table: EmbeddingTable<'a>,
    ids: &'a [u32],
    output: RowsMut<'a, f32>,
    add: bool,
}

impl Kernel for Gather<'_> {
    type Output = ();

    #[inline(always)]
    fn run<I: Isa>(self, isa: I) {
        let Gather { table, ids, mut output, add } = self;
        let columns = output.columns;
        for (r, &id) in ids.iter().enumerate() {
            let (id, to) = (id as usize, output.row(r));
            match table {
                EmbeddingTable::F32(numbers) => {
                    let from = &numbers[id * columns..][..columns];
                    if add {
                        for (to, from) in to.iter_mut().zip(from) {
                            *to += from;
                        }
                    } else {
                        to.copy_from_slice(from);
                    }
                }
                EmbeddingTable::Int8 { bytes, scales } => {
                    let (from, scale) = (&bytes[id * columns..][..columns], scales[id]);
                    let whole = columns / I::LANES * I::LANES;
                    let mut c = 0;
                    while c < whole {
                        // SAFETY: vectors inside both rows.
                        unsafe {
                            let at = to.as_mut_ptr().add(c);
                            let existing = if add { isa.load(at) } else { isa.zero() };
                            let x = isa.load_signed_bytes(from.as_ptr().add(c));
                            isa.store(at, isa.fma(x, isa.splat(scale), existing));
                        }
                        c += I::LANES;
                    }
                    for (to, &from) in to[whole..].iter_mut().zip(&from[whole..]) {
                        *to = if add { *to } else { 0.0 } + f32::from(from) * scale;
                    }
                }
                EmbeddingTable::Int4 { bytes, scales, group } => {
                    let (width, groups) = (columns.div_ceil(2), columns.div_ceil(group));
                    let from = &bytes[id * width..][..width];
                    let scales = &scales[id * groups..][..groups];
                    // Groups have an even width, so each begins at a byte.
                    let halves = from.chunks(group.div_ceil(2));
                    for ((to, from), &scale) in to.chunks_mut(group).zip(halves).zip(scales) {
                        for (to, &byte) in to.chunks_mut(2).zip(from) {
                            for (to, half) in to.iter_mut().zip([(byte << 4) as i8 >> 4, byte as i8 >> 4]) {
                                *to = if add { *to } else { 0.0 } + f32::from(half) * scale;
                            }
                        }
                    }
                }
            }
        }
    }
}

/// The mean of the rows: `[T, H]` to `[H]`.
///
/// # Panics
/// If there is no row or the lengths differ.
#[track_caller]
pub fn mean(states: Rows<'_, f32>, mean: &mut [f32]) {
    assert!(states.rows > 0, "the mean of no rows");
    assert_eq!(mean.len(), states.columns, "columns of the mean");
    mean.copy_from_slice(states.row(0));
    for r in 1..states.rows {
        for (sum, x) in mean.iter_mut().zip(states.row(r)) {
            *sum += x;
        }
    }
    let share = 1.0 / states.rows as f32;
    mean.iter_mut().for_each(|x| *x *= share);
}

/// Scales a vector to length 1; a vector shorter than 1e-12 is divided by that.
pub fn normalize_length(vector: &mut [f32]) {
    let length = vector.iter().map(|x| f64::from(*x) * f64::from(*x)).sum::<f64>().sqrt().max(1e-12);
    let factor = (1.0 / length) as f32;
    vector.iter_mut().for_each(|x| *x *= factor);
}
