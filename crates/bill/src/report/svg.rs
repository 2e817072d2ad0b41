//! Power over time as a picture.

use attar_meter::CONFIDENCE;
use attar_meter::display::{self, Scale};
use plotters::coord::Shift;
use plotters::prelude::{
    ChartBuilder, DrawingArea, IntoDrawingArea, IntoFont, PathElement, RGBColor, Rectangle, SVGBackend, Text,
};
use plotters::style::{BLACK, Color, ShapeStyle, WHITE};

use super::Report;
use super::profile::{PlotSpan, Profile};

/// Size in pixels.
const SIZE: (u32, u32) = (960, 420);
const LEGEND: u32 = 220;
/// About two for each pixel of the plot's width would not be seen.
const MOST_SPANS: usize = 350;
/// Told apart by people who see few colors too (Okabe and Ito, Color Universal Design, 2008).
const COLORS: [RGBColor; 7] = [
    RGBColor(0, 114, 178),
    RGBColor(230, 159, 0),
    RGBColor(0, 158, 115),
    RGBColor(204, 121, 167),
    RGBColor(86, 180, 233),
    RGBColor(213, 94, 0),
    RGBColor(240, 228, 66),
];
const OTHERS: RGBColor = RGBColor(160, 160, 160);
const GAP: RGBColor = RGBColor(200, 0, 0);

type Area<'a> = DrawingArea<SVGBackend<'a>, Shift>;
type Drawn = Result<(), Box<dyn std::error::Error>>;

impl Report {
    /// Mean power over time as SVG, stacked by phase, so that the area is the energy, with the
    /// interval of the sum and the gaps. Thousands of windows are merged to what can be seen; no
    /// energy is lost by that. The same report always gives the same bytes. Where no energy was
    /// read, the picture says so.
    pub fn svg(&self) -> String {
        let mut out = String::new();
        let profile = Profile::of(&self.windows, COLORS.len(), MOST_SPANS);
        let drawn = match self.nothing_to_draw(&profile) {
            Some(reason) => notice(&mut out, &self.name, reason),
            None => plot(&mut out, &self.name, &profile),
        };
        if drawn.is_err() {
            // Drawing into memory does not fail; if it does, a picture must still be one.
            out.clear();
            _ = notice(&mut out, &self.name, "the plot could not be drawn");
        }
        out
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

fn notice(out: &mut String, name: &str, reason: &str) -> Drawn {
    let root = SVGBackend::with_string(out, SIZE).into_drawing_area();
    root.fill(&WHITE)?;
    label(&root, name, (20, 20), 16)?;
    label(&root, reason, (20, 60), 14)?;
    root.present()?;
    Ok(())
}

fn plot(out: &mut String, name: &str, profile: &Profile) -> Drawn {
    let root = SVGBackend::with_string(out, SIZE).into_drawing_area();
    root.fill(&WHITE)?;
    let (left, right) = root.split_horizontally(SIZE.0 - LEGEND);
    let (time, power) = (unit(profile.length, display::SECONDS, " s"), unit(profile.highest(), display::WATTS, " W"));
    // An axis needs some length; what is smaller still lies on the zero line.
    let across = (profile.length / time.divisor).max(1e-3);
    let up = (profile.highest() / power.divisor * 1.08).max(1e-3);

    let mut chart = ChartBuilder::on(&left)
        .margin(10)
        .caption(shortened(name, 60), ("sans-serif", 16))
        .x_label_area_size(40)
        .y_label_area_size(60)
        .build_cartesian_2d(0.0..across, 0.0..up)?;
    chart
        .configure_mesh()
        .disable_x_mesh()
        .max_light_lines(0)
        .x_desc(format!("time on the meter ({})", time.suffix.trim()))
        .y_desc(format!("mean power ({})", power.suffix.trim()))
        .x_label_formatter(&|x| tick(*x))
        .y_label_formatter(&|y| tick(*y))
        .draw()?;

    let x = |seconds: f64| seconds / time.divisor;
    let y = |span: &PlotSpan, joules: f64| joules / span.seconds() / power.divisor;
    for span in profile.spans.iter().filter(|span| span.known) {
        let mut below = 0.0;
        for (slot, joules) in span.joules.iter().enumerate().filter(|(_, joules)| **joules > 0.0) {
            let corners = [(x(span.start), y(span, below)), (x(span.end), y(span, below + joules))];
            chart.draw_series([Rectangle::new(corners, color(profile, slot).filled())])?;
            below += joules;
        }
        let band = [(x(span.start), y(span, span.low)), (x(span.end), y(span, span.high))];
        chart.draw_series([Rectangle::new(band, BLACK.mix(0.15).filled())])?;
        let value = y(span, below);
        chart.draw_series([PathElement::new([(x(span.start), value), (x(span.end), value)], BLACK.mix(0.8))])?;
    }
    for span in profile.spans.iter().filter(|span| span.gap) {
        let corners = [(x(span.start), up * 0.975), (x(span.end), up)];
        // The outline keeps a short gap visible.
        chart.draw_series([Rectangle::new(corners, GAP.filled()), Rectangle::new(corners, GAP)])?;
    }
    chart.draw_series(
        profile.restarts.iter().map(|at| PathElement::new([(x(*at), 0.0), (x(*at), up)], BLACK.mix(0.5))),
    )?;
    legend(&right, profile)?;
    root.present()?;
    Ok(())
}

/// A box and a name for everything that is in the plot.
fn legend(area: &Area<'_>, profile: &Profile) -> Drawn {
    let mut entries: Vec<(ShapeStyle, String)> = profile
        .series
        .iter()
        .enumerate()
        .map(|(slot, name)| (color(profile, slot).filled(), shortened(name, 26)))
        .collect();
    entries.push((BLACK.mix(0.15).filled(), format!("{:.0} % interval of the sum", 100.0 * CONFIDENCE)));
    if profile.spans.iter().any(|span| span.gap) {
        entries.push((GAP.filled(), "gap".to_owned()));
    }
    if !profile.restarts.is_empty() {
        entries.push((BLACK.mix(0.5).filled(), "another meter begins".to_owned()));
    }
    for ((style, name), top) in entries.iter().zip((40..).step_by(20)) {
        area.draw(&Rectangle::new([(4, top), (18, top + 12)], *style))?;
        label(area, name, (24, top), 12)?;
    }
    Ok(())
}

fn label(area: &Area<'_>, text: &str, at: (i32, i32), size: u32) -> Drawn {
    area.draw(&Text::new(shortened(text, 100), at, ("sans-serif", size).into_font()))?;
    Ok(())
}

fn color(profile: &Profile, slot: usize) -> RGBColor {
    debug_assert!(slot < profile.series.len(), "a series without a name");
    COLORS.get(slot).copied().unwrap_or(OTHERS)
}

/// The unit in which the largest number of an axis reads well.
fn unit(largest: f64, scales: display::Scales, fallback: &str) -> Scale {
    if largest > 0.0 { display::scale(largest, scales) } else { Scale { divisor: 1.0, suffix: fallback.to_owned() } }
}

/// Names come from files: no control characters, and no longer than there is room.
fn shortened(text: &str, most: usize) -> String {
    let visible = |c: char| if c.is_control() || matches!(c, '\u{fffe}' | '\u{ffff}') { ' ' } else { c };
    let mut short: String = text.chars().map(visible).take(most).collect();
    if text.chars().nth(most).is_some() {
        short.pop();
        short.push('…');
    }
    short
}

/// At most four places after the point, and no zeros at the end.
fn tick(number: f64) -> String {
    let text = format!("{number:.4}");
    text.trim_end_matches('0').trim_end_matches('.').to_owned()
}
