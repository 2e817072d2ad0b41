//! Numbers to compute with, from a seed.

/// What numbers look like.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) enum Kind {
    /// Between -2 and 2.
    Ordinary,
    /// Around 1e15, so that products of two are far from ordinary and still finite.
    Huge,
    /// Around 1e-15.
    Tiny,
    /// All equal.
    Constant,
    /// A spread of 1e-3 around 100.
    Shifted,
    /// One of a hundred is a thousand times as large.
    Outliers,
    /// Zeros of both signs.
    Zeros,
}

pub(crate) const KINDS: [Kind; 7] =
    [Kind::Ordinary, Kind::Huge, Kind::Tiny, Kind::Constant, Kind::Shifted, Kind::Outliers, Kind::Zeros];

/// `count` numbers; equal seeds give equal numbers.
pub(crate) fn numbers(kind: Kind, count: usize, seed: u64) -> Vec<f32> {
    let mut state = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) ^ 0x5851_f42d_4c95_7f2d;
    let mut next = || {
        // A linear congruence with the constants of Knuth's MMIX; its high bits are good enough here.
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        ((state >> 40) as f32 / (1u32 << 23) as f32 - 1.0, state >> 33)
    };
    let constant = next().0;
    (0..count)
        .map(|_| {
            let (x, other) = next();
            match kind {
                Kind::Ordinary => 2.0 * x,
                Kind::Huge => 1e15 * x,
                Kind::Tiny => 1e-15 * x,
                Kind::Constant => constant,
                Kind::Shifted => 100.0 + 1e-3 * x,
                Kind::Outliers => x * if other % 100 == 0 { 1000.0 } else { 1.0 },
                Kind::Zeros => 0.0f32.copysign(x),
            }
        })
        .collect()
}

/// Signed bytes, the extreme ones among them.
pub(crate) fn bytes(count: usize, seed: u64) -> Vec<i8> {
    let byte = |x: f32| (x * 70.0).clamp(-128.0, 127.0) as i8;
    numbers(Kind::Ordinary, count, seed).into_iter().map(byte).collect()
}

pub(crate) fn doubles(x: &[f32]) -> Vec<f64> {
    x.iter().map(|&x| f64::from(x)).collect()
}

pub(crate) fn absolute(x: &[f64]) -> Vec<f64> {
    x.iter().map(|x| x.abs()).collect()
}

/// Sizes for tables of cases: all of them, or the first few under an interpreter.
pub(crate) fn sizes(all: &'static [usize], few: usize) -> &'static [usize] {
    if cfg!(miri) { &all[..few] } else { all }
}
