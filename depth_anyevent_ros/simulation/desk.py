# Copyright 2026 depth_anyevent_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""The world of a desk: a camera in a hand or on a slider, before a table with things on it."""
from __future__ import annotations

import math

import numpy as np

from depth_anyevent_ros.simulation.factors import DeskFactors, draw, pick
from depth_anyevent_ros.simulation.layouts_desk import build_desk, TABLES, table_of
from depth_anyevent_ros.simulation.stage import draw_indoor_light, settled_pauses, Stage
from depth_anyevent_ros.simulation.trajectories import (
    CAMERA_STEP_S, CameraPath, gate, integral, pauses_ns, sample_times,
    SampledMotion, wobble)

RAMP_S = 0.4
TURNS = 0.95  # below 1: how sharply a camera turns back that goes to and fro
MIDDLE_M = 0.45  # behind where things begin, where the view goes
LOWEST_M, HIGHEST_M = 0.12, 0.7  # above the table


def desk_stage(seed: list[int], factors: DeskFactors, duration_s: float,
               pauses_s: list[tuple[float, float]] | None) -> Stage:
    """Return a view of a desk. seed: of numpy's generators; pauses_s: None to draw them."""
    choices, scenery, motion = (np.random.default_rng([*seed, k]) for k in range(3))
    layout, handling = pick(choices, factors.layouts), pick(choices, factors.handlings)
    speed = draw(choices, factors.speed_mps)
    light, drawn = draw_indoor_light(choices, factors)
    pauses_s = settled_pauses(choices, motion, duration_s, pauses_s)
    drifts = bool(choices.random() < 0.5)
    times = sample_times(duration_s, CAMERA_STEP_S)
    moving = gate(times, pauses_s, RAMP_S)
    rows = HANDLINGS[handling](motion, integral(moving, CAMERA_STEP_S), speed)
    if drifts:
        rows += (1 - moving)[:, None] * np.column_stack(
            [wobble(motion, times, size, (0.3, 1.0))
             for size in (0.002, 0.002, 0.002, 0.004, 0.004, 0.004)])
    kind = table_of(scenery, layout, factors)
    parts, wall = build_desk(scenery, kind, factors, rows[::10, :3])
    path = CameraPath(SampledMotion(float(times[0]), CAMERA_STEP_S, rows), pauses_ns(pauses_s))
    return Stage(parts, light, path, {
        'layout': layout if kind is TABLES[layout] else 'crossed', 'handling': handling,
        'speed_mps': speed, 'hovers': 'drifting' if drifts else 'still', 'wall_m': wall,
        **drawn})


def _stand(generator: np.random.Generator) -> tuple[float, float]:
    """Return how far before the first things a camera is held, and how high, metres."""
    return (generator.uniform(0.2, 0.5),
            LOWEST_M + (HIGHEST_M - LOWEST_M) * generator.random() ** 2)


def _gaze(away: float, height: float, generator: np.random.Generator) -> float:
    """Return the pitch (positive downward) to about the table's middle."""
    return math.atan2(height, away + MIDDLE_M) * generator.uniform(0.1, 1.4)


def _to_and_fro(clock: np.ndarray, reach: float, speed: float, phase: float) -> np.ndarray:
    """Return a way within reach on either side, at about one speed but where it turns back."""
    angle = phase + clock * (math.pi / 2) * speed / reach
    return reach * np.arcsin(TURNS * np.sin(angle)) / math.asin(TURNS)


def _columns(x, y, z, yaw, pitch, roll, count: int) -> np.ndarray:
    return np.column_stack([np.broadcast_to(value, count)
                            for value in (x, y, z, yaw, pitch, roll)])


def _tremor(generator: np.random.Generator, clock: np.ndarray) -> np.ndarray:
    """Return what a hand adds, (n, 6)."""
    return np.column_stack([wobble(generator, clock, size, (0.8, 3.0)) for size in (
        0.004, 0.004, 0.004, 0.012, 0.012, 0.012)])


def _hand(generator: np.random.Generator, clock: np.ndarray, speed: float) -> np.ndarray:
    """Move freely, and turn the wrist."""
    away, height = _stand(generator)
    reach = generator.uniform((0.04, 0.08, 0.03), (0.12, 0.3, 0.1))
    way = [wobble(generator, clock, size, (0.7 * rate, 1.3 * rate))
           for size, rate in zip(reach, speed / (2 * math.pi * reach))]
    turns = [wobble(generator, clock, size, (0.15, 0.6)) for size in (0.16, 0.08, 0.06)]
    rows = _columns(np.minimum(way[0] - away, -0.1), way[1], np.maximum(way[2] + height, LOWEST_M),
                    turns[0], _gaze(away, height, generator) + turns[1], turns[2], len(clock))
    return rows + _tremor(generator, clock)


def _sweep(generator: np.random.Generator, clock: np.ndarray, speed: float) -> np.ndarray:
    """Move sideways by hand, the view turning with it or against it."""
    away, height = _stand(generator)
    reach = generator.uniform(0.25, 0.6)
    y = _to_and_fro(clock, reach, speed, generator.uniform(0, 2 * math.pi))
    rows = _columns(-away, y, height, generator.uniform(-0.5, 0.5) * y + generator.normal(0, 0.1),
                    _gaze(away, height, generator), generator.normal(0, 0.12), len(clock))
    return rows + _tremor(generator, clock)


def _arc(generator: np.random.Generator, clock: np.ndarray, speed: float) -> np.ndarray:
    """Go round the table's middle, and look at it."""
    away, height = _stand(generator)
    radius = away + MIDDLE_M
    angle = _to_and_fro(clock, generator.uniform(0.25, 0.6), speed / radius,
                        generator.uniform(0, 2 * math.pi))
    rows = _columns(MIDDLE_M - radius * np.cos(angle), radius * np.sin(angle), height, -angle,
                    _gaze(away, height, generator), generator.normal(0, 0.12), len(clock))
    return rows + _tremor(generator, clock)


def _push(generator: np.random.Generator, clock: np.ndarray, speed: float) -> np.ndarray:
    """Move to the table and back, and a little sideways."""
    away, height = _stand(generator)
    x = _to_and_fro(clock, 0.2, 0.8 * speed, generator.uniform(0, 2 * math.pi)) - away - 0.15
    y = _to_and_fro(clock, 0.15, 0.6 * speed, generator.uniform(0, 2 * math.pi))
    rows = _columns(x, y, height, generator.normal(0, 0.15), _gaze(away, height, generator),
                    generator.normal(0, 0.12), len(clock))
    return rows + _tremor(generator, clock)


def _slide(generator: np.random.Generator, clock: np.ndarray, speed: float) -> np.ndarray:
    """Move sideways on a slider, without turning."""
    away, height = _stand(generator)
    y = _to_and_fro(clock, generator.uniform(0.3, 0.6), speed, generator.uniform(0, 2 * math.pi))
    return _columns(-away, y, height, generator.normal(0, 0.1), _gaze(away, height, generator),
                    0.0, len(clock))


HANDLINGS = {'hand': _hand, 'sweep': _sweep, 'arc': _arc, 'push': _push, 'slide': _slide}
