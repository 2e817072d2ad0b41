//! The result. Its keys are described in docs/performance.md and stay as they are.

use attar_meter::{Estimate, Joules, Method};
use serde::Serialize;

use crate::cli::bench::PrecisionArg;

use super::contender::Contender;
use super::limit::{self, Speed};
use super::machine::Machine;
use super::measure::{Energy, Measured, Timings, quantile};
use super::noise::SPREAD;
use super::plan::{BenchPlan, Shape};
use super::start::Starts;

/// Everything that was measured.
#[derive(Debug, Serialize)]
pub(super) struct BenchReport {
    /// Version of attar.
    pub(super) attar: &'static str,
    pub(super) machine: Machine,
    pub(super) texts: TextFacts,
    pub(super) rounds: usize,
    pub(super) turn_seconds: f64,
    pub(super) results: Vec<BenchRow>,
    /// What limits the first model here, and what would be faster: a sentence.
    pub(super) limit: Option<String>,
    /// What may have disturbed, a sentence each.
    pub(super) warnings: Vec<String>,
}

#[derive(Debug, Serialize)]
pub(super) struct TextFacts {
    pub(super) name: String,
    pub(super) rows: usize,
}

/// A model at one precision on one number of threads.
#[derive(Debug, Serialize)]
pub(super) struct BenchRow {
    pub(super) model: String,
    pub(super) directory: String,
    pub(super) precision: PrecisionArg,
    pub(super) threads: usize,
    /// What it answers a text with: `logits` or `vectors`.
    pub(super) answers: &'static str,
    pub(super) bytes_on_disk: u64,
    pub(super) bytes_in_memory: usize,
    pub(super) shapes: Vec<ShapeRow>,
    pub(super) texts: TextRow,
    pub(super) start: Option<StartRow>,
}

/// From token ids to the answer.
#[derive(Debug, Serialize)]
pub(super) struct ShapeRow {
    #[serde(flatten)]
    pub(super) shape: Shape,
    #[serde(flatten)]
    pub(super) latency: Latency,
    #[serde(flatten)]
    pub(super) rate: Rate,
    #[serde(flatten)]
    pub(super) against: Against,
}

/// From texts to answers.
#[derive(Debug, Serialize)]
pub(super) struct TextRow {
    /// Mean tokens of a text.
    pub(super) tokens: f64,
    /// One text at a time.
    pub(super) single: Latency,
    pub(super) single_against: Against,
    pub(super) texts_per_second: f64,
    pub(super) tokens_per_second: f64,
    /// How much longer the slowest round took than the fastest, as a share.
    pub(super) spread: f64,
    #[serde(flatten)]
    pub(super) rate: Rate,
    #[serde(flatten)]
    pub(super) against: Against,
    pub(super) joules_per_thousand: Option<Estimate<Joules>>,
    pub(super) energy_method: Option<Method>,
}

/// Milliseconds of calls.
#[derive(Debug, Serialize)]
pub(super) struct Latency {
    pub(super) calls: usize,
    pub(super) p50_ms: f64,
    pub(super) p95_ms: f64,
    pub(super) p99_ms: f64,
    pub(super) least_ms: f64,
    /// How much longer the slowest round's median took than the fastest's, as a share.
    pub(super) spread: f64,
}

/// Arithmetic a second.
#[derive(Debug, Serialize)]
pub(super) struct Rate {
    pub(super) gflops: f64,
    /// Of the measured peak of as many threads at this precision.
    pub(super) share_of_peak: Option<f64>,
}

/// How many times faster than others that took turns with it.
#[derive(Debug, Serialize)]
pub(super) struct Against {
    /// Than the first model at its first precision on as many threads.
    pub(super) than_first: Option<Ratio>,
    /// Than itself on the fewest threads.
    pub(super) than_fewest_threads: Option<Ratio>,
}

/// A ratio of rounds: the median, the smallest and the largest.
#[derive(Debug, Clone, Copy, Serialize)]
pub(super) struct Ratio {
    pub(super) value: f64,
    pub(super) low: f64,
    pub(super) high: f64,
}

/// From the start of the program.
#[derive(Debug, Serialize)]
pub(super) struct StartRow {
    pub(super) starts: usize,
    /// To the first answer, the median.
    pub(super) first_answer_ms: f64,
    /// To the end of the process, the median.
    pub(super) process_ms: f64,
    /// Nothing where the system does not tell.
    pub(super) peak_rss_bytes: Option<u64>,
}

impl BenchReport {
    pub(super) fn new(
        plan: &BenchPlan,
        machine: Machine,
        contenders: &mut [Contender],
        measured: &[Measured],
        starts: &[Starts],
        mut warnings: Vec<String>,
    ) -> BenchReport {
        let weights: Vec<usize> = contenders.iter_mut().map(Contender::weight_bytes).collect();
        let contenders = &*contenders;
        let fewest = plan.threads.iter().min().copied();
        let results: Vec<BenchRow> = contenders
            .iter()
            .enumerate()
            .map(|(who, contender)| {
                let mine = &measured[who];
                let first = contenders.iter().position(|other| other.threads == contender.threads);
                let alone = contenders.iter().position(|other| {
                    Some(other.threads) == fewest
                        && other.precision == contender.precision
                        && other.model == contender.model
                });
                let against = |of: &dyn Fn(&Measured) -> &Timings| {
                    let than = |other: Option<usize>| {
                        other.filter(|other| *other != who).and_then(|other| Ratio::of(of(&measured[other]), of(mine)))
                    };
                    Against { than_first: than(first), than_fewest_threads: than(alone) }
                };
                let rate = |flops: f64, seconds: f64| {
                    let gflops = flops / seconds / 1e9;
                    let peak = machine.peak(contender.precision, contender.threads);
                    Rate { gflops, share_of_peak: peak.map(|peak| gflops / peak) }
                };
                let shapes = plan.shapes.iter().enumerate().map(|(place, shape)| {
                    let latency = Latency::of(&mine.shapes[place]);
                    let flops = shape.batch as f64 * contender.flops(shape.length);
                    ShapeRow {
                        shape: *shape,
                        rate: rate(flops, latency.p50_ms / 1e3),
                        latency,
                        against: against(&|measured| &measured.shapes[place]),
                    }
                });
                let pass = Latency::of(&mine.passes);
                let seconds = pass.p50_ms / 1e3;
                let (texts, tokens) = (contender.tokens.len() as f64, contender.tokens.iter().sum::<usize>() as f64);
                let flops: f64 = contender.tokens.iter().map(|&length| contender.flops(length)).sum();
                BenchRow {
                    model: contender.name.clone(),
                    directory: contender.directory.display().to_string(),
                    precision: contender.precision,
                    threads: contender.threads,
                    answers: contender.answers(),
                    bytes_on_disk: contender.bytes_on_disk,
                    bytes_in_memory: weights[who],
                    shapes: shapes.collect(),
                    texts: TextRow {
                        tokens: tokens / texts,
                        single: Latency::of(&mine.single),
                        single_against: against(&|measured| &measured.single),
                        texts_per_second: texts / seconds,
                        tokens_per_second: tokens / seconds,
                        spread: pass.spread,
                        rate: rate(flops, seconds),
                        against: against(&|measured| &measured.passes),
                        joules_per_thousand: mine.energy.map(|Energy { joules_per_thousand, .. }| joules_per_thousand),
                        energy_method: mine.energy.and_then(|energy| energy.method),
                    },
                    start: StartRow::of(&starts[who]),
                }
            })
            .collect();
        warnings.extend(unsteady(&results));
        let limit = limit_of(&machine, contenders, &results);
        BenchReport {
            attar: env!("CARGO_PKG_VERSION"),
            machine,
            texts: TextFacts { name: plan.texts.name.clone(), rows: plan.texts.rows.len() },
            rounds: plan.rounds,
            turn_seconds: plan.turn.as_secs_f64(),
            results,
            limit,
            warnings,
        }
    }
}

impl Latency {
    fn of(timings: &Timings) -> Latency {
        let all = timings.sorted();
        // Every turn has calls, so there is none without.
        let at = |q: f64| quantile(&all, q).unwrap_or(f64::NAN) * 1e3;
        let medians = timings.medians();
        let [least, most] = bounds(&medians);
        Latency {
            calls: all.len(),
            p50_ms: at(0.5),
            p95_ms: at(0.95),
            p99_ms: at(0.99),
            least_ms: at(0.0),
            spread: most / least - 1.0,
        }
    }
}

impl Ratio {
    /// How many times faster `own` was than `other`, round by round.
    fn of(other: &Timings, own: &Timings) -> Option<Ratio> {
        let mut ratios: Vec<f64> = other.medians().iter().zip(own.medians()).map(|(other, own)| other / own).collect();
        ratios.sort_by(f64::total_cmp);
        let [low, high] = bounds(&ratios);
        Some(Ratio { value: quantile(&ratios, 0.5)?, low, high })
    }
}

impl StartRow {
    fn of(starts: &Starts) -> Option<StartRow> {
        let median = |seconds: &[f64]| {
            let mut seconds = seconds.to_vec();
            seconds.sort_by(f64::total_cmp);
            quantile(&seconds, 0.5).map(|seconds| seconds * 1e3)
        };
        Some(StartRow {
            starts: starts.first_answer.len(),
            first_answer_ms: median(&starts.first_answer)?,
            process_ms: median(&starts.process)?,
            peak_rss_bytes: starts.peak_rss,
        })
    }
}

/// What limits the first model.
fn limit_of(machine: &Machine, contenders: &[Contender], results: &[BenchRow]) -> Option<String> {
    let speeds = contenders.iter().zip(results).map(|(contender, row)| {
        let peak = machine.peaks.iter().find(|peak| peak.threads == row.threads);
        let width = match row.precision {
            PrecisionArg::F32 => size_of::<f32>(),
            PrecisionArg::Int8 => size_of::<i8>(),
        };
        // A token alone is multiplied once with every weight of the layers, two operations each.
        let gigabytes = contender.flops(1) / 2.0 * width as f64 / 1e9;
        let bandwidth = gigabytes / (row.texts.single.p50_ms / 1e3);
        Speed {
            model: &row.model,
            precision: row.precision,
            threads: row.threads,
            texts_per_second: row.texts.texts_per_second,
            share_of_peak: row.texts.rate.share_of_peak.unwrap_or(0.0),
            share_of_memory: peak.map_or(0.0, |peak| bandwidth / peak.memory_gb_per_s),
        }
    });
    limit::sentence(&speeds.collect::<Vec<_>>(), &machine.peaks, machine.processors)
}

/// The smallest and the largest.
fn bounds(all: &[f64]) -> [f64; 2] {
    [all.iter().copied().fold(f64::INFINITY, f64::min), all.iter().copied().fold(0.0, f64::max)]
}

/// A word about rounds that differ more than they should.
fn unsteady(results: &[BenchRow]) -> Option<String> {
    let spreads = results.iter().flat_map(|row| {
        let shapes = row
            .shapes
            .iter()
            .map(|shape| (shape.latency.spread, format!("{}x{}", shape.shape.batch, shape.shape.length)));
        let texts = [(row.texts.single.spread, "single texts".to_owned()), (row.texts.spread, "all texts".to_owned())];
        shapes.chain(texts).map(move |(spread, what)| (spread, row, what))
    });
    let (all, wide): (usize, Vec<_>) = spreads.fold((0, Vec::new()), |(all, mut wide), one| {
        if one.0 > SPREAD {
            wide.push(one);
        }
        (all + 1, wide)
    });
    let (spread, row, what) = wide.iter().max_by(|a, b| a.0.total_cmp(&b.0))?;
    Some(format!(
        "the rounds of {} of {all} measurements differ by more than {:.0} %, most those of {} {} on {} threads, {what}: \
         {:.0} %; ratios hold better than times",
        wide.len(),
        100.0 * SPREAD,
        row.model,
        row.precision.name(),
        row.threads,
        100.0 * spread,
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ratios_are_taken_round_by_round() {
        // A machine that halves its clock in the second round.
        let first = Timings(vec![vec![4.0], vec![8.0], vec![4.4]]);
        let own = Timings(vec![vec![1.0], vec![2.0], vec![1.0]]);
        let ratio = Ratio::of(&first, &own).unwrap();
        assert_eq!((ratio.value, ratio.low, ratio.high), (4.0, 4.0, 4.4));
        assert!(Ratio::of(&Timings::default(), &own).is_none());
    }

    #[test]
    fn latencies_are_in_order() {
        let latency = Latency::of(&Timings(vec![vec![0.003, 0.001], vec![0.002, 0.004]]));
        assert_eq!(latency.calls, 4);
        let [a, b, c, d] = [latency.least_ms, latency.p50_ms, latency.p95_ms, latency.p99_ms];
        assert!(a <= b && b <= c && c <= d, "{latency:?}");
        assert_eq!((a, d), (1.0, 4.0));
        // Medians of the rounds are 1 ms and 2 ms.
        assert_eq!(latency.spread, 1.0);
    }
}
