//! From a model directory to a configuration and weights under canonical names.

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;
use std::path::{Path, PathBuf};

use crate::config::{EncoderConfig, Head};
use crate::error::Error;
use crate::family_names::{Meaning, Names, family_name};
use crate::files::{FileReader, ModelFiles};
use crate::fingerprint::Fingerprint;
use crate::finite::check_finite;
use crate::hf_config;
use crate::names::{expected_shapes, is_encoder};
use crate::shards::{Shards, read_index};
use crate::sorting::sort_by;
use crate::stored::{ElementType, StoredTensor, find};
use crate::tensor_stream::TensorStream;
use crate::weights::{Tensor, Weights};
use crate::weights_file::WeightsFile;

/// The files weights are read from, in order of preference.
pub const WEIGHTS_FILES: [&str; 4] =
    ["model.safetensors", "model.safetensors.index.json", "pytorch_model.bin", "pytorch_model.bin.index.json"];

/// A model as it was found in a directory.
#[derive(Debug, Clone)]
pub struct Loaded {
    /// The configuration. Where a bare encoder has no pooler in its weights, `pooler` says so.
    pub config: EncoderConfig,
    /// The weights under canonical names, in the order of [`expected_shapes`], without those [`missing`](Self::missing).
    pub weights: Weights,
    /// Names in the files that are known and not needed: stored constants, second names of shared tensors,
    /// optimizer state, projections of a distillation, and heads this configuration does not have.
    pub ignored: Vec<String>,
    /// Those of [`ignored`](Self::ignored) that belong to another head than the configuration's.
    pub other_heads: Vec<String>,
    /// Names in the files that attar does not know. Worth a warning: the files may belong to another model.
    pub unexpected: Vec<String>,
    /// Canonical names of pooler and head tensors that are not in the files and have to be initialized.
    pub missing: Vec<String>,
    /// The files the weights came from, in the order in which they were read.
    pub sources: Vec<Source>,
}

/// A file weights were read from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Source {
    /// Its path.
    pub path: PathBuf,
    /// Its length in bytes.
    pub length: usize,
    /// SHA-256 of its bytes, 64 hexadecimal digits.
    pub sha256: String,
}

/// Reads `config.json` and the weights of a Hugging Face model directory.
///
/// Weights are taken from the first of [`WEIGHTS_FILES`] that exists, read once, and decoded only where the
/// configuration asks for them and the shape agrees. f16, bf16 and f64 become f32.
///
/// ```no_run
/// let loaded = attar_model::checkpoint::load("bert-base-uncased".as_ref())?;
/// println!("{} tensors from {}", loaded.weights.len(), loaded.sources[0].path.display());
/// # Ok::<(), attar_model::Error>(())
/// ```
///
/// # Errors
/// [`Error`] naming the file and what is wrong in it: no or unusable configuration, no weights, a broken file, a
/// tensor of another shape, an encoder tensor that is missing. Missing tensors of pooler and head are no error.
pub fn load(dir: &Path) -> Result<Loaded, Error> {
    let files = ModelFiles::folder(dir);
    load_config(&files, dir, read_config(dir)?, Hashing::Sha256)
}

/// As [`load`], without hashes: [`Loaded::sources`] stays empty. Hashing takes longer than reading, and needs
/// memory for the whole file in addition to its tensors.
pub(crate) fn load_unhashed(files: &ModelFiles<'_>, dir: &Path, config: EncoderConfig) -> Result<Loaded, Error> {
    load_config(files, dir, config, Hashing::None)
}

/// [`fingerprint`](crate::fingerprint()) of a directory's weights under a configuration, with a tensor in memory at a
/// time where the format allows it.
pub(crate) fn fingerprint(files: &ModelFiles<'_>, dir: &Path, config: &EncoderConfig) -> Result<String, Error> {
    let path = dir.join(WEIGHTS_FILES[0]);
    if let Some(mut stream) = if files.exists(&path) { TensorStream::open(files, &path)? } else { None } {
        let names = stream.tensors().iter().map(|(name, _)| name.clone()).collect();
        let wanted = TensorMapping::of(config, &path, names)?.wanted;
        let by_canonical: BTreeMap<String, String> =
            wanted.into_iter().map(|(name, (canonical, _))| (canonical, name)).collect();
        let mut hash = Fingerprint::new(config, by_canonical.len());
        for (canonical, name) in by_canonical {
            match stream.tensor(&name).cloned() {
                // As they lie there, without making numbers of them.
                Some(stored) if stored.element_type() == ElementType::F32 => {
                    hash.begin(&canonical, stored.shape());
                    stream.each_block(&stored, |block| hash.bytes(block))?;
                }
                _ => hash.tensor(&canonical, &stream.float_tensor(&name)?),
            }
        }
        return Ok(hash.finish());
    }
    let Loaded { config, weights, .. } = load_unhashed(files, dir, config.clone())?;
    Ok(crate::fingerprint(&config, &weights))
}

/// Whether the directory holds one of [`WEIGHTS_FILES`].
pub(crate) fn has_weights(files: &ModelFiles<'_>, dir: &Path) -> bool {
    WEIGHTS_FILES.iter().any(|name| files.exists(&dir.join(name)))
}

/// Whether a directory's `model.safetensors` holds an encoder and nothing of the configuration's head; false for other
/// formats, which have to be read whole for that.
pub(crate) fn lacks_head(files: &ModelFiles<'_>, dir: &Path, config: &EncoderConfig) -> Result<bool, Error> {
    let path = dir.join(WEIGHTS_FILES[0]);
    let Some(stream) = (if files.exists(&path) { TensorStream::open(files, &path)? } else { None }) else {
        return Ok(false);
    };
    let names = Names::of(config);
    let is_of_head = |name: &str| match names.meaning(name) {
        Meaning::Tensor(tensor) => !is_encoder(&tensor),
        _ => false,
    };
    Ok(!stream.tensors().iter().any(|(name, _)| is_of_head(name)))
}

/// As [`load`], but under another head than the one `config.json` names: for example a language model as the
/// start of a classifier. Tensors of the new head that the files lack are in [`Loaded::missing`].
///
/// # Errors
/// As [`load`].
pub fn load_as(dir: &Path, head: Head) -> Result<Loaded, Error> {
    let config = read_config(dir)?.with_head(head);
    config.validate().map_err(|source| Error::Config { path: dir.join("config.json"), source: source.into() })?;
    load_config(&ModelFiles::folder(dir), dir, config, Hashing::Sha256)
}

/// Reads `config.json` of a model directory.
///
/// # Errors
/// [`Error::NoConfig`], [`Error::Config`], or as reading files can fail.
pub fn read_config(dir: &Path) -> Result<EncoderConfig, Error> {
    config_of(&ModelFiles::folder(dir), dir)
}

/// As [`read_config`], of a folder among these files.
pub(crate) fn config_of(files: &ModelFiles<'_>, dir: &Path) -> Result<EncoderConfig, Error> {
    let path = dir.join("config.json");
    match files.read_optional_json(&path)? {
        Some(json) => hf_config::parse(json).map_err(|source| Error::Config { path, source: source.into() }),
        None => Err(Error::NoConfig { dir: dir.into() }),
    }
}

/// Whether the files that are read are hashed.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Hashing {
    Sha256,
    None,
}

fn load_config(
    files: &ModelFiles<'_>,
    dir: &Path,
    mut config: EncoderConfig,
    hashing: Hashing,
) -> Result<Loaded, Error> {
    let found = WEIGHTS_FILES.iter().map(|name| dir.join(name)).find(|path| files.exists(path));
    let Some(path) = found else {
        return Err(Error::NoWeights { dir: dir.into(), looked_for: &WEIGHTS_FILES });
    };
    let is_index = path.extension().is_some_and(|extension| extension == "json");
    let (parts, names): (Vec<CheckpointFile<'_>>, Vec<String>) = if is_index {
        let shards = read_index(files, &path)?;
        let names = shards.values().flatten().cloned().collect();
        (shard_files(files, &path, shards)?, names)
    } else {
        let file = OpenFile::open(files, &path, hashing)?;
        let names = file.tensors().iter().map(|(name, _)| name.clone()).collect();
        (vec![CheckpointFile::Whole(file)], names)
    };

    if config.head == Head::None && config.pooler && !has_pooler(&config, &names) {
        config.pooler = false;
    }
    let mapping = TensorMapping::of(&config, &path, names)?;
    let mut reading = CheckpointReader {
        hashing,
        tensors: BTreeMap::new(),
        unexpected: mapping.unexpected.clone(),
        sources: Vec::new(),
    };
    for part in parts {
        reading.read(files, part, &mapping.wanted)?;
    }

    let CheckpointReader { mut tensors, unexpected, sources, .. } = reading;
    let mut weights = Weights::new();
    let mut missing = Vec::new();
    for (name, _) in expected_shapes(&config) {
        match tensors.remove(&name) {
            Some(tensor) => _ = weights.insert(name, tensor),
            None => missing.push(name),
        }
    }
    let TensorMapping { ignored, other_heads, .. } = mapping;
    Ok(Loaded { config, weights, ignored, other_heads, unexpected, missing, sources })
}

fn has_pooler(config: &EncoderConfig, names: &[String]) -> bool {
    let meanings = Names::of(config);
    names.iter().any(|name| matches!(meanings.meaning(name), Meaning::Tensor(name) if name.starts_with("pooler.")))
}

/// A file of a checkpoint: already open, or a shard that is opened later, so that only one is in memory.
enum CheckpointFile<'a> {
    Whole(OpenFile<'a>),
    Shard { path: PathBuf, tensors: Vec<String> },
}

fn shard_files<'a>(files: &ModelFiles<'_>, index: &Path, shards: Shards) -> Result<Vec<CheckpointFile<'a>>, Error> {
    let dir = index.parent().unwrap_or(Path::new("."));
    let file = |(shard, tensors): (String, Vec<String>)| {
        let path = dir.join(&shard);
        if files.exists(&path) {
            Ok(CheckpointFile::Shard { path, tensors })
        } else {
            Err(Error::NoShard { path: index.into(), shard })
        }
    };
    shards.into_iter().map(file).collect()
}

/// Which names in the files become which tensors.
struct TensorMapping {
    /// By name in the file: canonical name and expected shape.
    wanted: BTreeMap<String, (String, Vec<usize>)>,
    ignored: Vec<String>,
    other_heads: Vec<String>,
    unexpected: Vec<String>,
}

impl TensorMapping {
    fn of(config: &EncoderConfig, path: &Path, names: Vec<String>) -> Result<Self, Error> {
        let meanings = Names::of(config);
        let example: Box<str> = names.first().map_or("nothing", String::as_str).into();
        let mut by_canonical: BTreeMap<String, String> = BTreeMap::new();
        let mut aliases = Vec::new();
        let (mut ignored, mut other_heads, mut unexpected) = (Vec::new(), Vec::new(), Vec::new());
        for name in names {
            match meanings.meaning(&name) {
                Meaning::Tensor(tensor) => {
                    if let Some(first) = by_canonical.get(&tensor).cloned() {
                        let (tensor, first, second) = (tensor.into(), first.into(), name.into());
                        return Err(Error::Twice { path: path.into(), tensor, first, second });
                    }
                    by_canonical.insert(tensor, name);
                }
                Meaning::Alias(tensor) => aliases.push((tensor, name)),
                Meaning::Ignored => ignored.push(name),
                Meaning::OtherHead => {
                    other_heads.push(name.clone());
                    ignored.push(name);
                }
                Meaning::Unknown => unexpected.push(name),
            }
        }
        for (tensor, name) in aliases {
            match by_canonical.entry(tensor) {
                Entry::Occupied(_) => ignored.push(name),
                Entry::Vacant(free) => _ = free.insert(name),
            }
        }
        sort_by(&mut ignored, Ord::cmp);

        let shapes = expected_shapes(config);
        let absent = |(name, _): &&(String, Vec<usize>)| is_encoder(name) && !by_canonical.contains_key(name);
        if let Some((tensor, _)) = shapes.iter().find(absent) {
            let (tensor, count) = (family_name(config, tensor), shapes.iter().filter(absent).count());
            let part = meanings.part(&tensor);
            let prefix = unexpected.iter().find_map(|name| name.strip_suffix(part)).unwrap_or_default().into();
            return Err(Error::NoEncoder { path: path.into(), tensor: tensor.into(), count, example, prefix });
        }
        let wanted = shapes.into_iter().filter_map(|(tensor, shape)| {
            let name = by_canonical.get(&tensor)?.clone();
            Some((name, (tensor, shape)))
        });
        Ok(TensorMapping { wanted: wanted.collect(), ignored, other_heads, unexpected })
    }
}

struct CheckpointReader {
    hashing: Hashing,
    /// By canonical name.
    tensors: BTreeMap<String, Tensor>,
    unexpected: Vec<String>,
    sources: Vec<Source>,
}

impl CheckpointReader {
    fn read(
        &mut self,
        files: &ModelFiles<'_>,
        file: CheckpointFile<'_>,
        wanted: &BTreeMap<String, (String, Vec<usize>)>,
    ) -> Result<(), Error> {
        let file = match file {
            CheckpointFile::Whole(mut file) => {
                let names = file.tensors().iter().map(|(name, _)| name.clone()).collect::<Vec<_>>();
                self.decode(&mut file, names, wanted)?;
                file
            }
            CheckpointFile::Shard { path, tensors } => {
                let mut file = OpenFile::open(files, &path, self.hashing)?;
                let unexpected = file.tensors().iter().filter(|(name, _)| tensors.binary_search(name).is_err());
                self.unexpected.extend(unexpected.map(|(name, _)| name.clone()));
                self.decode(&mut file, tensors, wanted)?;
                file
            }
        };
        if let OpenFile::Whole(file) = file {
            self.unexpected.extend(file.others().iter().cloned());
            if self.hashing == Hashing::Sha256 {
                let (path, length, sha256) = (file.path().into(), file.length(), file.sha256().into());
                self.sources.push(Source { path, length, sha256 });
            }
        }
        Ok(())
    }

    /// Decodes the wanted tensors of a file.
    fn decode(
        &mut self,
        file: &mut OpenFile<'_>,
        names: Vec<String>,
        wanted: &BTreeMap<String, (String, Vec<usize>)>,
    ) -> Result<(), Error> {
        let mut found = Vec::with_capacity(names.len());
        for name in names {
            let Some(stored) = file.tensor(&name) else {
                return Err(Error::NotInShard { path: file.path().into(), tensor: name });
            };
            let Some((canonical, shape)) = wanted.get(&name) else { continue };
            if stored.shape() != shape {
                let (expected, got) = (shape.as_slice().into(), stored.shape().into());
                return Err(Error::Shape { path: file.path().into(), tensor: name.into(), expected, got });
            }
            found.push((stored.start(), name, canonical));
        }
        file.check_size(wanted.iter().filter(|(name, _)| file.tensor(name).is_some()).map(|(_, (_, shape))| shape))?;
        // In the order of the file, which is the fastest to read.
        sort_by(&mut found, Ord::cmp);
        for (_, name, canonical) in found {
            let tensor = file.floats(&name)?;
            check_finite(file.path(), &name, &tensor.data)?;
            self.tensors.insert(canonical.clone(), tensor);
        }
        Ok(())
    }
}

/// A weights file: in memory, as PyTorch's format and hashes require, or on disk.
enum OpenFile<'a> {
    Whole(Box<WeightsFile>),
    Stream(Box<TensorStream<FileReader<'a>>>),
}

impl<'a> OpenFile<'a> {
    fn open(files: &'a ModelFiles<'_>, path: &Path, hashing: Hashing) -> Result<Self, Error> {
        let is_safetensors = path.extension().is_some_and(|extension| extension == "safetensors");
        if is_safetensors
            && hashing == Hashing::None
            && let Some(stream) = TensorStream::open(files, path)?
        {
            return Ok(OpenFile::Stream(Box::new(stream)));
        }
        Ok(OpenFile::Whole(Box::new(WeightsFile::read_from(files, path)?)))
    }

    fn path(&self) -> &Path {
        match self {
            OpenFile::Whole(file) => file.path(),
            OpenFile::Stream(stream) => stream.path(),
        }
    }

    fn tensors(&self) -> &[(String, StoredTensor)] {
        match self {
            OpenFile::Whole(file) => file.tensors(),
            OpenFile::Stream(stream) => stream.tensors(),
        }
    }

    fn tensor(&self, name: &str) -> Option<&StoredTensor> {
        find(self.tensors(), name)
    }

    /// Checks that tensors of these shapes do not take far more memory than the file is long. Only PyTorch's tensors
    /// can share numbers.
    fn check_size<'s>(&self, shapes: impl Iterator<Item = &'s Vec<usize>>) -> Result<(), Error> {
        let OpenFile::Whole(file) = self else { return Ok(()) };
        file.check_size(shapes.map(Vec::as_slice))
    }

    fn floats(&mut self, name: &str) -> Result<Tensor, Error> {
        match self {
            OpenFile::Whole(file) => file.floats(name),
            OpenFile::Stream(stream) => stream.float_tensor(name),
        }
    }
}
