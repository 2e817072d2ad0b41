//! For tests only: finds the shared fixtures, reads them, compares numbers.
//!
//! The fixtures and data sets live beside the checkout, in `../shared`, or where the environment
//! variable `ATTAR_SHARED` points. A test that needs them starts with [`shared`] and returns when
//! it answers `None`; the notice it prints says what was skipped.
//!
//! ```
//! let Some(dir) = attar_testing::shared("fixtures/schedules") else { return };
//! let cases = attar_testing::json(&dir.join("schedules.json"));
//! ```
//!
//! Nothing here is used outside tests, so a broken fixture panics with its path.

mod compare;
mod fixtures;
mod teacher;

pub use compare::{assert_close, assert_close_relative, max_abs, max_abs_difference, relative_norm};
pub use fixtures::{Array, json, shared, tensors};
pub use teacher::teacher;
