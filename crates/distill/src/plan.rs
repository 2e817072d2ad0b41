//! The plan: a recipe whose every part was read and found to fit, before anything is computed.

mod check;
mod cost;
mod probe;
mod stage;
mod student;
mod teacher;
mod vocabulary;

use std::path::Path;

use attar_bill::{Grid, Tariff};
use attar_text::labelled::Example;
use attar_text::metrics::Metric;
use attar_text::random::Streams;
use attar_text::tokenizer::{Encoding, Limit, Tokenizer};

use crate::data::LabelledData;
use crate::encoded_rows::{EncodedRows, Reading};
use crate::recipe::{DataSpec, Recipe, StageRows, StudentSpec};
use crate::row_record::RowRecord;
use crate::{Error, billing, device, model_directory, more_rows, score};

pub use cost::{Cost, StageCost};
pub use probe::{Estimate, probe};
pub use stage::PlannedStage;
pub(crate) use student::layers_of;
pub use student::{Beginning, PlannedStudent, TeacherParts, initialize_missing};
pub use teacher::PlannedTeacher;

/// A checked recipe with everything it needs in memory.
#[derive(Debug)]
pub struct Plan {
    /// The recipe.
    pub recipe: Recipe,
    /// Labelled rows.
    pub data: LabelledData,
    /// The training rows as token ids of the student: the labeled ones, then those without labels.
    pub train_texts: EncodedRows,
    /// The dev rows as token ids of the student.
    pub dev_texts: EncodedRows,
    /// The dev rows as the teacher's own tokenizer has them, where the student keeps a part of its pieces.
    pub teacher_dev_texts: Option<EncodedRows>,
    /// From text to the student's token ids.
    pub tokenizer: Tokenizer,
    /// The teacher's id of each of the student's pieces, where the student has a part of the teacher's vocabulary.
    pub teacher_ids: Option<Vec<u32>>,
    /// Who teaches.
    pub teacher: Option<PlannedTeacher>,
    /// Who learns, as it begins.
    pub student: PlannedStudent,
    /// Training loops.
    pub stages: Vec<PlannedStage>,
    /// Where the electricity comes from.
    pub grid: Grid,
    /// What it costs.
    pub tariff: Tariff,
    /// What a user should know and may overlook.
    pub notes: Vec<String>,
}

impl Plan {
    /// Reads and checks everything a recipe names.
    ///
    /// # Errors
    /// For the first thing that does not fit: what, where, what was expected and the way out.
    pub fn new(recipe: Recipe) -> Result<Plan, Error> {
        check::recipe(&recipe)?;
        device::open(recipe.device)?;
        let (grid, tariff) = billing::rates(&recipe.energy)?;
        let streams = Streams::new(recipe.seed);
        let mut notes = Vec::new();
        let full = Tokenizer::from_dir(&tokenizer_directory(&recipe)?)?;
        let mut data = LabelledData::load(&recipe.data, &streams)?;
        choose_by_classes(&recipe, &mut data, &mut notes);
        notes.extend(data.notes.iter().cloned());
        data.metrics.iter().try_for_each(|&metric| score::check_metric(metric, &data.train.target))?;
        note_leaks(&data, &mut notes);
        let mask = full.mask_id().and_then(|id| full.token(id));
        let more = more_rows::collect(&recipe.more, &recipe.data, &data, mask.as_deref(), &streams, &mut notes)?;
        let train_rows: Vec<Example> = data.train.examples.iter().chain(&more).cloned().collect();
        let (tokenizer, teacher_ids) =
            vocabulary::trimmed(&full, recipe.student.vocabulary(), &train_rows, &mut notes)?;

        let teacher = match &recipe.teacher {
            Some(spec) => Some(PlannedTeacher::read(&spec.path, &data.train.target, &mut notes)?),
            None => None,
        };
        if let Some(spec) = &recipe.teacher {
            note_taught_rows(&spec.path, &data, &mut notes)?;
        }
        let bundle = teacher.as_ref().map(|teacher| &teacher.bundle);
        let parts = TeacherParts { bundle, kept: teacher_ids.as_deref() };
        let student = PlannedStudent::new(&recipe.student, parts, &tokenizer, &data, &streams)?;
        check::tokenizer("student", &student.config, &tokenizer, data.max_tokens, &mut notes)?;
        if let Some(bundle) = bundle {
            check::tokenizer("teacher", &bundle.config, &full, data.max_tokens, &mut notes)?;
            check::same_reading(&student.config, &bundle.config)?;
        }
        if let (StudentSpec::Model { path, .. }, Some(bundle)) = (&recipe.student, bundle) {
            check::same_vocabulary(path, bundle, &full)?;
        }
        if let (StudentSpec::Shape { tokenizer: Some(path), .. }, Some(bundle)) = (&recipe.student, bundle) {
            check::same_vocabulary(path, bundle, &full)?;
        }

        let (limit, reading) = (Limit::new(data.max_tokens), Reading::of(&student.config));
        let train_texts = EncodedRows::new(&train_rows, &tokenizer, limit, reading)?;
        let dev_texts = EncodedRows::new(&data.dev.examples, &tokenizer, limit, reading)?;
        let teacher_dev_texts = match teacher_ids {
            Some(_) => Some(EncodedRows::new(&data.dev.examples, &full, limit, reading)?),
            None => None,
        };
        for (who, config) in [("student", Some(&student.config)), ("teacher", bundle.map(|b| &b.config))] {
            if let Some(config) = config {
                check::token_types(who, config, train_texts.sequences())?;
            }
        }
        note_truncation(train_texts.sequences(), data.max_tokens, &mut notes);

        let lengths = train_texts.lengths();
        let mut stages = Vec::with_capacity(recipe.stages.len());
        for (index, spec) in recipe.stages.iter().enumerate() {
            let class_weights = check::class_weights(spec, &data)?;
            check::stage(spec, &student.config, teacher.as_ref(), &data, more.len(), recipe.semantics)?;
            let lengths = match spec.rows {
                StageRows::All => &lengths[..],
                StageRows::Labeled => &lengths[..data.train.len()],
            };
            let mut planned = PlannedStage::new(index, spec, lengths, &streams);
            planned.class_weights = class_weights;
            stages.push(planned);
        }
        Ok(Plan {
            recipe,
            data,
            train_texts,
            dev_texts,
            teacher_dev_texts,
            tokenizer,
            teacher_ids,
            teacher,
            student,
            stages,
            grid,
            tariff,
            notes,
        })
    }

    /// Updates of all stages.
    pub fn steps(&self) -> usize {
        self.stages.iter().map(|stage| stage.steps).sum()
    }
}

/// Where classes are weighed, accuracy, which counts rows alike, is a poor judge of checkpoints.
fn choose_by_classes(recipe: &Recipe, data: &mut LabelledData, notes: &mut Vec<String>) {
    let weighed = recipe.stages.iter().any(|stage| stage.class_weights.is_some());
    let said = matches!(recipe.data, DataSpec::Table { metric: Some(_), .. });
    if weighed && !said && data.metrics[0] == Metric::Accuracy && data.metrics.contains(&Metric::MacroF1) {
        data.metrics.sort_by_key(|&metric| metric != Metric::MacroF1);
        notes.push("classes are weighed: macro-F1 chooses the checkpoint; `metric` (`--metric`) names another".into());
    }
}

/// Whose tokenizer a recipe uses.
fn tokenizer_directory(recipe: &Recipe) -> Result<std::path::PathBuf, Error> {
    let teacher = recipe.teacher.as_ref().map(|teacher| teacher.path.as_path());
    match &recipe.student {
        StudentSpec::Model { path, .. } => model_directory::existing(path),
        StudentSpec::Teacher { .. } => model_directory::existing(teacher.ok_or_else(|| {
            Error::refused("student", "a teacher to begin from", "none", "add `[teacher]` with its `path`")
        })?),
        StudentSpec::Shape { tokenizer: Some(folder), .. } => Ok(model_directory::locate(folder)),
        StudentSpec::Shape { tokenizer: None, .. } => model_directory::existing(teacher.ok_or_else(|| {
            Error::refused("student", "a tokenizer", "neither `tokenizer` nor a teacher", "add `tokenizer = \"DIR\"`")
        })?),
    }
}

fn note_leaks(data: &LabelledData, notes: &mut Vec<String>) {
    let leaked = data.dev.duplicates_with(&data.train);
    if leaked > 0 {
        let (dev, rows) = (&data.dev.name, data.dev.len());
        notes.push(format!("{leaked} of the {rows} rows of {dev} occur among the training rows: scores are too good"));
    }
}

/// A teacher that was trained on the dev rows makes its student's scores, and its own, too good.
fn note_taught_rows(teacher: &Path, data: &LabelledData, notes: &mut Vec<String>) -> Result<(), Error> {
    let Some(record) = RowRecord::read(&model_directory::locate(teacher))? else { return Ok(()) };
    let share = record.overlap(&data.dev).trained;
    if share > 0.0 {
        notes.push(format!(
            "the teacher was trained on about {:.1} % of the rows of {}: scores are too good; train both with the same \
             `seed` and rows, or give a `dev` file",
            100.0 * share,
            data.dev.name
        ));
    }
    Ok(())
}

fn note_truncation(texts: &[Encoding], max_tokens: usize, notes: &mut Vec<String>) {
    // A text of exactly the limit may have been cut; that the longest stay below it is what counts.
    let full = texts.iter().filter(|text| text.len() >= max_tokens).count();
    if full > 0 {
        notes.push(format!("{full} of {} training texts reach the limit of {max_tokens} tokens", texts.len()));
    }
}
