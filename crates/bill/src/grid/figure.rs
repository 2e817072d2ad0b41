//! One figure of a region, as the tables give it.

use super::{GridChoice, GridKind};

/// The carbon intensity of a region in one year.
#[derive(Debug, Clone)]
pub(super) struct RegionFigure {
    pub(super) year: Option<u16>,
    pub(super) g_per_kwh: f64,
    /// Share of carbon-free energy in what the cloud buys, from 0 to 1.
    pub(super) carbon_free: Option<f64>,
    pub(super) source: String,
    pub(super) license: String,
    pub(super) choice: GridChoice,
    pub(super) kind: GridKind,
}

/// A figure with the names of its region, before figures are joined by name.
pub(super) struct NamedFigure {
    /// How the place is named, the first one being the name that a grid carries.
    pub(super) names: Vec<String>,
    pub(super) row: RegionFigure,
}
