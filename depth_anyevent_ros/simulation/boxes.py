# Copyright 2026 depth_anyevent_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""The first world of our own: boxes on a floor before a wall, and a hand-held DAVIS346."""
from __future__ import annotations

import math

import numpy as np

from depth_anyevent_ros.geometry.camera import CameraModel
from depth_anyevent_ros.simulation.event_camera import EventCameraConfig
from depth_anyevent_ros.simulation.recording import Simulation
from depth_anyevent_ros.simulation.scene import Box, Light, Rectangle, Scene
from depth_anyevent_ros.simulation.texture import checker_texture, leaves_texture, noise_texture
from depth_anyevent_ros.simulation.trajectory import Sway

# A DAVIS346 behind a lens of 66 degrees, without distortion.
DAVIS346 = CameraModel(
    346, 260, np.array([[266.0, 0, 172.5], [0, 266.0, 129.5], [0, 0, 1]]), np.zeros(5))


def boxes_simulation(seed: int, duration_ns: int) -> Simulation:
    """
    Return the simulation: a slow walk forward with sideways sway and turns of the wrist.

    seed: of the textures, of where the boxes stand, and of the sensor's noise.
    """
    sensor = EventCameraConfig(threshold_on=0.45, threshold_off=0.45, mismatch=0.05,
                               refractory_ns=500_000, leak_hz=0.05, shot_noise_hz=0.03, seed=seed)
    walk = Sway(start=(0, 0, 1.2, 0.0, 0.12, 0), velocity=(0.3, 0, 0, 0, 0, 0),
                amplitude=(0, 0.12, 0.02, 0.035, 0.012, 0.015),
                frequency_hz=(1, 0.4, 0.9, 0.4, 0.6, 0.5), phase=(0, 0, 0, 2.0, 1.0, 3.0))
    return Simulation(boxes_scene(seed), walk, DAVIS346, sensor, duration_ns)


def boxes_scene(seed: int) -> Scene:
    """Return eight boxes of several sizes on a floor, 2 to 7 m away, and a wall behind them."""
    generator = np.random.default_rng(seed)
    textures = (
        noise_texture(seed, slope=1.6, contrast=0.4),
        leaves_texture(seed + 1, count=60, smallest=0.06, shades=(0.15, 0.6)),
        leaves_texture(seed + 2, count=40, smallest=0.05, shades=(0.12, 0.7)),
        noise_texture(seed + 3, slope=1.5, contrast=0.5), checker_texture(squares=4))
    floor = Rectangle((10, 0, 0), (0, -1, 0), (1, 0, 0), 30, 24, texture=0, tile_m=2.5)
    wall = Rectangle((9, 0, 3), (0, -1, 0), (0, 0, 1), 30, 6, texture=1, tile_m=6.0)
    boxes = []
    for index, distance in enumerate(np.linspace(2.6, 7.2, 8)):
        # Alternately left and right of the way, so that each can be seen.
        side = (-1) ** index * generator.uniform(0.12, 0.42) * distance
        width, depth = generator.uniform(0.3, 0.6, 2) * math.sqrt(distance)
        height = generator.uniform(0.3, 0.8) * math.sqrt(distance)
        boxes.append(Box((distance, side, height / 2), (depth, width, height),
                         generator.uniform(-0.8, 0.8), texture=1 + (index % 4),
                         tile_m=generator.uniform(1.0, 2.0)))
    sky = Light(sky_horizon=0.85, sky_zenith=0.85)
    return Scene((floor, wall), textures, tuple(boxes), light=sky)
