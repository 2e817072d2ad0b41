//! The plan: a recipe whose every part was read and found to fit, before anything is computed.

mod check;
mod cost;
mod from_teacher;
mod head;
mod inputs;
mod memory;
mod probe;
pub(crate) mod ranges;
mod second_vocabulary;
mod stage;
mod student;
mod teacher;
mod text_data;
mod vocabulary;

use attar_bill::{Grid, Tariff};
use attar_meter::FreeMemory;
use attar_model::{Bundle, EncoderConfig, Head};
use attar_text::batch::Batch;
use attar_text::masking::Masker;
use attar_text::metrics::Metric;
use attar_text::random::Streams;
use attar_text::tokenizer::Tokenizer;

use crate::aligned_rows::AlignedRows;
use crate::corpus_data::{CorpusSource, Mixture};
use crate::data::LabeledData;
use crate::encoded_rows::{EncodedRows, Reading};
use crate::labels::{ClassOrder, head_of};
use crate::objectives::Objective;
use crate::recipe::{DataSpec, Recipe, StageRows};
use crate::row_record::RowRecord;
use crate::run_directory::DataFacts;
use crate::{Error, billing, device, more_rows, score};

pub use cost::{Cost, StageCost};
pub(crate) use from_teacher::{EmbeddingSource, layers_of};
pub use inputs::{Inputs, Model};
pub use memory::{Memory, MemoryPart};
pub use probe::{Estimate, probe};
pub use second_vocabulary::FirstVocabulary;
use stage::LargestBatch;
pub use stage::PlannedStage;
pub use student::{Beginning, PlannedStudent, initialize_missing};
use student::{StudentSources, Wanted};
pub use teacher::PlannedTeacher;
use text_data::{EncodedTexts, LabeledRows, TeacherTokenizer, TextData};
use vocabulary::Relation;

/// A checked recipe with everything it needs in memory.
///
/// Only [`Plan::new`] and [`Plan::with`] make one, so that every plan has been checked.
#[derive(Debug)]
pub struct Plan {
    pub(crate) recipe: Recipe,
    /// The rows with their labels; `None` for raw text.
    pub(crate) labeled: Option<LabeledData>,
    /// Longest sequence in tokens.
    pub(crate) max_tokens: usize,
    /// What is learned from and what is held out, by content.
    pub(crate) facts: [DataFacts; 2],
    /// What hides pieces, where a stage has the student guess them.
    pub(crate) masker: Option<Masker>,
    /// The corpus for a model that learns a second vocabulary beside its own.
    pub(crate) mixture: Option<Mixture>,
    /// The training rows as token ids of the student: the labeled ones, then those without labels; or a corpus.
    pub(crate) train_texts: EncodedRows,
    /// The held-out rows as token ids of the student.
    pub(crate) dev_texts: EncodedRows,
    /// The dev rows as the teacher's own tokenizer has them, where the student keeps a part of its pieces.
    pub(crate) teacher_dev_texts: Option<EncodedRows>,
    /// From text to the token ids of the student as it is written.
    pub(crate) tokenizer: Tokenizer,
    /// The teacher's id of each of the student's pieces, where the student has a part of the teacher's vocabulary or the
    /// same pieces under other ids.
    pub(crate) teacher_ids: Option<Vec<u32>>,
    /// The training rows as the teacher reads them, where it has a vocabulary of its own.
    pub(crate) aligned: Option<AlignedRows>,
    /// What the word embeddings of a student that is made of its teacher begin with.
    pub(crate) embeddings: EmbeddingSource,
    pub(crate) teacher: Option<PlannedTeacher>,
    pub(crate) student: PlannedStudent,
    pub(crate) stages: Vec<PlannedStage>,
    pub(crate) grid: Grid,
    pub(crate) tariff: Tariff,
    pub(crate) notes: Vec<String>,
    /// Where the memory of this machine may not be enough: no part of what a run leaves, which does not depend on the machine.
    scarce_memory: Option<String>,
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
        let base_config = student::base_config(&recipe.student, base.as_ref())?;
        let models = model.iter().map(|model| (model.name.as_str(), &model.bundle.config));
        let models: Vec<(&str, &EncoderConfig)> =
            models.chain(base_config.iter().map(|(name, config)| (name.as_str(), config))).collect();
        let data = match CorpusSource::of(&recipe.data) {
            Some((source, max_tokens)) => TextData::Corpus(source.within(max_tokens, &models, &mut notes)),
            None => {
                let rows = labeled_data(&recipe, &mut inputs, &full, &models, &streams, &mut notes)?;
                TextData::Labeled(Box::new(rows))
            }
        };
        let reads_traces = recipe.stages.iter().flat_map(|stage| &stage.objectives).any(Objective::needs_trace);
        let (tokenizer, kept) = data.vocabulary(&full, recipe.student.vocabulary(), &mut notes)?;
        let relation = match &model {
            Some(model) => vocabulary::relation(&full, &model.tokenizer, &data)?,
            None => Relation::Equal,
        };
        let differs = relation == Relation::Other;
        let aligns = differs && reads_traces;
        if aligns {
            check::alignment(&recipe, data.labeled())?;
            notes.push("student and teacher have vocabularies of their own: states are compared word by word".into());
        }
        let teacher_ids = relation.teacher_ids(kept, &mut notes);
        let embeddings =
            from_teacher::embedding_source(&recipe.student, model.as_ref(), &tokenizer, teacher_ids.as_deref());

        if let (Some(model), Some(labeled)) = (&model, data.labeled()) {
            note_taught_rows(&model.bundle, labeled, &mut notes)?;
        }
        // The teacher's own score is measured with its own pieces.
        let teachers = model.as_ref().map(|model| model.tokenizer.clone());
        let teacher = match model {
            Some(model) => Some(PlannedTeacher::new(model, data.labeled(), &mut notes)?),
            None => None,
        };
        let bundle = teacher.as_ref().map(|teacher| &teacher.bundle);
        let sources = StudentSources { base, teacher: teacher.as_ref(), embeddings: &embeddings };
        let max_tokens = data.max_tokens();
        let class_order = data.labeled().map_or(ClassOrder::Stated, |labeled| labeled.class_order);
        let wanted = Wanted { head: head(&recipe, data.labeled()), tokenizer: &tokenizer, max_tokens, class_order };
        let student = PlannedStudent::new(&recipe.student, sources, wanted, &streams, &mut notes)?;
        check::tokenizer("student", &student.config, &tokenizer, max_tokens, &mut notes)?;
        check::stage_widths(&recipe, &student.config, bundle.map(|bundle| &bundle.config))?;
        if let (Some(bundle), Some(tokenizer)) = (bundle, &teachers) {
            check::tokenizer("teacher", &bundle.config, tokenizer, max_tokens, &mut notes)?;
            check::same_reading(&student.config, &bundle.config)?;
        }
        let mut class_weights = Vec::with_capacity(recipe.stages.len());
        for spec in &recipe.stages {
            class_weights.push(check::class_weights(spec, data.labeled())?);
            check::stage(spec, &student.config, teacher.as_ref(), &data, recipe.semantics)?;
        }
        let masks = recipe.stages.iter().flat_map(|stage| &stage.objectives).any(|term| term.masking().is_some());

        let other = teachers.as_ref().filter(|_| differs || teacher_ids.is_some());
        let teachers = other.map(|tokenizer| TeacherTokenizer { tokenizer, aligns });
        let texts = data.encode(&tokenizer, teachers, Reading::of(&student.config), &streams, &mut notes)?;
        check::token_types("student", &student.config, &texts.train)?;
        if let Some(bundle) = bundle {
            check::token_types("teacher", &bundle.config, &texts.train)?;
        }

        let lengths = texts.train.lengths();
        let mut stages = Vec::with_capacity(recipe.stages.len());
        for (index, (spec, class_weights)) in recipe.stages.iter().zip(class_weights).enumerate() {
            let lengths = match (spec.rows, data.labeled()) {
                (StageRows::Labeled, Some(labeled)) => &lengths[..texts.train.of_examples(labeled.train.len())],
                _ => &lengths[..],
            };
            let mut planned = PlannedStage::new(index, spec, lengths, &streams);
            planned.class_weights = class_weights;
            stages.push(planned);
        }
        let EncodedTexts { train, dev, teacher_dev, aligned, mixture, facts } = texts;
        let masker = match &mixture {
            _ if !masks => None,
            Some(mixture) => Some(Masker::of_two(&tokenizer, &mixture.second)?),
            None => Some(Masker::new(&tokenizer)?),
        };
        let (student, tokenizer) = match &mixture {
            Some(mixture) => {
                (student.with_second_vocabulary(&recipe, &tokenizer, &mixture.second)?, mixture.second.clone())
            }
            None => (student, tokenizer),
        };
        let mut plan = Plan {
            recipe,
            labeled: data.into_labeled(),
            max_tokens,
            facts,
            masker,
            mixture,
            train_texts: train,
            dev_texts: dev,
            teacher_dev_texts: teacher_dev,
            tokenizer,
            teacher_ids,
            aligned,
            embeddings,
            teacher,
            student,
            stages,
            grid,
            tariff,
            notes,
            scarce_memory: None,
        };
        plan.scarce_memory = Memory::of(&plan).check(FreeMemory::here().as_ref())?;
        Ok(plan)
    }

    /// Checks the recipe of a student whose teacher this plan makes, before the teacher is made: its first weights stand in for
    /// those that it will have.
    ///
    /// # Errors
    /// As [`Plan::new`].
    pub fn check_student(&self, mut recipe: Recipe) -> Result<(), Error> {
        let teacher = recipe.teacher.as_mut().map(|teacher| {
            teacher.path = None;
            let bundle = Bundle::new(self.student.config.clone(), self.student.weights.clone());
            Model { name: "teacher".into(), bundle, tokenizer: self.tokenizer.clone() }
        });
        Plan::with(recipe, Inputs { teacher, ..Inputs::default() }).map(drop)
    }

    /// The recipe.
    pub fn recipe(&self) -> &Recipe {
        &self.recipe
    }

    /// The student's configuration in a stage: wider than in the end where its units go gradually.
    pub(crate) fn stage_config(&self, stage: usize) -> EncoderConfig {
        let feed_forward = self.stages[stage].spec.feed_forward.unwrap_or(self.student.config.feed_forward);
        EncoderConfig { feed_forward, ..self.student.config.clone() }
    }

    /// The rows with their labels; `None` for raw text.
    pub fn labeled(&self) -> Option<&LabeledData> {
        self.labeled.as_ref()
    }

    /// Longest sequence in tokens.
    pub fn max_tokens(&self) -> usize {
        self.max_tokens
    }

    /// Rows that the stages learn from, those without labels included; of questions, the windows of their contexts.
    pub fn training_rows(&self) -> usize {
        self.train_texts.len()
    }

    /// The batch of these training rows as the teacher reads it.
    pub(crate) fn teacher_batch(&self, rows: &[u32]) -> Batch {
        match &self.aligned {
            Some(aligned) => aligned.teacher_batch(rows),
            None => self.as_teacher_reads(&self.train_texts.batch(rows)),
        }
    }

    /// A batch of the student's ids in the teacher's, where the student has a part of its vocabulary.
    pub(crate) fn as_teacher_reads(&self, batch: &Batch) -> Batch {
        match &self.teacher_ids {
            Some(ids) => Batch { ids: batch.ids.iter().map(|&id| ids[id as usize]).collect(), ..batch.clone() },
            None => batch.clone(),
        }
    }

    /// From text to the token ids of the student as it is written.
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

    /// The configuration with which the student is written.
    pub(crate) fn written_config(&self) -> EncoderConfig {
        self.student.written_config(&self.tokenizer)
    }

    /// Training loops.
    pub fn stages(&self) -> &[PlannedStage] {
        &self.stages
    }

    /// Notes to show the user.
    pub fn notes(&self) -> &[String] {
        &self.notes
    }

    /// A warning where the memory of this machine may not be enough for the run.
    pub fn scarce_memory(&self) -> Option<&str> {
        self.scarce_memory.as_deref()
    }

    /// Updates of all stages.
    pub fn steps(&self) -> usize {
        self.stages.iter().map(|stage| stage.steps).sum()
    }
}

/// The labeled rows of a recipe, and those beside them, cut to what the models take.
fn labeled_data(
    recipe: &Recipe,
    inputs: &mut Inputs,
    tokenizer: &Tokenizer,
    models: &[(&str, &EncoderConfig)],
    streams: &Streams,
    notes: &mut Vec<String>,
) -> Result<LabeledRows, Error> {
    let mut data = inputs.data(recipe, streams)?;
    for (name, config) in models {
        data.fit_positions(name, config);
    }
    choose_by_classes(recipe, &mut data, notes);
    notes.extend(data.notes.iter().cloned());
    data.metrics.iter().try_for_each(|&metric| score::check_metric(metric, &data.train.target))?;
    note_leaks(&data, notes);
    let mask = tokenizer.mask_id().and_then(|id| tokenizer.token(id));
    let more = more_rows::collect(&recipe.more, &recipe.data, &data, mask.as_deref(), streams, notes)?;
    Ok(LabeledRows { data, more })
}

/// What the student's head has to answer.
fn head(recipe: &Recipe, labeled: Option<&LabeledData>) -> Head {
    match labeled {
        Some(data) => head_of(&data.train.target),
        None if recipe.stages.iter().flat_map(|stage| &stage.objectives).any(|term| term.masking().is_some()) => {
            Head::MaskedLm
        }
        None => Head::None,
    }
}

/// Where classes are weighted, accuracy, which counts all rows equally, is a poor judge of checkpoints.
fn choose_by_classes(recipe: &Recipe, data: &mut LabeledData, notes: &mut Vec<String>) {
    let weighted = recipe.stages.iter().any(|stage| stage.class_weights.is_some());
    let said =
        matches!(recipe.data, DataSpec::Table { metric: Some(_), .. } | DataSpec::Tagged { metric: Some(_), .. });
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
