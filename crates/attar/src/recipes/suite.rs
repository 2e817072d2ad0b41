//! The recipes of a suite of tasks.

use std::path::{Path, PathBuf};

use attar_distill::data::LabeledData;
use attar_distill::model_directory;
use attar_distill::recipe::{ClassifierChoice, DataSpec, MoreSpec, Recipe};
use attar_distill::rules::{Effort, Facts};
use attar_model::Bundle;
use attar_text::random::Streams;
use attar_text::tokenizer::Tokenizer;

use super::{Common, distill_from, effort_of, gold_stage};
use crate::cli::glue::GlueArgs;
use crate::cli::training::{MoreArgs, TrainingArgs};

/// A fine-tuning of the suite's encoder on a task.
pub(crate) fn teacher(args: &GlueArgs, encoder: &Path, data: DataSpec, seed: u64) -> anyhow::Result<Recipe> {
    let training = training(seed);
    let common = Common::new(data, &training, &args.energy)?;
    let stage = common.finetune_stage(encoder, effort_of(args.effort))?;
    common.finetune(encoder, true, ClassifierChoice::Auto, stage)
}

/// The student of a task by the rules of `attar distill`.
pub(crate) fn student(
    args: &GlueArgs,
    data: DataSpec,
    seed: u64,
    teacher: &Path,
    folder: &Path,
) -> anyhow::Result<Recipe> {
    let training = training(seed);
    let common = Common::new(data, &training, &args.energy)?;
    let more = MoreArgs { unlabeled: Vec::<PathBuf>::new(), noisy_copies: None };
    distill_from(&common, &args.shape, &more, effort_of(args.effort), teacher, Some(folder))
}

/// The student of a recipe that learns from gold labels alone, by the rules of a fine-tuning.
pub(crate) fn gold_only(recipe: &Recipe, teacher: &Path, effort: Effort) -> anyhow::Result<Recipe> {
    let directory = model_directory::existing(teacher)?;
    let data = LabeledData::load(&recipe.data, &Streams::new(recipe.seed))?;
    let facts = Facts::of(&data, &Tokenizer::from_dir(&directory)?)?;
    let stages = vec![gold_stage(facts, Bundle::read_config(&directory)?.hidden, effort)];
    Ok(Recipe { stages, more: MoreSpec::default(), ..recipe.clone() })
}

/// The training flags of a suite: all defaults but the seed.
fn training(seed: u64) -> TrainingArgs {
    TrainingArgs {
        epochs: None,
        steps: None,
        batch_rows: None,
        batch_tokens: None,
        rate: None,
        evaluate_every: 0,
        checkpoint_every: 500,
        keep_checkpoints: false,
        seed,
        device: "cpu".into(),
        license: None,
        language: Vec::new(),
        hub_data: Vec::new(),
    }
}
