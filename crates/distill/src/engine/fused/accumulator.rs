//! Adding to a gradient in place.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

/// Tells an operation that another one has registered a gradient of the same tensor.
///
/// By itself the engine adds the gradients of a tensor that several operations use: each is an array of its own, and
/// the sum is one more pass over them. An operation that knows of an earlier gradient adds to it while it computes its
/// own. Operations that share a tensor share an accumulator; gradients of operations without one are added by the
/// engine, in any order.
#[derive(Debug, Clone, Default)]
pub(crate) struct GradientAccumulator(Arc<AtomicBool>);

impl GradientAccumulator {
    /// Notes that a gradient has been registered.
    pub(super) fn mark_registered(&self) {
        self.0.store(true, Ordering::Relaxed);
    }

    /// True if a gradient has been registered since the last call.
    pub(super) fn take_registered(&self) -> bool {
        self.0.swap(false, Ordering::Relaxed)
    }
}
