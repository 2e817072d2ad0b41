"""Fits the polynomials for 2^f in src/math.rs, with the smallest largest relative error.

Run with numpy; prints the constants and the largest relative error in f32 arithmetic.
"""

import numpy as np


def fit(name, low, high, degree):
    x = (np.cos(np.pi * (np.arange(4000) + 0.5) / 4000) + 1) / 2 * (high - low) + low
    powers = np.vander(x, degree + 1, increasing=True) * (2.0**-x)[:, None]
    weights = np.ones_like(x)
    # Lawson's way from least squares to the smallest largest error: where the error is large, it counts more.
    for _ in range(400):
        root = np.sqrt(weights)[:, None]
        coefficients, *_ = np.linalg.lstsq(powers * root, root[:, 0], rcond=None)
        error = np.abs(powers @ coefficients - 1)
        weights *= error / error.max() + 1e-3
        weights /= weights.mean()
    coefficients = coefficients.astype(np.float32)
    t = np.linspace(low, high, 200001).astype(np.float32)
    value = np.zeros_like(t)
    for c in coefficients[::-1]:
        value = (value * t + c).astype(np.float32)
    largest = np.abs(value / 2.0 ** t.astype(float) - 1).max()
    print(f"{name}: largest relative error {largest:.2e} for f in [{low}, {high}]")
    print("[" + ", ".join(np.format_float_positional(c, unique=True) for c in coefficients) + "]")


fit("exp2", -0.5, 0.5, 5)
fit("exp2_in_range", 0.0, 1.0, 5)
fit("exp2_coarse", 0.0, 1.0, 3)
