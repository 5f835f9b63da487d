# Copyright 2026 depth_anyevent_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""
Errors of depth, by pixel and by frame.

The eight metrics and delta's 1.25 are those of Eigen et al., 2014 (arXiv 1406.2283). si_log is
the variance of the logarithm's error, their scale-invariant error with lambda 1.
"""
from __future__ import annotations

import numpy as np

METRICS = ('abs_rel', 'sq_rel', 'rmse', 'rmse_log', 'si_log', 'delta1', 'delta2', 'delta3')
# What a frame's scores hold, in this order: the metrics, and the mean absolute error in metres.
SCORES = (*METRICS, 'abs_error_m')
# Depth within this factor of the truth, to the power of 1, 2, 3, counts as right.
DELTA = 1.25


def pixel_errors(depth: np.ndarray, truth: np.ndarray) -> np.ndarray:
    """
    Return the errors of each pixel, float64 (9, n), whose means make the scores of a frame.

    depth, truth: metres, (n,), finite and above 0. The rows are |d|/g, d^2/g, d^2, l^2, l, three
    times 0 or 1 (within 1.25^k), and |d|, with d = depth - truth, g = truth,
    l = log(depth / truth).
    """
    depth, truth = np.asarray(depth, np.float64), np.asarray(truth, np.float64)
    difference = depth - truth
    absolute, squared = np.abs(difference), difference * difference
    logarithm = np.log(depth / truth)
    size = np.abs(logarithm)
    return np.stack([absolute / truth, squared / truth, squared, logarithm * logarithm, logarithm,
                     *(size < k * np.log(DELTA) for k in (1, 2, 3)), absolute])


def scores_of(means: np.ndarray) -> np.ndarray:
    """Turn means of `pixel_errors` over pixels, (9, ...), into scores, in the order of SCORES."""
    abs_rel, sq_rel, squared, log_squared, log, *deltas, absolute = means
    # Rounding may leave a variance of nothing a trifle below 0.
    variance = np.maximum(log_squared - log * log, 0)
    return np.stack([abs_rel, sq_rel, np.sqrt(squared), np.sqrt(log_squared), variance, *deltas,
                     absolute])


def depth_metrics(depth: np.ndarray, truth: np.ndarray) -> dict[str, float]:
    """
    Return the metrics of one frame.

    depth, truth: metres, (n,), valid pixels only. Raises ValueError for values that are not
    finite and above 0, for shapes that differ, and where there is no pixel.
    """
    depth, truth = np.asarray(depth), np.asarray(truth)
    if depth.shape != truth.shape or depth.size == 0:
        raise ValueError('metrics need depth and truth of the same pixels, at least one; the '
                         f'shapes are {depth.shape} and {truth.shape}')
    for name, values in (('depth', depth), ('truth', truth)):
        if not (np.isfinite(values) & (values > 0)).all():
            raise ValueError(f'{name} must be finite and above 0 m in every pixel: mask the '
                             'others out first')
    scores = scores_of(pixel_errors(depth.ravel(), truth.ravel()).mean(axis=1))
    return dict(zip(METRICS, scores.tolist()))


def rank_correlation(prediction: np.ndarray, truth: np.ndarray) -> float:
    """
    Return Spearman's rank correlation of two arrays (n,), NaN where the truth is constant.

    A constant prediction puts nothing in order, which is 0: were it NaN, a mean over frames would
    be better without it. Equal values share the mean of their ranks.
    """
    ranks = [_ranks(np.asarray(values)) for values in (prediction, truth)]
    deviations = [r - r.mean() for r in ranks]
    predicted, true = ((d * d).sum() for d in deviations)
    if not true > 0:
        return float('nan')
    return float((deviations[0] * deviations[1]).sum() / np.sqrt(predicted * true)) \
        if predicted > 0 else 0.0


def _ranks(values: np.ndarray) -> np.ndarray:
    _, inverse, counts = np.unique(values, return_inverse=True, return_counts=True)
    last = np.cumsum(counts)
    return (last - (counts - 1) / 2)[inverse.ravel()]
