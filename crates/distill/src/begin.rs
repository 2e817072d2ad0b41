//! What a student is before its first update: given, with a linear classifier over what its encoder gives, or cut out
//! of its teacher.

mod frozen;
mod importance;
mod principal;
mod pruned;

use attar_meter::Meter;
use attar_model::Weights;

use crate::Error;
use crate::plan::{Beginning, Plan};

pub use frozen::FrozenHead;

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

/// Makes the first weights of a plan's student.
///
/// # Errors
/// If the device fails.
pub fn begin(plan: &Plan, meter: &mut Meter) -> Result<Begun, Error> {
    let weights = plan.student.weights.clone();
    match &plan.student.beginning {
        Beginning::Given => Ok(Begun { weights, frozen: None }),
        Beginning::FrozenHead => {
            meter.enter(PHASE);
            frozen::head(plan, weights)
        }
        Beginning::Pruned(layers) => {
            meter.enter(PHASE);
            pruned::weights(plan, layers)
        }
    }
}
