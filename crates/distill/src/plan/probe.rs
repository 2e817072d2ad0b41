//! How long a plan will take: a few of its own updates and evaluations, timed.

use std::time::Instant;

use attar_bill::Bill;
use attar_meter::{Meter, MeterOptions, Seconds};
use serde::Serialize;

use super::{Plan, PlannedStage};
use crate::begin::{begin, shrunk};
use crate::score::Truth;
use crate::train::{Teacher, Trainer, phase};
use crate::{Error, billing, evaluate};

/// Least time of a stage's counted updates: what is shorter says little of the minutes to come.
const LEAST_SECONDS: f64 = 2.0;
/// Most updates, as a multiple of those asked for.
const MOST: usize = 8;
/// How much slower a machine may become for minutes, whatever the probe saw: other programs, heat, memory.
const SLOWER: f64 = 1.4;
/// How much faster it may become.
const FASTER: f64 = 0.75;
/// Dev rows that an evaluation is timed on.
const DEV_ROWS: usize = 256;

/// Time and bill of a plan, before it runs.
#[derive(Debug, Clone, Serialize)]
pub struct Estimate {
    /// Seconds of the beginning, all updates and evaluations.
    pub seconds: f64,
    /// From a machine a quarter faster than the probe saw to one that is 1.4 times slower, and two standard errors of the
    /// probe beyond.
    pub seconds_range: [f64; 2],
    /// The bill of that time at the power of the probe.
    pub bill: Bill,
}

/// Runs `updates` updates of each stage on a copy in memory, more where they are short, and an evaluation on some dev
/// rows, and scales them to the whole plan.
///
/// Batches differ in size, so what is scaled is the time for a token; the updates are spread over the first epoch. The
/// first one, which also warms caches and memory, is run and not counted. `progress` is called after each of the number
/// asked for.
///
/// # Errors
/// If an update fails as it would in the run.
pub fn probe(plan: &Plan, updates: usize, mut progress: impl FnMut()) -> Result<Estimate, Error> {
    let options = MeterOptions { sources: billing::source(&plan.recipe.energy)?, ..MeterOptions::default() };
    let mut meter = Meter::start(options, None).map_err(Error::energy)?;
    let (mut seconds, mut squares, mut evaluations) = (0.0, 0.0, 0.0);
    let start = Instant::now();
    let begun = begin(plan, &mut meter, &mut |_| {})?;
    let beginning = start.elapsed().as_secs_f64();
    let mut weights = begun.weights;
    for (index, stage) in plan.stages.iter().enumerate() {
        if index > 0 {
            weights = shrunk(plan, index, weights, &mut |_| {})?;
        }
        let teacher = Teacher::of(plan)?;
        let mut trainer = Trainer::new(plan, index, &weights, teacher)?;
        let mut timed = Vec::new();
        let mut spent = 0.0;
        let steps = spread(stage, 1 + MOST * updates);
        for (count, &step) in steps.iter().enumerate() {
            let start = Instant::now();
            let report = trainer.step(step, &mut meter)?;
            let elapsed = start.elapsed().as_secs_f64();
            if count > 0 || steps.len() == 1 {
                timed.push((report.tokens as f64, elapsed));
                spent += elapsed;
            }
            if count < updates {
                progress();
            }
            if timed.len() >= updates && spent >= LEAST_SECONDS {
                break;
            }
        }
        let (each, error) = per_token(&timed);
        let all = stage.volume().1 as f64;
        seconds += each * all;
        squares += (error * all).powi(2);
        let scored = plan.labeled.as_ref().is_some_and(|data| Truth::of(&data.dev).is_some());
        if (stage.predicts() && scored) || plan.labeled.is_none() {
            let due = (0..stage.steps).filter(|&step| stage.evaluates_after(step)).count();
            meter.enter(phase::EVALUATION);
            // The student is scored once more at the end.
            evaluations += evaluation(plan, &trainer, &mut meter)? * (due + 1) as f64;
        }
    }
    seconds += beginning + evaluations;
    let error = 2.0 * squares.sqrt();
    let totals = meter.finish().forecast(Seconds::new(seconds).map_err(Error::energy)?, |phase| {
        [phase::TEACHER, phase::TRAINING].contains(&phase)
    });
    Ok(Estimate {
        seconds,
        seconds_range: [FASTER * (seconds - error).max(0.5 * seconds), SLOWER * (seconds + error)],
        bill: Bill::new(&totals, &plan.grid, &plan.tariff),
    })
}

/// At most `count` updates at even distances over the first epoch.
fn spread(stage: &PlannedStage, count: usize) -> Vec<usize> {
    let epoch = (0..stage.steps).find(|&step| stage.ends_epoch(step)).map_or(stage.steps, |last| last + 1);
    let count = count.clamp(1, epoch.max(1));
    (0..count).map(|place| place * epoch / count).collect()
}

/// Seconds for a token, all updates together, and the standard error of that.
fn per_token(timed: &[(f64, f64)]) -> (f64, f64) {
    let (tokens, seconds) = timed.iter().fold((0.0, 0.0), |(a, b), (tokens, seconds)| (a + tokens, b + seconds));
    let each = seconds / tokens;
    let count = timed.len() as f64;
    // Of a ratio of sums: what is left of each update's time once its tokens are paid for.
    let left: f64 = timed.iter().map(|(tokens, seconds)| (seconds - each * tokens).powi(2)).sum();
    let error = if count > 1.0 { (left * count / (count - 1.0)).sqrt() / tokens } else { each };
    (each, error)
}

/// Seconds of one evaluation, from some of the dev rows.
fn evaluation(plan: &Plan, trainer: &Trainer<'_>, meter: &mut Meter) -> Result<f64, Error> {
    let step = plan.dev_texts.len().div_ceil(DEV_ROWS).max(1);
    let rows: Vec<usize> = (0..plan.dev_texts.len()).step_by(step).collect();
    let sample = plan.dev_texts.of_rows(&rows);
    let start = Instant::now();
    if plan.labeled.is_none() {
        trainer.held_out_loss(meter)?;
        return Ok(start.elapsed().as_secs_f64());
    }
    let (encoder, values) = trainer.student();
    evaluate::logits(&(encoder, &values), &sample, trainer.device(), |_| {})?;
    Ok(start.elapsed().as_secs_f64() * plan.dev_texts.len() as f64 / rows.len().max(1) as f64)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn time_is_for_a_token_and_has_an_error() {
        // Two microseconds a token, and noise that cancels out.
        let (each, error) = per_token(&[(100.0, 2.2e-4), (300.0, 5.8e-4)]);
        assert!((each - 2e-6).abs() < 1e-15, "{each}");
        // sqrt(2 (2e-5)^2 2 / 1) / 400
        assert!((error - 1e-7).abs() < 1e-12, "{error}");
        assert_eq!(per_token(&[(100.0, 2e-4)]), (2e-6, 2e-6));
    }
}
