//! A model whose answers can be computed on paper.
//!
//! Each piece has a vector of its own of four ones and four minus ones. Its layer attends to all tokens alike, so that a
//! token's state is its vector and the mean of all, normalized; the feed-forward block adds nothing. ELECTRA's embeddings are
//! each vector twice, of which the map takes the first. All weights are eighths, so that halves of precision hold them exactly. What is computed here shares no code with what is tested.

use std::path::{Path, PathBuf};

use attar_model::atomic::WriteMode;
use attar_model::{Bundle, EncoderConfig, Family, Head, Target, Tensor, Weights, expected_shapes};
use serde_json::{Value, json};

use crate::common::{json as parsed, succeed};

/// Width of the states.
pub(super) const WIDTH: usize = 8;
/// What the second text of a pair adds to a token, where a model has types of tokens.
const SECOND: [f64; WIDTH] = [0.5, -0.25, 0.0, 0.25, -0.5, 0.0, 0.75, -0.75];
/// Sums of a few dozen products in 32-bit floats.
pub(super) const TOLERANCE: f64 = 2e-5;

/// A token: its piece and its type.
pub(super) type Token<'a> = (&'a str, usize);

/// The model: its pieces in the order of their ids, and what it is written from.
pub(super) struct Paper {
    pub(super) pieces: Vec<String>,
    pub(super) bundle: Bundle,
}

impl Paper {
    pub(super) fn new(family: Family, pieces: &[&str], head: Head) -> Paper {
        let pad = pieces.iter().position(|piece| ["[PAD]", "<pad>"].contains(piece)).unwrap_or(0);
        let config = EncoderConfig {
            family,
            layers: 1,
            hidden: WIDTH,
            embedding: (family == Family::Electra).then_some(2 * WIDTH),
            heads: 2,
            feed_forward: 6,
            vocabulary: pieces.len(),
            positions: 24,
            types: match family {
                Family::Bert | Family::Electra => 2,
                Family::Roberta => 1,
                Family::DistilBert | Family::MpNet => 0,
            },
            pad_id: pad as u32,
            ..EncoderConfig::bert_base()
        }
        .with_head(head);
        let weights = expected_shapes(&config).into_iter().map(|(name, shape)| {
            let data = weight(&name, &shape);
            (name, Tensor::new(shape, data))
        });
        let weights: Weights = weights.collect();
        let pieces = pieces.iter().map(|piece| piece.to_string()).collect();
        Paper { pieces, bundle: Bundle::new(config, weights) }
    }

    /// A classifier with these classes.
    pub(super) fn classifier(family: Family, pieces: &[&str], classes: &[&str]) -> Paper {
        let labels = classes.iter().map(|class| class.to_string()).collect();
        Paper::new(family, pieces, Head::Classification { target: Target::Labels(labels) })
    }

    /// Writes the model with these files of its tokenizer.
    pub(super) fn write(&self, folder: &Path, name: &str, files: &[(&str, String)]) -> PathBuf {
        let mut bundle = self.bundle.clone();
        bundle.tokenizer_files =
            files.iter().map(|(name, text)| (name.to_string(), text.clone().into_bytes())).collect();
        let path = folder.join(name);
        bundle.write(&path, WriteMode::New).unwrap();
        path
    }

    /// Writes the model with its pieces as a `vocab.txt` and these settings of the tokenizer.
    pub(super) fn write_vocabulary(&self, folder: &Path, name: &str, settings: Value) -> PathBuf {
        let vocabulary: String = self.pieces.iter().map(|piece| format!("{piece}\n")).collect();
        self.write(folder, name, &[("vocab.txt", vocabulary), ("tokenizer_config.json", settings.to_string())])
    }

    /// State of each token, `[T, 8]`.
    pub(super) fn states(&self, tokens: &[Token<'_>]) -> Vec<[f64; WIDTH]> {
        let embedded: Vec<[f64; WIDTH]> = tokens
            .iter()
            .map(|&(piece, kind)| {
                let id = self.pieces.iter().position(|known| known == piece);
                let id = id.unwrap_or_else(|| panic!("{piece:?} is no piece of the model"));
                let second = if kind == 1 && self.bundle.config.types == 2 { SECOND } else { [0.0; WIDTH] };
                let ones = pattern(id);
                normalized(std::array::from_fn(|column| ones[column] + second[column]))
            })
            .collect();
        let mean = mean(&embedded);
        embedded.iter().map(|token| normalized(std::array::from_fn(|column| token[column] + mean[column]))).collect()
    }

    /// Logits of a head over these numbers.
    pub(super) fn head(&self, read: &[f64; WIDTH]) -> Vec<f64> {
        let tensor = |part: &str| &self.bundle.weights.get(&format!("classifier.{part}")).unwrap().data;
        let rows = tensor("weight").chunks(WIDTH).zip(tensor("bias"));
        rows.map(|(row, &bias)| row.iter().zip(read).map(|(w, x)| f64::from(*w) * x).sum::<f64>() + f64::from(bias))
            .collect()
    }

    /// Logits of a classifier, `[K]`.
    pub(super) fn logits(&self, tokens: &[Token<'_>]) -> Vec<f64> {
        let first = self.states(tokens)[0];
        self.head(&match self.bundle.config.family {
            Family::DistilBert => first.map(|x| x.max(0.0)),
            Family::Bert | Family::Roberta | Family::MpNet => first.map(f64::tanh),
            Family::Electra => first.map(|x| x * normal_distribution(x)),
        })
    }

    /// The class with the highest logit.
    pub(super) fn class(&self, tokens: &[Token<'_>]) -> usize {
        let logits = self.logits(tokens);
        (0..logits.len()).max_by(|&a, &b| logits[a].total_cmp(&logits[b])).unwrap()
    }
}

/// The part of a normal distribution below `x`, by Simpson's rule from 0.
fn normal_distribution(x: f64) -> f64 {
    const STEPS: usize = 200;
    let density = |t: f64| (-t * t / 2.0).exp() / (2.0 * std::f64::consts::PI).sqrt();
    let step = x / STEPS as f64;
    let weighted = |at: usize| {
        let weight = if at == 0 || at == STEPS { 1.0 } else { 2.0 + 2.0 * (at % 2) as f64 };
        weight * density(step * at as f64)
    };
    0.5 + step / 3.0 * (0..=STEPS).map(weighted).sum::<f64>()
}

/// Pieces as tokens of the first text.
pub(super) fn single<'a>(pieces: &[&'a str]) -> Vec<Token<'a>> {
    pieces.iter().map(|&piece| (piece, 0)).collect()
}

/// Mean of states.
pub(super) fn mean(states: &[[f64; WIDTH]]) -> [f64; WIDTH] {
    std::array::from_fn(|column| states.iter().map(|state| state[column]).sum::<f64>() / states.len() as f64)
}

/// A table of forty texts with these labels in turns.
pub(super) fn forty_rows(labels: &[&str]) -> String {
    let row = |at: usize| {
        format!(
            "anna {}river {}stone,{}\n",
            "river ".repeat(at % 8),
            "stone ".repeat(at / 8),
            labels[at % labels.len()]
        )
    };
    format!("text,label\n{}", (0..40).map(row).collect::<String>())
}

/// The answer of `attar predict` or `embed` to one text, with what else it is called with.
pub(super) fn answer(folder: &Path, arguments: &[&str]) -> Value {
    parsed(succeed(folder, &[arguments, &["--json"]].concat()).trim())
}

/// Numbers of an answer, held against those on paper.
#[track_caller]
pub(super) fn assert_numbers(answer: &Value, key: &str, expected: &[f64]) {
    let numbers: Vec<f64> = answer[key].as_array().unwrap().iter().map(|number| number.as_f64().unwrap()).collect();
    assert_eq!(numbers.len(), expected.len(), "{answer}");
    for (got, expected) in numbers.iter().zip(expected) {
        assert!((got - expected).abs() < TOLERANCE, "expected {expected} in {answer}");
    }
}

/// The `tokenizer.json` of byte-level BPE, as RoBERTa has it: pieces in the order of their ids, `merges` of two pieces each.
pub(super) fn byte_level(pieces: &[&str], merges: &[[&str; 2]], added: &[&str]) -> String {
    let special = ["<s>", "<pad>", "</s>", "<unk>"];
    let id = |piece: &str| pieces.iter().position(|known| *known == piece).unwrap();
    let token = |content: &&str| {
        json!({"id": id(content), "content": content, "single_word": false, "lstrip": false, "rstrip": false,
               "normalized": false, "special": special.contains(content)})
    };
    let added_tokens: Vec<Value> = special.iter().chain(added).map(token).collect();
    let plain = pieces.iter().filter(|piece| !added.contains(piece));
    let vocab: serde_json::Map<String, Value> = plain.map(|piece| (piece.to_string(), id(piece).into())).collect();
    let merges: Vec<String> = merges.iter().map(|[a, b]| format!("{a} {b}")).collect();
    json!({
        "version": "1.0", "truncation": null, "padding": null, "added_tokens": added_tokens, "normalizer": null,
        "pre_tokenizer": {"type": "ByteLevel", "add_prefix_space": false, "trim_offsets": true, "use_regex": true},
        "post_processor": {"type": "RobertaProcessing", "sep": ["</s>", id("</s>")], "cls": ["<s>", id("<s>")],
                           "trim_offsets": true, "add_prefix_space": false},
        "decoder": {"type": "ByteLevel", "add_prefix_space": true, "trim_offsets": true, "use_regex": true},
        "model": {"type": "BPE", "dropout": null, "unk_token": null, "continuing_subword_prefix": "",
                  "end_of_word_suffix": "", "fuse_unk": false, "byte_fallback": false, "ignore_merges": false,
                  "vocab": vocab, "merges": merges},
    })
    .to_string()
}

fn weight(name: &str, shape: &[usize]) -> Vec<f32> {
    let count: usize = shape.iter().product();
    let part = |part: &str| name.ends_with(part);
    let by_place = |value: fn(usize, usize) -> f64| {
        let columns = shape.get(1).copied().unwrap_or(1);
        (0..count).map(|at| value(at / columns, at % columns) as f32).collect()
    };
    if part("word_embeddings.weight") {
        return by_place(|id, column| pattern(id)[column % WIDTH]);
    }
    if part("token_type_embeddings.weight") {
        return by_place(|kind, column| if kind == 1 { SECOND[column % WIDTH] } else { 0.0 });
    }
    if part("LayerNorm.weight") {
        return vec![1.0; count];
    }
    if ["self.value.weight", "attention.output.dense.weight", "pooler.dense.weight", "embeddings_project.weight"]
        .into_iter()
        .any(part)
    {
        return by_place(|row, column| if row == column { 1.0 } else { 0.0 });
    }
    if part("classifier.weight") {
        return by_place(|class, column| 0.625 * pattern(3 * class + 1)[column] + 0.125 * column as f64);
    }
    if part("classifier.bias") {
        return by_place(|class, _| 0.0625 * class as f64);
    }
    vec![0.0; count]
}

/// The vector of a piece: the places of its four ones are those of the set bits of the `id`th byte that has four.
fn pattern(id: usize) -> [f64; WIDTH] {
    let bits =
        (0..=255u8).filter(|byte| byte.count_ones() == 4).nth(id).expect("a model on paper has 70 pieces at most");
    std::array::from_fn(|column| if bits >> column & 1 == 1 { 1.0 } else { -1.0 })
}

/// Less its mean, of variance 1; nothing is added to the variance worth mentioning.
fn normalized(x: [f64; WIDTH]) -> [f64; WIDTH] {
    let mean = x.iter().sum::<f64>() / WIDTH as f64;
    let variance = x.iter().map(|x| (x - mean).powi(2)).sum::<f64>() / WIDTH as f64;
    x.map(|x| (x - mean) / variance.sqrt())
}
