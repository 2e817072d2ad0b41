//! From flags to recipes over raw text.

use std::path::Path;

use anyhow::Context;
use attar_distill::model_directory;
use attar_distill::objectives::{MaskedLm, Semantics};
use attar_distill::recipe::{
    ClassifierChoice, CorpusLayout, DataSpec, HeadStart, MixSpec, MoreSpec, Recipe, StageSpec, StudentSpec,
    TeacherPrecision, TeacherSpec,
};
use attar_distill::rules;
use attar_model::Bundle;

use super::{begun, card, checkpoint, device, effort, energy, flags, read};
use crate::cli::DistillArgs;
use crate::cli::data::CorpusArgs;
use crate::cli::pretrain::{NewShapeArgs, PretrainArgs};
use crate::cli::training::{EnergyArgs, TrainingArgs};

/// Hidden width of a new encoder: TinyBERT's.
const HIDDEN: usize = 312;

/// The recipe of `attar pretrain`.
pub(crate) fn pretrain(args: &PretrainArgs) -> anyhow::Result<Recipe> {
    if let Some(file) = &args.run.recipe {
        return read(file);
    }
    let student = match (&args.model, &args.shape.tokenizer) {
        (Some(model), _) => {
            let NewShapeArgs { layers, hidden, embedding_width, heads, feed_forward, .. } = args.shape;
            anyhow::ensure!(
                [layers, hidden, embedding_width, heads, feed_forward].iter().all(Option::is_none),
                "--layers, --hidden, --embedding-width, --heads and --feed-forward shape a new encoder (--tokenizer): {} keeps its own",
                model.display()
            );
            model_directory::existing(model)?;
            StudentSpec::Model {
                path: Some(model.clone()),
                new_head: false,
                classifier: ClassifierChoice::Auto,
                head: HeadStart::Random,
            }
        }
        (None, tokenizer) => StudentSpec::Shape {
            layers: args.shape.layers.unwrap_or(4),
            hidden: args.shape.hidden.unwrap_or(HIDDEN),
            embedding_width: args.shape.embedding_width,
            heads: args.shape.heads.unwrap_or(12),
            feed_forward: args.shape.feed_forward.unwrap_or(4 * args.shape.hidden.unwrap_or(HIDDEN)),
            tokenizer: Some(tokenizer.clone().context("give a model, or --tokenizer with the shape of a new one")?),
            embeddings: args.shape.embeddings.clone(),
            classifier: ClassifierChoice::Auto,
            vocabulary: None,
        },
    };
    let objective = MaskedLm { share: args.mask, whole_words: args.whole_words, ..MaskedLm::default() };
    let mut data = corpus(&args.corpus, args.max_tokens, args.rows)?;
    if let DataSpec::Corpus { mix, .. } = &mut data {
        *mix = args.second_tokenizer.clone().map(|tokenizer| MixSpec {
            tokenizer,
            share: args.second_share,
            last_share: None,
            width: args.second_width,
        });
    }
    let stage = rules::masked_lm(objective, effort(&args.quality));
    recipe(data, student, None, stage, &args.training, &args.energy)
}

/// The recipe of `attar distill --corpus`: the teacher's states on raw text.
pub(crate) fn general(args: &DistillArgs, teacher: &Path) -> anyhow::Result<Recipe> {
    anyhow::ensure!(
        args.data.data.is_none(),
        "--data and --corpus: a student learns from labeled rows or from raw text"
    );
    let of_labels = [
        ("--unlabeled", !args.more.unlabeled.is_empty()),
        ("--noisy-copies", args.more.noisy_copies.is_some()),
        ("--gold-only", args.gold_only),
        ("--max-bytes", args.shape.max_bytes.is_some()),
        ("--own-pieces", args.shape.own_pieces.is_some()),
        ("--class-weights", args.classes.class_weights.is_some()),
        ("--dev", args.data.dev.is_some()),
        ("--layout", args.data.layout.is_some()),
        ("--pair", args.data.table.pair.is_some()),
        ("--labels", args.data.label.labels.is_some()),
        ("--multi-label", args.data.label.multi_label.is_some()),
        ("--label-file", args.data.label.label_file.is_some()),
        ("--regression", args.data.regression.is_some()),
        ("--metric", args.data.metric.is_some()),
    ];
    if let Some((flag, _)) = of_labels.iter().find(|(_, is_given)| *is_given) {
        anyhow::bail!("{flag} belongs to labeled data (--data): leave it out beside --corpus");
    }
    let config = Bundle::read_config(&model_directory::existing(teacher)?)?;
    let (student, base) = begun(&args.shape, &config)?;
    let data = corpus(&args.corpus, args.data.max_tokens, args.data.rows)?;
    let stage = rules::general(&student, &config, base.as_ref(), effort(&args.quality));
    let teacher =
        TeacherSpec { path: Some(teacher.to_path_buf()), precision: TeacherPrecision::default(), trace_cache: 0 };
    recipe(data, student, Some(teacher), stage, &args.training, &args.energy)
}

fn corpus(args: &CorpusArgs, max_tokens: usize, rows: Option<usize>) -> anyhow::Result<DataSpec> {
    anyhow::ensure!(!args.corpus.is_empty(), "no text was given: name files with --corpus");
    let layout = if args.lines { CorpusLayout::Lines } else { CorpusLayout::Packed };
    Ok(DataSpec::Corpus { files: args.corpus.clone(), layout, held_out: args.held_out, max_tokens, rows, mix: None })
}

fn recipe(
    data: DataSpec,
    student: StudentSpec,
    teacher: Option<TeacherSpec>,
    mut stage: StageSpec,
    training: &TrainingArgs,
    energy_args: &EnergyArgs,
) -> anyhow::Result<Recipe> {
    flags(&mut stage, training);
    Ok(Recipe {
        seed: training.seed,
        semantics: Semantics::Clean,
        device: device(&training.device)?,
        data,
        teacher,
        student,
        stages: vec![stage],
        more: MoreSpec::default(),
        checkpoint: checkpoint(training),
        energy: energy(energy_args)?,
        card: card(training),
    })
}
