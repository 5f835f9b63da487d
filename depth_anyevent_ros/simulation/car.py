# Copyright 2026 depth_anyevent_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""The world of a car: a drive with turns and stops through a street where others move too."""
from __future__ import annotations

from dataclasses import dataclass
import math

import numpy as np

from depth_anyevent_ros.simulation.factors import CarFactors, draw, pick
from depth_anyevent_ros.simulation.layouts_parts import Parts, person, vehicle
from depth_anyevent_ros.simulation.layouts_route import Route
from depth_anyevent_ros.simulation.layouts_street import (
    build_street, GRAMMARS, Street, street)
from depth_anyevent_ros.simulation.stage import draw_light, settled_pauses, Stage
from depth_anyevent_ros.simulation.trajectories import (
    BODY_STEP_S, BodyPath, CAMERA_STEP_S, CameraPath, gate, pauses_ns,
    sample_times, SampledMotion, wobble)

# How fast a car takes bends, and how hard it brakes.
LATERAL_MPS2 = 2.2
BRAKING_MPS2 = 2.5
# Cars ahead are where we will be this much later, and some metres further.
AHEAD_S = ((1.2, 2.6), (3.5, 6.0), (8.0, 11.0))
AHEAD_M = 9.0

# Ways to shake: how many degrees of pitch and of roll, and how many metres of height and of
# weaving to the side (standard deviations).
VIBRATIONS = {'suspension': (0.22, 0.3, 0.012, 0.12), 'stiff': (0.12, 0.15, 0.004, 0.25),
              'soft': (0.45, 0.6, 0.03, 0.18)}


@dataclass(frozen=True)
class Drive:
    """How far along the route the car is, metres, at even times from start_s on."""

    start_s: float
    along: np.ndarray

    def at(self, times: np.ndarray) -> np.ndarray:
        """Return metres at times, a straight line between the samples."""
        return np.interp(times, self.start_s + np.arange(len(self.along)) * CAMERA_STEP_S,
                         self.along)


def car_stage(seed: list[int], factors: CarFactors, duration_s: float,
              pauses_s: list[tuple[float, float]] | None) -> Stage:
    """Return a drive. seed: of numpy's generators; pauses_s: (begin, end), None to draw them."""
    choices, scenery, motion, others = (np.random.default_rng([*seed, k]) for k in range(4))
    layout, vibration = pick(choices, factors.layouts), pick(choices, factors.vibrations)
    speed = draw(choices, factors.speed_mps)
    light, drawn = draw_light(choices, factors.level, outdoor=True,
                              fog_per_m=draw(choices, factors.fog_per_m)
                              if choices.random() < 0.35 else 0.0)
    mount = {'height_m': draw(choices, factors.height_m),
             'pitch_deg': draw(choices, factors.pitch_deg),
             'yaw_deg': draw(choices, factors.yaw_deg) * choices.choice([-1, 1]),
             'roll_deg': choices.uniform(-2, 2), 'hz': draw(choices, factors.vibration_hz)}
    pauses_s = settled_pauses(choices, motion, duration_s, pauses_s)
    made = street(scenery, layout, factors)
    drive = _drive(motion, made.route, speed, pauses_s, duration_s)
    camera = _camera(motion, made, drive, speed, pauses_s, duration_s, mount,
                     VIBRATIONS[vibration])
    parts = build_street(scenery, made, factors)
    textures = parts.draw_textures(others, factors.objects, 3)
    _traffic(others, parts, made, drive, textures, duration_s)
    _people(others, parts, made, drive, textures, pauses_s, duration_s)
    return Stage(parts, light, camera, {
        'layout': layout if made.grammar is GRAMMARS[layout] else 'crossed',
        'vibration': vibration, 'speed_mps': speed,
        'road_m': 2 * made.half_road_m, 'lap_m': made.route.length, **drawn,
        **{f'camera_{name}' if name != 'hz' else 'vibration_hz': float(value)
           for name, value in mount.items()}})


def _drive(generator: np.random.Generator, route: Route, speed: float,
           pauses_s: list[tuple[float, float]], duration_s: float) -> Drive:
    """Integrate the speed, which bends and pauses bring down; long enough for those ahead."""
    limit = np.minimum(np.sqrt(LATERAL_MPS2 / np.maximum(np.abs(route.curvature), 1e-3)), speed)
    # Slowness is smoothed: one brakes before a bend.
    frequency = np.fft.rfftfreq(len(limit), route.step_m)
    kernel = np.exp(-2 * (math.pi * (0.8 * speed) * frequency) ** 2)
    limit = 1 / np.fft.irfft(np.fft.rfft(1 / limit) * kernel, len(limit))
    times = sample_times(duration_s + AHEAD_S[-1][1], CAMERA_STEP_S)
    moving = gate(times, pauses_s, max(speed / BRAKING_MPS2, 1.0)).tolist()
    profile, count, step = limit.tolist(), len(limit), route.step_m
    along = [generator.uniform(0, route.length)]
    for before, after in zip(moving, moving[1:]):
        place = along[-1] / step
        index = int(place)
        here = profile[index % count]
        here += (profile[(index + 1) % count] - here) * (place - index)
        along.append(along[-1] + here * (before + after) / 2 * CAMERA_STEP_S)
    return Drive(float(times[0]), np.array(along))


def _lane(made: Street) -> float:
    """Return how far to the left of the middle we drive, metres."""
    return -made.half_road_m / 2 if made.grammar.oncoming else -0.1 * made.half_road_m


def _camera(generator: np.random.Generator, made: Street, drive: Drive, speed: float,
            pauses_s: list[tuple[float, float]], duration_s: float, mount: dict[str, float],
            sway: tuple[float, float, float, float]) -> CameraPath:
    times = sample_times(duration_s, CAMERA_STEP_S)
    along = drive.along[:len(times)]
    rate = np.gradient(along, CAMERA_STEP_S) / speed
    pitch, roll, heave, weave = sway
    hz = mount['hz']

    def shake(amplitude: float) -> np.ndarray:
        return rate * wobble(generator, times, amplitude, (0.98 * hz, 1.02 * hz))

    # Weaving goes with the road and not with time, so that a stop stops it.
    left = _lane(made) + wobble(generator, along, weave, (0.01, 0.03))
    x, y, heading = made.route.at(along, left).T
    heading = np.unwrap(heading) + np.gradient(left, CAMERA_STEP_S) / speed
    rows = np.column_stack([
        x, y, mount['height_m'] + shake(heave),
        heading + math.radians(mount['yaw_deg']),
        np.radians(mount['pitch_deg'] + shake(pitch)),
        np.radians(mount['roll_deg'] + shake(roll))])
    return CameraPath(SampledMotion(float(times[0]), CAMERA_STEP_S, rows), pauses_ns(pauses_s))


def _body(route: Route, times: np.ndarray, along: np.ndarray, left: np.ndarray | float,
          turn: np.ndarray | float) -> BodyPath:
    """Return a body on the route, turned against its direction."""
    x, y, heading = route.at(along, left).T
    rows = np.column_stack([x, y, np.zeros_like(x), heading + turn])
    return BodyPath(SampledMotion(float(times[0]), BODY_STEP_S, rows))


def _traffic(generator: np.random.Generator, parts: Parts, made: Street, drive: Drive,
             textures: list[int], duration_s: float) -> None:
    """Add cars ahead in our lane, and those that come towards us."""
    times = sample_times(duration_s, BODY_STEP_S)
    for headway in AHEAD_S:
        later = generator.uniform(*headway)
        if generator.random() < 0.6:
            gap = AHEAD_M * (1 + 0.8 * AHEAD_S.index(headway))
            along = drive.at(times + later) + gap
            parts.add_body(vehicle(generator, textures),
                           _body(made.route, times, along, _lane(made), 0.0))
    if not made.grammar.oncoming:
        return
    count = int(generator.integers(3, 8))
    speed = generator.uniform(5, 10)
    for index in range(count):
        start = (index + generator.uniform(0, 0.7)) / count * made.route.length
        parts.add_body(vehicle(generator, textures), _body(
            made.route, times, start - speed * times, made.half_road_m / 2, math.pi))


def _people(generator: np.random.Generator, parts: Parts, made: Street, drive: Drive,
            textures: list[int], pauses_s: list[tuple[float, float]],
            duration_s: float) -> None:
    """Add people that walk on the pavements near our way, and cross before us while we wait."""
    times = sample_times(duration_s, BODY_STEP_S)
    begin, end = drive.along[0], drive.at(np.array([duration_s]))[0] + 40
    for _ in range(14):
        pace = generator.uniform(0.7, 1.8) * generator.choice([-1, 1])
        side = generator.choice([-1, 1])
        left = side * (made.kerb_m + generator.uniform(0.3, 0.9) * max(made.pavement_m - 0.2, 0.4))
        along = generator.uniform(begin, min(end, begin + made.route.length)) + pace * times
        parts.add_body(person(generator, textures), _body(
            made.route, times, along, left, 0.0 if pace > 0 else math.pi))
    across = made.kerb_m + 0.8
    for pause_begin, pause_end in pauses_s:
        pace = generator.uniform(1.1, 1.9)
        if pause_end - pause_begin < 2 * made.kerb_m / pace:
            continue
        side = generator.choice([-1, 1])
        walked = np.clip((times - pause_begin) * pace, 0, 2 * across)
        along = np.full_like(times, drive.at(np.array([pause_begin]))[0]
                             + generator.uniform(3.2, 5.5))
        parts.add_body(person(generator, textures), _body(
            made.route, times, along, side * (across - walked), -side * math.pi / 2))
