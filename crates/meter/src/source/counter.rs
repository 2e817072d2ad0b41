//! The algebra of energy counters: what an increase, a decrease, no change and a failed read mean.
//!
//! Pure: raw readings and times go in, changes come out. A failed read is simply never given to it,
//! so the next reading covers both spans, and it is never taken for a zero.

use std::time::Duration;

use crate::quantity::{Joules, Seconds, Watts};

/// A counter that only increases, wraps at a known place or not at all, and may be reset.
#[derive(Debug, Clone)]
pub struct Counter {
    /// Joules of one count.
    unit: f64,
    /// Where it starts again from zero; `None` if that is not known or it never does.
    range: Option<u64>,
    /// Power that the device cannot exceed.
    limit: Watts,
    /// How often the device renews the number.
    refresh: Duration,
    last: Option<(u64, Duration)>,
    counted: f64,
    time: Duration,
}

/// What a new reading means.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum CounterChange {
    /// The first reading: no energy, only a place to start from.
    First,
    /// Nothing new since the last change, so long ago. The time is not used up: it belongs to the
    /// next move.
    Unchanged {
        /// Time since the last change.
        since: Duration,
    },
    /// Energy was used.
    Advanced {
        /// How much.
        energy: Joules,
        /// In what time.
        over: Duration,
        /// Whether one wrap was corrected.
        wrapped: bool,
        /// Energy of the further wraps that would have gone unseen at most; zero if none fit.
        unseen: Joules,
    },
    /// The counter decreased and no plausible wrap explains it: the energy of this time is lost.
    Reset {
        /// The time that was lost.
        over: Duration,
        /// What the lost time took at most by the mean power so far (by the limit, if none is known).
        lost: Joules,
    },
}

impl Counter {
    /// A counter of `unit` joules a count that wraps at `range`, on a device that cannot exceed
    /// `limit` and renews the number every `refresh`.
    pub fn new(unit: Joules, range: Option<u64>, limit: Watts, refresh: Duration) -> Self {
        Self { unit: unit.get(), range, limit, refresh, last: None, counted: 0.0, time: Duration::ZERO }
    }

    /// Takes a reading at a time.
    ///
    /// - A rise is energy.
    /// - A fall is one wrap where the range is known and the energy is within what the device can
    ///   use in that time; otherwise it is a reset.
    /// - A range that is not known never corrects anything.
    pub fn take(&mut self, raw: u64, at: Duration) -> CounterChange {
        let Some((before, then)) = self.last else {
            self.last = Some((raw, at));
            return CounterChange::First;
        };
        let over = at.saturating_sub(then);
        if raw == before {
            return CounterChange::Unchanged { since: over };
        }
        self.last = Some((raw, at));
        // The number may be one refresh old at either end.
        let most = (self.limit * Seconds::from(over + self.refresh)).get();
        let rise = raw.checked_sub(before);
        let wrap = || self.range?.checked_sub(before)?.checked_add(raw);
        let plausible = |counts: &u64| *counts as f64 * self.unit <= most;
        match rise.or_else(|| wrap().filter(plausible)) {
            Some(counts) => {
                let energy = counts as f64 * self.unit;
                let unseen = self.unseen(energy, most);
                self.counted += energy;
                self.time += over;
                CounterChange::Advanced {
                    energy: Joules::raw(energy),
                    over,
                    wrapped: rise.is_none(),
                    unseen: Joules::raw(unseen),
                }
            }
            None => CounterChange::Reset { over, lost: self.mean() * Seconds::from(over) },
        }
    }

    /// Energy of the whole wraps that fit on top of what was seen.
    fn unseen(&self, energy: f64, most: f64) -> f64 {
        let wrap = self.range.unwrap_or(0) as f64 * self.unit;
        if wrap > 0.0 { ((most - energy) / wrap).floor().max(0.0) * wrap } else { 0.0 }
    }

    /// Mean power of all changes so far; the limit while there are none.
    fn mean(&self) -> Watts {
        if self.time.is_zero() { self.limit } else { Joules::raw(self.counted) / Seconds::from(self.time) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use attar_testing::assert_close_relative;
    use proptest::prelude::*;

    const UNIT: f64 = 1e-6;
    const RANGE: u64 = 262_143_328_850;
    const STEP: Duration = Duration::from_secs(10);

    fn counter(range: Option<u64>) -> Counter {
        Counter::new(Joules::raw(UNIT), range, Watts::raw(1000.0), Duration::from_millis(1))
    }

    fn run(counter: &mut Counter, raw: &[u64]) -> Vec<CounterChange> {
        raw.iter().enumerate().map(|(i, &raw)| counter.take(raw, STEP * i as u32)).collect()
    }

    fn energy(advances: &[CounterChange]) -> f64 {
        let moved = |advance: &CounterChange| {
            if let CounterChange::Advanced { energy, .. } = advance { energy.get() } else { 0.0 }
        };
        advances.iter().map(moved).sum()
    }

    #[test]
    fn the_first_reading_gives_none() {
        assert_eq!(counter(Some(RANGE)).take(RANGE - 1, STEP), CounterChange::First);
    }

    #[test]
    fn a_fall_is_a_wrap_only_if_the_device_could_have_used_that_much() {
        // 1000 J before the range, then 500 J after: 1500 J in 10 s is 150 W.
        let got = run(&mut counter(Some(RANGE)), &[RANGE - 1_000_000_000, 500_000_000]);
        assert!(matches!(got[1], CounterChange::Advanced { wrapped: true, .. }), "{got:?}");
        assert_close_relative("wrap", energy(&got), 1500.0, 1e-12);
        // From the middle of the range a wrap would be 131 kJ in 10 s: 13 kW.
        let got = run(&mut counter(Some(RANGE)), &[5_000_000_000, 5_500_000_000, 7]);
        assert_eq!(got[2], CounterChange::Reset { over: STEP, lost: Joules::raw(500.0) });
    }

    #[test]
    fn an_unknown_range_never_corrects() {
        let got = run(&mut counter(None), &[RANGE - 10, 5, 1_000_005]);
        // Nothing is known of the mean power yet, so the limit stands for it.
        assert_eq!(got[1], CounterChange::Reset { over: STEP, lost: Joules::raw(10_000.0) });
        assert_close_relative("after the reset", energy(&got), 1.0, 1e-12);
    }

    #[test]
    fn a_reading_beyond_the_range_is_a_reset_not_an_overflow() {
        for (range, raw) in [(100, [u64::MAX, 5]), (0, [10, 5]), (u64::MAX, [u64::MAX, 0])] {
            assert!(matches!(
                run(&mut counter(Some(range)), &raw)[1],
                CounterChange::Reset { .. } | CounterChange::Advanced { .. }
            ));
        }
        assert!(matches!(run(&mut counter(Some(100)), &[u64::MAX, 5])[1], CounterChange::Reset { .. }));
    }

    #[test]
    fn an_error_in_the_middle_loses_nothing() {
        let mut counter = counter(Some(RANGE));
        counter.take(1_000_000, Duration::ZERO);
        // The read at 10 s failed: no call. The next one covers 20 s.
        let got = counter.take(41_000_000, STEP * 2);
        assert_eq!(
            got,
            CounterChange::Advanced { energy: Joules::raw(40.0), over: STEP * 2, wrapped: false, unseen: Joules::ZERO }
        );
    }

    #[test]
    fn standing_still_keeps_the_time_for_the_next_move() {
        let got = run(&mut counter(Some(RANGE)), &[7, 7, 7, 1_000_007]);
        assert_eq!(got[2], CounterChange::Unchanged { since: STEP * 2 });
        assert!(matches!(got[3], CounterChange::Advanced { over, .. } if over == STEP * 3));
    }

    #[test]
    fn a_long_gap_names_the_wraps_that_may_hide_in_it() {
        // 262 s at the limit is one wrap; 1000 s leave room for three more above 1 J.
        let mut counter = counter(Some(RANGE));
        counter.take(0, Duration::ZERO);
        let CounterChange::Advanced { unseen, .. } = counter.take(1_000_000, Duration::from_secs(1000)) else {
            panic!()
        };
        assert_close_relative("unseen", unseen.get(), 3.0 * RANGE as f64 * UNIT, 1e-12);
    }

    proptest! {
        // Any readings at all: energy is never negative nor absurd, and nothing panics.
        #[test]
        fn never_negative(range in proptest::option::of(any::<u64>()), raw in proptest::collection::vec(any::<u64>(), 0..20)) {
            for advance in run(&mut counter(range), &raw) {
                if let CounterChange::Advanced { energy, unseen, .. } = advance {
                    prop_assert!(energy.get() >= 0.0 && unseen.get() >= 0.0 && unseen.get().is_finite());
                }
                if let CounterChange::Reset { lost, .. } = advance {
                    prop_assert!(lost.get() >= 0.0 && lost.get().is_finite());
                }
            }
        }

        // Plausible steps from any start, through any number of wraps: what went in comes out,
        // wherever the wraps fall and however the time is split.
        #[test]
        fn additive_over_splits_and_wraps(
            start in 0..RANGE,
            steps in proptest::collection::vec(0u64..9_000_000_000, 1..50),
            keep in proptest::collection::vec(any::<bool>(), 50),
        ) {
            let mut total = u128::from(start);
            let mut at = Duration::ZERO;
            let (mut every, mut some) = (counter(Some(RANGE)), counter(Some(RANGE)));
            every.take(start, at);
            some.take(start, at);
            let (mut sum_every, mut sum_some) = (0.0, 0.0);
            for (i, step) in steps.iter().enumerate() {
                total += u128::from(*step);
                at += STEP;
                let raw = (total % u128::from(RANGE)) as u64;
                sum_every += energy(&[every.take(raw, at)]);
                // At most every other reading left out, so that a span holds one wrap at most.
                if keep[i] || i % 2 == 1 || i + 1 == steps.len() {
                    sum_some += energy(&[some.take(raw, at)]);
                }
            }
            let expected = steps.iter().sum::<u64>() as f64 * UNIT;
            // Fifty roundings at most.
            assert_close_relative("every reading", sum_every, expected, 1e-12);
            assert_close_relative("some readings", sum_some, expected, 1e-12);
        }

        // A driver reload: what came before and after counts, the step itself does not.
        #[test]
        fn a_reset_is_not_a_wrap(before in 1_000u64..1 << 60, after in 0u64..1000, more in 1u64..1_000_000) {
            let got = run(&mut counter(None), &[before, after, after + more]);
            let is_reset = matches!(got[1], CounterChange::Reset { .. });
            prop_assert!(is_reset);
            assert_close_relative("after", energy(&got), more as f64 * UNIT, 1e-12);
        }
    }
}
