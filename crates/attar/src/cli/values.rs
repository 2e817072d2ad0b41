//! Values of flags that have units.

/// Seconds of a time such as 90s, 10min or 1h; minutes without a unit.
pub(super) fn duration(text: &str) -> Result<f64, String> {
    let end = text.find(|c: char| c.is_ascii_alphabetic()).unwrap_or(text.len());
    let unit = match &text[end..] {
        "s" | "sec" => 1.0,
        "" | "m" | "min" => 60.0,
        "h" => 3600.0,
        other => return Err(format!("`{other}` is no unit of time, expected s, min or h, as in 10min")),
    };
    match text[..end].trim().parse::<f64>() {
        Ok(number) if number.is_finite() && number > 0.0 => Ok(number * unit),
        _ => Err("expected a time above 0, as in 10min".into()),
    }
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

/// A number of points, none or more.
pub(super) fn points(text: &str) -> Result<f64, String> {
    match text.parse::<f64>() {
        Ok(points) if points.is_finite() && points >= 0.0 => Ok(points),
        _ => Err("expected a number from 0, in points of the score".into()),
    }
}
