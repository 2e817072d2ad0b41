//! The vector operations that kernels are written in, once for every instruction set.
//!
//! A kernel is a function over `I: Isa`. Everything here is `#[inline(always)]`, so that a kernel compiled
//! inside one of the `enter` functions becomes the instructions of that set; a function on the way that is not
//! inlined would not.
//!
//! Operations that read or write memory take pointers and are unsafe; all others are safe because the token
//! (`self`) proves that the processor has the instruction.

#[cfg(target_arch = "x86_64")]
pub(crate) mod avx2;
#[cfg(target_arch = "x86_64")]
pub(crate) mod avx512;
#[cfg(target_arch = "aarch64")]
pub(crate) mod neon;
#[cfg(not(all(target_arch = "wasm32", target_os = "unknown", target_feature = "simd128")))]
pub(crate) mod scalar;
#[cfg(all(target_arch = "wasm32", target_feature = "simd128"))]
pub(crate) mod simd128;

/// Checks at compile time that an instruction set was entered for kernels with integers; returns the bytes of a quantized
/// number.
#[cfg(target_arch = "x86_64")]
const fn integer_bytes(bytes: usize) -> usize {
    assert!(bytes > 0, "a kernel with integers needs `Cpu::run_integers`");
    bytes
}

/// An instruction set: vectors of [`LANES`](Isa::LANES) 32-bit floats, and an integer product.
pub(crate) trait Isa: Copy + Send + Sync + 'static {
    /// Lanes of a vector.
    const LANES: usize;
    /// Vector registers: they limit the size of a tile of sums.
    const REGISTERS: usize;
    /// Rows of a tile of sums and its width in vectors: as many as fit into registers beside the factors.
    const TILE: (usize, usize) = if Self::REGISTERS >= 32 { (8, 3) } else { (6, 2) };
    /// The same for sums of integers.
    const INTEGER_TILE: (usize, usize) = Self::TILE;
    /// Bytes in which a quantized number is stored: 1 where an instruction multiplies bytes and sums exactly, else 2, so that
    /// nothing has to be widened between two products.
    const INTEGER_BYTES: usize;
    /// Bytes of a group of consecutive inputs, which are multiplied at a time: the 32 bits of a lane, or more where an
    /// instruction multiplies small matrices.
    const GROUP_BYTES: usize = 4;
    /// Inputs of a group.
    const GROUP: usize = Self::GROUP_BYTES / Self::INTEGER_BYTES;
    /// Rows of inputs that are multiplied at a time: 2 where an instruction multiplies small matrices.
    const ROWS: usize = 1;

    /// 32-bit floats.
    type F: Copy;
    /// 32-bit integers, as many.
    type I: Copy;
    /// Running sums of the products of integers, one for each lane and each of [`ROWS`](Isa::ROWS) rows.
    type Sum: Copy;
    /// The signed weights of a group of inputs for each lane.
    type Weights: Copy;
    /// The unsigned numbers of a group of inputs of each row, the same for each lane.
    type Inputs: Copy;

    /// Prefetches the memory at an address, which need not be valid. A no-op on a set without such an instruction.
    #[inline(always)]
    fn prefetch(self, _at: *const u8) {}

    fn zero(self) -> Self::F;
    fn splat(self, x: f32) -> Self::F;

    /// # Safety
    /// `LANES` floats can be read.
    unsafe fn load(self, from: *const f32) -> Self::F;
    /// The first `count` lanes; zeros in the others.
    /// # Safety
    /// `count ≤ LANES` floats can be read.
    unsafe fn load_part(self, from: *const f32, count: usize) -> Self::F;
    /// # Safety
    /// `LANES` floats can be written.
    unsafe fn store(self, to: *mut f32, x: Self::F);
    /// # Safety
    /// `count ≤ LANES` floats can be written.
    unsafe fn store_part(self, to: *mut f32, x: Self::F, count: usize);

    /// The first numbers of a slice; zeros in the lanes beyond its end.
    #[inline(always)]
    fn load_slice(self, from: &[f32]) -> Self::F {
        if from.len() >= Self::LANES {
            // SAFETY: there is a whole vector.
            unsafe { self.load(from.as_ptr()) }
        } else {
            // SAFETY: the slice has as many floats.
            unsafe { self.load_part(from.as_ptr(), from.len()) }
        }
    }

    /// Writes as many lanes as the slice has room for.
    #[inline(always)]
    fn store_slice(self, to: &mut [f32], x: Self::F) {
        if to.len() >= Self::LANES {
            // SAFETY: there is room for a whole vector.
            unsafe { self.store(to.as_mut_ptr(), x) }
        } else {
            // SAFETY: the slice has room for as many floats.
            unsafe { self.store_part(to.as_mut_ptr(), x, to.len()) }
        }
    }

    fn add(self, a: Self::F, b: Self::F) -> Self::F;
    fn sub(self, a: Self::F, b: Self::F) -> Self::F;
    fn mul(self, a: Self::F, b: Self::F) -> Self::F;
    fn div(self, a: Self::F, b: Self::F) -> Self::F;
    /// `a b + c`; rounded once where the set can.
    fn fma(self, a: Self::F, b: Self::F, c: Self::F) -> Self::F;
    /// The smaller; `b` if one is NaN.
    fn min(self, a: Self::F, b: Self::F) -> Self::F;
    /// The larger; `b` if one is NaN.
    fn max(self, a: Self::F, b: Self::F) -> Self::F;
    /// To the nearest whole number, ties to even.
    fn round(self, x: Self::F) -> Self::F;
    /// `x 2ⁿ` for a whole `n` in -126..=127 and a normal result.
    fn scale(self, x: Self::F, n: Self::F) -> Self::F;
    /// `x` as a fraction in 0..=1 and a power `n` for [`scale`](Isa::scale), so that `2^x = scale(2^fraction, n)`. Below
    /// -126 and above 127 a set may clamp `x` to these, or let `scale` underflow to 0 and overflow to infinity.
    #[inline(always)]
    fn split_exponent(self, x: Self::F) -> (Self::F, Self::F) {
        let x = self.max(self.splat(-126.0), self.min(self.splat(127.0), x));
        let n = self.round(self.sub(x, self.splat(0.5)));
        (self.sub(x, n), n)
    }
    /// Where `a > b`, `x`, elsewhere (and for NaN) `y`.
    fn where_greater(self, a: Self::F, b: Self::F, x: Self::F, y: Self::F) -> Self::F;

    /// `x` in the first `count` lanes, `other` in those beyond.
    #[inline(always)]
    fn select_first(self, count: usize, x: Self::F, other: Self::F) -> Self::F {
        let mut lanes = [0.0; 16];
        self.store_slice(&mut lanes[..Self::LANES], other);
        self.store_slice(&mut lanes[..count], x);
        self.load_slice(&lanes[..Self::LANES])
    }

    /// Sum of the lanes, in an order that depends on the set.
    fn sum(self, x: Self::F) -> f32;
    /// Largest lane.
    fn largest(self, x: Self::F) -> f32;
    /// Smallest lane.
    fn smallest(self, x: Self::F) -> f32;

    /// Sum of the lanes of each vector, in the same order for each.
    #[inline(always)]
    fn sum_each(self, x: &[Self::F; 16]) -> [f32; 16] {
        let mut each = [0.0; 16];
        for (each, &x) in each.iter_mut().zip(x) {
            *each = self.sum(x);
        }
        each
    }

    /// Smallest lane of each vector.
    #[inline(always)]
    fn smallest_each(self, x: &[Self::F; 16]) -> [f32; 16] {
        let mut each = [0.0; 16];
        for (each, &x) in each.iter_mut().zip(x) {
            *each = self.smallest(x);
        }
        each
    }

    /// Largest lane of each vector.
    #[inline(always)]
    fn largest_each(self, x: &[Self::F; 16]) -> [f32; 16] {
        let mut each = [0.0; 16];
        for (each, &x) in each.iter_mut().zip(x) {
            *each = self.largest(x);
        }
        each
    }

    /// `LANES` signed bytes as floats.
    /// # Safety
    /// `LANES` bytes can be read.
    unsafe fn load_signed_bytes(self, from: *const i8) -> Self::F;
    /// Rounded to the nearest, ties to even; for values that 32 bits hold.
    fn to_integers(self, x: Self::F) -> Self::I;
    /// The lowest byte of each lane, in [`INTEGER_BYTES`](Isa::INTEGER_BYTES) bytes.
    /// # Safety
    /// `LANES` numbers of as many bytes can be written.
    unsafe fn store_integers(self, to: *mut u8, x: Self::I);

    fn zero_sum(self) -> Self::Sum;
    /// The initial sums of products, given the total of all weights of each lane: zero, except on a set that offsets the
    /// inputs to suit its instruction.
    /// # Safety
    /// `LANES` integers can be read.
    #[inline(always)]
    unsafe fn start_sum(self, _totals: *const i32) -> Self::Sum {
        self.zero_sum()
    }
    /// # Safety
    /// [`GROUP_BYTES`](Isa::GROUP_BYTES)` · LANES` bytes can be read.
    unsafe fn load_weights(self, from: *const i8) -> Self::Weights;
    /// The group at `row` and, where [`ROWS`](Isa::ROWS) is 2, the one at `next`.
    /// # Safety
    /// [`GROUP_BYTES`](Isa::GROUP_BYTES) bytes can be read of each.
    unsafe fn load_inputs(self, row: *const u8, next: *const u8) -> Self::Inputs;
    /// Adds the products of a group to the sums of each lane, exactly, if they began as [`start_sum`](Isa::start_sum).
    fn dot(self, sum: Self::Sum, inputs: Self::Inputs, weights: Self::Weights) -> Self::Sum;
    /// The sums of row `row < ROWS` as floats.
    fn sum_to_floats(self, sum: Self::Sum, row: usize) -> Self::F;

    /// Writes `to[c · to_stride + r] = from[r · from_stride + c]` for `r < rows`, `c < columns`, and zeros for
    /// `rows ≤ r < LANES`.
    /// # Safety
    /// `rows ≤ LANES` rows of `columns` floats can be read, `columns` rows of `LANES` written.
    #[inline(always)]
    unsafe fn transpose_in(
        self,
        from: *const f32,
        from_stride: usize,
        rows: usize,
        columns: usize,
        to: *mut f32,
        to_stride: usize,
    ) {
        for c in 0..columns {
            for r in 0..Self::LANES {
                // SAFETY: inside the rows of the caller's promise.
                let x = if r < rows { unsafe { *from.add(r * from_stride + c) } } else { 0.0 };
                // SAFETY: as above.
                unsafe { *to.add(c * to_stride + r) = x };
            }
        }
    }

    /// Writes `to[r · to_stride + c] = from[c · from_stride + r]` for `r < rows`, `c < columns`.
    /// # Safety
    /// `columns` rows of `LANES` floats can be read, `rows ≤ LANES` rows of `columns` written.
    #[inline(always)]
    unsafe fn transpose_out(
        self,
        from: *const f32,
        from_stride: usize,
        rows: usize,
        columns: usize,
        to: *mut f32,
        to_stride: usize,
    ) {
        for r in 0..rows {
            for c in 0..columns {
                // SAFETY: inside the rows of the caller's promise.
                let x = unsafe { *from.add(c * from_stride + r) };
                // SAFETY: as above.
                unsafe { *to.add(r * to_stride + c) = x };
            }
        }
    }
}
