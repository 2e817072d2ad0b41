//! Folders of tensors and the state that belongs to them, under one seal.
//!
//! `state.json` holds the state, the id of the run, which parts there are, and the SHA-256 of all of it. A folder that
//! lacks a part, or has one from elsewhere, does not match its seal.

use std::path::Path;

use attar_model::atomic::{WriteMode, write_dir, write_file};
use attar_model::{Weights, WeightsFile, safetensors_file};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use super::checkpoint::{Checkpoint, TrainingState};
use crate::Error;
use crate::run_directory::hexadecimal;

const PARAMETERS: &str = "parameters.safetensors";
const MOMENTS: &str = "moments.safetensors";
const STATE: &str = "state.json";

/// Numbers that are hashed at a time: four bytes at a time are slow, a copy of all weights is large.
const PAGE: usize = 1 << 14;

#[derive(Serialize, Deserialize)]
struct Stored {
    #[serde(flatten)]
    facts: Facts,
    /// Seal of the facts and the tensors.
    sha256: String,
}

#[derive(Clone, PartialEq, Serialize, Deserialize)]
struct Facts {
    /// The run that wrote it.
    run: String,
    #[serde(flatten)]
    state: TrainingState,
    /// Whether there are moments.
    moments: bool,
}

/// Writes a checkpoint of a run as a folder that is complete or absent.
pub(super) fn write(path: &Path, run: &str, checkpoint: &Checkpoint) -> Result<(), Error> {
    let facts = Facts { run: run.into(), state: checkpoint.state, moments: checkpoint.moments.is_some() };
    write_dir(path, WriteMode::Replace, |folder| -> Result<(), Error> {
        safetensors_file::write(&folder.join(PARAMETERS), &checkpoint.parameters)?;
        if let Some(moments) = &checkpoint.moments {
            safetensors_file::write(&folder.join(MOMENTS), moments)?;
        }
        let path = folder.join(STATE);
        let failed = |e: serde_json::Error| Error::Io { path: path.clone(), source: e.into() };
        let sha256 = seal(&facts, checkpoint).map_err(failed)?;
        let text = serde_json::to_vec_pretty(&Stored { facts: facts.clone(), sha256 }).map_err(failed)?;
        Ok(write_file(&path, &text)?)
    })
}

/// Reads what [`write()`] wrote for the same run, or says what is wrong with it.
pub(super) fn read(folder: &Path, run: &str) -> Result<Checkpoint, String> {
    let damaged = |what: &str, problem: &dyn std::fmt::Display| format!("damaged: {what}: {problem}");
    let text = std::fs::read(folder.join(STATE)).map_err(|e| damaged(STATE, &e))?;
    let Stored { facts, sha256 } = serde_json::from_slice(&text).map_err(|e| damaged(STATE, &e))?;
    if facts.run != run {
        return Err(format!("of another run: its id is {:.8}, and this run's {run:.8}", facts.run));
    }
    let part = |name: &str| {
        let weights = WeightsFile::read(&folder.join(name)).and_then(|file| file.all_floats());
        weights.map_err(|e| damaged(name, &e))
    };
    let moments = if facts.moments { Some(part(MOMENTS)?) } else { None };
    let checkpoint = Checkpoint { state: facts.state, parameters: part(PARAMETERS)?, moments };
    let found = seal(&facts, &checkpoint).map_err(|e| damaged(STATE, &e))?;
    if found == sha256 {
        Ok(checkpoint)
    } else {
        Err(format!("damaged: its parts do not belong together: their hash is {found:.8}, {STATE} has {sha256:.8}"))
    }
}

/// SHA-256 of the facts and of all tensors by name, each with its length.
fn seal(facts: &Facts, checkpoint: &Checkpoint) -> Result<String, serde_json::Error> {
    let mut hash = Sha256::new();
    let facts = serde_json::to_vec(facts)?;
    hash.update(facts.len().to_le_bytes());
    hash.update(facts);
    for weights in [Some(&checkpoint.parameters), checkpoint.moments.as_ref()].into_iter().flatten() {
        add(&mut hash, weights);
    }
    Ok(hexadecimal(&hash.finalize()))
}

fn add(hash: &mut Sha256, weights: &Weights) {
    // A file has them in another order than the run.
    let mut tensors: Vec<_> = weights.iter().collect();
    tensors.sort_by_key(|(name, _)| *name);
    hash.update(tensors.len().to_le_bytes());
    let mut page = Vec::with_capacity(4 * PAGE);
    for (name, tensor) in tensors {
        hash.update(name.len().to_le_bytes());
        hash.update(name);
        hash.update(tensor.shape.len().to_le_bytes());
        tensor.shape.iter().for_each(|length| hash.update(length.to_le_bytes()));
        for numbers in tensor.data.chunks(PAGE) {
            page.clear();
            numbers.iter().for_each(|number| page.extend_from_slice(&number.to_le_bytes()));
            hash.update(&page);
        }
    }
}
