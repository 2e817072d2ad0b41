//! For tests only: reads the golden fixtures and compares numbers.
//!
//! The fixtures are made with PyTorch in double precision by the generator that lies beside them
//! (`crates/testing/fixtures`). The environment variable `ATTAR_FIXTURES` names another set of the
//! same make, with other seeds, names and sizes. Tests therefore take all of those from the files:
//!
//! ```
//! let cases = attar_testing::json(&attar_testing::fixtures("schedules/schedules.json"));
//! assert!(!cases.as_array().unwrap().is_empty());
//! for model in attar_testing::fixture_models() {
//!     assert!(model.dir.join("config.json").exists());
//! }
//! ```
//!
//! Tests over data sets and the pretrained teachers are `#[ignore]`d: they look in `../shared` or where `ATTAR_SHARED`,
//! `ATTAR_TEACHER` and `ATTAR_BASE_TEACHER` point, and fail where nothing is there.
//!
//! Nothing here is used outside tests and benches, so what is missing or broken panics with its path.

mod compare;
mod fixtures;
mod shared;

pub use compare::{assert_close, assert_close_relative, max_abs, max_abs_difference, relative_norm};
pub use fixtures::{Array, FixtureModel, fixture_models, fixtures, json, section_models, tensors};
pub use shared::{base_teacher, find_shared, shared, teacher};
