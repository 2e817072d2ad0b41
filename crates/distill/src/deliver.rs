//! The end of a run: the student as a model directory with its scores, its card and its bill.

use std::path::Path;

use attar_bill::Bill;
use attar_model::atomic::WriteMode;
use attar_model::card::{
    BillLine, Card, Emissions, Interval, Origin, Relation, Score as CardScore, Section, SizeRow, Snippet,
};
use attar_model::{Bundle, ClassifierInput, Pooling, PoolingMode, Size, Weights, flops};
use attar_text::metrics::{ClassReport, Difference, Score};
use attar_text::tokenizer::Tokenizer;
use serde::{Deserialize, Serialize};
use serde_json::json;

use crate::objectives::Objective;
use crate::plan::Plan;
use crate::row_record::{self, RowRecord};
use crate::run_directory::{Manifest, RunDirectory};
use crate::score::Agreement;
use crate::train::{NewStudent, Trained};
use crate::{Error, model_directory};

/// Tokens of the text that FLOPs are stated for.
const FLOPS_TOKENS: usize = 128;

/// How student and teacher do on the dev rows.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Scores {
    /// The student's, the metric that decides first.
    pub student: Vec<Score>,
    /// How the student does on each class; none where scores are learned.
    pub classes: Option<ClassReport>,
    /// The teacher's, where it answers what the data ask.
    pub teacher: Option<TeacherScores>,
}

/// The teacher on the rows of the student.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct TeacherScores {
    /// Its scores, in the order of the student's.
    pub scores: Vec<Score>,
    /// Student less teacher in the metric that decides, paired by row.
    pub difference: Difference,
    /// The student's value over the teacher's in the metric that decides; `None` where the teacher has none above 0 or
    /// less is better.
    pub retention: Option<f64>,
    /// How often the two answer alike.
    pub agreement: Agreement,
}

/// What a student keeps of its teacher's score, in the metric that decides.
pub(crate) fn retention(student: &[Score], teacher: &[Score]) -> Option<f64> {
    let (student, teacher) = (student.first()?, teacher.first()?);
    let (value, whole) = (student.value?, teacher.value?);
    (whole > 0.0 && teacher.metric.higher_is_better()).then(|| value / whole)
}

/// What a run hands over.
#[derive(Debug, Clone, Serialize)]
pub struct Delivery {
    /// The student's directory.
    pub student: std::path::PathBuf,
    /// SHA-256 of its configuration and weights.
    pub fingerprint: String,
    /// Parameters of the student.
    pub parameters: usize,
    /// Scores on the dev rows; none where these have no labels.
    pub scores: Option<Scores>,
    /// What the making cost.
    pub bill: Bill,
    /// What a user should know.
    pub notes: Vec<String>,
    /// What the run needed and nobody needs any more.
    pub removed: Option<Removed>,
}

/// Files that were removed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Removed {
    /// Their folder.
    pub path: std::path::PathBuf,
    /// How much they were.
    pub bytes: u64,
}

/// Writes the student of a finished run and, unless the recipe keeps them, removes its checkpoints. What a run left
/// before stays as it is.
///
/// # Errors
/// If the directory cannot be written.
pub fn deliver(plan: &Plan, directory: &RunDirectory, trained: Trained) -> Result<Delivery, Error> {
    let mut delivery = match trained {
        Trained::Now(student) => {
            let NewStudent { weights, scores, totals } = *student;
            let bill = Bill::new(&totals, &plan.grid, &plan.tariff);
            let delivery = write(plan, directory, weights, scores, bill)?;
            directory.end(&delivery)?;
            delivery
        }
        Trained::Before(delivery) => *delivery,
    };
    if plan.recipe.checkpoint.clean {
        delivery.removed = directory.remove_checkpoints()?;
    }
    Ok(delivery)
}

fn write(
    plan: &Plan,
    directory: &RunDirectory,
    weights: Weights,
    scores: Option<Scores>,
    bill: Bill,
) -> Result<Delivery, Error> {
    let mut bundle = Bundle::new(plan.student.config.clone(), weights);
    bundle.tokenizer_files = tokenizer_files(&plan.tokenizer, plan.data.max_tokens)?;
    // What the classifier reads is a vector of the text as well.
    bundle.pooling = match plan.student.config.classifier_input {
        ClassifierInput::FirstToken => None,
        ClassifierInput::Mean => Some(Pooling { mode: PoolingMode::Mean, normalize: false }),
        ClassifierInput::Cosine => Some(Pooling { mode: PoolingMode::Mean, normalize: true }),
    };
    bundle.max_tokens = Some(plan.data.max_tokens);
    bundle.provenance = Some(json!({
        "attar": env!("CARGO_PKG_VERSION"),
        "seed": plan.recipe.seed,
        "manifest": Manifest::of(plan),
        row_record::ROWS_KEY: RowRecord::new(&plan.data.train, &plan.data.dev),
        "scores": scores,
        "bill": bill,
    }));
    let name = directory.path().file_name().map_or("student".into(), |name| name.to_string_lossy().into_owned());
    bundle.card = Some(card(plan, &name, &bundle, scores.as_ref(), &bill).to_markdown());
    bundle.write(&directory.student(), WriteMode::Replace)?;
    Ok(Delivery {
        student: directory.student(),
        fingerprint: bundle.fingerprint(),
        parameters: Size::of(&plan.student.config).parameters(),
        scores,
        bill,
        notes: plan.notes.clone(),
        removed: None,
    })
}

/// The files of a tokenizer, as a bundle takes them along.
///
/// # Errors
/// If a temporary folder cannot be written.
pub fn tokenizer_files(tokenizer: &Tokenizer, max_tokens: usize) -> Result<Vec<(String, Vec<u8>)>, Error> {
    let folder = tempfile::tempdir().map_err(|source| Error::Io { path: "a temporary folder".into(), source })?;
    let mut tokenizer = tokenizer.clone();
    tokenizer.set_model_max_length(max_tokens);
    tokenizer.save(folder.path())?;
    let mut files = Vec::new();
    let failed = |path: &Path| {
        let path = path.to_path_buf();
        move |source| Error::Io { path, source }
    };
    for entry in std::fs::read_dir(folder.path()).map_err(failed(folder.path()))? {
        let path = entry.map_err(failed(folder.path()))?.path();
        let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        files.push((name, std::fs::read(&path).map_err(failed(&path))?));
    }
    files.sort();
    Ok(files)
}

fn card(plan: &Plan, name: &str, bundle: &Bundle, scores: Option<&Scores>, bill: &Bill) -> Card {
    let dev = &plan.data.dev;
    let row = |model: &str, bundle: &Bundle| SizeRow {
        model: model.into(),
        parameters: Size::of(&bundle.config).parameters(),
        bytes: Size::of(&bundle.config).bytes_f32(),
        flops: flops(&bundle.config, FLOPS_TOKENS).total(),
        tokens: FLOPS_TOKENS,
    };
    let mut sizes = vec![row(name, bundle)];
    sizes.extend(plan.teacher.as_ref().map(|teacher| row("its teacher", &teacher.bundle)));
    let origin = origin(plan);
    let kind = match origin.as_ref().map(|origin| origin.relation) {
        Some(Relation::Distilled) => "distilled",
        Some(Relation::FineTuned) => "fine-tuned",
        Some(Relation::Quantized) | None => "trained",
    };
    let (data, rows) = (&plan.data.train.name, plan.data.train.len());
    let score = |score: &Score| {
        Some(CardScore {
            task: "text-classification".into(),
            dataset: dev.name.clone(),
            dataset_name: dev.name.clone(),
            split: None,
            metric: score.metric.name().into(),
            value: score.value?,
            interval: score.interval.map(|i| Interval { low: i.low, high: i.high, level: i.confidence }),
            rows: score.rows,
        })
    };
    Card {
        title: name.into(),
        summary: format!("An encoder {kind} on {data} ({rows} rows) with attar {}.", env!("CARGO_PKG_VERSION")),
        library_name: Some("transformers".into()),
        pipeline_tag: Some("text-classification".into()),
        tags: ["attar".into(), kind.into()].into(),
        origin,
        metrics: plan.data.metrics.iter().map(|metric| metric.name().into()).collect(),
        results: scores.iter().flat_map(|scores| scores.student.iter().filter_map(score)).collect(),
        emissions: bill.total.carbon_g.map(|carbon| Emissions {
            grams: carbon.value().get(),
            source: Some(format!("attar, {}", bill.total.method.map_or("not read".into(), |m| m.to_string()))),
            training_type: Some("fine-tuning".into()),
            geographical_location: Some(bill.grid.region.clone()),
            hardware_used: None,
        }),
        sizes,
        usage: vec![Snippet {
            title: "Classify a text".into(),
            language: "sh".into(),
            code: format!("attar predict {name} \"some text\""),
        }],
        bill: bill.phases.iter().chain([&bill.total]).filter_map(bill_line).collect(),
        bill_note: Some(format!(
            "Energy is given with its 90 % interval in `attar.json`. The bill leaves out: {}.",
            bill.exclusions.join("; ")
        )),
        sections: notes_section(&plan.notes),
        ..Card::default()
    }
}

/// The model that a student owes most to: a teacher that it listened to, or the one whose weights it began with.
fn origin(plan: &Plan) -> Option<Origin> {
    let was_taught = plan.stages.iter().flat_map(|stage| &stage.spec.objectives).any(Objective::needs_teacher);
    let teacher = plan.recipe.teacher.as_ref().filter(|_| was_taught);
    let taught = teacher.map(|teacher| (Relation::Distilled, model_directory::name(&teacher.path)));
    let began = || plan.student.base.clone().map(|base| (Relation::FineTuned, base));
    taught.or_else(began).map(|(relation, model)| Origin { relation, model })
}

fn bill_line(line: &attar_bill::BillLine) -> Option<BillLine> {
    Some(BillLine {
        what: line.phase.clone(),
        energy_kwh: line.facility_kwh?.value().get(),
        co2e_grams: line.carbon_g.map(|carbon| carbon.value().get()),
        money: line.money.map(|money| (money.value().amount(), money.value().currency().to_string())),
        method: line.method.map_or("not read".into(), |method| method.to_string()),
    })
}

fn notes_section(notes: &[String]) -> Vec<Section> {
    if notes.is_empty() {
        return Vec::new();
    }
    let text = notes.iter().map(|note| format!("- {note}\n")).collect();
    vec![Section { title: "Notes".into(), text }]
}

#[cfg(test)]
mod tests {
    use super::*;
    use attar_text::metrics::Metric;

    #[test]
    fn retention_is_a_share_of_the_teacher() {
        let score = |metric, value| vec![Score { metric, value, interval: None, rows: 1 }];
        let of = |metric, student, teacher| retention(&score(metric, student), &score(metric, teacher));
        assert_eq!(of(Metric::Accuracy, Some(0.75), Some(0.5)), Some(1.5));
        assert_eq!(of(Metric::Pearson, Some(0.5), Some(0.0)), None);
        assert_eq!(of(Metric::Pearson, None, Some(0.5)), None);
        assert_eq!(of(Metric::MeanSquaredError, Some(1.0), Some(0.5)), None);
    }
}
