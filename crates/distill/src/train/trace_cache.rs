//! What a teacher made of training rows, kept on disk so that later passes over them do without it.
//!
//! Logits are kept as they are, states as 16-bit floats, which differ from 32-bit ones by at most a two-thousandth of their
//! size. Where states are kept they are rounded before they are first used too: what a student learns does not depend on
//! which rows are on disk, so that an interrupted run ends in the same bytes, with its files or without.

mod record_file;

use std::collections::HashMap;
use std::ops::AddAssign;
use std::path::{Path, PathBuf};

use attar_meter::Totals;
use half::f16;
use half::slice::HalfFloatSliceExt;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use super::packed::{Measure, RowShape, TraceNumbers};
use super::trainer::phase;
use crate::Error;
use crate::engine::RequiredOutputs;
use crate::run_directory::hexadecimal;

use record_file::RecordFile;

/// How much computing of the teacher was saved by traces on disk, since the run began or was resumed.
#[derive(Debug, Clone, Copy, PartialEq, Default, Serialize, Deserialize)]
pub struct TracesUsed {
    /// Tokens that the teacher computed.
    pub computed: u64,
    /// Tokens whose traces were read from disk instead.
    pub read: u64,
    /// Seconds that computing these would have taken, at the speed of the others.
    pub seconds: f64,
    /// Joules likewise; `None` where no energy was read.
    pub joules: Option<f64>,
}

impl TracesUsed {
    /// With time and energy by what the teacher took for the tokens that it computed.
    pub(super) fn priced(self, totals: &Totals) -> TracesUsed {
        let Some(teacher) = totals.phase(phase::TEACHER).filter(|_| self.computed > 0) else { return self };
        let times = self.read as f64 / self.computed as f64;
        let joules = teacher.energy().map(|energy| times * energy.value().get());
        TracesUsed { seconds: times * teacher.active.get(), joules, ..self }
    }
}

impl AddAssign for TracesUsed {
    fn add_assign(&mut self, other: TracesUsed) {
        self.computed += other.computed;
        self.read += other.read;
    }
}

/// Where traces of a run are kept, and how many.
#[derive(Debug, Clone)]
pub(crate) struct TraceFolder {
    pub(crate) path: PathBuf,
    /// What decides the student's bytes, the teacher and the rows among it.
    pub(crate) run: String,
    /// Most bytes of all files.
    pub(crate) budget: u64,
}

/// What a stage reads of a teacher.
#[derive(Debug, Clone)]
pub(super) struct TraceNeeds {
    /// The parts of layers, if the stage reads states.
    pub(super) states: Option<RequiredOutputs>,
    /// Whether the stage reads logits.
    pub(super) logits: bool,
    /// Whether it comes to a row more than once.
    pub(super) repeats: bool,
}

/// The traces of a stage.
#[derive(Debug)]
pub(super) struct TraceCache {
    needs: TraceNeeds,
    /// Where the stage reads states of a row more than once.
    states: Option<RecordFile>,
    logits: RecordFile,
    /// Bytes that may still be written.
    left: u64,
    used: TracesUsed,
}

impl TraceCache {
    /// Opens the files of a stage.
    ///
    /// # Errors
    /// If they cannot be created.
    pub(super) fn open(folder: &TraceFolder, needs: TraceNeeds) -> Result<TraceCache, Error> {
        let failed = |path: &Path, source| Error::Io { path: path.to_path_buf(), source };
        std::fs::create_dir_all(&folder.path).map_err(|source| failed(&folder.path, source))?;
        let opened = std::cell::RefCell::new(Vec::new());
        let file = |what: &str| {
            let key: [u8; 32] = Sha256::digest(format!("{} {what}", folder.run)).into();
            let path = folder.path.join(format!("{}.traces", &hexadecimal(&key)[..16]));
            opened.borrow_mut().push(path.clone());
            RecordFile::open(&path, key).map_err(|source| failed(&path, source))
        };
        let logits = file("logits")?;
        let states = match &needs.states {
            Some(required) if needs.repeats => Some(file(&format!("{required:?}"))?),
            _ => None,
        };
        // States that another stage read are in the way of this one's.
        for entry in std::fs::read_dir(&folder.path).map_err(|source| failed(&folder.path, source))?.flatten() {
            if !opened.borrow().contains(&entry.path()) {
                std::fs::remove_file(entry.path()).map_err(|source| failed(&entry.path(), source))?;
            }
        }
        let taken: u64 = std::fs::read_dir(&folder.path)
            .map_err(|source| failed(&folder.path, source))?
            .filter_map(|entry| Some(entry.ok()?.metadata().ok()?.len()))
            .sum();
        let left = folder.budget.saturating_sub(taken);
        Ok(TraceCache { needs, states, logits, left, used: TracesUsed::default() })
    }

    /// How much computing was saved since this was opened.
    pub(super) fn used(&self) -> TracesUsed {
        self.used
    }

    /// The trace of a batch of rows: what is kept is read, the rest computed by `compute`, which is given its rows.
    ///
    /// `shapes` has the shape of each row in the batch.
    pub(super) fn trace(
        &mut self,
        rows: &[u32],
        shapes: &[RowShape],
        empty: impl Fn() -> TraceNumbers,
        compute: impl FnOnce(&[u32]) -> TraceNumbers,
    ) -> TraceNumbers {
        let mut known: HashMap<u32, CachedTrace> = HashMap::new();
        let mut missing: Vec<(u32, RowShape)> = Vec::new();
        for (&row, &shape) in rows.iter().zip(shapes) {
            if known.contains_key(&row) || missing.iter().any(|(other, _)| *other == row) {
                continue;
            }
            match self.read(row, shape, &empty()) {
                Some(read) => {
                    self.used.read += shape.tokens as u64;
                    known.insert(row, read);
                }
                None => missing.push((row, shape)),
            }
        }
        if !missing.is_empty() {
            self.used.computed += missing.iter().map(|(_, shape)| shape.tokens as u64).sum::<u64>();
            let rows_missing: Vec<u32> = missing.iter().map(|(row, _)| *row).collect();
            let computed = compute(&rows_missing);
            let split = self.keep(&missing, &computed);
            // As it was computed, where nothing was rounded and nothing else is to stand between.
            if missing.len() == rows.len() && self.states.is_none() {
                return computed;
            }
            known.extend(split);
        }
        let mut whole = empty();
        for row in rows {
            let row = &known[row];
            let mut states = row.states.as_slice();
            for ((_, array), count) in whole.states(self.needs.states.as_ref()).into_iter().zip(&row.counts) {
                let (own, rest) = states.split_at(*count);
                array.extend_from_slice(own);
                states = rest;
            }
            if let Some((logits, _)) = &mut whole.logits {
                logits.extend_from_slice(&row.logits);
            }
        }
        whole
    }

    /// Reads what the stage needs of a row, if all of it is here.
    fn read(&mut self, row: u32, shape: RowShape, like: &TraceNumbers) -> Option<CachedTrace> {
        let counts = counts(like, self.needs.states.as_ref(), shape);
        let states = match (&self.needs.states, &mut self.states) {
            (None, _) => Vec::new(),
            (Some(_), None) => return None,
            (Some(_), Some(file)) => {
                let halves = numbers(&file.get(row)?, |[a, b]| f16::from_le_bytes([a, b]));
                let mut states = vec![0.0; halves.len()];
                halves.convert_to_f32_slice(&mut states);
                (states.len() == counts.iter().sum::<usize>()).then_some(states)?
            }
        };
        let logits = if self.needs.logits { numbers(&self.logits.get(row)?, f32::from_le_bytes) } else { Vec::new() };
        Some(CachedTrace { states, counts, logits })
    }

    /// Rounds and keeps the rows of a computed trace, as far as they are not here and there is room.
    fn keep(&mut self, rows: &[(u32, RowShape)], computed: &TraceNumbers) -> Vec<(u32, CachedTrace)> {
        let mut computed = computed.clone();
        let logits = computed.logits.take();
        let tokens: usize = rows.iter().map(|(_, shape)| shape.tokens).sum();
        let sequences: usize = rows.iter().map(|(_, shape)| shape.sequences).sum();
        let required = self.needs.states.as_ref();
        let mut arrays: Vec<(Measure, &[f32])> =
            computed.states(required).into_iter().map(|(measure, array)| (measure, array.as_slice())).collect();
        let mut logits_left = logits.as_ref().map_or(&[][..], |(numbers, _)| numbers.as_slice());
        let mut split = Vec::with_capacity(rows.len());
        for &(row, shape) in rows {
            let mut states = Vec::new();
            let mut counts = Vec::with_capacity(arrays.len());
            for (measure, array) in &mut arrays {
                let (own, rest) = array.split_at(measure.count(shape));
                states.extend_from_slice(own);
                counts.push(own.len());
                *array = rest;
            }
            // Logits of sequences, or of tokens where each has some.
            let count = match &logits {
                Some((numbers, width)) if numbers.len() == tokens * width && tokens != sequences => {
                    shape.tokens * width
                }
                Some((_, width)) => shape.sequences * width,
                None => 0,
            };
            let (own, rest) = logits_left.split_at(count);
            logits_left = rest;
            if let Some(file) = &mut self.states {
                let halves = round(&mut states);
                let bytes: Vec<u8> = halves.iter().flat_map(|half| half.to_le_bytes()).collect();
                put(file, &mut self.left, row, &bytes);
            }
            if count > 0 {
                let bytes: Vec<u8> = own.iter().flat_map(|number| number.to_le_bytes()).collect();
                put(&mut self.logits, &mut self.left, row, &bytes);
            }
            split.push((row, CachedTrace { states, counts, logits: own.to_vec() }));
        }
        split
    }
}

/// The trace of a row.
struct CachedTrace {
    /// The parts that are read, one after the other.
    states: Vec<f32>,
    /// Numbers of each part.
    counts: Vec<usize>,
    logits: Vec<f32>,
}

/// Rounds numbers to 16-bit floats. What lies beyond the largest, 65,504, is held there.
fn round(numbers: &mut [f32]) -> Vec<f16> {
    numbers.iter_mut().for_each(|number| *number = number.clamp(f16::MIN.to_f32(), f16::MAX.to_f32()));
    let mut halves = vec![f16::ZERO; numbers.len()];
    halves.convert_from_f32_slice(numbers);
    halves.convert_to_f32_slice(numbers);
    halves
}

fn counts(like: &TraceNumbers, required: Option<&RequiredOutputs>, shape: RowShape) -> Vec<usize> {
    like.clone().states(required).into_iter().map(|(measure, _)| measure.count(shape)).collect()
}

/// Keeps a record if it is new and there is room for it. Where the disk is full its room is given back, for checkpoints need it
/// more.
fn put(file: &mut RecordFile, left: &mut u64, row: u32, bytes: &[u8]) {
    let cost = RecordFile::cost(bytes.len());
    if file.holds(row) || cost > *left {
        return;
    }
    match file.put(row, bytes) {
        Ok(()) => *left -= cost,
        Err(_) => {
            *left = 0;
            file.clear();
        }
    }
}

fn numbers<const N: usize, T>(bytes: &[u8], number: impl Fn([u8; N]) -> T) -> Vec<T> {
    let (chunks, _) = bytes.as_chunks::<N>();
    chunks.iter().map(|&chunk| number(chunk)).collect()
}
