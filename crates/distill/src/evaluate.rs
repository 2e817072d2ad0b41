//! Predictions of a model on many texts.

use attar_text::batch::{BatchBudget, plan_sorted};
use attar_text::labeled::Dataset;
use burn::tensor::{Device, Int, Tensor, TensorData};

use crate::Error;
use crate::encoded_rows::{EncodedRows, PredictionUnit};
use crate::engine::{Encoder, Input, Keep, Trace, Values};
use crate::score::Answers;
use crate::train::Teacher;

/// Tokens of one evaluation batch: enough for full matrix products, small in memory.
const BATCH_TOKENS: usize = 4096;

/// Anything that turns a batch into a trace.
pub trait Forward {
    /// The configuration of the model.
    fn encoder(&self) -> &Encoder;

    /// A forward pass in evaluation mode that keeps the output alone.
    fn output(&self, input: &Input) -> Trace;
}

impl Forward for (&Encoder, &Values) {
    fn encoder(&self) -> &Encoder {
        self.0
    }

    fn output(&self, input: &Input) -> Trace {
        self.0.forward(self.1, input, Keep::Output, None)
    }
}

impl Forward for Teacher {
    fn encoder(&self) -> &Encoder {
        self.encoder()
    }

    fn output(&self, input: &Input) -> Trace {
        self.trace(input, Keep::Output, None)
    }
}

/// What `pick` takes from the trace of each batch, a row of numbers for each text, in the order of
/// the texts. Of tagged sentences it takes a row for each token, and a text has those of its words one after the other, as far as
/// these were not cut off. Of the windows of questions too it takes a row for each token, and all are kept.
///
/// # Errors
/// If the device fails to hand out numbers.
pub fn rows(
    model: &impl Forward,
    texts: &EncodedRows,
    device: &Device,
    pick: impl Fn(&Trace, &Input) -> Tensor<2>,
    mut progress: impl FnMut(usize),
) -> Result<Vec<Vec<f32>>, Error> {
    let lengths = texts.lengths();
    let mut all = vec![Vec::new(); texts.len()];
    for batch in plan_sorted(&lengths, BatchBudget::of_tokens(BATCH_TOKENS)) {
        let batch = texts.batch(&batch);
        let input = Input::ragged(&batch, model.encoder().config(), device);
        let picked = pick(&model.output(&input), &input);
        let width = picked.dims()[1];
        let (picked, counts) = match texts.prediction_unit() {
            PredictionUnit::Row => (picked, vec![1; batch.rows.len()]),
            PredictionUnit::Words(words) => {
                let (tokens, counts) = words.of_batch(&batch.rows, &batch.lengths);
                (picked.select(0, token_rows(&tokens, device)), counts)
            }
            PredictionUnit::Windows(_) => (picked, batch.lengths.iter().map(|&length| length as usize).collect()),
        };
        let numbers = picked.try_into_vec_as::<f32>().map_err(Error::device)?;
        let mut numbers = numbers.as_slice();
        for (&row, count) in batch.rows.iter().zip(counts) {
            let (own, rest) = numbers.split_at(count * width);
            all[row as usize] = own.to_vec();
            numbers = rest;
        }
        progress(batch.rows.len());
    }
    Ok(all)
}

/// The logits of each text; of tagged sentences those of the words one after the other, of windows those of all tokens.
///
/// # Errors
/// If the device fails to hand out numbers.
///
/// # Panics
/// If the model has no head.
pub fn logits(
    model: &impl Forward,
    texts: &EncodedRows,
    device: &Device,
    progress: impl FnMut(usize),
) -> Result<Vec<Vec<f32>>, Error> {
    let mut logits =
        rows(model, texts, device, |trace, _| trace.logits.clone().expect("the model has a head"), progress)?;
    if let Some(words) = texts.words() {
        let classes = model.encoder().config().outputs();
        for (row, known) in logits.iter_mut().enumerate() {
            *known = words.complete(row, known, classes);
        }
    }
    Ok(logits)
}

/// What the model answers to the texts, which are those of these data.
///
/// # Errors
/// If the device fails to hand out numbers.
///
/// # Panics
/// If the model has no head.
pub fn answers(
    model: &impl Forward,
    texts: &EncodedRows,
    data: &Dataset,
    device: &Device,
    progress: impl FnMut(usize),
) -> Result<Answers, Error> {
    let logits = logits(model, texts, device, progress)?;
    Ok(match texts.windows() {
        Some(windows) => windows.answers(logits.iter().map(Vec::as_slice), data),
        None => Answers::from_logits(&logits, &data.target),
    })
}

/// Numbers of token rows on a device.
pub(crate) fn token_rows(tokens: &[u32], device: &Device) -> Tensor<1, Int> {
    let tokens: Vec<i32> = tokens.iter().map(|&token| token as i32).collect();
    let count = tokens.len();
    Tensor::from_data(TensorData::new(tokens, [count]), device)
}
