//! Whether what is said with 80 % is right in 8 of 10 cases.

use attar_chart::{Axis, Chart, Frame, Range};

use crate::document::Figure;
use crate::run::{Bin, Calibration};

/// Standard errors of a share that its interval reaches to each side: 95 %.
const DEVIATIONS: f64 = 1.959_963_984_540_054;

/// The reliability diagram: on the diagonal a model is as often right as it says.
pub(crate) fn reliability(calibration: &Calibration) -> Figure {
    let caption = format!("Reliability of {}", calibration.model);
    let rows: usize = calibration.bins.iter().map(|bin| bin.rows).sum();
    let lowest = calibration.bins.iter().map(|bin| interval(bin).low.min(bin.probability)).fold(1.0, f64::min);
    let low = ((lowest * 10.0).floor() / 10.0).clamp(0.0, 0.9);
    let mut chart = Chart::new(Frame {
        title: caption.clone(),
        description: format!(
            "{rows} rows in {} groups by the probability of the answer; on the dotted diagonal accuracy would equal probability.",
            calibration.bins.len()
        ),
        width: 400.0,
        height: 330.0,
        x: Axis::linear("probability of the answer", low, 1.0),
        y: Axis::linear("share of right answers", low, 1.0),
    });
    chart.rule(&[[low, low], [1.0, 1.0]]);
    for bin in &calibration.bins {
        chart.point(0, Range::exact(bin.probability), interval(bin));
    }
    chart.name_points(0, "right answers [95 %]");
    Figure::of(&chart, caption, false)
}

/// Wilson's interval of a share.
fn interval(bin: &Bin) -> Range {
    let (n, z) = (bin.rows as f64, DEVIATIONS);
    let middle = (bin.accuracy + z * z / (2.0 * n)) / (1.0 + z * z / n);
    let half = z / (1.0 + z * z / n) * (bin.accuracy * (1.0 - bin.accuracy) / n + z * z / (4.0 * n * n)).sqrt();
    Range { value: bin.accuracy, low: (middle - half).max(0.0), high: (middle + half).min(1.0) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_interval_is_wilsons() {
        // 8 of 10: [0.490, 0.943] (Wilson 1927).
        let range = interval(&Bin { rows: 10, probability: 0.8, accuracy: 0.8 });
        assert!((range.low - 0.4902).abs() < 1e-3 && (range.high - 0.9433).abs() < 1e-3, "{range:?}");
        assert_eq!(interval(&Bin { rows: 5, probability: 1.0, accuracy: 1.0 }).high, 1.0);
    }
}
