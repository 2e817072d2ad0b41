//! How a stage walks through the training rows.

use std::sync::{Mutex, PoisonError};

use attar_model::{EncoderConfig, flops};
use attar_text::batch::{BatchBudget, Order, plan_epoch};
use attar_text::random::Streams;

use crate::objectives::{Objective, Semantics};
use crate::recipe::{StageLength, StageSpec};

/// A training loop with its length in updates.
#[derive(Debug)]
pub struct PlannedStage {
    /// What the recipe says.
    pub spec: StageSpec,
    /// Weight of each class in the `gold` term, `[K]`.
    pub class_weights: Option<Vec<f32>>,
    /// Number of updates.
    pub steps: usize,
    /// Updates of each epoch; the last one may be cut short.
    epochs: Vec<usize>,
    /// By real tokens alone, and with padding.
    largest: [LargestBatch; 2],
    index: usize,
    lengths: Vec<u32>,
    streams: Streams,
    /// The batches of the epoch asked for last.
    current: Mutex<Option<(usize, Vec<Vec<u32>>)>>,
}

/// The most that any batch of a stage has of each.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub(super) struct LargestBatch {
    /// Tokens.
    pub(super) tokens: f64,
    /// Pairs of a query and a key, of one head.
    pub(super) pairs: f64,
}

impl LargestBatch {
    fn and(self, other: LargestBatch) -> LargestBatch {
        LargestBatch { tokens: self.tokens.max(other.tokens), pairs: self.pairs.max(other.pairs) }
    }
}

impl PlannedStage {
    /// Plans stage `index` for training rows of these token counts.
    pub(super) fn new(index: usize, spec: &StageSpec, lengths: &[u32], streams: &Streams) -> PlannedStage {
        let mut stage = PlannedStage {
            spec: spec.clone(),
            class_weights: None,
            steps: 0,
            epochs: Vec::new(),
            largest: Default::default(),
            index,
            lengths: lengths.to_vec(),
            streams: *streams,
            current: Mutex::new(None),
        };
        loop {
            let done = match stage.spec.length {
                StageLength::Epochs(epochs) => stage.epochs.len() >= epochs,
                StageLength::Steps(steps) => stage.steps >= steps,
            };
            if done {
                break;
            }
            let batches = stage.plan_epoch(stage.epochs.len());
            for batch in &batches {
                let sizes = stage.sizes(batch);
                stage.largest = [0, 1].map(|padded| stage.largest[padded].and(sizes[padded]));
            }
            let updates = batches.len().div_ceil(stage.spec.accumulate);
            stage.epochs.push(updates);
            stage.steps += updates;
        }
        if let StageLength::Steps(steps) = stage.spec.length {
            stage.steps = steps;
        }
        stage
    }

    /// The batches of update `step`: rows of the data set, one list for each micro-batch.
    ///
    /// # Panics
    /// If the stage has no such update.
    pub fn batches(&self, step: usize) -> Vec<Vec<u32>> {
        assert!(step < self.steps, "stage {} has {} updates", self.spec.name, self.steps);
        let (epoch, first) = self.epoch_of(step);
        let mut current = self.current.lock().unwrap_or_else(PoisonError::into_inner);
        if current.as_ref().is_none_or(|(known, _)| *known != epoch) {
            *current = Some((epoch, self.plan_epoch(epoch)));
        }
        let batches = current.as_ref().map_or(&[][..], |(_, batches)| batches);
        let start = (step - first) * self.spec.accumulate;
        batches[start..batches.len().min(start + self.spec.accumulate)].to_vec()
    }

    /// What the weight of each objective is multiplied by in update `step`.
    pub fn factors(&self, step: usize) -> Vec<f64> {
        let done = step as f64 / self.steps.saturating_sub(1).max(1) as f64;
        let factor = |objective: &Objective| {
            let schedule = self.spec.weight_schedule.get(objective.name());
            schedule.map_or(1.0, |[first, last]| first + (last - first) * done)
        };
        self.spec.objectives.iter().map(factor).collect()
    }

    /// The epoch of an update and the first update of that epoch.
    pub fn epoch_of(&self, step: usize) -> (usize, usize) {
        let mut first = 0;
        for (epoch, &updates) in self.epochs.iter().enumerate() {
            if step < first + updates {
                return (epoch, first);
            }
            first += updates;
        }
        (self.epochs.len(), first)
    }

    /// True if rows are learned from more than once.
    pub fn repeats_rows(&self) -> bool {
        self.epochs.len() > 1
    }

    /// True if update `step` is the last of its epoch or of the stage.
    pub fn ends_epoch(&self, step: usize) -> bool {
        let (epoch, first) = self.epoch_of(step);
        step + 1 == self.steps || self.epochs.get(epoch).is_some_and(|updates| step + 1 == first + updates)
    }

    /// True if the student is scored after update `step`.
    pub fn evaluates_after(&self, step: usize) -> bool {
        match self.spec.evaluate_every {
            0 => self.ends_epoch(step),
            every => (step + 1).is_multiple_of(every) || step + 1 == self.steps,
        }
    }

    /// True if so many updates are done and the best score, after `best` of them, is as many evaluations ago as the
    /// recipe has patience for.
    pub fn out_of_patience(&self, done: usize, best: Option<usize>) -> bool {
        let (Some(patience), Some(best)) = (self.spec.patience, best) else { return false };
        (best..done).filter(|&step| step >= best && self.evaluates_after(step)).count() >= patience.max(1)
    }

    /// True if the stage trains predictions, so that a metric can choose among its weights.
    pub fn predicts(&self) -> bool {
        self.spec.objectives.iter().any(Objective::predicts)
    }

    /// Updates over which the learning rate rises.
    pub fn warmup(&self) -> usize {
        (self.spec.warmup * self.steps as f64).round() as usize
    }

    /// The sizes that no batch of the stage exceeds, with padding where these semantics count it.
    pub(super) fn largest_batch(&self, semantics: Semantics) -> LargestBatch {
        match semantics {
            Semantics::Clean => self.largest[0],
            Semantics::Reference => self.largest[1],
        }
    }

    /// Of a batch: by real tokens alone, and with padding.
    fn sizes(&self, batch: &[u32]) -> [LargestBatch; 2] {
        let lengths = || batch.iter().map(|&row| f64::from(self.lengths[row as usize]));
        let longest = lengths().fold(0.0, f64::max);
        let rows = batch.len() as f64;
        [
            LargestBatch { tokens: lengths().sum(), pairs: lengths().map(|length| length * length).sum() },
            LargestBatch { tokens: rows * longest, pairs: rows * longest * longest },
        ]
    }

    /// Rows and tokens that the whole stage processes.
    pub fn volume(&self) -> (u64, u64) {
        let tokens: u64 = self.lengths.iter().map(|&n| u64::from(n)).sum();
        let passes = self.passes();
        ((self.lengths.len() as f64 * passes) as u64, (tokens as f64 * passes) as u64)
    }

    /// FLOPs of one forward pass of a model over everything that the stage processes.
    pub(super) fn forward_flops(&self, config: &EncoderConfig) -> f64 {
        let masking = self.spec.objectives.iter().find_map(Objective::masking);
        // The head of a masked language model computes the hidden pieces alone, and a teacher's is left out.
        let head = match config.head.has_masked_lm() {
            true => masking.map_or(0.0, |masking| masking.share),
            false => 1.0,
        };
        let one = |length: u32| {
            let flops = flops(config, length as usize);
            flops.encoder() + head * (flops.total() - flops.encoder())
        };
        let one_epoch: f64 = self.lengths.iter().map(|&length| one(length)).sum();
        one_epoch * self.passes()
    }

    /// How often the stage goes over the rows.
    fn passes(&self) -> f64 {
        let whole: usize = self.epochs.iter().sum();
        self.steps as f64 / whole.max(1) as f64 * self.epochs.len() as f64
    }

    fn plan_epoch(&self, epoch: usize) -> Vec<Vec<u32>> {
        let budget = BatchBudget { rows: self.spec.batch_rows, tokens: self.spec.batch_tokens };
        let order = Order::Shuffled { stage: self.index as u64, epoch: epoch as u64 };
        plan_epoch(&self.lengths, budget, order, &self.streams)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn stage(length: &str, accumulate: usize) -> PlannedStage {
        let text = format!(
            "name = 'test'\nlength = {length}\nbatch-rows = 3\naccumulate = {accumulate}\nobjective = [{{ kind = 'gold' }}]"
        );
        let spec: StageSpec = toml::from_str(&text).unwrap();
        PlannedStage::new(0, &spec, &[4; 10], &Streams::new(1))
    }

    #[test]
    fn every_row_once_an_epoch() {
        for accumulate in [1, 2, 5] {
            let stage = stage("{ epochs = 2 }", accumulate);
            assert_eq!(stage.steps, 2 * 4usize.div_ceil(accumulate));
            let mut seen = vec![0; 10];
            for step in 0..stage.steps {
                for row in stage.batches(step).concat() {
                    seen[row as usize] += 1;
                }
            }
            assert_eq!(seen, [2; 10]);
        }
    }

    #[test]
    fn steps_end_inside_an_epoch() {
        let stage = stage("{ steps = 6 }", 1);
        assert_eq!(stage.steps, 6);
        assert_eq!(stage.epoch_of(5), (1, 4));
        let ends: Vec<usize> = (0..6).filter(|&step| stage.ends_epoch(step)).collect();
        assert_eq!(ends, [3, 5]);
        assert_eq!(stage.volume(), (15, 60));
    }

    #[test]
    fn the_largest_batch_is_known_with_and_without_padding() {
        let spec: StageSpec =
            toml::from_str("name = 'test'\nlength = { epochs = 3 }\nbatch-rows = 2\nobjective = [{ kind = 'gold' }]")
                .unwrap();
        let stage = PlannedStage::new(0, &spec, &[3, 5], &Streams::new(1));
        assert_eq!(stage.largest_batch(Semantics::Clean), LargestBatch { tokens: 8.0, pairs: 34.0 });
        assert_eq!(stage.largest_batch(Semantics::Reference), LargestBatch { tokens: 10.0, pairs: 50.0 });
    }

    #[test]
    fn batches_do_not_depend_on_what_was_asked_before() {
        let (a, b) = (stage("{ epochs = 3 }", 1), stage("{ epochs = 3 }", 1));
        let forward: Vec<_> = (0..a.steps).map(|step| a.batches(step)).collect();
        let backward: Vec<_> = (0..b.steps).rev().map(|step| b.batches(step)).collect();
        assert_eq!(forward, backward.into_iter().rev().collect::<Vec<_>>());
    }
}
