# Copyright 2026 depth_anyevent_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""A sensor that drops events to keep their rate below a ceiling, seen in the rate itself."""
from __future__ import annotations

from collections import deque

import numpy as np

from depth_anyevent_ros.events.watch import BIN_NS, Look

STEP_BINS = 10  # milliseconds over which a rate is taken
LOOKS = 16  # that are remembered, the last minute
LEAST_EVENTS = 2500  # in STEP_BINS at the ceiling; with fewer, chance alone leaves no plateau
FLAT = 0.02  # half the height of the plateau, as a share of it
ABOVE = 0.005  # share of the rates that may lie above it
AT = 0.1  # share of the rates of a look that lie on it where the look reaches it
REACHED = 3  # looks that have to reach it
BELOW, LOWER = 0.8, 0.1  # LOWER of the rates have to lie below BELOW of it
STEEP = 4.0  # times as many on the plateau as in the band of twice the height below it


class RateControlWatch:
    """
    Tells from looks whether the rate meets a ceiling: ceiling is events a second, else None.

    The rate of a stream that nobody limits has peaks: the nearer to the highest rate, the
    rarer, and no two of them are alike. A limit cuts them off at one height, so that rates pile
    up just there, in several looks, with next to none above and others well below.
    """

    def __init__(self):
        self.ceiling: float | None = None
        self._rates: deque[np.ndarray] = deque(maxlen=LOOKS)

    def take(self, look: Look) -> None:
        """Take the next look."""
        counts = look.areas.sum(axis=(1, 2))
        self._rates.append(counts.reshape(-1, STEP_BINS).sum(axis=1))
        self.ceiling = ceiling_of(list(self._rates))


def ceiling_of(looks: list[np.ndarray]) -> float | None:
    """Return the ceiling in events a second; looks: events in each 10 ms, for each look."""
    rates = np.concatenate(looks)
    top = np.sort(rates)[-max(1, round(ABOVE * len(rates)))]
    if not top:  # hardly anything has happened
        return None
    near = rates[(rates > (1 - 2 * FLAT) * top) & (rates <= top)]
    level = float(np.median(near))
    if level < LEAST_EVENTS or np.mean(rates > (1 + FLAT) * level) > ABOVE:
        return None
    reached = sum(np.mean(np.abs(look - level) <= FLAT * level) >= AT for look in looks)
    on = np.count_nonzero(np.abs(rates - level) <= FLAT * level)
    under = np.count_nonzero((rates < (1 - FLAT) * level) & (rates >= (1 - 5 * FLAT) * level))
    if reached < REACHED or np.mean(rates < BELOW * level) < LOWER or on < STEEP * under:
        return None
    return level / (STEP_BINS * BIN_NS * 1e-9)
