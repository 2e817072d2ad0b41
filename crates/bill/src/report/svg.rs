//! Mean power over time as a picture.

use attar_chart::{Axis, Chart, Frame, shortened};
use attar_meter::CONFIDENCE;
use attar_meter::display::{self, Scale};

use super::Report;
use super::profile::{PlotSpan, Profile};

/// Size in pixels, without the legend.
const SIZE: [f64; 2] = [760.0, 340.0];
/// About two for each pixel of the plot's width would not be seen.
const MOST_SPANS: usize = 350;
/// Phases with a color of their own; the others share the next.
const COLORS: usize = attar_chart::SERIES - 1;

impl Report {
    /// Mean power over time as an SVG file, stacked by phase, so that the area is the energy, with the
    /// interval of the sum and the gaps. Thousands of windows are merged to what can be seen; no
    /// energy is lost by that. The same report always gives the same bytes. Where no energy was
    /// read, the picture says so.
    pub fn svg(&self) -> String {
        self.power_chart().standalone()
    }

    /// The same picture as a chart, for a page of several.
    pub fn power_chart(&self) -> Chart {
        let profile = Profile::of(&self.windows, COLORS, MOST_SPANS);
        match self.nothing_to_draw(&profile) {
            Some(reason) => empty(&self.name, reason),
            None => chart(&self.name, &profile),
        }
    }

    /// Why there is no power to show, where there is none.
    pub fn lacks_power(&self) -> Option<&'static str> {
        self.nothing_to_draw(&Profile::of(&self.windows, COLORS, MOST_SPANS))
    }

    fn nothing_to_draw(&self, profile: &Profile) -> Option<&'static str> {
        if self.bill.total.energy_kwh.is_none() || !profile.spans.iter().any(|span| span.known) {
            // Without any length the profile holds no span, whatever was read.
            return Some(match self.totals.energy() {
                Some(_) => "no time passed, so there is no power to show",
                None => "no energy was read, so there is no power to show",
            });
        }
        None
    }
}

/// A frame without marks that says why.
fn empty(name: &str, reason: &str) -> Chart {
    let (x, y) = (Axis::linear("time on the meter (s)", 0.0, 1.0), Axis::linear("mean power (W)", 0.0, 1.0));
    let mut chart = Chart::new(frame(name, reason.to_owned(), x, y));
    chart.name_shades(reason);
    chart
}

fn frame(name: &str, description: String, x: Axis, y: Axis) -> Frame {
    Frame { title: shortened(name, 60), description, width: SIZE[0], height: SIZE[1], x, y }
}

fn chart(name: &str, profile: &Profile) -> Chart {
    let (time, power) = (unit(profile.length, display::SECONDS, " s"), unit(profile.highest(), display::WATTS, " W"));
    let x = Axis::linear(format!("time on the meter ({})", time.suffix.trim()), 0.0, profile.length / time.divisor);
    let highest = profile.highest() / power.divisor;
    let up = Axis::linear(format!("mean power ({})", power.suffix.trim()), 0.0, highest * 1.08).bounds()[1];
    let y = Axis::linear(format!("mean power ({})", power.suffix.trim()), 0.0, up);
    let description = format!(
        "Mean power over {}, stacked by phase; with its interval it stays below {}.",
        time.write(profile.length),
        power.write(profile.highest())
    );
    let mut chart = Chart::new(frame(name, description, x, y));

    let across = |span: &PlotSpan| [span.start / time.divisor, span.end / time.divisor];
    let height = |span: &PlotSpan, joules: f64| joules / span.seconds() / power.divisor;
    let known = || profile.spans.iter().filter(|span| span.known);
    for (slot, phase) in profile.series.iter().enumerate() {
        let block = |span: &PlotSpan| {
            let below: f64 = span.joules[..slot].iter().sum();
            let [left, right] = across(span);
            [left, right, height(span, below), height(span, below + span.joules[slot])]
        };
        let blocks: Vec<[f64; 4]> = known().filter(|span| span.joules[slot] > 0.0).map(block).collect();
        chart.blocks(slot, &blocks);
        chart.name_blocks(slot, &shortened(phase, 26));
    }
    let shade = |span: &PlotSpan| {
        let [left, right] = across(span);
        [left, right, height(span, span.low), height(span, span.high)]
    };
    chart.shades(&known().map(shade).collect::<Vec<_>>());
    let edge = |span: &PlotSpan| {
        let [left, right] = across(span);
        [left, right, height(span, span.joules.iter().sum())]
    };
    chart.edges(&known().map(edge).collect::<Vec<_>>());
    chart.name_shades(&format!("{:.0} % interval of the sum", 100.0 * CONFIDENCE));
    let gaps: Vec<[f64; 4]> = profile
        .spans
        .iter()
        .filter(|span| span.gap)
        .map(|span| {
            let [left, right] = across(span);
            [left, right, up * 0.975, up]
        })
        .collect();
    if !gaps.is_empty() {
        chart.alarms(&gaps);
        chart.name_alarms("gap");
    }
    for at in &profile.restarts {
        chart.upright(at / time.divisor);
    }
    if !profile.restarts.is_empty() {
        chart.name_uprights("another meter begins");
    }
    chart
}

/// The unit in which the largest number of an axis reads well.
fn unit(largest: f64, scales: display::Scales, fallback: &str) -> Scale {
    if largest > 0.0 { display::scale(largest, scales) } else { Scale { divisor: 1.0, suffix: fallback.to_owned() } }
}
