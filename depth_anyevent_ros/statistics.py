# Copyright 2026 depth_anyevent_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Rates and percentiles of what happened lately."""
from __future__ import annotations

from collections import deque
import time

import numpy as np


class RecentRate:
    """
    Rate of a growing counter over the last few seconds.

    Time before it first grows does not count, so that the rate is right from the start.
    """

    def __init__(self, span_s: float = 5.0):
        self._span_s = span_s
        self._marks: deque[tuple[float, int]] = deque()

    def update(self, total: int, now: float | None = None) -> float:
        """Take the counter's present value; return its rate in 1/s."""
        now = time.monotonic() if now is None else now
        if self._marks and total <= self._marks[0][1]:  # nothing came yet, or it began anew
            self._marks.clear()
        self._marks.append((now, total))
        while len(self._marks) > 2 and self._marks[1][0] < now - self._span_s:
            self._marks.popleft()
        (begin, first), (end, last) = self._marks[0], self._marks[-1]
        return (last - first) / (end - begin) if end > begin else 0.0


class RecentTimes:
    """Rate of things that happen one by one; times may be added by another thread."""

    def __init__(self, span_s: float = 5.0):
        self._span_s = span_s
        self._times: deque[float] = deque(maxlen=1000)

    def add(self, now: float | None = None) -> None:
        """Say that it happened, at a monotonic time in seconds."""
        self._times.append(time.monotonic() if now is None else now)

    def rate(self, now: float | None = None) -> float:
        """Return how often a second it happened in the last span, from the first to the last."""
        now = time.monotonic() if now is None else now
        times = [t for t in list(self._times) if t > now - self._span_s]
        return (len(times) - 1) / (times[-1] - times[0]) if len(times) > 1 else 0.0


class RecentValues:
    """Percentiles of the last few values; values may be added by another thread."""

    def __init__(self, count: int = 300):
        self._values: deque[float] = deque(maxlen=count)

    def add(self, value: float) -> None:
        """Append a value."""
        self._values.append(value)

    def percentile(self, percent: float) -> float | None:
        """Return the percentile, None without any value."""
        values = list(self._values)
        return float(np.percentile(values, percent)) if values else None
