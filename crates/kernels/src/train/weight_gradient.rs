//! `Aᵀ B` over rows: the gradient of a weight, a sum of outer products over tokens.
//!
//! A and B are read along their rows. Strips of A's columns and panels of B's are copied so that a tile of sums reads
//! memory sequentially; the tokens are cut into pieces of a fixed length, whose sums are added in order. The activation
//! and the column sums of B are computed while a panel is copied.

use rayon::prelude::*;

use super::activation::{Activation, activate};
use super::pool::{acquire, acquire_aligned, release, release_aligned};
use super::rows::{SharedOutput, sum_parts};
use crate::buffer::Buffer;
use crate::cpu::{Cpu, Kernel};
use crate::isa::Isa;

/// Rows of a piece: a strip and a panel of as many rows fit into a core's first-level cache, about.
const PIECE_ROWS: usize = 192;
/// Columns of the widest panel.
const MAX_PANEL_WIDTH: usize = 48;

/// The right factor of `Aᵀ B`.
#[derive(Clone, Copy)]
pub(super) struct RightFactor<'a> {
    /// `[rows, columns]`
    pub(super) numbers: &'a [f32],
    pub(super) columns: usize,
    /// What to apply to the numbers first.
    pub(super) activation: Option<Activation>,
}

/// `Aᵀ B` `[left, right]`, or `Bᵀ A` if `transposed`, and the sums of B's columns if requested.
///
/// `a` is `[rows, left]`, `b` `[rows, right]`.
pub(super) fn weight_gradient(
    cpu: Cpu,
    rows: usize,
    (a, left): (&[f32], usize),
    b: RightFactor<'_>,
    transposed: bool,
    mut sums: Option<&mut [f32]>,
) -> Vec<f32> {
    let right = b.columns;
    assert_eq!([a.len(), b.numbers.len()], [rows * left, rows * right], "rows of both factors");
    assert!(sums.as_ref().is_none_or(|sums| sums.len() == right), "a sum for each column");
    let mut result = acquire(left * right);
    if rows == 0 || left == 0 || right == 0 {
        result.fill(0.0);
        // Nothing to multiply: a layer of width 0, or no rows.
        if let Some(sums) = sums {
            let mut numbers = b.numbers.to_vec();
            if let Some(function) = b.activation {
                activate(cpu, function, &mut numbers);
            }
            sums.copy_from_slice(&sum_parts(&numbers, right));
        }
        return result;
    }
    let (height, width) = cpu.run(TileSize);
    let strips = left.div_ceil(height);
    let packed = pack_strips(a, rows, left, height);
    let panels = right.div_ceil(width);
    // An element's sum does not depend on which thread computes its tile. Copying B twice is worth a more even split only
    // where there are few panels and nothing to compute while copying.
    let wanted = 4 * rayon::current_num_threads();
    let groups = if b.activation.is_some() { 1 } else { wanted.div_ceil(panels).min(strips.div_ceil(8)).max(1) };
    let output = SharedOutput::of(&mut result);
    let sums = sums.as_mut().map(|sums| SharedOutput::of(sums));
    (0..panels * groups).into_par_iter().with_max_len(1).for_each(|task| {
        let (panel, group) = (task / groups, task % groups);
        let strips = strips * group / groups..strips * (group + 1) / groups;
        let first_column = panel * width;
        let task = PanelTask {
            cpu,
            packed: &packed,
            left,
            b,
            height,
            columns: width.min(right - first_column),
            first_column,
            rows: (strips.len() * height).min(left - strips.start * height),
            padded_rows: strips.len() * height,
            first_row: strips.start * height,
            output,
            sums: if group == 0 { sums } else { None },
        };
        if transposed { task.run_transposed() } else { task.run() }
    });
    release_aligned(packed);
    result
}

/// Copies A `[rows, left]` piece after piece; in a piece strip after strip; in a strip row after row, zeros beyond the
/// last column.
fn pack_strips(a: &[f32], rows: usize, left: usize, height: usize) -> Buffer<f32> {
    let padded_left = left.next_multiple_of(height);
    let mut packed = acquire_aligned(padded_left * rows);
    let pieces = packed[..padded_left * rows].par_chunks_mut(padded_left * PIECE_ROWS);
    pieces.zip(a.par_chunks(left * PIECE_ROWS)).for_each(|(to, from)| {
        let rows = from.len() / left;
        for (strip, to) in to.chunks_exact_mut(height * rows).enumerate() {
            let first = strip * height;
            let count = height.min(left - first);
            for (row, to) in from.chunks_exact(left).zip(to.chunks_exact_mut(height)) {
                to[..count].copy_from_slice(&row[first..first + count]);
                to[count..].fill(0.0);
            }
        }
    });
    packed
}

/// The product of some strips of A and one panel of B: a block of the result.
struct PanelTask<'a> {
    cpu: Cpu,
    /// The result of [`pack_strips`].
    packed: &'a [f32],
    left: usize,
    b: RightFactor<'a>,
    /// Columns of A in a strip.
    height: usize,
    /// Columns of B in the panel, and the first of them.
    columns: usize,
    first_column: usize,
    /// Columns of A in the strips, which are rows of the result; the same rounded up to whole strips; the first of them.
    rows: usize,
    padded_rows: usize,
    first_row: usize,
    output: SharedOutput,
    /// Where the sums of B's columns go, if this task writes them.
    sums: Option<SharedOutput>,
}

impl PanelTask<'_> {
    /// Writes the block to the result `[left, right]`.
    fn run(self) {
        let right = self.b.columns;
        self.for_each_piece(|vectors, _, tiles| {
            // SAFETY: the first of this task's rows and columns.
            let to = unsafe { self.output.at(self.first_row * right + self.first_column) };
            let tiles = Tiles { to, stride: right, rows: self.rows, columns: self.columns, ..tiles };
            // SAFETY: the strips and the panel were just copied, and the rows and columns of this task are its own.
            self.cpu.run(unsafe { SizedTiles::new(tiles, vectors) });
        });
    }

    /// Writes the block to the result `[right, left]`: sums are accumulated contiguously, and transposed at the end.
    fn run_transposed(self) {
        let (_, panel_width) = self.cpu.run(VectorsOf(self.columns));
        let mut block = acquire(self.padded_rows * panel_width);
        let to = block.as_mut_ptr();
        self.for_each_piece(|vectors, stride, tiles| {
            let tiles = Tiles { to, stride, rows: self.padded_rows, columns: stride, ..tiles };
            // SAFETY: the strips and the panel were just copied, and the block has room for whole strips and panels.
            self.cpu.run(unsafe { SizedTiles::new(tiles, vectors) });
        });
        // SAFETY: columns of the panel are rows of the result, which belong to this task.
        self.cpu.run(unsafe {
            let to = self.output.at(self.first_column * self.left + self.first_row);
            TransposeOut::new(block.as_ptr(), panel_width, self.rows, self.columns, to, self.left)
        });
        release(block);
    }

    /// Copies the panel piece by piece, hands each to `multiply` (with the panel's vectors and width, and tiles whose
    /// destination is still to be set), and writes the sums of its columns.
    fn for_each_piece(&self, mut multiply: impl FnMut(usize, usize, Tiles)) {
        let RightFactor { numbers, columns: right, activation } = self.b;
        let (columns, first) = (self.columns, self.first_column);
        let (vectors, panel_width) = self.cpu.run(VectorsOf(columns));
        let mut copy = acquire_aligned(PIECE_ROWS * panel_width);
        let mut column_sums = [0.0f32; MAX_PANEL_WIDTH];
        for (piece, rows) in numbers.chunks(right * PIECE_ROWS).enumerate() {
            let depth = rows.len() / right;
            let panel = &mut copy[..depth * panel_width];
            for (row, to) in rows.chunks_exact(right).zip(panel.chunks_exact_mut(panel_width)) {
                to[..columns].copy_from_slice(&row[first..first + columns]);
                to[columns..].fill(0.0);
            }
            if let Some(function) = activation {
                activate(self.cpu, function, panel);
            }
            if self.sums.is_some() {
                for row in panel.chunks_exact(panel_width) {
                    for (sum, x) in column_sums.iter_mut().zip(row) {
                        *sum += x;
                    }
                }
            }
            let start = piece * PIECE_ROWS * self.left.next_multiple_of(self.height) + self.first_row * depth;
            let a = self.packed[start..start + self.padded_rows * depth].as_ptr();
            let to = std::ptr::null_mut();
            let tiles = Tiles { a, b: panel.as_ptr(), depth, to, stride: 0, rows: 0, columns: 0, add: piece > 0 };
            multiply(vectors, panel_width, tiles);
        }
        if let Some(sums) = self.sums {
            for (c, &sum) in column_sums[..columns].iter().enumerate() {
                // SAFETY: columns of this panel, which belong to this task.
                unsafe { *sums.at(first + c) = sum };
            }
        }
        release_aligned(copy);
    }
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

/// Rows of a tile, and its width in vectors: as many sums as fit into registers beside the factors.
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
            // Never reached: keeps the compiler from generating tiles that this set has no registers for.
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
                    let existing = if add { unsafe { isa.load_part(to, count) } } else { isa.zero() };
                    unsafe { isa.store_part(to, isa.add(existing, sum), count) };
                }
            }
            row += M;
        }
    }
}

/// Vectors that hold this many columns.
struct VectorsOf(usize);

impl Kernel for VectorsOf {
    /// Their number, and the number of their lanes.
    type Output = (usize, usize);
    #[inline(always)]
    fn run<I: Isa>(self, _: I) -> (usize, usize) {
        let vectors = self.0.div_ceil(I::LANES);
        (vectors, vectors * I::LANES)
    }
}

/// Writes sums `[rows, columns]` as `[columns, rows]`.
struct TransposeOut {
    from: *const f32,
    from_stride: usize,
    rows: usize,
    columns: usize,
    to: *mut f32,
    stride: usize,
}

impl TransposeOut {
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
        TransposeOut { from, from_stride, rows, columns, to, stride }
    }
}

impl Kernel for TransposeOut {
    type Output = ();

    #[inline(always)]
    fn run<I: Isa>(self, isa: I) {
        let TransposeOut { from, from_stride, rows, columns, to, stride } = self;
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
        let mut rows_of = vec![0, 1, 7, PIECE_ROWS, PIECE_ROWS + 1, 2 * PIECE_ROWS + 3];
        let mut shapes = vec![(0, 3), (3, 0), (5, 17), (1, 1), (8, 48), (9, 49), (26, 7), (130, 30)];
        if cfg!(miri) {
            rows_of = vec![0, 7, PIECE_ROWS + 1];
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
                        for transposed in [false, true] {
                            let mut sums = vec![9.0; right];
                            let factor = RightFactor { numbers: &b, columns: right, activation };
                            let got = weight_gradient(cpu, rows, (&a, left), factor, transposed, Some(&mut sums));
                            assert_eq!(got.len(), left * right);
                            for l in 0..left {
                                for r in 0..right {
                                    let got = got[if transposed { r * left + l } else { l * right + r }];
                                    assert!(
                                        (f64::from(got) - expected(l, r)).abs() < 1e-4,
                                        "{cpu} {rows}: {left}x{right} {transposed} at {l}, {r}: {got}"
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
