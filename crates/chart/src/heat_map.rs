//! Numbers of a grid as shades.

use std::fmt::Write;

use crate::chart::{closing, opening};
use crate::text::{element, place, shortened, width};

/// Side of a cell in pixels.
const CELL: f64 = 17.0;
/// Most characters of a label.
const LABEL: usize = 16;

/// Shares from 0 to 1 by row and column.
#[derive(Debug, Clone, PartialEq)]
pub struct HeatMap {
    /// What it is about.
    pub title: String,
    /// What it shows, for those who do not see it.
    pub description: String,
    /// Names of the rows.
    pub rows: Vec<String>,
    /// Names of the columns.
    pub columns: Vec<String>,
    /// A share for each row and column, row by row; what is missing or not finite is left white.
    pub values: Vec<f64>,
}

/// A heat map for a page that has [`STYLE`](crate::STYLE): the larger a share the darker its cell, by the root of it, so that
/// small ones are seen too.
pub fn heat_map(map: &HeatMap) -> String {
    let widest = |names: &[String]| names.iter().map(|name| width(&shortened(name, LABEL))).fold(20.0, f64::max);
    let (left, top) = (widest(&map.rows) + 8.0, 0.8 * widest(&map.columns) + 14.0);
    // The last column's name leans to the right.
    let size =
        [left + CELL * map.columns.len() as f64 + 0.6 * widest(&map.columns), top + CELL * map.rows.len() as f64 + 4.0];
    let mut out = opening(&map.title, &map.description, size);
    for (column, name) in map.columns.iter().enumerate() {
        let at = [left + CELL * (column as f64 + 0.65), top - 6.0];
        let turned = format!(" transform=\"rotate(-55 {} {})\"", place(at[0]), place(at[1]));
        element(&mut out, "name", at, &turned, &shortened(name, LABEL));
    }
    for (row, name) in map.rows.iter().enumerate() {
        let y = top + CELL * row as f64;
        element(&mut out, "name end", [left - 6.0, y + CELL * 0.7], "", &shortened(name, LABEL));
        for column in 0..map.columns.len() {
            let share = map.values.get(row * map.columns.len() + column).copied().unwrap_or(f64::NAN);
            let shade = if share.is_finite() { share.clamp(0.0, 1.0).sqrt() } else { 0.0 };
            let (x, y) = (place(left + CELL * column as f64), place(y));
            // Writing to a string cannot fail.
            _ = writeln!(
                out,
                "<rect class=\"f0\" fill-opacity=\"{shade:.2}\" x=\"{x}\" y=\"{y}\" width=\"16\" height=\"16\"/>"
            );
        }
    }
    closing(out)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_cell_is_drawn_once() {
        let names = |names: [&str; 2]| names.map(String::from).to_vec();
        let map = HeatMap {
            title: "attention".into(),
            description: "two tokens".into(),
            rows: names(["<s>", "a"]),
            columns: names(["<s>", "a"]),
            values: vec![1.0, f64::NAN, 0.25],
        };
        let svg = heat_map(&map);
        assert_eq!(svg.matches("<rect").count(), 4);
        assert_eq!(svg.matches("fill-opacity=\"0.00\"").count(), 2);
        assert!(svg.contains("fill-opacity=\"0.50\"") && svg.contains("&lt;s&gt;"), "{svg}");
    }
}
