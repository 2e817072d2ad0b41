//! Models that were made by the same command, scored side by side.

use std::path::PathBuf;

use attar_distill::recipe::EnergySpec;
use attar_distill::suite::{Making, SuiteRow};
use attar_distill::{ExportedStudent, retention};
use attar_meter::Joules;
use attar_text::labeled::Dataset;
use attar_text::metrics::Metric;

use super::eval::{Contender, compare};
use super::quantize::Shipped;
use crate::{console, engine};

/// What the models are called.
pub(crate) const TEACHER: &str = "teacher";
pub(crate) const STUDENT: &str = "student";
pub(crate) const SMALL: &str = "student, quantized";
pub(crate) const GOLD: &str = "student, gold labels only";

/// A model that is made, with what its making took.
pub(crate) struct SuiteModel {
    pub(crate) name: &'static str,
    pub(crate) directory: PathBuf,
    pub(crate) made: Option<Making>,
    /// SHA-256 of configuration and weights.
    pub(crate) fingerprint: String,
}

impl SuiteModel {
    pub(crate) fn trained(name: &'static str, exported: &ExportedStudent) -> SuiteModel {
        let total = &exported.bill.total;
        let joules = total.energy_kwh.map(|energy| Joules::from(energy.value()).get());
        SuiteModel {
            name,
            directory: exported.student.clone(),
            made: Some(Making { seconds: total.active_s.get(), joules }),
            fingerprint: exported.fingerprint.clone(),
        }
    }

    /// A student in small integers, of which the fingerprint stands for both.
    pub(crate) fn small(shipped: &Shipped, student: &ExportedStudent) -> SuiteModel {
        SuiteModel { directory: shipped.directory.clone().into(), ..SuiteModel::trained(SMALL, student) }
    }

    /// A model that was there before.
    pub(crate) fn given(name: &'static str, directory: PathBuf) -> SuiteModel {
        SuiteModel { name, directory, made: None, fingerprint: String::new() }
    }
}

/// Rows to score by.
pub(crate) struct Scoring<'a> {
    /// The task whose rows they are.
    pub(crate) task: &'a str,
    /// The part of it, where it has several.
    pub(crate) part: Option<&'a str>,
    /// Seed of the models and of the intervals.
    pub(crate) seed: u64,
    pub(crate) data: &'a Dataset,
    pub(crate) metrics: &'a [Metric],
    /// How energy is read while speed is measured; none where it is not.
    pub(crate) energy: Option<&'a EnergySpec>,
    pub(crate) threads: Option<usize>,
}

/// Scores models and a baseline, where there is one; the teacher is the first model.
pub(crate) fn score(
    models: &[SuiteModel],
    baseline: Option<Contender>,
    scoring: &Scoring<'_>,
) -> anyhow::Result<Vec<SuiteRow>> {
    let mut contenders = Vec::new();
    for model in models {
        let args = engine::defaults();
        let session = Box::new(engine::open(&model.directory, &args, scoring.threads)?);
        let bytes = engine::shipped(&model.directory, &args)?;
        contenders.push(Contender::Encoder { name: model.name.into(), session, bytes });
    }
    contenders.extend(baseline);
    let (rows, notes) = compare(&mut contenders, scoring.data, scoring.metrics, scoring.energy, scoring.seed)?;
    notes.iter().for_each(console::note);
    let teacher = rows.first().map(|row| row.scores.clone()).unwrap_or_default();
    let suite_row = |row: super::eval::EvaluatedModel| SuiteRow {
        task: scoring.task.into(),
        part: scoring.part.map(str::to_string),
        seed: scoring.seed,
        kept: (row.name != TEACHER).then(|| retention(&row.scores, &teacher)).flatten(),
        made: models.iter().find(|model| model.name == row.name).and_then(|model| model.made),
        model: row.name,
        scores: row.scores,
        parameters: row.parameters,
        bytes: row.bytes,
        flops: row.flops,
        micros: row.speed.as_ref().map(|speed| speed.micros),
        joules_per_thousand: row.speed.and_then(|speed| speed.joules_per_thousand).map(|joules| joules.value().get()),
    };
    Ok(rows.into_iter().map(suite_row).collect())
}
