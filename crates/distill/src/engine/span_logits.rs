//! Start and end logits of answers, as rows over the tokens of a sequence.

use burn::tensor::Tensor;

use super::layout::Geometry;

/// Logit of a padding token: so low that its softmax probability is 0, yet finite, so that its product with a
/// probability of 0 is 0 and not NaN.
const PADDING: f64 = -1e9;

/// Logits of beginnings and ends of all tokens, `[N, 2]`, as a row for each sequence: `[2B, T]`, those of the beginnings first.
///
/// Each row is one decision among the tokens of its sequence, so that every objective of classes applies to it as it is.
pub fn span_logits(logits: Tensor<2>, geometry: &Geometry) -> Tensor<2> {
    let [sequences, longest] = [geometry.layout.sequences(), geometry.layout.longest()];
    let padded = match &geometry.to_padded {
        Some(rows) => logits.select(0, rows.clone()),
        None => logits,
    };
    let rows = padded.reshape([sequences, longest, 2]).permute([2, 0, 1]).reshape([2 * sequences, longest]);
    match &geometry.key_bias {
        Some(bias) => {
            let bias = bias.clone().reshape([sequences, longest]).clamp_min(PADDING);
            rows + Tensor::cat(vec![bias.clone(), bias], 0)
        }
        None => rows,
    }
}

#[cfg(test)]
mod tests {
    use burn::tensor::{Device, TensorData};

    use super::*;
    use crate::engine::Layout;
    use crate::engine::operations::cross_entropy;
    use crate::objectives::{Semantics, soft_cross_entropy};

    const LENGTHS: [u32; 3] = [3, 1, 2];
    /// Beginning and end of each of the six tokens.
    const LOGITS: [f32; 12] = [0.3, -1.2, 2.0, 0.4, -0.5, 1.5, 7.0, -7.0, 0.25, 0.5, -2.0, 1.0];

    fn tensor(values: &[f32], device: &Device) -> Tensor<2> {
        Tensor::from_data(TensorData::new(values.to_vec(), [values.len() / 2, 2]), device)
    }

    /// `-log p` of a token among those of its sequence.
    fn surprise(logits: &[f64], token: usize) -> f64 {
        logits.iter().map(|x| x.exp()).sum::<f64>().ln() - logits[token]
    }

    /// Logits of one end of each sequence.
    fn columns(values: &[f64]) -> Vec<Vec<f64>> {
        let column = |end: usize| {
            let mut first = 0;
            LENGTHS.map(|length| {
                let tokens = first..first + length as usize;
                first = tokens.end;
                tokens.map(|token| values[2 * token + end]).collect::<Vec<f64>>()
            })
        };
        [column(0), column(1)].concat()
    }

    /// The token of each row: three beginnings, three ends.
    const GOLD: [i32; 6] = [1, 0, 0, 2, 0, 1];

    fn by_hand(values: &[f64]) -> f64 {
        let rows = columns(values);
        rows.iter().zip(GOLD).map(|(row, token)| surprise(row, token as usize)).sum::<f64>() / 6.0
    }

    #[test]
    fn the_loss_is_the_mean_of_both_cross_entropies() {
        let device = Device::flex();
        let geometry = Geometry::new(Layout::ragged(&LENGTHS), &device);
        let gold = Tensor::from_ints(GOLD, &device);
        let rows = span_logits(tensor(&LOGITS, &device), &geometry);
        assert_eq!(rows.dims(), [6, 3]);
        let loss = cross_entropy(rows, gold).try_into_scalar::<f32>().unwrap();
        let exact = by_hand(&LOGITS.map(f64::from));
        // Sums of three 32-bit exponentials.
        assert!((f64::from(loss) - exact).abs() < 1e-6, "{loss} {exact}");
    }

    #[test]
    fn gradients_are_those_of_differences() {
        let device = Device::flex().autodiff();
        let geometry = Geometry::new(Layout::ragged(&LENGTHS), &device);
        let leaf = tensor(&LOGITS, &device).require_grad();
        let gold = Tensor::from_ints(GOLD, &device);
        let tape = cross_entropy(span_logits(leaf.clone(), &geometry), gold).backward();
        let got = leaf.grad(&tape).unwrap().try_into_vec_as::<f32>().unwrap();
        let values = LOGITS.map(f64::from);
        for (place, got) in got.into_iter().enumerate() {
            let at = |step: f64| {
                let mut moved = values;
                moved[place] += step;
                by_hand(&moved)
            };
            let exact = (at(1e-5) - at(-1e-5)) / 2e-5;
            // Of 32-bit probabilities below 1, against differences that err by the square of the step.
            assert!((f64::from(got) - exact).abs() < 1e-6, "{place}: {got} {exact}");
        }
    }

    #[test]
    fn a_teachers_distributions_are_softened() {
        let device = Device::flex();
        let geometry = Geometry::new(Layout::ragged(&LENGTHS), &device);
        let theirs: Vec<f32> = LOGITS.iter().rev().copied().collect();
        let rows = |values: &[f32]| span_logits(tensor(values, &device), &geometry);
        let temperature = 2.0;
        let got = soft_cross_entropy(rows(&LOGITS), rows(&theirs), temperature, Semantics::Clean);
        let half = |values: &[f32]| columns(&values.iter().map(|x| f64::from(*x) / temperature).collect::<Vec<f64>>());
        let row = |(ours, theirs): (&Vec<f64>, &Vec<f64>)| -> f64 {
            (0..ours.len()).map(|token| (-surprise(theirs, token)).exp() * surprise(ours, token)).sum()
        };
        let (ours, theirs) = (half(&LOGITS), half(&theirs));
        let exact = ours.iter().zip(&theirs).map(row).sum::<f64>() / 6.0 * temperature * temperature;
        let got = got.try_into_scalar::<f32>().unwrap();
        // As above, times T².
        assert!((f64::from(got) - exact).abs() < 1e-5, "{got} {exact}");
    }
}
