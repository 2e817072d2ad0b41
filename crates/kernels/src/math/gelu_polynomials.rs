//! Polynomials of the erf GELU and its derivative, from `fits/gelu.py`: Φ and the slope, each less 1/2 and divided by x.

/// Beyond this, Φ is 0 or 1 to the precision of a 32-bit float.
pub(super) const CDF_LIMIT: f32 = 5.5;
/// Beyond this, the derivative is 0 or 1.
pub(super) const SLOPE_LIMIT: f32 = 6.0;

/// Largest error 8.25e-8 (in f32, over [-5.5, 5.5]).
pub(super) const CDF: [f32; 16] = [
    1.2855193e-1,
    -6.417234e-2,
    4.7737602e-2,
    -3.87926e-2,
    3.2070685e-2,
    -2.6050437e-2,
    2.0361828e-2,
    -1.4988012e-2,
    1.0236158e-2,
    -6.848559e-3,
    4.6088835e-3,
    -2.379201e-3,
    7.299364e-4,
    -5.5663346e-4,
    6.2863406e-4,
    -2.2878779e-4,
];

/// Largest error 2.08e-7 (in f32, over [-6.0, 6.0]).
pub(super) const SLOPE: [f32; 19] = [
    1.17897764e-1,
    -5.93428e-2,
    4.605763e-2,
    -4.236591e-2,
    4.455804e-2,
    -5.093068e-2,
    5.8666423e-2,
    -6.434921e-2,
    6.701937e-2,
    -6.562087e-2,
    5.397676e-2,
    -3.6602765e-2,
    3.2235146e-2,
    -3.2668658e-2,
    1.51741635e-2,
    1.4523196e-3,
    2.3614494e-3,
    -6.846988e-3,
    2.6621528e-3,
];
