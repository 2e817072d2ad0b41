//! Small models of every kind, with weights that are arbitrary and always the same.

use std::sync::OnceLock;

use attar_model::quantized::{QuantizedWeights, ScaleChoice, Storage};
use attar_model::single_file::{self, StoredWeights};
use attar_model::{
    Bundle, ClassifierInput, EncoderConfig, Head, Pooling, PoolingMode, Target, Tensor, Weights, expected_shapes,
};
use attar_testing::fixtures;
use attar_text::tokenizer::{Tokenizer, WordPieceOptions};
use attar_text::vocabulary::Vocabulary;

/// A model with a head of this kind, over the vocabulary of the tokenizer's fixtures.
pub(crate) fn bundle(head: Head, input: ClassifierInput) -> Bundle {
    let vocabulary = Vocabulary::from_file(&fixtures("tokenizer/vocab.txt")).unwrap();
    let config = EncoderConfig {
        layers: 2,
        hidden: 12,
        heads: 2,
        feed_forward: 20,
        vocabulary: vocabulary.len(),
        positions: 24,
        classifier_input: input,
        ..EncoderConfig::bert_base()
    }
    .with_head(head);
    let mut at = 7u32;
    let mut next = || {
        at = at.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        (at >> 8) as f32 / (1 << 23) as f32 - 1.0
    };
    let weights: Weights = expected_shapes(&config)
        .into_iter()
        .map(|(name, shape)| {
            let count = shape.iter().product();
            (name, Tensor::new(shape, (0..count).map(|_| next()).collect()))
        })
        .collect();
    let tokenizer = Tokenizer::from_vocabulary(vocabulary, WordPieceOptions::uncased()).unwrap();
    let files = tokenizer.files().unwrap();
    Bundle {
        tokenizer_files: files.into_iter().map(|(name, text)| (name.to_owned(), text.into_bytes())).collect(),
        pooling: Some(Pooling { mode: PoolingMode::Mean, normalize: true }),
        ..Bundle::new(config, weights)
    }
}

/// The same in small integers.
pub(crate) fn quantized(bundle: Bundle) -> Bundle {
    let quantized =
        QuantizedWeights::quantize(&bundle.config, &bundle.weights, ScaleChoice::LeastSquares, Storage::int8_matrices)
            .unwrap();
    Bundle { quantized: Some(quantized), ..bundle }
}

pub(crate) fn file(bundle: &Bundle) -> Vec<u8> {
    let precision = if bundle.quantized.is_some() { StoredWeights::Int8 } else { StoredWeights::F32 };
    single_file::to_bytes(bundle, precision).unwrap()
}

/// One of each kind, by name.
pub(crate) fn all() -> &'static [(&'static str, Bundle)] {
    static ALL: OnceLock<Vec<(&str, Bundle)>> = OnceLock::new();
    ALL.get_or_init(made)
}

fn made() -> Vec<(&'static str, Bundle)> {
    let labels = |names: &[&str]| names.iter().map(|&name| name.to_owned()).collect::<Vec<_>>();
    let classes = || Head::Classification { target: Target::Labels(labels(&["no", "yes", "perhaps"])) };
    let several = Head::Classification { target: Target::MultiLabel(labels(&["bug", "ui"])) };
    let regression = || Head::Classification { target: Target::Regression };
    let tags = Head::TokenClassification { labels: labels(&["O", "B-PER", "I-PER", "LOC"]) };
    use ClassifierInput::{Cosine, FirstToken, Mean};
    // Random weights may see no entity anywhere: here every word is part of one.
    let mut tagger = bundle(tags, FirstToken);
    tagger.weights.get_mut("classifier.bias").unwrap().data[0] = -10.0;
    vec![
        ("classes", bundle(classes(), FirstToken)),
        ("classes-int8", quantized(bundle(classes(), Mean))),
        ("several-labels", bundle(several, FirstToken)),
        ("numbers", bundle(regression(), FirstToken)),
        ("alike", quantized(bundle(regression(), Cosine))),
        ("tags", tagger),
        ("answers", bundle(Head::QuestionAnswering, FirstToken)),
        ("vectors-int8", quantized(bundle(Head::None, FirstToken))),
    ]
}
