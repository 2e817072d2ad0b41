//! How much main memory a run needs, before it runs.
//!
//! What is counted: texts, models, the optimizer, and what a pass over the largest batch keeps for its backward pass.
//! What is not: working space of single operations, and buffers of earlier batches that wait for their next use.

use attar_meter::FreeMemory;
use attar_model::{EncoderConfig, Size};
use attar_text::labeled::Dataset;
use serde::Serialize;

use super::{Beginning, LargestBatch, Plan, PlannedStage};
use crate::Error;
use crate::encoded_rows::EncodedRows;
use crate::engine::{Keep, RequiredLayer, RequiredOutputs};
use crate::objectives::Objective;
use crate::recipe::{DeviceChoice, TeacherPrecision};

/// The program itself, its threads and the tables it has.
const PROGRAM: f64 = 40e6;
/// Of what is counted, the part without which a run surely fails. What is counted was chosen by the peaks of five runs (two
/// fine-tunings, a pretraining, two distillations, on one thread), which are 0.83 to 0.91 of it; that of a sixth, a distillation
/// that had no part in the choice, is 0.88.
const CERTAIN: f64 = 0.7;
/// Bytes of a number.
const F32: f64 = 4.0;
/// What a row of text takes beside its letters and ids: the vectors that hold them.
const ROW: f64 = 160.0;
/// Rows of a batch by which parts of a teacher are chosen.
const PRUNING_ROWS: f64 = 32.0;
/// Tokens of a batch of texts that are scored.
const SCORED_TOKENS: f64 = 4096.0;

/// The main memory that a run needs at its peak, by what needs it.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Memory {
    /// Estimated bytes of all parts together.
    pub bytes: u64,
    /// The parts, in a fixed order.
    pub parts: Vec<MemoryPart>,
}

/// What a part of a run needs.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct MemoryPart {
    /// What it is.
    pub name: &'static str,
    /// Estimated bytes.
    pub bytes: u64,
    #[serde(skip)]
    way_out: &'static str,
}

impl Memory {
    /// Estimates a plan.
    pub fn of(plan: &Plan) -> Memory {
        let on_cpu = plan.recipe.device == DeviceChoice::Cpu;
        // What a GPU holds is not main memory.
        let here = |bytes: f64| if on_cpu { bytes } else { 0.0 };
        // Where units of the feed-forward blocks go gradually, the first stage is the widest.
        let sizes = (0..plan.stages.len()).map(|index| Size::of(&plan.stage_config(index)).parameters());
        let student = sizes.max().unwrap_or(0) as f64 * F32;
        let kept: usize = plan.student.weights.iter().map(|(_, tensor)| tensor.data.len()).sum();
        let largest =
            |bytes: fn(&Plan, usize) -> f64| (0..plan.stages.len()).map(|index| bytes(plan, index)).fold(0.0, f64::max);
        let accumulates = plan.stages.iter().any(|stage| stage.spec.accumulate > 1);
        let gradients = student * if accumulates { 2.0 } else { 1.0 };
        let shrink_student = "choose a smaller student (`layers`, `hidden`, `vocabulary`)";
        let shrink_batch =
            "lower `batch-rows`, `batch-tokens` or `max-tokens`, and raise `accumulate` for the same updates";
        let parts = [
            ("the program", PROGRAM, "use a machine with more memory"),
            ("texts and their token ids", texts(plan), "learn from fewer rows (`rows`) or a part of the corpus"),
            ("the teacher", teacher(plan), "choose a smaller teacher, or `precision = \"int8\"` for it"),
            ("the student", F32 * kept as f64 + here(student), shrink_student),
            ("its gradients and the optimizer's moments", here(gradients + 2.0 * student), shrink_student),
            ("a checkpoint while it is written", 3.0 * student, shrink_student),
            ("choosing parts of the teacher", here(choosing(plan)), "keep the teacher's own shape, or make a new one"),
            ("activations of the largest batch", here(largest(activations).max(chosen_by(plan))), shrink_batch),
            ("the teacher's states of the largest batch", here(largest(lesson)), shrink_batch),
        ];
        let parts: Vec<MemoryPart> =
            parts.map(|(name, bytes, way_out)| MemoryPart { name, bytes: bytes as u64, way_out }).into();
        Memory { bytes: parts.iter().map(|part| part.bytes).sum(), parts }
    }

    /// Whether a machine can have a run of this need: an error where it surely cannot, a sentence for the user where it
    /// perhaps cannot.
    ///
    /// # Errors
    /// If the run needs more memory than there is by a margin that no measured run has had.
    pub(super) fn check(&self, free: Option<&FreeMemory>) -> Result<Option<String>, Error> {
        let Some(free) = free else { return Ok(None) };
        let most = self.parts.iter().max_by_key(|part| part.bytes);
        let Some(most) = most.filter(|_| self.bytes > free.bytes) else { return Ok(None) };
        let need = format!("about {}, of which {} is for {}", gigabytes(self.bytes), gigabytes(most.bytes), most.name);
        if self.bytes as f64 * CERTAIN > free.bytes as f64 {
            return Err(Error::refused("memory of the run", allowed(free), need, most.way_out));
        }
        Ok(Some(format!(
            "the run may need more memory than there is: {need}; {} is free; if it fails, {}",
            gigabytes(free.bytes),
            most.way_out
        )))
    }
}

/// Whether a machine can have the weights of a student twice, as a plan holds them and as they are trained: checked before
/// they are made. What a run needs besides is checked once the plan is whole.
pub(super) fn check_student(config: &EncoderConfig, free: Option<&FreeMemory>) -> Result<(), Error> {
    let Some(free) = free else { return Ok(()) };
    let parameters = Size::of(config).parameters();
    let bytes = parameters as f64 * 2.0 * F32;
    if bytes <= free.bytes as f64 {
        return Ok(());
    }
    let need = format!("about {} for its {parameters} parameters alone", gigabytes(bytes as u64));
    let out = "choose a smaller student (`layers`, `hidden`, `feed-forward`, `vocabulary`)";
    Err(Error::refused("memory of the student", allowed(free), need, out))
}

/// What a machine can give, in words.
fn allowed(free: &FreeMemory) -> String {
    let by = match &free.group {
        Some(group) => format!("what the control group {} leaves", group.display()),
        None => "what this machine has free".into(),
    };
    format!("at most {}, {by}", gigabytes(free.bytes))
}

fn gigabytes(bytes: u64) -> String {
    match bytes {
        0..100_000_000 => format!("{:.0} MB", bytes as f64 / 1e6),
        _ => format!("{:.1} GB", bytes as f64 / 1e9),
    }
}

/// Rows with their labels, and all that is read as token ids.
fn texts(plan: &Plan) -> f64 {
    let letters = |data: &Dataset| -> f64 {
        let row = |text: &str, pair: Option<&str>| text.len() + pair.map_or(0, str::len);
        data.examples.iter().map(|example| row(&example.text, example.pair.as_deref()) as f64 + ROW).sum()
    };
    let labeled = plan.labeled.as_ref().map_or(0.0, |data| letters(&data.train) + letters(&data.dev));
    let ids = |texts: &EncodedRows| {
        let tokens: f64 = texts.lengths().iter().map(|&length| f64::from(length)).sum();
        match texts.is_corpus() {
            true => tokens * 4.0 + texts.len() as f64 * 8.0,
            // Ids and types.
            false => tokens * 8.0 + texts.len() as f64 * ROW,
        }
    };
    let read = ids(&plan.train_texts) + ids(&plan.dev_texts) + plan.teacher_dev_texts.as_ref().map_or(0.0, ids);
    // The teacher's reading of the training rows is about as long; a mixture has the text, and each vocabulary's ids.
    let copies = 1.0 + f64::from(u8::from(plan.aligned.is_some())) + 3.0 * f64::from(u8::from(plan.mixture.is_some()));
    labeled + read * copies
}

/// Weights of the teacher as they were read and as they are computed with.
fn teacher(plan: &Plan) -> f64 {
    let Some(planned) = &plan.teacher else { return 0.0 };
    let weights = Size::of(&planned.bundle.config).bytes_f32() as f64;
    let precision = plan.recipe.teacher.as_ref().map(|teacher| teacher.precision).unwrap_or_default();
    let computed = match (plan.recipe.device, precision) {
        (DeviceChoice::Cpu, TeacherPrecision::Int8) => 0.3 * weights,
        (DeviceChoice::Cpu, TeacherPrecision::F32) => weights,
        _ => 0.0,
    };
    weights + computed
}

/// Where a student is cut out of its teacher: the teacher's weights once more, with their gradients.
fn choosing(plan: &Plan) -> f64 {
    match (&plan.student.beginning, &plan.teacher) {
        (Beginning::Pruned(_), Some(teacher)) => 2.0 * Size::of(&teacher.bundle.config).bytes_f32() as f64,
        _ => 0.0,
    }
}

/// What the teacher's passes keep by which its parts are chosen, over batches of rows as they come.
fn chosen_by(plan: &Plan) -> f64 {
    let (Beginning::Pruned(_), Some(teacher)) = (&plan.student.beginning, &plan.teacher) else { return 0.0 };
    let config = &teacher.bundle.config;
    let lengths = plan.train_texts.lengths();
    let mean = |of: fn(f64) -> f64| {
        lengths.iter().map(|&length| of(f64::from(length))).sum::<f64>() / lengths.len().max(1) as f64
    };
    let (tokens, pairs) = (PRUNING_ROWS * mean(|length| length), PRUNING_ROWS * mean(|length| length * length));
    F32 * (config.layers as f64 + 1.0) * layer(config, tokens, pairs)
}

/// What the student's pass over the largest batch of a stage keeps, and the gradients of a layer.
fn activations(plan: &Plan, index: usize) -> f64 {
    let (stage, config) = (&plan.stages[index], &plan.stage_config(index));
    let LargestBatch { tokens, pairs } = stage.largest_batch(plan.recipe.semantics);
    let learned = F32 * ((config.layers as f64 + 1.0) * layer(config, tokens, pairs) + 6.0 * tokens * width(config))
        // A byte for each number that may be dropped.
        + config.layers as f64 * (2.0 * tokens * width(config) + pairs * config.heads as f64)
        + F32 * guesses(config, stage, tokens)
        + F32 * compared(plan, stage, tokens, pairs);
    // Scoring keeps a layer at a time.
    let lengths = plan.dev_texts.lengths();
    let longest = f64::from(lengths.iter().copied().max().unwrap_or(0));
    let tokens = SCORED_TOKENS.min(lengths.iter().map(|&length| f64::from(length)).sum());
    let scored = F32 * layer(config, tokens, tokens * longest);
    learned.max(scored)
}

fn width(config: &EncoderConfig) -> f64 {
    config.hidden as f64
}

/// Numbers that a layer keeps: queries, keys and values, context, both outputs and both normalizations of width H, the
/// inside of the feed-forward block, and the scores.
fn layer(config: &EncoderConfig, tokens: f64, pairs: f64) -> f64 {
    tokens * (8.0 * width(config) + config.feed_forward as f64) + pairs * config.heads as f64
}

/// Numbers of the guesses of a masked language model: logits and their gradients.
fn guesses(config: &EncoderConfig, stage: &PlannedStage, tokens: f64) -> f64 {
    let share = stage.spec.objectives.iter().find_map(Objective::masking).map_or(0.0, |masking| masking.share);
    2.0 * share * tokens * config.vocabulary as f64
}

/// Numbers that the comparison with the teacher's states adds on the student's side: states brought to the teacher's width,
/// and gradients of what is compared.
fn compared(plan: &Plan, stage: &PlannedStage, tokens: f64, pairs: f64) -> f64 {
    let Some(teacher) = &plan.teacher else { return 0.0 };
    let (theirs, ours) = (&teacher.bundle.config, &plan.student.config);
    let required = required(plan, stage, theirs.layers);
    let count = |part: fn(&RequiredLayer) -> bool| required.layers.iter().filter(|l| part(l)).count() as f64;
    2.0 * count(|layer| layer.hidden) * tokens * width(theirs)
        + count(|layer| layer.scores) * pairs * ours.heads as f64
        // Relations of queries, keys and values by heads: of both sides, with their softmax and gradients.
        + 12.0 * count(|layer| layer.qkv) * pairs * ours.heads as f64
}

/// What the teacher makes of the largest batch of a stage.
fn lesson(plan: &Plan, index: usize) -> f64 {
    let stage = &plan.stages[index];
    let Some(teacher) = &plan.teacher else { return 0.0 };
    if !stage.spec.objectives.iter().any(Objective::needs_trace) {
        return 0.0;
    }
    let config = &teacher.bundle.config;
    let LargestBatch { tokens, pairs } = stage.largest_batch(plan.recipe.semantics);
    let states = |layer: &RequiredLayer| {
        f64::from(u8::from(layer.hidden)) * tokens * width(config)
            + f64::from(u8::from(layer.qkv)) * 3.0 * tokens * width(config)
            + f64::from(u8::from(layer.scores)) * pairs * config.heads as f64
    };
    let kept: f64 = required(plan, stage, config.layers).layers.iter().map(states).sum();
    F32 * (kept + layer(config, tokens, 0.0))
}

fn required(plan: &Plan, stage: &PlannedStage, layers: usize) -> RequiredOutputs {
    let mut required = RequiredOutputs::of(Keep::Output, layers);
    for objective in &stage.spec.objectives {
        objective.mark_required(plan.student.config.layers, &mut required);
    }
    required
}

#[cfg(test)]
mod tests {
    use super::*;

    fn memory(bytes: [u64; 2]) -> Memory {
        let part = |name, bytes, way_out| MemoryPart { name, bytes, way_out };
        let parts = vec![part("small", bytes[0], "shrink the small"), part("large", bytes[1], "shrink the large")];
        Memory { bytes: bytes.iter().sum(), parts }
    }

    fn free(bytes: u64) -> FreeMemory {
        FreeMemory { bytes, group: None }
    }

    #[test]
    fn a_run_is_refused_doubted_or_let_be() {
        let memory = memory([2_000_000_000, 8_000_000_000]);
        assert_eq!(memory.check(None).unwrap(), None);
        assert_eq!(memory.check(Some(&free(10_000_000_000))).unwrap(), None);
        let doubt = memory.check(Some(&free(8_000_000_000))).unwrap().unwrap();
        assert_eq!(
            doubt,
            "the run may need more memory than there is: about 10.0 GB, of which 8.0 GB is for large; 8.0 GB is free; \
             if it fails, shrink the large"
        );
        let error = memory.check(Some(&free(6_000_000_000))).unwrap_err().to_string();
        assert_eq!(
            error,
            "memory of the run: expected at most 6.0 GB, what this machine has free, got about 10.0 GB, of which 8.0 GB is \
             for large; shrink the large"
        );
        let limited = FreeMemory { bytes: 50_000_000, group: Some("/sys/fs/cgroup/job".into()) };
        let error = memory.check(Some(&limited)).unwrap_err().to_string();
        assert!(error.contains("at most 50 MB, what the control group /sys/fs/cgroup/job leaves"), "{error}");
    }

    #[test]
    fn a_student_is_refused_before_its_weights_are_made() {
        let base = EncoderConfig::bert_base();
        check_student(&base, None).unwrap();
        // 109,482,240 parameters, two times four bytes each.
        check_student(&base, Some(&free(875_857_920))).unwrap();
        let error = check_student(&base, Some(&free(875_857_919))).unwrap_err().to_string();
        assert!(error.contains("about 0.9 GB for its 109482240 parameters alone"), "{error}");
    }

    #[test]
    fn a_layer_keeps_what_its_backward_pass_reads() {
        let config = EncoderConfig { hidden: 10, feed_forward: 40, heads: 2, ..EncoderConfig::bert_base() };
        // Two sequences of 3 and 4 tokens: 7 rows, 25 pairs.
        assert_eq!(layer(&config, 7.0, 25.0), 7.0 * (30.0 + 10.0 + 10.0 + 10.0 + 40.0 + 20.0) + 50.0);
    }
}
