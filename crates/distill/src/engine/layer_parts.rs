//! The weights of a layer, each with the widths that it reads and writes.

use burn::tensor::Tensor;

use super::encoder::Encoder;
use super::parameters::Values;

/// A dimension of an encoder that all layers share.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Width {
    /// H
    Hidden,
    /// F
    FeedForward,
}

/// A matrix `[in, out]` of a layer.
#[derive(Debug, Clone)]
pub struct LayerMatrix {
    /// What its rows are.
    pub reads: Width,
    /// What its columns are.
    pub writes: Width,
    /// `[in, out]`
    pub weight: Tensor<2>,
}

/// The weights of a layer.
#[derive(Debug, Clone)]
pub struct LayerParts {
    /// Query, key, value and output of attention, then the two of the feed-forward block.
    pub matrices: Vec<LayerMatrix>,
    /// Their biases in the same order, then gain and bias of both LayerNorms.
    pub vectors: Vec<(Width, Tensor<1>)>,
}

impl Encoder {
    /// The weights of a layer, counted from 0; `values` are those of [`Encoder::slots`].
    ///
    /// # Panics
    /// If there is no such layer.
    pub fn layer_parts(&self, values: &Values, layer: usize) -> LayerParts {
        let name = format!("encoder.layer.{layer}.attention.self.qkv.weight");
        let first = self.slots().iter().position(|slot| slot.name == name).expect("an encoder has its layers");
        let hidden = self.config().hidden;
        let mut values = values.cursor_at(first);
        let (qkv, qkv_bias) = (values.matrix(), values.vector());
        let (output, output_bias) = (values.matrix(), values.vector());
        let after_attention = [values.vector(), values.vector()];
        let (inner, inner_bias) = (values.matrix(), values.vector());
        let (outer, outer_bias) = (values.matrix(), values.vector());
        let after_feed_forward = [values.vector(), values.vector()];
        let third = |part: usize| qkv.clone().narrow(1, part * hidden, hidden);
        let matrix = |reads, writes, weight| LayerMatrix { reads, writes, weight };
        let square = |weight| matrix(Width::Hidden, Width::Hidden, weight);
        let matrices = vec![
            square(third(0)),
            square(third(1)),
            square(third(2)),
            square(output),
            matrix(Width::Hidden, Width::FeedForward, inner),
            matrix(Width::FeedForward, Width::Hidden, outer),
        ];
        let thirds = (0..3).map(|part| (Width::Hidden, qkv_bias.clone().narrow(0, part * hidden, hidden)));
        let others = [(Width::Hidden, output_bias), (Width::FeedForward, inner_bias), (Width::Hidden, outer_bias)];
        let norms = after_attention.into_iter().chain(after_feed_forward).map(|vector| (Width::Hidden, vector));
        LayerParts { matrices, vectors: thirds.chain(others).chain(norms).collect() }
    }
}

#[cfg(test)]
mod tests {
    use attar_model::{EncoderConfig, Head};
    use attar_text::random::Streams;

    use super::*;
    use crate::engine::Parameters;
    use crate::plan::initialize_missing;

    #[test]
    fn parts_are_those_of_the_file() {
        let shape = EncoderConfig { layers: 2, hidden: 6, heads: 2, feed_forward: 10, ..EncoderConfig::bert_base() };
        let config = EncoderConfig { vocabulary: 9, positions: 4, ..shape }.with_head(Head::None);
        let weights = initialize_missing(&config, attar_model::Weights::new(), &Streams::new(1));
        let encoder = Encoder::new(config);
        let mut parameters = Parameters::empty(&Default::default());
        parameters.load(encoder.slots(), &weights).unwrap();
        let parts = encoder.layer_parts(&parameters.values(), 1);
        let names = [
            "attention.self.query",
            "attention.self.key",
            "attention.self.value",
            "attention.output.dense",
            "intermediate.dense",
            "output.dense",
        ];
        for (part, name) in parts.matrices.iter().zip(names) {
            let stored = weights.get(&format!("encoder.layer.1.{name}.weight")).unwrap();
            let [outputs, inputs] = [stored.shape[0], stored.shape[1]];
            assert_eq!(part.weight.dims(), [inputs, outputs], "{name}");
            assert_eq!([part.reads, part.writes].map(|width| [6, 10][width as usize]), [inputs, outputs], "{name}");
            let ours = part.weight.clone().transpose().try_into_vec_as::<f32>().unwrap();
            assert_eq!(ours, stored.data, "{name}");
        }
        let widths: Vec<usize> = parts.vectors.iter().map(|(_, vector)| vector.dims()[0]).collect();
        assert_eq!(widths, [6, 6, 6, 6, 10, 6, 6, 6, 6, 6]);
        for (width, vector) in &parts.vectors {
            assert_eq!(vector.dims()[0], [6, 10][*width as usize]);
        }
    }
}
