//! Repeated measurements as one.

use std::fmt;

use serde::{Deserialize, Serialize};

/// Mean and deviation of measurements that differ by their seed.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Spread {
    /// Their mean.
    pub mean: f64,
    /// Their sample standard deviation; `None` for a single one.
    pub deviation: Option<f64>,
    /// Their number.
    pub count: usize,
}

impl Spread {
    /// Of some values; `None` of none.
    pub fn of(values: &[f64]) -> Option<Self> {
        let count = values.len();
        if count == 0 {
            return None;
        }
        let mean = values.iter().sum::<f64>() / count as f64;
        let squares: f64 = values.iter().map(|value| (value - mean).powi(2)).sum();
        Some(Self { mean, deviation: (count > 1).then(|| (squares / (count - 1) as f64).sqrt()), count })
    }
}

/// `0.912 ± 0.004`, with as many decimals as asked for, three if nothing is.
impl fmt::Display for Spread {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let decimals = f.precision().unwrap_or(3);
        write!(f, "{:.decimals$}", self.mean)?;
        self.deviation.map_or(Ok(()), |deviation| write!(f, " ± {deviation:.decimals$}"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_spread_is_mean_and_sample_deviation() {
        let spread = Spread::of(&[1.0, 2.0, 4.0, 5.0]).unwrap();
        // The squares add up to 10, over three degrees of freedom.
        assert_eq!((spread.mean, spread.count), (3.0, 4));
        assert!((spread.deviation.unwrap() - (10.0f64 / 3.0).sqrt()).abs() < 1e-12);
        assert_eq!(format!("{spread} {spread:.1}"), "3.000 ± 1.826 3.0 ± 1.8");
    }

    #[test]
    fn one_value_has_no_deviation() {
        assert_eq!(Spread::of(&[0.5]).map(|spread| spread.to_string()), Some("0.500".into()));
        assert_eq!(Spread::of(&[]), None);
    }
}
