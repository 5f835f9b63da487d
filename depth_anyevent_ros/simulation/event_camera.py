# Copyright 2026 depth_anyevent_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""
The pixels of an event camera: thresholds on the logarithm of luminance.

After Rebecq, Gehrig and Scaramuzza, ESIM: an Open Event Camera Simulator (CoRL 2018), with
luminance taken as linear between two renders. Refractory time is that of the real pixel (held
in reset, then starting afresh), where ESIM only drops events; noise after Hu, Liu and Delbruck,
v2e: From Video Frames to Realistic DVS Events (CVPRW 2021).
"""
from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from depth_anyevent_ros.events.jit import njit
from depth_anyevent_ros.events.types import Events

# Below this luminance (white in full light is 1) a pixel sees nothing but its dark current.
DARKEST = 1e-3


@dataclass(frozen=True)
class EventCameraConfig:
    """
    Settings of the pixels.

    threshold_on, threshold_off: change of the natural logarithm of luminance that makes an
    event. mismatch: standard deviation of the thresholds from pixel to pixel, as a share of
    them. refractory_ns: how long a pixel rests after an event. leak_hz: ON events a second of a
    pixel whose light does not change. shot_noise_hz: random events a second and pixel.
    """

    threshold_on: float = 0.25
    threshold_off: float = 0.25
    mismatch: float = 0.03
    refractory_ns: int = 100_000
    leak_hz: float = 0.0
    shot_noise_hz: float = 0.0
    seed: int = 0

    def __post_init__(self) -> None:
        if self.threshold_on <= 0 or self.threshold_off <= 0:
            raise ValueError('thresholds have to be positive, got '
                             f'{self.threshold_on} and {self.threshold_off}')
        if min(self.mismatch, self.refractory_ns, self.leak_hz, self.shot_noise_hz) < 0:
            raise ValueError('mismatch, refractory_ns, leak_hz and shot_noise_hz must not be '
                             'negative')


class EventCamera:
    """
    The state of all pixels; luminance in, events out.

    difference: float64 (height, width), how far the log luminance is from where the pixel last
    fired; it begins anywhere between the thresholds, as if the camera had run before.
    on, off: float64 (height, width), the thresholds.
    """

    def __init__(self, config: EventCameraConfig, height: int, width: int) -> None:
        generator = np.random.default_rng([config.seed, 0])
        self._noise = np.random.default_rng([config.seed, 1])
        self._config = config
        # Three deviations at most, so that no threshold comes near zero.
        self.on, self.off = (
            threshold * (1 + config.mismatch * np.clip(
                generator.standard_normal((height, width)), -3, 3))
            for threshold in (config.threshold_on, config.threshold_off))
        if min(self.on.min(), self.off.min()) <= 0:
            raise ValueError(f'a mismatch of {config.mismatch} makes thresholds negative')
        self.difference = generator.uniform(-self.off, self.on)
        self._rest_ns = np.zeros((height, width))
        self._log: np.ndarray | None = None
        self._time_ns = 0

    def update(self, time_ns: int, luminance: np.ndarray) -> Events:
        """
        Take luminance, (height, width), at a time; return the events since the last call.

        The first call starts the camera and returns none. Events are sorted by time, which is
        cut to microseconds, and within one microsecond by row and column.
        """
        log = np.log(np.maximum(luminance, DARKEST, dtype=np.float64))
        before, self._log = self._log, log
        start_ns, self._time_ns = self._time_ns, time_ns
        if before is None:
            return Events.concatenate([])
        if time_ns <= start_ns:
            raise ValueError(f'time has to go on, from {start_ns} ns it went to {time_ns} ns')
        span_ns = time_ns - start_ns
        leak = self._config.leak_hz * 1e-9 * self.on
        change = (log - before) + leak * span_ns
        room = change.size + int(np.sum(
            (np.abs(change) + np.abs(self.difference)) / np.minimum(self.on, self.off)))
        t, x, y, p = (np.empty(room, dtype)
                      for dtype in (np.int64, np.uint16, np.uint16, np.uint8))
        count = _cross(change, float(span_ns), self.on, self.off,
                       float(self._config.refractory_ns), self.difference, self._rest_ns,
                       t, x, y, p)
        events = self._add_noise(t[:count], x[:count], y[:count], p[:count], span_ns)
        times = (start_ns + events.t) // 1000 * 1000
        order = np.argsort(times, kind='stable')
        return Events(times[order], events.x[order], events.y[order], events.p[order])

    def _add_noise(self, t: np.ndarray, x: np.ndarray, y: np.ndarray, p: np.ndarray,
                   span_ns: int) -> Events:
        height, width = self.on.shape
        count = self._noise.poisson(self._config.shot_noise_hz * height * width * span_ns * 1e-9)
        if not count:
            return Events(t, x, y, p)
        noise = (self._noise.integers(0, high, count) for high in (span_ns, width, height, 2))
        return Events(*(np.concatenate([values, extra.astype(values.dtype)])
                        for values, extra in zip((t, x, y, p), noise)))


@njit
def _cross(change, span, on, off, refractory, difference, rest, t, x, y, p):
    """
    Find where each pixel crosses its thresholds while its log luminance moves by change.

    rest: how long each pixel still rests at the start. Times are nanoseconds from the start.
    Return the number of events written to t, x, y, p; difference and rest move on by span.
    """
    height, width = change.shape
    n = 0
    for row in range(height):
        for column in range(width):
            now = rest[row, column]
            if now >= span:
                rest[row, column] = now - span
                continue
            slope = change[row, column] / span
            level = difference[row, column]
            while slope != 0:
                threshold = on[row, column] if slope > 0 else -off[row, column]
                # max: rounding may leave a pixel a hair beyond its threshold.
                crossing = now + max((threshold - level) / slope, 0.0)
                if crossing > span:
                    break
                t[n] = np.int64(crossing)
                x[n] = column
                y[n] = row
                p[n] = 1 if slope > 0 else 0
                n += 1
                level = 0.0
                now = crossing + refractory
                if now >= span:
                    break
            if now < span:
                level += slope * (span - now)
            rest[row, column] = max(now - span, 0.0)
            difference[row, column] = level
    return n
