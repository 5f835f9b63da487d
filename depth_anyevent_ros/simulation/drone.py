# Copyright 2026 depth_anyevent_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""The world of a drone: flights in six degrees of freedom through rooms and halls."""
from __future__ import annotations

from collections.abc import Callable
import math

import numpy as np

from depth_anyevent_ros.simulation.factors import draw, DroneFactors, pick
from depth_anyevent_ros.simulation.layouts_clearance import Clearance
from depth_anyevent_ros.simulation.layouts_indoor import build_indoor
from depth_anyevent_ros.simulation.layouts_parts import Parts, person
from depth_anyevent_ros.simulation.layouts_plan import Building, building, INTERIORS
from depth_anyevent_ros.simulation.scene import Box
from depth_anyevent_ros.simulation.stage import draw_indoor_light, settled_pauses, Stage
from depth_anyevent_ros.simulation.trajectories import (
    BODY_STEP_S, BodyPath, CAMERA_STEP_S, CameraPath, gate, integral, MARGIN_S,
    pauses_ns, sample_times, SampledMotion, wobble)
from depth_anyevent_ros.simulation.trajectories_flight import (
    bspline, fly, follow, KNOT_S, Steering, travel_heading)

RAMP_S = 0.7
# A drone is this wide about its camera; it keeps further away where it can.
MARGINS_M = (0.38, 0.32, 0.27)
HALL_MARGIN_M = 0.6
# Where the view goes next is drawn from some directions, the oftener the more they show.
DIRECTIONS = 5
FURTHEST_M = 12.0


def drone_stage(seed: list[int], factors: DroneFactors, duration_s: float,
                pauses_s: list[tuple[float, float]] | None) -> Stage:
    """Return a flight. seed: of numpy's generators; pauses_s: (begin, end), None to draw them."""
    choices, scenery, motion, others = (np.random.default_rng([*seed, k]) for k in range(4))
    layout, flight = pick(choices, factors.layouts), pick(choices, factors.flights)
    speed, turn = draw(choices, factors.speed_mps), draw(choices, factors.turn_deg_per_s)
    sway_hz = draw(choices, factors.sway_hz)
    light, drawn = draw_indoor_light(choices, factors)
    drifts = bool(choices.random() < 0.5)
    pauses_s = settled_pauses(choices, motion, duration_s, pauses_s)
    made = building(scenery, layout, factors)
    parts = build_indoor(scenery, made, factors)
    swept = _walkers(others, parts, made, factors, duration_s)
    clearance = Clearance(parts.rectangles, [b for b in parts.boxes if not b.body] + swept,
                          [e for e in parts.ellipsoids if not e.body])
    path = _flight(motion, made, clearance, flight, speed, turn, sway_hz, pauses_s, duration_s,
                   drifts)
    return Stage(parts, light, path, {
        'layout': layout if made.interior is INTERIORS[layout] else 'crossed',
        'flight': flight, 'speed_mps': speed, 'turn_deg_per_s': turn,
        'sway_hz': sway_hz, 'hovers': 'drifting' if drifts else 'still',
        'ceiling_m': made.height + made.rise, **drawn})


def _walkers(generator: np.random.Generator, parts: Parts, made: Building,
             factors: DroneFactors, duration_s: float) -> list[Box]:
    """Add people who walk to and fro; return the boxes that they never leave."""
    swept: list[Box] = []
    textures = parts.draw_textures(generator, factors.objects, 2)
    times = sample_times(duration_s, BODY_STEP_S)
    free = Clearance([], parts.boxes, parts.ellipsoids)
    for _ in range(30):
        if len(swept) >= 2:
            break
        x0, y0, x1, y1 = made.areas[int(generator.integers(len(made.areas)))]
        x, y = generator.uniform((x0, y0), (x1, y1)).tolist()
        reach, yaw = generator.uniform(0.8, 2.5), generator.uniform(0, 2 * math.pi)
        along = np.linspace(-reach, reach, 9)
        line = np.column_stack([x + along * math.cos(yaw), y + along * math.sin(yaw),
                                np.full(9, 0.9)])
        if not all(made.inside(u, v, 0.4) for u, v, _ in line.tolist()) \
                or free(line).min() < 0.4:
            continue
        phase = generator.uniform(0, 2 * math.pi) + times * generator.uniform(0.7, 1.3) / reach
        # It turns within the last part of each way.
        turn = math.pi / 2 * (1 - np.tanh(4 * np.cos(phase)))
        rows = np.column_stack([x + reach * np.sin(phase) * math.cos(yaw),
                                y + reach * np.sin(phase) * math.sin(yaw),
                                np.zeros_like(phase), yaw + turn])
        parts.add_body(person(generator, textures),
                       BodyPath(SampledMotion(float(times[0]), BODY_STEP_S, rows)))
        swept.append(Box((x, y, 1.0), (2 * reach + 0.7, 0.7, 2.0), yaw))
    return swept


def _flight(generator: np.random.Generator, made: Building, clearance: Clearance, flight: str,
            speed: float, turn: float, sway_hz: float, pauses_s: list[tuple[float, float]],
            duration_s: float, drifts: bool) -> CameraPath:
    times = sample_times(duration_s, CAMERA_STEP_S)
    moving = gate(times, pauses_s, RAMP_S)
    clock = integral(moving, CAMERA_STEP_S)
    length_s = float(clock[-1]) + 2 * MARGIN_S
    start, margin = _start(generator, made, clearance)
    controls = fly(generator, clearance, start, _steering(generator, made, flight),
                   speed * KNOT_S, length_s, margin)
    grid = np.arange(math.ceil(length_s / CAMERA_STEP_S)) * CAMERA_STEP_S
    points = bspline(controls, grid / KNOT_S)
    look = _look(generator, made, clearance, flight, points, turn, sway_hz)
    motion = SampledMotion(0.0, CAMERA_STEP_S, np.hstack([points, look]))
    rows = np.array([motion.at(now) for now in clock.tolist()])
    if drifts:
        rows += (1 - moving)[:, None] * np.column_stack(
            [wobble(generator, times, size, (0.15, 0.5))
             for size in (0.012, 0.012, 0.008, 0.006, 0.004, 0.004)])
    return CameraPath(SampledMotion(float(times[0]), CAMERA_STEP_S, rows), pauses_ns(pauses_s))


def _start(generator: np.random.Generator, made: Building,
           clearance: Clearance) -> tuple[np.ndarray, float]:
    """Return a free place, and the margin that the flight keeps."""
    x0, y0, x1, y1 = made.areas[0]
    hall = min(x1 - x0, y1 - y0) > 10
    for margin in ((HALL_MARGIN_M,) if hall else ()) + MARGINS_M:
        for _ in range(20):
            x0, y0, x1, y1 = made.areas[int(generator.integers(len(made.areas)))]
            points = generator.uniform((x0, y0, 0.5), (x1, y1, made.height - 0.3), (50, 3))
            room = clearance(points)
            if room.max() > margin + 0.15:
                return points[int(np.argmax(room > margin + 0.15))], margin
    raise ValueError('a building has no room to fly in')


def _steering(generator: np.random.Generator, made: Building, flight: str) -> Steering:
    """Return where a flight wants to go next: wander, roam, orbit or survey."""
    highest = min(made.height, 5.0)
    goal: list[np.ndarray] = []

    def level(position: np.ndarray, direction: np.ndarray) -> np.ndarray:
        # Back to the middle heights, the harder the further off.
        lift = 0.5 - position[2] / highest
        return direction * (1, 1, 0.6) + np.array([0, 0, 0.8 * lift])

    def wander(position: np.ndarray, direction: np.ndarray) -> np.ndarray:
        return level(position, direction + 0.45 * generator.normal(size=3))

    def toward_goals(position: np.ndarray, direction: np.ndarray) -> np.ndarray:
        if not goal or np.linalg.norm(goal[-1] - position) < 1.5 or generator.random() < 0.03:
            x0, y0, x1, y1 = made.areas[int(generator.integers(len(made.areas)))]
            goal.append(generator.uniform((x0, y0, 0.4), (x1, y1, highest - 0.3)))
        away = goal[-1] - position
        return away / np.linalg.norm(away) + 0.4 * direction

    center = np.mean(made.plan, axis=0)
    sense = float(generator.choice([-1, 1]))

    def orbit(position: np.ndarray, direction: np.ndarray) -> np.ndarray:
        away = position[:2] - center
        tangent = sense * np.array([-away[1], away[0], 0.0]) / (np.linalg.norm(away) + 0.3)
        return level(position, tangent + 0.3 * generator.normal(size=3))

    def survey(position: np.ndarray, direction: np.ndarray) -> np.ndarray:
        # Along one axis of the building at a time.
        axis = np.argmax(np.abs(direction[:2]))
        straight = np.zeros(3)
        straight[axis] = math.copysign(1.0, direction[axis])
        if generator.random() < 0.08:
            straight = np.roll(straight[:2], 1).tolist() + [0.0]
            straight = np.array(straight) * generator.choice([-1, 1])
        return level(position, straight + 0.1 * generator.normal(size=3))

    return {'wander': wander, 'roam': toward_goals, 'orbit': orbit, 'survey': survey}[flight]


def _look(generator: np.random.Generator, made: Building, clearance: Clearance, flight: str,
          points: np.ndarray, turn: float, sway_hz: float) -> np.ndarray:
    """Return yaw, pitch and roll, float64 (n, 3), along a flight."""
    times = np.arange(len(points)) * CAMERA_STEP_S
    rate = math.radians(turn)
    travel = travel_heading(points, round(0.5 / CAMERA_STEP_S))

    def hold(hold_s: tuple[float, float], value: Callable[[int], float]) -> np.ndarray:
        return _hold(generator, len(points), hold_s, value)

    def open_near(center: np.ndarray, spread: float) -> Callable[[int], float]:
        return lambda index: _open_yaw(generator, clearance, points[index], center[index], spread)

    pitch = hold((1.0, 4.0), lambda index: generator.normal(0.1, 0.28))
    if flight == 'wander':
        yaw = hold((0.6, 2.0), open_near(travel, 0.6))
    elif flight == 'roam':
        yaw = hold((0.8, 3.0), open_near(np.zeros_like(travel), math.pi))
    elif flight == 'orbit':
        away = np.mean(made.plan, axis=0) - points[:, :2]
        yaw = np.arctan2(away[:, 1], away[:, 0])
    else:
        sides = hold((3.0, 7.0), lambda index: generator.choice([-1, 1]) * 1.1)
        yaw = hold((1.0, 3.0), open_near(travel + sides, 0.9))
        pitch = hold((2.0, 6.0), lambda index: generator.uniform(-0.5, 0.8))
    # The shorter way round.
    yaw = follow(np.unwrap(yaw), CAMERA_STEP_S, float(yaw[0]), rate, 5.0)
    pitch = follow(np.clip(pitch, -0.9, 1.1), CAMERA_STEP_S, float(pitch[0]), 0.7 * rate, 5.0)
    swing = [wobble(generator, times, math.radians(size), (0.98 * sway_hz, 1.02 * sway_hz))
             for size in (2.5, 2.0, 2.5)]
    lean = -0.25 * np.gradient(yaw, CAMERA_STEP_S) * generator.uniform(0.3, 1.0)
    return np.column_stack([yaw + swing[0], pitch + swing[1],
                            follow(lean, CAMERA_STEP_S, 0.0, 2.0, 5.0) + swing[2]])


def _hold(generator: np.random.Generator, count: int, hold_s: tuple[float, float],
          value: Callable[[int], float]) -> np.ndarray:
    """Return values, of the sample in the middle, that each hold for a while, float64 (n,)."""
    found, index = np.empty(count), 0
    while index < count:
        end = index + max(round(generator.uniform(*hold_s) / CAMERA_STEP_S), 1)
        found[index:end] = value(min((index + end) // 2, count - 1))
        index = end
    return found


def _open_yaw(generator: np.random.Generator, clearance: Clearance, position: np.ndarray,
              center: float, spread: float) -> float:
    """Return a direction within spread of center, preferably one in which one sees far."""
    yaws = center + generator.uniform(-spread, spread, DIRECTIONS)
    ahead = np.column_stack([np.cos(yaws), np.sin(yaws), np.zeros(DIRECTIONS)])
    reached = np.zeros(DIRECTIONS)
    for _ in range(12):
        reached += np.minimum(clearance(position + ahead * reached[:, None]), FURTHEST_M)
    weight = np.minimum(reached, FURTHEST_M) + 0.05
    return float(generator.choice(yaws, p=weight / weight.sum()))
