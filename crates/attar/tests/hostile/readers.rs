//! What reads other people's bytes.

use std::fs;
use std::path::Path;

use attar_meter::{Ledger, Totals};
use attar_model::quantized::QuantizedWeights;
use attar_model::{Bundle, EncoderConfig, ModelFiles, ReadWeights, WeightsFile, hf_config};
use attar_text::corpus::Corpus;
use attar_text::tokenizer::{Limit, Tokenizer};

use crate::attack;
use crate::requests::Client;
#[cfg(feature = "parquet")]
use crate::shared::columnar;
use crate::shared::{answers, recipe, table};

/// Texts that a tokenizer which was read has to cut.
const TEXTS: [&str; 4] =
    ["", "a rose is a rose", "É [MASK] rose\u{302e}\u{301}, 中daisy! <e1>", "\u{0}\u{fffd}\u{1F44B}\u{1F3FD}"];

/// Encodes texts and pairs, if the tokenizer takes them, into ids that it has.
fn encode(tokenizer: &Tokenizer) {
    let known = tokenizer.vocabulary_size();
    for text in TEXTS {
        for pair in [None, Some("a daisy [SEP]")] {
            if let Ok(encoding) = tokenizer.encode(text, pair, Limit::new(64)) {
                assert!(encoding.len() <= 64, "{} tokens", encoding.len());
                assert!(encoding.ids.iter().all(|&id| (id as usize) < known), "{:?} of {known}", encoding.ids);
            }
        }
    }
}

/// Writes parts of `bytes`, with the byte 0x1e between two, as these files of a folder, and nothing where a part is empty.
fn lay_out(folder: &Path, names: &[&str], bytes: &[u8]) {
    let mut parts = bytes.split(|&byte| byte == 0x1e);
    for name in names {
        let path = folder.join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        match parts.next().filter(|part| !part.is_empty()) {
            Some(part) => fs::write(path, part).unwrap(),
            None => _ = fs::remove_file(path),
        }
    }
}

#[test]
fn configurations() {
    attack("config", &["fuzz/seeds/config"], |bytes, _| {
        if let Ok(json) = serde_json::from_slice(bytes)
            && let Ok(config) = hf_config::parse(json)
        {
            _ = config.validate();
        }
    });
}

#[test]
fn weights() {
    attack("weights", &["fuzz/seeds/weights"], |bytes, _| {
        for name in ["model.safetensors", "pytorch_model.bin"] {
            let Ok(file) = WeightsFile::from_bytes(Path::new(name), bytes.to_vec()) else { continue };
            for (name, tensor) in file.tensors() {
                // A tensor may repeat its numbers, but a file of bytes must not fill the memory.
                let elements: usize = tensor.shape().iter().product();
                assert!(elements <= bytes.len(), "{name} holds {elements} of {} bytes", bytes.len());
                _ = file.floats(name);
                _ = file.integers(name);
            }
        }
    });
}

#[test]
fn quantized_weights() {
    let config = EncoderConfig {
        layers: 1,
        hidden: 4,
        heads: 2,
        feed_forward: 6,
        vocabulary: 5,
        positions: 3,
        pooler: false,
        ..EncoderConfig::bert_base()
    };
    attack("quantized", &["fuzz/seeds/quantized"], move |bytes, folder| {
        let path = folder.join("model.int8.safetensors");
        fs::write(&path, bytes).unwrap();
        if let Ok(weights) = QuantizedWeights::read(&path, &config) {
            weights.dequantize().check(&config).unwrap();
        }
    });
}

#[test]
fn single_files() {
    attack("single_file", &["fuzz/seeds/single_file"], |bytes, _| {
        let Ok(files) = ModelFiles::from_bytes(Path::new("a.attar"), bytes) else { return };
        if let Ok(bundle) = Bundle::read_from(&files, ReadWeights::All) {
            bundle.config.validate().unwrap();
        }
    });
}

#[test]
fn tokenizers() {
    attack("tokenizer_json", &["fuzz/seeds/tokenizer_json"], |bytes, _| {
        let Ok(tokenizer) = Tokenizer::from_json(bytes.to_vec()) else { return };
        encode(&tokenizer);
        _ = tokenizer.vocabulary();
        _ = tokenizer.to_json();
    });
}

#[test]
fn files_around_a_vocabulary() {
    let names = ["vocab.txt", "tokenizer_config.json", "added_tokens.json", "special_tokens_map.json"];
    attack("tokenizer_files", &["fuzz/seeds/tokenizer_files"], move |bytes, folder| {
        lay_out(folder, &names, bytes);
        let Ok(tokenizer) = Tokenizer::from_dir(folder) else { return };
        encode(&tokenizer);
        _ = tokenizer.to_json();
    });
}

#[test]
fn directories_of_sentence_encoders() {
    let names = [
        "config.json",
        "modules.json",
        "1_Pooling/config.json",
        "config_sentence_transformers.json",
        "sentence_bert_config.json",
    ];
    attack("directory", &["fuzz/seeds/directory"], move |bytes, folder| {
        lay_out(folder, &names, bytes);
        _ = Bundle::read_pooling(folder);
        if let Ok(config) = Bundle::read_config(folder) {
            config.validate().unwrap();
        }
        // There are no weights, and that is an error.
        assert!(Bundle::read(folder).is_err());
    });
}

#[test]
fn questions() {
    attack("answers", &["fuzz/seeds/answers"], answers::read_questions);
}

#[test]
fn tables() {
    attack("table", &["fuzz/seeds/table"], table::read_table);
}

#[test]
#[cfg(feature = "parquet")]
fn columns_of_tables() {
    attack("columnar", &["fuzz/seeds/columnar"], columnar::read_columns);
}

#[test]
fn raw_text() {
    attack("corpus", &["fuzz/seeds/corpus"], |bytes, folder| {
        let Some((&kind, bytes)) = bytes.split_first() else { return };
        let path = folder.join(["text.txt", "text.txt.gz", "text.txt.zst"][usize::from(kind) % 3]);
        fs::write(&path, bytes).unwrap();
        let Ok(mut corpus) = Corpus::open(&[&path]) else { return };
        // A small packed file may hold a lot: the first lines will do.
        for line in corpus.by_ref().take(10_000) {
            assert!(!line.contains('\n'), "a line of two lines");
        }
        _ = corpus.finish();
    });
}

#[test]
fn ledgers() {
    attack("ledger", &["fuzz/seeds/ledger"], |bytes, folder| {
        let path = folder.join("ledger.jsonl");
        fs::write(&path, bytes).unwrap();
        if let Ok(contents) = Ledger::read(&path) {
            _ = Totals::from_windows(&contents.windows);
        }
    });
}

#[test]
fn recipes() {
    attack("recipe", &["recipes"], |bytes, _| {
        if let Ok(text) = std::str::from_utf8(bytes) {
            recipe::read_recipe(text);
        }
    });
}

#[test]
fn bodies() {
    let folder = tempfile::tempdir().unwrap();
    let client = std::cell::RefCell::new(Client::start(folder.path()));
    attack("body", &["fuzz/seeds/body"], |bytes, _| client.borrow_mut().ask(bytes));
}
