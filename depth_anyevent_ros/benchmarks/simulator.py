# Copyright 2026 depth_anyevent_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Speed of the simulator: pictures a second, and simulated seconds a second."""
from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
import time

import numpy as np

from depth_anyevent_ros.benchmarks.case import Case, compare, Work
from depth_anyevent_ros.benchmarks.numpy_caster import cast_depth
from depth_anyevent_ros.geometry.camera import CameraModel
from depth_anyevent_ros.simulation.configuration import Simulation
from depth_anyevent_ros.simulation.raycaster import RayCaster
from depth_anyevent_ros.simulation.recording import events
from depth_anyevent_ros.simulation.worlds import make_simulation, WORLDS

FRAMES = 20  # rendered in one measurement
SHRINK = 4  # the baseline has so many times fewer columns and rows, or it would take minutes
STRETCH_NS = 200_000_000  # simulated in one measurement


def cases(repeats: int, seed: int) -> Iterator[Case]:
    """Yield, for each world, the rate of rendering and that of making events."""
    for world in WORLDS:
        simulation = make_simulation(world, seed, 2_000_000_000, 'davis346', 'train')
        yield _rendering(world, simulation, repeats)
        yield _events(world, replace(simulation, duration_ns=STRETCH_NS), repeats)


def _rendering(world: str, simulation: Simulation, repeats: int) -> Case:
    """Depth and luminance by the ray caster, against depth alone by numpy."""
    camera = simulation.camera
    small = shrunk(camera, SHRINK)
    caster = RayCaster(simulation.scene, camera)
    times = np.linspace(0, simulation.duration_ns * 1e-9, FRAMES)

    def render():
        for time_s in times:
            caster.render(simulation.trajectory.pose(time_s), time_s)

    def plain():
        cast_depth(simulation.scene, small, simulation.trajectory.pose(1.0), 1.0)

    share = small.width * small.height / (camera.width * camera.height)
    return compare(
        f'simulator: render {world}, {camera.width}x{camera.height}', 'frames/s',
        Work(render, FRAMES), f'numpy, depth without textures or light, timed at {small.width}x'
        f'{small.height} and stated for as many pixels', Work(plain, share), repeats)


def _events(world: str, simulation: Simulation, repeats: int) -> Case:
    """Render and make events; real time is what a real camera takes."""
    rates = []
    for index in range(repeats + 1):
        begin = time.perf_counter()
        for _ in events(simulation):
            pass
        if index:  # the first one compiles
            rates.append(simulation.duration_ns * 1e-9 / (time.perf_counter() - begin))
    median = float(np.median(rates))
    camera = simulation.camera
    return Case(f'simulator: events {world}, {camera.width}x{camera.height}', median, min(rates),
                max(rates), 'simulated s/s', 'real time', median)


def shrunk(camera: CameraModel, times: int) -> CameraModel:
    """Return the camera with so many times fewer columns and rows, and the same view."""
    k = camera.k / times
    k[2, 2] = 1
    k[:2, 2] += (1 / times - 1) / 2  # pixel centres are at whole numbers
    return CameraModel(camera.width // times, camera.height // times, k, np.zeros(5))
