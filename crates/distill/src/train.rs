//! Training: the arithmetic of a stage, the update, the whole run, and what it leaves on disk.

mod batch_labels;
mod checkpoint;
mod events;
mod packed;
mod run;
mod sealed;
mod stage_loss;
mod store;
mod teacher;
mod tensorboard;
mod trace_cache;
mod trainer;

pub(crate) use batch_labels::with_labels;
pub use checkpoint::{Best, Checkpoint, Checkpoints, TrainingState};
pub use events::{Event, EventLog, Observer, Step};
pub use run::{NewStudent, Trained, train, train_in_memory};
pub use stage_loss::{Loss, StageLoss};
pub use teacher::Teacher;
pub(crate) use tensorboard::FILE as CURVES_FILE;
pub(crate) use trace_cache::TraceFolder;
pub use trace_cache::TracesUsed;
pub use trainer::{StepReport, Trainer, phase};
