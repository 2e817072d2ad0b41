//! Distillation of BERT-class encoders.

pub mod baseline;
mod billing;
pub mod data;
mod deliver;
pub mod device;
pub mod engine;
mod error;
pub mod evaluate;
mod labels;
pub mod model_directory;
pub mod objectives;
pub mod optimiser;
pub mod plan;
mod predictor;
pub mod recipe;
mod run_directory;
pub mod score;
pub mod train;

pub use billing::source as energy_source;
pub use deliver::{Delivery, Scores, TeacherScores, deliver, tokenizer_files};
pub use error::Error;
pub use predictor::{Predictor, Text};
pub use run_directory::{DataFacts, Manifest, RunDirectory};
