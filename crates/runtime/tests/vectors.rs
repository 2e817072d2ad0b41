//! Poolings of token states, dense layers over them, and numbers that overflow.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::fs;

use attar_model::atomic::WriteMode;
use attar_model::{
    Bundle, EncoderConfig, Head, Pooling, PoolingMode, Projection, ProjectionActivation, Prompts, Target, Tensor,
    Weights, expected_shapes,
};
use attar_runtime::{Encoder, Error, Input, LayerBuffers, Options, Output, Precision, Session, TraceBuffers};

const HIDDEN: usize = 20;

fn bundle(head: Head, scale: f32) -> Bundle {
    let config = EncoderConfig {
        layers: 2,
        hidden: HIDDEN,
        heads: 4,
        feed_forward: 24,
        vocabulary: 9,
        positions: 12,
        ..EncoderConfig::bert_base()
    }
    .with_head(head);
    let tensor = |(at, (name, shape)): (usize, (String, Vec<usize>))| {
        let count: usize = shape.iter().product();
        let number = |i: usize| (((i * 7919 + at * 104_729) % 1009) as f32 / 1009.0 - 0.5) * scale;
        (name, Tensor::new(shape, (0..count).map(number).collect()))
    };
    let weights: Weights = expected_shapes(&config).into_iter().enumerate().map(tensor).collect();
    Bundle::new(config, weights)
}

fn options(threads: usize) -> Options {
    Options::new(Precision::F32, threads)
}

const IDS: [u32; 9] = [2, 5, 6, 7, 3, 2, 4, 8, 3];
const LENGTHS: [u32; 2] = [5, 4];

#[test]
fn each_pooling_is_what_it_says() {
    let bundle = bundle(Head::None, 1.0);
    let input = Input::new(&IDS, &[], &LENGTHS).unwrap();
    for threads in [1, 3] {
        let mut encoder = Encoder::from_bundle(&bundle, &options(threads)).unwrap();
        let mut states = vec![0.0; IDS.len() * HIDDEN];
        encoder.forward(input, Output::Hidden, &mut states).unwrap();
        let modes = [
            PoolingMode::Cls,
            PoolingMode::Mean,
            PoolingMode::Max,
            PoolingMode::MeanSqrtLength,
            PoolingMode::LastToken,
        ];
        for mode in modes {
            let mut vectors = vec![0.0; LENGTHS.len() * HIDDEN];
            encoder.forward(input, Output::Vectors(Pooling { mode, normalize: false }), &mut vectors).unwrap();
            let mut first = 0;
            for (vector, &length) in vectors.chunks(HIDDEN).zip(&LENGTHS) {
                let tokens: Vec<&[f32]> = states[first * HIDDEN..].chunks(HIDDEN).take(length as usize).collect();
                first += length as usize;
                for column in 0..HIDDEN {
                    let numbers = tokens.iter().map(|token| f64::from(token[column]));
                    let expected = match mode {
                        PoolingMode::Cls => f64::from(tokens[0][column]),
                        PoolingMode::LastToken => f64::from(tokens[tokens.len() - 1][column]),
                        PoolingMode::Max => numbers.fold(f64::NEG_INFINITY, f64::max),
                        PoolingMode::Mean => numbers.sum::<f64>() / f64::from(length),
                        PoolingMode::MeanSqrtLength => numbers.sum::<f64>() / f64::from(length).sqrt(),
                    };
                    // Sums of five numbers in f32.
                    assert!((f64::from(vector[column]) - expected).abs() < 1e-5, "{mode:?} column {column}");
                }
            }
        }
    }
}

/// A directory of a model with a tokenizer.
fn directory(bundle: &Bundle) -> tempfile::TempDir {
    let dir = tempfile::tempdir().unwrap();
    let mut bundle = bundle.clone();
    let words = "[PAD]\n[UNK]\n[CLS]\n[SEP]\n[MASK]\nanna\nlima\nis\nold\n";
    bundle.tokenizer_files = vec![("vocab.txt".into(), words.into())];
    bundle.write(&dir.path().join("model"), WriteMode::New).unwrap();
    dir
}

#[test]
fn dense_layers_follow_the_pooling_and_an_inner_folder_is_the_model() {
    let projection = Projection {
        normalized_input: false,
        weight: Tensor::new(vec![3, HIDDEN], (0..3 * HIDDEN).map(|i| (i % 7) as f32 / 7.0 - 0.4).collect()),
        bias: Some(Tensor::new(vec![3], vec![0.1, -0.2, 0.3])),
        activation: ProjectionActivation::Tanh,
    };
    let pooling = Some(Pooling { mode: PoolingMode::Cls, normalize: true });
    let bare = bundle(Head::None, 1.0);
    let whole = Bundle { pooling, projections: vec![projection.clone()], ..bare };
    let root = directory(&whole);
    let dir = root.path().join("model");
    let inner = dir.join("0_Transformer");
    fs::create_dir(&inner).unwrap();
    for name in ["config.json", "model.safetensors", "vocab.txt", "sentence_bert_config.json"] {
        fs::rename(dir.join(name), inner.join(name)).unwrap();
    }
    let modules = fs::read_to_string(dir.join("modules.json")).unwrap();
    fs::write(dir.join("modules.json"), modules.replacen("\"path\": \"\"", "\"path\": \"0_Transformer\"", 1)).unwrap();

    let vector = |path: &std::path::Path| {
        let mut session = Session::load_headless(path, &options(1)).unwrap();
        let pooling = session.pooling();
        session.embed(&[("anna is old", None)], pooling, |_| ()).unwrap().remove(0)
    };
    let mut encoder = Encoder::from_bundle(&whole, &options(1)).unwrap();
    let ids = [2, 5, 7, 8, 3];
    let mut pooled = vec![0.0; HIDDEN];
    let output = Output::Vectors(Pooling { mode: PoolingMode::Cls, normalize: false });
    encoder.forward(Input::new(&ids, &[], &[5]).unwrap(), output, &mut pooled).unwrap();
    let rows = projection.weight.data.chunks(HIDDEN).zip([0.1, -0.2, 0.3]);
    let dense: Vec<f64> = rows
        .map(|(row, bias)| (row.iter().zip(&pooled).map(|(a, b)| f64::from(a * b)).sum::<f64>() + bias).tanh())
        .collect();
    let length = dense.iter().map(|x| x * x).sum::<f64>().sqrt();
    for path in [&dir, &inner] {
        let got = vector(path);
        assert_eq!(got.len(), 3);
        for (got, expected) in got.iter().zip(&dense) {
            assert!((f64::from(*got) - expected / length).abs() < 1e-5, "{got} for {}", expected / length);
        }
    }
}

#[test]
fn a_prompt_stands_before_each_text_and_is_pooled_or_not() {
    let mean = Pooling { mode: PoolingMode::Mean, normalize: false };
    let named = [("query", "anna"), ("none", "")].map(|(name, text)| (name.to_owned(), text.to_owned()));
    for pooled in [true, false] {
        let prompts = Prompts { named: named.clone().into(), default: Some("query".into()), pooled };
        let bundle = Bundle { pooling: Some(mean), prompts, ..bundle(Head::None, 1.0) };
        let root = directory(&bundle);
        let mut session = Session::load_headless(&root.path().join("model"), &options(1)).unwrap();
        assert_eq!(session.prompt(), Some("anna"));
        let mut encoder = Encoder::from_bundle(&bundle, &options(1)).unwrap();
        // [CLS] anna is old [SEP], and without the prompt.
        let mut states = |ids: &[u32]| -> Vec<Vec<f32>> {
            let mut states = vec![0.0; ids.len() * HIDDEN];
            let input = [ids.len() as u32];
            encoder.forward(Input::new(ids, &[], &input).unwrap(), Output::Hidden, &mut states).unwrap();
            states.chunks(HIDDEN).map(<[f32]>::to_vec).collect()
        };
        let [prompted, bare] = [states(&[2, 5, 7, 8, 3]), states(&[2, 7, 8, 3])];
        let check = |session: &mut Session, text: &str, mode: PoolingMode, expected: &[Vec<f32>]| {
            let vector = session.embed(&[(text, None)], Pooling { mode, normalize: false }, |_| ()).unwrap().remove(0);
            for (column, got) in vector.iter().enumerate() {
                let sum: f32 = expected.iter().map(|state| state[column]).sum();
                assert!((got - sum / expected.len() as f32).abs() < 1e-5, "{mode:?} of {text:?}, {pooled}");
            }
        };
        // Left out are the prompt and the special token before it.
        let first = if pooled { 0 } else { 2 };
        check(&mut session, " is old", PoolingMode::Mean, &prompted[first..]);
        check(&mut session.share(2, &attar_runtime::Pinning::Free), " is old", PoolingMode::Mean, &prompted[first..]);
        check(&mut session, " is old", PoolingMode::Cls, &prompted[..1]);
        check(&mut session, " is old", PoolingMode::LastToken, &prompted[4..]);
        session.set_prompt("").unwrap();
        check(&mut session, "is old", PoolingMode::Mean, &bare[usize::from(!pooled)..]);
        session.set_prompt("anna is").unwrap();
        check(&mut session, " old", PoolingMode::Mean, &prompted[if pooled { 0 } else { 3 }..]);
        // Twelve positions.
        let error = session.set_prompt(&"anna ".repeat(11)).unwrap_err().to_string();
        assert!(error.contains("12 tokens and leaves no room for text in the 12"), "{error}");
        assert_eq!(session.prompt(), Some("anna is"));
    }
}

#[test]
fn numbers_that_overflow_are_an_error() {
    let labels = || Head::Classification { target: Target::Labels(vec!["a".into(), "b".into()]) };
    let input = Input::new(&IDS, &[], &LENGTHS).unwrap();
    for threads in [1, 2] {
        let mut encoder = Encoder::from_bundle(&bundle(labels(), 1e30), &options(threads)).unwrap();
        let mut logits = vec![0.0; 4];
        let error = encoder.forward(input, Output::Logits, &mut logits).unwrap_err();
        assert!(matches!(error, Error::Overflow { .. }), "{error}");
        let mut hidden = vec![0.0; IDS.len() * HIDDEN];
        let layers = vec![LayerBuffers { hidden: Some(&mut hidden), ..LayerBuffers::default() }];
        let traced = encoder.trace(input, TraceBuffers { layers, ..TraceBuffers::default() });
        assert!(matches!(traced, Err(Error::Overflow { .. })));
    }
    let root = directory(&bundle(labels(), 1e30));
    let mut session = Session::load(&root.path().join("model"), &options(1)).unwrap();
    let error = session.logits(&[("anna", None), ("lima is old", None)], |_| ()).unwrap_err().to_string();
    assert!(error.starts_with("the model's numbers overflow in row "), "{error}");
}

#[test]
fn a_bundle_in_memory_is_checked_too() {
    let mut bundle = bundle(Head::None, 1.0);
    let mut words = bundle.weights.get("embeddings.word_embeddings.weight").unwrap().clone();
    words.data[7] = f32::NAN;
    bundle.weights.insert("embeddings.word_embeddings.weight".to_owned(), words);
    let error = Encoder::from_bundle(&bundle, &options(1)).unwrap_err().to_string();
    assert!(error.starts_with("tensor `embeddings.word_embeddings.weight` holds NaN at 7"), "{error}");
}
