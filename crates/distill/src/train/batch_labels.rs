//! What a batch of training rows is to answer.

use attar_text::batch::Batch;
use attar_text::labeled::Label;
use attar_text::masking::Masked;
use burn::tensor::{Device, Int, Tensor, TensorData};

use crate::encoded_rows::PredictionUnit;
use crate::engine::Input;
use crate::objectives::BatchLabels;
use crate::plan::Plan;
use crate::word_tokens::WordTokens;

/// The model's input for a batch, set to produce the outputs its labels need, and the labels if every row has one.
pub(crate) fn with_labels(
    plan: &Plan,
    input: Input,
    batch: &Batch,
    weights: Option<&[f32]>,
) -> (Input, Option<BatchLabels>) {
    let device = input.geometry.device().clone();
    match plan.train_texts.prediction_unit() {
        PredictionUnit::Row => (input.without_guesses(), batch_labels(plan, &batch.rows, weights, &device)),
        PredictionUnit::Words(words) => {
            let (rows, _) = words.of_batch(&batch.rows, &batch.lengths);
            (input.guessing(&rows), word_labels(plan, words, &batch.rows, weights, &device))
        }
        // Where answers begin, then where they end, among the tokens of each window.
        PredictionUnit::Windows(windows) => {
            (input, windows.gold(&batch.rows).map(|tokens| class_labels(tokens, None, &device)))
        }
    }
}

/// The original word pieces at the masked positions of a batch.
pub(super) fn masked_pieces(masked: &Masked, device: &Device) -> BatchLabels {
    let pieces: Vec<i32> = masked.labels.iter().map(|&id| id as i32).collect();
    let count = pieces.len();
    BatchLabels::Pieces(Tensor::from_data(TensorData::new(pieces, [count]), device))
}

/// Labels of training rows, if all have one; `weights` are those of classes.
fn batch_labels(plan: &Plan, rows: &[u32], weights: Option<&[f32]>, device: &Device) -> Option<BatchLabels> {
    let data = plan.labeled.as_ref()?;
    let examples = &data.train.examples;
    static ABSENT: Label = Label::Absent;
    // Rows past the data set's own have no label.
    let label = |&row: &u32| examples.get(row as usize).map_or(&ABSENT, |example| &example.label);
    let labels: Vec<&Label> = rows.iter().map(label).collect();
    let count = labels.len();
    let class = |label: &&Label| if let Label::Class(class) = label { Some(*class as i32) } else { None };
    if let Some(classes) = labels.iter().map(class).collect::<Option<Vec<i32>>>() {
        return Some(class_labels(classes, weights, device));
    }
    if labels.iter().all(|label| matches!(label, Label::MultiLabel(_))) {
        let width = data.train.target.outputs();
        let mut present = vec![0.0f32; count * width];
        for (row, label) in present.chunks_mut(width.max(1)).zip(&labels) {
            if let Label::MultiLabel(numbers) = label {
                numbers.iter().for_each(|&number| row[number as usize] = 1.0);
            }
        }
        return Some(BatchLabels::LabelSets(Tensor::from_data(TensorData::new(present, [count, width]), device)));
    }
    let score = |label: &&Label| if let Label::Score(score) = label { Some(*score) } else { None };
    let scores = labels.iter().map(score).collect::<Option<Vec<f32>>>()?;
    Some(BatchLabels::Scores(Tensor::from_data(TensorData::new(scores, [count, 1]), device)))
}

/// The tags of the words of a batch that have a token, if its rows have tags.
fn word_labels(
    plan: &Plan,
    words: &WordTokens,
    rows: &[u32],
    weights: Option<&[f32]>,
    device: &Device,
) -> Option<BatchLabels> {
    let data = plan.labeled.as_ref()?;
    let mut classes = Vec::new();
    for &row in rows {
        match &data.train.examples.get(row as usize)?.label {
            Label::Tags(tags) => classes.extend(words.seen(row as usize).map(|word| tags[word].class as i32)),
            _ => return None,
        }
    }
    Some(class_labels(classes, weights, device))
}

/// Classes of rows or words on the device, with what each counts where classes are weighted.
fn class_labels(classes: Vec<i32>, weights: Option<&[f32]>, device: &Device) -> BatchLabels {
    let count = classes.len();
    let weights: Option<Vec<f32>> = weights.map(|by| classes.iter().map(|&class| by[class as usize]).collect());
    let classes = Tensor::<1, Int>::from_data(TensorData::new(classes, [count]), device);
    match weights {
        Some(weights) => BatchLabels::WeightedClasses(
            classes,
            Box::new(Tensor::from_data(TensorData::new(weights, [count]), device)),
        ),
        None => BatchLabels::Classes(classes),
    }
}
