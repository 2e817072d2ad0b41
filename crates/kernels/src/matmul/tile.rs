//! The tile that both products share: how rows and columns are split, and the epilogue of finished sums.

use std::marker::PhantomData;
use std::ops::Range;

use super::epilogue::Epilogue;
use crate::buffer::RowsMut;
use crate::cpu::{Cpu, Kernel};
use crate::isa::Isa;
use crate::math;

/// Rows of the tallest tile.
const MAX_ROWS: usize = 8;

/// A matrix product that can compute one tile of sums.
pub(super) trait TileProduct: Copy {
    /// The packed weights.
    fn weights(self) -> *const u8;

    /// Bytes of a packed element, the unit in which positions of panels are counted.
    const BYTES: usize;

    /// Runs a kernel in the compilation that this product needs: [`Cpu::run`] or [`Cpu::run_integers`].
    fn enter<K: Kernel>(cpu: Cpu, kernel: K) -> K::Output;

    /// Rows of a tile, and its width in vectors.
    fn tile_shape<I: Isa>() -> (usize, usize);

    /// Rows that are multiplied at a time: tiles have a multiple of them, but for the last.
    fn rows_at_once<I: Isa>() -> usize;

    /// Steps in which the sums of a tile are computed.
    fn steps(self) -> usize;

    /// Sums of `M` rows from `row` on and of the `V` vectors of a panel, without bias. Each step also
    /// prefetches.
    ///
    /// # Safety
    /// The rows are rows of the input, and `panel` and `column` are the panel's offset in the weights and its
    /// first column.
    unsafe fn tile<I: Isa, const M: usize, const V: usize>(
        self,
        isa: I,
        row: usize,
        panel: usize,
        column: usize,
        prefetcher: Prefetcher,
    ) -> [[I::F; V]; M];
}

/// Prefetches memory that is needed soon, some of it in each step.
#[derive(Clone, Copy)]
pub(super) struct Prefetcher {
    at: *const u8,
    step: usize,
}

impl Prefetcher {
    #[inline(always)]
    pub(super) fn prefetch_next<I: Isa>(&mut self, isa: I) {
        isa.prefetch(self.at);
        self.at = self.at.wrapping_add(self.step);
    }
}

/// Where the results go, and how.
#[derive(Clone, Copy)]
pub(super) struct Destination {
    to: *mut f32,
    stride: usize,
    columns: usize,
    bias: *const f32,
    epilogue: Epilogue,
}

/// Lanes, rows of a tile, rows at a time and vectors of a panel of a product on one instruction set.
#[derive(Debug, Clone, Copy)]
pub(super) struct Shape {
    pub(super) lanes: usize,
    rows: usize,
    rows_at_once: usize,
    pub(super) vectors: usize,
}

impl Shape {
    pub(super) fn of<P: TileProduct>(cpu: Cpu) -> Shape {
        struct ShapeOf<P>(PhantomData<P>);
        impl<P: TileProduct> Kernel for ShapeOf<P> {
            type Output = Shape;
            #[inline(always)]
            fn run<I: Isa>(self, _: I) -> Shape {
                let (rows, vectors) = P::tile_shape::<I>();
                Shape { lanes: I::LANES, rows, rows_at_once: P::rows_at_once::<I>(), vectors }
            }
        }
        P::enter(cpu, ShapeOf(PhantomData::<P>))
    }

    /// Panels of `columns` columns: first column, and vectors.
    pub(super) fn panels(self, columns: usize) -> impl Iterator<Item = (usize, usize)> {
        let width = self.lanes * self.vectors;
        (0..columns).step_by(width).map(move |first| (first, (columns - first).div_ceil(self.lanes).min(self.vectors)))
    }
}

/// Multiplies all rows by all panels. `depth` is the number of packed elements in a lane of a panel.
///
/// # Safety
/// `product` can compute every tile of `rows` rows and of the panels of `output.columns` columns; `bias` holds as
/// many numbers as those panels have columns.
pub(super) unsafe fn multiply<P: TileProduct>(
    cpu: Cpu,
    shape: Shape,
    product: P,
    depth: usize,
    bias: &[f32],
    output: RowsMut<'_, f32>,
    epilogue: Epilogue,
) {
    let RowsMut { data, rows, columns, stride } = output;
    let destination = Destination { to: data.as_mut_ptr(), stride, columns, bias: bias.as_ptr(), epilogue };
    let (tiles, strips) = strips(rows, shape.rows, shape.rows_at_once);
    let mut panel = 0;
    for (column, vectors) in shape.panels(columns) {
        let next = panel + vectors * depth * shape.lanes;
        // Prefetch the next panel, a share of it in each step: weights that are not in a cache would make the first tile
        // of each panel wait. The last panel has no next one; prefetching beyond it costs nothing.
        let step = ((next - panel) * P::BYTES).div_ceil((tiles * product.steps()).max(1));
        for (range, height, row) in strips.clone() {
            if range.is_empty() || height == 0 {
                continue;
            }
            let at = product.weights().wrapping_add(next * P::BYTES + range.start * product.steps() * step);
            let strip = Strip {
                product,
                destination,
                panel,
                column,
                row,
                tiles: range.len(),
                prefetcher: Prefetcher { at, step },
            };
            // SAFETY: rows and columns of the product, by the caller.
            unsafe { strip.run(cpu, height, vectors) };
        }
        panel = next;
    }
}

/// The number of tiles, and those of each height: which they are, the height, the first row. They are `unit` rows high or a
/// multiple, but for the last, and as even as possible: a last tile of one row would wait for its own sums.
fn strips(rows: usize, highest: usize, unit: usize) -> (usize, [(Range<usize>, usize, usize); 3]) {
    let units = rows.div_ceil(unit);
    let tiles = units.div_ceil(highest / unit).max(1);
    let (low, higher) = (units / tiles * unit, units % tiles);
    // The last tile is a low one, and may miss some rows of its last unit.
    let missing = units * unit - rows;
    let cut = if missing > 0 { tiles - 1 } else { tiles };
    let first = |tile: usize| tile * low + tile.min(higher) * unit;
    let strips =
        [(0..higher, low + unit, 0), (higher..cut, low, first(higher)), (cut..tiles, low - missing, first(cut))];
    (tiles, strips)
}

/// Tiles of equal height, one below the other, of one panel.
#[derive(Clone, Copy)]
struct Strip<P> {
    product: P,
    destination: Destination,
    panel: usize,
    column: usize,
    row: usize,
    tiles: usize,
    prefetcher: Prefetcher,
}

impl<P: TileProduct> Strip<P> {
    /// # Safety
    /// As [`multiply`].
    unsafe fn run(self, cpu: Cpu, height: usize, vectors: usize) {
        macro_rules! heights {
            ($v:literal: $($m:literal)*) => {
                match height {
                    // SAFETY: the caller's promise.
                    $($m => P::enter(cpu, unsafe { SizedStrip::<P, $m, $v>::new(self) }),)*
                    _ => unreachable!("a tile has at most {MAX_ROWS} rows"),
                }
            };
        }
        match vectors {
            1 => heights!(1: 1 2 3 4 5 6 7 8),
            2 => heights!(2: 1 2 3 4 5 6 7 8),
            3 => heights!(3: 1 2 3 4 5 6 7 8),
            _ => unreachable!("a panel has at most 3 vectors"),
        }
    }
}

struct SizedStrip<P, const M: usize, const V: usize>(Strip<P>);

impl<P: TileProduct, const M: usize, const V: usize> SizedStrip<P, M, V> {
    /// # Safety
    /// As [`multiply`].
    unsafe fn new(strip: Strip<P>) -> Self {
        SizedStrip(strip)
    }
}

impl<P: TileProduct, const M: usize, const V: usize> Kernel for SizedStrip<P, M, V> {
    type Output = ();

    #[inline(always)]
    fn run<I: Isa>(self, isa: I) {
        let (rows, vectors) = P::tile_shape::<I>();
        if M > rows || V > vectors {
            // Never reached: keeps the compiler from generating tiles that this set has no registers for.
            return;
        }
        let Strip { product, destination, panel, column, row, tiles, mut prefetcher } = self.0;
        for tile in 0..tiles {
            let row = row + tile * M;
            // SAFETY: the promise of `new`.
            let sums = unsafe { product.tile::<I, M, V>(isa, row, panel, column, prefetcher) };
            prefetcher.at = prefetcher.at.wrapping_add(product.steps() * prefetcher.step);
            // SAFETY: as above.
            unsafe { destination.write(isa, sums, row, column) };
        }
    }
}

impl Destination {
    /// Adds the bias and writes a tile through the epilogue.
    ///
    /// # Safety
    /// As [`multiply`].
    #[inline(always)]
    unsafe fn write<I: Isa, const M: usize, const V: usize>(
        self,
        isa: I,
        sums: [[I::F; V]; M],
        row: usize,
        column: usize,
    ) {
        // SAFETY: `row` and `column` are in the output and the bias covers whole panels.
        let (to, bias) = unsafe { (self.to.add(row * self.stride + column), self.bias.add(column)) };
        let columns = (self.columns - column).min(V * I::LANES);
        let whole = columns == V * I::LANES;
        let mut biases = [isa.zero(); V];
        for (v, b) in biases.iter_mut().enumerate() {
            // SAFETY: as above.
            *b = unsafe { isa.load(bias.add(v * I::LANES)) };
        }
        for (r, sums) in sums.iter().enumerate() {
            for v in 0..V {
                // SAFETY: a row of the output.
                let to = unsafe { to.add(r * self.stride + v * I::LANES) };
                let count = if whole { I::LANES } else { columns.saturating_sub(v * I::LANES).min(I::LANES) };
                let mut y = isa.add(sums[v], biases[v]);
                if self.epilogue == Epilogue::Add {
                    // SAFETY: `count` columns are left.
                    let existing = unsafe { if whole { isa.load(to) } else { isa.load_part(to, count) } };
                    y = isa.add(y, existing);
                }
                // SAFETY: as above.
                unsafe { if whole { isa.store(to, y) } else { isa.store_part(to, y, count) } };
            }
        }
        // SAFETY: the tile just written.
        unsafe {
            match self.epilogue {
                Epilogue::Write | Epilogue::Add => {}
                Epilogue::Gelu => apply_to_tile::<I, math::Gelu>(isa, to, self.stride, M, columns),
                Epilogue::GeluCoarse => apply_to_tile::<I, math::GeluCoarse>(isa, to, self.stride, M, columns),
                Epilogue::GeluTanh => apply_to_tile::<I, math::GeluTanh>(isa, to, self.stride, M, columns),
                Epilogue::Relu => apply_to_tile::<I, math::Relu>(isa, to, self.stride, M, columns),
                Epilogue::Tanh => apply_to_tile::<I, math::Tanh>(isa, to, self.stride, M, columns),
            }
        }
    }
}

/// Applies a function to a tile in place while it is in the first-level cache.
///
/// # Safety
/// `rows` rows of `columns` floats can be read and written.
// Where instructions are chosen when compiling, one copy serves tiles of every shape: a module to be downloaded is
// that much smaller.
#[cfg_attr(target_arch = "wasm32", inline(never))]
#[cfg_attr(not(target_arch = "wasm32"), inline(always))]
unsafe fn apply_to_tile<I: Isa, F: math::Function>(isa: I, to: *mut f32, stride: usize, rows: usize, columns: usize) {
    for r in 0..rows {
        let mut c = 0;
        while c < columns {
            let count = (columns - c).min(I::LANES);
            // SAFETY: inside the tile.
            let to = unsafe { to.add(r * stride + c) };
            // SAFETY: `count` columns are left.
            unsafe {
                if count == I::LANES {
                    isa.store(to, F::of(isa, isa.load(to)));
                } else {
                    isa.store_part(to, F::of(isa, isa.load_part(to, count)), count);
                }
            }
            c += I::LANES;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn strips_cover_all_rows_once_and_evenly() {
        for (highest, unit) in [(6, 1), (8, 1), (6, 2), (8, 2)] {
            for rows in 0..100 {
                let (tiles, strips) = strips(rows, highest, unit);
                assert_eq!(tiles, rows.div_ceil(highest).max(1), "as few tiles as possible");
                let (mut tile, mut row, mut heights) = (0, 0, Vec::new());
                for (range, height, first) in strips {
                    if range.is_empty() {
                        continue;
                    }
                    assert_eq!([range.start, first], [tile, row], "{rows} rows in units of {unit}");
                    heights.extend(range.clone().map(|_| height));
                    (tile, row) = (range.end, row + range.len() * height);
                }
                assert_eq!([tile, row], [tiles, rows], "{rows} rows in units of {unit}");
                assert!(heights.iter().all(|&height| height <= highest));
                assert!(heights.iter().rev().skip(1).all(|height| height.is_multiple_of(unit)));
                let (least, most) = (heights.iter().min(), heights.iter().max());
                assert!(most.zip(least).is_some_and(|(most, least)| most - least < 2 * unit), "{heights:?}");
            }
        }
    }
}
