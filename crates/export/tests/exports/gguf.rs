//! Files of llama.cpp.

use attar_export::gguf::{self, FloatType};
use attar_model::{Bundle, Family, Head, Pooling, PoolingMode, Target};

use crate::common::{bundle, config, labels};

fn encoder() -> Bundle {
    let mut bundle = bundle(config(Family::Bert, Head::None));
    bundle.pooling = Some(Pooling { mode: PoolingMode::Mean, normalize: true });
    let tokenizer = serde_json::json!({
        "added_tokens": [{"id": 0, "content": "[PAD]"}, {"id": 2, "content": "[CLS]"}, {"id": 3, "content": "[SEP]"}],
        "normalizer": {"type": "BertNormalizer", "lowercase": true},
        "model": {
            "type": "WordPiece", "continuing_subword_prefix": "##",
            "vocab": {"[PAD]": 0, "[UNK]": 1, "[CLS]": 2, "[SEP]": 3, "light": 4, "##s": 5, "##": 6},
        },
    });
    bundle.tokenizer_files = vec![("tokenizer.json".into(), tokenizer.to_string().into_bytes())];
    bundle
}

/// A reader of what a file begins with.
struct Reader<'a>(&'a [u8]);

impl Reader<'_> {
    fn take<const N: usize>(&mut self) -> [u8; N] {
        let (first, rest) = self.0.split_first_chunk().unwrap();
        self.0 = rest;
        *first
    }

    fn count(&mut self) -> usize {
        u64::from_le_bytes(self.take()) as usize
    }

    fn text(&mut self) -> String {
        let length = self.count();
        let (text, rest) = self.0.split_at(length);
        self.0 = rest;
        String::from_utf8(text.to_vec()).unwrap()
    }

    /// A value as text.
    fn value(&mut self) -> String {
        let kind = u32::from_le_bytes(self.take());
        self.of_kind(kind)
    }

    fn of_kind(&mut self, kind: u32) -> String {
        match kind {
            4 => u32::from_le_bytes(self.take()).to_string(),
            5 => i32::from_le_bytes(self.take()).to_string(),
            6 => f32::from_le_bytes(self.take()).to_string(),
            7 => (self.take::<1>() == [1]).to_string(),
            8 => self.text(),
            9 => {
                let kind = u32::from_le_bytes(self.take());
                (0..self.count()).map(|_| self.of_kind(kind)).collect::<Vec<_>>().join(" ")
            }
            other => panic!("the type {other}"),
        }
    }
}

#[test]
fn keys_and_tensors_are_those_of_the_layout() {
    let bundle = encoder();
    for floats in [FloatType::F32, FloatType::F16] {
        let bytes = gguf::export(&bundle, "tiny", floats).unwrap();
        let mut reader = Reader(&bytes);
        assert_eq!((&reader.take::<4>(), u32::from_le_bytes(reader.take())), (b"GGUF", 3));
        let (tensors, keys) = (reader.count(), reader.count());
        assert_eq!(tensors, 5 + 2 * 16);
        let keys: std::collections::BTreeMap<String, String> =
            (0..keys).map(|_| (reader.text(), reader.value())).collect();
        for (key, value) in [
            ("general.architecture", "bert"),
            ("bert.block_count", "2"),
            ("bert.context_length", "24"),
            ("bert.pooling_type", "1"),
            ("bert.attention.causal", "false"),
            ("tokenizer.ggml.bos_token_id", "2"),
            ("tokenizer.ggml.seperator_token_id", "3"),
        ] {
            assert_eq!(keys[key], value, "{key}");
        }
        assert!(
            keys["tokenizer.ggml.tokens"].starts_with("[PAD] \u{2581}[UNK] [CLS] [SEP] \u{2581}light s \u{2581}## [")
        );
        assert!(keys["tokenizer.ggml.token_type"].starts_with("3 1 3 3 1 1 1 5 5"));
        let mut places = Vec::new();
        for _ in 0..tensors {
            let name = reader.text();
            let dimensions = u32::from_le_bytes(reader.take());
            let shape: Vec<usize> = (0..dimensions).map(|_| reader.count()).collect();
            places.push((name, shape, u32::from_le_bytes(reader.take()), reader.count()));
        }
        let data = (bytes.len() - reader.0.len()).next_multiple_of(32);
        let (_, shape, kind, at) = places.iter().find(|(name, ..)| name == "blk.1.ffn_up.weight").unwrap();
        assert_eq!((&shape[..], *kind), (&[24, 40][..], u32::from(floats == FloatType::F16)));
        let (name, shape, kind, bias) = places.iter().find(|(name, ..)| name == "blk.0.attn_q.bias").unwrap();
        assert_eq!((&shape[..], *kind), (&[24][..], 0), "{name}");
        assert!(at % 32 == 0 && bias % 32 == 0);
        let first = f32::from_le_bytes(*bytes[data + bias..].first_chunk().unwrap());
        assert_eq!(first, bundle.weights.get("encoder.layer.0.attention.self.query.bias").unwrap().data[0]);
    }
}

#[test]
fn the_context_is_as_long_as_the_table_of_positions() {
    let mut bundle = encoder();
    // A model that reads less than it could has the whole table all the same, and llama.cpp compares the two.
    bundle.max_tokens = Some(8);
    let bytes = gguf::export(&bundle, "tiny", FloatType::F32).unwrap();
    let mut reader = Reader(&bytes);
    reader.take::<8>();
    let (tensors, keys) = (reader.count(), reader.count());
    let keys: std::collections::BTreeMap<String, String> = (0..keys).map(|_| (reader.text(), reader.value())).collect();
    let mut rows = None;
    for _ in 0..tensors {
        let name = reader.text();
        let dimensions = u32::from_le_bytes(reader.take());
        let shape: Vec<usize> = (0..dimensions).map(|_| reader.count()).collect();
        reader.take::<12>();
        if name == "position_embd.weight" {
            rows = shape.last().copied();
        }
    }
    assert_eq!(rows.map(|rows| rows.to_string()).as_ref(), Some(&keys["bert.context_length"]));
}

#[test]
fn what_the_layout_lacks_is_refused() {
    let refused = |bundle: &Bundle, part: &str| {
        let error = gguf::export(bundle, "tiny", FloatType::F32).unwrap_err().to_string();
        assert!(error.contains("does not support") && error.contains(part), "{error}");
    };
    refused(&bundle(config(Family::Roberta, Head::None)), "Roberta");
    refused(&bundle(config(Family::Electra, Head::None)), "Electra");
    refused(&bundle(config(Family::Bert, labels(Target::Labels))), "models with a head");
    let mut max = encoder();
    max.pooling = Some(Pooling { mode: PoolingMode::Max, normalize: false });
    refused(&max, "the pooling Max");
    let mut cased = encoder();
    let file = &mut cased.tokenizer_files[0].1;
    *file = String::from_utf8(file.clone()).unwrap().replace("\"lowercase\":true", "\"lowercase\":false").into_bytes();
    refused(&cased, "cased vocabularies");
    cased.tokenizer_files.clear();
    refused(&cased, "a model without tokenizer.json");
}
