//! A student cut out of its teacher: some layers, the heads and feed-forward units that the loss depends on most, and,
//! where it is narrower, states in the principal directions of the teacher's own states over the training text. Where it has
//! factorized embeddings, what has come out so far is factorized.
//!
//! Structured pruning of a fine-tuned teacher keeps most of what it knows (CoFi, Xia et al., arXiv 2204.00408; GRAIN,
//! Yang et al., 2023), and embeddings by singular vectors beat random ones (XtremeDistill, Mukherjee & Awadallah 2020).

use attar_model::{EMBEDDING_PROJECTION, EncoderConfig, Tensor as Stored, Weights, expected_shapes};
use attar_text::random::Streams;

use super::importance::{self, Judged, LayerImportance, largest};
use super::principal::{self, Directions};
use super::{Begun, Progress, factorized};
use crate::Error;
use crate::plan::{Plan, initialize_missing, layers_of};
use crate::recipe::TeacherPrecision;
use crate::train::Teacher;

/// Training rows whose states and gradients decide.
const ROWS: usize = 1024;
/// Rows of a batch.
const BATCH: usize = 32;

/// The first weights of a student that keeps these layers of its teacher, counted from 1.
pub(super) fn weights(plan: &Plan, layers: &[usize], progress: Progress<'_>) -> Result<Begun, Error> {
    // A student from its teacher has one.
    let planned = plan.teacher.as_ref().expect("the plan checked that there is a teacher");
    let teacher = &planned.bundle;
    let streams = Streams::new(plan.recipe.seed);
    let batches = batches(plan);
    let (ours, theirs) = (&plan.stage_config(0), &teacher.config);
    // The teacher's shape with the student's layers and pieces; then units and heads; then the width; then the embeddings.
    let tall = EncoderConfig {
        hidden: theirs.hidden,
        embedding: theirs.embedding,
        heads: theirs.heads,
        feed_forward: theirs.feed_forward,
        ..ours.clone()
    };
    let mut weights = layers_of(teacher, layers, &plan.embeddings, &tall, planned.classes.as_deref());
    let narrower = ours.hidden < theirs.hidden;
    if ours.feed_forward < theirs.feed_forward || narrower {
        let batch = |rows: &[u32]| plan.teacher_batch(rows);
        let what = "importance of the teacher's parts";
        let answers = plan.labeled.as_ref().is_some_and(|data| planned.answers(&data.train.target));
        let model = Judged {
            what,
            config: theirs,
            weights: &teacher.weights,
            classes: planned.classes.as_deref(),
            answers,
            batch: &batch,
        };
        let importance = importance::measure(plan, &model, &batches, progress)?;
        for (index, layer) in layers.iter().enumerate() {
            keep_parts(&mut weights, index, &importance[layer - 1], ours, theirs);
        }
    }
    if narrower {
        let model = Teacher::load(plan.recipe.device, teacher, TeacherPrecision::F32, None)?;
        let directions = principal::of_states(plan, &model, &batches, layers, ours.hidden, progress)?;
        narrow(&mut weights, &directions);
        weights.insert("projection.weight", Stored::new(vec![theirs.hidden, ours.hidden], directions.columns()));
        weights.insert("projection.bias", Stored::zeros(vec![theirs.hidden]));
    }
    let begun = theirs.embedding.unwrap_or(ours.hidden);
    if let Some(width) = ours.embedding.filter(|&width| width < begun) {
        factorized::factorize(&mut weights, width, progress);
    }
    let own: Vec<String> = expected_shapes(ours).into_iter().map(|(name, _)| name).collect();
    let projection: Vec<(String, Stored)> = weights
        .iter()
        .filter(|(name, _)| !own.iter().any(|known| known == name))
        .map(|(name, tensor)| (name.to_string(), tensor.clone()))
        .collect();
    let mut all = initialize_missing(ours, weights, &streams);
    for (name, tensor) in projection {
        all.insert(name, tensor);
    }
    Ok(Begun { weights: all, frozen: None })
}

/// The parameters with which a stage after the first begins: of the stage before it, without the feed-forward units that the
/// student's loss depends on least where it is narrower.
pub(crate) fn shrunk(
    plan: &Plan,
    stage: usize,
    mut weights: Weights,
    progress: Progress<'_>,
) -> Result<Weights, Error> {
    let (before, now) = (plan.stage_config(stage - 1), plan.stage_config(stage));
    if now.feed_forward == before.feed_forward {
        return Ok(weights);
    }
    let batch = |rows: &[u32]| plan.train_texts.batch(rows);
    let what = "importance of the student's units";
    let model = Judged { what, config: &before, weights: &weights, classes: None, answers: true, batch: &batch };
    let importance = importance::measure(plan, &model, &batches(plan), progress)?;
    for (layer, importance) in importance.iter().enumerate() {
        keep_units(&mut weights, layer, &largest(&importance.units, now.feed_forward));
    }
    Ok(weights)
}

/// Batches of the rows that decide what is kept.
fn batches(plan: &Plan) -> Vec<Vec<u32>> {
    // Rows without labels tell nothing of what a task's loss depends on.
    let texts = &plan.train_texts;
    let count = plan.labeled.as_ref().map_or(texts.len(), |data| texts.of_examples(data.train.len()));
    let mut rows: Vec<u32> = (0..count as u32).collect();
    Streams::new(plan.recipe.seed).stream("pruning", &[]).shuffle(&mut rows);
    rows.truncate(ROWS);
    rows.chunks(BATCH).map(<[u32]>::to_vec).collect()
}

/// Leaves a layer these feed-forward units.
fn keep_units(weights: &mut Weights, layer: usize, units: &[usize]) {
    let name = |part: &str| format!("encoder.layer.{layer}.{part}");
    keep(weights, &name("intermediate.dense.weight"), Some(units), None);
    keep(weights, &name("intermediate.dense.bias"), Some(units), None);
    keep(weights, &name("output.dense.weight"), None, Some(units));
}

/// Leaves a layer the feed-forward units and heads that matter most.
fn keep_parts(
    weights: &mut Weights,
    layer: usize,
    importance: &LayerImportance,
    ours: &EncoderConfig,
    theirs: &EncoderConfig,
) {
    let name = |part: &str| format!("encoder.layer.{layer}.{part}");
    keep_units(weights, layer, &largest(&importance.units, ours.feed_forward));
    if ours.hidden == theirs.hidden {
        return;
    }
    // A head of the student has the first columns of a head of the teacher, as many as its width allows.
    let (theirs_wide, ours_wide) = (theirs.head_width(), ours.head_width());
    let columns: Vec<usize> = largest(&importance.heads, ours.heads)
        .into_iter()
        .flat_map(|head| head * theirs_wide..head * theirs_wide + ours_wide)
        .collect();
    for part in ["query", "key", "value"] {
        keep(weights, &name(&format!("attention.self.{part}.weight")), Some(&columns), None);
        keep(weights, &name(&format!("attention.self.{part}.bias")), Some(&columns), None);
    }
    keep(weights, &name("attention.output.dense.weight"), None, Some(&columns));
}

/// Leaves a tensor some of its rows and columns.
fn keep(weights: &mut Weights, name: &str, rows: Option<&[usize]>, columns: Option<&[usize]>) {
    let Some(tensor) = weights.remove(name) else { return };
    let width = if tensor.shape.len() == 2 { tensor.shape[1] } else { 1 };
    let every_row: Vec<usize> = (0..tensor.shape[0]).collect();
    let every_column: Vec<usize> = (0..width).collect();
    let (rows, columns) = (rows.unwrap_or(&every_row), columns.unwrap_or(&every_column));
    let data = rows.iter().flat_map(|row| columns.iter().map(move |column| row * width + column));
    let data = data.map(|place| tensor.data[place]).collect();
    let shape = if tensor.shape.len() == 2 { vec![rows.len(), columns.len()] } else { vec![rows.len()] };
    weights.insert(name, Stored::new(shape, data));
}

/// Takes every tensor from the teacher's width to the directions'.
fn narrow(weights: &mut Weights, directions: &Directions) {
    let names: Vec<String> = weights.iter().map(|(name, _)| name.to_string()).collect();
    let is_factorized = names.iter().any(|name| name.starts_with(EMBEDDING_PROJECTION));
    for name in names {
        // Embeddings before a map are no states.
        if is_factorized && name.starts_with("embeddings.") {
            continue;
        }
        let Some(tensor) = weights.remove(&name) else { continue };
        let inputs = |t: &Stored| directions.project_rows(t);
        let narrowed = if name.contains("LayerNorm.weight") {
            // Directions mix features, so that a gain for each has no meaning left: one that keeps their size.
            let gain = mean(&tensor.data);
            Stored::new(vec![directions.narrow()], vec![gain; directions.narrow()])
        } else if name.ends_with("LayerNorm.bias") {
            directions.project_vector(&tensor)
        } else if name.starts_with("embeddings.") || name == "classifier.weight" {
            inputs(&tensor)
        } else if name.contains("attention.self.") || name.contains("intermediate.dense.") {
            if name.ends_with(".weight") { inputs(&tensor) } else { tensor }
        } else if name.contains("output.dense.") || name.starts_with(EMBEDDING_PROJECTION) {
            if name.ends_with(".weight") {
                directions.project_columns(&tensor)
            } else {
                directions.project_vector(&tensor)
            }
        } else if name.starts_with("pooler.") {
            if name.ends_with(".weight") {
                inputs(&directions.project_columns(&tensor))
            } else {
                directions.project_vector(&tensor)
            }
        } else {
            tensor
        };
        weights.insert(name, narrowed);
    }
}

fn mean(numbers: &[f32]) -> f32 {
    (numbers.iter().map(|x| f64::from(*x)).sum::<f64>() / numbers.len().max(1) as f64) as f32
}
