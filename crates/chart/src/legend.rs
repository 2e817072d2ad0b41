//! What the marks of a chart are called, in rows below it.

use std::fmt::Write;

use crate::shape;
use crate::text::{element, place, width};

/// Height of a row.
const ROW: f64 = 19.0;
/// Room of the sign before a name.
const SIGN: f64 = 28.0;

/// How a mark looks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Sign {
    Line(usize),
    Point(usize),
    Block(usize),
    Class(&'static str),
}

/// A mark and its name.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct LegendEntry {
    pub(crate) sign: Sign,
    pub(crate) name: String,
}

/// The entries one after another in rows of this width; each with its place, and the height of all.
fn laid_out(entries: &[LegendEntry], across: f64) -> (Vec<[f64; 2]>, f64) {
    let (mut places, mut x, mut y) = (Vec::new(), 0.0, 0.0);
    for entry in entries {
        let needed = SIGN + width(&entry.name) + 12.0;
        if x > 0.0 && x + needed > across {
            (x, y) = (0.0, y + ROW);
        }
        places.push([x, y]);
        x += needed;
    }
    (places, if entries.is_empty() { 0.0 } else { y + ROW })
}

/// How high the legend is.
pub(crate) fn height(entries: &[LegendEntry], across: f64) -> f64 {
    laid_out(entries, across).1
}

/// Draws the legend from a corner on.
pub(crate) fn draw(out: &mut String, entries: &[LegendEntry], [left, top]: [f64; 2], across: f64) {
    for (entry, [x, y]) in entries.iter().zip(laid_out(entries, across).0) {
        let (x, y) = (left + x, top + y + ROW / 2.0);
        let rectangle = |class: &str| {
            let (x, y) = (place(x), place(y - 6.0));
            format!("<rect class=\"{class}\" x=\"{x}\" y=\"{y}\" width=\"16\" height=\"12\"/>")
        };
        let sign = match entry.sign {
            Sign::Line(series) => {
                format!("<path class=\"line l{series}\" d=\"M{} {}h22\"/>", place(x), place(y))
            }
            Sign::Point(series) => {
                let outline = shape::outline(series, [x + 9.0, y]);
                format!("<path class=\"mark f{series} p{series}\" d=\"{outline}\"/>")
            }
            Sign::Block(series) => rectangle(&format!("block f{series}")),
            Sign::Class(class) => rectangle(class),
        };
        // Writing to a string cannot fail.
        _ = writeln!(out, "{sign}");
        element(out, "name", [x + SIGN, y + 4.0], "", &entry.name);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn long_legends_take_more_rows() {
        let entry = |name: &str| LegendEntry { sign: Sign::Line(0), name: name.into() };
        let entries = [entry("embedding"), entry("hidden"), entry("attention")];
        let (places, height) = laid_out(&entries, 220.0);
        assert_eq!((places[0], places[1][1], places[2]), ([0.0, 0.0], 0.0, [0.0, ROW]));
        assert_eq!(height, 2.0 * ROW);
        assert_eq!(super::height(&[], 100.0), 0.0);
    }
}
