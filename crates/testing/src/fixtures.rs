//! The golden fixtures: where they are and how they are read.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use safetensors::{Dtype, SafeTensors};

/// The path `relative` below the golden fixtures: those of this crate, or the set that `ATTAR_FIXTURES` names.
///
/// # Panics
/// If there is none.
#[track_caller]
pub fn fixtures(relative: &str) -> PathBuf {
    let root = match std::env::var_os("ATTAR_FIXTURES") {
        Some(root) => PathBuf::from(root),
        None => Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures"),
    };
    let path = root.join(relative);
    assert!(
        path.exists(),
        "no fixture {relative} in {}: point ATTAR_FIXTURES at a whole set, or unset it for the one of the repository",
        root.display()
    );
    path
}

/// A model with inputs and expected outputs: of the `forward` section, as its `index.json` lists it, of `mpnet` or of
/// `electra`.
#[derive(Debug, Clone)]
pub struct FixtureModel {
    /// Name, also that of its directory.
    pub name: String,
    /// Class of `transformers`, such as `BertForSequenceClassification`.
    pub architecture: String,
    /// A model directory that also holds inputs and expected outputs.
    pub dir: PathBuf,
    /// Directories with the same weights as a `pytorch_model.bin`, by format: `zip`, `legacy` (the stream of
    /// old versions) and `legacy_gamma` (that with the old names of normalization weights).
    pub bins: Vec<(String, PathBuf)>,
}

impl FixtureModel {
    /// What the generator was told about it: `layers`, `heads`, `labels` and more, as in `spec.json`.
    ///
    /// # Panics
    /// If the directory holds no such description.
    pub fn spec(&self) -> serde_json::Value {
        json(&self.dir.join("meta.json"))["spec"].take()
    }
}

/// The models of the `forward` section, at least one, and those of `mpnet` and `electra`.
///
/// # Panics
/// If the fixtures or their index are missing or broken.
#[track_caller]
pub fn fixture_models() -> Vec<FixtureModel> {
    let forward = fixtures("forward");
    let index = json(&forward.join("index.json"));
    let text = |value: &serde_json::Value| value.as_str().expect("text in the index of the fixtures").to_owned();
    let list = |value: &serde_json::Value| value.as_array().expect("a list in the index of the fixtures").clone();
    let model = |entry: &serde_json::Value| {
        let name = text(&entry["name"]);
        let bin = |kind: &serde_json::Value| (text(kind), forward.join(format!("{name}_bin_{}", text(kind))));
        FixtureModel {
            architecture: text(&entry["architecture"]),
            dir: forward.join(&name),
            bins: list(&entry["bins"]).iter().map(bin).collect(),
            name,
        }
    };
    let mut models: Vec<FixtureModel> = list(&index).iter().map(model).collect();
    assert!(!models.is_empty(), "{} lists no models", forward.join("index.json").display());
    models.extend(["mpnet", "electra"].into_iter().flat_map(section_models));
    models
}

/// The small models of the section `mpnet` or `electra`, in the order of their names and at least one; some hold gradients.
///
/// # Panics
/// If the fixtures are missing or broken.
#[track_caller]
pub fn section_models(section: &str) -> Vec<FixtureModel> {
    let section = fixtures(section);
    let folders = section.read_dir().unwrap_or_else(|e| panic!("{}: {e}", section.display()));
    // Beside them there may be sentences of a pretrained model.
    let folders =
        folders.filter_map(|entry| Some(entry.ok()?.path())).filter(|folder| folder.join("meta.json").exists());
    let model = |dir: PathBuf| {
        let meta = json(&dir.join("meta.json"));
        let text = |key: &str| meta[key].as_str().expect("text in the description of a fixture").to_owned();
        FixtureModel { name: text("name"), architecture: text("architecture"), bins: Vec::new(), dir }
    };
    let mut models: Vec<FixtureModel> = folders.map(model).collect();
    models.sort_by(|a, b| a.name.cmp(&b.name));
    assert!(!models.is_empty(), "{} holds no model", section.display());
    models
}

/// A dense array of a fixture file, as 64-bit numbers in row-major order.
///
/// Both the float and the integer fixtures fit: no stored integer exceeds 2^53.
#[derive(Debug, Clone, PartialEq)]
pub struct Array {
    /// Lengths of the dimensions.
    pub shape: Vec<usize>,
    /// Elements in row-major order.
    pub data: Vec<f64>,
}

impl Array {
    /// The elements as 32-bit floats, the type in which float fixtures are stored.
    pub fn f32(&self) -> Vec<f32> {
        self.data.iter().map(|&x| x as f32).collect()
    }

    /// The elements as integers.
    ///
    /// # Panics
    /// If an element is not a whole number.
    pub fn i64(&self) -> Vec<i64> {
        let whole = |&x: &f64| {
            assert_eq!(x.fract(), 0.0, "{x} is not a whole number");
            x as i64
        };
        self.data.iter().map(whole).collect()
    }
}

/// All tensors of a `.safetensors` file by name (f32, f64, i64 and bool).
///
/// # Panics
/// If the file cannot be read or holds another element type.
pub fn tensors(path: &Path) -> BTreeMap<String, Array> {
    let bytes = std::fs::read(path).unwrap_or_else(|e| panic!("{}: {e}", path.display()));
    let file = SafeTensors::deserialize(&bytes).unwrap_or_else(|e| panic!("{}: {e}", path.display()));
    let mut all = BTreeMap::new();
    for (name, view) in file.tensors() {
        let raw = view.data();
        let data = match view.dtype() {
            Dtype::F32 => raw.as_chunks().0.iter().map(|&b| f64::from(f32::from_le_bytes(b))).collect(),
            Dtype::F64 => raw.as_chunks().0.iter().map(|&b| f64::from_le_bytes(b)).collect(),
            Dtype::I64 => raw.as_chunks().0.iter().map(|&b| i64::from_le_bytes(b) as f64).collect(),
            Dtype::BOOL => raw.iter().map(|&b| f64::from(b)).collect(),
            other => panic!("{}: {name} is {other:?}", path.display()),
        };
        all.insert(name, Array { shape: view.shape().to_vec(), data });
    }
    all
}

/// A JSON file.
///
/// # Panics
/// If the file cannot be read or is not JSON.
pub fn json(path: &Path) -> serde_json::Value {
    let text = std::fs::read_to_string(path).unwrap_or_else(|e| panic!("{}: {e}", path.display()));
    serde_json::from_str(&text).unwrap_or_else(|e| panic!("{}: {e}", path.display()))
}
