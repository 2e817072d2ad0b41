//! Training: the arithmetic of a stage, the update, the whole run, and what it leaves on disk.

mod checkpoint;
mod events;
mod learning;
mod packed;
mod run;
mod trainer;

pub use checkpoint::{Best, Checkpoint, Checkpoints, State};
pub use events::{Event, EventLog, Observer, Step};
pub use learning::{Learning, Loss, Teacher};
pub use packed::Parts;
pub use run::{NewStudent, Trained, train};
pub use trainer::{StepReport, Trainer, phase};
pub(crate) use trainer::{gold_of, with_ids};
