//! Optimizer: learning-rate schedules, global gradient clipping, AdamW.

mod adamw;
mod gradients;
mod schedule;

pub use adamw::{AdamW, AdamWOptions};
pub use gradients::{Gradient, Gradients, RowGradients};
pub use schedule::{Schedule, ScheduleKind};
