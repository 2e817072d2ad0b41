//! From flags to recipes.

mod own_pieces;
mod raw_text;
pub(crate) mod suite;

use std::path::Path;

use anyhow::Context;
use attar_distill::baseline::PairReadings;
use attar_distill::data::LabeledData;
use attar_distill::model_directory;
use attar_distill::objectives::{Attention, Embedding, Gold, Hidden, LayerMap, Objective, Relation, Semantics};
use attar_distill::recipe::{
    CardSpec, CheckpointSpec, ClassifierChoice, DataSpec, DeviceChoice, EnergySource, EnergySpec, HeadStart, MoreSpec,
    Recipe, StageLength, StageSpec, StudentSpec, TeacherPrecision, TeacherSpec,
};
use attar_distill::rules::{self, Effort, Facts, Init};
use attar_model::{Bundle, EncoderConfig};
use attar_runtime::{Options, Precision, Session};
use attar_text::labeled::Target;
use attar_text::layout::Layout;
use attar_text::random::Streams;
use attar_text::tokenizer::Tokenizer;

use crate::cli::data::DataArgs;
use crate::cli::training::{
    ClassArgs, ClassifierArg, EffortArg, EnergyArgs, InitArg, MoreArgs, QualityArgs, ShapeArgs, TrainingArgs,
};
use crate::cli::{DistillArgs, FinetuneArgs};
use crate::progress::waiting;
use crate::{console, hub};

pub(crate) use raw_text::{general, pretrain};

/// Share of a table's rows that is held out where nothing else is said.
const DEV_SHARE: f64 = 0.1;

/// Bytes of the teacher's traces that a distillation by flags keeps while it runs.
const TRACE_CACHE: u64 = 1_000_000_000;

/// The recipe of `attar finetune`: what flags say, and else what the rules make of the data.
pub(crate) fn finetune(args: &FinetuneArgs) -> anyhow::Result<Recipe> {
    if let Some(file) = &args.run.recipe {
        return read(file);
    }
    let path = args.model.clone().context("no model was given")?;
    model_directory::existing(&path)?;
    let common = Common::of(&args.data, &args.training, &args.energy)?;
    let classifier = match args.classifier {
        ClassifierArg::Auto => ClassifierChoice::Auto,
        ClassifierArg::FirstToken => ClassifierChoice::FirstToken,
        ClassifierArg::Mean => ClassifierChoice::Mean,
        ClassifierArg::Cosine => ClassifierChoice::Cosine,
    };
    let mut stage = common.finetune_stage(&path, effort(&args.quality))?;
    flags(&mut stage, &args.training);
    weigh_classes(&mut stage, &args.classes);
    common.finetune(&path, args.new_head, classifier, stage)
}

/// The recipe that makes a teacher of a bare encoder for `attar distill`.
pub(crate) fn teacher(args: &DistillArgs, path: &Path) -> anyhow::Result<Recipe> {
    let common = Common::of(&args.data, &args.training, &args.energy)?;
    // Lengths and rates that were given are the student's.
    let stage = common.finetune_stage(path, effort(&args.quality))?;
    let stage = StageSpec { class_weights: args.classes.class_weights.clone(), ..stage };
    common.finetune(path, false, ClassifierChoice::Auto, stage)
}

/// The recipe of `attar distill`: what flags say, and else what the rules make of teacher and data.
///
/// A vocabulary of the student's own is trained here and written into the folder of the run; without a folder, the student has
/// the teacher's pieces in its place, which is enough to check the rest.
pub(crate) fn distill(args: &DistillArgs, teacher: &Path, folder: Option<&Path>) -> anyhow::Result<Recipe> {
    let common = Common::of(&args.data, &args.training, &args.energy)?;
    let effort = effort(&args.quality);
    let mut recipe = distill_from(&common, &args.shape, &args.more, effort, teacher, folder)?;
    recipe.teacher.iter_mut().for_each(|teacher| teacher.trace_cache = args.trace_cache as u64);
    if args.gold_only {
        let directory = model_directory::existing(teacher)?;
        let width = Bundle::read_config(&directory)?.hidden;
        recipe.stages = vec![gold_stage(common.facts(&directory)?, width, effort)];
        recipe.more.noisy_copies = 0;
    }
    for stage in &mut recipe.stages {
        flags(stage, &args.training);
        weigh_classes(stage, &args.classes);
    }
    Ok(recipe)
}

/// The stage of a student that learns from gold labels alone.
fn gold_stage(facts: Facts, hidden: usize, effort: Effort) -> StageSpec {
    let objectives = vec![Objective::from(Gold { weight: 1.0 })];
    StageSpec { name: "gold".into(), objectives, ..rules::finetune(facts, hidden, effort) }
}

/// The recipe of a student of a teacher, by the rules.
fn distill_from(
    common: &Common<'_>,
    shape: &ShapeArgs,
    more_args: &MoreArgs,
    effort: Effort,
    teacher: &Path,
    folder: Option<&Path>,
) -> anyhow::Result<Recipe> {
    let max_tokens = common.rows.max_tokens;
    let directory = model_directory::existing(teacher)?;
    let facts = common.facts(&directory)?;
    let config = Bundle::read_config(&directory)?;
    let (mut student, base) = begun(shape, &config)?;
    if let (Some(files), None, Some(folder)) = (&shape.own_pieces, &base, folder) {
        let given =
            own_pieces::StudentContext { shape, teacher: (&directory, &config), rows: &common.rows, facts, folder };
        student = own_pieces::student(student, files, &given)?;
    } else if base.is_none() && shape.tokenizer.is_none() && student.vocabulary().is_none() {
        let within = |bytes| rules::vocabulary_within(&student, &config, max_tokens, bytes);
        let pieces = match shape.max_bytes {
            Some(bytes) => within(bytes).context("--max-bytes")?,
            // Nobody asked for a tenth: a shape that has no room in it keeps all pieces.
            None => within(rules::default_max_bytes(&config)).unwrap_or(None),
        };
        student = student.with_vocabulary(pieces);
    } else if let (Some(folder), Some(bytes), None) = (&shape.tokenizer, shape.max_bytes, student.vocabulary()) {
        let own = Tokenizer::from_dir(&model_directory::locate(folder))?.vocabulary_size();
        let with_own = EncoderConfig { vocabulary: own, ..config.clone() };
        let kept = rules::vocabulary_within(&student, &with_own, max_tokens, bytes).context("--max-bytes")?;
        student = student.with_vocabulary(kept);
    }
    let mut more = MoreSpec { unlabeled: more_args.unlabeled.clone(), ..MoreSpec::default() };
    more.noisy_copies = more_args.noisy_copies.unwrap_or_else(|| rules::noisy_copies(facts.rows));
    let extra_rows = more.unlabeled.is_empty().then_some(facts.rows * more.noisy_copies);
    let stages = rules::student_stages(facts, &student, &config, base.as_ref(), extra_rows, effort);
    let teacher = TeacherSpec {
        path: Some(teacher.to_path_buf()),
        precision: TeacherPrecision::default(),
        trace_cache: TRACE_CACHE,
    };
    Ok(Recipe { teacher: Some(teacher), stages, more, ..common.recipe(student)? })
}

/// The student that the flags describe, and the configuration of the model that it begins with, where that is not the
/// teacher.
fn begun(args: &ShapeArgs, teacher: &EncoderConfig) -> anyhow::Result<(StudentSpec, Option<EncoderConfig>)> {
    if let Some(path) = &args.student {
        let base = Bundle::read_config(&model_directory::existing(path)?)?;
        let spec = StudentSpec::Model {
            path: Some(path.clone()),
            new_head: true,
            classifier: ClassifierChoice::Auto,
            head: HeadStart::Frozen,
        };
        return Ok((spec, Some(base)));
    }
    let init = match args.init {
        InitArg::Random => Init::Random,
        InitArg::Layers => Init::Layers,
        InitArg::Pruned => Init::Pruned,
    };
    Ok((shaped(rules::student(teacher, init), args, teacher)?, None))
}

/// A student with the sizes that were given.
fn shaped(student: StudentSpec, args: &ShapeArgs, teacher: &EncoderConfig) -> anyhow::Result<StudentSpec> {
    Ok(match student {
        StudentSpec::Teacher {
            layers, hidden, embedding_width, heads, feed_forward, vocabulary, embeddings, ..
        } => StudentSpec::Teacher {
            layers: match args.layers {
                Some(count) => {
                    anyhow::ensure!(
                        (1..=teacher.layers).contains(&count),
                        "--layers: a student from its teacher has 1 to {} layers, got {count}; `--init random` may have more",
                        teacher.layers
                    );
                    (1..=count).map(|layer| (layer * teacher.layers).div_ceil(count)).collect()
                }
                None => layers,
            },
            hidden: args.hidden.or(hidden),
            embedding_width: args.embedding_width.or(embedding_width),
            heads: args.heads.or(heads),
            feed_forward: args.feed_forward.or(feed_forward),
            tokenizer: args.tokenizer.clone(),
            embeddings,
            vocabulary: args.vocabulary.or(vocabulary),
        },
        StudentSpec::Shape {
            layers,
            hidden,
            embedding_width,
            heads,
            feed_forward,
            embeddings,
            classifier,
            vocabulary,
            ..
        } => {
            let width = args.hidden.unwrap_or(hidden);
            StudentSpec::Shape {
                layers: args.layers.unwrap_or(layers),
                hidden: width,
                embedding_width: args.embedding_width.or(embedding_width),
                heads: args.heads.unwrap_or(heads),
                feed_forward: args.feed_forward.unwrap_or(if args.hidden.is_some() { 4 * width } else { feed_forward }),
                tokenizer: args.tokenizer.clone(),
                embeddings,
                classifier,
                vocabulary: args.vocabulary.or(vocabulary),
            }
        }
        other => other,
    })
}

/// What the flags of all training commands say.
struct Common<'a> {
    data: DataSpec,
    rows: LabeledData,
    training: &'a TrainingArgs,
    energy: EnergySpec,
}

impl Common<'_> {
    fn of<'a>(
        data_args: &DataArgs,
        training: &'a TrainingArgs,
        energy_args: &EnergyArgs,
    ) -> anyhow::Result<Common<'a>> {
        Common::new(data(data_args)?, training, energy_args)
    }

    fn new<'a>(data: DataSpec, training: &'a TrainingArgs, energy_args: &EnergyArgs) -> anyhow::Result<Common<'a>> {
        let rows = LabeledData::load(&data, &Streams::new(training.seed))?;
        Ok(Common { data, rows, training, energy: energy(energy_args)? })
    }

    /// What the rules depend on, for a model in this directory.
    fn facts(&self, directory: &Path) -> anyhow::Result<Facts> {
        Ok(Facts::of(&self.rows, &Tokenizer::from_dir(directory)?)?)
    }

    /// A recipe without stages.
    fn recipe(&self, student: StudentSpec) -> anyhow::Result<Recipe> {
        Ok(Recipe {
            seed: self.training.seed,
            semantics: Semantics::Clean,
            device: device(&self.training.device)?,
            data: self.data.clone(),
            teacher: None,
            student,
            stages: Vec::new(),
            more: MoreSpec::default(),
            checkpoint: checkpoint(self.training),
            energy: self.energy.clone(),
            card: card(self.training),
        })
    }

    /// The stage of a fine-tuning of this model by the rules.
    fn finetune_stage(&self, path: &Path, effort: Effort) -> anyhow::Result<StageSpec> {
        let directory = model_directory::existing(path)?;
        Ok(rules::finetune(self.facts(&directory)?, Bundle::read_config(&directory)?.hidden, effort))
    }

    fn finetune(
        &self,
        path: &Path,
        new_head: bool,
        classifier: ClassifierChoice,
        stage: StageSpec,
    ) -> anyhow::Result<Recipe> {
        let directory = model_directory::existing(path)?;
        let classifier = match classifier {
            ClassifierChoice::Auto if self.scores_pairs() && Bundle::read_pooling(&directory)?.is_some() => {
                self.pair_reading(&directory)?
            }
            other => other,
        };
        let student =
            StudentSpec::Model { path: Some(path.to_path_buf()), new_head, classifier, head: HeadStart::Frozen };
        Ok(Recipe { stages: vec![stage], ..self.recipe(student)? })
    }

    /// How a sentence encoder is to read pairs with a score: by the cosine of their texts, or as one sequence where the scores
    /// are not how alike the texts are.
    fn pair_reading(&self, directory: &Path) -> anyhow::Result<ClassifierChoice> {
        let looking = waiting("looking at how pairs are best read");
        let options = Options::new(Precision::F32, rayon::current_num_threads());
        let mut session = Session::load_headless(directory, &options)?;
        session.truncate_to(self.rows.max_tokens);
        let readings = PairReadings::of(&mut session, &self.rows.train, &Streams::new(self.training.seed))?;
        looking.finish_and_clear();
        let Some(readings) = readings else { return Ok(ClassifierChoice::Cosine) };
        let (chosen, choice) = match readings.prefers_cosine() {
            true => ("the cosine is kept", ClassifierChoice::Cosine),
            false => ("a pair is read as one sequence", ClassifierChoice::Auto),
        };
        console::note(format!(
            "before training, the cosine of two texts explains {:.1} % of the variance of {} scores, a linear model over both \
             vectors {:.1} %: {chosen}; --classifier chooses otherwise",
            100.0 * readings.cosine,
            readings.rows,
            100.0 * readings.vectors
        ));
        Ok(choice)
    }

    fn scores_pairs(&self) -> bool {
        self.rows.train.has_pairs() && matches!(self.rows.train.target, Target::Regression { .. })
    }
}

pub(crate) fn effort(args: &QualityArgs) -> Effort {
    effort_of(args.effort)
}

pub(crate) fn effort_of(effort: EffortArg) -> Effort {
    match effort {
        EffortArg::Quick => Effort::Quick,
        EffortArg::Default => Effort::Default,
        EffortArg::Best => Effort::Best,
    }
}

/// TinyBERT's intermediate objectives; relations take the place of scores where head counts differ.
pub(crate) fn intermediate(heads: usize, teacher_heads: usize) -> Vec<Objective> {
    let inside = if heads == teacher_heads {
        Objective::from(Attention { weight: 1.0, map: LayerMap::default() })
    } else {
        Objective::from(Relation { weight: 1.0, heads, layer: None })
    };
    vec![
        Objective::from(Embedding { weight: 1.0 }),
        Objective::from(Hidden { weight: 1.0, map: LayerMap::default() }),
        inside,
    ]
}

/// Changes a stage to what the flags say.
fn flags(stage: &mut StageSpec, training: &TrainingArgs) {
    match (training.epochs, training.steps) {
        (Some(epochs), _) => stage.length = StageLength::Epochs(epochs),
        (None, Some(steps)) => stage.length = StageLength::Steps(steps),
        (None, None) => {}
    }
    if training.epochs.is_some() || training.steps.is_some() {
        stage.evaluate_every = 0;
    }
    stage.batch_rows = training.batch_rows.unwrap_or(stage.batch_rows);
    stage.batch_tokens = training.batch_tokens.or(stage.batch_tokens);
    stage.rate = training.rate.unwrap_or(stage.rate);
    if training.evaluate_every > 0 {
        stage.evaluate_every = training.evaluate_every;
    }
}

/// Weights classes as the flag says, where a stage learns from labels.
fn weigh_classes(stage: &mut StageSpec, args: &ClassArgs) {
    if stage.objectives.iter().any(|objective| matches!(objective, Objective::Gold(_))) {
        stage.class_weights = args.class_weights.clone();
    }
}

/// When checkpoints are written and whether they stay.
fn checkpoint(training: &TrainingArgs) -> CheckpointSpec {
    CheckpointSpec { every: training.checkpoint_every, clean: !training.keep_checkpoints, ..CheckpointSpec::default() }
}

/// The data that the flags name.
pub(crate) fn data(args: &DataArgs) -> anyhow::Result<DataSpec> {
    let path = args
        .data
        .clone()
        .context("no data were given: name a file or a folder with --data, or a recipe with --recipe")?;
    if path.is_dir() {
        anyhow::ensure!(!args.label.answers, "{} is a folder: name the file of the questions", path.display());
        let layout = match &args.layout {
            Some(name) => Layout::from_name(name)?,
            None => Layout::detect(&path)?,
        };
        return Ok(DataSpec::Known {
            layout: layout.name().into(),
            path,
            dev_share: args.dev_share,
            max_tokens: args.max_tokens,
            rows: args.rows,
        });
    }
    if args.label.tagged || crate::rows::is_tagged(&path) {
        let other = [args.regression.is_some(), args.label.multi_label.is_some(), args.label.label_file.is_some()];
        anyhow::ensure!(
            other == [false; 3],
            "{}: words have tags here: leave --regression, --multi-label and --label-file out",
            path.display()
        );
        return Ok(DataSpec::Tagged {
            train: path,
            dev: args.dev.clone(),
            dev_share: args.dev_share.unwrap_or(DEV_SHARE),
            labels: args.label.class_names(),
            metric: args.metric.clone(),
            max_tokens: args.max_tokens,
            rows: args.rows,
        });
    }
    if args.label.answers {
        anyhow::ensure!(
            args.regression.is_none() && args.dev_label_file.is_none(),
            "{}: questions have answers here: leave --regression and --dev-label-file out",
            path.display()
        );
        return Ok(DataSpec::Answers {
            train: path,
            dev: args.dev.clone(),
            dev_share: args.dev_share.unwrap_or(DEV_SHARE),
            metric: args.metric.clone(),
            max_tokens: args.max_tokens,
            rows: args.rows,
        });
    }
    let regression = args.regression.as_ref().map(|range| [range[0], range[1]]);
    Ok(DataSpec::Table {
        train: path,
        dev: args.dev.clone(),
        dev_share: args.dev_share.unwrap_or(DEV_SHARE),
        text: args.table.text.clone(),
        pair: args.table.pair.clone(),
        label: args.label.label.clone(),
        labels: args.label.class_names(),
        multi_label: args.label.multi_label.clone(),
        regression,
        format: args.table.format.table_format(),
        label_file: args.label.label_file.clone(),
        dev_label_file: args.dev_label_file.clone(),
        metric: args.metric.clone(),
        max_tokens: args.max_tokens,
        rows: args.rows,
    })
}

/// The energy section that the flags describe.
pub(crate) fn energy(args: &EnergyArgs) -> anyhow::Result<EnergySpec> {
    Ok(EnergySpec {
        source: word::<EnergySource>("--energy", &args.energy)?,
        watts: args.watts,
        region: args.region.clone(),
        pue: args.pue.clone(),
        price: args.price,
        machine_hour: args.machine_hour,
        currency: args.currency.clone(),
    })
}

fn device(name: &str) -> anyhow::Result<DeviceChoice> {
    word("--device", name)
}

/// One of the words that a recipe knows.
fn word<T: serde::de::DeserializeOwned>(flag: &str, word: &str) -> anyhow::Result<T> {
    serde_json::from_value(word.into()).map_err(|e| anyhow::anyhow!("{flag}: {e}"))
}

/// What the flags say for the student's card.
fn card(training: &TrainingArgs) -> CardSpec {
    let TrainingArgs { license, language, hub_data, .. } = training;
    CardSpec { license: license.clone(), languages: language.clone(), datasets: hub_data.clone() }
}

/// Reads a recipe; models of the hub that it names are fetched.
pub(crate) fn read(file: &Path) -> anyhow::Result<Recipe> {
    let mut recipe = Recipe::read(file)?;
    hub::locate_all(recipe.models())?;
    Ok(recipe)
}
