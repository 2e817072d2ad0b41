//! What the making and so many uses come to, with the student and without.

use attar_bill::BreakEven;
use attar_chart::{Axis, Chart, Frame};
use attar_meter::{Estimate, Joules};

use super::series;
use crate::document::Figure;
use crate::run::{BreakEvenFacts, ModelKind};

/// Places at which the curves are computed.
const PLACES: usize = 60;

/// Energy over the number of texts: the incumbent's from the first text on, the replacement's after its making.
pub(crate) fn break_even(facts: &BreakEvenFacts) -> Option<Figure> {
    let [teacher, student] = [&facts.incumbent, &facts.replacement];
    let (making, used) = (facts.making.value().get(), teacher.1.value().get());
    if !(making > 0.0 && used > 0.0) {
        return None;
    }
    let even = match facts.verdict {
        BreakEven::After { uses } => Some(uses.value().get()),
        BreakEven::MayNever { uses, .. } => uses.map(|uses| uses.get()),
        BreakEven::Never => None,
    };
    let middle = even.unwrap_or(making / used).max(1.0);
    let (first, last) = (middle / 100.0, middle * 100.0);
    let places: Vec<f64> =
        (0..=PLACES).map(|place| first * (last / first).powf(place as f64 / PLACES as f64)).collect();
    let curve = |made: [f64; 3], each: &Estimate<Joules>| -> Vec<[f64; 4]> {
        let [value, low, high] = [each.value().get(), each.low().get(), each.high().get()];
        places
            .iter()
            .map(|texts| [*texts, made[0] + texts * value, made[1] + texts * low, made[2] + texts * high])
            .collect()
    };
    let without = curve([0.0; 3], &teacher.1);
    let with = curve([making, facts.making.low().get(), facts.making.high().get()], &student.1);
    let all = || without.iter().chain(&with).flat_map(|[_, value, low, high]| [*value, *low, *high]);
    let mut chart = Chart::new(Frame {
        title: "Break-even".into(),
        description: format!(
            "Energy in joules over the number of texts, for {} and for {} with its training: {}.",
            teacher.0, student.0, facts.verdict
        ),
        width: 760.0,
        height: 340.0,
        x: Axis::log("texts", first, last),
        y: Axis::log_around("joules", all()),
    });
    let (incumbent, replacement) = (series(ModelKind::Teacher), series(ModelKind::Student));
    for (number, curve, name) in
        [(incumbent, &without, teacher.0.clone()), (replacement, &with, format!("{} and its training", student.0))]
    {
        chart.band(number, &curve.iter().map(|[texts, _, low, high]| [*texts, *low, *high]).collect::<Vec<_>>());
        chart.line(number, &curve.iter().map(|[texts, value, ..]| [*texts, *value]).collect::<Vec<_>>());
        chart.name_line(number, &name);
    }
    if let Some(even) = even {
        chart.upright(even);
        chart.name_uprights("break-even");
    }
    let caption = "Energy of so many texts, with the student and its training, or with the teacher alone".into();
    Some(Figure::of(&chart, caption, true))
}
