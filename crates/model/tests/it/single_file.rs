//! A model in one file, and reading one from memory.

use std::fs;
use std::io::{Cursor, Read, Write};
use std::path::Path;

use attar_model::atomic::WriteMode;
use attar_model::quantized::{QuantizedWeights, ScaleChoice, Storage};
use attar_model::single_file::{self, SingleFileError, StoredWeights};
use attar_model::{
    Bundle, Error, ModelFiles, Pooling, PoolingMode, Projection, ProjectionActivation, Prompts, ReadWeights, Tensor,
    Weights, expected_shapes,
};
use serde_json::json;

use crate::common::{bin_dirs, chain, model_dirs, tiny};

/// A model with everything that a folder can hold, in folders of its own too.
fn bundle() -> Bundle {
    let config = tiny(1);
    let numbers = |count: usize| (0..count).map(|i| ((i * 37 + 11) % 64) as f32 / 64.0 - 0.5).collect();
    let weights: Weights = expected_shapes(&config)
        .into_iter()
        .map(|(name, shape)| {
            let count = shape.iter().product();
            (name, Tensor::new(shape, numbers(count)))
        })
        .collect();
    let quantized =
        QuantizedWeights::quantize(&config, &weights, ScaleChoice::LeastSquares, Storage::int8_matrices).unwrap();
    Bundle {
        quantized: Some(quantized),
        tokenizer_files: vec![("tokenizer.json".into(), b"{}".to_vec()), ("vocab.txt".into(), b"[PAD]\n".to_vec())],
        pooling: Some(Pooling { mode: PoolingMode::Mean, normalize: true }),
        projections: vec![Projection {
            normalized_input: true,
            weight: Tensor::new(vec![2, 6], numbers(12)),
            bias: None,
            activation: ProjectionActivation::Tanh,
        }],
        prompts: Prompts { named: [("query".to_owned(), "find: ".to_owned())].into(), default: None, pooled: false },
        max_tokens: Some(5),
        provenance: Some(json!({"recipe": "abc"})),
        card: Some("---\n---\n\n# x\n".into()),
        ..Bundle::new(config, weights)
    }
}

fn read(bytes: &[u8], choice: ReadWeights) -> Result<Bundle, Error> {
    Bundle::read_from(&ModelFiles::from_bytes(Path::new("a.attar"), bytes)?, choice)
}

#[test]
fn a_single_file_holds_the_folder() {
    let root = tempfile::tempdir().unwrap();
    let (dir, file) = (root.path().join("student"), root.path().join("student.attar"));
    let whole = bundle();
    whole.write(&dir, WriteMode::New).unwrap();
    for (precision, choice) in [(StoredWeights::F32, ReadWeights::F32), (StoredWeights::Int8, ReadWeights::Quantized)] {
        let length = single_file::write(&dir, &file, precision).unwrap();
        let bytes = fs::read(&file).unwrap();
        assert_eq!(length, bytes.len() as u64);
        let expected = Bundle::read_with(&dir, choice).unwrap();
        // By its path, from memory, and the same whichever weights a reader would rather have.
        assert_eq!(Bundle::read_with(&file, choice).unwrap(), expected, "{precision:?}");
        assert_eq!(read(&bytes, choice).unwrap(), expected);
        assert_eq!(Bundle::read_with(&file, ReadWeights::QuantizedOrF32).unwrap(), expected);
        assert_eq!(single_file::to_bytes(&expected, precision).unwrap(), bytes, "the same bytes each time");
        assert_eq!(Bundle::read_pooling(&file).unwrap(), whole.pooling);
        assert_eq!(Bundle::read_config(&file).unwrap(), whole.config);
    }
    // Without integers in it there are none, and with them alone the floats are those integers.
    single_file::write(&dir, &file, StoredWeights::F32).unwrap();
    assert!(matches!(Bundle::read_with(&file, ReadWeights::Quantized), Err(Error::NoQuantized { dir }) if dir == file));
    single_file::write(&dir, &file, StoredWeights::Int8).unwrap();
    let dequantized = whole.quantized.as_ref().unwrap().dequantize();
    assert_eq!(Bundle::read_with(&file, ReadWeights::F32).unwrap().weights, dequantized);
}

#[test]
fn unpacked_it_is_the_folder() {
    let root = tempfile::tempdir().unwrap();
    let (dir, copy) = (root.path().join("student"), root.path().join("copy"));
    let whole = Bundle { quantized: None, ..bundle() };
    whole.write(&dir, WriteMode::New).unwrap();
    let bytes = single_file::to_bytes(&whole, StoredWeights::F32).unwrap();
    zip::ZipArchive::new(Cursor::new(&bytes)).unwrap().extract(&copy).unwrap();
    let listed = |dir: &Path| {
        let mut all = Vec::new();
        let mut folders = vec![dir.to_path_buf()];
        while let Some(folder) = folders.pop() {
            for entry in fs::read_dir(folder).unwrap() {
                let path = entry.unwrap().path();
                let content = if path.is_dir() { None } else { Some(fs::read(&path).unwrap()) };
                all.push((path.strip_prefix(dir).unwrap().to_path_buf(), content));
                folders.extend(path.is_dir().then_some(path));
            }
        }
        all.sort();
        all
    };
    assert_eq!(listed(&copy), listed(&dir));
    assert_eq!(Bundle::read(&copy).unwrap(), whole);
}

#[test]
fn every_kind_of_model_goes_through() {
    let root = tempfile::tempdir().unwrap();
    let file = root.path().join("model.attar");
    let dirs = model_dirs().into_iter().chain(bin_dirs().into_iter().map(|(_, dir, _)| dir));
    for dir in dirs {
        single_file::write(&dir, &file, StoredWeights::F32).unwrap();
        let (mut got, expected) = (Bundle::read(&file).unwrap(), Bundle::read_with(&dir, ReadWeights::F32).unwrap());
        // Tensors that are not used are left behind, and with them what is said of them.
        got.notes.clone_from(&expected.notes);
        assert_eq!(got.fingerprint(), expected.fingerprint(), "{}", dir.display());
        assert_eq!(got.tokenizer_files, expected.tokenizer_files);
    }
}

#[test]
fn each_damage_has_its_error() {
    let bytes = single_file::to_bytes(&bundle(), StoredWeights::Int8).unwrap();
    let told = |bytes: &[u8]| match read(bytes, ReadWeights::All) {
        Err(Error::SingleFile { path, source }) if path == Path::new("a.attar") => *source,
        other => panic!("{other:?}"),
    };
    assert!(matches!(told(b""), SingleFileError::NotAnArchive));
    assert!(matches!(told(b"{\"a\": 1}"), SingleFileError::NotAnArchive));
    for length in (4..bytes.len()).step_by(97) {
        assert!(matches!(told(&bytes[..length]), SingleFileError::Damaged { .. }), "{length}");
    }
    // A bit of the weights, which nothing else would notice.
    let mut changed = bytes.clone();
    let middle = bytes.len() * 3 / 4;
    changed[middle] ^= 1;
    assert!(matches!(told(&changed), SingleFileError::Checksum { .. }));
    let error = chain(&read(&changed, ReadWeights::All).unwrap_err());
    assert!(error.contains("a.attar") && error.contains("model.int8.safetensors"), "{error}");
    assert_eq!(read(&bytes, ReadWeights::Quantized).unwrap().quantized, bundle().quantized);
}

#[test]
fn archives_of_others_are_told_what_is_missing() {
    let zipped = |files: &[(&str, &[u8])], method| {
        let mut archive = zip::ZipWriter::new(Cursor::new(Vec::new()));
        let options = zip::write::SimpleFileOptions::default().compression_method(method);
        for (name, bytes) in files {
            archive.start_file(*name, options).unwrap();
            archive.write_all(bytes).unwrap();
        }
        archive.finish().unwrap().into_inner()
    };
    let stored = zipped(&[("a.txt", b"a")], zip::CompressionMethod::Stored);
    assert!(matches!(read(&stored, ReadWeights::All), Err(Error::NoConfig { dir }) if dir == Path::new("a.attar")));
    // One that says of an entry that it is packed.
    let mut packed = stored.clone();
    let directory = packed.windows(4).rposition(|four| four == b"PK\x01\x02").unwrap();
    packed[8] = 8;
    packed[directory + 10] = 8;
    let error = read(&packed, ReadWeights::All).unwrap_err();
    assert!(chain(&error).contains("zip -0"), "{}", chain(&error));
}

#[test]
fn nothing_around_a_single_file_is_read() {
    // A folder of sentence-transformers whose Transformer has the name of the file.
    let root = tempfile::tempdir().unwrap();
    let plain = Bundle { pooling: None, projections: Vec::new(), prompts: Prompts::default(), ..bundle() };
    let file = root.path().join("0_Transformer");
    fs::write(&file, single_file::to_bytes(&plain, StoredWeights::Int8).unwrap()).unwrap();
    let modules = json!([{"idx": 0, "name": "0", "path": "0_Transformer", "type": "sentence_transformers.models.Transformer"},
                         {"idx": 1, "name": "1", "path": "1_Pooling", "type": "sentence_transformers.models.Pooling"}]);
    fs::write(root.path().join("modules.json"), modules.to_string()).unwrap();
    assert_eq!(Bundle::read_pooling(&file).unwrap(), None);
    let mut bytes = Vec::new();
    fs::File::open(&file).unwrap().read_to_end(&mut bytes).unwrap();
    assert_eq!(
        read(&bytes, ReadWeights::Quantized).unwrap(),
        Bundle::read_with(&file, ReadWeights::Quantized).unwrap()
    );
}
