//! The plan: a recipe whose every part was read and found to fit, before anything is computed.

mod check;
mod cost;
mod inputs;
mod probe;
mod stage;
mod student;
mod teacher;
mod vocabulary;

use attar_bill::{Grid, Tariff};
use attar_model::Bundle;
use attar_text::labeled::Example;
use attar_text::metrics::Metric;
use attar_text::random::Streams;
use attar_text::tokenizer::{Encoding, Limit, Tokenizer};

use crate::data::LabeledData;
use crate::encoded_rows::{EncodedRows, Reading};
use crate::recipe::{DataSpec, Recipe, StageRows};
use crate::row_record::RowRecord;
use crate::{Error, billing, device, more_rows, score};

pub use cost::{Cost, StageCost};
pub use inputs::{Inputs, Model};
pub use probe::{Estimate, probe};
pub use stage::PlannedStage;
use student::StudentSources;
pub(crate) use student::layers_of;
pub use student::{Beginning, PlannedStudent, initialize_missing};
pub use teacher::PlannedTeacher;

/// A checked recipe with everything it needs in memory.
///
/// Only [`Plan::new`] and [`Plan::with`] make one, so that every plan has been checked.
#[derive(Debug)]
pub struct Plan {
    pub(crate) recipe: Recipe,
    pub(crate) data: LabeledData,
    /// The training rows as token ids of the student: the labeled ones, then those without labels.
    pub(crate) train_texts: EncodedRows,
    /// The dev rows as token ids of the student.
    pub(crate) dev_texts: EncodedRows,
    /// The dev rows as the teacher's own tokenizer has them, where the student keeps a part of its pieces.
    pub(crate) teacher_dev_texts: Option<EncodedRows>,
    /// From text to the student's token ids.
    pub(crate) tokenizer: Tokenizer,
    /// The teacher's id of each of the student's pieces, where the student has a part of the teacher's vocabulary.
    pub(crate) teacher_ids: Option<Vec<u32>>,
    pub(crate) teacher: Option<PlannedTeacher>,
    pub(crate) student: PlannedStudent,
    pub(crate) stages: Vec<PlannedStage>,
    pub(crate) grid: Grid,
    pub(crate) tariff: Tariff,
    pub(crate) notes: Vec<String>,
}

impl Plan {
    /// Reads and checks everything a recipe names.
    ///
    /// # Errors
    /// For the first thing that does not fit: what, where, what was expected and the way out.
    pub fn new(recipe: Recipe) -> Result<Plan, Error> {
        Plan::with(recipe, Inputs::default())
    }

    /// As [`Plan::new`], with rows, tokenizer or models that the program has in memory.
    ///
    /// # Errors
    /// As [`Plan::new`], and if the recipe names what the program gives too, or if something is given by neither.
    pub fn with(recipe: Recipe, mut inputs: Inputs) -> Result<Plan, Error> {
        check::recipe(&recipe)?;
        device::open(recipe.device)?;
        let (grid, tariff) = billing::rates(&recipe.energy)?;
        let streams = Streams::new(recipe.seed);
        let mut notes = Vec::new();
        let base = inputs.student(&recipe)?;
        let model = inputs.teacher(&recipe)?;
        let full = inputs.tokenizer(&recipe, model.as_ref(), base.as_ref())?;
        let mut data = inputs.data(&recipe, &streams)?;
        if let Some(model) = &model {
            data.fit_positions(&model.name, &model.bundle.config);
        }
        if let Some((name, config)) = student::base_config(&recipe.student, base.as_ref())? {
            data.fit_positions(&name, &config);
        }
        choose_by_classes(&recipe, &mut data, &mut notes);
        notes.extend(data.notes.iter().cloned());
        data.metrics.iter().try_for_each(|&metric| score::check_metric(metric, &data.train.target))?;
        note_leaks(&data, &mut notes);
        let mask = full.mask_id().and_then(|id| full.token(id));
        let more = more_rows::collect(&recipe.more, &recipe.data, &data, mask.as_deref(), &streams, &mut notes)?;
        let train_rows: Vec<Example> = data.train.examples.iter().chain(&more).cloned().collect();
        let (tokenizer, teacher_ids) =
            vocabulary::trimmed(&full, recipe.student.vocabulary(), &train_rows, &mut notes)?;

        if let Some(model) = &model {
            check::same_vocabulary(&recipe.student, model, &full)?;
            note_taught_rows(&model.bundle, &data, &mut notes)?;
        }
        let teacher = match model {
            Some(model) => Some(PlannedTeacher::new(model, &data, &mut notes)?),
            None => None,
        };
        let bundle = teacher.as_ref().map(|teacher| &teacher.bundle);
        let sources = StudentSources { base, teacher: bundle, kept: teacher_ids.as_deref() };
        let student = PlannedStudent::new(&recipe.student, sources, &tokenizer, &data, &streams, &mut notes)?;
        check::tokenizer("student", &student.config, &tokenizer, data.max_tokens, &mut notes)?;
        if let Some(bundle) = bundle {
            check::tokenizer("teacher", &bundle.config, &full, data.max_tokens, &mut notes)?;
            check::same_reading(&student.config, &bundle.config)?;
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

    /// The recipe.
    pub fn recipe(&self) -> &Recipe {
        &self.recipe
    }

    /// Labeled rows.
    pub fn data(&self) -> &LabeledData {
        &self.data
    }

    /// Rows that the stages learn from, those without labels included.
    pub fn training_rows(&self) -> usize {
        self.train_texts.len()
    }

    /// From text to the student's token ids.
    pub fn tokenizer(&self) -> &Tokenizer {
        &self.tokenizer
    }

    /// The teacher's id of each of the student's pieces, where the student has a part of the teacher's vocabulary.
    pub fn teacher_ids(&self) -> Option<&[u32]> {
        self.teacher_ids.as_deref()
    }

    /// The teacher; `None` in a fine-tuning.
    pub fn teacher(&self) -> Option<&PlannedTeacher> {
        self.teacher.as_ref()
    }

    /// The student before its first update.
    pub fn student(&self) -> &PlannedStudent {
        &self.student
    }

    /// Training loops.
    pub fn stages(&self) -> &[PlannedStage] {
        &self.stages
    }

    /// Notes to show the user.
    pub fn notes(&self) -> &[String] {
        &self.notes
    }

    /// Updates of all stages.
    pub fn steps(&self) -> usize {
        self.stages.iter().map(|stage| stage.steps).sum()
    }
}

/// Where classes are weighted, accuracy, which counts all rows equally, is a poor judge of checkpoints.
fn choose_by_classes(recipe: &Recipe, data: &mut LabeledData, notes: &mut Vec<String>) {
    let weighted = recipe.stages.iter().any(|stage| stage.class_weights.is_some());
    let said = matches!(recipe.data, DataSpec::Table { metric: Some(_), .. });
    if weighted && !said && data.metrics[0] == Metric::Accuracy && data.metrics.contains(&Metric::MacroF1) {
        data.metrics.sort_by_key(|&metric| metric != Metric::MacroF1);
        notes.push("classes are weighted: macro-F1 chooses the checkpoint; `metric` (`--metric`) names another".into());
    }
}

fn note_leaks(data: &LabeledData, notes: &mut Vec<String>) {
    let leaked = data.dev.duplicates_with(&data.train);
    if leaked > 0 {
        let (dev, rows) = (&data.dev.name, data.dev.len());
        notes.push(format!(
            "{leaked} of the {rows} rows of {dev} occur among the training rows: scores will be inflated"
        ));
    }
}

/// A teacher that was trained on the dev rows makes its student's scores, and its own, too good.
fn note_taught_rows(teacher: &Bundle, data: &LabeledData, notes: &mut Vec<String>) -> Result<(), Error> {
    let Some(record) = RowRecord::of(teacher)? else { return Ok(()) };
    let share = record.overlap(&data.dev).trained;
    if share > 0.0 {
        notes.push(format!(
            "the teacher was trained on about {:.1} % of the rows of {}: scores will be inflated; train both with the same \
             `seed` and rows, or give a `dev` file",
            100.0 * share,
            data.dev.name
        ));
    }
    Ok(())
}

fn note_truncation(texts: &[Encoding], max_tokens: usize, notes: &mut Vec<String>) {
    // A text exactly at the limit may have been truncated, so it counts too.
    let full = texts.iter().filter(|text| text.len() >= max_tokens).count();
    if full > 0 {
        notes.push(format!("{full} of {} training texts reach the limit of {max_tokens} tokens", texts.len()));
    }
}
