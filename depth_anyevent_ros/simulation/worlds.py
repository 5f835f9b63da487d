# Copyright 2026 depth_anyevent_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""
Endless sequences of a car, a drone and a desk, each of them from one number.

`make_world` is the way in. What a sequence of the training, the validation and the test split
may contain is kept apart in factors.py: textures, layouts, optics, thresholds of the pixels,
trajectories and light of the one never occur in the others.
"""
from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
import math

import numpy as np

from depth_anyevent_ros.geometry.camera import CameraModel
from depth_anyevent_ros.geometry.transform import Transform
from depth_anyevent_ros.simulation.car import car_stage
from depth_anyevent_ros.simulation.desk import desk_stage
from depth_anyevent_ros.simulation.drone import drone_stage
from depth_anyevent_ros.simulation.event_camera import EventCameraConfig
from depth_anyevent_ros.simulation.factors import draw, FACTORS, Factors
from depth_anyevent_ros.simulation.recording import Simulation
from depth_anyevent_ros.simulation.rgb_camera import RgbCameraConfig
from depth_anyevent_ros.simulation.sensors import scale, Sensor, SENSORS
from depth_anyevent_ros.simulation.trajectories import forced_pauses
from depth_anyevent_ros.simulation.trajectory import (
    BODY_FROM_OPTICAL, body_rotation, Mounted)

STAGES = {'car': car_stage, 'drone': drone_stage, 'desk': desk_stage}
WORLDS = tuple(STAGES)
BINNINGS = (1, 2, 4)
# The last number of a seed: what it is for. Stages use those from 0 on.
OPTICS, PIXELS = 100, 101


@dataclass(frozen=True)
class World:
    """
    A simulation and what was drawn for it.

    factors: names to numbers and words, as JSON can hold them: layout, textures' families,
    field of view, thresholds, speed, level and more. pauses: of the camera, (begin, end) in
    nanoseconds; in them nothing of the car's camera moves; a drone's stands still or hovers,
    and one at a desk stands still or trembles, as factors['hovers'] says.
    """

    simulation: Simulation
    factors: dict
    pauses: tuple[tuple[int, int], ...]


def make_world(world: str, seed: int, duration_ns: int, sensor: str = 'davis346',
               split: str = 'train', level: float | None = None,
               pauses: Sequence[tuple[float, float]] | None = None,
               max_motion_px: float = 0.7, binning: int = 1,
               turn_deg: Sequence[float] = (0.0, 0.0, 0.0), baseline_m: float = 0.0) -> World:
    """
    Return a sequence's simulation; the same arguments give the same one.

    world: one of WORLDS. sensor: one of SENSORS. split: one of SPLITS, or ANCHOR. level:
    brightness of the scene (1 day, 1e-4 a dark street), None for one that the split allows.
    pauses: (start, length) in seconds, None for what the world draws, () for none. max_motion_px:
    no pixel moves further between two renders. binning: so many pixels of the sensor along each
    side are one, which is quicker. turn_deg: roll, pitch (positive downward) and yaw (to the left)
    by which the event camera is turned against the colour camera, which stays where the world has
    it. baseline_m: how far it stands to the left of the colour camera. Raises ValueError for names
    and pauses that do not fit.
    """
    for name, value, known in (('world', world, WORLDS), ('split', split, tuple(FACTORS)),
                               ('sensor', sensor, tuple(SENSORS))):
        if value not in known:
            raise ValueError(f'{name} has to be one of {", ".join(known)}, got {value!r}')
    if duration_ns <= 0 or seed < 0:
        raise ValueError('duration_ns has to be positive and seed not negative, got '
                         f'{duration_ns} and {seed}')
    if binning not in BINNINGS:
        raise ValueError(f'binning has to be one of {BINNINGS}, got {binning}')
    duration_s = duration_ns * 1e-9
    begin_end = None if pauses is None else forced_pauses(list(pauses), duration_s)
    factors, numbers = FACTORS[split], [seed, WORLDS.index(world), tuple(FACTORS).index(split)]
    stage = STAGES[world](numbers, getattr(factors, world), duration_s, begin_end)
    whole = SENSORS[sensor]
    binned = replace(whole, width=whole.width // binning, height=whole.height // binning)
    camera, optics = _camera(numbers, factors, binned)
    pixels, thresholds = _pixels(numbers, factors, binned)
    to_color, path = _mount(turn_deg, baseline_m), stage.path
    if not to_color.changes_nothing:
        path = Mounted(path, to_color)
    simulation = Simulation(stage.scene(level), path, camera, pixels, duration_ns, max_motion_px,
                            rgb=RgbCameraConfig(seed=seed, to_event=to_color.inverse()))
    families = getattr(factors, world)
    drawn = {**stage.drawn, 'level': simulation.scene.light.level, **optics, **thresholds,
             'families': {name: list(getattr(families, name)) for name in (
                 'facades', 'walls', 'grounds', 'objects') if hasattr(families, name)}}
    return World(simulation, drawn, stage.path.pauses)


def make_simulation(world: str, seed: int, duration_ns: int, sensor: str = 'davis346',
                    split: str = 'train', level: float | None = None,
                    pauses: Sequence[tuple[float, float]] | None = None,
                    max_motion_px: float = 0.7, binning: int = 1) -> Simulation:
    """Return the simulation of make_world."""
    return make_world(world, seed, duration_ns, sensor, split, level, pauses,
                      max_motion_px, binning).simulation


def _mount(turn_deg: Sequence[float], baseline_m: float) -> Transform:
    """Return what takes points of the event camera's optical frame to that of the other."""
    roll, pitch, yaw = np.radians(turn_deg)
    turn = BODY_FROM_OPTICAL.T @ body_rotation(yaw, pitch, roll) @ BODY_FROM_OPTICAL
    return Transform(turn, np.array([-baseline_m, 0.0, 0.0]))


def _camera(numbers: list[int], factors: Factors, sensor: Sensor) -> tuple[CameraModel, dict]:
    """Draw the lens, one without distortion."""
    generator = np.random.default_rng([*numbers, OPTICS])
    view = draw(generator, factors.field_of_view_deg)
    focal = sensor.width / 2 / math.tan(math.radians(view) / 2)
    offset, angle = draw(generator, factors.principal_point), generator.uniform(0, 2 * math.pi)
    u = (sensor.width - 1) / 2 + offset * sensor.width * math.cos(angle)
    v = (sensor.height - 1) / 2 + offset * sensor.width * math.sin(angle)
    k = np.array([[focal, 0, u], [0, focal, v], [0, 0, 1]])
    return CameraModel(sensor.width, sensor.height, k, np.zeros(5)), {
        'field_of_view_deg': view, 'principal_point': offset}


def _pixels(numbers: list[int], factors: Factors,
            sensor: Sensor) -> tuple[EventCameraConfig, dict]:
    """
    Draw the pixels: what is kept apart by factors.py, the rest as the sensor has it.

    The thresholds and the mismatch of factors.py are those of a davis346; other sensors have as
    much more or less as their own ranges say.
    """
    generator = np.random.default_rng([*numbers, PIXELS])
    threshold = draw(generator, factors.threshold, logarithmic=True) \
        * scale(sensor, 'threshold')
    ratio = draw(generator, factors.threshold_ratio, logarithmic=True)
    mismatch = draw(generator, factors.mismatch) * scale(sensor, 'mismatch')
    ranges = replace(sensor.ranges, threshold=(threshold, threshold), bias=(ratio, ratio),
                     mismatch=(mismatch, mismatch))
    pixels = ranges.draw(generator, int(generator.integers(2 ** 31)))
    return pixels, {'threshold': threshold, 'threshold_ratio': ratio, 'mismatch': mismatch}
