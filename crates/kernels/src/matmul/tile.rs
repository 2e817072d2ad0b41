//! The tile that both products share: how rows and columns are split, and the epilogue of finished sums.

use super::epilogue::Epilogue;
use crate::buffer::RowsMut;
use crate::cpu::{Cpu, Kernel};
use crate::isa::Isa;
use crate::math;

/// Rows of the tallest tile.
pub(super) const MAX_ROWS: usize = 8;

/// Rows of a tile, and its width in vectors: as many sums as fit into registers beside the factors.
pub(super) const fn shape<I: Isa>() -> (usize, usize) {
    if I::REGISTERS >= 32 { (MAX_ROWS, 3) } else { (6, 2) }
}

/// A matrix product that can compute one tile of sums.
pub(super) trait TileProduct: Copy {
    /// The packed weights.
    fn weights(self) -> *const u8;

    /// Bytes of a packed element, the unit in which positions of panels are counted.
    const BYTES: usize;

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

/// Lanes, rows of a tile and vectors of a panel on one instruction set.
#[derive(Debug, Clone, Copy)]
pub(super) struct Shape {
    pub(super) lanes: usize,
    pub(super) rows: usize,
    pub(super) vectors: usize,
}

impl Shape {
    pub(super) fn of(cpu: Cpu) -> Shape {
        struct ShapeOf;
        impl Kernel for ShapeOf {
            type Output = Shape;
            #[inline(always)]
            fn run<I: Isa>(self, _: I) -> Shape {
                let (rows, vectors) = shape::<I>();
                Shape { lanes: I::LANES, rows, vectors }
            }
        }
        cpu.run(ShapeOf)
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
    // Tiles as even as possible: a last tile of one row would wait for its own sums.
    let tiles = rows.div_ceil(shape.rows).max(1);
    let (low, higher) = (rows / tiles, rows % tiles);
    let strips = [(0..higher, low + 1, 0), (higher..tiles, low, higher)];
    let mut panel = 0;
    for (column, vectors) in shape.panels(columns) {
        let next = panel + vectors * depth * shape.lanes;
        // Prefetch the next panel, a share of it in each step: weights that are not in a cache would make the first tile
        // of each panel wait. The last panel has no next one; prefetching beyond it costs nothing.
        let step = ((next - panel) * P::BYTES).div_ceil((tiles * product.steps()).max(1));
        for (range, height, skipped) in strips.clone() {
            if range.is_empty() || height == 0 {
                continue;
            }
            let at = product.weights().wrapping_add(next * P::BYTES + range.start * product.steps() * step);
            let row = skipped * (height + 1);
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
                    $($m => cpu.run(unsafe { SizedStrip::<P, $m, $v>::new(self) }),)*
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
        let (rows, vectors) = shape::<I>();
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
