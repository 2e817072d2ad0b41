//! candle's BERT, from token ids to logits, behind the line protocol of `benches/peers/runtime.py`: a JSON
//! object a line on standard input, one a line on standard output.
//!
//! candle takes its number of threads from the process, so the script starts one process for each number, with
//! `RAYON_NUM_THREADS` set.

use std::io::{BufRead, Write};
use std::path::{Path, PathBuf};
use std::time::Instant;

use anyhow::{Context, Result, ensure};
use candle_core::{D, Device, Module, Tensor, utils};
use candle_nn::{Linear, VarBuilder, linear};
use candle_transformers::models::bert::{BertModel, Config, DTYPE};
use serde::Deserialize;
use serde_json::{Value, json};

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

#[derive(Deserialize)]
#[serde(untagged)]
enum Request {
    Load { load: PathBuf, precision: String, threads: usize },
    Time { model: usize, lengths: Vec<usize>, calls: usize },
    Logits { model: usize, ids: Vec<Vec<u32>> },
    Drop { drop: usize },
}

fn main() -> Result<()> {
    let mut models: Vec<Option<Classifier>> = Vec::new();
    for line in std::io::stdin().lock().lines() {
        let answer = serde_json::from_str(&line?)
            .context("no such request")
            .and_then(|request| answer(&mut models, request))
            .unwrap_or_else(|error| json!({ "error": format!("{error:#}") }));
        let mut out = std::io::stdout().lock();
        writeln!(out, "{answer}")?;
        out.flush()?;
    }
    Ok(())
}

fn answer(models: &mut Vec<Option<Classifier>>, request: Request) -> Result<Value> {
    match request {
        Request::Load { load, precision, threads } => {
            ensure!(precision == "f32", "only f32, not {precision}");
            let ours = utils::get_num_threads();
            ensure!(threads == ours, "this process has {ours} threads, not {threads}: set RAYON_NUM_THREADS");
            models.push(Some(Classifier::load(&load)?));
            Ok(json!({ "model": models.len() - 1 }))
        }
        Request::Time { model, lengths, calls } => {
            let model = models.get(model).and_then(Option::as_ref).context("no such model")?;
            let batch = Batch::new(&model.draw(&lengths))?;
            let mut milliseconds = Vec::with_capacity(calls);
            for _ in 0..calls {
                let start = Instant::now();
                model.forward(&batch)?;
                milliseconds.push(start.elapsed().as_secs_f64() * 1e3);
            }
            Ok(json!({ "milliseconds": milliseconds }))
        }
        Request::Logits { model, ids } => {
            let model = models.get(model).and_then(Option::as_ref).context("no such model")?;
            Ok(json!({ "logits": model.forward(&Batch::new(&ids)?)? }))
        }
        Request::Drop { drop } => {
            models.get_mut(drop).and_then(Option::take).context("no such model")?;
            Ok(json!({}))
        }
    }
}

/// Token ids padded to the longest row; the mask only where there is padding.
struct Batch {
    ids: Tensor,
    types: Tensor,
    mask: Option<Tensor>,
}

impl Batch {
    fn new(rows: &[Vec<u32>]) -> Result<Self> {
        let longest = rows.iter().map(Vec::len).max().unwrap_or(0);
        ensure!(rows.iter().all(|row| !row.is_empty()) && longest > 0, "an empty batch or row");
        let shape = (rows.len(), longest);
        let padded = |of: &dyn Fn(&[u32], usize) -> u32| -> Result<Tensor> {
            let flat: Vec<u32> = rows.iter().flat_map(|row| (0..longest).map(move |at| of(row, at))).collect();
            Ok(Tensor::from_vec(flat, shape, &Device::Cpu)?)
        };
        let ids = padded(&|row, at| row.get(at).copied().unwrap_or(0))?;
        let ragged = rows.iter().any(|row| row.len() < longest);
        let mask = ragged.then(|| padded(&|row, at| u32::from(at < row.len()))).transpose()?;
        Ok(Self { types: ids.zeros_like()?, ids, mask })
    }
}

/// Encoder, pooler and classification head of `BertForSequenceClassification`.
struct Classifier {
    bert: BertModel,
    pooler: Linear,
    head: Linear,
    vocabulary: u32,
}

impl Classifier {
    fn load(folder: &Path) -> Result<Self> {
        let config = std::fs::read(folder.join("config.json")).context("config.json")?;
        let labels: Value = serde_json::from_slice(&config)?;
        let labels = labels["id2label"].as_object().map_or(2, serde_json::Map::len);
        let config: Config = serde_json::from_slice(&config)?;
        let weights = std::fs::read(folder.join("model.safetensors")).context("model.safetensors")?;
        let weights = VarBuilder::from_buffered_safetensors(weights, DTYPE, &Device::Cpu)?;
        Ok(Self {
            bert: BertModel::load(weights.clone(), &config)?,
            pooler: linear(config.hidden_size, config.hidden_size, weights.pp("bert.pooler.dense"))?,
            head: linear(config.hidden_size, labels, weights.pp("classifier"))?,
            vocabulary: u32::try_from(config.vocab_size)?,
        })
    }

    /// Token ids of the wanted lengths; which ones changes no time.
    fn draw(&self, lengths: &[usize]) -> Vec<Vec<u32>> {
        let mut state = 1_u32;
        let mut id = || {
            state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            (state >> 8) % self.vocabulary
        };
        lengths.iter().map(|&length| (0..length).map(|_| id()).collect()).collect()
    }

    fn forward(&self, batch: &Batch) -> Result<Vec<Vec<f32>>> {
        let states = self.bert.forward(&batch.ids, &batch.types, batch.mask.as_ref())?;
        let first = states.narrow(1, 0, 1)?.squeeze(D::Minus2)?.contiguous()?;
        let pooled = self.pooler.forward(&first)?.tanh()?;
        Ok(self.head.forward(&pooled)?.to_vec2()?)
    }
}
