//! A store of used vectors.
//!
//! A training step makes the same large arrays over and over. Fresh ones cost a page fault for every 4 KiB and a pass
//! that clears them; these cost neither.

use std::collections::VecDeque;
use std::sync::{Mutex, PoisonError};

use crate::buffer::Buffer;

/// Numbers that the store keeps at most, 2 GiB of them; what is given beyond drives out what was given first.
const MOST: usize = 1 << 29;
/// Vectors shorter than this are left to the allocator.
const LEAST: usize = 1 << 12;

static STORE: Mutex<Store<Vec<f32>>> = Mutex::new(Store::new());
static BUFFERS: Mutex<Store<Buffer<f32>>> = Mutex::new(Store::new());

/// A vector of `len` numbers; which numbers is not said.
pub fn take(len: usize) -> Vec<f32> {
    if len >= LEAST
        && let Some(mut numbers) = STORE.lock().unwrap_or_else(PoisonError::into_inner).take(len)
    {
        numbers.resize(len, 0.0);
        return numbers;
    }
    // With some room, so that a batch a little larger finds it useful too.
    let mut numbers = if len >= LEAST { Vec::with_capacity(room(len)) } else { Vec::new() };
    numbers.resize(len, 0.0);
    numbers
}

/// Keeps a vector for [`take`].
pub fn give(numbers: Vec<f32>) {
    if numbers.capacity() >= LEAST {
        STORE.lock().unwrap_or_else(PoisonError::into_inner).give(numbers);
    }
}

/// As [`take`], with the alignment that packed weights need.
pub(crate) fn take_buffer(len: usize) -> Buffer<f32> {
    let mut buffer = BUFFERS.lock().unwrap_or_else(PoisonError::into_inner).take(len).unwrap_or_default();
    buffer.reserve(len);
    buffer
}

/// Keeps a buffer for [`take_buffer`].
pub(crate) fn give_buffer(buffer: Buffer<f32>) {
    BUFFERS.lock().unwrap_or_else(PoisonError::into_inner).give(buffer);
}

/// `len`, up to an eighth more: the next of eight steps between two powers of 2.
fn room(len: usize) -> usize {
    len.next_multiple_of((len.next_power_of_two() / 16).max(1))
}

trait Sized {
    fn size(&self) -> usize;
}

impl Sized for Vec<f32> {
    fn size(&self) -> usize {
        self.capacity()
    }
}

impl Sized for Buffer<f32> {
    fn size(&self) -> usize {
        self.len()
    }
}

struct Store<T> {
    /// Oldest first.
    kept: VecDeque<T>,
    numbers: usize,
}

impl<T: Sized> Store<T> {
    const fn new() -> Self {
        Store { kept: VecDeque::new(), numbers: 0 }
    }

    /// The smallest that holds `len` numbers, if it is not much too large.
    fn take(&mut self, len: usize) -> Option<T> {
        let fits = |size: usize| len <= size && size <= len + len / 2;
        let sizes = self.kept.iter().map(Sized::size).enumerate();
        let (index, size) = sizes.filter(|&(_, size)| fits(size)).min_by_key(|&(_, size)| size)?;
        self.numbers -= size;
        self.kept.remove(index)
    }

    fn give(&mut self, kept: T) {
        self.numbers += kept.size();
        self.kept.push_back(kept);
        while self.numbers > MOST {
            let Some(oldest) = self.kept.pop_front() else { return };
            self.numbers -= oldest.size();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_smallest_that_fits_comes_back() {
        let mut store: Store<Vec<f32>> = Store::new();
        for capacity in [100, 300, 200, 1000] {
            store.give(Vec::with_capacity(capacity));
        }
        assert_eq!(store.take(150).map(|v| v.capacity()), Some(200));
        assert_eq!(store.take(150), None);
        assert_eq!(store.take(250).map(|v| v.capacity()), Some(300));
        assert_eq!(store.numbers, 1100);
    }

    #[test]
    fn the_oldest_go_when_there_are_too_many() {
        struct Huge(usize);
        impl Sized for Huge {
            fn size(&self) -> usize {
                self.0
            }
        }
        let mut store = Store::new();
        for size in [MOST / 2, MOST / 4, MOST / 2] {
            store.give(Huge(size));
        }
        assert_eq!(store.numbers, MOST / 4 + MOST / 2);
        assert_eq!(store.kept.len(), 2);
        store.give(Huge(2 * MOST));
        assert!(store.kept.is_empty());
        assert_eq!(store.numbers, 0);
    }

    #[test]
    fn lengths_are_as_asked() {
        for len in [0, 1, LEAST - 1, LEAST, 100_000, 100_001] {
            let numbers = take(len);
            assert_eq!(numbers.len(), len);
            assert!(numbers.capacity() <= len + len / 8 + 1 || len < LEAST || numbers.capacity() <= len + len / 2);
            give(numbers);
        }
        let mut buffer = take_buffer(5000);
        buffer[4999] = 1.0;
        give_buffer(buffer);
        assert!(take_buffer(4000).len() >= 4000);
    }
}
