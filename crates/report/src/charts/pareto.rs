//! What a score costs: each model by what it takes and how good it is.

use attar_chart::{Axis, Chart, Frame, Range};

use super::SMALL;
use crate::document::Figure;

/// What a model is held against.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Cost {
    Bytes,
    Micros,
    Joules,
}

/// A model in the chart.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Dot {
    pub(crate) series: usize,
    pub(crate) name: String,
    pub(crate) cost: Range,
    pub(crate) score: Range,
}

impl Cost {
    fn axis(self) -> &'static str {
        match self {
            Cost::Bytes => "bytes on disk",
            Cost::Micros => "microseconds a text",
            Cost::Joules => "joules for 1,000 texts",
        }
    }

    fn caption(self) -> &'static str {
        match self {
            Cost::Bytes => "Score by size",
            Cost::Micros => "Score by time",
            Cost::Joules => "Score by energy",
        }
    }
}

/// The chart; `None` for fewer than two models. The dotted line is the frontier: no model is both better and less costly
/// than those at its corners.
pub(crate) fn pareto(cost: Cost, metric: &str, dots: &[Dot]) -> Option<Figure> {
    if dots.len() < 2 {
        return None;
    }
    let costs = dots.iter().flat_map(|dot| [dot.cost.low, dot.cost.value, dot.cost.high]);
    let scores = dots.iter().flat_map(|dot| [dot.score.low, dot.score.value, dot.score.high]);
    let front = frontier(dots);
    let named: Vec<&str> = front.iter().map(|dot| dot.name.as_str()).collect();
    let mut chart = Chart::new(Frame {
        title: format!("{}: {metric}", cost.caption()),
        description: format!(
            "{} models by {} and {metric}, with intervals. None is both better and less costly than {}.",
            dots.len(),
            cost.axis(),
            named.join(", ")
        ),
        width: SMALL[0],
        height: SMALL[1],
        x: Axis::log_around(cost.axis(), costs),
        y: Axis::around(metric, scores),
    });
    // From each model on as far as the next better one.
    let mut steps: Vec<[f64; 2]> = Vec::new();
    for dot in &front {
        if let Some([_, below]) = steps.last().copied() {
            steps.push([dot.cost.value, below]);
        }
        steps.push([dot.cost.value, dot.score.value]);
    }
    if let Some([_, best]) = steps.last().copied() {
        steps.push([chart.frame().x.bounds()[1], best]);
    }
    chart.rule(&steps);
    for dot in dots {
        chart.name_points(dot.series, &dot.name);
        chart.point(dot.series, dot.cost, dot.score);
    }
    Some(Figure { caption: cost.caption().into(), svg: chart.inline(), is_wide: false })
}

/// The models that no other beats in both, from the least costly on.
fn frontier(dots: &[Dot]) -> Vec<&Dot> {
    let mut sorted: Vec<&Dot> =
        dots.iter().filter(|dot| dot.cost.value.is_finite() && dot.score.value.is_finite()).collect();
    sorted.sort_by(|a, b| a.cost.value.total_cmp(&b.cost.value).then(b.score.value.total_cmp(&a.score.value)));
    let mut best = f64::NEG_INFINITY;
    sorted.retain(|dot| {
        let is_better = dot.score.value > best;
        best = best.max(dot.score.value);
        is_better
    });
    sorted
}

#[cfg(test)]
mod tests {
    use super::*;

    fn dot(name: &str, cost: f64, score: f64) -> Dot {
        Dot { series: 0, name: name.into(), cost: Range::exact(cost), score: Range::exact(score) }
    }

    #[test]
    fn the_frontier_has_no_model_that_another_beats() {
        let dots =
            [dot("teacher", 90.0, 0.98), dot("worse", 95.0, 0.97), dot("small", 8.0, 0.97), dot("counted", 9.0, 0.9)];
        let names: Vec<&str> = frontier(&dots).iter().map(|dot| dot.name.as_str()).collect();
        assert_eq!(names, ["small", "teacher"]);
        assert!(pareto(Cost::Bytes, "accuracy", &dots[..1]).is_none());
        assert!(pareto(Cost::Bytes, "accuracy", &dots).unwrap().svg.contains("counted"));
    }
}
