//! How long a plan will take: a few of its own updates, timed.

use std::time::Instant;

use attar_energy::{Bill, Meter, MeterOptions, Seconds};
use serde::Serialize;

use super::Plan;
use crate::begin::begin;
use crate::train::{Teacher, Trainer, phase};
use crate::{Error, billing};

/// Time and bill of a plan, before it runs.
#[derive(Debug, Clone, Serialize)]
pub struct Estimate {
    /// Seconds of all updates.
    pub seconds: f64,
    /// The same if every update were as fast as the fastest probed one, or as slow as the slowest.
    pub seconds_range: [f64; 2],
    /// The bill of that time at the power of the probe.
    pub bill: Bill,
}

/// Runs `updates` updates of each stage on a copy in memory and scales them to the whole plan.
///
/// Batches differ in size, so what is scaled is the time for a token. The first update of a stage,
/// which also warms caches and memory, is run and not counted. `progress` is called after each.
///
/// # Errors
/// If an update fails as it would in the run.
pub fn probe(plan: &Plan, updates: usize, mut progress: impl FnMut()) -> Result<Estimate, Error> {
    let options = MeterOptions { sources: billing::source(&plan.recipe.energy)?, ..MeterOptions::default() };
    let mut meter = Meter::start(options, None).map_err(Error::energy)?;
    let (mut seconds, mut low, mut high) = (0.0, 0.0, 0.0);
    let begun = begin(plan, &mut meter)?;
    for (index, stage) in plan.stages.iter().enumerate() {
        let teacher = Teacher::of(plan)?;
        let mut trainer = Trainer::new(plan, index, &begun.weights, teacher)?;
        let steps = stage.steps.min(updates + 1);
        let mut speeds = Vec::with_capacity(steps);
        let (mut tokens, mut time) = (0.0, 0.0);
        for step in 0..steps {
            let start = Instant::now();
            let report = trainer.step(step, &mut meter)?;
            let elapsed = start.elapsed().as_secs_f64();
            if step > 0 || steps == 1 {
                tokens += report.tokens as f64;
                time += elapsed;
                speeds.push(elapsed / report.tokens as f64);
            }
            if step < updates {
                progress();
            }
        }
        let all = stage.volume().1 as f64;
        seconds += time / tokens * all;
        low += speeds.iter().copied().fold(f64::INFINITY, f64::min) * all;
        high += speeds.iter().copied().fold(0.0, f64::max) * all;
    }
    let totals = meter.finish().forecast(Seconds::new(seconds).map_err(Error::energy)?, |phase| {
        [phase::TEACHER, phase::STUDENT].contains(&phase)
    });
    Ok(Estimate { seconds, seconds_range: [low, high], bill: Bill::new(&totals, &plan.grid, &plan.tariff) })
}
