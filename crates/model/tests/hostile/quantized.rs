//! Quantized files that are not what they seem.

use std::path::Path;

use attar_model::quantized::{Int4Group, MatrixError, QuantizedError, QuantizedWeights, ScaleChoice, Storage};
use attar_model::{EncoderConfig, Error, Tensor, Weights, expected_shapes};
use serde_json::{Map, Value, json};

use crate::assert_memory_is_bounded;

const WORDS: &str = "embeddings.word_embeddings.weight";
const POSITIONS: &str = "embeddings.position_embeddings.weight";
const QUERY: &str = "encoder.layer.0.attention.self.query.weight";
const BIAS: &str = "encoder.layer.0.attention.self.query.bias";

/// Odd and wider than a group, so that there is padding and there are groups.
fn config() -> EncoderConfig {
    EncoderConfig {
        layers: 1,
        hidden: 35,
        heads: 5,
        feed_forward: 8,
        vocabulary: 10,
        positions: 6,
        ..EncoderConfig::bert_base()
    }
}

fn honest() -> Vec<u8> {
    let config = config();
    let weights: Weights = expected_shapes(&config)
        .into_iter()
        .map(|(name, shape)| {
            let count = shape.iter().product();
            (name, Tensor::new(shape, (0..count).map(|at: usize| (at % 13) as f32 - 6.0).collect()))
        })
        .collect();
    let storage = |name: &str| match name {
        WORDS => Storage::Int4(Int4Group::Columns32),
        POSITIONS => Storage::Int4(Int4Group::Row),
        "pooler.dense.weight" => Storage::F16,
        _ => Storage::int8_matrices(name),
    };
    let weights = QuantizedWeights::quantize(&config, &weights, ScaleChoice::MaxAbs, storage).unwrap();
    weights.to_bytes(&config).unwrap()
}

fn read(bytes: &[u8]) -> Result<QuantizedWeights, Error> {
    QuantizedWeights::from_bytes(Path::new("model.int8.safetensors"), bytes, &config())
}

/// Name, entry in the header, and bytes.
type RawTensor = (String, Value, Vec<u8>);

/// The file taken apart: the metadata and the tensors, in the order of the file.
fn parts(bytes: &[u8]) -> (Map<String, Value>, Vec<RawTensor>) {
    let start = 8 + u64::from_le_bytes(bytes[..8].try_into().unwrap()) as usize;
    let mut header: Map<String, Value> = serde_json::from_slice(&bytes[8..start]).unwrap();
    let metadata = header.shift_remove("__metadata__").unwrap().as_object().unwrap().clone();
    let tensors = header.into_iter().map(|(name, info)| {
        let at = |place: usize| start + info["data_offsets"][place].as_u64().unwrap() as usize;
        let data = bytes[at(0)..at(1)].to_vec();
        (name, info, data)
    });
    (metadata, tensors.collect())
}

/// The file put together again, with offsets as the bytes are now.
fn assembled(metadata: Map<String, Value>, tensors: Vec<RawTensor>) -> Vec<u8> {
    let mut header = Map::new();
    header.insert("__metadata__".into(), metadata.into());
    let mut data = Vec::new();
    for (name, info, bytes) in tensors {
        let offsets = [data.len(), data.len() + bytes.len()];
        header.insert(name, json!({"dtype": info["dtype"], "shape": info["shape"], "data_offsets": offsets}));
        data.extend(bytes);
    }
    let header = Value::Object(header).to_string();
    [&(header.len() as u64).to_le_bytes()[..], header.as_bytes(), &data].concat()
}

/// Reads the honest file after a change to its metadata.
fn with_metadata(change: impl Fn(&mut Map<String, Value>)) -> QuantizedError {
    let (mut metadata, tensors) = parts(&honest());
    change(&mut metadata);
    reason(&assembled(metadata, tensors))
}

/// Reads the honest file after a change to one tensor: its name, type, shape and bytes.
fn with_tensor(name: &str, change: impl Fn(&mut String, &mut Value, &mut Vec<u8>)) -> QuantizedError {
    let (metadata, mut tensors) = parts(&honest());
    let (its, info, data) = tensors.iter_mut().find(|(its, ..)| its == name).unwrap();
    change(its, info, data);
    reason(&assembled(metadata, tensors))
}

#[track_caller]
fn reason(bytes: &[u8]) -> QuantizedError {
    match read(bytes) {
        Err(Error::Quantized { source, .. }) => *source,
        other => panic!("{other:?}"),
    }
}

fn matrix_error(error: QuantizedError) -> (String, MatrixError) {
    match error {
        QuantizedError::Matrix { tensor, source } => (tensor, source),
        other => panic!("{other:?}"),
    }
}

fn scale(name: &str) -> String {
    format!("{name}.scale")
}

#[test]
fn taken_apart_and_put_together_it_is_the_same() {
    let (metadata, tensors) = parts(&honest());
    assert_eq!(read(&assembled(metadata, tensors)).unwrap(), read(&honest()).unwrap());
}

#[test]
fn other_kinds_of_file_are_told() {
    use QuantizedError as Q;
    let set = |key: &'static str, value: &'static str| {
        move |metadata: &mut Map<String, Value>| _ = metadata.insert(key.into(), value.into())
    };
    assert!(matches!(with_metadata(set("format", "pt")), Q::Format { got: Some(got) } if got == "pt"));
    assert!(matches!(with_metadata(|metadata| metadata.clear()), Q::Format { got: None }));
    assert!(matches!(with_metadata(set("version", "3")), Q::Version { got: Some(got) } if got == "3"));
    assert!(matches!(with_metadata(|metadata| _ = metadata.shift_remove("version")), Q::Version { got: None }));
    assert!(matches!(with_metadata(set("source", "abc")), Q::Source { got: Some(_) }));
    let upper = |metadata: &mut Map<String, Value>| _ = metadata.insert("source".into(), "F".repeat(64).into());
    assert!(matches!(with_metadata(upper), Q::Source { .. }));
    // However long a text is, the error stays short.
    let long = |metadata: &mut Map<String, Value>| _ = metadata.insert("format".into(), "x".repeat(1 << 20).into());
    assert!(with_metadata(long).to_string().len() < 300);

    let not_ours = attar_model::safetensors_file::to_bytes([("a", &Tensor::zeros(vec![1]))]);
    assert!(matches!(reason(&not_ours), Q::Format { got: Some(_) }));
    assert!(matches!(read(b"version https://git-lfs.github.com/spec/v1\n"), Err(Error::LfsPointer { .. })));
    assert!(matches!(read(&[]), Err(Error::Safetensors { .. })));
    assert!(matches!(read(&u64::MAX.to_le_bytes()), Err(Error::Safetensors { .. })));
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("model.int8.safetensors");
    std::fs::write(&path, b"PK\x03\x04 not at all").unwrap();
    let error = QuantizedWeights::read(&path, &config()).unwrap_err();
    assert!(matches!(error, Error::Quantized { .. } | Error::Safetensors { .. }), "{error}");
    assert!(matches!(QuantizedWeights::read(dir.path(), &config()), Err(Error::NotAFile { .. })));
}

#[test]
fn names_that_are_missing_or_too_many() {
    use QuantizedError as Q;
    let renamed = |from: &str, to: &str| with_tensor(from, |name, _, _| *name = to.into());
    assert!(matches!(renamed(QUERY, "x"), Q::Missing { tensor, .. } if tensor == QUERY));
    assert!(matches!(renamed(BIAS, "x"), Q::Missing { tensor, .. } if tensor == BIAS));
    assert!(matches!(renamed(&scale(QUERY), "x"), Q::NoScales { tensor } if tensor == QUERY));
    assert!(matches!(renamed(&scale(WORDS), "x"), Q::NoScales { tensor } if tensor == WORDS));
    for extra in ["x", "encoder.layer.0.attention.self.query.bias.scale", "encoder.layer.1.output.dense.bias"] {
        let (metadata, mut tensors) = parts(&honest());
        tensors.push((extra.into(), json!({"dtype": "F32", "shape": [1]}), vec![0; 4]));
        assert!(matches!(reason(&assembled(metadata, tensors)), Q::Unexpected { tensor } if tensor == extra));
    }
}

#[test]
fn shapes_and_types_that_do_not_belong() {
    use QuantizedError as Q;
    let shaped = |name: &str, shape: Value| with_tensor(name, |_, info, _| info["shape"] = shape.clone());
    assert!(matches!(shaped(QUERY, json!([1225])), Q::Shape { got, .. } if got == [1225]));
    assert!(matches!(shaped(BIAS, json!([5, 7])), Q::Shape { .. }));
    assert!(matches!(shaped(WORDS, json!([18, 10])), Q::Shape { expected, .. } if expected == [10, 18]));
    assert!(matches!(shaped(&scale(QUERY), json!([35, 1])), Q::ScaleShape { tensor, .. } if tensor == QUERY));
    assert!(
        matches!(shaped(&scale(WORDS), json!([2, 10])), Q::ScaleShape { expected, .. } if expected == "[10, 2] or [10]")
    );
    assert!(matches!(shaped(&scale(WORDS), json!([20])), Q::ScaleShape { .. }));

    let typed = |name: &str, dtype: &str| with_tensor(name, |_, info, _| info["dtype"] = dtype.into());
    assert!(matches!(typed(QUERY, "U8"), Q::Element { got: "u8", expected: "f32, f16 or i8", .. }));
    assert!(matches!(typed(QUERY, "BOOL"), Q::Element { got: "bool", .. }));
    assert!(matches!(typed(BIAS, "I32"), Q::Element { got: "i32", expected: "f32 or f16", .. }));
    assert!(matches!(typed("pooler.dense.weight", "BF16"), Q::Element { got: "bf16", .. }));
    // As many bytes, as 8-bit values: half as many columns.
    assert!(matches!(typed(WORDS, "I8"), Q::Shape { expected, .. } if expected == [10, 35]));
    assert!(matches!(typed(&scale(QUERY), "I32"), Q::Element { got: "i32", expected: "f32", .. }));
    // A bias of bytes, all lengths right.
    let bytes = with_tensor(BIAS, |_, info, data| {
        info["dtype"] = "I8".into();
        data.truncate(35);
    });
    assert!(matches!(bytes, Q::Element { got: "i8", .. }));
}

#[test]
fn numbers_that_quantizing_never_gives() {
    let set = |name: &str, at: usize, bytes: &[u8]| {
        matrix_error(with_tensor(name, |_, _, data| data[at..at + bytes.len()].copy_from_slice(bytes)))
    };
    for bad in [-1.0f32, -1e-45, f32::NAN, f32::INFINITY, f32::NEG_INFINITY] {
        for name in [QUERY, WORDS] {
            let (tensor, error) = set(&scale(name), 12, &bad.to_le_bytes());
            assert!(tensor == name && matches!(error, MatrixError::Scale { at: 3, .. }), "{error}");
        }
    }
    let (tensor, error) = set(QUERY, 37, &[0x80]);
    assert!(tensor == QUERY && matches!(error, MatrixError::Value { row: 1, column: 2, value: -128, .. }), "{error}");
    let (_, error) = set(WORDS, 19, &[0x81]);
    assert!(matches!(error, MatrixError::Value { row: 1, column: 3, value: -8, .. }), "{error}");
    let (_, error) = set(POSITIONS, 35, &[0x11]);
    assert!(matches!(error, MatrixError::Padding { row: 1 }), "{error}");
}

#[test]
fn sizes_that_only_a_header_claims() {
    let honest = honest();
    let start = 8 + u64::from_le_bytes(honest[..8].try_into().unwrap()) as usize;
    let header = std::str::from_utf8(&honest[8..start]).unwrap();
    for (from, to) in [
        ("\"shape\":[35,35]", "\"shape\":[35000000000,35000000000]"),
        ("\"shape\":[35]", "\"shape\":[4611686018427387904]"),
        ("\"data_offsets\":[0,", "\"data_offsets\":[0,9999999999999"),
    ] {
        assert!(header.contains(from), "{from}");
        let header = header.replace(from, to);
        let bytes = [&(header.len() as u64).to_le_bytes()[..], header.as_bytes(), &honest[start..]].concat();
        assert!(matches!(read(&bytes), Err(Error::Safetensors { .. })), "{to}");
    }
    // A configuration that claims as much as the header has to have the bytes too.
    let huge = EncoderConfig { vocabulary: 1 << 30, ..config() };
    let error = QuantizedWeights::from_bytes(Path::new("x"), &honest, &huge).unwrap_err();
    assert!(matches!(error, Error::Quantized { .. }), "{error}");
    assert_memory_is_bounded();
}

#[test]
fn cut_or_changed_anywhere_it_does_no_harm() {
    let honest = honest();
    for length in (0..honest.len()).step_by(61).chain(honest.len() - 9..honest.len()) {
        assert!(read(&honest[..length]).is_err(), "{length}");
    }
    let (mut refused, mut all) = (0, 0);
    let start = 8 + u64::from_le_bytes(honest[..8].try_into().unwrap()) as usize;
    for place in (0..start).step_by(2).chain((start..honest.len()).step_by(11)) {
        for change in [0x01, 0x20, 0x80] {
            let mut changed = honest.clone();
            changed[place] ^= change;
            // What is still read keeps what every reader may rely on.
            match read(&changed) {
                Ok(weights) => {
                    weights.check(&config()).unwrap();
                    assert_eq!(weights.dequantize().len(), expected_shapes(&config()).len());
                }
                Err(_) => refused += 1,
            }
            all += 1;
        }
    }
    assert!(refused > 1000 && refused < all, "{refused} of {all}");
    assert_memory_is_bounded();
}
