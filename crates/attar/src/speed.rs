//! How fast models answer and what that costs, measured side by side.

use std::time::{Duration, Instant};

use attar_distill::recipe::EnergySpec;
use attar_meter::{Estimate, Joules, Meter, MeterOptions};
use serde::Serialize;

/// Rounds in which every model has its turn.
const ROUNDS: usize = 5;
/// Least time of a model in a round: shorter ones drown in noise.
const TURN: Duration = Duration::from_millis(300);

/// What a text costs a model, from text to answer.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct Speed {
    /// Microseconds for a text among many, the median over rounds.
    pub(crate) micros: f64,
    /// The fastest and the slowest round.
    pub(crate) micros_range: [f64; 2],
    /// Energy for 1,000 texts among many.
    pub(crate) joules_per_thousand: Option<Estimate<Joules>>,
}

/// A model that answers all texts of a sample.
pub(crate) type Answer<'a> = Box<dyn FnMut() -> anyhow::Result<()> + 'a>;

/// Times models that each answer the same `texts` texts, taking turns.
pub(crate) fn measure(
    models: &mut [Answer<'_>],
    texts: usize,
    energy: &EnergySpec,
    mut progress: impl FnMut(),
) -> anyhow::Result<Vec<Speed>> {
    let options = MeterOptions { sources: attar_distill::energy_source(energy)?, ..MeterOptions::default() };
    let mut meter = Meter::start(options, None)?;
    let phases: Vec<String> = (0..models.len()).map(|model| format!("model {model}")).collect();
    let mut rounds: Vec<Vec<f64>> = vec![Vec::new(); models.len()];
    let mut passes = vec![0usize; models.len()];
    for answer in models.iter_mut() {
        answer()?;
    }
    for _ in 0..ROUNDS {
        for (model, answer) in models.iter_mut().enumerate() {
            meter.enter(&phases[model]);
            let start = Instant::now();
            let mut turns = 0;
            while turns == 0 || start.elapsed() < TURN {
                answer()?;
                turns += 1;
            }
            rounds[model].push(start.elapsed().as_secs_f64() * 1e6 / (turns * texts) as f64);
            passes[model] += turns;
            meter.enter("between");
            progress();
        }
    }
    let totals = meter.finish();
    let speed = |model: usize| {
        let mut micros = rounds[model].clone();
        micros.sort_by(f64::total_cmp);
        let joules = totals.phase(&phases[model]).and_then(|phase| phase.energy());
        let thousands = (passes[model] * texts) as f64 / 1000.0;
        Speed {
            micros: micros[micros.len() / 2],
            micros_range: [micros[0], micros[micros.len() - 1]],
            joules_per_thousand: joules.map(|joules| joules.scaled(1.0 / thousands)),
        }
    };
    Ok((0..models.len()).map(speed).collect())
}

#[cfg(test)]
mod tests {
    use super::*;
    use attar_distill::recipe::EnergySource;

    #[test]
    fn models_take_turns_and_energy_is_shared_by_time() {
        let energy = EnergySpec { source: EnergySource::Fixed, watts: Some(10.0), ..EnergySpec::default() };
        let sleep = |millis: u64| -> Answer<'static> {
            Box::new(move || {
                std::thread::sleep(Duration::from_millis(millis));
                Ok(())
            })
        };
        let mut turns = 0;
        let speeds = measure(&mut [sleep(10), sleep(40)], 10, &energy, || turns += 1).unwrap();
        assert_eq!(turns, 2 * ROUNDS);
        // Sleeping takes at least as long as it says.
        assert!(speeds[0].micros >= 1000.0 && speeds[1].micros >= 4000.0, "{speeds:?}");
        for speed in &speeds {
            // 10 W over the time of 1,000 texts, with what the clock and the scheduler add.
            let joules = speed.joules_per_thousand.unwrap().value().get();
            let expected = 10.0 * speed.micros * 1e-6 * 1000.0;
            assert!((joules / expected - 1.0).abs() < 0.5, "{joules} J, expected {expected} J");
        }
    }
}
