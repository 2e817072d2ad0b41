//! Numbers for people.

use attar_text::metrics::{Score, Spread};

/// Shown for what is not known.
pub(crate) const UNKNOWN: &str = "–";

/// `0.9012 [0.8810, 0.9205]`.
pub(crate) fn score(score: &Score) -> String {
    match (score.value, score.interval) {
        (Some(value), Some(i)) => format!("{value:.4} [{:.4}, {:.4}]", i.low, i.high),
        (Some(value), None) => format!("{value:.4}"),
        (None, _) => "undefined".into(),
    }
}

/// `14.4 MB`, in units of a thousand.
pub(crate) fn bytes(bytes: u64) -> String {
    match bytes {
        0..1_000 => format!("{bytes} B"),
        1_000..1_000_000 => format!("{:.1} kB", bytes as f64 / 1e3),
        _ => format!("{:.1} MB", bytes as f64 / 1e6),
    }
}

/// `98.2 %`.
pub(crate) fn percent(share: f64) -> String {
    format!("{:.1} %", 100.0 * share)
}

/// A share and its deviation in percent.
pub(crate) fn in_percent(share: Spread) -> Spread {
    Spread { mean: 100.0 * share.mean, deviation: share.deviation.map(|deviation| 100.0 * deviation), ..share }
}

/// Thousands apart.
pub(crate) fn count(number: u64) -> String {
    let digits = number.to_string();
    let mut out = String::new();
    for (place, digit) in digits.chars().enumerate() {
        if place > 0 && (digits.len() - place).is_multiple_of(3) {
            out.push(',');
        }
        out.push(digit);
    }
    out
}

/// What there is, or a dash.
pub(crate) fn or_unknown<T>(value: Option<T>, shown: impl FnOnce(T) -> String) -> String {
    value.map_or_else(|| UNKNOWN.into(), shown)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_for_people() {
        assert_eq!([0, 999, 1000, 1_234_567].map(count), ["0", "999", "1,000", "1,234,567"]);
        assert_eq!([12, 14_350, 57_400_000].map(bytes), ["12 B", "14.3 kB", "57.4 MB"]);
        assert_eq!((percent(0.9815), or_unknown(None::<f64>, percent)), ("98.2 %".into(), "–".into()));
    }
}
