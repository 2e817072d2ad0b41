//! How much a teacher's loss, or its output where there are no labels, depends on each attention head and each
//! feed-forward unit.
//!
//! A unit's importance is `Σ_batches |Σ_tokens a · ∂L/∂a|` of its activation `a` (Michel et al., arXiv 1905.10650, eq. 2,
//! applied to units of the feed-forward block as well). With `y = a W` the inner sum is the product of the unit's row of `W` with the gradient
//! of that row, so that weight gradients are all that is needed.

use attar_model::{EncoderConfig, Weights};
use attar_text::batch::Batch;
use attar_text::labeled::{Example, Label};
use attar_text::random::Streams;
use burn::tensor::{Tensor, TensorData};

use super::{BeginningProgress, Progress};
use crate::Error;
use crate::engine::{Encoder, Input, Keep, Parameters, Values};
use crate::objectives::{Gold, Objective, ProjectionSpec, Semantics};
use crate::optimizer::{Gradient, Gradients};
use crate::plan::Plan;
use crate::train::{StageLoss, with_labels};

/// Importance of the parts of one layer.
#[derive(Debug, Clone, PartialEq, Default)]
pub(super) struct LayerImportance {
    /// Of each head, `[A]`.
    pub(super) heads: Vec<f64>,
    /// Of each feed-forward unit, `[F]`.
    pub(super) units: Vec<f64>,
}

/// A model whose parts are judged, and how it reads rows.
pub(super) struct Judged<'a> {
    /// What progress calls it.
    pub(super) what: &'static str,
    pub(super) config: &'a EncoderConfig,
    pub(super) weights: &'a Weights,
    /// Its number of each class of the data, where the two differ.
    pub(super) classes: Option<&'a [usize]>,
    /// Whether its head answers what the data ask.
    pub(super) answers: bool,
    pub(super) batch: &'a dyn Fn(&[u32]) -> Batch,
}

/// Importance of the parts of each layer of a model, from its loss on the gold labels of these batches.
///
/// Raw text has no labels, and a teacher may answer something else. There the loss is the sum of the last layer's outputs, each with a random sign: the square of
/// such a sum's derivative is on average the sum of the squares of all outputs' derivatives.
pub(super) fn measure(
    plan: &Plan,
    model: &Judged<'_>,
    batches: &[Vec<u32>],
    progress: Progress<'_>,
) -> Result<Vec<LayerImportance>, Error> {
    let device = crate::device::open(plan.recipe.device)?;
    let encoder = Encoder::new(model.config.clone());
    let mut parameters = Parameters::empty(&device);
    parameters.load(encoder.slots(), model.weights)?;
    let objectives = vec![Objective::from(Gold { weight: 1.0 })];
    let loss = StageLoss::new(encoder, objectives, Semantics::Clean, ProjectionSpec::None, None);
    let streams = Streams::new(plan.recipe.seed);
    let is_labeled = |row: &Example| row.label != Label::Absent;
    let has_labels = plan.labeled.as_ref().is_some_and(|data| data.train.examples.iter().all(is_labeled));
    let mut sums = vec![LayerImportance::default(); model.config.layers];
    let (mut done, of) = (0, batches.iter().map(Vec::len).sum());
    for (index, rows) in batches.iter().enumerate() {
        let batch = (model.batch)(rows);
        let (input, labels) = with_labels(plan, Input::ragged(&batch, model.config, &device), &batch, None);
        let leaves = parameters.leaves(&input);
        let total = match labels {
            Some(labels) if has_labels && model.answers => {
                let labels = labels.of_model(model.classes);
                loss.loss(&leaves, &input, None, Some(&labels), None).total
            }
            _ => {
                let states = loss.encoder().forward(&leaves, &input, Keep::Output, None).last().clone();
                let [tokens, hidden] = states.dims();
                let mut stream = streams.stream("importance", &[index as u64]);
                let signs = (0..tokens * hidden).map(|_| if stream.next_u32() & 1 == 0 { 1.0 } else { -1.0 });
                let signs =
                    Tensor::<2>::from_data(TensorData::new(signs.collect::<Vec<f32>>(), [tokens, hidden]), &device);
                (states * signs).sum_dim(1).sum()
            }
        };
        let gradients = Gradients::collect(leaves, input.ids(), total.backward())?;
        add(&mut sums, model.config, &parameters, &parameters.values(), gradients)?;
        done += rows.len();
        progress(BeginningProgress { what: model.what, done, of });
    }
    Ok(sums)
}

fn add(
    sums: &mut [LayerImportance],
    config: &EncoderConfig,
    parameters: &Parameters,
    values: &Values,
    gradients: Gradients,
) -> Result<(), Error> {
    for ((slot, value), gradient) in parameters.slots().iter().zip(values.iter()).zip(gradients.into_parts()) {
        let Some((layer, part)) = slot.name.strip_prefix("encoder.layer.").and_then(|rest| rest.split_once('.')) else {
            continue;
        };
        let Some(Gradient::Dense(gradient)) = gradient else { continue };
        let layer: usize = layer.parse().expect("slots count layers");
        // Weights lie as `[in, out]`: what leaves a unit is a row, what leaves a head the rows of its columns.
        let (to, rows) = match part {
            "attention.output.dense.weight" => (&mut sums[layer].heads, config.head_width()),
            "output.dense.weight" => (&mut sums[layer].units, 1),
            _ => continue,
        };
        let (weights, gradients) = (value.to_vec()?, gradient.to_vec()?);
        let size = rows * config.hidden;
        to.resize(weights.len() / size, 0.0);
        for ((sum, w), g) in to.iter_mut().zip(weights.chunks(size)).zip(gradients.chunks(size)) {
            *sum += w.iter().zip(g).map(|(w, g)| f64::from(*w) * f64::from(*g)).sum::<f64>().abs();
        }
    }
    Ok(())
}

/// The places of the `count` largest numbers, in rising order of place; of equals the first.
pub(super) fn largest(numbers: &[f64], count: usize) -> Vec<usize> {
    let mut places: Vec<usize> = (0..numbers.len()).collect();
    places.sort_by(|&a, &b| numbers[b].total_cmp(&numbers[a]).then(a.cmp(&b)));
    places.truncate(count);
    places.sort_unstable();
    places
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_largest_keep_their_order() {
        assert_eq!(largest(&[1.0, 5.0, 3.0, 5.0], 2), [1, 3]);
        assert_eq!(largest(&[2.0, 2.0, 2.0], 2), [0, 1]);
        assert_eq!(largest(&[1.0], 4), [0]);
        assert_eq!(largest(&[f64::NAN, 1.0], 0), Vec::<usize>::new());
    }
}
