//! Numbers over updates.

use attar_chart::{Axis, Chart, Frame, thinned};
use attar_text::metrics::Metric;

use super::{POINTS, SMALL};
use crate::document::Figure;
use crate::run::Stage;

/// How much larger the largest loss of a stage may be than the smallest on an axis of equal distances.
const LINEAR: f64 = 20.0;
/// Most points of a curve that are marked.
const MARKS: usize = 60;

/// The losses of a stage; `None` if none was logged.
pub(crate) fn losses(stage: &Stage) -> Option<Figure> {
    let numbers =
        || stage.losses.iter().flat_map(|curve| &curve.points).map(|[_, loss]| *loss).filter(|loss| loss.is_finite());
    let last = stage.losses.iter().flat_map(|curve| curve.points.last()).map(|[update, _]| *update).fold(0.0, f64::max);
    let (low, high) = (numbers().fold(f64::INFINITY, f64::min), numbers().fold(0.0, f64::max));
    if low > high {
        return None;
    }
    let y = match low > 0.0 && high / low > LINEAR {
        true => Axis::log_around("loss (log scale)", numbers()),
        false => Axis::linear("loss", 0.0, 1.05 * high),
    };
    let ends: Vec<String> = stage
        .losses
        .iter()
        .filter_map(|curve| {
            Some(format!("{} from {:.3} to {:.3}", curve.name, curve.points.first()?[1], curve.points.last()?[1]))
        })
        .collect();
    let caption = format!("Losses of stage {}", stage.name);
    let mut chart = Chart::new(Frame {
        title: caption.clone(),
        description: format!("Over {last:.0} updates: {}.", ends.join("; ")),
        width: SMALL[0],
        height: SMALL[1],
        x: Axis::linear("update", 0.0, last),
        y,
    });
    for (series, curve) in stage.losses.iter().enumerate() {
        chart.line(series, &thinned(&curve.points, POINTS));
        chart.name_line(series, &curve.name);
    }
    Some(Figure::of(&chart, caption, false))
}

/// The score of a stage on held-out rows; `None` if there is none.
pub(crate) fn scores(stage: &Stage) -> Option<Figure> {
    let curve = stage.scores.as_ref().filter(|curve| !curve.points.is_empty())?;
    let last = curve.points.last()?;
    // Of errors the least is the best.
    let is_error = Metric::from_name(&curve.name).is_ok_and(|metric| !metric.higher_is_better());
    let numbers = curve.points.iter().map(|[_, score]| *score);
    let best = if is_error { numbers.fold(f64::INFINITY, f64::min) } else { numbers.fold(f64::NEG_INFINITY, f64::max) };
    let caption = format!("{} on held-out rows, stage {}", curve.name, stage.name);
    let mut chart = Chart::new(Frame {
        title: caption.clone(),
        description: format!(
            "{} scorings over {:.0} updates; the best {best:.4}, the last {:.4}.",
            curve.points.len(),
            last[0],
            last[1]
        ),
        width: SMALL[0],
        height: SMALL[1],
        x: Axis::linear("update", 0.0, last[0].max(stage.steps as f64)),
        y: Axis::around(curve.name.clone(), curve.points.iter().map(|[_, score]| *score)),
    });
    let points = thinned(&curve.points, POINTS);
    chart.line(0, &points);
    // More marks would hide the curve.
    if points.len() <= MARKS {
        for [update, score] in &points {
            chart.point(0, attar_chart::Range::exact(*update), attar_chart::Range::exact(*score));
        }
    }
    Some(Figure::of(&chart, caption, false))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::run::Curve;

    #[test]
    fn the_best_of_errors_is_the_least() {
        let described = |name: &str| {
            let curve = Curve { name: name.into(), points: vec![[10.0, 0.5], [20.0, 0.25], [30.0, 0.75]] };
            scores(&Stage { steps: 30, scores: Some(curve), ..Stage::default() }).unwrap().description
        };
        let error = described(Metric::MeanSquaredError.name());
        assert!(error.contains("the best 0.2500, the last 0.7500"), "{error}");
        assert!(described("accuracy").contains("the best 0.7500"));
    }

    #[test]
    fn every_update_has_a_mark_or_none_has() {
        let marks = |updates: usize| {
            let points = (0..updates).map(|at| [at as f64, at as f64]).collect();
            let curve = Curve { name: "accuracy".into(), points };
            let figure = scores(&Stage { scores: Some(curve), ..Stage::default() }).unwrap();
            figure.svg.matches("class=\"mark").count()
        };
        assert_eq!([marks(MARKS), marks(MARKS + 1)], [MARKS, 0]);
    }
}
