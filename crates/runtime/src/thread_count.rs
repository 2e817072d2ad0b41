//! How many threads share a sequence: as many as pay.
//!
//! Threads that share the rows of a few sequences meet twice in each layer. Where a share is so small that meeting takes as long
//! as computing it, fewer threads are faster. So they are where the system does not run all of them at once, for then those
//! that run wait for the others: on a busy machine two threads can take longer than one. A row's result is the same on any
//! number of threads, so the number may change from call to call.

use std::time::Duration;

use crate::batch::Input;
use crate::model::PackedModel;

/// Multiplications in a layer that are worth a thread: a few microseconds, as long as its threads take to meet.
const LEAST_WORK: u64 = 1 << 17;
/// Calls with fewer threads before more are tried again: waiting costs a call now and then, no more.
const CALLS_WITH_FEWER: u32 = 50;

/// Calls that waited too long, less those that did not, before fewer threads are used: one alone says little.
const MOST_BAD: u32 = 3;

/// The number of threads that share sequences, by what earlier calls of about the same work waited.
#[derive(Debug)]
pub(crate) struct ThreadCount {
    most: usize,
    /// By the number of binary digits of the work.
    by_digits: [Experience; 65],
}

/// What calls of a size have shown.
#[derive(Debug, Clone, Copy)]
struct Experience {
    threads: usize,
    /// Calls that waited too long, less those that did not.
    bad: u32,
    /// Calls before more threads are tried again.
    rest: u32,
}

impl ThreadCount {
    /// Begins with all threads.
    pub(crate) fn new(threads: usize) -> ThreadCount {
        ThreadCount { most: threads, by_digits: [Experience { threads, bad: 0, rest: 0 }; 65] }
    }

    /// Threads for so many multiplications in a layer; at least one.
    pub(crate) fn choose(&self, work: u64) -> usize {
        let worth = usize::try_from(work / LEAST_WORK).unwrap_or(usize::MAX);
        self.by_digits[digits(work)].threads.min(worth).max(1)
    }

    /// Learns how long the caller's thread worked and waited in a call on `used` threads.
    ///
    /// Half as many threads would have worked twice as long and waited for fewer. If the wait was longer than the work, that is
    /// faster.
    pub(crate) fn learn(&mut self, work: u64, used: usize, worked: Duration, waited: Duration) {
        let most = self.most;
        let Experience { threads, bad, rest } = &mut self.by_digits[digits(work)];
        *bad = if waited > worked { *bad + 1 } else { bad.saturating_sub(1) };
        if *bad >= MOST_BAD {
            (*threads, *bad, *rest) = (used.div_ceil(2), 0, CALLS_WITH_FEWER);
        } else if *threads < most {
            *rest = rest.saturating_sub(1);
            if *rest == 0 {
                // Another bad call, and they are left out again.
                (*threads, *bad, *rest) = ((2 * *threads).min(most), MOST_BAD - 1, CALLS_WITH_FEWER);
            }
        }
    }
}

fn digits(work: u64) -> usize {
    (u64::BITS - work.leading_zeros()) as usize
}

/// Multiplications of a batch in one layer.
pub(crate) fn work_of_layer(model: &PackedModel, input: Input<'_>) -> u64 {
    let c = &model.config;
    let per_token = (4 * c.hidden + 2 * c.feed_forward) as u64;
    let of_length = |n: u64| n * (per_token + 2 * n) * c.hidden as u64;
    input.lengths().iter().map(|&n| of_length(u64::from(n))).sum()
}

#[cfg(test)]
mod tests {
    use super::*;

    const SHORT: Duration = Duration::from_micros(10);
    const LONG: Duration = Duration::from_micros(11);

    #[test]
    fn little_work_gets_few_threads() {
        let count = ThreadCount::new(4);
        let found = [0, LEAST_WORK, 2 * LEAST_WORK - 1, 2 * LEAST_WORK, 100 * LEAST_WORK, u64::MAX];
        assert_eq!(found.map(|work| count.choose(work)), [1, 1, 1, 2, 4, 4]);
    }

    #[test]
    fn threads_that_are_waited_for_are_left_out_for_a_while() {
        let work = 100 * LEAST_WORK;
        let mut count = ThreadCount::new(4);
        for (threads, next) in [(4, 2), (2, 1)] {
            for _ in 0..MOST_BAD {
                assert_eq!(count.choose(work), threads);
                count.learn(work, threads, SHORT, LONG);
            }
            assert_eq!(count.choose(work), next);
        }
        assert_eq!(count.choose(1000 * work), 4, "what other sizes have shown does not count");
        // One thread waits for nobody; the others come back one doubling after the other.
        for threads in [1, 2] {
            for _ in 0..CALLS_WITH_FEWER {
                assert_eq!(count.choose(work), threads);
                count.learn(work, threads, LONG, Duration::ZERO);
            }
        }
        assert_eq!(count.choose(work), 4);
        count.learn(work, 4, SHORT, LONG);
        assert_eq!(count.choose(work), 2, "they are on trial");
    }

    #[test]
    fn a_single_long_wait_changes_nothing() {
        let work = 100 * LEAST_WORK;
        let mut count = ThreadCount::new(2);
        for _ in 0..10 {
            count.learn(work, 2, SHORT, LONG);
            count.learn(work, 2, LONG, SHORT);
            assert_eq!(count.choose(work), 2);
        }
    }
}
