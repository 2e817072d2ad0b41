//! Values of flags that have units.

use std::time::Duration;

use jiff::SignedDuration;

/// A time such as 90s, 10min or 1h 30m; a number alone is minutes.
pub(super) fn minutes(text: &str) -> Result<Duration, String> {
    time(text, 60.0)
}

/// A time such as 500ms, 1.5s or 2 min; a number alone is seconds.
pub(super) fn seconds(text: &str) -> Result<Duration, String> {
    time(text, 1.0)
}

/// A time above zero; `unit` is how many seconds a number alone counts.
fn time(text: &str, unit: f64) -> Result<Duration, String> {
    let given = match text.trim().parse::<f64>() {
        Ok(number) => Duration::try_from_secs_f64(number * unit).ok(),
        Err(_) => text.trim().parse::<SignedDuration>().ok().and_then(|time| Duration::try_from(time).ok()),
    };
    given
        .filter(|time| !time.is_zero())
        .ok_or_else(|| format!("`{text}` is not a time above zero such as 500ms, 90s, 10min or 1h 30m"))
}

/// A time such as 5ms, or none: 0.
pub(super) fn waiting(text: &str) -> Result<Duration, String> {
    if matches!(text.trim(), "0" | "0s" | "0ms") {
        return Ok(Duration::ZERO);
    }
    time(text, 1.0)
}

/// A number of bytes such as 7MB, 900kB or 7000000.
pub(super) fn bytes(text: &str) -> Result<usize, String> {
    let end = text.find(|c: char| c.is_ascii_alphabetic()).unwrap_or(text.len());
    let unit = match text[end..].to_ascii_lowercase().as_str() {
        "" | "b" => 1.0,
        "kb" => 1e3,
        "mb" => 1e6,
        "gb" => 1e9,
        "kib" => 1024.0,
        "mib" => 1024.0 * 1024.0,
        "gib" => 1024.0 * 1024.0 * 1024.0,
        other => {
            return Err(format!("`{other}` is no unit of bytes, expected B, kB, MB, GB, KiB, MiB or GiB, as in 7MB"));
        }
    };
    match text[..end].trim().parse::<f64>() {
        Ok(number) if number.is_finite() && number * unit >= 1.0 => Ok((number * unit) as usize),
        _ => Err("expected a number of bytes, as in 7MB".into()),
    }
}

/// As [`bytes`], or 0.
pub(super) fn bytes_or_none(text: &str) -> Result<usize, String> {
    if text == "0" { Ok(0) } else { bytes(text) }
}

/// A number of points, none or more.
pub(super) fn points(text: &str) -> Result<f64, String> {
    match text.parse::<f64>() {
        Ok(points) if points.is_finite() && points >= 0.0 => Ok(points),
        _ => Err("expected a number from 0, in points of the score".into()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_have_units() {
        let shown = |time: Result<Duration, String>| time.map(|time| time.as_secs_f64());
        for (text, expected) in
            [("90s", 90.0), ("10min", 600.0), ("2 min", 120.0), ("1.5h", 5400.0), ("1h 30m", 5400.0), ("500ms", 0.5)]
        {
            assert_eq!(shown(seconds(text)), Ok(expected), "{text}");
            assert_eq!(shown(minutes(text)), Ok(expected), "{text}");
        }
        assert_eq!((shown(seconds("1.5")), shown(minutes("1.5"))), (Ok(1.5), Ok(90.0)));
        assert_eq!((shown(waiting("0")), shown(waiting("0ms")), shown(waiting("5ms"))), (Ok(0.0), Ok(0.0), Ok(0.005)));
        for text in ["0", "0s", "-1", "-1s", "nan", "inf", "1e300", "", "soon", "5 parsecs"] {
            assert!(seconds(text).unwrap_err().contains("not a time above zero"), "{text}");
        }
    }
}
