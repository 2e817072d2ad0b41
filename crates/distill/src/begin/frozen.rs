//! The linear model over what an encoder gives before any training: what a practitioner would make of a sentence
//! encoder in seconds, and where a classifier begins, so that no training starts below it.

use attar_model::{Bundle, ClassifierInput, EncoderConfig, Tensor as Stored, Weights};
use attar_text::labeled::Target;
use attar_text::random::Streams;
use burn::tensor::Tensor;
use serde::Serialize;

use super::{BeginningProgress, Begun, Progress};
use crate::engine::{Input, Trace, mean_pool, pair_cosine};
use crate::linear::{
    DenseRows, Features, Labels, RIDGE_GRID, SOFTMAX_GRID, Selected, select_one_vs_rest, select_ridge, select_softmax,
};
use crate::plan::Plan;
use crate::recipe::TeacherPrecision;
use crate::train::Teacher;
use crate::{Error, device, evaluate};

/// Most training rows that the linear model is fitted to: more change it little and cost a pass of the encoder.
const ROWS: usize = 20_000;

/// How the linear model came out.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct FrozenHead {
    /// Its penalty, chosen by cross-validation.
    pub penalty: f64,
    /// What it scored there.
    pub score: f64,
    /// Rows it was fitted to, or words.
    pub rows: usize,
}

/// The weights with the linear model as their classifier.
pub(super) fn head(plan: &Plan, mut weights: Weights, progress: Progress<'_>) -> Result<Begun, Error> {
    let config = &plan.student.config;
    let streams = Streams::new(plan.recipe.seed);
    let Some(data) = &plan.labeled else { return Ok(Begun { weights, frozen: None }) };
    let train = &data.train;
    let mut rows: Vec<usize> = (0..train.len()).collect();
    // Of tagged sentences each word is a row.
    let most = match train.tags() {
        Some(tags) => (ROWS * train.len()).div_ceil(tags.iter().map(Vec::len).sum::<usize>().max(1)),
        None => ROWS,
    };
    if rows.len() > most {
        streams.stream("frozen head", &[]).shuffle(&mut rows);
        rows.truncate(most);
        rows.sort_unstable();
    }
    let mut features = vectors(plan, config, &weights, &rows, progress)?;
    // Words are rows of their own.
    if plan.train_texts.words().is_some() {
        features = features.iter().flat_map(|row| row.chunks(config.hidden)).map(<[f32]>::to_vec).collect();
    }
    let columns = features.first().map_or(0, Vec::len);
    // Fitted to vectors of length 1, so that penalties mean the same for every encoder; the classifier reads vectors as they
    // are, whose lengths differ little, and has the mean length in its weights.
    let length = |row: &Vec<f32>| row.iter().map(|x| f64::from(*x).powi(2)).sum::<f64>().sqrt();
    let scale = (features.iter().map(length).sum::<f64>() / features.len() as f64).max(f64::MIN_POSITIVE);
    let unit = |row: &Vec<f32>| -> Vec<f32> {
        // One number, such as a cosine, would lose all it says.
        let own = if columns > 1 { length(row).max(f64::MIN_POSITIVE) } else { scale };
        row.iter().map(|x| (f64::from(*x) / own) as f32).collect()
    };
    let fitted = features.len();
    let values = features.iter().flat_map(unit).collect();
    let features = Features::Dense(DenseRows { columns, values });
    let Selected { model, penalty, score } = match &train.target {
        Target::Classes(labels) => {
            let Some(classes) = train.classes() else { return Ok(Begun { weights, frozen: None }) };
            let picked: Vec<u32> = rows.iter().map(|&row| classes[row]).collect();
            let weights = plan.stages.iter().find_map(|stage| stage.class_weights.as_deref());
            let labels = Labels { weights, ..Labels::new(&picked, labels.len()) };
            select_softmax(&features, labels, &SOFTMAX_GRID, &streams)
        }
        Target::MultiLabel(labels) => {
            let Some(sets) = train.label_sets() else { return Ok(Begun { weights, frozen: None }) };
            let picked: Vec<Vec<u32>> = rows.iter().map(|&row| sets[row].clone()).collect();
            select_one_vs_rest(&features, &picked, labels.len(), &SOFTMAX_GRID, &streams)
        }
        Target::Tags(labels) => {
            let (Some(tags), Some(words)) = (train.tags(), plan.train_texts.words()) else {
                return Ok(Begun { weights, frozen: None });
            };
            let picked: Vec<u32> =
                rows.iter().flat_map(|&row| words.seen(row).map(|word| tags[row][word]).collect::<Vec<_>>()).collect();
            let weights = plan.stages.iter().find_map(|stage| stage.class_weights.as_deref());
            let labels = Labels { weights, ..Labels::new(&picked, labels.len()) };
            select_softmax(&features, labels, &SOFTMAX_GRID, &streams)
        }
        Target::Answers { .. } => {
            unreachable!("the plan begins such a head at random: no linear model is fitted to spans")
        }
        Target::Regression { .. } => {
            let Some(scores) = train.scores() else { return Ok(Begun { weights, frozen: None }) };
            let picked: Vec<f32> = rows.iter().map(|&row| scores[row] as f32).collect();
            select_ridge(&features, &picked, &RIDGE_GRID, &streams)
        }
    };
    let outputs = model.bias.len();
    let scaled = model.weights.iter().map(|w| (f64::from(*w) / scale) as f32).collect();
    weights.insert("classifier.weight", Stored::new(vec![outputs, columns], scaled));
    weights.insert("classifier.bias", Stored::new(vec![outputs], model.bias));
    Ok(Begun { weights, frozen: Some(FrozenHead { penalty, score, rows: fitted }) })
}

/// What the classifier would read of these training rows.
fn vectors(
    plan: &Plan,
    config: &EncoderConfig,
    weights: &Weights,
    rows: &[usize],
    progress: Progress<'_>,
) -> Result<Vec<Vec<f32>>, Error> {
    let device = device::open(plan.recipe.device)?;
    let encoder =
        Teacher::load(plan.recipe.device, &Bundle::new(config.clone(), weights.clone()), TeacherPrecision::F32, None)?;
    let texts = plan.train_texts.of_rows(rows);
    let input = config.classifier_input;
    let pick = |trace: &Trace, batch: &Input| -> Tensor<2> {
        let mean = || mean_pool(trace.last(), &batch.geometry);
        if config.head.is_by_token() {
            return trace.last().clone();
        }
        match input {
            ClassifierInput::FirstToken => {
                trace.pooled.clone().expect("a classifier over the first token has a pooler")
            }
            ClassifierInput::Mean => mean(),
            ClassifierInput::Cosine => pair_cosine(mean()),
        }
    };
    let mut done = 0;
    evaluate::rows(&encoder, &texts, &device, pick, |rows| {
        done += rows;
        progress(BeginningProgress { what: "vectors of the frozen encoder", done, of: texts.len() });
    })
}
