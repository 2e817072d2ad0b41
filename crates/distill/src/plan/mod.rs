//! The plan: a recipe whose every part was read and found to fit, before anything is computed.

mod check;
mod cost;
mod probe;
mod stage;
mod student;
mod teacher;

use std::path::Path;

use attar_energy::{Grid, Tariff};
use attar_text::random::Streams;
use attar_text::tokenizer::{Encoding, Limit, Tokenizer};

use crate::data::LabelledData;
use crate::recipe::{Recipe, StudentSpec};
use crate::{Error, billing, device, model_directory};

pub use cost::{Cost, StageCost};
pub use probe::{Estimate, probe};
pub use stage::PlannedStage;
pub use student::{PlannedStudent, initialised};
pub use teacher::PlannedTeacher;

/// A checked recipe with everything it needs in memory.
#[derive(Debug)]
pub struct Plan {
    /// The recipe.
    pub recipe: Recipe,
    /// Labelled rows.
    pub data: LabelledData,
    /// The training rows as token ids.
    pub train_texts: Vec<Encoding>,
    /// The dev rows as token ids.
    pub dev_texts: Vec<Encoding>,
    /// From text to token ids, the same for teacher and student.
    pub tokenizer: Tokenizer,
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
        let tokenizer = Tokenizer::from_dir(&tokenizer_directory(&recipe)?)?;
        let data = LabelledData::load(&recipe.data, &streams)?;
        note_leaks(&data, &mut notes);

        let teacher = match &recipe.teacher {
            Some(spec) => Some(PlannedTeacher::read(&spec.path, &data.train.target, &mut notes)?),
            None => None,
        };
        let bundle = teacher.as_ref().map(|teacher| &teacher.bundle);
        let student = PlannedStudent::new(&recipe.student, bundle, &tokenizer, &data, &streams)?;
        let mut models = vec![("student", &student.config)];
        models.extend(bundle.map(|bundle| ("teacher", &bundle.config)));
        for (who, config) in models {
            check::tokenizer(who, config, &tokenizer, data.max_tokens, &mut notes)?;
        }
        if let StudentSpec::Model { path, .. } = &recipe.student
            && let Some(bundle) = bundle
        {
            check::same_vocabulary(path, bundle, &tokenizer)?;
        }

        let limit = Limit::new(data.max_tokens);
        let [train_texts, dev_texts] = [&data.train, &data.dev].map(|rows| rows.encode(&tokenizer, limit));
        let (train_texts, dev_texts) = (train_texts?, dev_texts?);
        for (who, config) in [("student", Some(&student.config)), ("teacher", bundle.map(|b| &b.config))] {
            if let Some(config) = config {
                check::token_types(who, config, &train_texts)?;
            }
        }
        note_truncation(&train_texts, data.max_tokens, &mut notes);

        let lengths: Vec<u32> = train_texts.iter().map(|text| text.len() as u32).collect();
        let mut stages = Vec::with_capacity(recipe.stages.len());
        for (index, spec) in recipe.stages.iter().enumerate() {
            check::stage(spec, &student.config, teacher.as_ref(), &data, recipe.semantics)?;
            stages.push(PlannedStage::new(index, spec, &lengths, &streams));
        }
        Ok(Plan { recipe, data, train_texts, dev_texts, tokenizer, teacher, student, stages, grid, tariff, notes })
    }

    /// Updates of all stages.
    pub fn steps(&self) -> usize {
        self.stages.iter().map(|stage| stage.steps).sum()
    }
}

/// Whose tokenizer a recipe uses.
fn tokenizer_directory(recipe: &Recipe) -> Result<std::path::PathBuf, Error> {
    let teacher = recipe.teacher.as_ref().map(|teacher| teacher.path.as_path());
    let directory: &Path = match &recipe.student {
        StudentSpec::Model { path, .. } => path,
        StudentSpec::Shape { tokenizer, .. } => tokenizer.as_deref().or(teacher).ok_or_else(|| {
            Error::refused("student", "a tokenizer", "neither `tokenizer` nor a teacher", "add `tokenizer = \"DIR\"`")
        })?,
    };
    Ok(model_directory::locate(directory))
}

fn note_leaks(data: &LabelledData, notes: &mut Vec<String>) {
    let leaked = data.dev.duplicates_with(&data.train);
    if leaked > 0 {
        let (dev, rows) = (&data.dev.name, data.dev.len());
        notes.push(format!("{leaked} of the {rows} rows of {dev} occur among the training rows: scores are too good"));
    }
}

fn note_truncation(texts: &[Encoding], max_tokens: usize, notes: &mut Vec<String>) {
    // A text of exactly the limit may have been cut; that the longest stay below it is what counts.
    let full = texts.iter().filter(|text| text.len() >= max_tokens).count();
    if full > 0 {
        notes.push(format!("{full} of {} training texts reach the limit of {max_tokens} tokens", texts.len()));
    }
}
