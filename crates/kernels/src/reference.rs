//! Scalar references in double precision: slow, plain, and what the kernels are tested against.

/// `x/2 (1 + erf(x/√2))` (Hendrycks & Gimpel, arXiv 1606.08415).
pub fn gelu(x: f64) -> f64 {
    x * normal_cdf(x)
}

/// Derivative of [`gelu`]: `Φ(x) + x φ(x)`.
pub fn gelu_slope(x: f64) -> f64 {
    normal_cdf(x) + x * (-x * x / 2.0).exp() / (2.0 * std::f64::consts::PI).sqrt()
}

/// `Φ(x)`, the distribution function of the standard normal distribution.
///
/// By the series `Φ(x) = 1/2 + φ(x) (x + x³/3 + x⁵/(3·5) + …)`, whose terms all have one sign, so
/// that nothing cancels; beyond ±8 it is 0 or 1 to double precision's tenth digit.
fn normal_cdf(x: f64) -> f64 {
    if x.abs() > 8.0 {
        return if x > 0.0 { 1.0 } else { 0.0 };
    }
    let (mut term, mut sum, mut odd) = (x, x, 1.0);
    while sum + term != sum {
        odd += 2.0;
        term *= x * x / odd;
        sum += term;
    }
    0.5 + sum * (-x * x / 2.0).exp() / (2.0 * std::f64::consts::PI).sqrt()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn known_values() {
        // Φ(1), Φ(2), Φ(-3) from tables of the normal distribution.
        let known = [(1.0, 0.841_344_746_068_543), (2.0, 0.977_249_868_051_821), (-3.0, 0.001_349_898_031_630_1)];
        for (x, cdf) in known {
            assert!((normal_cdf(x) - cdf).abs() < 1e-14, "{x}: {}", normal_cdf(x));
        }
        assert_eq!(gelu(0.0), 0.0);
        assert_eq!(gelu_slope(0.0), 0.5);
    }

    #[test]
    fn the_slope_is_the_derivative() {
        for i in -600..=600 {
            let (x, h) = (f64::from(i) / 100.0, 1e-5);
            let difference = (gelu(x + h) - gelu(x - h)) / (2.0 * h);
            // A central difference is exact to about h²; rounding adds ε/h.
            assert!((gelu_slope(x) - difference).abs() < 1e-9, "{x}");
        }
    }
}
