//! The products of attention, whose left factor is read in place, element by element.

use super::bias::Start;
use super::block::{MAX_LANES, MAX_VECTORS};
use crate::cpu::{Cpu, Kernel};
use crate::isa::Isa;

/// Rows of the tallest tile of sums.
const MAX_ROWS: usize = 13;

/// `result[r, q] = start[r, q] + Σ_k a[r, k] b[k, q]`, times `scale[q]` if there is one: `a` element by element, with
/// strides of its rows and columns, `b` and the result in rows of `vectors` vectors.
///
/// # Safety
/// All elements of `[rows, depth]` of `a` and `depth` rows of `b` can be read, `rows` rows of the result written, and
/// biases read for as many rows and vectors.
#[expect(clippy::too_many_arguments, reason = "a matrix product with strides")]
pub(super) unsafe fn strided_product(
    cpu: Cpu,
    [rows, depth]: [usize; 2],
    a: *const f32,
    strides: [usize; 2],
    b: *const f32,
    result: *mut f32,
    start: Option<Start>,
    scale: Option<&[f32; MAX_VECTORS * MAX_LANES]>,
    vectors: usize,
) {
    let highest = cpu.run(Height);
    let tiles = rows.div_ceil(highest).max(1);
    let (low, higher) = (rows / tiles, rows % tiles);
    let scale = scale.map_or(std::ptr::null(), |scale| scale.as_ptr());
    let Start { biases, factor } = start.unwrap_or(Start { biases: std::ptr::null(), factor: 0.0 });
    for (row, tiles, height) in [(0, higher, low + 1), (higher * (low + 1), tiles - higher, low)] {
        if tiles == 0 || height == 0 {
            continue;
        }
        let product = StridedProduct { a, strides, row, tiles, depth, b, result, biases, factor, scale };
        macro_rules! heights {
            ($v:literal: $($m:literal)*) => {
                match height {
                    // SAFETY: the caller's promise.
                    $($m => cpu.run(unsafe { SizedProduct::<$m, $v>::new(product) }),)*
                    _ => unreachable!("a tile has at most {MAX_ROWS} rows"),
                }
            };
        }
        match vectors {
            1 => heights!(1: 1 2 3 4 5 6 7 8 9 10 11 12 13),
            _ => heights!(2: 1 2 3 4 5 6 7 8 9 10 11 12 13),
        }
    }
}

/// Rows of the tallest tile of two vectors.
struct Height;

impl Kernel for Height {
    type Output = usize;
    #[inline(always)]
    fn run<I: Isa>(self, _: I) -> usize {
        height::<I>()
    }
}

const fn height<I: Isa>() -> usize {
    if I::REGISTERS >= 32 { MAX_ROWS } else { 6 }
}

#[derive(Clone, Copy)]
struct StridedProduct {
    a: *const f32,
    strides: [usize; 2],
    row: usize,
    tiles: usize,
    depth: usize,
    b: *const f32,
    result: *mut f32,
    /// As in [`Start`]; null if sums begin at 0.
    biases: *const f32,
    factor: f32,
    scale: *const f32,
}

struct SizedProduct<const M: usize, const V: usize>(StridedProduct);

impl<const M: usize, const V: usize> SizedProduct<M, V> {
    /// # Safety
    /// As [`strided_product`].
    unsafe fn new(product: StridedProduct) -> Self {
        SizedProduct(product)
    }
}

#[expect(clippy::undocumented_unsafe_blocks, reason = "one comment speaks for all of them")]
impl<const M: usize, const V: usize> Kernel for SizedProduct<M, V> {
    type Output = ();

    #[inline(always)]
    fn run<I: Isa>(self, isa: I) {
        if M > height::<I>() {
            // Never reached: keeps the compiler from generating tiles that this set has no registers for.
            return;
        }
        let StridedProduct { a, strides: [row_stride, column_stride], row, tiles, depth, b, result, .. } = self.0;
        let StridedProduct { biases, factor, scale, .. } = self.0;
        for tile in 0..tiles {
            let row = row + tile * M;
            let mut sums = [[isa.zero(); V]; M];
            if !biases.is_null() {
                for (r, sums) in sums.iter_mut().enumerate() {
                    for (v, sum) in sums.iter_mut().enumerate() {
                        // SAFETY: the promise of `new`.
                        let bias = unsafe { isa.load(biases.sub(row + r).add(v * I::LANES)) };
                        *sum = isa.mul(bias, isa.splat(factor));
                    }
                }
            }
            // SAFETY (this and all below): the promise of `new`.
            let (mut a, mut b) = (unsafe { a.add(row * row_stride) }, b);
            for _ in 0..depth {
                let mut x = [isa.zero(); V];
                for (v, x) in x.iter_mut().enumerate() {
                    *x = unsafe { isa.load(b.add(v * I::LANES)) };
                }
                for (r, sums) in sums.iter_mut().enumerate() {
                    let number = isa.splat(unsafe { *a.add(r * row_stride) });
                    for (sum, &x) in sums.iter_mut().zip(&x) {
                        *sum = isa.fma(number, x, *sum);
                    }
                }
                (a, b) = (a.wrapping_add(column_stride), b.wrapping_add(V * I::LANES));
            }
            for (r, sums) in sums.iter().enumerate() {
                for (v, &sum) in sums.iter().enumerate() {
                    let to = unsafe { result.add(((row + r) * V + v) * I::LANES) };
                    let sum =
                        if scale.is_null() { sum } else { isa.mul(sum, unsafe { isa.load(scale.add(v * I::LANES)) }) };
                    unsafe { isa.store(to, sum) };
                }
            }
        }
    }
}
