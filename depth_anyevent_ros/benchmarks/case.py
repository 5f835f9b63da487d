# Copyright 2026 depth_anyevent_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""One measured case, and how it is measured."""
from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
import time

import numpy as np


@dataclass(frozen=True)
class Case:
    """
    A rate, in `unit`, over repeated runs, and a baseline's beside it.

    median, min, max: of the rate. baseline: what it is compared with, in words. ratio: the
    median over the baseline's, above 1 when faster.
    """

    name: str
    median: float
    min: float
    max: float
    unit: str
    baseline: str
    ratio: float


@dataclass(frozen=True)
class Work:
    """
    A piece of work to be timed.

    run: does it once. amount: how much of the unit it does, so that amount over seconds is its
    rate.
    """

    run: Callable[[], object]
    amount: float


def compare(name: str, unit: str, work: Work, baseline: str, other: Work,
            repeats: int) -> Case:
    """
    Time work and its baseline by turns, so that a busy machine slows both down.

    Both run once before, unmeasured, to compile and to fill caches.
    """
    rates: tuple[list[float], list[float]] = ([], [])
    for one in (work, other):
        one.run()
    for _ in range(repeats):
        for one, found in zip((work, other), rates):
            begin = time.perf_counter()
            one.run()
            found.append(one.amount / (time.perf_counter() - begin))
    median = float(np.median(rates[0]))
    return Case(name, median, min(rates[0]), max(rates[0]), unit, baseline,
                median / float(np.median(rates[1])))
