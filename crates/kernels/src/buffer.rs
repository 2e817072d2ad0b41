//! Memory aligned to cache lines, and matrices as views of memory.

use std::fmt;
use std::marker::PhantomData;
use std::ops::{Deref, DerefMut};

/// An element type that a [`Buffer`] may hold: any bit pattern is a value.
pub trait Number: Copy + Default + Send + Sync + private::Plain + 'static {}

mod private {
    /// # Safety
    /// Every bit pattern is a value, and alignment and size divide 64.
    pub unsafe trait Plain {}
    // SAFETY: integers and floats.
    unsafe impl Plain for f32 {}
    // SAFETY: as above.
    unsafe impl Plain for u8 {}
    // SAFETY: as above.
    unsafe impl Plain for i8 {}
    // SAFETY: as above.
    unsafe impl Plain for i32 {}
}

impl Number for f32 {}
impl Number for u8 {}
impl Number for i8 {}
impl Number for i32 {}

#[derive(Clone, Copy)]
#[repr(align(64))]
struct CacheLine(#[expect(dead_code, reason = "only seen through views")] [u8; 64]);

/// Elements whose memory begins and ends at a cache line: below the length of the buffer a whole vector may be read at
/// any multiple of a vector's length.
#[derive(Clone)]
pub struct Buffer<T> {
    lines: Vec<CacheLine>,
    len: usize,
    numbers: PhantomData<T>,
}

impl<T: Number> Buffer<T> {
    /// A buffer of zeros.
    ///
    /// # Panics
    /// If no memory can be so large.
    #[track_caller]
    pub fn zeros(len: usize) -> Self {
        Buffer { lines: vec![CacheLine([0; 64]); Self::lines(len)], len, numbers: PhantomData }
    }

    /// Grows the buffer to at least `len` elements, contents unspecified. Never shrinks it.
    ///
    /// # Panics
    /// If no memory can be so large.
    #[track_caller]
    pub fn reserve(&mut self, len: usize) {
        let lines = Self::lines(len);
        if lines > self.lines.len() {
            self.lines.resize(lines, CacheLine([0; 64]));
        }
        self.len = self.len.max(len);
    }

    /// Cache lines of `len` elements.
    #[track_caller]
    fn lines(len: usize) -> usize {
        // Unchecked, the product could wrap, and the buffer would claim more than it holds.
        let bytes = len.checked_mul(size_of::<T>());
        assert!(bytes.is_some(), "{len} elements of {} bytes are more than an address can name", size_of::<T>());
        bytes.map_or(0, |bytes| bytes.div_ceil(64))
    }
}

impl<T> Default for Buffer<T> {
    fn default() -> Self {
        Buffer { lines: Vec::new(), len: 0, numbers: PhantomData }
    }
}

impl<T: Number> Deref for Buffer<T> {
    type Target = [T];

    fn deref(&self) -> &[T] {
        // SAFETY: the lines hold at least `len` elements, all bit patterns are values, lines are aligned.
        unsafe { std::slice::from_raw_parts(self.lines.as_ptr().cast(), self.len) }
    }
}

impl<T: Number> DerefMut for Buffer<T> {
    fn deref_mut(&mut self) -> &mut [T] {
        // SAFETY: as in `deref`, and the lines are borrowed exclusively.
        unsafe { std::slice::from_raw_parts_mut(self.lines.as_mut_ptr().cast(), self.len) }
    }
}

impl<T: Number> FromIterator<T> for Buffer<T> {
    fn from_iter<I: IntoIterator<Item = T>>(numbers: I) -> Self {
        let numbers: Vec<T> = numbers.into_iter().collect();
        let mut buffer = Buffer::zeros(numbers.len());
        buffer.copy_from_slice(&numbers);
        buffer
    }
}

impl<T> fmt::Debug for Buffer<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Buffer({} × {})", self.len, std::any::type_name::<T>())
    }
}

/// A matrix `[rows, columns]` in row-major order whose rows begin `stride` apart.
#[derive(Debug, Clone, Copy)]
pub struct Rows<'a, T> {
    pub(crate) data: &'a [T],
    pub(crate) rows: usize,
    pub(crate) columns: usize,
    pub(crate) stride: usize,
}

/// As [`Rows`], to be written.
#[derive(Debug)]
pub struct RowsMut<'a, T> {
    pub(crate) data: &'a mut [T],
    pub(crate) rows: usize,
    pub(crate) columns: usize,
    pub(crate) stride: usize,
}

#[track_caller]
fn check(len: usize, rows: usize, columns: usize, stride: usize) {
    assert!(columns <= stride, "rows of {columns} columns do not lie {stride} apart");
    // Kernels rely on this: a product that wraps must not pass for a small one.
    let needed = rows.checked_sub(1).map_or(Some(0), |last| last.checked_mul(stride)?.checked_add(columns));
    assert!(
        needed.is_some_and(|needed| needed <= len),
        "{rows} rows of {columns} columns, {stride} apart, do not fit into {len} numbers"
    );
}

impl<'a, T> Rows<'a, T> {
    /// A view of `data`.
    ///
    /// # Panics
    /// If a row would end beyond the data, or rows overlap.
    #[track_caller]
    pub fn new(data: &'a [T], rows: usize, columns: usize, stride: usize) -> Self {
        check(data.len(), rows, columns, stride);
        Rows { data, rows, columns, stride }
    }

    /// Some of the columns.
    ///
    /// # Panics
    /// If there are fewer columns.
    #[track_caller]
    pub fn columns(self, from: usize, count: usize) -> Self {
        let rest = self.columns.checked_sub(from);
        assert!(rest.is_some_and(|rest| count <= rest), "{count} columns from {from} on, of {}", self.columns);
        let data = if self.rows == 0 { self.data } else { &self.data[from..] };
        Rows { data, columns: count, ..self }
    }

    pub(crate) fn row(&self, index: usize) -> &'a [T] {
        &self.data[index * self.stride..][..self.columns]
    }
}

impl<'a, T> RowsMut<'a, T> {
    /// A view of `data`.
    ///
    /// # Panics
    /// If a row would end beyond the data, or rows overlap.
    #[track_caller]
    pub fn new(data: &'a mut [T], rows: usize, columns: usize, stride: usize) -> Self {
        check(data.len(), rows, columns, stride);
        RowsMut { data, rows, columns, stride }
    }

    pub(crate) fn row(&mut self, index: usize) -> &mut [T] {
        &mut self.data[index * self.stride..][..self.columns]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_buffer_is_aligned_and_growing_keeps_its_contents() {
        for len in [0, 1, 15, 16, 17, 1000] {
            let mut buffer: Buffer<f32> = (0..len).map(|i| i as f32).collect();
            assert_eq!(buffer.as_ptr() as usize % 64, 0);
            buffer.reserve(len / 2);
            assert_eq!(buffer.len(), len);
            buffer.reserve(len + 100);
            assert_eq!(buffer.len(), len + 100);
            assert!(buffer[..len].iter().enumerate().all(|(i, &x)| x == i as f32));
        }
        assert_eq!(Buffer::<u8>::zeros(65).len(), 65);
        assert!(Buffer::<i8>::default().is_empty());
    }

    #[test]
    #[cfg(panic = "unwind")]
    fn views_know_their_bounds() {
        let data = [0.0f32; 10];
        assert_eq!(Rows::new(&data, 3, 2, 4).columns(1, 1).row(2), [0.0]);
        Rows::new(&data[..0], 0, 5, 5);
        // The last two need 2^64 numbers and a few more on a machine of 64 bits.
        let wrapping = [(usize::MAX / 4 + 2, 4, 4), (2, 3, usize::MAX)];
        for (rows, columns, stride) in [(3, 3, 4), (2, 5, 4), (2, 1, 10)].into_iter().chain(wrapping) {
            assert!(std::panic::catch_unwind(|| Rows::new(&data, rows, columns, stride)).is_err());
        }
        for (from, count) in [(3, 0), (1, 2), (0, 3), (1, usize::MAX), (usize::MAX, 2)] {
            assert!(std::panic::catch_unwind(|| Rows::new(&data, 3, 2, 4).columns(from, count)).is_err());
        }
    }

    #[test]
    #[cfg(panic = "unwind")]
    fn no_buffer_claims_more_than_it_holds() {
        for len in [usize::MAX / 4 + 2, usize::MAX] {
            assert!(std::panic::catch_unwind(|| Buffer::<f32>::zeros(len)).is_err());
            assert!(std::panic::catch_unwind(|| Buffer::<f32>::default().reserve(len)).is_err());
        }
    }
}
