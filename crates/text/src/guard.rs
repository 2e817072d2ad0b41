//! Calls into libraries that may panic on files that are damaged.

use std::cell::Cell;
use std::panic::{AssertUnwindSafe, catch_unwind, set_hook, take_hook};
use std::sync::Once;

/// What `call` returns, or `None` if it panicked; nothing is printed then.
///
/// `tokenizers` indexes out of range on some files, such as merges shorter than their prefix or damaged tables. What it
/// holds across calls are caches of finished results, so it can be called again.
pub(crate) fn guarded<T>(call: impl FnOnce() -> T) -> Option<T> {
    SILENCED.call_once(|| {
        let hook = take_hook();
        set_hook(Box::new(move |info| {
            if !IS_GUARDED.get() {
                hook(info);
            }
        }));
    });
    let before = IS_GUARDED.replace(true);
    let result = catch_unwind(AssertUnwindSafe(call));
    IS_GUARDED.set(before);
    result.ok()
}

static SILENCED: Once = Once::new();

thread_local! {
    /// Whether this thread is inside of a guarded call.
    static IS_GUARDED: Cell<bool> = const { Cell::new(false) };
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_panic_is_an_answer() {
        assert_eq!(guarded(|| 7), Some(7));
        assert_eq!(guarded(|| [1, 2][std::hint::black_box(5)]), None);
        assert!(!IS_GUARDED.get());
        assert_eq!(guarded(|| guarded(|| 7)), Some(Some(7)));
    }
}
