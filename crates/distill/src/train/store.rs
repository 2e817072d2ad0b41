//! Where a run keeps its state while it goes.

use std::path::PathBuf;

use attar_model::Weights;

use super::checkpoint::{Checkpoint, Checkpoints};
use super::events::{Event, EventLog};
use super::tensorboard::TensorBoard;
use super::trace_cache::TraceFolder;
use crate::Error;

/// A directory, from which a run can be resumed, or memory alone.
pub(super) enum Store {
    /// Checkpoints and a log on disk.
    Directory {
        checkpoints: Checkpoints,
        /// Checkpoints that are kept.
        keep: usize,
        log: EventLog,
        /// The same numbers for TensorBoard.
        curves: TensorBoard,
        /// Traces of the teacher, where they are kept.
        traces: Option<TraceFolder>,
    },
    /// The best weights of the stage.
    Memory { best: Option<Weights> },
}

impl Store {
    /// True if a run that is stopped can be resumed.
    pub(super) fn is_on_disk(&self) -> bool {
        matches!(self, Store::Directory { .. })
    }

    /// Where traces of the teacher are kept, if they are.
    pub(super) fn traces(&self) -> Option<&TraceFolder> {
        match self {
            Store::Directory { traces, .. } => traces.as_ref(),
            Store::Memory { .. } => None,
        }
    }

    /// The newest checkpoint of a run with so many updates in each stage.
    pub(super) fn latest(&self, steps: &[usize]) -> Result<Option<Checkpoint>, Error> {
        match self {
            Store::Directory { checkpoints, .. } => checkpoints.latest(steps),
            Store::Memory { .. } => Ok(None),
        }
    }

    /// Writes a checkpoint; returns where it is.
    pub(super) fn write(&self, checkpoint: &Checkpoint) -> Result<Option<PathBuf>, Error> {
        match self {
            Store::Directory { checkpoints, keep, .. } => checkpoints.write(checkpoint, *keep).map(Some),
            Store::Memory { .. } => Ok(None),
        }
    }

    /// Keeps the best parameters of a stage, those after so many updates.
    pub(super) fn write_best(&mut self, stage: usize, step: usize, parameters: Weights) -> Result<(), Error> {
        match self {
            Store::Directory { checkpoints, .. } => checkpoints.write_best(stage, step, parameters),
            Store::Memory { best } => {
                *best = Some(parameters);
                Ok(())
            }
        }
    }

    /// Takes the best parameters of the stage, those after so many updates.
    pub(super) fn take_best(&mut self, stage: usize, step: usize) -> Result<Weights, Error> {
        match self {
            Store::Directory { checkpoints, .. } => checkpoints.best(stage, step),
            Store::Memory { best } => Ok(best.take().expect("a stage with a best score has kept its parameters")),
        }
    }

    /// Appends an event to the log, where there is one.
    pub(super) fn log(&mut self, event: &Event) -> Result<(), Error> {
        match self {
            Store::Directory { log, curves, .. } => {
                curves.write(event)?;
                log.write(event)
            }
            Store::Memory { .. } => Ok(()),
        }
    }
}
