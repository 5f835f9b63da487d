# Copyright 2026 depth_anyevent_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""How wide an interval has to be that few values tell: quantiles of Student's distribution."""
from __future__ import annotations

import math
from statistics import NormalDist


def student_quantile(share: float, freedom: int) -> float:
    """Return the t below which `share`, above a half, of Student's distribution lies."""
    low, high = 0.0, math.pi / 2  # of atan(t / sqrt(freedom))
    for _ in range(60):
        middle = (low + high) / 2
        if (1 + _within(middle, freedom)) / 2 < share:
            low = middle
        else:
            high = middle
    return math.sqrt(freedom) * math.tan(low)


def expanded_tail(count: int, confidence: float) -> float:
    """
    Return the share of bootstrap draws to leave below an interval for a mean of `count` values.

    Phi(-t sqrt(n / (n - 1))) with the quantile t of Student's distribution, n - 1 degrees of
    freedom: as wide as the interval of a mean by t.
    """
    t = student_quantile((1 + confidence) / 2, count - 1)
    return NormalDist().cdf(-t * math.sqrt(count / (count - 1)))


def _within(angle: float, freedom: int) -> float:
    """Return the share between -t and t (Abramowitz and Stegun, 26.7.3 and 26.7.4)."""
    odd = freedom % 2
    term = total = (math.cos(angle) if freedom > 1 else 0.0) if odd else 1.0
    for k in range(2 + odd, freedom - 1, 2):
        term *= (k - 1) / k * math.cos(angle) ** 2
        total += term
    total *= math.sin(angle)
    return 2 / math.pi * (angle + total) if odd else total
