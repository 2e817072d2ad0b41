//! The directory of a run: everything that one execution made.
//!
//! `recipe.toml` (resolved), `manifest.json` (hashes, versions, machine), `events.jsonl`, `events.out.tfevents.attar`
//! (its curves for TensorBoard), `ledger.jsonl`, `checkpoints/` until the run has ended, `student/`, and `result.json` once it is
//! written.
//! While a process is at work there is a `.lock` ([`RunLock`]).

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use attar_bill::Bill;
use attar_meter::{Ledger, Totals};
use attar_model::atomic::{remove_leftovers, write_file};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use crate::Error;
use crate::model_directory::{PIECES, SMALL, STUDENT, TEACHER};
use crate::plan::Plan;
use crate::recipe::Recipe;
use crate::run_lock::RunLock;
use crate::scores::{HeldOutLoss, Scores};
use crate::train::{CURVES_FILE, Checkpoints, TraceFolder, TracesUsed};

/// The folder of the checkpoints.
const CHECKPOINTS: &str = "checkpoints";
/// The resolved recipe.
const RECIPE: &str = "recipe.toml";
/// The facts that decide the student's bytes.
const MANIFEST: &str = "manifest.json";
/// What the teacher made of training rows, until the run has ended.
const TRACES: &str = "traces";
/// What the run led to.
const RESULT: &str = "result.json";

/// What to do with a folder that is not the run's.
const WAY_OUT: &str = "choose another folder, or remove this one";

/// Inputs of a run; all but `threads` decide the bytes of its student.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Manifest {
    /// Version of attar.
    pub attar: String,
    /// SHA-256 of the resolved recipe.
    pub recipe: String,
    /// The training rows.
    pub train: DataFacts,
    /// The dev rows, or the held-out text.
    pub dev: DataFacts,
    /// Fingerprint of the teacher.
    pub teacher: Option<String>,
    /// Fingerprint of the student before its first update.
    pub student: String,
    /// Thread count when the run was created, for information. Kernels and sums split their work at fixed places, so no byte depends on it.
    pub threads: usize,
}

/// Rows by their content.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct DataFacts {
    /// Their name.
    pub name: String,
    /// Their number.
    pub rows: usize,
    /// SHA-256 of texts and labels.
    pub sha256: String,
}

impl Manifest {
    /// The manifest of a plan on this machine.
    pub fn of(plan: &Plan) -> Manifest {
        let [train, dev] = plan.facts.clone();
        Manifest {
            attar: env!("CARGO_PKG_VERSION").into(),
            recipe: hexadecimal(&Sha256::digest(plan.recipe.to_toml())),
            train,
            dev,
            teacher: plan.teacher.as_ref().map(|teacher| teacher.bundle.fingerprint()),
            student: attar_model::fingerprint(&plan.student.config, &plan.student.weights),
            threads: rayon::current_num_threads(),
        }
    }

    /// SHA-256 of what decides the bytes of a run's student. What a run stores carries it.
    fn id(&self) -> Result<String, serde_json::Error> {
        let decisive = Manifest { threads: 0, ..self.clone() };
        Ok(hexadecimal(&Sha256::digest(serde_json::to_vec(&decisive)?)))
    }

    /// What differs from a stored manifest, as `key was STORED, now CURRENT`.
    fn differences(&self, stored: &Manifest) -> Vec<String> {
        let mut all = Vec::new();
        let mut compare = |key: &str, stored: String, ours: String| {
            if stored != ours {
                all.push(format!("{key} was {stored}, now {ours}"));
            }
        };
        let data = |facts: &DataFacts| format!("{} ({} rows, {:.8})", facts.name, facts.rows, facts.sha256);
        let short = |hash: &Option<String>| hash.as_ref().map_or("none".into(), |hash| format!("{hash:.8}"));
        compare("attar", stored.attar.clone(), self.attar.clone());
        compare("recipe", format!("{:.8}", stored.recipe), format!("{:.8}", self.recipe));
        compare("training rows", data(&stored.train), data(&self.train));
        compare("dev rows", data(&stored.dev), data(&self.dev));
        compare("teacher", short(&stored.teacher), short(&self.teacher));
        compare("student", format!("{:.8}", stored.student), format!("{:.8}", self.student));
        all
    }
}

/// What a finished run leaves: a student on disk, its scores and its bill.
#[derive(Debug, Clone, Serialize)]
pub struct ExportedStudent {
    /// The student's directory.
    pub student: PathBuf,
    /// SHA-256 of its configuration and weights.
    pub fingerprint: String,
    /// Parameters of the student.
    pub parameters: usize,
    /// Scores on the dev rows; none where these have no labels.
    pub scores: Option<Scores>,
    /// The loss on held-out text, where the data are raw text.
    pub held_out: Option<HeldOutLoss>,
    /// What the making cost.
    pub bill: Bill,
    /// How much computing of the teacher was saved by traces on disk; `None` if none were kept.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub traces: Option<TracesUsed>,
    /// What a user should know.
    pub notes: Vec<String>,
    /// What the run needed and nothing needs any more.
    pub removed: Option<Removed>,
}

/// Files that were removed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Removed {
    /// Their folder.
    pub path: PathBuf,
    /// How much they were.
    pub bytes: u64,
}

/// The directory of a run, held by this process ([`RunLock`]) as long as this value lives.
#[derive(Debug)]
pub struct RunDirectory {
    path: PathBuf,
    /// [`Manifest::id`] of the run.
    id: String,
    _lock: RunLock,
}

impl RunDirectory {
    /// Makes the directory for a plan, or opens the one that the same plan made before.
    ///
    /// # Errors
    /// If another process is at work in it; if it cannot be written, or holds a run of another plan; the text says what
    /// differs.
    pub fn open(path: &Path, plan: &Plan) -> Result<RunDirectory, Error> {
        RunDirectory::open_locked(RunLock::take(path)?, plan)
    }

    /// As [`RunDirectory::open`], for a folder that is locked already.
    ///
    /// # Errors
    /// As there.
    pub fn open_locked(lock: RunLock, plan: &Plan) -> Result<RunDirectory, Error> {
        let path = lock.folder().to_path_buf();
        let failed = |source| Error::Io { path: path.clone(), source };
        let mut manifest = Manifest::of(plan);
        let mut run = RunDirectory { path: path.clone(), id: String::new(), _lock: lock };
        match std::fs::read(run.manifest()) {
            Ok(text) => {
                let stored: Manifest = parse(&run.manifest(), &text)?;
                let mut changed = String::new();
                if stored.recipe != manifest.recipe
                    && let (Ok(Some(before)), Ok(now)) = (RunDirectory::recipe(&path), plan.recipe.absolute())
                {
                    changed = changed_keys(&before.to_toml(), &now.to_toml());
                    if changed.is_empty() {
                        // The same files, named from another folder.
                        manifest.recipe.clone_from(&stored.recipe);
                    }
                }
                let differences = manifest.differences(&stored);
                if !differences.is_empty() {
                    let problem = format!("holds another run: {}{changed}", differences.join("; "));
                    return Err(Error::RunFile { path: run.path, problem, way_out: WAY_OUT.into() });
                }
            }
            Err(e) if e.kind() == std::io::ErrorKind::NotFound => {
                run.refuse_other_files()?;
                // Whatever folder it is read from, it names the same files.
                let recipe = plan.recipe.absolute().map_err(failed)?;
                write_file(&path.join(RECIPE), recipe.to_toml().as_bytes())?;
                let text = serde_json::to_vec_pretty(&manifest).map_err(|e| failed(e.into()))?;
                // Last: a folder with a manifest is a run.
                write_file(&run.manifest(), &text)?;
            }
            Err(source) => return Err(Error::Io { path: run.manifest(), source }),
        }
        // Only now is it certain that the folder is this run's.
        run.id = manifest.id().map_err(|e| failed(e.into()))?;
        remove_leftovers(&run.path, |name| [RECIPE, MANIFEST, RESULT, STUDENT, SMALL, CURVES_FILE].contains(&name))?;
        run.checkpoints().remove_leftovers()?;
        Ok(run)
    }

    /// The recipe of the run in this folder; `None` if there is no run.
    ///
    /// # Errors
    /// If its file cannot be read or is damaged.
    pub fn recipe(path: &Path) -> Result<Option<Recipe>, Error> {
        match path.join(MANIFEST).exists() {
            true => Ok(Some(Recipe::read(&path.join(RECIPE))?)),
            false => Ok(None),
        }
    }

    /// The directory itself.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The trained model.
    pub fn student(&self) -> PathBuf {
        self.path.join(STUDENT)
    }

    /// The log of what happened.
    pub fn events(&self) -> PathBuf {
        self.path.join("events.jsonl")
    }

    /// The record of energy.
    pub fn ledger(&self) -> PathBuf {
        self.path.join("ledger.jsonl")
    }

    /// States to go on from.
    pub fn checkpoints(&self) -> Checkpoints {
        Checkpoints::new(self.path.join(CHECKPOINTS), self.id.clone())
    }

    /// Where traces of the teacher are kept, in at most so many bytes.
    pub(crate) fn traces(&self, budget: u64) -> TraceFolder {
        TraceFolder { path: self.path.join(TRACES), run: self.id.clone(), budget }
    }

    /// What the run left when it ended; `None` if it has not, or its student was taken away.
    ///
    /// # Errors
    /// If the files that say so are damaged.
    pub fn exported(&self, plan: &Plan) -> Result<Option<ExportedStudent>, Error> {
        let text = match std::fs::read(self.result()) {
            Ok(text) => text,
            Err(e) if e.kind() == std::io::ErrorKind::NotFound => return Ok(None),
            Err(source) => return Err(Error::Io { path: self.result(), source }),
        };
        if !self.student().join("config.json").exists() {
            return Ok(None);
        }
        let Outcome { fingerprint, parameters, scores, held_out, traces, notes } = parse(&self.result(), &text)?;
        let windows = Ledger::read(self.ledger()).map_err(Error::energy)?.windows;
        Ok(Some(ExportedStudent {
            student: self.student(),
            fingerprint,
            parameters,
            scores,
            held_out,
            bill: Bill::new(&Totals::from_windows(&windows), &plan.grid, &plan.tariff),
            traces,
            notes,
            removed: None,
        }))
    }

    /// Writes down that the run has ended and what it led to; to be called once the student is in place.
    pub(crate) fn end(&self, exported: &ExportedStudent) -> Result<(), Error> {
        let outcome = Outcome {
            fingerprint: exported.fingerprint.clone(),
            parameters: exported.parameters,
            scores: exported.scores.clone(),
            held_out: exported.held_out.clone(),
            traces: exported.traces,
            notes: exported.notes.clone(),
        };
        let failed = |e: serde_json::Error| Error::Io { path: self.result(), source: e.into() };
        Ok(write_file(&self.result(), &serde_json::to_vec_pretty(&outcome).map_err(failed)?)?)
    }

    /// Removes the traces that were kept, which nothing needs once the run has ended.
    pub(crate) fn remove_traces(&self) -> Result<(), Error> {
        let path = self.path.join(TRACES);
        match std::fs::remove_dir_all(&path) {
            Err(e) if e.kind() != std::io::ErrorKind::NotFound => Err(Error::Io { path, source: e }),
            _ => Ok(()),
        }
    }

    /// Removes the checkpoints of a run that has ended; `None` if there are none.
    pub(crate) fn remove_checkpoints(&self) -> Result<Option<Removed>, Error> {
        let path = self.path.join(CHECKPOINTS);
        if !path.exists() {
            return Ok(None);
        }
        let bytes = bytes_below(&path);
        std::fs::remove_dir_all(&path).map_err(|source| Error::Io { path: path.clone(), source })?;
        Ok(Some(Removed { path, bytes }))
    }

    fn result(&self) -> PathBuf {
        self.path.join(RESULT)
    }

    fn manifest(&self) -> PathBuf {
        self.path.join(MANIFEST)
    }

    /// A folder with other things in it is not taken for a new run.
    fn refuse_other_files(&self) -> Result<(), Error> {
        let Ok(mut entries) = std::fs::read_dir(&self.path) else { return Ok(()) };
        let ours = [RECIPE, CHECKPOINTS, TRACES, TEACHER, PIECES];
        let strange = entries.find_map(|entry| {
            let name = entry.ok()?.file_name().to_string_lossy().into_owned();
            (!ours.contains(&name.as_str()) && !name.starts_with('.')).then_some(name)
        });
        match strange {
            None => Ok(()),
            Some(name) => Err(Error::RunFile {
                path: self.path.clone(),
                problem: format!("not a run, and not empty: it holds {name}"),
                way_out: "choose a new folder".into(),
            }),
        }
    }
}

/// What is kept of an exported student beside what the student and the ledger say.
#[derive(Serialize, Deserialize)]
struct Outcome {
    fingerprint: String,
    parameters: usize,
    scores: Option<Scores>,
    #[serde(default)]
    held_out: Option<HeldOutLoss>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    traces: Option<TracesUsed>,
    notes: Vec<String>,
}

/// The first keys of a recipe whose values differ, as ` (stage.0.length.steps: 300, now 301)`; nothing if none do.
fn changed_keys(before: &str, now: &str) -> String {
    let values = |recipe: &str| {
        let mut all = BTreeMap::new();
        if let Ok(table) = recipe.parse::<toml::Table>() {
            flatten("", &toml::Value::Table(table), &mut all);
        }
        all
    };
    let (before, now) = (values(before), values(now));
    let keys: BTreeSet<&String> = before.keys().chain(now.keys()).collect();
    let changed: Vec<String> = keys
        .into_iter()
        .filter(|key| before.get(*key) != now.get(*key))
        .map(|key| {
            let shown = |values: &BTreeMap<String, String>| values.get(key).map_or("none", String::as_str).to_owned();
            format!("{key}: {}, now {}", shown(&before), shown(&now))
        })
        .collect();
    match changed.len() {
        0 => String::new(),
        count @ ..=SHOWN_KEYS => format!(" ({})", changed[..count].join("; ")),
        count => format!(" ({}; and {} more)", changed[..SHOWN_KEYS].join("; "), count - SHOWN_KEYS),
    }
}

/// Keys of two recipes that an error names.
const SHOWN_KEYS: usize = 3;

/// Each value below this one by its path.
fn flatten(path: &str, value: &toml::Value, all: &mut BTreeMap<String, String>) {
    let mut inner =
        |key: &str, value| flatten(&if path.is_empty() { key.into() } else { format!("{path}.{key}") }, value, all);
    match value {
        toml::Value::Table(table) => table.iter().for_each(|(key, value)| inner(key, value)),
        toml::Value::Array(array) => array.iter().enumerate().for_each(|(i, value)| inner(&i.to_string(), value)),
        value => drop(all.insert(path.into(), value.to_string())),
    }
}

fn parse<T: DeserializeOwned>(path: &Path, text: &[u8]) -> Result<T, Error> {
    serde_json::from_slice(text).map_err(|e| Error::RunFile {
        path: path.to_path_buf(),
        problem: format!("damaged: {e}"),
        way_out: WAY_OUT.into(),
    })
}

/// Bytes of all files in a folder and the folders in it; what cannot be read counts nothing.
fn bytes_below(folder: &Path) -> u64 {
    let entries = std::fs::read_dir(folder).into_iter().flatten().flatten();
    let bytes = |entry: std::fs::DirEntry| match entry.metadata() {
        Ok(metadata) if metadata.is_dir() => bytes_below(&entry.path()),
        Ok(metadata) => metadata.len(),
        Err(_) => 0,
    };
    entries.map(bytes).sum()
}

/// Lower-case hexadecimal digits.
pub(crate) fn hexadecimal(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}
