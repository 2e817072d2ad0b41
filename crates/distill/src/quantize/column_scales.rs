//! Scales of the columns of dense layers' weights, by which the inputs of these layers are multiplied before they are
//! quantized.
//!
//! A row of activations has one scale, and columns of large numbers leave the others few levels. So a column's
//! activations are multiplied by `c = √(max |w| / r)` and its weights divided by it (the reciprocal of s in Xiao et al.
//! 2023, SmoothQuant, equation 4 with α = 0.5). In the paper r is the largest magnitude of the column's activations; here
//! it is their root mean square, which does not depend on one token of one text. docs/performance.md compares both.

use std::collections::BTreeMap;

use attar_model::{Bundle, Tensor};
use attar_runtime::{Encoder, Input, LayerBuffers, Options, Precision, TraceBuffers};
use attar_text::tokenizer::Encodings;
use half::f16;

use crate::Error;

/// Numbers of a trace that are in memory at a time.
const TRACED_NUMBERS: usize = 16 << 20;
/// A column counts as at least this part of the mean over the columns: a text that was not seen may have more in it.
const LEAST_MAGNITUDE: f32 = 0.1;
/// Scales of columns lie between the reciprocal of this and this.
const LARGEST_SCALE: f32 = 256.0;

/// The root mean square of each column of the inputs of dense layers, by the name of the layer; query, key and value
/// read the same and are called `encoder.layer.N.attention.self`.
pub(super) type InputMagnitudes = BTreeMap<String, Vec<f32>>;

/// The magnitudes over some texts.
///
/// # Errors
/// If the model overflows.
pub(super) fn input_magnitudes(bundle: &Bundle, threads: usize, texts: &Encodings) -> Result<InputMagnitudes, Error> {
    let config = &bundle.config;
    let (layers, h, f) = (config.layers, config.hidden, config.feed_forward);
    let mut encoder = Encoder::from_bundle(bundle, &Options::new(Precision::F32, threads))?;
    let most_tokens = TRACED_NUMBERS / (layers * (2 * h + f)).max(1);
    let mut squares: BTreeMap<String, Vec<f64>> = BTreeMap::new();
    let (mut first_token, mut first) = (0, 0);
    while first < texts.lengths.len() {
        let (mut tokens, mut count) = (0, 0);
        for &length in &texts.lengths[first..] {
            if count > 0 && tokens + length as usize > most_tokens {
                break;
            }
            (tokens, count) = (tokens + length as usize, count + 1);
        }
        let span = first_token..first_token + tokens;
        let lengths = &texts.lengths[first..first + count];
        let input =
            Input::new(&texts.ids[span.clone()], &texts.types[span], lengths).expect("a part of a batch is a batch");
        let mut states = vec![vec![0.0; tokens * h]; layers];
        let mut blocks = vec![(vec![0.0; tokens * h], vec![0.0; tokens * f]); layers];
        let (embeddings, hidden) = states.split_first_mut().map_or((None, &mut [][..]), |(x, rest)| (Some(x), rest));
        // The output of the last layer is the input of none.
        let mut hidden = hidden.iter_mut();
        let traced = blocks.iter_mut().map(|(input, activations)| LayerBuffers {
            hidden: hidden.next().map(Vec::as_mut_slice),
            feed_forward_input: Some(input),
            activations: Some(activations),
            ..LayerBuffers::default()
        });
        let buffers = TraceBuffers {
            layers: traced.collect(),
            embeddings: embeddings.map(Vec::as_mut_slice),
            ..TraceBuffers::default()
        };
        encoder.trace(input, buffers)?;
        for (index, (x, (inner, activations))) in states.iter().zip(&blocks).enumerate() {
            for (part, numbers) in [("attention.self", x), ("intermediate.dense", inner), ("output.dense", activations)]
            {
                let width = if part == "output.dense" { f } else { h };
                let sums = squares.entry(format!("encoder.layer.{index}.{part}")).or_insert_with(|| vec![0.0; width]);
                for row in numbers.chunks_exact(width.max(1)) {
                    sums.iter_mut().zip(row).for_each(|(sum, &x)| *sum += f64::from(x) * f64::from(x));
                }
            }
        }
        (first_token, first) = (first_token + tokens, first + count);
    }
    let mean = |sum: f64| (sum / first_token.max(1) as f64).sqrt() as f32;
    Ok(squares.into_iter().map(|(name, sums)| (name, sums.into_iter().map(mean).collect())).collect())
}

/// Scales of the columns of weights `[outputs, inputs]` that read the same inputs, whose magnitudes are given.
pub(super) fn column_scales(weights: &[&Tensor], inputs: &[f32]) -> Vec<f32> {
    let mut largest = vec![0.0f32; inputs.len()];
    for row in weights.iter().flat_map(|weight| weight.data.chunks_exact(inputs.len().max(1))) {
        largest.iter_mut().zip(row).for_each(|(largest, w)| *largest = largest.max(w.abs()));
    }
    let floor = |magnitudes: &[f32]| {
        let mean = magnitudes.iter().sum::<f32>() / magnitudes.len().max(1) as f32;
        // All zero: any floor works.
        if mean > 0.0 { LEAST_MAGNITUDE * mean } else { 1.0 }
    };
    let (least_input, least_weight) = (floor(inputs), floor(&largest));
    let ratio = |(&x, &w): (&f32, &f32)| (w.max(least_weight) / x.max(least_input)).sqrt();
    let scales: Vec<f32> = inputs.iter().zip(&largest).map(ratio).collect();
    // A common factor changes nothing but the scales of rows.
    let mean = scales.iter().map(|scale| f64::from(scale.ln())).sum::<f64>() / scales.len().max(1) as f64;
    let factor = (-mean).exp() as f32;
    scales
        .iter()
        .map(|scale| f16::from_f32((scale * factor).clamp(1.0 / LARGEST_SCALE, LARGEST_SCALE)).to_f32())
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_sides_of_a_product_become_alike() {
        let weights = Tensor::new(vec![2, 3], vec![1.0, -0.25, 0.5, -0.5, 0.25, 2.0]);
        let scales = column_scales(&[&weights], &[1.0, 16.0, 2.0]);
        // √(1/1), √(0.25/16), √(2/2), over their geometric mean of 1/2.
        let expected = [2.0, 0.25, 2.0];
        assert_eq!(scales, expected);
        let ranges: Vec<f32> = [1.0, 16.0, 2.0].iter().zip(&scales).map(|(x, scale)| x * scale).collect();
        let weights: Vec<f32> = [1.0, 0.25, 2.0].iter().zip(&scales).map(|(w, scale)| w / scale).collect();
        let ratio = ranges[0] / weights[0];
        assert!(ranges.iter().zip(&weights).all(|(x, w)| (x / w / ratio - 1.0).abs() < 1e-3), "{ranges:?} {weights:?}");
    }

    #[test]
    fn the_scale_of_an_unused_column_is_bounded() {
        let weights = Tensor::new(vec![1, 4], vec![1.0; 4]);
        let scales = column_scales(&[&weights], &[0.0, 1.0, 1.0, 2.0]);
        assert!(scales[0] / scales[1] < 4.0, "{scales:?}");
        let zero = column_scales(&[&Tensor::zeros(vec![1, 2])], &[0.0, 0.0]);
        assert_eq!(zero, [1.0, 1.0]);
    }
}
