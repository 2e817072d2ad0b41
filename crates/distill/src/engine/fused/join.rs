//! Where gradients of one tensor meet.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

/// Tells an operation that its tensor has a gradient already, from another operation.
///
/// Left alone, the engine adds the gradients of a tensor that several operations use: each is an array of its own, and the sum
/// a pass over them. An operation that knows of the other one's adds its own while it makes it. Operations that share a
/// tensor share a join; those that know nothing of it are added as ever, in any order.
#[derive(Debug, Clone, Default)]
pub(crate) struct Join(Arc<AtomicBool>);

impl Join {
    /// Says that a gradient has been registered.
    pub(super) fn mark(&self) {
        self.0.store(true, Ordering::Relaxed);
    }

    /// True if one has been registered and not been taken.
    pub(super) fn take(&self) -> bool {
        self.0.swap(false, Ordering::Relaxed)
    }
}
