//! The charts of a report.

mod break_even;
mod calibration;
mod curves;
mod pareto;
mod retained;

use attar_chart::Range;
use attar_text::metrics::Spread;

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

/// What bars are in the charts of suites.
pub(crate) const DEVIATIONS: &str = "standard deviations over seeds";

/// A mean with one standard deviation to each side.
pub(crate) fn with_deviation(spread: Spread) -> Range {
    let half = spread.deviation.unwrap_or(0.0);
    Range { value: spread.mean, low: spread.mean - half, high: spread.mean + half }
}

/// Whether a number is drawn with a bar: the mean of a single seed is not.
pub(crate) fn has_bar(range: Range) -> bool {
    range.low < range.high
}

/// Each name once, in the order in which they first appear.
pub(crate) fn distinct<'a>(names: impl Iterator<Item = &'a str>) -> Vec<&'a str> {
    let mut all = Vec::new();
    for name in names {
        if !all.contains(&name) {
            all.push(name);
        }
    }
    all
}

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
