//! The shapes of points: one for each series, so that none is known by its color alone.

use crate::text::place;

/// The outline of a point of a series around a place, some ten pixels wide.
pub(crate) fn outline(series: usize, [x, y]: [f64; 2]) -> String {
    let corners = |corners: &[[f64; 2]]| {
        let all: Vec<String> = corners.iter().map(|[dx, dy]| format!("{} {}", place(x + dx), place(y + dy))).collect();
        format!("M{}Z", all.join("L"))
    };
    match series {
        0 => format!("M{} {}a4.6 4.6 0 1 0 9.2 0a4.6 4.6 0 1 0 -9.2 0Z", place(x - 4.6), place(y)),
        1 => corners(&[[-4.2, -4.2], [4.2, -4.2], [4.2, 4.2], [-4.2, 4.2]]),
        2 => corners(&[[0.0, -5.4], [5.2, 4.0], [-5.2, 4.0]]),
        3 => corners(&[[0.0, -5.8], [5.8, 0.0], [0.0, 5.8], [-5.8, 0.0]]),
        4 => corners(&[[0.0, 5.4], [5.2, -4.0], [-5.2, -4.0]]),
        5 => corners(&[[-2.0, -5.2], [2.0, -5.2], [2.0, 5.2], [-2.0, 5.2]]),
        6 => corners(&[[-5.2, -2.0], [5.2, -2.0], [5.2, 2.0], [-5.2, 2.0]]),
        _ => corners(&[
            [-5.0, -5.0],
            [0.0, -2.0],
            [5.0, -5.0],
            [2.0, 0.0],
            [5.0, 5.0],
            [0.0, 2.0],
            [-5.0, 5.0],
            [-2.0, 0.0],
        ]),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::style::SERIES;

    #[test]
    fn every_series_has_its_own() {
        let mut all: Vec<String> = (0..SERIES).map(|series| outline(series, [10.0, 10.0])).collect();
        all.sort();
        all.dedup();
        assert_eq!(all.len(), SERIES);
    }
}
