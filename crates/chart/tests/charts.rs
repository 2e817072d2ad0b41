//! What holds for every chart.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use attar_chart::{Axis, Chart, Frame, Range, SERIES, STYLE};
use proptest::prelude::*;

fn chart(title: &str) -> Chart {
    Chart::new(Frame {
        title: title.into(),
        description: "what it shows".into(),
        width: 380.0,
        height: 260.0,
        x: Axis::log("bytes", 1e3, 1e9),
        y: Axis::linear("accuracy", 0.0, 1.0),
    })
}

/// All numbers of attributes that hold places.
fn numbers(svg: &str) -> Vec<f64> {
    let paths = svg.split(" d=\"").skip(1).map(|rest| rest.split('"').next().unwrap());
    let digits = |c: char| c.is_ascii_digit() || c == '.' || c == '-';
    paths
        .flat_map(|path| {
            path.split(move |c| !digits(c)).filter(|text| !text.is_empty()).map(|text| text.parse().unwrap())
        })
        .collect()
}

#[test]
fn a_point_has_the_interval_of_both_numbers() {
    let mut with = chart("sizes");
    with.point(2, Range { value: 1e6, low: 1e5, high: 1e7 }, Range { value: 0.5, low: 0.4, high: 0.6 });
    assert_eq!(with.inline().matches("class=\"line p2\"").count(), 1);
    let mut without = chart("sizes");
    without.point(2, Range::exact(1e6), Range::exact(0.5));
    assert!(!without.inline().contains("class=\"line p2\""));
}

#[test]
fn titles_are_escaped_and_said_twice_where_they_are_seen() {
    let svg = chart("<script>&").standalone();
    assert!(!svg.contains("<script>"), "{svg}");
    assert_eq!(svg.matches("&lt;script&gt;&amp;").count(), 2);
    assert!(svg.contains("role=\"img\"") && svg.contains("<desc>what it shows</desc>"));
    assert!(svg.starts_with("<svg xmlns=") && svg.contains("prefers-color-scheme:dark"));
    assert!(!chart("a").inline().contains("<style>"));
}

#[test]
fn what_is_no_number_is_not_drawn() {
    let mut chart = chart("nothing");
    chart.point(0, Range::exact(f64::NAN), Range::exact(0.5));
    chart.point(0, Range::exact(-1.0), Range::exact(0.5));
    chart.line(0, &[[f64::INFINITY, 0.5], [0.0, 0.5]]);
    let svg = chart.inline();
    assert!(!svg.contains("class=\"mark") && !svg.contains("class=\"line") && !svg.contains("NaN"), "{svg}");
}

#[test]
fn the_style_knows_every_series() {
    for series in 0..SERIES {
        for kind in ["f", "l", "p"] {
            assert!(STYLE.contains(&format!(".{kind}{series}{{")), "{kind}{series}");
        }
        // Both by day and by night.
        assert_eq!(STYLE.matches(&format!("--s{series}:#")).count(), 2);
    }
}

proptest! {
    #[test]
    fn marks_stay_inside(points in proptest::collection::vec((-1e12..1e12f64, -5.0..5.0f64), 1..50)) {
        let mut chart = chart("anything");
        let points: Vec<[f64; 2]> = points.into_iter().map(|(x, y)| [x, y]).collect();
        chart.line(1, &points);
        for [x, y] in &points {
            chart.point(3, Range::exact(*x), Range::exact(*y));
            chart.blocks(9, &[[*x, x * 2.0, 0.0, *y]]);
        }
        prop_assert!(numbers(&chart.inline()).iter().all(|number| (-20.0..=400.0).contains(number)));
    }
}
