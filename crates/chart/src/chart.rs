//! A chart: a frame with two axes, marks in it, and a legend below.

use std::fmt::Write;

use crate::axis::Axis;
use crate::legend::{self, LegendEntry, Sign};
use crate::shape;
use crate::style::{STYLE, slot};
use crate::text::{element, escaped, place, shortened, width};

/// Room beside the plot: left of it for the numbers, right, above and below.
const ABOVE: f64 = 10.0;
const RIGHT: f64 = 14.0;
const BELOW: f64 = 42.0;

/// What a chart is about, how large it is, and its axes.
#[derive(Debug, Clone, PartialEq)]
pub struct Frame {
    /// What it is about.
    pub title: String,
    /// What it shows, for those who do not see it.
    pub description: String,
    /// Width in pixels.
    pub width: f64,
    /// Height in pixels, without the legend.
    pub height: f64,
    /// The axis from left to right.
    pub x: Axis,
    /// The axis from below to above.
    pub y: Axis,
}

/// A number with its bounds.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Range {
    /// The number.
    pub value: f64,
    /// Lower bound.
    pub low: f64,
    /// Upper bound.
    pub high: f64,
}

impl Range {
    /// A number without bounds.
    pub fn exact(value: f64) -> Range {
        Range { value, low: value, high: value }
    }
}

/// A chart that is being drawn; see the documentation of the crate.
#[derive(Debug, Clone)]
pub struct Chart {
    frame: Frame,
    /// Left end of the plot.
    left: f64,
    marks: String,
    legend: Vec<LegendEntry>,
}

impl Chart {
    /// A chart without marks.
    pub fn new(frame: Frame) -> Chart {
        let widest = frame.y.ticks(Chart::rows(&frame)).iter().map(|(_, text)| width(text)).fold(0.0, f64::max);
        Chart { left: widest + 30.0, frame, marks: String::new(), legend: Vec::new() }
    }

    /// What it is about, and its axes.
    pub fn frame(&self) -> &Frame {
        &self.frame
    }

    /// A curve through these points.
    pub fn line(&mut self, series: usize, points: &[[f64; 2]]) {
        let series = slot(series);
        self.draw_path(&format!("line l{series}"), points, false);
    }

    /// The area between two curves over the same places: `[x, low, high]`.
    pub fn band(&mut self, series: usize, points: &[[f64; 3]]) {
        let series = slot(series);
        let above = points.iter().map(|[x, _, high]| [*x, *high]);
        let below = points.iter().rev().map(|[x, low, _]| [*x, *low]);
        self.draw_path(&format!("band f{series}"), &above.chain(below).collect::<Vec<_>>(), true);
    }

    /// A point with the intervals of both numbers.
    pub fn point(&mut self, series: usize, x: Range, y: Range) {
        let series = slot(series);
        let Some(at) = self.at([x.value, y.value]) else { return };
        let mut whiskers = String::new();
        for (ends, is_across) in
            [([[x.low, y.value], [x.high, y.value]], true), ([[x.value, y.low], [x.value, y.high]], false)]
        {
            let [Some(from), Some(to)] = ends.map(|end| self.at(end)) else { continue };
            if (from[0] - to[0]).abs() + (from[1] - to[1]).abs() < 0.5 {
                continue;
            }
            for [x, y] in [from, to] {
                let (start, cap) = if is_across { ([x, y - 3.0], "v6") } else { ([x - 3.0, y], "h6") };
                whiskers += &format!("M{} {}{cap}", place(start[0]), place(start[1]));
            }
            whiskers += &format!("M{} {}L{} {}", place(from[0]), place(from[1]), place(to[0]), place(to[1]));
        }
        if !whiskers.is_empty() {
            self.push(&format!("<path class=\"line p{series}\" d=\"{whiskers}\"/>"));
        }
        self.push(&format!("<path class=\"mark f{series} p{series}\" d=\"{}\"/>", shape::outline(series, at)));
    }

    /// Filled rectangles: `[left, right, bottom, top]`.
    pub fn blocks(&mut self, series: usize, blocks: &[[f64; 4]]) {
        let class = format!("block f{}", slot(series));
        self.draw_blocks(&class, blocks);
    }

    /// Shaded rectangles over what is there, such as the interval of a sum.
    pub fn shades(&mut self, blocks: &[[f64; 4]]) {
        self.draw_blocks("shade", blocks);
    }

    /// Rectangles that something went wrong in.
    pub fn alarms(&mut self, blocks: &[[f64; 4]]) {
        self.draw_blocks("alarm", blocks);
    }

    /// Short lines of no series: `[left, right, height]`.
    pub fn edges(&mut self, edges: &[[f64; 3]]) {
        let mut path = String::new();
        for [left, right, y] in edges {
            if let (Some(from), Some(to)) = (self.at([*left, *y]), self.at([*right, *y])) {
                path += &format!("M{} {}H{}", place(from[0]), place(from[1]), place(to[0]));
            }
        }
        if !path.is_empty() {
            self.push(&format!("<path class=\"edge\" d=\"{path}\"/>"));
        }
    }

    /// A dashed line of no series, such as a frontier or a diagonal.
    pub fn rule(&mut self, points: &[[f64; 2]]) {
        self.draw_path("rule", points, false);
    }

    /// A dashed line from below to above.
    pub fn upright(&mut self, x: f64) {
        let [low, high] = self.frame.y.bounds();
        self.rule(&[[x, low], [x, high]]);
    }

    /// The name of a series of points, for the legend.
    pub fn name_points(&mut self, series: usize, name: &str) {
        self.name(Sign::Point(slot(series)), name);
    }

    /// The name of a curve, for the legend.
    pub fn name_line(&mut self, series: usize, name: &str) {
        self.name(Sign::Line(slot(series)), name);
    }

    /// The name of a series of rectangles, for the legend.
    pub fn name_blocks(&mut self, series: usize, name: &str) {
        self.name(Sign::Block(slot(series)), name);
    }

    /// The name of the shades, for the legend.
    pub fn name_shades(&mut self, name: &str) {
        self.name(Sign::Class("shade"), name);
    }

    /// The name of the alarms, for the legend.
    pub fn name_alarms(&mut self, name: &str) {
        self.name(Sign::Class("alarm"), name);
    }

    /// The name of the lines from below to above, for the legend.
    pub fn name_uprights(&mut self, name: &str) {
        self.name(Sign::Class("rule"), name);
    }

    /// The chart for a page that has [`STYLE`] and says the title itself.
    pub fn inline(&self) -> String {
        let mut out = opening(&self.frame.title, &self.frame.description, self.size(0.0));
        self.draw(&mut out, 0.0);
        closing(out)
    }

    /// The chart as a file of its own, with its title and the style inside.
    pub fn standalone(&self) -> String {
        let size = self.size(28.0);
        let [width, height] = size.map(place);
        let mut out = format!("<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"{width}\" height=\"{height}\" ");
        let inner = opening(&self.frame.title, &self.frame.description, size);
        out += &inner["<svg ".len()..];
        _ = writeln!(out, "<style>{STYLE}</style>");
        _ = writeln!(out, "<rect class=\"paper\" width=\"{width}\" height=\"{height}\"/>");
        element(&mut out, "title", [12.0, 20.0], "", &shortened(&self.frame.title, 80));
        self.draw(&mut out, 28.0);
        closing(out)
    }

    /// About how many rows of numbers there is room for.
    fn rows(frame: &Frame) -> usize {
        ((frame.height - ABOVE - BELOW) / 40.0) as usize
    }

    fn size(&self, title: f64) -> [f64; 2] {
        [self.frame.width, title + self.frame.height + legend::height(&self.legend, self.frame.width - 16.0)]
    }

    /// Everything, `down` pixels further below than the marks have it.
    fn draw(&self, out: &mut String, down: f64) {
        let Frame { x, y, width: across, height, .. } = &self.frame;
        let (right, bottom) = (across - RIGHT, height - BELOW);
        _ = writeln!(out, "<g transform=\"translate(0 {})\">", place(down));
        for (number, text) in y.ticks(Chart::rows(&self.frame)) {
            let Some([_, at]) = self.at([x.bounds()[0], number]) else { continue };
            _ = writeln!(out, "<path class=\"grid\" d=\"M{} {}H{}\"/>", place(self.left), place(at), place(right));
            element(out, "soft end", [self.left - 6.0, at + 4.0], "", &text);
        }
        for (number, text) in x.ticks(((right - self.left) / 62.0) as usize) {
            let Some([at, _]) = self.at([number, y.bounds()[0]]) else { continue };
            _ = writeln!(out, "<path class=\"axis\" d=\"M{} {}v4\"/>", place(at), place(bottom));
            element(out, "soft middle", [at, bottom + 17.0], "", &text);
        }
        out.push_str(&self.marks);
        _ = writeln!(
            out,
            "<path class=\"axis\" d=\"M{} {}V{}H{}\"/>",
            place(self.left),
            place(ABOVE),
            place(bottom),
            place(right)
        );
        element(out, "soft middle", [(self.left + right) / 2.0, bottom + 35.0], "", x.label());
        let middle = [13.0, (ABOVE + bottom) / 2.0];
        let turned = format!(" transform=\"rotate(-90 {} {})\"", place(middle[0]), place(middle[1]));
        element(out, "soft middle", middle, &turned, y.label());
        legend::draw(out, &self.legend, [8.0, *height], across - 16.0);
        out.push_str("</g>\n");
    }

    /// Where two numbers lie, in pixels; `None` where one has no place.
    fn at(&self, [x, y]: [f64; 2]) -> Option<[f64; 2]> {
        let Frame { width: across, height, .. } = &self.frame;
        let x = self.left + self.frame.x.place(x)? * (across - RIGHT - self.left);
        let bottom = height - BELOW;
        Some([x, bottom - self.frame.y.place(y)? * (bottom - ABOVE)])
    }

    fn draw_path(&mut self, class: &str, points: &[[f64; 2]], is_closed: bool) {
        let places: Vec<String> = points
            .iter()
            .filter_map(|point| self.at(*point))
            .map(|[x, y]| format!("{} {}", place(x), place(y)))
            .collect();
        if !places.is_empty() {
            let end = if is_closed { "Z" } else { "" };
            self.push(&format!("<path class=\"{class}\" d=\"M{}{end}\"/>", places.join("L")));
        }
    }

    fn draw_blocks(&mut self, class: &str, blocks: &[[f64; 4]]) {
        let mut path = String::new();
        for [left, right, low, high] in blocks {
            if let (Some(from), Some(to)) = (self.at([*left, *low]), self.at([*right, *high])) {
                // What is too short to be seen is a hair wide.
                let right = to[0].max(from[0] + 0.3);
                path += &format!(
                    "M{} {}H{}V{}H{}Z",
                    place(from[0]),
                    place(from[1]),
                    place(right),
                    place(to[1]),
                    place(from[0])
                );
            }
        }
        if !path.is_empty() {
            self.push(&format!("<path class=\"{class}\" d=\"{path}\"/>"));
        }
    }

    fn push(&mut self, element: &str) {
        self.marks.push_str(element);
        self.marks.push('\n');
    }

    fn name(&mut self, sign: Sign, name: &str) {
        let entry = LegendEntry { sign, name: shortened(name, 40) };
        if !self.legend.contains(&entry) {
            self.legend.push(entry);
        }
    }
}

/// The beginning of a picture of this size, with what it says to those who do not see it.
pub(crate) fn opening(title: &str, description: &str, [width, height]: [f64; 2]) -> String {
    format!(
        "<svg class=\"attar-chart\" role=\"img\" viewBox=\"0 0 {} {}\" style=\"max-width:{}px\">\n<title>{}</title>\n<desc>{}</desc>\n",
        place(width),
        place(height),
        place(width),
        escaped(&shortened(title, 200)),
        escaped(description)
    )
}

/// The same with its end.
pub(crate) fn closing(mut picture: String) -> String {
    picture.push_str("</svg>\n");
    picture
}
