//! From flags to recipes.

use std::path::Path;

use anyhow::Context;
use attar_distill::objectives::{LayerMap, Objective, Semantics};
use attar_distill::recipe::{
    CheckpointSpec, ClassifierChoice, DataSpec, DeviceChoice, EnergySource, EnergySpec, HeadStart, MoreSpec, Recipe,
    StageLength, StageSpec, StudentSpec, TeacherPrecision, TeacherSpec,
};
use attar_text::layout::Layout;

use crate::cli::data::DataArgs;
use crate::cli::{DistillArgs, EnergyArgs, FinetuneArgs, TrainingArgs};

/// Learning rate of a fine-tuning (Devlin et al. choose among 2e-5, 3e-5, 5e-5).
const FINETUNE_RATE: f64 = 5e-5;
/// Learning rates of a student that begins with random weights: those of experiments/first-light.
const INTERMEDIATE_RATE: f64 = 1e-3;
const PREDICTION_RATE: f64 = 5e-4;

/// The recipe of `attar finetune`.
pub(crate) fn finetune(args: &FinetuneArgs) -> anyhow::Result<Recipe> {
    if let Some(file) = &args.run.recipe {
        return read(file);
    }
    let path = args.model.clone().context("no model was given")?;
    let gold = vec![Objective::Gold { weight: 1.0 }];
    let mut stage = stage("finetune", gold, &args.training, FINETUNE_RATE);
    if args.training.epochs.is_none() && args.training.steps.is_none() {
        stage.length = StageLength::Epochs(2);
    }
    Ok(Recipe {
        seed: args.training.seed,
        semantics: Semantics::Clean,
        device: device(&args.training.device)?,
        data: data(&args.data)?,
        teacher: None,
        student: StudentSpec::Model {
            path,
            new_head: args.new_head,
            classifier: ClassifierChoice::Auto,
            head: HeadStart::Frozen,
        },
        stages: vec![stage],
        more: MoreSpec::default(),
        checkpoint: checkpoint(&args.training),
        energy: energy(&args.energy)?,
    })
}

/// The recipe of `attar distill`: TinyBERT's two stages, or gold labels alone.
pub(crate) fn distill(args: &DistillArgs) -> anyhow::Result<Recipe> {
    if let Some(file) = &args.run.recipe {
        return read(file);
    }
    let path = args.teacher.clone().context("no teacher was given")?;
    let shape = &args.shape;
    let teacher_heads = attar_model::checkpoint::read_config(&attar_distill::model_directory::existing(&path)?)?.heads;
    let student = StudentSpec::Shape {
        layers: shape.layers,
        hidden: shape.hidden,
        heads: shape.heads,
        feed_forward: shape.feed_forward.unwrap_or(4 * shape.hidden),
        tokenizer: None,
        classifier: ClassifierChoice::Auto,
        vocabulary: None,
    };
    let training = &args.training;
    let stages = if args.gold_only {
        vec![stage("gold", vec![Objective::Gold { weight: 1.0 }], training, PREDICTION_RATE)]
    } else {
        let inside = intermediate(shape.heads, teacher_heads);
        let soft = vec![Objective::Soft { weight: 1.0, temperature: 1.0 }];
        vec![
            stage("intermediate", inside, training, INTERMEDIATE_RATE),
            stage("prediction", soft, training, PREDICTION_RATE),
        ]
    };
    Ok(Recipe {
        seed: training.seed,
        semantics: Semantics::Clean,
        device: device(&training.device)?,
        data: data(&args.data)?,
        teacher: Some(TeacherSpec { path, precision: TeacherPrecision::default() }),
        student,
        stages,
        more: MoreSpec::default(),
        checkpoint: checkpoint(training),
        energy: energy(&args.energy)?,
    })
}

/// TinyBERT's intermediate objectives; relations take the place of scores where head counts differ.
pub(crate) fn intermediate(heads: usize, teacher_heads: usize) -> Vec<Objective> {
    let inside = if heads == teacher_heads {
        Objective::Attention { weight: 1.0, map: LayerMap::default() }
    } else {
        Objective::Relation { weight: 1.0, heads, layer: None }
    };
    vec![Objective::Embedding { weight: 1.0 }, Objective::Hidden { weight: 1.0, map: LayerMap::default() }, inside]
}

/// A stage as the flags describe it.
fn stage(name: &str, objectives: Vec<Objective>, training: &TrainingArgs, rate: f64) -> StageSpec {
    let length = match (training.epochs, training.steps) {
        (Some(epochs), _) => StageLength::Epochs(epochs),
        (None, Some(steps)) => StageLength::Steps(steps),
        (None, None) => StageLength::default(),
    };
    StageSpec {
        name: name.into(),
        length,
        batch_rows: training.batch_rows,
        batch_tokens: training.batch_tokens,
        rate: training.rate.unwrap_or(rate),
        evaluate_every: training.evaluate_every,
        ..StageSpec::new(objectives)
    }
}

/// When checkpoints are written and whether they stay.
fn checkpoint(training: &TrainingArgs) -> CheckpointSpec {
    CheckpointSpec { every: training.checkpoint_every, clean: !training.keep_checkpoints, ..CheckpointSpec::default() }
}

/// The data that the flags name.
fn data(args: &DataArgs) -> anyhow::Result<DataSpec> {
    let path = args.data.clone().context("no data were given")?;
    if path.is_dir() {
        let layout = match &args.layout {
            Some(name) => Layout::from_name(name)?,
            None => Layout::detect(&path)?,
        };
        return Ok(DataSpec::Known {
            layout: layout.name().into(),
            path,
            max_tokens: args.max_tokens,
            rows: args.rows,
        });
    }
    let regression = args.regression.as_ref().map(|range| [range[0], range[1]]);
    Ok(DataSpec::Table {
        train: path,
        dev: args.dev.clone(),
        dev_share: 0.1,
        text: args.table.text.clone(),
        pair: args.table.pair.clone(),
        label: args.label.label.clone(),
        labels: args.label.labels.clone(),
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

fn read(file: &Path) -> anyhow::Result<Recipe> {
    Ok(Recipe::read(file)?)
}
