# Copyright 2026 depth_anyevent_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Lamps that flicker with the mains, seen in the spectrum of the events."""
from __future__ import annotations

import numpy as np

from depth_anyevent_ros.events.watch import Look

MAINS_HZ = (100, 120)  # light has twice the frequency of the mains, 50 or 60 Hz
OFF_BY_HZ = 1  # the mains, and the sensor's clock
AROUND_HZ = (70, 150)  # with what the peak is compared
PEAK = 40.0  # times the median power around it
LEAST_EVENTS = 2000  # of an area in a look
LEAST_SHARE = 0.05  # of the events of an area that swings with the lamp
LOOKS = 3  # in a row that have to agree


class FlickerWatch:
    """
    Tells from looks whether lamps flicker: hz is 100 or 120, None where they do not.

    In light that swings every pixel gives ON events while it rises and OFF events while it
    falls, all of them at once, whereas edges that move give both at the same time. So the
    spectrum of ON minus OFF events of an area has a peak at the lamp's frequency, which is
    compared with the median around it. Motion and vibration do not stay at 100 or 120 Hz: LOOKS
    in a row have to agree.
    """

    def __init__(self):
        self.hz: int | None = None
        self._last: int | None = None
        self._agreeing = 0

    def take(self, look: Look) -> None:
        """Take the next look."""
        found = flicker_of(look)
        self._agreeing = self._agreeing + 1 if found == self._last else 1
        self._last = found
        if self._agreeing >= LOOKS:
            self.hz = found


def flicker_of(look: Look) -> int | None:
    """Return the frequency, 100 or 120 Hz, at which the light of some area swings, else None."""
    total = look.areas.sum(axis=(0, 2))
    busy = total >= LEAST_EVENTS
    if not busy.any():
        return None
    signed = look.areas[:, busy, 1] - look.areas[:, busy, 0]
    window = np.hanning(len(signed))[:, None]
    amplitude = np.abs(np.fft.rfft(signed * window, axis=0)) / window.mean()
    power = amplitude ** 2
    around = np.arange(*AROUND_HZ)
    around = around[np.abs(around[:, None] - MAINS_HZ).min(axis=1) > 3 + OFF_BY_HZ]
    background = np.median(power[around], axis=0)
    best, best_peak = None, PEAK
    for hz in MAINS_HZ:
        near = slice(hz - OFF_BY_HZ, hz + OFF_BY_HZ + 1)
        swings = amplitude[near].max(axis=0) >= LEAST_SHARE * total[busy]
        peak = (power[near].max(axis=0) / np.maximum(background, 1e-9))[swings]
        if peak.size and peak.max() > best_peak:
            best, best_peak = hz, peak.max()
    return best
