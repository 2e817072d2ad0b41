//! `Aᵀ B` over rows: the gradient of a weight, a sum of outer products over tokens.
//!
//! A and B are read along their rows. Strips of A's columns and panels of B's are copied so that a tile of sums runs
//! through memory in one go; the tokens are cut into pieces of a fixed length, whose sums are added in order. Whatever is
//! to be done to B, its activation or its column sums, is done while a panel is copied.

use rayon::prelude::*;

use super::activation::{Activation, activate};
use super::memory::{give, give_buffer, take, take_buffer};
use super::rows::Place;
use crate::cpu::{Cpu, Kernel};
use crate::isa::Isa;

/// Tokens of a piece: a strip and a panel of as many rows fit into a core's nearest cache, about.
const PIECE: usize = 192;
/// Most lanes and vectors of a panel.
const WIDEST: usize = 48;

/// The right factor of `Aᵀ B`.
pub(super) struct Right<'a> {
    /// `[rows, columns]`
    pub(super) numbers: &'a [f32],
    pub(super) columns: usize,
    /// What to apply to the numbers first.
    pub(super) activation: Option<Activation>,
}

/// `Aᵀ B` `[left, right]`, or `Bᵀ A` if `turned`, and the sums of B's columns if asked for.
///
/// `a` is `[rows, left]`, `b` `[rows, right]`.
pub(super) fn weight_gradient(
    cpu: Cpu,
    rows: usize,
    (a, left): (&[f32], usize),
    b: Right<'_>,
    turned: bool,
    mut sums: Option<&mut [f32]>,
) -> Vec<f32> {
    let right = b.columns;
    assert_eq!([a.len(), b.numbers.len()], [rows * left, rows * right], "rows of both factors");
    assert!(sums.as_ref().is_none_or(|sums| sums.len() == right), "a sum for each column");
    let mut result = take(left * right);
    if rows == 0 || left == 0 || right == 0 {
        result.fill(0.0);
        // Nothing to multiply: a layer of width 0, or no rows.
        if let Some(sums) = sums {
            let mut numbers = b.numbers.to_vec();
            if let Some(function) = b.activation {
                activate(cpu, function, &mut numbers);
            }
            sums.copy_from_slice(&super::rows::add_up(&numbers, right));
        }
        return result;
    }
    let (height, width) = cpu.run(TileSize);
    let strips = left.div_ceil(height);
    let mut packed = take_buffer(strips * height * rows);
    // Piece after piece; in a piece strip after strip; in a strip row after row.
    packed[..strips * height * rows].par_chunks_mut(strips * height * PIECE).zip(a.par_chunks(left * PIECE)).for_each(
        |(to, from)| {
            let rows = from.len() / left;
            for (strip, to) in to.chunks_exact_mut(height * rows).enumerate() {
                let first = strip * height;
                let count = height.min(left - first);
                for (row, to) in from.chunks_exact(left).zip(to.chunks_exact_mut(height)) {
                    to[..count].copy_from_slice(&row[first..first + count]);
                    to[count..].fill(0.0);
                }
            }
        },
    );
    let panels = right.div_ceil(width);
    // An element's sum does not depend on which thread takes its tile. Copying B twice is worth a better share only where
    // there are few panels and nothing to compute while copying.
    let wanted = 4 * rayon::current_num_threads();
    let groups = if b.activation.is_some() { 1 } else { wanted.div_ceil(panels).min(strips.div_ceil(8)).max(1) };
    let to = Place::of(&mut result);
    let sums = sums.as_mut().map(|sums| Place::of(sums));
    (0..panels * groups).into_par_iter().with_max_len(1).for_each(|task| {
        let (panel, group) = (task / groups, task % groups);
        let strips = strips * group / groups..strips * (group + 1) / groups;
        let first = panel * width;
        let columns = width.min(right - first);
        let (vectors, across) = cpu.run(VectorsOf(columns));
        let mut copy = take_buffer(PIECE * across);
        let mut column_sums = [0.0f32; WIDEST];
        let tall = strips.len() * height;
        // Sums are gathered where they lie together, and written out at the end if they are to be turned.
        let mut gathered = if turned { take(tall * across) } else { Vec::new() };
        for (piece, rows_of_piece) in b.numbers.chunks(right * PIECE).enumerate() {
            let count = rows_of_piece.len() / right;
            let panel = &mut copy[..count * across];
            for (row, to) in rows_of_piece.chunks_exact(right).zip(panel.chunks_exact_mut(across)) {
                to[..columns].copy_from_slice(&row[first..first + columns]);
                to[columns..].fill(0.0);
            }
            if let Some(function) = b.activation {
                activate(cpu, function, panel);
            }
            if sums.is_some() && group == 0 {
                for row in panel.chunks_exact(across) {
                    for (sum, x) in column_sums.iter_mut().zip(row) {
                        *sum += x;
                    }
                }
            }
            let start = piece * PIECE * height * (left.div_ceil(height)) + strips.start * height * count;
            let a = packed[start..start + tall * count].as_ptr();
            let tiles = if turned {
                Tiles {
                    a,
                    b: panel.as_ptr(),
                    depth: count,
                    to: gathered.as_mut_ptr(),
                    stride: across,
                    rows: tall,
                    columns: across,
                    add: piece > 0,
                }
            } else {
                // SAFETY: the first of this task's rows and columns.
                let to = unsafe { to.at(strips.start * height * right + first) };
                let rows = tall.min(left - strips.start * height);
                Tiles { a, b: panel.as_ptr(), depth: count, to, stride: right, rows, columns, add: piece > 0 }
            };
            // SAFETY: the strips and the panel were just copied, and the rows and columns of this task are its own.
            cpu.run(unsafe { SizedTiles::new(tiles, vectors) });
        }
        if turned {
            // SAFETY: columns `first..` of the left factor are rows of the result, which belong to this task.
            cpu.run(unsafe {
                TurnOut::new(
                    gathered.as_ptr(),
                    across,
                    tall.min(left - strips.start * height),
                    columns,
                    to.at(first * left + strips.start * height),
                    left,
                )
            });
            give(gathered);
        }
        if let Some(sums) = sums
            && group == 0
        {
            for (c, &sum) in column_sums[..columns].iter().enumerate() {
                // SAFETY: columns of this panel, which belong to this task.
                unsafe { *sums.at(first + c) = sum };
            }
        }
        give_buffer(copy);
    });
    give_buffer(packed);
    result
}

/// Rows and columns of a tile.
struct TileSize;

impl Kernel for TileSize {
    type Output = (usize, usize);
    #[inline(always)]
    fn run<I: Isa>(self, _: I) -> (usize, usize) {
        let (height, vectors) = size::<I>();
        (height, vectors * I::LANES)
    }
}

/// Rows of a tile and vectors across: as many sums as registers hold beside what is being multiplied.
const fn size<I: Isa>() -> (usize, usize) {
    if I::REGISTERS >= 32 { (8, 3) } else { (6, 2) }
}

/// `C (+)= Aᵀ B` of a column of strips and a panel.
#[derive(Clone, Copy)]
struct Tiles {
    /// Strips of `depth` rows.
    a: *const f32,
    /// A panel of `depth` rows.
    b: *const f32,
    depth: usize,
    to: *mut f32,
    stride: usize,
    rows: usize,
    columns: usize,
    add: bool,
}

struct SizedTiles(Tiles, usize);

impl SizedTiles {
    /// # Safety
    /// Strips for `rows` rows and a panel of `vectors` vectors, which hold `columns` columns, can be read;
    /// `rows` rows of `columns` numbers can be written.
    unsafe fn new(tiles: Tiles, vectors: usize) -> Self {
        SizedTiles(tiles, vectors)
    }
}

impl Kernel for SizedTiles {
    type Output = ();

    #[inline(always)]
    fn run<I: Isa>(self, isa: I) {
        let SizedTiles(tiles, vectors) = self;
        // SAFETY (all arms): the promise of `new`.
        match (size::<I>().0, vectors) {
            (8, 1) => unsafe { tiles.run::<I, 8, 1>(isa) },
            (8, 2) => unsafe { tiles.run::<I, 8, 2>(isa) },
            (8, _) => unsafe { tiles.run::<I, 8, 3>(isa) },
            (_, 1) => unsafe { tiles.run::<I, 6, 1>(isa) },
            (_, _) => unsafe { tiles.run::<I, 6, 2>(isa) },
        }
    }
}

impl Tiles {
    /// # Safety
    /// As [`SizedTiles::new`], with `V` vectors.
    #[inline(always)]
    unsafe fn run<I: Isa, const M: usize, const V: usize>(self, isa: I) {
        if size::<I>().0 != M || V > size::<I>().1 {
            // Never so: keeps the compiler from making tiles that this set has no registers for.
            return;
        }
        let Tiles { mut a, b, depth, to, stride, rows, columns, add } = self;
        let last = columns - (V - 1) * I::LANES;
        let mut row = 0;
        while row < rows {
            let mut sums = [[isa.zero(); V]; M];
            let mut panel = b;
            for _ in 0..depth {
                let mut x = [isa.zero(); V];
                for (v, x) in x.iter_mut().enumerate() {
                    // SAFETY (this and all below): the caller's promise.
                    *x = unsafe { isa.load(panel.add(v * I::LANES)) };
                }
                for (r, sums) in sums.iter_mut().enumerate() {
                    let number = isa.splat(unsafe { *a.add(r) });
                    for (sum, &x) in sums.iter_mut().zip(&x) {
                        *sum = isa.fma(number, x, *sum);
                    }
                }
                (a, panel) = unsafe { (a.add(M), panel.add(V * I::LANES)) };
            }
            for (r, sums) in sums.iter().enumerate().take(rows - row) {
                for (v, &sum) in sums.iter().enumerate() {
                    let to = unsafe { to.add((row + r) * stride + v * I::LANES) };
                    let count = if v + 1 == V { last } else { I::LANES };
                    let there = if add { unsafe { isa.load_part(to, count) } } else { isa.zero() };
                    unsafe { isa.store_part(to, isa.add(there, sum), count) };
                }
            }
            row += M;
        }
    }
}

/// Vectors that hold so many columns.
struct VectorsOf(usize);

impl Kernel for VectorsOf {
    /// Vectors, and their lanes together.
    type Output = (usize, usize);
    #[inline(always)]
    fn run<I: Isa>(self, _: I) -> (usize, usize) {
        let vectors = self.0.div_ceil(I::LANES);
        (vectors, vectors * I::LANES)
    }
}

/// Writes sums `[rows, columns]` out as `[columns, rows]`.
struct TurnOut {
    from: *const f32,
    from_stride: usize,
    rows: usize,
    columns: usize,
    to: *mut f32,
    stride: usize,
}

impl TurnOut {
    /// # Safety
    /// `rows` rows of whole vectors that hold `columns` columns can be read, `columns` rows of `rows` numbers written.
    unsafe fn new(
        from: *const f32,
        from_stride: usize,
        rows: usize,
        columns: usize,
        to: *mut f32,
        stride: usize,
    ) -> Self {
        TurnOut { from, from_stride, rows, columns, to, stride }
    }
}

impl Kernel for TurnOut {
    type Output = ();

    #[inline(always)]
    fn run<I: Isa>(self, isa: I) {
        let TurnOut { from, from_stride, rows, columns, to, stride } = self;
        for c in (0..columns).step_by(I::LANES) {
            let count = (columns - c).min(I::LANES);
            // SAFETY: the promise of `new`.
            unsafe { isa.transpose_out(from.add(c), from_stride, count, rows, to.add(c * stride), stride) };
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sums_of_outer_products() {
        let numbers =
            |count: usize, phase: f32| -> Vec<f32> { (0..count).map(|i| (i as f32 * 0.61 + phase).sin()).collect() };
        let mut rows_of = vec![0, 1, 7, PIECE, PIECE + 1, 2 * PIECE + 3];
        let mut shapes = vec![(0, 3), (3, 0), (5, 17), (1, 1), (8, 48), (9, 49), (26, 7), (130, 30)];
        if cfg!(miri) {
            rows_of = vec![0, 7, PIECE + 1];
            shapes.truncate(3);
        }
        for cpu in Cpu::all() {
            for &rows in &rows_of {
                for &(left, right) in &shapes {
                    let (a, b) = (numbers(rows * left, 0.1), numbers(rows * right, 0.9));
                    for activation in [None, Some(Activation::Relu)] {
                        let value = |x: f32| if activation.is_some() { x.max(0.0) } else { x };
                        let expected = |l: usize, r: usize| -> f64 {
                            (0..rows).map(|n| f64::from(a[n * left + l]) * f64::from(value(b[n * right + r]))).sum()
                        };
                        for turned in [false, true] {
                            let mut sums = vec![9.0; right];
                            let factor = Right { numbers: &b, columns: right, activation };
                            let got = weight_gradient(cpu, rows, (&a, left), factor, turned, Some(&mut sums));
                            assert_eq!(got.len(), left * right);
                            for l in 0..left {
                                for r in 0..right {
                                    let got = got[if turned { r * left + l } else { l * right + r }];
                                    assert!(
                                        (f64::from(got) - expected(l, r)).abs() < 1e-4,
                                        "{cpu} {rows}: {left}x{right} {turned} at {l}, {r}: {got}"
                                    );
                                }
                            }
                            for (r, &sum) in sums.iter().enumerate() {
                                let expected: f64 = (0..rows).map(|n| f64::from(value(b[n * right + r]))).sum();
                                assert!((f64::from(sum) - expected).abs() < 1e-4, "{cpu} {rows} column {r}");
                            }
                        }
                    }
                }
            }
        }
    }
}
