# Copyright 2026 depth_anyevent_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Motions that are drawn beforehand: sampled paths of cameras and bodies, and pauses in them."""
from __future__ import annotations

from dataclasses import dataclass
import math

import numpy as np

from depth_anyevent_ros.events.jit import njit
from depth_anyevent_ros.simulation.trajectory import BODY_FROM_OPTICAL, body_rotation, Pose

CAMERA_STEP_S = 0.005
BODY_STEP_S = 0.05
# Poses are asked for a little outside of the simulation, to differentiate them.
MARGIN_S = 0.5


@dataclass(frozen=True)
class SampledMotion:
    """
    Rows of numbers at even times, and what lies between them.

    start_s: time of the first row. step_s: between rows. rows: float64 (n, k). Between rows
    stands a cubic through both that meets its neighbours with the same derivative (Catmull and
    Rom 1974): four equal rows give exactly that row. Times outside are those of the ends.
    """

    start_s: float
    step_s: float
    rows: np.ndarray

    def at(self, time_s: float) -> np.ndarray:
        """Return the numbers at a time, float64 (k,)."""
        return _interpolate(self.rows, (time_s - self.start_s) / self.step_s)


@njit
def _interpolate(rows, place):
    """Return what lies at a place between rows, float64 (k,); see SampledMotion."""
    last = len(rows) - 1
    place = min(max(place, 0.0), float(last))
    index = min(int(place), last - 1)
    t = place - index
    before, after = max(index - 1, 0), min(index + 2, last)
    out = np.empty(rows.shape[1])
    for k in range(rows.shape[1]):
        b, c = rows[index, k], rows[index + 1, k]
        # Written in differences, which are exactly zero where nothing moves.
        ab, bc, cd = b - rows[before, k], c - b, rows[after, k] - c
        out[k] = b + 0.5 * t * (ab + bc + t * (3 * bc - 2 * ab - cd + t * (ab - 2 * bc + cd)))
    return out


@dataclass(frozen=True)
class CameraPath:
    """
    A camera on a sampled motion.

    motion: rows of x, y, z (metres), yaw, pitch (positive downward), roll (radians). pauses: of
    the camera, (begin, end) in nanoseconds; within them it stands still, or hovers.
    """

    motion: SampledMotion
    pauses: tuple[tuple[int, int], ...] = ()

    def pose(self, time_s: float) -> Pose:
        """Return the pose of the optical frame in the world."""
        x, y, z, yaw, pitch, roll = self.motion.at(time_s).tolist()
        return Pose(np.array([x, y, z]), body_rotation(yaw, pitch, roll) @ BODY_FROM_OPTICAL)


@dataclass(frozen=True)
class BodyPath:
    """A body on a sampled motion with rows of x, y, z and yaw."""

    motion: SampledMotion

    def pose(self, time_s: float) -> tuple[np.ndarray, float]:
        """Return the position of the body's origin, (3,) metres, and its yaw, radians."""
        row = self.motion.at(time_s)
        return row[:3], float(row[3])


def sample_times(duration_s: float, step_s: float) -> np.ndarray:
    """Return the times at which a motion over a simulation is sampled."""
    count = math.ceil((duration_s + 2 * MARGIN_S) / step_s) + 1
    return np.arange(count) * step_s - MARGIN_S


def gate(times: np.ndarray, pauses_s: list[tuple[float, float]], ramp_s: float) -> np.ndarray:
    """
    Return by how much everything moves at each time: 1, and exactly 0 within pauses.

    pauses_s: (begin, end). It falls within ramp_s before a pause and rises within ramp_s after
    it, twice differentiable.
    """
    moving = np.ones_like(times)
    for begin, end in pauses_s:
        away = np.maximum(begin - times, times - end) / ramp_s
        u = np.clip(away, 0, 1)
        moving *= u ** 3 * (10 - 15 * u + 6 * u ** 2)
    return moving


def integral(rate: np.ndarray, step_s: float) -> np.ndarray:
    """Return the running integral of even samples by the trapezoidal rule, from 0."""
    return np.concatenate([[0.0], np.cumsum((rate[1:] + rate[:-1]) / 2) * step_s])


def draw_pauses(generator: np.random.Generator, duration_s: float, share: float,
                shortest_s: float = 0.5, longest_s: float = 10.0) -> list[tuple[float, float]]:
    """
    Return pauses, (begin, end) in seconds, that fill about a share of the duration.

    Their lengths are drawn evenly in the logarithm. Sequences too short for one have none.
    """
    pauses: list[tuple[float, float]] = []
    clock = generator.uniform(1.0, 6.0)
    while clock < duration_s - shortest_s:
        length = math.exp(generator.uniform(math.log(shortest_s), math.log(longest_s)))
        length = min(length, max(0.4 * duration_s, shortest_s))
        end = min(clock + length, duration_s)
        pauses.append((clock, end))
        clock = end + length * (1 / share - 1) * generator.uniform(0.6, 1.4) + 1.0
    return pauses


def forced_pauses(pauses: list[tuple[float, float]],
                  duration_s: float) -> list[tuple[float, float]]:
    """Turn (start, length) in seconds into (begin, end), sorted; raise ValueError for misfits."""
    found = sorted((float(start), float(start) + float(length)) for start, length in pauses)
    for begin, end in found:
        if not (0 <= begin < end < math.inf):
            raise ValueError('a pause has to start at 0 s or later and to last longer than 0 s, '
                             f'but not for ever, got a start of {begin} s and a length of '
                             f'{end - begin} s')
        if begin >= duration_s:
            raise ValueError(f'a pause begins at {begin} s, after the end at {duration_s} s')
    if any(after[0] < before[1] for before, after in zip(found, found[1:])):
        raise ValueError(f'pauses overlap: {found}')
    return [(begin, min(end, duration_s)) for begin, end in found]


def pauses_ns(pauses_s: list[tuple[float, float]]) -> tuple[tuple[int, int], ...]:
    """Return pauses in whole nanoseconds."""
    return tuple((round(begin * 1e9), round(end * 1e9)) for begin, end in pauses_s)


def wobble(generator: np.random.Generator, times: np.ndarray, amplitude: float,
           frequencies_hz: tuple[float, float], waves: int = 3) -> np.ndarray:
    """Return a sum of sines of random phase; its standard deviation is about amplitude."""
    frequency = generator.uniform(*frequencies_hz, waves)
    phase = generator.uniform(0, 2 * math.pi, waves)
    share = generator.uniform(0.5, 1.0, waves)
    share *= amplitude * math.sqrt(2) / np.linalg.norm(share)
    return (share * np.sin(2 * math.pi * frequency * times[:, None] + phase)).sum(1)
