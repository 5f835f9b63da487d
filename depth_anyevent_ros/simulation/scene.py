# Copyright 2026 depth_anyevent_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""What stands in the simulated world: textured rectangles and boxes, light and sky."""
from __future__ import annotations

from dataclasses import dataclass
import math
from typing import NamedTuple

import numpy as np

from depth_anyevent_ros.simulation.texture import mip_map

Vector = tuple[float, float, float]


@dataclass(frozen=True)
class Rectangle:
    """
    A flat textured surface, seen from both sides.

    center: metres in the world frame (x forward, y left, z up, REP 103). right, up: unit vectors
    along its sides. width, height: metres along them. texture: index into the scene's textures.
    tile_m: side of one tile of the texture in metres.
    """

    center: Vector
    right: Vector
    up: Vector
    width: float
    height: float
    texture: int = 0
    tile_m: float = 2.0


@dataclass(frozen=True)
class Box:
    """A box; size: metres along its own x, y, z; yaw: radians about the world's z axis."""

    center: Vector
    size: Vector
    yaw: float = 0.0
    texture: int = 0
    tile_m: float = 2.0

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
                    self.tile_m))
        return faces


@dataclass(frozen=True)
class Scene:
    """
    Surfaces, their textures (tiles of texture.py), and light.

    sun: direction towards the sun. ambient: share of the light that has no direction. sky:
    luminance of what no surface covers, where a white surface in full light has 1.
    """

    rectangles: tuple[Rectangle, ...]
    textures: tuple[np.ndarray, ...]
    boxes: tuple[Box, ...] = ()
    sun: Vector = (-0.4, 0.5, 0.77)
    ambient: float = 0.45
    sky: float = 0.85

    def surfaces(self) -> list[Rectangle]:
        """Return all rectangles, those of the boxes last."""
        return [*self.rectangles, *(face for box in self.boxes for face in box.rectangles())]


class SurfaceArrays(NamedTuple):
    """
    A scene for compiled loops, one row for each rectangle.

    center, right, up: float64 (n, 3). half: (n, 2) metres. light: (n,) luminance of a white
    surface. texture: int64 (n, 2), start in texels and size of the tile. texels_per_m: (n,).
    texels: float32 (m,), all mip maps one behind the other.
    """

    center: np.ndarray
    right: np.ndarray
    up: np.ndarray
    half: np.ndarray
    light: np.ndarray
    texture: np.ndarray
    texels_per_m: np.ndarray
    texels: np.ndarray


def surface_arrays(scene: Scene) -> SurfaceArrays:
    """Lay a scene out in arrays; raise ValueError for surfaces that are none."""
    surfaces = scene.surfaces()
    maps = [mip_map(tile) for tile in scene.textures]
    starts = np.cumsum([0, *(len(texels) for texels in maps)])
    right, up = (np.array([getattr(s, name) for s in surfaces], np.float64).reshape(-1, 3)
                 for name in ('right', 'up'))
    half = np.array([(s.width / 2, s.height / 2) for s in surfaces], np.float64).reshape(-1, 2)
    _check(surfaces, len(maps), right, up, half)
    sun = np.asarray(scene.sun) / np.linalg.norm(scene.sun)
    facing = np.clip(np.cross(right, up) @ sun, 0, None)
    sizes = [len(scene.textures[s.texture]) for s in surfaces]
    return SurfaceArrays(
        np.array([s.center for s in surfaces], np.float64).reshape(-1, 3), right, up, half,
        scene.ambient + (1 - scene.ambient) * facing,
        np.array([(starts[s.texture], size) for s, size in zip(surfaces, sizes)],
                 np.int64).reshape(-1, 2),
        np.array([size / s.tile_m for s, size in zip(surfaces, sizes)], np.float64),
        np.concatenate(maps) if maps else np.zeros(0, np.float32))


def _check(surfaces: list[Rectangle], textures: int, right: np.ndarray, up: np.ndarray,
           half: np.ndarray) -> None:
    products = np.stack([(right * right).sum(1) - 1, (up * up).sum(1) - 1, (right * up).sum(1)])
    if np.any(np.abs(products) > 1e-9):
        raise ValueError('the sides of a rectangle have to be unit vectors at right angles')
    if np.any(half <= 0) or any(s.tile_m <= 0 for s in surfaces):
        raise ValueError('the width, height and tile_m of a surface have to be positive')
    if any(not 0 <= s.texture < textures for s in surfaces):
        raise ValueError(f'a surface names a texture that the scene lacks; it has {textures}')
