//! Intervals by resampling rows with replacement (percentile bootstrap).

use rayon::prelude::*;
use serde::{Deserialize, Serialize};

use crate::random::Streams;

/// Resamples behind an interval, where nothing else is said.
pub const RESAMPLES: u32 = 1000;

/// Confidence of an interval, where nothing else is said.
pub const CONFIDENCE: f64 = 0.95;

/// Where a statistic would probably lie on other rows from the same source.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Interval {
    /// Lower end.
    pub low: f64,
    /// Upper end.
    pub high: f64,
    /// Share of such intervals that hold the true value, above 0 and below 1.
    pub confidence: f64,
}

/// The percentile interval of a statistic over N rows.
///
/// `statistic` is called with N row numbers below N, drawn with replacement, and answers `None`
/// where it is undefined; such resamples are left out. The resamples depend on the seed and N
/// only: every statistic sees the same ones, on any number of threads.
///
/// `None` for fewer than two rows, for no resample, or if the statistic is undefined on more than
/// one resample in twenty, since leaving those out would no longer be harmless.
///
/// # Panics
/// If `confidence` is not between 0 and 1.
#[track_caller]
pub fn interval(
    rows: usize,
    resamples: u32,
    confidence: f64,
    streams: &Streams,
    statistic: impl Fn(&[u32]) -> Option<f64> + Sync,
) -> Option<Interval> {
    assert!(confidence > 0.0 && confidence < 1.0, "a confidence of {confidence} is not between 0 and 1");
    if rows < 2 || resamples == 0 {
        return None;
    }
    let resample = |drawn: &mut Vec<u32>, resample: u32| {
        let mut stream = streams.stream("bootstrap", &[rows as u64, u64::from(resample)]);
        drawn.clear();
        drawn.extend((0..rows).map(|_| stream.below(rows as u64) as u32));
        statistic(drawn)
    };
    let values: Vec<Option<f64>> = (0..resamples).into_par_iter().map_init(Vec::new, resample).collect();
    let mut values: Vec<f64> = values.into_iter().flatten().filter(|value| value.is_finite()).collect();
    if 20 * values.len() < 19 * resamples as usize {
        return None;
    }
    values.sort_unstable_by(f64::total_cmp);
    let tail = (1.0 - confidence) / 2.0;
    Some(Interval { low: quantile(&values, tail), high: quantile(&values, 1.0 - tail), confidence })
}

/// The percentile interval of the difference `a - b` of two statistics over the same N rows.
///
/// What the rows share (an easy sample makes both systems look good) cancels, so this interval is
/// narrower than those of `a` and `b` suggest. `None` as for [`interval`].
///
/// # Panics
/// If `confidence` is not between 0 and 1.
#[track_caller]
pub fn paired_interval(
    rows: usize,
    resamples: u32,
    confidence: f64,
    streams: &Streams,
    a: impl Fn(&[u32]) -> Option<f64> + Sync,
    b: impl Fn(&[u32]) -> Option<f64> + Sync,
) -> Option<Interval> {
    interval(rows, resamples, confidence, streams, |drawn| Some(a(drawn)? - b(drawn)?))
}

/// The value below which a share `q` of the sorted values lies, interpolated; there is at least one.
fn quantile(sorted: &[f64], q: f64) -> f64 {
    let place = q * (sorted.len() - 1) as f64;
    let below = place.floor();
    let (low, high) = (sorted[below as usize], sorted[place.ceil() as usize]);
    low + (high - low) * (place - below)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn mean(values: &[f64]) -> impl Fn(&[u32]) -> Option<f64> + Sync {
        |rows| Some(rows.iter().map(|&row| values[row as usize]).sum::<f64>() / rows.len() as f64)
    }

    #[test]
    fn quantiles_interpolate() {
        assert_eq!(quantile(&[1.0, 2.0, 4.0], 0.5), 2.0);
        assert_eq!(quantile(&[1.0, 2.0, 4.0], 0.75), 3.0);
        assert_eq!(quantile(&[7.0], 0.3), 7.0);
    }

    /// Over many samples of coin flips, nine of ten 90 % intervals should hold the true mean.
    #[test]
    fn intervals_cover() {
        let covered = (0..200)
            .filter(|&sample| {
                let mut stream = Streams::new(1).stream("coins", &[sample]);
                let coins: Vec<f64> = (0..150).map(|_| f64::from(u8::from(stream.chance(0.7)))).collect();
                let interval = interval(150, 300, 0.9, &Streams::new(sample), mean(&coins)).unwrap();
                assert!(interval.low < interval.high);
                (interval.low..=interval.high).contains(&0.7)
            })
            .count();
        // 180 expected with a standard deviation of 4.2; the percentile method is a little narrow.
        assert!((163..=195).contains(&covered), "{covered} of 200");
    }

    #[test]
    fn threads_do_not_matter_and_the_seed_does() {
        let values: Vec<f64> = (0..57).map(|i| f64::from(i * i % 23)).collect();
        let with = |threads, seed| {
            let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
            pool.install(|| interval(57, 200, 0.95, &Streams::new(seed), mean(&values)).unwrap())
        };
        assert_eq!(with(1, 3), with(4, 3));
        assert_ne!(with(1, 3), with(1, 4));
    }

    #[test]
    fn paired_differences_are_sharper() {
        let easy: Vec<f64> = (0..200).map(|i| f64::from(i % 100)).collect();
        let harder: Vec<f64> = easy.iter().map(|value| value - 1.0).collect();
        let streams = Streams::new(0);
        let paired = paired_interval(200, 200, 0.95, &streams, mean(&easy), mean(&harder)).unwrap();
        assert!((paired.low - 1.0).abs() < 1e-9 && (paired.high - 1.0).abs() < 1e-9, "{paired:?}");
        let alone = interval(200, 200, 0.95, &streams, mean(&easy)).unwrap();
        assert!(alone.high - alone.low > 5.0, "{alone:?}");
    }

    #[test]
    fn undefined_statistics_give_no_interval() {
        let streams = Streams::new(0);
        assert_eq!(interval(1, 100, 0.95, &streams, |_| Some(1.0)), None);
        assert_eq!(interval(0, 100, 0.95, &streams, |_| Some(1.0)), None);
        assert_eq!(interval(10, 0, 0.95, &streams, |_| Some(1.0)), None);
        assert_eq!(interval(10, 100, 0.95, &streams, |_| None), None);
        assert_eq!(interval(10, 100, 0.95, &streams, |_| Some(f64::NAN)), None);
        // Row 0 is missing from a resample of 10 rows in 35 of 100 cases, of 2 rows in 25 of 100.
        let defined = |rows: &[u32]| rows.contains(&0).then_some(1.0);
        assert_eq!(interval(10, 500, 0.95, &streams, defined), None);
        let rarely = |rows: &[u32]| rows.iter().any(|row| *row < 5).then_some(1.0);
        assert!(interval(10, 500, 0.95, &streams, rarely).is_some());
    }
}
