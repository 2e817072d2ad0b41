//! Splitting the energy of an interval among the phases that shared it.
//!
//! Shares are whole multiples of 2^-30 J, so that they add up to the interval's energy exactly,
//! in any order, as long as the sum stays below 2^23 J (2.3 kWh); above that additions round at
//! about a nanojoule.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::estimate::Estimate;
use crate::quantity::Joules;
use crate::source::{Component, ComponentReading};

/// How a window's processor energy was reported from that of the phases beside it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Split {
    /// The phase had the interval for itself.
    Whole,
    /// By the CPU time spent in each phase.
    CpuTime,
    /// By the time each phase lasted, because no CPU time was reported or spent.
    WallTime,
}

/// What a phase had of an interval.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct PhaseShare {
    pub(crate) wall: Duration,
    pub(crate) cpu: Duration,
}

const QUANTUM: f64 = 1.0 / (1u64 << 30) as f64;

/// How processor energy will be split among these.
pub(crate) fn rule(shares: &[PhaseShare]) -> Split {
    if shares.len() == 1 {
        Split::Whole
    } else if shares.iter().any(|share| !share.cpu.is_zero()) {
        Split::CpuTime
    } else {
        Split::WallTime
    }
}

/// The energy of each share, in order. Boards and memory, and what the process did not cause, go by
/// time; what a processor or machine draws on top goes by CPU time.
pub(crate) fn split(part: &ComponentReading, shares: &[PhaseShare]) -> Vec<Estimate<Joules>> {
    let walls: Vec<u128> = shares.iter().map(|share| share.wall.as_nanos()).collect();
    let cpus: Vec<u128> = shares.iter().map(|share| share.cpu.as_nanos()).collect();
    let by_cpu = matches!(part.component, Component::Cpu(_) | Component::Machine) && rule(shares) == Split::CpuTime;
    let (low, value, high) = (part.energy.low().get(), part.energy.value().get(), part.energy.high().get());

    let total = quanta(value);
    let background = quanta(part.background.get()).min(total);
    let active = divide(total - background, if by_cpu { &cpus } else { &walls });
    let values = active.iter().zip(divide(background, &walls)).map(|(active, background)| active + background);

    let all_walls = walls.iter().sum::<u128>().max(1) as f64;
    let estimate = |(own, wall): (u64, &u128)| {
        let fraction = if total > 0 { own as f64 / total as f64 } else { *wall as f64 / all_walls };
        let own = own as f64 * QUANTUM;
        // The bounds take the same share; rounding must not push them past the value.
        let bounds = if low == high { (own, own) } else { ((low * fraction).min(own), (high * fraction).max(own)) };
        Estimate::exact(Joules::raw(own)).with_bounds(Joules::raw(bounds.0), Joules::raw(bounds.1))
    };
    values.zip(&walls).map(estimate).collect()
}

/// The nearest whole number of quanta.
fn quanta(joules: f64) -> u64 {
    (joules / QUANTUM).round() as u64
}

/// Divides a whole number by weights so that the parts add up to it.
fn divide(total: u64, weights: &[u128]) -> Vec<u64> {
    let sum: u128 = weights.iter().sum();
    let (mut so_far, mut given) = (0, 0);
    let share = |weight: &u128| {
        so_far += weight;
        // Weights that are all zero only meet a total of zero; if not, the first takes all.
        let up_to = (u128::from(total) * so_far).checked_div(sum).map_or(total, |up_to| up_to as u64);
        let own = up_to - given;
        given = up_to;
        own
    };
    weights.iter().map(share).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::estimate::{Method, Spread};
    use proptest::prelude::*;

    fn part(component: Component, energy: f64, background: f64) -> ComponentReading {
        ComponentReading {
            component,
            energy: Estimate::with_spread(Joules::raw(energy), Spread::factor(2.0)),
            background: Joules::raw(background),
            over: Duration::from_secs(10),
            method: Method::Modeled,
        }
    }

    fn share(wall: u64, cpu: u64) -> PhaseShare {
        PhaseShare { wall: Duration::from_millis(wall), cpu: Duration::from_millis(cpu) }
    }

    fn values(estimates: &[Estimate<Joules>]) -> Vec<f64> {
        estimates.iter().map(|estimate| estimate.value().get()).collect()
    }

    #[test]
    fn processors_go_by_cpu_time_and_the_rest_by_time() {
        let shares = [share(7500, 1000), share(2500, 3000)];
        assert_eq!(values(&split(&part(Component::Cpu(0), 100.0, 0.0), &shares)), [25.0, 75.0]);
        assert_eq!(values(&split(&part(Component::Cpu(0), 140.0, 40.0), &shares)), [25.0 + 30.0, 75.0 + 10.0]);
        assert_eq!(values(&split(&part(Component::Gpu(0), 100.0, 0.0), &shares)), [75.0, 25.0]);
        assert_eq!(values(&split(&part(Component::Memory(0), 100.0, 100.0), &shares)), [75.0, 25.0]);
    }

    #[test]
    fn without_cpu_time_all_goes_by_time() {
        let shares = [share(7500, 0), share(2500, 0)];
        assert_eq!(rule(&shares), Split::WallTime);
        assert_eq!(values(&split(&part(Component::Cpu(0), 100.0, 0.0), &shares)), [75.0, 25.0]);
        assert_eq!(rule(&shares[..1]), Split::Whole);
    }

    #[test]
    fn a_lost_interval_keeps_its_upper_bound() {
        let lost = ComponentReading {
            energy: Estimate::exact(Joules::ZERO).with_high_raised_by(40.0),
            ..part(Component::Cpu(0), 0.0, 0.0)
        };
        let got = split(&lost, &[share(7500, 0), share(2500, 9)]);
        assert_eq!(values(&got), [0.0, 0.0]);
        assert_eq!((got[0].high().get(), got[1].high().get()), (30.0, 10.0));
    }

    proptest! {
        // Exactly: the sum is compared with `==` (in quanta, as the interval itself is booked).
        #[test]
        fn shares_add_up_exactly(
            energy in 0.0..1e5_f64,
            background in 0.0..1.2_f64,
            cpu in any::<bool>(),
            exact in any::<bool>(),
            times in proptest::collection::vec((0u64..1_000_000_000_000, 0u64..4_000_000_000_000), 1..20),
        ) {
            let shares: Vec<PhaseShare> = times
                .iter()
                .map(|(wall, cpu)| PhaseShare { wall: Duration::from_nanos(wall + 1), cpu: Duration::from_nanos(*cpu) })
                .collect();
            let component = if cpu { Component::Cpu(0) } else { Component::Gpu(0) };
            let spread = if exact { Spread::NONE } else { Spread::factor(2.0) };
            let whole = ComponentReading {
                energy: Estimate::with_spread(Joules::raw(energy), spread),
                ..part(component, energy, energy * background)
            };
            let got = split(&whole, &shares);
            prop_assert_eq!(got.len(), shares.len());
            let sum: f64 = values(&got).iter().sum();
            let reversed: f64 = values(&got).iter().rev().sum();
            prop_assert_eq!(sum, quanta(energy) as f64 * QUANTUM);
            prop_assert_eq!(sum, reversed);
            prop_assert!((sum - energy).abs() <= QUANTUM);
            for share in &got {
                prop_assert!(Estimate::new(share.value(), share.low(), share.high()).is_ok());
            }
            // The bounds follow within one quantum a share.
            let high: f64 = got.iter().map(|share| share.high().get()).sum();
            prop_assert!((high - energy * spread.high()).abs() <= 1e-9 * energy + 20.0 * QUANTUM);
        }
    }
}
