# Copyright 2026 depth_anyevent_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""
The pixels of an event camera: thresholds on the logarithm of luminance.

After Rebecq, Gehrig and Scaramuzza, ESIM: an Open Event Camera Simulator (CoRL 2018), with log
luminance taken as linear between two renders. Refractory time is that of the real pixel (held
in reset, then starting afresh), where ESIM only drops events. Bandwidth and noise after Hu, Liu
and Delbruck, v2e: From Video Frames to Realistic DVS Events (CVPRW 2021): a low-pass whose
cut-off is proportional to luminance, leak events, and shot noise that falls to a quarter in the
light. v2e has the noise fall over its 8 bits of intensity; here it falls around one luminance,
as light spans decades.
"""
from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
import math

import numpy as np

from depth_anyevent_ros.events.types import Events
from depth_anyevent_ros.simulation.event_pixels import advance, LARGEST_JITTER

# Luminance (white in full light is 1) where shot noise has lost half of what light takes from it.
HALF_NOISE_LUMINANCE = 0.03


@dataclass(frozen=True)
class EventCameraConfig:
    """
    Settings of the pixels. The defaults leave out every effect that a setting adds.

    threshold_on, threshold_off: change of the natural logarithm of luminance that makes an
    event. mismatch: standard deviation of the thresholds from pixel to pixel, as a share of
    them. refractory_ns: how long a pixel rests after an event.
    leak_hz: ON events a second of a pixel whose light does not change. shot_noise_hz: random
    events a second of a pixel in the dark; shot_noise_bright: share of them left in bright
    light. noise_spread: standard deviation of the decimal logarithm of both rates from pixel to
    pixel. reset_jitter: standard deviation of the level from which a pixel starts afresh, as a
    share of its threshold; it makes leak events irregular.
    hot_pixels: share of pixels that fire ON events on their own, hot_hz times a second and less.
    bandwidth_hz: cut-off frequency of the photoreceptor at luminance 1, in proportion to
    luminance, but within bandwidth_min_hz and bandwidth_max_hz; 0 for no limit.
    dark_current: luminance that the photodiode's own current is worth.
    """

    threshold_on: float = 0.25
    threshold_off: float = 0.25
    mismatch: float = 0.03
    refractory_ns: int = 100_000
    leak_hz: float = 0.0
    shot_noise_hz: float = 0.0
    seed: int = 0
    shot_noise_bright: float = 1.0
    noise_spread: float = 0.0
    reset_jitter: float = 0.0
    hot_pixels: float = 0.0
    hot_hz: float = 50.0
    bandwidth_hz: float = 0.0
    bandwidth_min_hz: float = 10.0
    bandwidth_max_hz: float = 3000.0
    dark_current: float = 1e-6

    def __post_init__(self) -> None:
        if math.sqrt(3) * self.reset_jitter > LARGEST_JITTER:
            raise ValueError(f'reset_jitter has to be at most {LARGEST_JITTER / math.sqrt(3):.2f}'
                             f', got {self.reset_jitter}')
        if self.threshold_on <= 0 or self.threshold_off <= 0:
            raise ValueError('thresholds have to be positive, got '
                             f'{self.threshold_on} and {self.threshold_off}')
        names = ('mismatch', 'refractory_ns', 'leak_hz', 'shot_noise_hz', 'noise_spread',
                 'reset_jitter', 'hot_hz', 'bandwidth_hz')
        negative = [name for name in names if getattr(self, name) < 0]
        if negative:
            raise ValueError(f'{", ".join(negative)} must not be negative')
        if not (0 <= self.shot_noise_bright <= 1 and 0 <= self.hot_pixels <= 1):
            raise ValueError('shot_noise_bright and hot_pixels are shares within 0 and 1, got '
                             f'{self.shot_noise_bright} and {self.hot_pixels}')
        if not 0 < self.bandwidth_min_hz <= self.bandwidth_max_hz:
            raise ValueError('bandwidth_min_hz has to be positive and at most bandwidth_max_hz, '
                             f'got {self.bandwidth_min_hz} and {self.bandwidth_max_hz}')
        if self.dark_current <= 0:
            raise ValueError(f'dark_current has to be positive, got {self.dark_current}')


class EventCamera:
    """
    The state of all pixels; luminance in, events out.

    difference: float64 (height, width), how far the log luminance is from where the pixel last
    started afresh; it begins anywhere between the thresholds, as if the camera had run before.
    on, off: float32 (height, width), the thresholds.
    """

    def __init__(self, config: EventCameraConfig, height: int, width: int) -> None:
        generator = np.random.default_rng([config.seed, 0])
        self._noise = np.random.default_rng([config.seed, 1])
        self._random = np.random.default_rng([config.seed, 4]).integers(
            1, 2 ** 63, 1, dtype=np.uint64)
        self._config = config
        # Three deviations at most, so that no threshold comes near zero.
        self.on, self.off = (
            (threshold * (1 + config.mismatch * np.clip(
                generator.standard_normal((height, width)), -3, 3))).astype(np.float32)
            for threshold in (config.threshold_on, config.threshold_off))
        if min(self.on.min(), self.off.min()) <= 0:
            raise ValueError(f'a mismatch of {config.mismatch} makes thresholds negative')
        self.difference = generator.uniform(-self.off, self.on)
        self._spread = 10 ** (config.noise_spread * np.clip(
            generator.standard_normal((height, width)), -3, 3))
        self._noisiest = self._spread.max()
        leak_hz = config.leak_hz * self._spread
        hot = generator.random((height, width)) < config.hot_pixels
        leak_hz[hot] = config.hot_hz * generator.random(np.count_nonzero(hot))
        # The current of the leak does not know the pixel's threshold, so that its rate does.
        self._leak = (leak_hz * config.threshold_on * 1e-9).astype(np.float32)
        self._ready_ns = np.zeros((height, width))
        self._room = _room(height * width)
        self._log: np.ndarray | None = None
        self._filtered = np.empty((height, width))
        self._start_ns = self._time_ns = 0

    def update(self, time_ns: int, luminance: np.ndarray) -> Events:
        """
        Take luminance, (height, width), at a time; return the events since the last call.

        The first call starts the camera and returns none. Events are sorted by time, which is
        cut to microseconds, and within one microsecond by row and column, shot noise last.
        """
        luminance = np.asarray(luminance, np.float32)
        if self._log is None:
            self._log = np.log(luminance.astype(np.float64) + self._config.dark_current)
            self._filtered = self._log.copy()
            self._start_ns = self._time_ns = time_ns
            return Events.concatenate([])
        if time_ns <= self._time_ns:
            raise ValueError(
                f'time has to go on, from {self._time_ns} ns it went to {time_ns} ns')
        start_ns, self._time_ns = self._time_ns, time_ns
        found = Events.concatenate([
            *self._advance(luminance, start_ns, time_ns - start_ns),
            *self._shot_noise(luminance, time_ns - start_ns)])
        begin_us = start_ns // 1000
        times = (start_ns + found.t) // 1000 - begin_us
        # Whole microseconds of a step fit into 16 bits, which numpy sorts much faster.
        short = time_ns - start_ns < 60_000_000
        order = np.argsort(times.astype(np.uint16) if short else times, kind='stable')
        return Events((begin_us + times[order]) * 1000, found.x[order], found.y[order],
                      found.p[order])

    def _advance(self, luminance: np.ndarray, start_ns: int, span_ns: int) -> Iterator[Events]:
        """Yield what the pixels see, times from the start of the step, not yet sorted."""
        config = self._config
        radians = 2 * math.pi * span_ns * 1e-9
        row = 0
        while row < len(luminance):
            row, count = advance(
                row, luminance, float(start_ns - self._start_ns), float(span_ns),
                radians * config.bandwidth_hz, radians * config.bandwidth_min_hz,
                radians * config.bandwidth_max_hz, config.dark_current, self._leak, self.on,
                self.off, float(config.refractory_ns),
                math.sqrt(3) * config.reset_jitter, self._random, self._log, self._filtered,
                self.difference, self._ready_ns, *self._room)
            yield Events(*(values[:count].copy() for values in self._room))
            if row < len(luminance):
                self._room = _room(2 * len(self._room[0]))

    def _shot_noise(self, luminance: np.ndarray, span_ns: int) -> Iterator[Events]:
        """Yield events at random times and pixels; noise does not move the pixels' levels."""
        height, width = self.on.shape
        rate = self._config.shot_noise_hz * self._noisiest * height * width
        count = self._noise.poisson(rate * span_ns * 1e-9)
        if not count:
            return
        t, x, y, p = (self._noise.integers(0, high, count) for high in (span_ns, width, height, 2))
        # So many for the noisiest pixel in the dark; of the others each keeps its share.
        bright = self._config.shot_noise_bright
        share = bright + (1 - bright) / (1 + luminance[y, x] / HALF_NOISE_LUMINANCE)
        kept = self._noise.random(count) * self._noisiest < self._spread[y, x] * share
        yield Events(t[kept], x[kept].astype(np.uint16), y[kept].astype(np.uint16),
                     p[kept].astype(np.uint8))


def _room(count: int) -> tuple[np.ndarray, ...]:
    """Return empty arrays t, x, y, p for so many events."""
    return tuple(np.empty(count, dtype) for dtype in (np.int64, np.uint16, np.uint16, np.uint8))
