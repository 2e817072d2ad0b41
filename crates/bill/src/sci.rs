//! Software Carbon Intensity: greenhouse gas of using and making, for a declared unit.

use attar_meter::{Estimate, GramsCo2e, QuantityError};
use serde::{Deserialize, Serialize};

use crate::bill::BillLine;
use crate::unit::Unit;

/// The functional unit of a Software Carbon Intensity: what `R` is, and how many of them there were.
///
/// `SCI = (E · I + M) / R` of the Green Software Foundation's specification 1.1 (from memory, also
/// ISO/IEC 21031): `E · I` is the energy of the building times the **location-based** intensity of
/// the grid, `M` the share of making the hardware. Market-based figures and offsets do not count.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Sci(Unit);

/// A Software Carbon Intensity.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct SciScore {
    /// What `R` is, in the singular.
    pub per: String,
    /// How many of them there were.
    pub r: f64,
    /// Grams of the energy in all (`E · I`).
    pub operational_g: Estimate<GramsCo2e>,
    /// Grams of making the hardware in all (`M`).
    pub embodied_g: Estimate<GramsCo2e>,
    /// Grams for one unit: the score.
    pub score_g: Estimate<GramsCo2e>,
}

/// Why a line has no Software Carbon Intensity.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum SciError {
    /// No energy was read.
    #[error("software carbon intensity of `{phase}` needs its energy, and no source reported any")]
    NoEnergy {
        /// The line.
        phase: String,
    },
    /// Nothing says what making the hardware cost.
    #[error(
        "software carbon intensity of `{phase}` needs the emissions of making the hardware: give a total, a lifetime and a share, or an instance type"
    )]
    NoEmbodied {
        /// The line.
        phase: String,
    },
}

impl Sci {
    /// Declares the unit and how many there were.
    ///
    /// # Errors
    /// If the count is not finite or less than a billionth.
    pub fn new(per: &str, r: f64) -> Result<Self, QuantityError> {
        Unit::new(per, r).map(Self)
    }

    /// The score of a line.
    ///
    /// # Errors
    /// If the line has no energy, or was computed without the emissions of making the hardware: a
    /// sum without one of its terms is not such a score.
    pub fn of(&self, line: &BillLine) -> Result<SciScore, SciError> {
        let operational_g = line.carbon_g.ok_or_else(|| SciError::NoEnergy { phase: line.phase.clone() })?;
        let embodied_g = line.embodied_g.ok_or_else(|| SciError::NoEmbodied { phase: line.phase.clone() })?;
        Ok(SciScore {
            per: self.0.name().to_owned(),
            r: self.0.count(),
            operational_g,
            embodied_g,
            score_g: (operational_g + embodied_g).map(|grams| GramsCo2e::raw(grams.get() / self.0.count())),
        })
    }
}
