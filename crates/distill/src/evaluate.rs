//! Predictions of a model on many texts.

use attar_text::batch::{BatchBudget, plan_sorted};
use burn::tensor::{Device, Tensor};

use crate::Error;
use crate::encoded_rows::EncodedRows;
use crate::engine::{Encoder, Input, Keep, Trace, Values};
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
/// the texts.
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
        let numbers = picked.try_into_vec_as::<f32>().map_err(Error::device)?;
        for (&row, numbers) in batch.rows.iter().zip(numbers.chunks(width)) {
            all[row as usize] = numbers.to_vec();
        }
        progress(batch.rows.len());
    }
    Ok(all)
}

/// The logits of each text.
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
    rows(model, texts, device, |trace, _| trace.logits.clone().expect("the model has a head"), progress)
}
