//! How large an encoder is, and how much arithmetic a text costs.

use crate::config::{EncoderConfig, Head};
use crate::names::{EMBEDDING_PROJECTION, expected_shapes};
use crate::relative_positions::RELATIVE_BIAS;

/// Numbers of parameters of an encoder, by group. The groups add up to all there is.
///
/// ```
/// use attar_model::{EncoderConfig, Size};
///
/// let size = Size::of(&EncoderConfig::bert_base());
/// assert_eq!(size.parameters(), 109_482_240);
/// assert_eq!(size.bytes_f32(), 437_928_960);
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Size {
    /// The word embedding table, V·E; the decoder of a masked-language-model head shares it.
    pub word_embeddings: usize,
    /// The position and token-type tables, and MPNet's biases by distance.
    pub position_embeddings: usize,
    /// The map from factorized embeddings to the hidden width, E·H + H; 0 where there is none.
    pub embedding_projection: usize,
    /// Layer normalizations of embeddings and layers (that of a masked-language-model head counts as head).
    pub layer_norm: usize,
    /// Query, key, value and output projections, with biases.
    pub attention: usize,
    /// Both dense layers of the feed-forward blocks, with biases.
    pub feed_forward: usize,
    /// The dense layer over the first token.
    pub pooler: usize,
    /// Classifier, masked-language-model head, next-sentence head.
    pub head: usize,
    /// Of all parameters, those in matrices (embedding tables and weights of dense layers, without biases by distance).
    pub in_matrices: usize,
    /// Rows of all these matrices.
    pub matrix_rows: usize,
}

impl Size {
    /// Counts the tensors of [`expected_shapes`].
    pub fn of(config: &EncoderConfig) -> Self {
        let mut size = Size::default();
        for (name, shape) in expected_shapes(config) {
            let count: usize = shape.iter().product();
            *size.group(&name) += count;
            if let [rows, _] = shape[..]
                && name != RELATIVE_BIAS
            {
                size.in_matrices += count;
                size.matrix_rows += rows;
            }
        }
        size
    }

    /// All parameters, each counted once.
    pub fn parameters(&self) -> usize {
        self.word_embeddings
            + self.position_embeddings
            + self.embedding_projection
            + self.layer_norm
            + self.attention
            + self.feed_forward
            + self.pooler
            + self.head
    }

    /// Bytes of all parameters as 32-bit floats; a file has a header of some kilobytes besides.
    pub fn bytes_f32(&self) -> usize {
        4 * self.parameters()
    }

    /// Bytes of all parameters as 16-bit floats.
    pub fn bytes_f16(&self) -> usize {
        2 * self.parameters()
    }

    /// Bytes with matrices as 8-bit integers and one 32-bit scale a row, everything else as 32-bit floats: what
    /// [`Storage::int8_matrices`](crate::quantized::Storage::int8_matrices) comes to. For other choices, and with the
    /// header, see [`quantized::file_length`](crate::quantized::file_length).
    pub fn bytes_int8(&self) -> usize {
        self.in_matrices + 4 * self.matrix_rows + 4 * (self.parameters() - self.in_matrices)
    }

    fn group(&mut self, name: &str) -> &mut usize {
        let ends = |part: &str| name.ends_with(&format!("{part}.weight")) || name.ends_with(&format!("{part}.bias"));
        if name.starts_with("pooler.") {
            &mut self.pooler
        } else if name.starts_with("classifier.") || name.starts_with("cls.") {
            &mut self.head
        } else if ends("LayerNorm") {
            &mut self.layer_norm
        } else if name.starts_with("embeddings.word_embeddings.") {
            &mut self.word_embeddings
        } else if name.starts_with("embeddings.") || name == RELATIVE_BIAS {
            &mut self.position_embeddings
        } else if name.starts_with(EMBEDDING_PROJECTION) {
            &mut self.embedding_projection
        } else if name.contains(".attention.") {
            &mut self.attention
        } else {
            &mut self.feed_forward
        }
    }
}

/// Floating-point operations of one forward pass over one text, by part.
///
/// Two for each multiply-accumulate of a matrix product, nothing for embeddings, normalizations, softmax and
/// activations, as Jiao et al. 2020 count (TinyBERT, arXiv 1909.10351, table 1; their figures lie up to 2 % higher).
/// The numbers are whole, and exact below 2^53.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct Flops {
    /// The map from factorized embeddings to the hidden width.
    pub embedding_projection: f64,
    /// Query, key, value and output projections.
    pub attention_projections: f64,
    /// The products Q·Kᵀ, which grow with the square of the length.
    pub attention_scores: f64,
    /// The products of probabilities and V, which grow with the square of the length.
    pub attention_values: f64,
    /// Both dense layers of the feed-forward blocks.
    pub feed_forward: f64,
    /// The dense layer over the first token.
    pub pooler: f64,
    /// Classifier, masked-language-model head over all tokens, next-sentence head.
    pub head: f64,
}

impl Flops {
    /// The layers, and the map of factorized embeddings: what papers print.
    pub fn encoder(&self) -> f64 {
        self.embedding_projection
            + self.attention_projections
            + self.attention_scores
            + self.attention_values
            + self.feed_forward
    }

    /// Encoder, pooler and head.
    pub fn total(&self) -> f64 {
        self.encoder() + self.pooler + self.head
    }
}

/// Operations for one text of `tokens` tokens, special ones included, none of them padding.
///
/// ```
/// use attar_model::{EncoderConfig, flops};
///
/// let base = flops(&EncoderConfig::bert_base(), 128);
/// assert_eq!(base.encoder(), 22_347_251_712.0);
/// ```
pub fn flops(config: &EncoderConfig, tokens: usize) -> Flops {
    let [l, h, f, v, t] =
        [config.layers, config.hidden, config.feed_forward, config.vocabulary, tokens].map(|n| n as f64);
    let (e, outputs) = (config.embedding_width() as f64, config.outputs() as f64);
    let masked_lm = 2.0 * t * (h * e + e * v);
    Flops {
        embedding_projection: if config.embedding.is_some() { 2.0 * t * e * h } else { 0.0 },
        attention_projections: 2.0 * l * t * 4.0 * h * h,
        attention_scores: 2.0 * l * t * t * h,
        attention_values: 2.0 * l * t * t * h,
        feed_forward: 2.0 * l * t * 2.0 * h * f,
        pooler: if config.pooler { 2.0 * h * h } else { 0.0 },
        head: match config.head {
            Head::None => 0.0,
            Head::Classification { .. } => 2.0 * h * outputs,
            Head::TokenClassification { .. } | Head::QuestionAnswering => 2.0 * t * h * outputs,
            Head::MaskedLm => masked_lm,
            Head::Pretraining => masked_lm + 2.0 * h * 2.0,
        },
    }
}
