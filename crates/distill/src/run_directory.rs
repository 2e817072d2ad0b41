//! The directory of a run: everything that one execution made.
//!
//! `recipe.toml` (resolved), `manifest.json` (hashes, versions, machine), `events.jsonl`,
//! `ledger.jsonl`, `checkpoints/`, `student/`.

use std::path::{Path, PathBuf};

use attar_model::atomic::write_file;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use crate::Error;
use crate::model_directory::STUDENT;
use crate::plan::Plan;
use crate::train::Checkpoints;

/// What decides the bytes of a run's student.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Manifest {
    /// Version of attar.
    pub attar: String,
    /// SHA-256 of the resolved recipe.
    pub recipe: String,
    /// The training rows.
    pub train: DataFacts,
    /// The dev rows.
    pub dev: DataFacts,
    /// Fingerprint of the teacher.
    pub teacher: Option<String>,
    /// Fingerprint of the student before its first update.
    pub student: String,
    /// Threads that compute.
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
        let facts = |data: &attar_text::labelled::Dataset| DataFacts {
            name: data.name.clone(),
            rows: data.len(),
            sha256: data.content_hash(),
        };
        Manifest {
            attar: env!("CARGO_PKG_VERSION").into(),
            recipe: hexadecimal(&Sha256::digest(plan.recipe.to_toml())),
            train: facts(&plan.data.train),
            dev: facts(&plan.data.dev),
            teacher: plan.teacher.as_ref().map(|teacher| teacher.bundle.fingerprint()),
            student: attar_model::fingerprint(&plan.student.config, &plan.student.weights),
            threads: rayon::current_num_threads(),
        }
    }

    /// What differs from another manifest, as `key: theirs, here ours`.
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
        compare("threads", stored.threads.to_string(), self.threads.to_string());
        all
    }
}

/// The directory of a run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RunDirectory {
    path: PathBuf,
}

impl RunDirectory {
    /// Makes the directory for a plan, or opens the one that the same plan made before.
    ///
    /// # Errors
    /// If it cannot be written, or holds a run of another plan; the text says what differs.
    pub fn open(path: &Path, plan: &Plan) -> Result<RunDirectory, Error> {
        let run = RunDirectory { path: path.to_path_buf() };
        let manifest = Manifest::of(plan);
        match std::fs::read(run.manifest()) {
            Ok(text) => {
                let way_out = || "choose another folder, or remove this one".to_string();
                let stored: Manifest = serde_json::from_slice(&text).map_err(|e| Error::RunFile {
                    path: run.manifest(),
                    problem: format!("damaged: {e}"),
                    way_out: way_out(),
                })?;
                let differences = manifest.differences(&stored);
                if !differences.is_empty() {
                    let problem = format!("holds another run: {}", differences.join("; "));
                    return Err(Error::RunFile { path: run.path, problem, way_out: way_out() });
                }
            }
            Err(e) if e.kind() == std::io::ErrorKind::NotFound => {
                run.refuse_other_files()?;
                let failed = |source| Error::Io { path: path.to_path_buf(), source };
                std::fs::create_dir_all(path).map_err(failed)?;
                write_file(&path.join("recipe.toml"), plan.recipe.to_toml().as_bytes())?;
                let text = serde_json::to_vec_pretty(&manifest).map_err(|e| failed(e.into()))?;
                // Last: a folder with a manifest is a run.
                write_file(&run.manifest(), &text)?;
            }
            Err(source) => return Err(Error::Io { path: run.manifest(), source }),
        }
        Ok(run)
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
        Checkpoints::new(self.path.join("checkpoints"))
    }

    fn manifest(&self) -> PathBuf {
        self.path.join("manifest.json")
    }

    /// A folder with other things in it is not taken for a new run.
    fn refuse_other_files(&self) -> Result<(), Error> {
        let Ok(mut entries) = std::fs::read_dir(&self.path) else { return Ok(()) };
        let ours = ["recipe.toml", "checkpoints"];
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

/// Lower-case hexadecimal digits.
pub(crate) fn hexadecimal(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}
