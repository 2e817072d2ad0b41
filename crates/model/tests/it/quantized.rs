//! The file of quantized weights, alone and in a bundle.

use std::fs;
use std::path::Path;

use attar_model::atomic::WriteMode;
use attar_model::quantized::{
    self, Int4Group, QUANTIZED_FILE, QuantizedError, QuantizedTensor, QuantizedWeights, ScaleChoice, Storage,
};
use attar_model::{
    Bundle, EncoderConfig, Error, Family, Head, ReadWeights, Target, Tensor, Weights, WeightsFile, WriteWeights,
    expected_shapes, family_name,
};

use crate::common::{assert_same_bits, model_dirs};

/// Wide enough for groups, and odd.
fn config() -> EncoderConfig {
    EncoderConfig {
        layers: 2,
        hidden: 75,
        heads: 3,
        feed_forward: 11,
        vocabulary: 13,
        positions: 7,
        ..EncoderConfig::bert_base()
    }
    .with_head(Head::Classification { target: Target::Labels(vec!["no".into(), "yes".into()]) })
}

/// Different numbers everywhere, of both signs.
fn weights(config: &EncoderConfig) -> Weights {
    let mut at = 0u32;
    let mut next = || {
        at = at.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        (at >> 8) as f32 / (1 << 23) as f32 - 1.0
    };
    expected_shapes(config)
        .into_iter()
        .map(|(name, shape)| {
            let count = shape.iter().product();
            (name, Tensor::new(shape, (0..count).map(|_| next()).collect()))
        })
        .collect()
}

/// Every way to store a tensor.
fn mixed(name: &str) -> Storage {
    match name {
        "embeddings.word_embeddings.weight" => Storage::Int4(Int4Group::Columns32),
        "embeddings.position_embeddings.weight" => Storage::Int4(Int4Group::Columns64),
        "embeddings.token_type_embeddings.weight" => Storage::Int4(Int4Group::Row),
        "pooler.dense.weight" | "embeddings.LayerNorm.bias" => Storage::F16,
        "classifier.weight" => Storage::F32,
        _ => Storage::int8_matrices(name),
    }
}

fn quantize(config: &EncoderConfig, storage: fn(&str) -> Storage) -> QuantizedWeights {
    QuantizedWeights::quantize(config, &weights(config), ScaleChoice::LeastSquares, storage).unwrap()
}

#[test]
fn what_is_written_is_read_to_the_bit() {
    for (family, types) in
        [(Family::Bert, 2), (Family::DistilBert, 0), (Family::Roberta, 1), (Family::MpNet, 0), (Family::Electra, 2)]
    {
        let embedding = (family == Family::Electra).then_some(5);
        let config = EncoderConfig { family, types, embedding, pad_id: 1, ..config() };
        for storage in [mixed as fn(&str) -> Storage, Storage::int8_matrices, |_| Storage::F16, |_| Storage::F32] {
            let weights = quantize(&config, storage);
            let bytes = weights.to_bytes(&config).unwrap();
            assert_eq!(bytes, weights.to_bytes(&config).unwrap());
            assert_eq!(bytes.len(), quantized::file_length(&config, storage));
            let again = QuantizedWeights::from_bytes(Path::new("x"), &bytes, &config).unwrap();
            assert_eq!(again, weights);
            assert_eq!(again.fingerprint(&config), weights.fingerprint(&config));
            assert_same_bits(&again.dequantize(), &weights.dequantize());
            let order: Vec<String> = expected_shapes(&config).into_iter().map(|(name, _)| name).collect();
            assert_eq!(again.iter().map(|(name, _)| name).collect::<Vec<_>>(), order);
        }
    }
}

#[test]
fn the_file_is_safetensors_with_documented_names_and_types() {
    let config = config();
    let root = tempfile::tempdir().unwrap();
    let path = root.path().join("model.safetensors");
    fs::write(&path, quantize(&config, mixed).to_bytes(&config).unwrap()).unwrap();
    let file = WeightsFile::read(&path).unwrap();
    let found = |name: &str| {
        let tensor = file.tensor(name).unwrap_or_else(|| panic!("{name}"));
        (tensor.element_type().name(), tensor.shape().to_vec())
    };
    assert_eq!(found("bert.embeddings.word_embeddings.weight"), ("u8", vec![13, 38]));
    assert_eq!(found("bert.embeddings.word_embeddings.weight.scale"), ("f32", vec![13, 3]));
    assert_eq!(found("bert.embeddings.position_embeddings.weight.scale"), ("f32", vec![7, 2]));
    assert_eq!(found("bert.embeddings.token_type_embeddings.weight.scale"), ("f32", vec![2]));
    assert_eq!(found("bert.encoder.layer.1.intermediate.dense.weight"), ("i8", vec![11, 75]));
    assert_eq!(found("bert.encoder.layer.1.intermediate.dense.weight.scale"), ("f32", vec![11]));
    assert_eq!(found("bert.pooler.dense.weight"), ("f16", vec![75, 75]));
    assert_eq!(found("classifier.weight"), ("f32", vec![2, 75]));
    let text = String::from_utf8_lossy(&fs::read(&path).unwrap()[8..120]).into_owned();
    assert!(text.starts_with(r#"{"__metadata__":{"format":"attar-int8","version":"1","source":""#), "{text}");

    // Numbers of any width lie at multiples of it.
    let bytes = fs::read(&path).unwrap();
    let end = 8 + u64::from_le_bytes(bytes[..8].try_into().unwrap()) as usize;
    let header: serde_json::Value = serde_json::from_slice(&bytes[8..end]).unwrap();
    for (name, info) in header.as_object().unwrap().iter().filter(|(name, _)| *name != "__metadata__") {
        let width = if info["dtype"] == "F32" { 4 } else { 1 + usize::from(info["dtype"] == "F16") };
        let start = end + info["data_offsets"][0].as_u64().unwrap() as usize;
        assert!(start.is_multiple_of(width), "{name} at {start}");
    }
}

#[test]
fn columns_with_scales_have_them_in_the_file() {
    let config = config();
    let plain = quantize(&config, mixed);
    let mut scaled = plain.clone();
    let name = "encoder.layer.1.intermediate.dense.weight";
    let scales: Vec<f32> = (0..75u8).map(|column| 0.5 + f32::from(column) / 64.0).collect();
    let matrix = |name: &str| {
        let scaled = plain.int8(name).unwrap().clone().with_column_scales(scales.clone());
        QuantizedTensor::Int8(scaled.unwrap())
    };
    scaled.replace(name, matrix(name)).unwrap();
    assert_ne!(scaled.fingerprint(&config), plain.fingerprint(&config));
    let bytes = scaled.to_bytes(&config).unwrap();
    let again = QuantizedWeights::from_bytes(Path::new("x"), &bytes, &config).unwrap();
    assert_eq!(again, scaled);
    let text = String::from_utf8_lossy(&bytes[8..120]).into_owned();
    assert!(text.starts_with(r#"{"__metadata__":{"format":"attar-int8","version":"2","source":""#), "{text}");

    let root = tempfile::tempdir().unwrap();
    let path = root.path().join("model.safetensors");
    fs::write(&path, &bytes).unwrap();
    let file = WeightsFile::read(&path).unwrap();
    let tensor = file.tensor(&format!("bert.{name}.column_scale")).unwrap();
    assert_eq!((tensor.element_type().name(), tensor.shape()), ("f16", &[75][..]));

    // A table is looked up by rows.
    let types = "embeddings.token_type_embeddings.weight";
    let mut table = quantize(&config, Storage::int8_matrices);
    let refused = table.replace(types, {
        let scaled = table.int8(types).unwrap().clone().with_column_scales(scales.clone());
        QuantizedTensor::Int8(scaled.unwrap())
    });
    assert!(matches!(refused, Err(QuantizedError::Storage { tensor, .. }) if tensor == types));
    // Version 1 has no such tensors.
    let mut old = bytes.clone();
    let at = bytes.windows(13).position(|part| part == br#""version":"2""#).unwrap();
    old[at + 11] = b'1';
    let error = QuantizedWeights::from_bytes(Path::new("x"), &old, &config).unwrap_err();
    assert!(crate::common::chain(&error).contains("column_scale"), "{}", crate::common::chain(&error));
    // A tensor of another name is not part of the model.
    let renamed = [&b"intermediate.dense.weight.column"[..], b"intermediate.dense.weight.colomn"];
    let at = bytes.windows(renamed[0].len()).position(|part| part == renamed[0]).unwrap();
    let mut other = bytes.clone();
    other[at..at + renamed[1].len()].copy_from_slice(renamed[1]);
    let error = QuantizedWeights::from_bytes(Path::new("x"), &other, &config).unwrap_err();
    assert!(crate::common::chain(&error).contains("colomn_scale"), "{}", crate::common::chain(&error));
}

#[test]
fn every_tensor_is_as_near_as_its_storage_allows() {
    let config = config();
    let (weights, quantized) = (weights(&config), quantize(&config, mixed));
    for (name, tensor) in quantized.iter() {
        let exact = weights.get(name).unwrap();
        let back = tensor.dequantize();
        assert_eq!((tensor.storage(), &back.shape), (mixed(name), &exact.shape), "{name}");
        let worst = exact.data.iter().zip(&back.data).map(|(a, b)| (a - b).abs()).fold(0.0, f32::max);
        // Numbers lie within 1: half a step, or what is clipped where that is best.
        let (least, most) = match tensor.storage() {
            Storage::F32 => (0.0, 0.0),
            Storage::F16 => (1e-6, 1.0 / 4096.0),
            Storage::Int8 => (1e-4, 0.02),
            Storage::Int4(_) => (0.03, 0.2),
        };
        assert!((least..=most).contains(&worst), "{name}: {worst}");
        let is_floats = matches!(tensor, QuantizedTensor::F32(_) | QuantizedTensor::F16(_));
        assert_eq!(quantized.floats(name).is_some(), is_floats);
        assert_eq!(quantized.int8(name).is_some(), matches!(tensor, QuantizedTensor::Int8(_)));
    }
}

#[test]
fn what_cannot_be_quantized_is_refused_by_name() {
    let config = config();
    let quantize = |weights: &Weights, storage: &dyn Fn(&str) -> Storage| {
        QuantizedWeights::quantize(&config, weights, ScaleChoice::MaxAbs, storage).unwrap_err()
    };
    let with = |name: &str, at: usize, value: f32| {
        let mut weights = weights(&config);
        weights.get_mut(name).unwrap().data[at] = value;
        weights
    };
    let name = "encoder.layer.1.output.dense.weight";
    let error = crate::common::chain(&quantize(&with(name, 13, f32::NAN), &Storage::int8_matrices));
    assert!(error.contains(name) && error.contains("row 1, column 2 is NaN"), "{error}");
    let error = quantize(&with(name, 13, 1e6), &|_| Storage::F16);
    assert!(matches!(&error, QuantizedError::TooLarge { tensor, at: 13, .. } if tensor == name), "{error}");
    let error = quantize(&weights(&config), &|_| Storage::Int8);
    assert!(
        matches!(&error, QuantizedError::Storage { tensor, .. } if tensor == "embeddings.LayerNorm.weight"),
        "{error}"
    );
    let int4 = Storage::Int4(Int4Group::Row);
    let error = quantize(&weights(&config), &|name| if name.ends_with("query.weight") { int4 } else { Storage::F32 });
    assert!(error.to_string().contains("int4 is for embedding tables"), "{error}");
    let mut short = weights(&config);
    short.remove("classifier.bias");
    assert!(matches!(quantize(&short, &Storage::int8_matrices), QuantizedError::Weights(_)));
}

#[test]
fn a_tensor_is_replaced_by_one_that_fits() {
    let config = config();
    let mut quantized = quantize(&config, Storage::int8_matrices);
    let name = "pooler.dense.weight";
    let before = quantized.fingerprint(&config);
    let exact = weights(&config).get(name).unwrap().clone();
    let old = quantized.replace(name, QuantizedTensor::F32(exact.clone())).unwrap();
    assert_eq!((old.storage(), quantized.floats(name)), (Storage::Int8, Some(&exact)));
    assert_ne!(quantized.fingerprint(&config), before);
    quantized.check(&config).unwrap();

    let small = QuantizedTensor::F32(Tensor::zeros(vec![2]));
    assert!(matches!(quantized.replace(name, small.clone()), Err(QuantizedError::Shape { .. })));
    assert!(matches!(quantized.replace("nothing", small), Err(QuantizedError::Missing { .. })));
    let unrounded = QuantizedTensor::F16(exact);
    assert!(matches!(quantized.replace(name, unrounded), Err(QuantizedError::NotRounded { at: 0, .. })));
    let hollow = QuantizedTensor::F32(Tensor { shape: vec![75, 75], data: Vec::new() });
    assert!(matches!(quantized.replace(name, hollow), Err(QuantizedError::Weights(_))));
    assert!(quantized.check(&EncoderConfig { layers: 3, ..config.clone() }).is_err());
    assert!(quantized.check(&EncoderConfig { layers: 1, ..config }).is_err());
}

fn bundle() -> Bundle {
    let config = config();
    let quantized = Some(quantize(&config, mixed));
    let vocabulary = ("vocab.txt".into(), b"[PAD]\n".to_vec());
    Bundle { quantized, tokenizer_files: vec![vocabulary], ..Bundle::new(config.clone(), weights(&config)) }
}

#[test]
fn a_bundle_carries_both_or_one() {
    let root = tempfile::tempdir().unwrap();
    let (both, one) = (root.path().join("both"), root.path().join("one"));
    let bundle = bundle();
    bundle.write(&both, WriteMode::New).unwrap();
    bundle.write_with(&one, WriteMode::New, WriteWeights::Quantized).unwrap();
    assert!(both.join("model.safetensors").exists() && both.join(QUANTIZED_FILE).exists());
    assert!(!one.join("model.safetensors").exists());
    let length = fs::metadata(one.join(QUANTIZED_FILE)).unwrap().len();
    assert_eq!(length as usize, quantized::file_length(&bundle.config, mixed));

    assert_eq!(Bundle::read(&both).unwrap(), bundle);
    let none = || Weights::new();
    let stand_for = bundle.quantized.as_ref().unwrap().dequantize();
    let read = |dir: &Path, choice| {
        let read = Bundle::read_with(dir, choice).unwrap();
        assert_eq!((&read.config, &read.tokenizer_files), (&bundle.config, &bundle.tokenizer_files));
        (read.weights, read.quantized)
    };
    let quantized = || bundle.quantized.clone();
    assert_eq!(read(&both, ReadWeights::F32), (bundle.weights.clone(), None));
    assert_eq!(read(&both, ReadWeights::Quantized), (none(), quantized()));
    assert_eq!(read(&both, ReadWeights::QuantizedOrF32), (none(), quantized()));
    assert_eq!(read(&one, ReadWeights::All), (stand_for.clone(), quantized()));
    assert_eq!(read(&one, ReadWeights::F32), (stand_for, None));
    assert_eq!(read(&one, ReadWeights::Quantized), (none(), quantized()));
    assert_eq!(read(&one, ReadWeights::QuantizedOrF32), (none(), quantized()));

    // A directory without: only who insists is refused.
    fs::remove_file(both.join(QUANTIZED_FILE)).unwrap();
    assert_eq!(read(&both, ReadWeights::QuantizedOrF32), (bundle.weights.clone(), None));
    assert!(matches!(Bundle::read_with(&both, ReadWeights::Quantized), Err(Error::NoQuantized { dir }) if dir == both));
    fs::remove_file(both.join("model.safetensors")).unwrap();
    for choice in [ReadWeights::All, ReadWeights::F32, ReadWeights::QuantizedOrF32] {
        assert!(matches!(Bundle::read_with(&both, choice), Err(Error::NoWeights { .. })));
    }

    // What was read of quantized weights alone is written as such again, and not taken for more.
    let alone = Bundle::read_with(&one, ReadWeights::Quantized).unwrap();
    let again = root.path().join("again");
    assert!(matches!(alone.write(&again, WriteMode::New), Err(Error::Quantized { .. })));
    alone.write_with(&again, WriteMode::New, WriteWeights::Quantized).unwrap();
    assert_eq!(fs::read(again.join(QUANTIZED_FILE)).unwrap(), fs::read(one.join(QUANTIZED_FILE)).unwrap());
}

#[test]
fn fingerprints_tell_the_exact_from_the_quantized() {
    let bundle = bundle();
    let quantized = bundle.quantized.as_ref().unwrap();
    assert_eq!(quantized.source(), bundle.fingerprint());
    assert_ne!(quantized.fingerprint(&bundle.config), bundle.fingerprint());
    let other = EncoderConfig { layer_norm_eps: 1e-5, ..bundle.config.clone() };
    assert_ne!(quantized.fingerprint(&other), quantized.fingerprint(&bundle.config));
    // The same weights, all in f32: the same numbers, yet another storage.
    let exact = QuantizedWeights::quantize(&bundle.config, &bundle.weights, ScaleChoice::MaxAbs, |_| Storage::F32);
    assert_ne!(exact.unwrap().fingerprint(&bundle.config), bundle.fingerprint());
}

#[test]
fn stale_or_foreign_parts_are_not_written() {
    let root = tempfile::tempdir().unwrap();
    let dir = root.path().join("student");
    let refused = |bundle: &Bundle, choice| match bundle.write_with(&dir, WriteMode::New, choice) {
        Err(Error::Quantized { source, .. }) => *source,
        other => panic!("{other:?}"),
    };
    let mut trained_on = bundle();
    trained_on.weights.get_mut("pooler.dense.bias").unwrap().data[0] += 1.0;
    assert!(matches!(refused(&trained_on, WriteWeights::All), QuantizedError::Stale { .. }));
    let mut widened = bundle();
    widened.config.vocabulary += 1;
    assert!(matches!(refused(&widened, WriteWeights::Quantized), QuantizedError::Shape { .. }));
    let bare = Bundle { quantized: None, ..bundle() };
    let error = bare.write_with(&dir, WriteMode::New, WriteWeights::Quantized);
    assert!(matches!(error, Err(Error::NoQuantized { .. })));
    let mut taken = bundle();
    taken.tokenizer_files.push((QUANTIZED_FILE.into(), Vec::new()));
    assert!(matches!(taken.write(&dir, WriteMode::New), Err(Error::FileName { .. })));
    assert_eq!(fs::read_dir(root.path()).unwrap().count(), 0);
}

#[test]
fn every_fixture_model_is_quantized_and_read_back() {
    for dir in model_dirs() {
        let mut bundle = Bundle::read(&dir).unwrap();
        let quantize = |scales| {
            QuantizedWeights::quantize(&bundle.config, &bundle.weights, scales, Storage::int8_matrices).unwrap()
        };
        let quantized = quantize(ScaleChoice::LeastSquares);
        let name = family_name(&bundle.config, "embeddings.word_embeddings.weight");
        bundle.quantized = Some(quantized);
        let root = tempfile::tempdir().unwrap();
        let copy = root.path().join("copy");
        bundle.write(&copy, WriteMode::New).unwrap();
        assert_eq!(Bundle::read(&copy).unwrap(), bundle, "{}", dir.display());
        let text = fs::read(copy.join(QUANTIZED_FILE)).unwrap();
        assert!(String::from_utf8_lossy(&text).contains(&format!("\"{name}.scale\"")), "{}", dir.display());
    }
}
