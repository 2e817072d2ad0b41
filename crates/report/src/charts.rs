//! The charts of a report.

mod break_even;
mod calibration;
mod curves;
mod pareto;
mod retained;

use crate::run::ModelKind;

pub(crate) use break_even::break_even;
pub(crate) use calibration::reliability;
pub(crate) use curves::{losses, scores};
pub(crate) use pareto::{Cost, Dot, Scale, pareto};
pub(crate) use retained::retained;

/// Size of a chart of which several stand side by side, in pixels.
const SMALL: [f64; 2] = [400.0, 270.0];
/// Most points of a curve.
const POINTS: usize = 400;

/// The number by which all charts draw a kind of model.
pub(crate) fn series(kind: ModelKind) -> usize {
    match kind {
        ModelKind::Teacher => 0,
        ModelKind::Student => 1,
        ModelKind::Quantized => 2,
        ModelKind::Ngrams => 3,
        ModelKind::Frozen => 4,
    }
}
