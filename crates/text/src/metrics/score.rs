//! Scores and differences of scores, with their intervals.

use serde::{Deserialize, Serialize};

use super::bootstrap::{CONFIDENCE, Interval, RESAMPLES, interval, paired_interval};
use super::error::MetricError;
use super::metric::Metric;
use super::predictions::Predictions;
use crate::random::Streams;

/// The value of a metric, how sure it is, and on how many rows.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Score {
    /// What was measured.
    pub metric: Metric,
    /// Its value; `None` where it is undefined.
    pub value: Option<f64>,
    /// Its 95 % bootstrap interval; `None` where it is undefined.
    pub interval: Option<Interval>,
    /// Number of rows N.
    pub rows: usize,
}

/// How much better one system is than another on the same rows.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Difference {
    /// What was measured.
    pub metric: Metric,
    /// Value of the first less value of the second; `None` where either is undefined.
    pub value: Option<f64>,
    /// Its 95 % interval by paired bootstrap; the systems differ clearly if 0 is outside.
    pub interval: Option<Interval>,
    /// Number of rows N.
    pub rows: usize,
}

/// The value of a metric with its 95 % interval from 1,000 resamples.
///
/// # Errors
/// As [`Metric::compute`].
///
/// # Panics
/// As [`Metric::compute`].
#[track_caller]
pub fn score(metric: Metric, predictions: &Predictions<'_>, streams: &Streams) -> Result<Score, MetricError> {
    let value = metric.compute(predictions)?;
    let rows = predictions.rows();
    let interval = value.and_then(|_| interval(rows, RESAMPLES, CONFIDENCE, streams, predictions.resampler(metric)));
    Ok(Score { metric, value, interval, rows })
}

/// The difference of a metric between two systems on the same rows, with its paired 95 % interval.
///
/// # Errors
/// As [`Metric::compute`], or [`MetricError::DifferentRows`] if the true labels differ.
///
/// # Panics
/// As [`Metric::compute`].
#[track_caller]
pub fn difference(
    metric: Metric,
    first: &Predictions<'_>,
    second: &Predictions<'_>,
    streams: &Streams,
) -> Result<Difference, MetricError> {
    if !first.same_truth(second) {
        return Err(MetricError::DifferentRows);
    }
    let (a, b) = (metric.compute(first)?, metric.compute(second)?);
    let value = a.zip(b).map(|(a, b)| a - b);
    let (rows, resamples) = (first.rows(), RESAMPLES);
    let (a, b) = (first.resampler(metric), second.resampler(metric));
    let interval = value.and_then(|_| paired_interval(rows, resamples, CONFIDENCE, streams, a, b));
    Ok(Difference { metric, value, interval, rows })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn scores_carry_their_interval() {
        let truth: Vec<u32> = (0..200).map(|i| i % 2).collect();
        let predicted: Vec<u32> = (0..200).map(|i| (i + u32::from(i % 10 == 0)) % 2).collect();
        let predictions = Predictions::Classes { truth: &truth, predicted: &predicted, classes: 2 };
        let score = score(Metric::Accuracy, &predictions, &Streams::new(5)).unwrap();
        let interval = score.interval.unwrap();
        assert_eq!((score.value, score.rows), (Some(0.9), 200));
        // Binomial: 0.9 +- 1.96 * 0.0212, give or take a step of 1/200 on either side.
        assert!((0.853..0.865).contains(&interval.low) && (0.935..0.947).contains(&interval.high), "{interval:?}");
        let undefined = Predictions::Classes { truth: &[], predicted: &[], classes: 2 };
        let none = super::score(Metric::Accuracy, &undefined, &Streams::new(5)).unwrap();
        assert_eq!((none.value, none.interval, none.rows), (None, None, 0));
    }

    #[test]
    fn differences_are_paired() {
        let truth: Vec<f64> = (0..100).map(f64::from).collect();
        let good: Vec<f64> = truth.iter().map(|x| x + (x * 7.0) % 11.0).collect();
        let bad: Vec<f64> = truth.iter().map(|x| x + (x * 37.0) % 101.0).collect();
        let (good, bad) = (
            Predictions::Scores { truth: &truth, predicted: &good },
            Predictions::Scores { truth: &truth, predicted: &bad },
        );
        let streams = Streams::new(1);
        let better = difference(Metric::Spearman, &good, &bad, &streams).unwrap();
        assert!(better.value.unwrap() > 0.1 && better.interval.unwrap().low > 0.0, "{better:?}");
        let same = difference(Metric::Spearman, &good, &good, &streams).unwrap();
        assert_eq!((same.value, same.interval.map(|i| (i.low, i.high))), (Some(0.0), Some((0.0, 0.0))));
        let other = Predictions::Scores { truth: &truth[..99], predicted: &truth[..99] };
        assert_eq!(difference(Metric::Spearman, &good, &other, &streams), Err(MetricError::DifferentRows));
    }
}
