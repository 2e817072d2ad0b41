//! Models in a browser or under node: a [single file](attar_model::single_file) in, and then text in, labels, vectors,
//! tags or answers out, all of it on the machine of whoever asks.
//!
//! [`Model`] is what JavaScript gets, without anything of JavaScript in it, so that it is tested like any other code.
//! The names that scripts call are in `bindings`, which exists where the target is WebAssembly. The package around it,
//! with types, a worker and the loading of files, is in `npm`; `build.sh` makes it.
//!
//! ```no_run
//! let mut model = attar_wasm::Model::load(std::fs::read("student.attar")?)?;
//! let labels = model.predict(&["lights on please"], None)?;
//! println!("{}", serde_json::to_string(&labels)?);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! # Guarantees
//! - Places in texts are in UTF-16 units, as JavaScript counts, so that `text.slice(start, end)` gives the words.
//! - One thread, and results that are to the bit those of any other number of threads with the same instructions.

mod answers;
#[cfg(all(target_family = "wasm", target_os = "unknown"))]
mod bindings;
mod model;
mod utf16;

pub use answers::{Entity, LabelScore, ModelInfo, Span, Tokenization};
pub use model::Model;
