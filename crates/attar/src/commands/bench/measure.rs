//! Turns: in each round everything does each piece of work once, in another order.

use std::time::{Duration, Instant};

use attar_meter::{Estimate, Joules, Meter, Method};

use crate::progress;

use super::contender::Contender;
use super::machine::Machine;
use super::plan::BenchPlan;

/// Calls of a turn, however long they take: a percentile needs some.
const LEAST_CALLS: usize = 3;

/// What was measured of one contender.
#[derive(Debug, Default)]
pub(super) struct Measured {
    /// For each shape of the plan.
    pub(super) shapes: Vec<Timings>,
    /// Texts one at a time.
    pub(super) single: Timings,
    /// All texts at once: seconds of a pass.
    pub(super) passes: Timings,
    pub(super) energy: Option<Energy>,
}

/// Seconds of calls, by round.
#[derive(Debug, Default)]
pub(super) struct Timings(pub(super) Vec<Vec<f64>>);

/// Energy of answering texts.
#[derive(Debug, Clone, Copy)]
pub(super) struct Energy {
    pub(super) joules_per_thousand: Estimate<Joules>,
    pub(super) method: Option<Method>,
}

/// Work that has turns.
#[derive(Debug, Clone, Copy)]
enum Work {
    Shape(usize),
    Single,
    Pass,
}

/// Times everything.
pub(super) fn run(
    plan: &BenchPlan,
    contenders: &mut [Contender],
    machine: &mut Machine,
    mut meter: Meter,
) -> anyhow::Result<Vec<Measured>> {
    let texts = plan.texts.borrowed();
    let order = spread(texts.len());
    let mut measured: Vec<Measured> = contenders.iter().map(|_| Measured::new(plan.shapes.len())).collect();
    let works: Vec<Work> = (0..plan.shapes.len()).map(Work::Shape).chain([Work::Single, Work::Pass]).collect();

    // Untimed calls: caches and buffers grow, and it is learnt how long everything will take.
    let mut turns = vec![Vec::new(); works.len()];
    for (work, turns) in works.iter().zip(&mut turns) {
        for contender in contenders.iter_mut() {
            let call = warm_up(contender, *work, plan, &texts)?;
            let least = if matches!(work, Work::Pass) { call } else { call * LEAST_CALLS as f64 };
            turns.push(plan.turn.as_secs_f64().max(least));
        }
    }
    let total: f64 = turns.iter().flatten().sum::<f64>() * plan.rounds as f64;
    let bar = progress::timed(total, "measuring");
    let mut cursors = vec![0; contenders.len()];
    let mut passes = vec![0usize; contenders.len()];
    for round in 0..plan.rounds {
        for (place, work) in works.iter().enumerate() {
            for turn in 0..contenders.len() {
                // Nobody always goes first, or always after the same other one.
                let who = (turn + round + place) % contenders.len();
                let (contender, mine) = (&mut contenders[who], &mut measured[who]);
                match *work {
                    Work::Shape(shape) => {
                        contender.prepare(plan.shapes[shape])?;
                        contender.compute()?;
                        mine.shapes[shape].0.push(calls(plan.turn, || contender.compute())?);
                    }
                    Work::Single => {
                        let cursor = &mut cursors[who];
                        contender.answer(&texts[order[*cursor]..][..1])?;
                        mine.single.0.push(calls(plan.turn, || {
                            let text = order[*cursor];
                            *cursor = (*cursor + 1) % order.len();
                            contender.answer(&texts[text..][..1])
                        })?);
                    }
                    Work::Pass => {
                        contender.answer(&texts[..1])?;
                        meter.enter(&phase(who));
                        meter.flush();
                        let (start, mut seconds) = (Instant::now(), Vec::new());
                        while seconds.is_empty() || start.elapsed() < plan.turn {
                            let pass = Instant::now();
                            contender.answer(&texts)?;
                            seconds.push(pass.elapsed().as_secs_f64());
                            meter.tick();
                        }
                        meter.flush();
                        meter.enter("between");
                        passes[who] += seconds.len();
                        mine.passes.0.push(seconds);
                    }
                }
                bar.inc((turns[place][who] * 1e3) as u64);
            }
        }
        machine.measure_again();
    }
    bar.finish_and_clear();

    let totals = meter.finish();
    for (who, mine) in measured.iter_mut().enumerate() {
        let thousands = (passes[who] * texts.len()) as f64 / 1000.0;
        mine.energy = totals.phase(&phase(who)).and_then(|phase| {
            let joules_per_thousand = phase.energy()?.scaled(1.0 / thousands);
            Some(Energy { joules_per_thousand, method: phase.method() })
        });
    }
    Ok(measured)
}

impl Measured {
    fn new(shapes: usize) -> Measured {
        Measured { shapes: (0..shapes).map(|_| Timings::default()).collect(), ..Measured::default() }
    }
}

impl Timings {
    /// The median of each round.
    pub(super) fn medians(&self) -> Vec<f64> {
        self.0.iter().filter_map(|round| quantile(&sorted(round.iter().copied()), 0.5)).collect()
    }

    /// All calls, the shortest first.
    pub(super) fn sorted(&self) -> Vec<f64> {
        sorted(self.0.iter().flatten().copied())
    }
}

/// The smallest number that at least a share `q` of ascending ones do not exceed; nothing of none.
pub(super) fn quantile(ascending: &[f64], q: f64) -> Option<f64> {
    let rank = (q * ascending.len() as f64).ceil() as usize;
    ascending.get(rank.saturating_sub(1)).copied()
}

fn sorted(all: impl Iterator<Item = f64>) -> Vec<f64> {
    let mut all: Vec<f64> = all.collect();
    all.sort_by(f64::total_cmp);
    all
}

fn phase(contender: usize) -> String {
    format!("model {contender}")
}

/// Seconds of one call, the second of two.
fn warm_up(
    contender: &mut Contender,
    work: Work,
    plan: &BenchPlan,
    texts: &[(&str, Option<&str>)],
) -> anyhow::Result<f64> {
    let mut call: Box<dyn FnMut() -> anyhow::Result<()> + '_> = match work {
        Work::Shape(shape) => {
            contender.prepare(plan.shapes[shape])?;
            Box::new(|| contender.compute())
        }
        Work::Single => Box::new(|| contender.answer(&texts[texts.len() / 2..][..1])),
        Work::Pass => Box::new(|| contender.answer(texts)),
    };
    if !matches!(work, Work::Pass) {
        call()?;
    }
    let start = Instant::now();
    call()?;
    Ok(start.elapsed().as_secs_f64())
}

/// Seconds of each of the calls that fill a turn.
fn calls(turn: Duration, mut call: impl FnMut() -> anyhow::Result<()>) -> anyhow::Result<Vec<f64>> {
    let (start, mut seconds) = (Instant::now(), Vec::new());
    while seconds.len() < LEAST_CALLS || start.elapsed() < turn {
        let began = Instant::now();
        call()?;
        seconds.push(began.elapsed().as_secs_f64());
    }
    Ok(seconds)
}

/// All indices below `count`, in an order whose beginnings are spread over the whole.
fn spread(count: usize) -> Vec<usize> {
    // Steps of the golden ratio come round to where they began only after all.
    let mut step = ((count as f64 * 0.618) as usize).max(1);
    while gcd(step, count) != 1 {
        step += 1;
    }
    (0..count).map(|place| place * step % count).collect()
}

fn gcd(a: usize, b: usize) -> usize {
    if b == 0 { a } else { gcd(b, a % b) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn percentiles_are_numbers_that_were_measured() {
        let hundred: Vec<f64> = (1..=100).map(f64::from).collect();
        assert_eq!([0.5, 0.95, 0.99, 1.0].map(|q| quantile(&hundred, q)), [50.0, 95.0, 99.0, 100.0].map(Some));
        assert_eq!(quantile(&[7.0], 0.99), Some(7.0));
        assert_eq!(quantile(&[], 0.5), None);
        let timings = Timings(vec![vec![3.0, 1.0, 2.0], vec![5.0]]);
        assert_eq!(timings.medians(), [2.0, 5.0]);
        assert_eq!(timings.sorted(), [1.0, 2.0, 3.0, 5.0]);
    }

    #[test]
    fn a_spread_order_holds_each_once() {
        for count in [1, 2, 3, 10, 618, 1000] {
            let mut order = spread(count);
            order.sort_unstable();
            assert_eq!(order, (0..count).collect::<Vec<_>>());
        }
    }
}
