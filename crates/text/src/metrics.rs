//! How good predictions are, and how sure that is.
//!
//! A metric that is 0/0, such as an F1 where nothing is true and nothing was predicted, is `None`
//! and never 0 or NaN. [`score()`] adds an interval by bootstrap over rows; [`difference`] compares two
//! systems on the same rows, which is far sharper than comparing their intervals.
//!
//! ```
//! use attar_text::metrics::{Metric, Predictions, score};
//! use attar_text::random::Streams;
//!
//! let (truth, predicted) = ([0, 1, 1, 0, 1, 1], [0, 1, 0, 0, 1, 1]);
//! let predictions = Predictions::Classes { truth: &truth, predicted: &predicted, classes: 2 };
//! let accuracy = score(Metric::Accuracy, &predictions, &Streams::new(0))?;
//! assert_eq!((accuracy.value, accuracy.rows), (Some(5.0 / 6.0), 6));
//! # Ok::<(), attar_text::metrics::MetricError>(())
//! ```

mod answers;
mod bootstrap;
mod calibration;
mod class_report;
mod classification;
mod correlation;
mod entities;
mod error;
mod label_sets;
mod metric;
mod predictions;
mod score;
mod spread;

pub use answers::{answer_f1, exact_match, normalized_answer};
pub use bootstrap::{CONFIDENCE, Interval, RESAMPLES, interval, paired_interval};
pub use calibration::{CALIBRATION_BINS, expected_calibration_error, top_class};
pub use class_report::{ClassReport, ClassScores, ConfusedPair};
pub use classification::Confusion;
pub use correlation::{mean_absolute_error, mean_squared_error, pearson, spearman};
pub use entities::{EntityScores, TagScheme, Tagging, entity_scores};
pub use error::MetricError;
pub use label_sets::LabelCounts;
pub use metric::Metric;
pub use predictions::Predictions;
pub use score::{Difference, Score, difference, score};
pub use spread::Spread;
