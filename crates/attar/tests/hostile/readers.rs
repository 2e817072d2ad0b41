//! What reads other people's bytes.

use std::fs;
#[cfg(feature = "parquet")]
use std::io::BufRead;
use std::path::Path;

use attar_distill::recipe::Recipe;
use attar_meter::{Ledger, Totals};
use attar_model::quantized::QuantizedWeights;
use attar_model::{Bundle, EncoderConfig, ModelFiles, ReadWeights, WeightsFile, hf_config};
use attar_text::corpus::Corpus;
use attar_text::labeled::{Label, LabeledSpec, TargetSpec, read, read_answers};
#[cfg(feature = "parquet")]
use attar_text::table::as_json_lines;
use attar_text::table::{Format, Header, Quoting, TableSpec, TextEncoding};
use attar_text::tokenizer::{Limit, Tokenizer};

use crate::attack;
use crate::requests::Client;

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
    attack("answers", &["fuzz/seeds/answers"], |bytes, folder| {
        let path = folder.join("questions.json");
        fs::write(&path, bytes).unwrap();
        if let Ok(data) = read_answers(&path) {
            // Every answer that was let through is a part of its context.
            assert_eq!(data.answers().is_some(), data.examples.iter().all(|row| row.label != Label::Absent));
            assert!(data.answers().into_iter().flatten().flatten().all(|answer| !answer.trim().is_empty()));
        }
    });
}

#[test]
fn tables() {
    const FORMATS: [Format; 6] =
        [Format::Tsv, Format::Csv, Format::Jsonl, Format::Lines, Format::LabelFirst, Format::FastText];
    const ENCODINGS: [TextEncoding; 4] =
        [TextEncoding::Auto, TextEncoding::Utf8, TextEncoding::Utf16, TextEncoding::Latin1];
    attack("table", &["fuzz/seeds/table"], |bytes, folder| {
        // The first bytes say how it is read.
        let Some((&[format, encoding, header, quoting], bytes)) = bytes.split_first_chunk() else { return };
        let path = folder.join("table");
        fs::write(&path, bytes).unwrap();
        let has_header = header % 2 == 1;
        let table = TableSpec {
            format: FORMATS[usize::from(format) % FORMATS.len()],
            encoding: ENCODINGS[usize::from(encoding) % ENCODINGS.len()],
            header: if has_header { Header::Present } else { Header::Absent },
            quoting: if quoting % 2 == 1 { Quoting::On } else { Quoting::Off },
            ..TableSpec::new(&path)
        };
        let column = |name: &str, number: &str| if has_header { name } else { number }.parse().unwrap();
        let (text, label) = (column("text", "1"), Some(column("label", "2")));
        let spec = LabeledSpec { table, text, pair: None, label, target: TargetSpec::Discover };
        if let Ok(loaded) = read(&spec) {
            // A small packed file may hold a lot.
            let is_packed = matches!(bytes, [0x1f, 0x8b, ..] | [_, 0xb5, 0x2f, 0xfd, ..] | [_, 0x2a, 0x4d, 0x18, ..]);
            assert!(is_packed || loaded.data.len() <= bytes.len());
        }
    });
}

#[test]
#[cfg(feature = "parquet")]
fn columns_of_tables() {
    attack("columnar", &["fuzz/seeds/columnar"], |bytes, folder| {
        let path = folder.join("table");
        fs::write(&path, bytes).unwrap();
        for format in [Format::Parquet, Format::Arrow] {
            let table = TableSpec { format, ..TableSpec::new(&path) };
            let [text, label] = ["text", "label"].map(|name| name.parse().unwrap());
            let spec = LabeledSpec { table, text, pair: None, label: Some(label), target: TargetSpec::Discover };
            _ = read(&spec);
            if let Ok(Some(lines)) = as_json_lines(&path, format) {
                // A small packed file may hold a lot: the first rows will do.
                lines.lines().map_while(Result::ok).take(10_000).for_each(|line| {
                    serde_json::from_str::<serde_json::Value>(&line).unwrap();
                });
            }
        }
    });
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
        let Ok(text) = std::str::from_utf8(bytes) else { return };
        let Ok(recipe) = Recipe::parse(text) else { return };
        let written = recipe.to_toml();
        // Recipes with numbers that are none differ from themselves, so their texts are compared.
        assert_eq!(Recipe::parse(&written).unwrap().to_toml(), written);
    });
}

#[test]
fn bodies() {
    let folder = tempfile::tempdir().unwrap();
    let client = std::cell::RefCell::new(Client::start(folder.path()));
    attack("body", &["fuzz/seeds/body"], |bytes, _| client.borrow_mut().ask(bytes));
}
