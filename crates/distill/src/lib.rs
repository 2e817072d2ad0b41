//! Distillation of BERT-class encoders: from a recipe to a student, its scores and its bill.
//!
//! ```
//! use attar_distill::plan::Plan;
//! use attar_distill::recipe::Recipe;
//! use attar_distill::train::train;
//! use attar_distill::{RunDirectory, export};
//! use attar_runtime::{Options, Precision, Session};
//! # use attar_text::{random::Streams, synthetic, layout::Split, tokenizer::{TrainOptions, train_wordpiece}};
//! # let folder = tempfile::tempdir()?;
//! # std::env::set_current_dir(folder.path())?;
//! # std::fs::create_dir("tokenizer")?;
//! # let rows = synthetic::generate(&Streams::new(1), 60, Split::Train);
//! # train_wordpiece(rows.examples.iter().map(|e| &e.text), TrainOptions::new(300))?.save("tokenizer".as_ref())?;
//!
//! // What the user wrote. Every key that is left out has a default; an unknown one is refused.
//! let recipe = Recipe::parse(r#"
//!     data = { kind = "embedded", rows = 60, dev-rows = 20, max-tokens = 24 }
//!     student = { from = "shape", layers = 1, hidden = 16, heads = 2, feed-forward = 32, tokenizer = "tokenizer" }
//!     stage = [{ name = "gold", objective = [{ kind = "gold" }], length = { steps = 3 } }]
//! "#)?;
//!
//! // Read and checked before anything is computed.
//! let plan = Plan::new(recipe)?;
//! // The folder of the run; opened again, it resumes from the last checkpoint.
//! let directory = RunDirectory::open("run".as_ref(), &plan)?;
//! let trained = train(&plan, &directory, &mut ())?;
//! let exported = export(&plan, &directory, trained)?;
//! println!("{} parameters, {}", exported.parameters, exported.bill.total.energy_kwh.unwrap());
//!
//! let mut session = Session::load("run/student".as_ref(), &Options::all_threads(Precision::F32))?;
//! let logits = session.logits(&[("lights on please", None)], |_| ())?;
//! assert_eq!(logits[0].len(), plan.labeled().map_or(0, |data| data.train.target.outputs()));
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! # The modules, in the order in which a run uses them
//! - [`recipe`]: what the user wrote. [`plan`]: the same, read, checked and costed; [`data`] and
//!   [`model_directory`] find what it names.
//! - [`engine`]: the differentiable encoder over batches without padding; a forward pass leaves a
//!   [`Trace`](engine::Trace). [`objectives`]: what traces of student and teacher are compared by.
//! - [`optimizer`]: schedules, clipping, AdamW.
//! - [`train`]: the update, the loop with its checkpoints and events, the folder of the run.
//! - [`mod@evaluate`], [`score`] and [`baseline`]: how good a model is, and against what; [`linear`]: the models of the
//!   latter, and heads on frozen vectors.
//! - [`export()`]: the student as a model directory.
//!
//! # What holds throughout
//! - Bad input is refused before any compute, with the way out; see [`Error`].
//! - On the CPU, a resumed run ends in the same bytes as an uninterrupted one.
//! - Objectives never see padding: clean semantics have none, and reference semantics count it as rows.

mod aligned_rows;
mod answer_windows;
pub mod baseline;
pub mod begin;
mod billing;
mod card_parts;
mod card_sections;
pub mod contract;
mod corpus_data;
pub mod data;
pub mod device;
pub mod encoded_rows;
pub mod engine;
mod error;
pub mod evaluate;
mod export;
pub mod labels;
pub mod linear;
pub mod model_directory;
mod more_rows;
pub mod objectives;
pub mod optimizer;
pub mod plan;
pub mod quantize;
pub mod recipe;
mod row_record;
pub mod rules;
mod run_directory;
mod run_lock;
pub mod score;
mod scores;
pub mod suite;
pub mod train;
mod word_tokens;

pub use billing::{rates as energy_rates, source as energy_source};
pub use error::{Cause, Error};
pub use export::{bundle, export, tokenizer_files};
pub use row_record::{Overlap, ROWS_KEY, RowRecord};
pub use run_directory::{DataFacts, ExportedStudent, Manifest, Removed, RunDirectory};
pub use run_lock::RunLock;
pub use scores::{HeldOutLoss, Scores, TeacherScores, retention};
