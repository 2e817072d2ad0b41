"""Fits the polynomials of src/math/gelu_polynomials.rs: (cdf(x) - 1/2)/x and (gelu'(x) - 1/2)/x as functions of x^2.

Both are smooth and even, so a polynomial in u = 2 x^2/R^2 - 1 on [-1, 1] converges fast and its coefficients
stay small. Run with numpy; prints the Rust constants and the largest error in f32 arithmetic.
"""
from math import erf, exp, pi, sqrt

import numpy as np
from numpy.polynomial import chebyshev


def cdf_part(x):
    return 0.5 * erf(x / sqrt(2)) / x if x > 0 else 1 / sqrt(2 * pi)


def slope_part(x):
    return cdf_part(x) + exp(-x * x / 2) / sqrt(2 * pi)


def fit(name, part, limit, degree):
    nodes = np.cos((np.arange(4000) + 0.5) * pi / 4000)
    x = np.sqrt((nodes + 1) / 2) * limit
    # Weighted by x, because what is used is x times the polynomial.
    coefficients = chebyshev.chebfit(nodes, [part(t) for t in x], degree, w=x + 0.05)
    p = chebyshev.cheb2poly(coefficients).astype(np.float32)
    t = np.linspace(-limit, limit, 20001).astype(np.float32)
    u = (t * t * np.float32(2 / limit**2) - np.float32(1)).astype(np.float32)
    value = np.zeros_like(u)
    for c in p[::-1]:
        value = (value * u + c).astype(np.float32)
    error = np.abs(t * value - np.array([s * part(abs(s)) for s in t.astype(float)])).max()
    print(f"/// Largest error {error:.2e} (in f32, over [-{limit}, {limit}]).")
    print(f"const {name}: [f32; {degree + 1}] = [")
    for c in p:
        print(f"    {np.format_float_scientific(c, unique=True)},")
    print("];")


fit("CDF", cdf_part, 5.5, 15)
fit("SLOPE", slope_part, 6.0, 18)
