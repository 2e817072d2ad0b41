//! A real model, where there is one.

use attar_model::atomic::WriteMode;
use attar_model::{Bundle, Head, Pooling, PoolingMode, Size, checkpoint};

use crate::common::assert_same_bits;
use attar_testing::teacher;

#[test]
#[ignore = "needs the pretrained teacher of ../shared"]
fn the_sentence_encoder_is_read_whole() {
    let dir = teacher();
    let loaded = checkpoint::load(&dir).unwrap();
    assert_eq!(loaded.ignored, ["embeddings.position_ids"]);
    assert!(loaded.unexpected.is_empty() && loaded.missing.is_empty());
    assert_eq!(loaded.weights.len(), 103);
    assert_eq!(loaded.sources[0].sha256, "53aa51172d142c89d9012cce15ae4d6cc0ca6895895114379cacb4fab128d9db");
    assert_eq!(Size::of(&loaded.config).parameters(), loaded.weights.elements());

    let bundle = Bundle::read(&dir).unwrap();
    assert_eq!(bundle.pooling, Some(Pooling { mode: PoolingMode::Mean, normalize: true }));
    assert_eq!(bundle.max_tokens, Some(256));
    assert!(bundle.tokenizer_file("vocab.txt").is_some_and(|bytes| bytes.len() == 231_508));
    assert!(bundle.card.as_ref().is_some_and(|card| card.starts_with("---\nlanguage: en\n")));

    let root = tempfile::tempdir().unwrap();
    let copy = root.path().join("copy");
    bundle.write(&copy, WriteMode::New).unwrap();
    let again = Bundle::read(&copy).unwrap();
    assert_same_bits(&again.weights, &bundle.weights);
    assert_eq!(again.fingerprint(), bundle.fingerprint());
    assert_eq!((again.pooling, again.max_tokens, again.card), (bundle.pooling, bundle.max_tokens, bundle.card));
    assert_eq!(again.tokenizer_files, bundle.tokenizer_files);
    for (key, value) in &bundle.config.extra {
        assert_eq!(again.config.extra.get(key), Some(value), "{key}");
    }
}

#[test]
#[ignore = "needs the pretrained teacher of ../shared"]
fn it_lacks_the_heads_it_was_not_trained_with() {
    let dir = teacher();
    let loaded = checkpoint::load_as(&dir, Head::MaskedLm).unwrap();
    assert_eq!(
        loaded.missing,
        [
            "cls.predictions.transform.dense.weight",
            "cls.predictions.transform.dense.bias",
            "cls.predictions.transform.LayerNorm.weight",
            "cls.predictions.transform.LayerNorm.bias",
            "cls.predictions.bias"
        ]
    );
    assert_eq!(loaded.ignored, ["embeddings.position_ids", "pooler.dense.bias", "pooler.dense.weight"]);
}
