//! What a score costs: each model by what it takes and how good it is.

use attar_chart::{Axis, Chart, Frame, Range};

use super::{SMALL, has_bar};
use crate::document::Figure;

/// What a model is held against.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Cost {
    Bytes,
    Micros,
    Joules,
}

/// What the scores of a chart are.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Scale<'a> {
    /// What they are called.
    pub(crate) metric: &'a str,
    /// Whether more is better; of errors less is.
    pub(crate) is_more_better: bool,
    /// What their bars are, in the plural.
    pub(crate) bars: &'a str,
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
            Cost::Bytes => "bytes",
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
pub(crate) fn pareto(cost: Cost, scale: Scale<'_>, dots: &[Dot]) -> Option<Figure> {
    if dots.len() < 2 {
        return None;
    }
    let costs = dots.iter().flat_map(|dot| [dot.cost.low, dot.cost.value, dot.cost.high]);
    let scores = dots.iter().flat_map(|dot| [dot.score.low, dot.score.value, dot.score.high]);
    let (front, metric) = (frontier(dots, scale.is_more_better), scale.metric);
    let bars = if dots.iter().any(|dot| has_bar(dot.cost) || has_bar(dot.score)) {
        format!(", with {}", scale.bars)
    } else {
        String::new()
    };
    let named: Vec<&str> = front.iter().map(|dot| dot.name.as_str()).collect();
    let mut chart = Chart::new(Frame {
        title: format!("{}: {metric}", cost.caption()),
        description: format!(
            "{} models by {} and {metric}{bars}. None is both better and less costly than {}.",
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
    Some(Figure::of(&chart, cost.caption().into(), false))
}

/// The models that no other beats in both, from the least costly on.
fn frontier(dots: &[Dot], is_more_better: bool) -> Vec<&Dot> {
    let worth = |dot: &Dot| if is_more_better { dot.score.value } else { -dot.score.value };
    let mut sorted: Vec<&Dot> =
        dots.iter().filter(|dot| dot.cost.value.is_finite() && dot.score.value.is_finite()).collect();
    sorted.sort_by(|a, b| a.cost.value.total_cmp(&b.cost.value).then(worth(b).total_cmp(&worth(a))));
    let mut best = f64::NEG_INFINITY;
    sorted.retain(|dot| {
        let is_better = worth(dot) > best;
        best = best.max(worth(dot));
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
        let names = |is_more_better| -> Vec<&str> {
            frontier(&dots, is_more_better).iter().map(|dot| dot.name.as_str()).collect()
        };
        assert_eq!(names(true), ["small", "teacher"]);
        // Of errors the least is the best.
        assert_eq!(names(false), ["small", "counted"]);
        let scale = Scale { metric: "accuracy", is_more_better: true, bars: "intervals" };
        assert!(pareto(Cost::Bytes, scale, &dots[..1]).is_none());
        let figure = pareto(Cost::Bytes, scale, &dots).unwrap();
        assert!(figure.svg.contains("counted"));
        // Bars are named where there are any.
        assert!(figure.description.contains("by bytes and accuracy. None"), "{}", figure.description);
        let wide = Dot { score: Range { value: 0.9, low: 0.8, high: 1.0 }, ..dots[0].clone() };
        let description = pareto(Cost::Bytes, scale, &[wide, dots[1].clone()]).unwrap().description;
        assert!(description.contains("accuracy, with intervals. None"), "{description}");
    }
}
