# Copyright 2026 depth_anyevent_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Flights through what is free: cubic B-splines that keep clear, and a view that swings."""
from __future__ import annotations

from collections.abc import Callable
import math

import numpy as np

# A control point of the spline each so many seconds.
KNOT_S = 0.7
TRIES = 40
# Where on a piece of the spline its clearance is looked at.
PROBES = np.linspace(0, 1, 9)[1:]

# The next direction of travel, not of unit length, from position and the last direction.
Steering = Callable[[np.ndarray, np.ndarray], np.ndarray]


def bspline(controls: np.ndarray, t: np.ndarray) -> np.ndarray:
    """
    Return a uniform cubic B-spline, float64 (m, k), twice differentiable.

    controls: (n, k). t: (m,) within 0 to n - 3, of which each whole step is one piece.
    """
    index = np.clip(t.astype(np.int64), 0, len(controls) - 4)
    u = (t - index)[:, None]
    a, b, c, d = (controls[index + k] for k in range(4))
    return ((1 - u) ** 3 * a + (3 * u ** 3 - 6 * u ** 2 + 4) * b
            + (-3 * u ** 3 + 3 * u ** 2 + 3 * u + 1) * c + u ** 3 * d) / 6


def fly(generator: np.random.Generator, clearance: Callable[[np.ndarray], np.ndarray],
        start: np.ndarray, steer: Steering, step_m: float, duration_s: float,
        margin_m: float) -> np.ndarray:
    """
    Return control points, float64 (n, 3), of a flight that stays margin_m clear of everything.

    start: (3,), clear itself. step_m: between control points. Each point is drawn about where
    steer wants to go, the further off the oftener that failed; where nothing fits, the last
    points are taken back. The flight goes slower where space is narrow.
    """
    controls = [start] * 4
    count = math.ceil(duration_s / KNOT_S) + 4
    direction = np.array([1.0, 0, 0])
    back, budget = 1, 60 * count
    while len(controls) < count:
        budget -= 1
        if budget < 0:
            # Nothing but to hover where there was room.
            controls.extend([controls[-1]] * (count - len(controls)))
            break
        wanted = steer(controls[-1], direction)
        point = _next(generator, clearance, controls, wanted / np.linalg.norm(wanted), step_m,
                      margin_m)
        if point is None:
            del controls[max(len(controls) - back, 4):]
            back = min(back * 2, 16)
            direction = generator.normal(size=3) * (1, 1, 0.3)
            direction /= np.linalg.norm(direction)
        else:
            back = 1
            direction = (point - controls[-1]) / np.linalg.norm(point - controls[-1])
            controls.append(point)
    return np.array(controls)


def _next(generator: np.random.Generator, clearance: Callable[[np.ndarray], np.ndarray],
          controls: list[np.ndarray], wanted: np.ndarray, step_m: float,
          margin_m: float) -> np.ndarray | None:
    attempt = np.arange(TRIES)
    spread = 0.15 + 1.6 * attempt[:, None] / TRIES
    direction = wanted + spread * generator.normal(size=(TRIES, 3)) * (1, 1, 0.6)
    direction /= np.linalg.norm(direction, axis=1, keepdims=True)
    points = controls[-1] + direction * (step_m * (1 - 0.75 * attempt[:, None] / TRIES))
    good = np.flatnonzero(clearance(points) >= margin_m)
    for index in good[:12]:
        piece = np.array([*controls[-3:], points[index]])
        if clearance(bspline(piece, PROBES)).min() >= margin_m:
            return points[index]
    return None


def follow(targets: np.ndarray, step_s: float, start: float, rate: float,
           stiffness: float) -> np.ndarray:
    """
    Return how a critically damped follower moves to targets, float64 (n,).

    targets: (n,) at even times. rate: its largest speed. stiffness: 1/s, of its approach. Its
    speed is continuous.
    """
    found, value, speed = [], start, 0.0
    for target in targets.tolist():
        found.append(value)
        wanted = min(max((target - value) * stiffness / 2, -rate), rate)
        speed += (wanted - speed) * min(2 * stiffness * step_s, 1.0)
        value += speed * step_s
    return np.array(found)


def travel_heading(points: np.ndarray, smooth: int) -> np.ndarray:
    """Return the yaw of travel along points, (n, 3), unwrapped, over 2 smooth + 1 of them."""
    steps = np.gradient(points[:, :2], axis=0)
    kernel = np.hanning(2 * smooth + 3)
    padded = np.pad(steps, ((smooth + 1,) * 2, (0, 0)), mode='edge')
    east, north = (np.convolve(padded[:, axis], kernel, mode='valid') for axis in (0, 1))
    return np.unwrap(np.arctan2(north, east))
