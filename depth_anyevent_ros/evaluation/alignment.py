# Copyright 2026 depth_anyevent_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""
Scale and shift between a relative prediction and the truth, by least squares.

The scale may be held non-negative. Without that a prediction and its negative would score the
same. Where the best scale is negative, the best one allowed is 0: the best constant.
"""
from __future__ import annotations

from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class Alignment:
    """
    truth = scale * prediction + shift.

    negative: the best scale without a bound is below 0. singular: the prediction has no spread, so
    that no scale is better than another.
    """

    scale: float
    shift: float
    negative: bool = False
    singular: bool = False

    def apply(self, prediction: np.ndarray) -> np.ndarray:
        """Return scale * prediction + shift, float64."""
        return self.scale * np.asarray(prediction, np.float64) + self.shift


class Moments:
    """
    Means, variance and covariance of predictions and truth, over as many frames as are added.

    Sums are kept about the mean (Chan, Golub and LeVeque, 1983), so that large values with a
    small spread do not cancel.
    """

    def __init__(self):
        self.count = 0
        self._mean_x = self._mean_y = self._xx = self._xy = 0.0
        self._largest = 0.0

    def add(self, prediction: np.ndarray, truth: np.ndarray) -> None:
        """Add pixels, (n,) each, all finite."""
        count = len(prediction)
        if not count:
            return
        x, y = np.asarray(prediction, np.float64), np.asarray(truth, np.float64)
        mean_x, mean_y = float(x.mean()), float(y.mean())
        dx = x - mean_x
        total = self.count + count
        step_x, step_y = mean_x - self._mean_x, mean_y - self._mean_y
        share = self.count * count / total
        self._xx += float(dx @ dx) + step_x * step_x * share
        self._xy += float(dx @ (y - mean_y)) + step_x * step_y * share
        self._mean_x += step_x * count / total
        self._mean_y += step_y * count / total
        self._largest = max(self._largest, float(np.abs(x).max()))
        self.count = total

    def solve(self, non_negative: bool = True) -> Alignment:
        """
        Return the least-squares alignment.

        A prediction without any spread gets scale 0. Raises ValueError without any pixel.
        """
        if not self.count:
            raise ValueError('an alignment needs at least one valid pixel')
        # The spread that rounding alone gives a constant in double precision.
        noise = self.count * (1e-14 * self._largest) ** 2
        singular = self._xx <= noise
        scale = 0.0 if singular else self._xy / self._xx
        negative = scale < 0
        if negative and non_negative:
            scale = 0.0
        return Alignment(scale, self._mean_y - scale * self._mean_x, negative, singular)


def align(prediction: np.ndarray, truth: np.ndarray, non_negative: bool = True) -> Alignment:
    """Return the alignment of one frame's pixels, (n,) each, all finite."""
    moments = Moments()
    moments.add(prediction, truth)
    return moments.solve(non_negative)


def fill(prediction: np.ndarray) -> tuple[np.ndarray, int]:
    """
    Return the pixels (n,) with a number in each, and how many had none.

    A pixel that is NaN or infinite gets the mean of the others, which an alignment of this frame
    turns into the best constant: nothing is gained by leaving pixels out.
    """
    prediction = np.asarray(prediction, np.float64)
    good = np.isfinite(prediction)
    missing = int(good.size - np.count_nonzero(good))
    if missing:
        prediction = np.where(good, prediction, prediction[good].mean() if good.any() else 0.0)
    return prediction, missing
