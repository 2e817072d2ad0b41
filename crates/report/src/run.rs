//! What is known of one run.

use attar_bill::BreakEven;
use attar_meter::{Estimate, Joules};
use attar_text::metrics::{CALIBRATION_BINS, ClassReport, Difference, Score, expected_calibration_error, top_class};
use serde::{Serialize, Serializer};

use crate::inventory::Inventory;

/// What is known of one run. Lists may be empty; what is missing stands in `left_out`.
#[derive(Debug, Clone, Default, Serialize)]
pub struct Run {
    /// Its name: that of its folder.
    pub name: String,
    /// What was made, in about three sentences.
    pub summary: Vec<String>,
    /// The rows that models are scored on.
    pub data: Option<RunData>,
    /// Models side by side, the one that the others are compared with first.
    pub models: Vec<ReportedModel>,
    /// What training did, stage by stage.
    pub stages: Vec<Stage>,
    /// What the making drew and what that is worth.
    pub energy: Option<EnergyReport>,
    /// After how many texts the making is paid back.
    pub break_even: Option<BreakEvenFacts>,
    /// How sure the student is, and how right.
    pub calibration: Option<Calibration>,
    /// Wrong answers of the student, the most confident first.
    pub mistakes: Vec<Mistake>,
    /// Where teacher and student look, on one text.
    pub attention: Option<Attention>,
    /// Hashes, versions, machine.
    pub provenance: Vec<Fact>,
    /// The recipe as TOML.
    pub recipe: Option<String>,
    /// What inventories of models ask for; none where no model was made.
    pub inventory: Option<Inventory>,
    /// What the report lacks, and why.
    pub left_out: Vec<LeftOut>,
}

/// Rows that models are scored on.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct RunData {
    /// Their name.
    pub name: String,
    /// Their number.
    pub rows: usize,
}

/// What a model is in a run.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum ModelKind {
    /// What the student learned from.
    Teacher,
    /// What the run made.
    Student,
    /// The same in small integers.
    Quantized,
    /// A linear model over n-grams.
    Ngrams,
    /// A linear model over the vectors of an encoder that is not trained.
    Frozen,
}

/// A model on the rows.
#[derive(Debug, Clone, Serialize)]
pub struct ReportedModel {
    /// What it is.
    pub kind: ModelKind,
    /// What it is called.
    pub name: String,
    /// Its scores, the metric that decides first.
    pub scores: Vec<Score>,
    /// How it does on each class.
    pub classes: Option<ClassReport>,
    /// This model less the first, paired by row.
    pub difference: Option<Difference>,
    /// Its score over the teacher's.
    pub kept: Option<f64>,
    /// Bytes of the files that it answers with; of n-grams, of their weights in memory. `None` where its folder is gone.
    pub bytes: Option<u64>,
    /// Its number of parameters.
    pub parameters: Option<usize>,
    /// FLOPs of its encoder for 128 tokens.
    pub flops: Option<f64>,
    /// How fast it answers, where that was measured.
    pub speed: Option<Speed>,
}

/// How fast a model answers, and what that costs.
#[derive(Debug, Clone, Serialize)]
pub struct Speed {
    /// Microseconds for a text among many.
    pub micros: f64,
    /// The fastest and the slowest round.
    pub micros_range: [f64; 2],
    /// Energy for 1,000 texts.
    pub joules_per_thousand: Option<Estimate<Joules>>,
}

/// A stage of training.
#[derive(Debug, Clone, PartialEq, Default, Serialize)]
pub struct Stage {
    /// Its name.
    pub name: String,
    /// Updates that it was to have.
    pub steps: usize,
    /// The losses over updates: the sum first, then each objective.
    pub losses: Vec<Curve>,
    /// The score on held-out rows over updates.
    pub scores: Option<Curve>,
}

/// A number over updates.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Curve {
    /// What it is.
    pub name: String,
    /// Updates and numbers.
    pub points: Vec<[f64; 2]>,
}

/// The report of the energy that a run drew; as JSON it is what `attar energy report` prints.
#[derive(Debug, Clone)]
pub struct EnergyReport(pub attar_bill::report::Report);

impl Serialize for EnergyReport {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.0.json().serialize(serializer)
    }
}

/// What making and using cost, and when the one is paid back by the other.
#[derive(Debug, Clone, Serialize)]
pub struct BreakEvenFacts {
    /// Joules of the making.
    pub making: Estimate<Joules>,
    /// The model that is replaced, and joules of a text.
    pub incumbent: (String, Estimate<Joules>),
    /// The model that replaces it, and joules of a text.
    pub replacement: (String, Estimate<Joules>),
    /// After how many texts.
    pub verdict: BreakEven,
    /// What that rests on, in words.
    pub basis: String,
}

/// Whether what is said with 80 % is right in 8 of 10 cases.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Calibration {
    /// The model.
    pub model: String,
    /// Expected calibration error; `None` where it is undefined.
    pub error: Option<f64>,
    /// Equal parts of the probabilities, those that no row is in left out.
    pub bins: Vec<Bin>,
}

/// Rows whose most likely class is about equally likely.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Bin {
    /// How many.
    pub rows: usize,
    /// Mean probability of the most likely class.
    pub probability: f64,
    /// Share of the rows of which it is the true one.
    pub accuracy: f64,
}

impl Calibration {
    /// Of a model's probabilities, `[N, K]` in row-major order, and N true classes.
    pub fn of(model: &str, probabilities: &[f64], classes: usize, truth: &[u32]) -> Calibration {
        let mut sums = [(0usize, 0.0, 0.0); CALIBRATION_BINS];
        for (row, &truth) in probabilities.chunks_exact(classes.max(1)).zip(truth) {
            let Some(class) = top_class(row) else { continue };
            let probability = row[class as usize];
            // The bins of the error: (lo, hi].
            let bin = ((probability * CALIBRATION_BINS as f64).ceil() as usize).clamp(1, CALIBRATION_BINS) - 1;
            sums[bin].0 += 1;
            sums[bin].1 += probability;
            sums[bin].2 += f64::from(u8::from(class == truth));
        }
        let bin = |(rows, probability, right): (usize, f64, f64)| Bin {
            rows,
            probability: probability / rows as f64,
            accuracy: right / rows as f64,
        };
        Calibration {
            model: model.into(),
            error: (classes > 0).then(|| expected_calibration_error(probabilities, classes, truth)).flatten(),
            bins: sums.into_iter().filter(|(rows, ..)| *rows > 0).map(bin).collect(),
        }
    }
}

/// A wrong answer.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Mistake {
    /// The text.
    pub text: String,
    /// The second text of a pair.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub pair: Option<String>,
    /// The true class.
    pub truth: String,
    /// The student's answer.
    pub predicted: String,
    /// How likely it called that.
    pub probability: f64,
    /// The teacher's answer.
    pub teacher: Option<String>,
}

/// Most tokens of a text of which attention is shown: more have no room.
pub const MOST_TOKENS: usize = 24;

/// Where two models look on one text, of which they read the first [`MOST_TOKENS`] tokens.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Attention {
    /// The text.
    pub text: String,
    /// The teacher's.
    pub teacher: Option<TokenAttention>,
    /// The student's.
    pub student: TokenAttention,
}

/// Shares of attention between the tokens of a text, the mean over the heads of a layer.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct TokenAttention {
    /// The model.
    pub model: String,
    /// The layer, from 1.
    pub layer: usize,
    /// Its heads.
    pub heads: usize,
    /// The tokens, N.
    pub tokens: Vec<String>,
    /// `[N, N]`: how much the token of a row looks at the token of a column.
    pub shares: Vec<f64>,
}

/// Something known of a run.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Fact {
    /// What.
    pub name: String,
    /// What it is.
    pub value: String,
}

/// Something that a report lacks.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct LeftOut {
    /// What.
    pub what: String,
    /// Why, and what would bring it.
    pub why: String,
}

impl Run {
    /// The model of a kind.
    pub fn model(&self, kind: ModelKind) -> Option<&ReportedModel> {
        self.models.iter().find(|model| model.kind == kind)
    }

    /// Notes that something is not in the report.
    pub fn leave_out(&mut self, what: &str, why: impl Into<String>) {
        self.left_out.push(LeftOut { what: what.into(), why: why.into() });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn calibration_has_the_bins_of_its_error() {
        let probabilities = [0.9, 0.1, 0.95, 0.05, 0.6, 0.4, 0.3, 0.7];
        let calibration = Calibration::of("student", &probabilities, 2, &[0, 1, 0, 1]);
        assert_eq!(calibration.bins.iter().map(|bin| bin.rows).sum::<usize>(), 4);
        let from_bins: f64 =
            calibration.bins.iter().map(|bin| bin.rows as f64 / 4.0 * (bin.accuracy - bin.probability).abs()).sum();
        assert!((from_bins - calibration.error.unwrap()).abs() < 1e-12, "{calibration:?}");
        // On an edge a probability belongs below it.
        assert_eq!(Calibration::of("student", &[0.6, 0.4, 0.61, 0.39], 2, &[0, 1]).bins.len(), 2);
        assert_eq!(Calibration::of("student", &[], 2, &[]).error, None);
    }
}
