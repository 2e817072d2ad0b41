//! What a student is before its first update: given, with a linear classifier over what its encoder gives, or cut out
//! of its teacher, with factorized embeddings if it has them.

mod factorized;
mod frozen;
mod importance;
mod principal;
mod pruned;

use attar_meter::Meter;
use attar_model::Weights;
use serde::Serialize;

use crate::Error;
use crate::plan::{Beginning, Plan};

pub use frozen::FrozenHead;
pub(crate) use principal::Directions;
pub(crate) use pruned::shrunk;

/// The phase of the meter in which a beginning is computed.
pub const PHASE: &str = "beginning";

/// A student before its first update.
#[derive(Debug)]
pub struct Begun {
    /// Its weights.
    pub weights: Weights,
    /// The linear model that became its classifier.
    pub frozen: Option<FrozenHead>,
}

/// A part of the work before the first update, and how much of it is done.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct BeginningProgress {
    /// What is computed.
    pub what: &'static str,
    /// Rows done.
    pub done: usize,
    /// Rows in all.
    pub of: usize,
}

/// Receives the progress of a beginning.
pub(crate) type Progress<'a> = &'a mut dyn FnMut(BeginningProgress);

/// Makes the first weights of a plan's student.
///
/// # Errors
/// If the device fails.
pub fn begin(plan: &Plan, meter: &mut Meter, progress: &mut dyn FnMut(BeginningProgress)) -> Result<Begun, Error> {
    let weights = plan.student.weights.clone();
    match &plan.student.beginning {
        Beginning::Given => Ok(Begun { weights, frozen: None }),
        Beginning::FrozenHead => {
            meter.enter(PHASE);
            frozen::head(plan, weights, progress)
        }
        Beginning::Pruned(layers) => {
            meter.enter(PHASE);
            pruned::weights(plan, layers, progress)
        }
    }
}
