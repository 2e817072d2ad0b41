//! Loads and stores of up to a vector.

use crate::isa::Isa;

/// The first `count` lanes, zeros in the others.
///
/// # Safety
/// `count` floats, at most a vector, can be read.
#[inline(always)]
pub(super) unsafe fn load_lanes<I: Isa>(isa: I, from: *const f32, count: usize) -> I::F {
    // SAFETY: the caller's promise.
    unsafe { if count == I::LANES { isa.load(from) } else { isa.load_part(from, count) } }
}

/// Writes the first `count` lanes.
///
/// # Safety
/// `count` floats, at most a vector, can be written.
#[inline(always)]
pub(super) unsafe fn store_lanes<I: Isa>(isa: I, to: *mut f32, x: I::F, count: usize) {
    // SAFETY: the caller's promise.
    unsafe { if count == I::LANES { isa.store(to, x) } else { isa.store_part(to, x, count) } }
}
