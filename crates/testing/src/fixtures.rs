//! Where the fixtures are and how they are read.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use safetensors::{Dtype, SafeTensors};

/// The path `relative` below the shared folder, or `None` with a notice where it is absent.
#[expect(clippy::print_stderr, reason = "a skipped test must say so")]
pub fn shared(relative: &str) -> Option<PathBuf> {
    let root = match std::env::var_os("ATTAR_SHARED") {
        Some(root) => PathBuf::from(root),
        None => Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../shared"),
    };
    let path = root.join(relative);
    if path.exists() {
        return Some(path);
    }
    eprintln!("skipped: no {relative} below {} (set ATTAR_SHARED to point elsewhere)", root.display());
    None
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
