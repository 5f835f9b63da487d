# Copyright 2026 depth_anyevent_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""What stands in the simulated world: textured rectangles and boxes, light and sky."""
from __future__ import annotations

from dataclasses import dataclass
import math
from typing import Protocol

import numpy as np

Vector = tuple[float, float, float]
WHITE = (1.0, 1.0, 1.0)


@dataclass(frozen=True)
class Rectangle:
    """
    A flat textured surface, seen from both sides.

    center: metres in the world frame (x forward, y left, z up, REP 103). right, up: unit vectors
    along its sides. width, height: metres along them. texture: index into the scene's textures.
    tile_m: side of one tile of the texture in metres. color: what linear red, green and blue are
    multiplied by; the event camera sees their mean. body: 0 if it stands still, else the number
    of the body that it moves with, counted from 1.
    """

    center: Vector
    right: Vector
    up: Vector
    width: float
    height: float
    texture: int = 0
    tile_m: float = 2.0
    color: Vector = WHITE
    body: int = 0


@dataclass(frozen=True)
class Box:
    """A box; size: metres along its own x, y, z; yaw: radians about the world's z axis."""

    center: Vector
    size: Vector
    yaw: float = 0.0
    texture: int = 0
    tile_m: float = 2.0
    color: Vector = WHITE
    body: int = 0

    def rectangles(self) -> list[Rectangle]:
        """Return the six faces, their right x up pointing outward."""
        c, s = math.cos(self.yaw), math.sin(self.yaw)
        axes = np.array([[c, s, 0], [-s, c, 0], [0, 0, 1.0]])
        faces = []
        for axis in range(3):
            for sign in (1, -1):
                # Sides keep z as their up, so that textures stand upright on them.
                right, up = ((1, 2), (0, 2), (0, 1))[axis]
                flip = sign * (1, -1, 1)[axis]
                center = self.center + axes[axis] * sign * self.size[axis] / 2
                faces.append(Rectangle(
                    tuple(center.tolist()), tuple((axes[right] * flip).tolist()),
                    tuple(axes[up].tolist()), self.size[right], self.size[up], self.texture,
                    self.tile_m, self.color, self.body))
        return faces


@dataclass(frozen=True)
class Ellipsoid:
    """
    An ellipsoid; radii: metres along its own x, y, z; yaw: radians about the world's z axis.

    Its texture is spread from its top, and drawn together at its bottom. It is not seen from
    inside.
    """

    center: Vector
    radii: Vector
    yaw: float = 0.0
    texture: int = 0
    tile_m: float = 2.0
    color: Vector = WHITE
    body: int = 0


class Motion(Protocol):
    """Anything that knows where a body is at a time in seconds."""

    def pose(self, time_s: float) -> tuple[np.ndarray, float]:
        """Return position, (3,) metres in the world, and yaw, radians about its z axis."""


@dataclass(frozen=True)
class Light:
    """
    Sun, sky, air and lamps.

    sun: direction towards the sun. ambient: share of the light that has no direction.
    sky_horizon, sky_zenith: luminance of the sky, where a white surface in full light has 1.
    clouds: contrast of a soft pattern in the sky that stands still in the world. level:
    brightness of the whole scene, 1 for day, 1e-4 for a dark street at night; rendered luminance
    is relative to it. fog_per_m: extinction, 1/m. flicker: share of the light that comes from
    lamps on the mains, which goes as (1 + sin(2 pi flicker_hz t)) / 2.
    """

    sun: Vector = (-0.4, 0.5, 0.77)
    ambient: float = 0.45
    sky_horizon: float = 0.9
    sky_zenith: float = 0.6
    clouds: float = 0.0
    level: float = 1.0
    fog_per_m: float = 0.0
    flicker: float = 0.0
    flicker_hz: float = 100.0

    def __post_init__(self) -> None:
        if not np.linalg.norm(self.sun) > 0:
            raise ValueError(f'sun has to be a direction, got {self.sun}')
        for name in ('ambient', 'clouds', 'flicker'):
            if not 0 <= getattr(self, name) <= 1:
                raise ValueError(f'{name} has to be within 0 to 1, got {getattr(self, name)}')
        for name in ('sky_horizon', 'sky_zenith', 'level', 'fog_per_m', 'flicker_hz'):
            if not 0 <= getattr(self, name) < math.inf:
                raise ValueError(f'{name} has to be finite and not negative, got '
                                 f'{getattr(self, name)}')

    def lamp(self, time_s: float) -> float:
        """Return by how much the lamps' flicker dims the light at a time in seconds."""
        swing = (1 + math.sin(2 * math.pi * self.flicker_hz * time_s)) / 2
        return 1 - self.flicker + self.flicker * swing


@dataclass(frozen=True)
class Scene:
    """
    Surfaces, their textures (tiles of texture.py), bodies that move, and light.

    bodies: what a surface with body = k > 0 moves with is bodies[k - 1]; its center, directions
    and yaw are then in the body's frame.
    """

    rectangles: tuple[Rectangle, ...]
    textures: tuple[np.ndarray, ...]
    boxes: tuple[Box, ...] = ()
    ellipsoids: tuple[Ellipsoid, ...] = ()
    bodies: tuple[Motion, ...] = ()
    light: Light = Light()

    def surfaces(self) -> list[Rectangle | Ellipsoid]:
        """Return all surfaces: rectangles, then six faces of each box, then ellipsoids."""
        return [*self.rectangles, *(face for box in self.boxes for face in box.rectangles()),
                *self.ellipsoids]
