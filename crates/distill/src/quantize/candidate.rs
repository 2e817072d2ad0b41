//! A model whose parts are quantized and restored, and what that does to its answers.

use std::collections::BTreeMap;

use attar_model::quantized::{Int4Matrix, Int8Matrix, QuantizedTensor, QuantizedWeights, ScaleChoice, Storage};
use attar_model::{Bundle, Pooling, PoolingMode, Tensor};
use attar_runtime::{Encoder, Input, Options, Output, Precision};
use attar_text::tokenizer::Encodings;

use super::column_scales::{column_scales, input_magnitudes};
use super::units::{Form, Unit};
use crate::Error;

/// A bundle with its quantized weights, at first all of them floats.
pub(super) struct Candidate {
    pub(super) bundle: Bundle,
    threads: usize,
    /// Scales of columns, by the name of the unit, of those units that can have some.
    column_scales: BTreeMap<String, Vec<f32>>,
}

impl Candidate {
    pub(super) fn new(mut bundle: Bundle, threads: usize) -> Result<Candidate, Error> {
        bundle.quantized =
            Some(QuantizedWeights::quantize(&bundle.config, &bundle.weights, ScaleChoice::MaxAbs, |_| Storage::F32)?);
        Ok(Candidate { bundle, threads, column_scales: BTreeMap::new() })
    }

    /// Chooses scales of columns by what the model computes for these texts.
    pub(super) fn scale_columns(&mut self, units: &[Unit], texts: &Encodings) -> Result<(), Error> {
        let magnitudes = input_magnitudes(&self.bundle, self.threads, texts)?;
        for unit in units {
            let Some(inputs) = magnitudes.get(&unit.name) else { continue };
            let weights: Vec<&Tensor> = unit.weights.iter().filter_map(|name| self.bundle.weights.get(name)).collect();
            self.column_scales.insert(unit.name.clone(), column_scales(&weights, inputs));
        }
        Ok(())
    }

    /// Stores a unit in that form, or as floats.
    pub(super) fn store(&mut self, unit: &Unit, form: Option<Form>) -> Result<(), Error> {
        let Bundle { weights, quantized, .. } = &mut self.bundle;
        let column_scales = self.column_scales.get(&unit.name);
        for name in &unit.weights {
            if let (Some(tensor), Some(quantized)) = (weights.get(name), quantized.as_mut()) {
                quantized.replace(name, stored(tensor, form, column_scales)?)?;
            }
        }
        Ok(())
    }

    /// How a unit is stored now; int4 in groups as wide as a row is reported as one scale a row.
    pub(super) fn storage(&self, unit: &Unit) -> Storage {
        let first = unit.weights.first().and_then(|name| self.bundle.quantized.as_ref()?.get(name));
        first.map_or(Storage::F32, QuantizedTensor::storage)
    }

    /// The head's logits for texts, or mean vectors where there is no head; returned with the width of a row.
    pub(super) fn outputs(&self, precision: Precision, texts: &Encodings) -> Result<(Vec<f32>, usize), Error> {
        let mut encoder = Encoder::from_bundle(&self.bundle, &Options::new(precision, self.threads))?;
        if let Some(head) = encoder.cosine() {
            return pair_scores(&mut encoder, texts, head);
        }
        let output = match self.bundle.config.head.is_task_head() {
            true => Output::Logits,
            false => Output::Vectors(Pooling { mode: PoolingMode::Mean, normalize: false }),
        };
        let input = Input::new(&texts.ids, &texts.types, &texts.lengths).expect("encodings are a batch");
        let width = encoder.width(output)?;
        let mut out = vec![0.0; encoder.rows(output, input) * width];
        encoder.forward(input, output, &mut out)?;
        Ok((out, width))
    }

    /// The better of the ways to choose scales for a unit that alone is stored like that, and its error: of the
    /// answers to these texts, whose exact ones are given, or of the weights themselves.
    pub(super) fn best_alone(
        &mut self,
        unit: &Unit,
        storage: Storage,
        texts: Option<(&Encodings, &[f32])>,
    ) -> Result<(Form, f64), Error> {
        let mut best: Option<(Form, f64)> = None;
        for form in self.forms(unit, storage) {
            let error = match texts {
                Some((texts, exact)) => {
                    self.store(unit, Some(form))?;
                    let (got, width) = self.outputs(Precision::Int8, texts)?;
                    relative_error(exact, &got, width)
                }
                None => self.error_of_weights(unit, form)?,
            };
            // On a tie the first stays: max-abs, which clips nothing.
            if best.is_none_or(|(_, least)| error < least) {
                best = Some((form, error));
            }
        }
        self.store(unit, None)?;
        let plain = Form { storage, scales: ScaleChoice::MaxAbs, has_column_scales: false };
        // Never empty: there are two ways.
        Ok(best.unwrap_or((plain, f64::INFINITY)))
    }

    /// The ways to choose scales for a unit. Columns that can have scales always have them: their gain shows in the texts that
    /// lose most, and too few of those are among the calibration texts to decide by.
    fn forms(&self, unit: &Unit, storage: Storage) -> [Form; 2] {
        let has_column_scales = storage == Storage::Int8 && self.column_scales.contains_key(&unit.name);
        [ScaleChoice::MaxAbs, ScaleChoice::LeastSquares].map(|scales| Form { storage, scales, has_column_scales })
    }

    fn error_of_weights(&self, unit: &Unit, form: Form) -> Result<f64, Error> {
        let (mut error, mut whole) = (0.0, 0.0);
        for tensor in unit.weights.iter().filter_map(|name| self.bundle.weights.get(name)) {
            let column_scales = self.column_scales.get(&unit.name);
            let got = stored(tensor, Some(form), column_scales)?.dequantize();
            error += squares(tensor.data.iter().zip(&got.data).map(|(a, b)| f64::from(*a) - f64::from(*b)));
            whole += squares(tensor.data.iter().map(|&a| f64::from(a)));
        }
        Ok(if whole > 0.0 { (error / whole).sqrt() } else { 0.0 })
    }
}

/// Scores of pairs, whose two texts are sequences of their own.
fn pair_scores(
    encoder: &mut Encoder,
    texts: &Encodings,
    [scale, offset]: [f32; 2],
) -> Result<(Vec<f32>, usize), Error> {
    let output = Output::Vectors(Pooling { mode: PoolingMode::Mean, normalize: true });
    let input = Input::new(&texts.ids, &texts.types, &texts.lengths).expect("encodings are a batch");
    let width = encoder.width(output)?;
    let mut vectors = vec![0.0; encoder.rows(output, input) * width];
    encoder.forward(input, output, &mut vectors)?;
    let score = |pair: &[f32]| {
        let (one, other) = pair.split_at(width);
        scale * one.iter().zip(other).map(|(a, b)| a * b).sum::<f32>() + offset
    };
    Ok((vectors.chunks_exact(2 * width).map(score).collect(), 1))
}

fn stored(tensor: &Tensor, form: Option<Form>, column_scales: Option<&Vec<f32>>) -> Result<QuantizedTensor, Error> {
    Ok(match form {
        None => QuantizedTensor::F32(tensor.clone()),
        Some(Form { storage: Storage::Int4(group), scales, .. }) => {
            QuantizedTensor::Int4(Int4Matrix::quantize(tensor, group, scales)?)
        }
        Some(Form { scales, has_column_scales: true, .. }) => {
            let column_scales = column_scales.cloned().unwrap_or_default();
            QuantizedTensor::Int8(Int8Matrix::quantize_columns(tensor, column_scales, scales)?)
        }
        Some(Form { scales, .. }) => QuantizedTensor::Int8(Int8Matrix::quantize(tensor, scales)?),
    })
}

/// Root mean squared difference over the standard deviation of the exact rows' columns: 0 for equal answers, 1 where
/// the answers no longer differ between texts.
fn relative_error(exact: &[f32], got: &[f32], width: usize) -> f64 {
    let rows = (exact.len() / width.max(1)).max(1) as f64;
    let mut means = vec![0.0; width];
    for row in exact.chunks_exact(width.max(1)) {
        means.iter_mut().zip(row).for_each(|(mean, &x)| *mean += f64::from(x) / rows);
    }
    let spread = squares(exact.iter().enumerate().map(|(at, &x)| f64::from(x) - means[at % width]));
    let error = squares(exact.iter().zip(got).map(|(&a, &b)| f64::from(a) - f64::from(b)));
    // A single text has no spread.
    let whole = if spread > 0.0 { spread } else { squares(exact.iter().map(|&x| f64::from(x))) };
    if error == 0.0 { 0.0 } else { (error / whole).sqrt() }
}

fn squares(numbers: impl Iterator<Item = f64>) -> f64 {
    numbers.map(|x| x * x).sum()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn errors_are_relative_to_what_tells_texts_apart() {
        let exact = [1.0, 10.0, 3.0, 30.0];
        assert_eq!(relative_error(&exact, &exact, 2), 0.0);
        // Everything at its mean: all is lost.
        assert!((relative_error(&exact, &[2.0, 20.0, 2.0, 20.0], 2) - 1.0).abs() < 1e-12);
        assert!((relative_error(&[3.0, 4.0], &[3.0, 9.0], 2) - 1.0).abs() < 1e-12);
        assert_eq!(relative_error(&[0.0], &[1.0], 1), f64::INFINITY);
    }
}
