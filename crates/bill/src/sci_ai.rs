//! Software Carbon Intensity of an AI system, by its two boundaries.
//!
//! The Green Software Foundation's SCI for AI (from memory) asks two scores, each by a unit of its own,
//! so that whoever uses a model and whoever makes one can each lower theirs:
//!
//! - *provider*: making the model, all that it took: data, searches, runs that were abandoned, for a unit
//!   such as a parameter or a training operation;
//! - *consumer*: using it, for a unit such as a request or a token.
//!
//! The two are never added: their units differ, and a model that is used by many was made once.

use attar_meter::{Estimate, GramsCo2e};
use serde::Serialize;

use crate::bill::BillLine;
use crate::sci::{Sci, SciError, SciScore};

/// Both scores, as far as they were asked for.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct SciForAi {
    /// Of making the model.
    pub provider: Option<ProviderScore>,
    /// Of using it.
    pub consumer: Option<SciScore>,
}

/// The score of making a model.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct ProviderScore {
    /// The score, abandoned runs included.
    #[serde(flatten)]
    pub score: SciScore,
    /// Grams of the runs that were abandoned, in all: energy and hardware. `None` where none was named,
    /// which is not to say that there was none.
    pub abandoned_g: Option<Estimate<GramsCo2e>>,
}

impl ProviderScore {
    /// The score of all that making took: the runs that led to the model and those that were abandoned.
    ///
    /// # Errors
    /// If one of the two has no energy or was computed without the emissions of making the hardware.
    pub fn new(sci: &Sci, making: &BillLine, abandoned: Option<&BillLine>) -> Result<Self, SciError> {
        let mut score = sci.of(making)?;
        let mut abandoned_g = None;
        if let Some(line) = abandoned {
            let more = sci.of(line)?;
            abandoned_g = Some(more.operational_g + more.embodied_g);
            score.operational_g = score.operational_g + more.operational_g;
            score.embodied_g = score.embodied_g + more.embodied_g;
            score.score_g = score.score_g + more.score_g;
        }
        Ok(Self { score, abandoned_g })
    }
}

#[cfg(test)]
mod tests {
    use attar_meter::source::Component;
    use attar_meter::{ComponentEnergy, Joules, Method, PhaseTotals, Seconds, Totals};
    use attar_testing::assert_close_relative;

    use super::*;
    use crate::{Bill, Embodied, Factors, Grid, Tariff};

    fn bill(kwh: f64, embodied: bool) -> BillLine {
        let joules = Estimate::exact(Joules::raw(kwh * 3.6e6));
        let components = [(Component::Cpu(0), ComponentEnergy { joules, method: Method::Measured })];
        let phase = PhaseTotals {
            phase: "run".to_owned(),
            active: Seconds::raw(3600.0),
            cpu: None,
            others_cpu: None,
            components: components.into(),
        };
        let totals = Totals { phases: vec![phase], components: components.into(), gaps: Vec::new() };
        let mut factors = Factors::new(Grid::custom(500.0, "x").unwrap(), Tariff::own_machine());
        // A gram an hour.
        let total = Estimate::exact(GramsCo2e::raw(1000.0));
        factors.embodied = embodied.then(|| Embodied::new(total, Seconds::raw(3.6e6), 1.0, "x").unwrap());
        Bill::from_factors(&totals, &factors).total
    }

    #[test]
    fn abandoned_runs_are_part_of_making() {
        let sci = Sci::new("parameter", 1e6).unwrap();
        let (made, lost) = (bill(2.0, true), bill(3.0, true));
        let alone = ProviderScore::new(&sci, &made, None).unwrap();
        assert_close_relative("alone", alone.score.score_g.value().get(), 1001.0 / 1e6, 1e-12);
        assert_eq!(alone.abandoned_g, None);
        let all = ProviderScore::new(&sci, &made, Some(&lost)).unwrap();
        assert_close_relative("all", all.score.score_g.value().get(), 2502.0 / 1e6, 1e-12);
        assert_close_relative("abandoned", all.abandoned_g.unwrap().value().get(), 1501.0, 1e-12);
        // Without the hardware of one part there is no score.
        assert!(ProviderScore::new(&sci, &made, Some(&bill(3.0, false))).is_err());
        assert!(ProviderScore::new(&sci, &bill(2.0, false), None).is_err());
    }
}
