# Copyright 2026 depth_anyevent_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""The event cameras that can be simulated, and how much copies of one of them differ."""
from __future__ import annotations

from dataclasses import dataclass, field
import math
from types import MappingProxyType
from typing import Mapping

import numpy as np

from depth_anyevent_ros.simulation.event_camera import EventCameraConfig

Range = tuple[float, float]


@dataclass(frozen=True)
class SensorRanges:
    """
    What differs from sequence to sequence, each as (lowest, highest); see EventCameraConfig.

    threshold: the geometric mean of both thresholds. bias: threshold_on / threshold_off. All
    are drawn evenly in their logarithm.
    """

    threshold: Range = (0.18, 0.4)
    bias: Range = (0.8, 1.25)
    mismatch: Range = (0.02, 0.06)
    refractory_ns: Range = (100_000, 1_000_000)
    leak_hz: Range = (0.03, 0.2)
    shot_noise_hz: Range = (0.3, 3.0)
    hot_pixels: Range = (1e-5, 3e-4)
    hot_hz: Range = (20.0, 200.0)
    bandwidth_hz: Range = (3e5, 1e6)
    bandwidth_max_hz: Range = (1000.0, 5000.0)

    def draw(self, generator: np.random.Generator, seed: int) -> EventCameraConfig:
        """Return the pixels of one sequence; seed: of what differs from pixel to pixel."""
        drawn = {name: math.exp(generator.uniform(math.log(low), math.log(high)))
                 for name, (low, high) in vars(self).items()}
        threshold, ratio = drawn.pop('threshold'), math.sqrt(drawn.pop('bias'))
        refractory_ns = round(drawn.pop('refractory_ns'))
        return EventCameraConfig(
            threshold * ratio, threshold / ratio, refractory_ns=refractory_ns, seed=seed,
            shot_noise_bright=0.25, noise_spread=0.1, reset_jitter=0.1, **drawn)


@dataclass(frozen=True)
class Sensor:
    """
    An event camera: width and height in pixels, and the encoding of its driver's packets.

    ranges: what differs between sequences. pixels: one in the middle of them.
    """

    width: int
    height: int
    encoding: str
    ranges: SensorRanges = field(default_factory=SensorRanges)

    @property
    def pixels(self) -> EventCameraConfig:
        """Return settings in the middle of the ranges."""
        middle = SensorRanges(*((_middle(span),) * 2 for span in vars(self.ranges).values()))
        return middle.draw(np.random.default_rng(0), seed=0)


def scale(sensor: Sensor, name: str) -> float:
    """Return the middle of a sensor's range over that of davis346, which factors.py is about."""
    return _middle(getattr(sensor.ranges, name)) / \
        _middle(getattr(SENSORS['davis346'].ranges, name))


def _middle(span: Range) -> float:
    return math.sqrt(span[0] * span[1])


SENSORS: Mapping[str, Sensor] = MappingProxyType({
    'davis346': Sensor(346, 260, 'evt3'),
    # Newer pixels have lower thresholds, and rest for less time.
    'vga': Sensor(640, 480, 'evt3', SensorRanges(
        threshold=(0.15, 0.35), refractory_ns=(50_000, 500_000), leak_hz=(0.02, 0.1))),
    'evk4': Sensor(1280, 720, 'evt3', SensorRanges(
        threshold=(0.15, 0.35), mismatch=(0.01, 0.04), refractory_ns=(20_000, 300_000),
        leak_hz=(0.01, 0.05), shot_noise_hz=(0.1, 1.0))),
})
