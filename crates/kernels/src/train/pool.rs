//! A pool of used buffers.
//!
//! A training step makes the same large arrays over and over. Fresh ones cost a page fault for every 4 KiB and a pass
//! that clears them; pooled ones cost neither.

use std::collections::VecDeque;
use std::sync::{Mutex, PoisonError};

use crate::buffer::Buffer;

/// Capacity that the pool holds at most, in elements: 2 GiB. Beyond it the oldest buffers are freed.
const MAX_POOLED: usize = 1 << 29;
/// Shorter vectors are left to the allocator.
const MIN_LENGTH: usize = 1 << 12;

static VECTORS: Mutex<Pool<Vec<f32>>> = Mutex::new(Pool::new());
static ALIGNED: Mutex<Pool<Buffer<f32>>> = Mutex::new(Pool::new());

/// A vector of `len` elements, contents unspecified.
pub fn acquire(len: usize) -> Vec<f32> {
    if len >= MIN_LENGTH
        && let Some(mut vector) = VECTORS.lock().unwrap_or_else(PoisonError::into_inner).acquire(len)
    {
        vector.resize(len, 0.0);
        return vector;
    }
    // With some room, so that a slightly larger batch can reuse it too.
    let mut vector = if len >= MIN_LENGTH { Vec::with_capacity(rounded_capacity(len)) } else { Vec::new() };
    vector.resize(len, 0.0);
    vector
}

/// Returns a vector to the pool, for a later [`acquire`].
pub fn release(vector: Vec<f32>) {
    if vector.capacity() >= MIN_LENGTH {
        VECTORS.lock().unwrap_or_else(PoisonError::into_inner).release(vector);
    }
}

/// As [`acquire`], at least `len` elements with the alignment that packed weights need.
pub(crate) fn acquire_aligned(len: usize) -> Buffer<f32> {
    let mut buffer = ALIGNED.lock().unwrap_or_else(PoisonError::into_inner).acquire(len).unwrap_or_default();
    buffer.reserve(len);
    buffer
}

/// Returns a buffer to the pool, for a later [`acquire_aligned`].
pub(crate) fn release_aligned(buffer: Buffer<f32>) {
    ALIGNED.lock().unwrap_or_else(PoisonError::into_inner).release(buffer);
}

/// `len` plus at most an eighth: the next of eight steps between two powers of 2.
fn rounded_capacity(len: usize) -> usize {
    len.next_multiple_of((len.next_power_of_two() / 16).max(1))
}

/// Memory that can be pooled.
trait Pooled {
    /// Elements that it can hold.
    fn elements(&self) -> usize;
}

impl Pooled for Vec<f32> {
    fn elements(&self) -> usize {
        self.capacity()
    }
}

impl Pooled for Buffer<f32> {
    fn elements(&self) -> usize {
        self.len()
    }
}

struct Pool<T> {
    /// Oldest first.
    free: VecDeque<T>,
    /// Elements of all free buffers.
    elements: usize,
}

impl<T: Pooled> Pool<T> {
    const fn new() -> Self {
        Pool { free: VecDeque::new(), elements: 0 }
    }

    /// The smallest buffer that holds `len` elements, unless it is more than half as large again.
    fn acquire(&mut self, len: usize) -> Option<T> {
        let fits = |size: usize| len <= size && size <= len + len / 2;
        let sizes = self.free.iter().map(Pooled::elements).enumerate();
        let (index, size) = sizes.filter(|&(_, size)| fits(size)).min_by_key(|&(_, size)| size)?;
        self.elements -= size;
        self.free.remove(index)
    }

    fn release(&mut self, buffer: T) {
        self.elements += buffer.elements();
        self.free.push_back(buffer);
        while self.elements > MAX_POOLED {
            let Some(oldest) = self.free.pop_front() else { return };
            self.elements -= oldest.elements();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_smallest_that_fits_is_reused() {
        let mut pool: Pool<Vec<f32>> = Pool::new();
        for capacity in [100, 300, 200, 1000] {
            pool.release(Vec::with_capacity(capacity));
        }
        assert_eq!(pool.acquire(150).map(|v| v.capacity()), Some(200));
        assert_eq!(pool.acquire(150), None);
        assert_eq!(pool.acquire(250).map(|v| v.capacity()), Some(300));
        assert_eq!(pool.elements, 1100);
    }

    #[test]
    fn the_oldest_are_freed_beyond_the_limit() {
        struct Huge(usize);
        impl Pooled for Huge {
            fn elements(&self) -> usize {
                self.0
            }
        }
        let mut pool = Pool::new();
        for size in [MAX_POOLED / 2, MAX_POOLED / 4, MAX_POOLED / 2] {
            pool.release(Huge(size));
        }
        assert_eq!(pool.elements, MAX_POOLED / 4 + MAX_POOLED / 2);
        assert_eq!(pool.free.len(), 2);
        pool.release(Huge(2 * MAX_POOLED));
        assert!(pool.free.is_empty());
        assert_eq!(pool.elements, 0);
    }

    #[test]
    fn lengths_are_as_requested() {
        for len in [0, 1, MIN_LENGTH - 1, MIN_LENGTH, 100_000, 100_001] {
            let vector = acquire(len);
            assert_eq!(vector.len(), len);
            assert!(vector.capacity() <= len + len / 8 + 1 || len < MIN_LENGTH || vector.capacity() <= len + len / 2);
            release(vector);
        }
        let mut buffer = acquire_aligned(5000);
        buffer[4999] = 1.0;
        release_aligned(buffer);
        assert!(acquire_aligned(4000).len() >= 4000);
    }
}
