# Copyright 2026 depth_anyevent_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Closed roads, on which a car can drive for any time in a street of bounded size."""
from __future__ import annotations

from dataclasses import dataclass
import math

import numpy as np

STEP_M = 0.25


@dataclass(frozen=True)
class Route:
    """
    The centre line of a road that closes.

    points: float64 (n, 2), metres, at even distances step_m along it, anticlockwise. heading:
    float64 (n,), radians, that grows by 2 pi in one lap. curvature: float64 (n,), 1/m, positive
    to the left.
    """

    points: np.ndarray
    heading: np.ndarray
    curvature: np.ndarray
    step_m: float

    @property
    def length(self) -> float:
        """Metres of one lap."""
        return len(self.points) * self.step_m

    def at(self, along: np.ndarray | float, left: np.ndarray | float = 0.0) -> np.ndarray:
        """
        Return x, y, heading, float64 (..., 3), at distances along the road.

        along: metres, of any lap. left: metres to the left of the centre line. Twice
        differentiable but at the samples, where it is once.
        """
        place = np.asarray(along, np.float64) / self.step_m
        index = np.floor(place).astype(np.int64)
        t = place - index
        laps = index // len(self.points)
        rows = np.column_stack([self.points, self.heading])
        a, b, c, d = (rows[(index + k) % len(rows)] for k in (-1, 0, 1, 2))
        ab, bc, cd = b - a, c - b, d - c
        # Where the lap ends its heading falls back by 2 pi.
        for difference in (ab, bc, cd):
            difference[..., 2] = np.remainder(difference[..., 2] + math.pi, 2 * math.pi) - math.pi
        t = t[..., None]
        found = b + 0.5 * t * (ab + bc + t * (3 * bc - 2 * ab - cd + t * (ab - 2 * bc + cd)))
        x, y = found[..., 0], found[..., 1]
        heading = found[..., 2] + 2 * math.pi * laps
        return np.stack([x - left * np.sin(heading), y + left * np.cos(heading), heading], -1)

    def distance(self, points: np.ndarray) -> np.ndarray:
        """Return the distance of points, (m, 2), from the centre line, float64 (m,)."""
        coarse = self.points[::4]
        difference = points[:, None] - coarse
        return np.sqrt((difference ** 2).sum(-1).min(1))


def polygon_route(corners: np.ndarray, rounding_m: float) -> Route:
    """
    Return the road along a polygon, (n, 2) anticlockwise, with rounded corners.

    rounding_m: standard deviation of the Gaussian that rounds it; a right angle gets a smallest
    radius of 1.6 times that.
    """
    points = _even(np.asarray(corners, np.float64))
    frequency = np.fft.rfftfreq(len(points), STEP_M)
    kernel = np.exp(-2 * (math.pi * rounding_m * frequency) ** 2)
    smooth = np.fft.irfft(np.fft.rfft(points, axis=0) * kernel[:, None], len(points), axis=0)
    return _route(smooth)


def wavy_route(generator: np.random.Generator, radius_m: float, waves: tuple[int, ...],
               amplitude: float) -> Route:
    """Return a ring whose radius varies by amplitude (a share of it) in waves."""
    angle = np.arange(4096) * 2 * math.pi / 4096
    radius = np.ones_like(angle)
    for wave in waves:
        size = amplitude * generator.uniform(0.6, 1.0) / math.sqrt(len(waves))
        radius += size * np.cos(wave * angle + generator.uniform(0, 2 * math.pi))
    stretch = generator.uniform(1.0, 1.4)
    return _route(radius_m * radius[:, None]
                  * np.column_stack([stretch * np.cos(angle), np.sin(angle) / stretch]))


def _even(corners: np.ndarray) -> np.ndarray:
    """Return points at even distances of about STEP_M along a closed polygon."""
    closed = np.vstack([corners, corners[:1]])
    along = np.concatenate([[0], np.cumsum(np.hypot(*np.diff(closed, axis=0).T))])
    count = max(round(along[-1] / STEP_M), 8)
    places = np.arange(count) * along[-1] / count
    return np.column_stack([np.interp(places, along, closed[:, axis]) for axis in (0, 1)])


def _route(points: np.ndarray) -> Route:
    points = _even(points)
    step = np.hypot(*(np.roll(points, -1, 0) - points).T).mean()
    tangent = np.roll(points, -1, 0) - np.roll(points, 1, 0)
    heading = np.unwrap(np.arctan2(tangent[:, 1], tangent[:, 0]))
    turn = np.remainder(np.roll(heading, -1) - np.roll(heading, 1) + math.pi,
                        2 * math.pi) - math.pi
    return Route(points, heading, turn / (2 * step), float(step))
