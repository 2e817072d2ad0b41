//! The size of a block of queries, whose lanes are computed together.

use crate::cpu::Kernel;
use crate::isa::Isa;

/// Vectors of queries in the largest block.
pub(super) const MAX_VECTORS: usize = 2;
/// Lanes of the widest vector.
pub(super) const MAX_LANES: usize = 16;

/// Lanes of a vector on one instruction set.
pub(super) struct Lanes;

impl Kernel for Lanes {
    type Output = usize;
    #[inline(always)]
    fn run<I: Isa>(self, _: I) -> usize {
        I::LANES
    }
}
