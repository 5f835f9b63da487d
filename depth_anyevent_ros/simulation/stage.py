# Copyright 2026 depth_anyevent_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""What a world makes before a camera is chosen: scenery, light and a path."""
from __future__ import annotations

from dataclasses import dataclass
import math

import numpy as np

from depth_anyevent_ros.simulation.factors import DeskFactors, draw, DroneFactors, Ranges
from depth_anyevent_ros.simulation.layouts_parts import Parts
from depth_anyevent_ros.simulation.scene import Light, Scene
from depth_anyevent_ros.simulation.trajectories import CameraPath, draw_pauses


@dataclass(frozen=True)
class Stage:
    """
    Scenery, light and the camera's path.

    drawn: what was drawn, by name; numbers and words that JSON can hold.
    """

    parts: Parts
    light: Light
    path: CameraPath
    drawn: dict

    def scene(self, level: float | None) -> Scene:
        """Return the scene at a level of light, None for that of the stage."""
        light = self.light if level is None else Light(**{**vars(self.light), 'level': level})
        return Scene(tuple(self.parts.rectangles), tuple(self.parts.textures),
                     tuple(self.parts.boxes), tuple(self.parts.ellipsoids),
                     tuple(self.parts.bodies), light)


def draw_light(generator: np.random.Generator, level: Ranges, outdoor: bool,
               fog_per_m: float = 0.0, flicker: float = 0.0,
               flicker_hz: float = 100.0) -> tuple[Light, dict]:
    """Draw where the light comes from and how bright it is; return it and what was drawn."""
    azimuth = generator.uniform(0, 2 * math.pi)
    elevation = math.radians(generator.uniform(*((20, 65) if outdoor else (55, 80))))
    brightness = draw(generator, level, logarithmic=True)
    light = Light(
        (math.cos(elevation) * math.cos(azimuth), math.cos(elevation) * math.sin(azimuth),
         math.sin(elevation)),
        ambient=generator.uniform(*((0.35, 0.6) if outdoor else (0.5, 0.75))),
        sky_horizon=generator.uniform(0.6, 1.0), sky_zenith=generator.uniform(0.4, 0.8),
        clouds=generator.uniform(0.0, 0.35) if outdoor else 0.0, level=brightness,
        fog_per_m=fog_per_m, flicker=flicker, flicker_hz=flicker_hz)
    return light, {'level': brightness, 'fog_per_m': fog_per_m, 'flicker': flicker,
                   'flicker_hz': flicker_hz}


def draw_indoor_light(generator: np.random.Generator,
                      factors: DroneFactors | DeskFactors) -> tuple[Light, dict]:
    """Draw light as `draw_light` does, in two of five rooms from lamps that flicker."""
    lamps = generator.random() < 0.4
    return draw_light(generator, factors.level, outdoor=False,
                      flicker=draw(generator, factors.flicker) if lamps else 0.0,
                      flicker_hz=draw(generator, factors.flicker_hz))


def settled_pauses(choices: np.random.Generator, motion: np.random.Generator, duration_s: float,
                   pauses_s: list[tuple[float, float]] | None) -> list[tuple[float, float]]:
    """Return the pauses, (begin, end) in seconds; in three of four scenes some where None."""
    if pauses_s is not None:
        return pauses_s
    return draw_pauses(motion, duration_s, 0.18) if choices.random() < 0.75 else []
