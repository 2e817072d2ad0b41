//! Checkpoints: a directory each, complete or absent.
//!
//! A checkpoint holds the parameters, the optimizer's moments and where the run stands. Everything
//! else follows from the recipe and its seed, so that a run killed at any moment resumes to
//! the same bytes.

use std::path::{Path, PathBuf};

use attar_model::atomic::{WriteMode, write_dir, write_file};
use attar_model::{Weights, WeightsFile, safetensors_file};
use serde::{Deserialize, Serialize};

use crate::Error;

const PARAMETERS: &str = "parameters.safetensors";
const MOMENTS: &str = "moments.safetensors";
const STATE: &str = "state.json";
const BEST: &str = "best.safetensors";

/// Where a run stands.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct State {
    /// Stage, counted from 0; the number of stages once all are done.
    pub stage: usize,
    /// Updates done in that stage.
    pub step: usize,
    /// The best score of that stage so far.
    pub best: Option<Best>,
}

/// The weights that a stage keeps as its best.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Best {
    /// Highest value so far of the metric that decides, negated where less is better.
    pub highest_score: f64,
    /// Updates that the weights that are kept have had.
    pub kept_step: usize,
}

impl Best {
    /// The best weights once those after `step` updates have this score, and whether they are those.
    ///
    /// Of weights whose scores are within the standard error of the highest, the last ones are the best: they have
    /// learned from more rows, and few dev rows cannot tell them apart.
    pub fn after(best: Option<Best>, score: f64, standard_error: f64, step: usize) -> (Best, bool) {
        match best {
            Some(best) if score < best.highest_score - standard_error => (best, false),
            best => {
                let highest_score = best.map_or(score, |best| best.highest_score.max(score));
                (Best { highest_score, kept_step: step }, true)
            }
        }
    }
}

/// A checkpoint: parameters, moments and where the run stands.
#[derive(Debug, Clone, PartialEq)]
pub struct Checkpoint {
    /// Where the run stands.
    pub state: State,
    /// The parameters by name.
    pub parameters: Weights,
    /// The optimizer's moments by name; none at the beginning of a stage.
    pub moments: Option<Weights>,
}

/// The folder of the checkpoints of one run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Checkpoints {
    folder: PathBuf,
}

impl Checkpoints {
    /// The checkpoints in a folder, which need not exist yet.
    pub fn new(folder: PathBuf) -> Checkpoints {
        Checkpoints { folder }
    }

    /// Writes a checkpoint, then removes all but the newest `keep`.
    ///
    /// # Errors
    /// If the disk is full or not writable; earlier checkpoints are then untouched.
    pub fn write(&self, checkpoint: &Checkpoint, keep: usize) -> Result<PathBuf, Error> {
        let path = self.folder.join(name(&checkpoint.state));
        write_dir(&path, WriteMode::Replace, |folder| -> Result<(), Error> {
            safetensors_file::write(&folder.join(PARAMETERS), &checkpoint.parameters)?;
            if let Some(moments) = &checkpoint.moments {
                safetensors_file::write(&folder.join(MOMENTS), moments)?;
            }
            let path = folder.join(STATE);
            let state = serde_json::to_vec_pretty(&checkpoint.state)
                .map_err(|e| Error::Io { path: path.clone(), source: e.into() })?;
            Ok(write_file(&path, &state)?)
        })?;
        for old in self.all()?.into_iter().rev().skip(keep) {
            std::fs::remove_dir_all(&old).map_err(|source| Error::Io { path: old, source })?;
        }
        Ok(path)
    }

    /// The newest checkpoint.
    ///
    /// # Errors
    /// If it is damaged; the text names it and what to remove to go back to the one before.
    pub fn latest(&self) -> Result<Option<Checkpoint>, Error> {
        let Some(folder) = self.all()?.pop() else { return Ok(None) };
        let path = folder.join(STATE);
        let text = std::fs::read(&path).map_err(|source| Error::Io { path: path.clone(), source })?;
        let state = serde_json::from_slice(&text).map_err(|e| damaged(&folder, e))?;
        let moments = folder.join(MOMENTS);
        let read = |path: PathBuf| weights(&path).map_err(|e| damaged(&folder, e));
        let moments = if moments.exists() { Some(read(moments)?) } else { None };
        Ok(Some(Checkpoint { state, parameters: read(folder.join(PARAMETERS))?, moments }))
    }

    /// Writes the parameters that a stage keeps as its best ([`Best`]).
    ///
    /// # Errors
    /// If the disk is full or not writable; the file that was there stays.
    pub fn write_best(&self, parameters: &Weights) -> Result<(), Error> {
        let folder = &self.folder;
        std::fs::create_dir_all(folder).map_err(|source| Error::Io { path: folder.clone(), source })?;
        Ok(safetensors_file::write(&folder.join(BEST), parameters)?)
    }

    /// Reads what [`Checkpoints::write_best`] wrote.
    ///
    /// # Errors
    /// If the file is missing or damaged.
    pub fn best(&self) -> Result<Weights, Error> {
        let path = self.folder.join(BEST);
        weights(&path).map_err(|problem| Error::RunFile {
            path,
            problem: format!("missing or damaged: {problem}"),
            way_out: "remove the run's folder and start it anew; no other file holds these weights".into(),
        })
    }

    /// Folders of all checkpoints, the oldest first.
    fn all(&self) -> Result<Vec<PathBuf>, Error> {
        let failed = |source| Error::Io { path: self.folder.clone(), source };
        let entries = match std::fs::read_dir(&self.folder) {
            Ok(entries) => entries,
            Err(e) if e.kind() == std::io::ErrorKind::NotFound => return Ok(Vec::new()),
            Err(e) => return Err(failed(e)),
        };
        let mut all = Vec::new();
        for entry in entries {
            let path = entry.map_err(failed)?.path();
            // Temporary names begin with a dot; names of checkpoints sort by stage and step.
            if path.file_name().is_some_and(|name| name.to_string_lossy().starts_with("stage-")) {
                all.push(path);
            }
        }
        all.sort();
        Ok(all)
    }
}

fn name(state: &State) -> String {
    format!("stage-{:03}-step-{:09}", state.stage, state.step)
}

fn weights(path: &Path) -> Result<Weights, attar_model::Error> {
    WeightsFile::read(path)?.all_floats()
}

fn damaged(folder: &Path, problem: impl std::fmt::Display) -> Error {
    Error::RunFile {
        path: folder.to_path_buf(),
        problem: format!("damaged: {problem}"),
        way_out: "remove this folder to go back to the checkpoint before".into(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn damaged_best_weights_do_not_cost_the_checkpoints() {
        let folder = tempfile::tempdir().unwrap();
        let checkpoints = Checkpoints::new(folder.path().to_path_buf());
        std::fs::write(folder.path().join(BEST), "half a fi").unwrap();
        let error = checkpoints.best().unwrap_err();
        let Error::RunFile { path, .. } = &error else { panic!("{error}") };
        assert_eq!(path, &folder.path().join(BEST));
    }

    #[test]
    fn the_last_of_equally_good_weights_is_kept() {
        let (first, kept) = Best::after(None, 0.90, 0.02, 10);
        assert_eq!((first, kept), (Best { highest_score: 0.90, kept_step: 10 }, true));
        let (second, kept) = Best::after(Some(first), 0.89, 0.02, 20);
        assert_eq!((second, kept), (Best { highest_score: 0.90, kept_step: 20 }, true));
        // A slow decline is measured from the highest score, not from the last that was kept.
        let (third, kept) = Best::after(Some(second), 0.875, 0.02, 30);
        assert_eq!((third, kept), (second, false));
        assert_eq!(Best::after(Some(third), 0.95, 0.02, 40), (Best { highest_score: 0.95, kept_step: 40 }, true));
        // An undefined score is the lowest there is.
        assert_eq!(Best::after(Some(first), f64::NEG_INFINITY, 0.02, 50), (first, false));
    }
}
