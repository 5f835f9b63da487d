# Copyright 2026 depth_anyevent_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""A scene laid out in arrays for compiled loops."""
from __future__ import annotations

from typing import NamedTuple

import numpy as np

from depth_anyevent_ros.simulation.scene import Box, Ellipsoid, Rectangle, Scene
from depth_anyevent_ros.simulation.texture import mip_map

# Columns of SceneArrays.surfaces.
CENTER, RIGHT, UP, NORMAL, SIZE = 0, 3, 6, 9, 12
TEXELS_PER_M = 15
TONE = 16
# Columns of SceneArrays.kinds, and what SHAPE may be.
SHAPE, TEXTURE, TEXTURE_SIZE, BODY = range(4)
FLAT, ROUND = 0, 1
# Columns of SceneArrays.solids.
BEGIN, END, SOLID_BODY, CLOSED = range(4)


class SceneArrays(NamedTuple):
    """
    A scene for compiled loops; surfaces are numbered as in Scene.surfaces.

    surfaces: float64 (n, 17): center; directions right and up, of an ellipsoid its x and y
    axis; normal = right x up; half width, half height and 0, or an ellipsoid's radii; texels a
    metre; tone, what luminance is multiplied by. kinds: int64 (n, 4): shape, start in texels
    and size of the texture's tile, body. color: float32 (n, 3), the tint, of mean 1. solids:
    int64 (m, 4): the surfaces [begin, end) of a rectangle, box or ellipsoid, its body, and
    whether it is a box. spheres: float64 (m, 4), centre and radius of what holds them. texels:
    float32, all mip maps one behind the other.
    """

    surfaces: np.ndarray
    kinds: np.ndarray
    color: np.ndarray
    solids: np.ndarray
    spheres: np.ndarray
    texels: np.ndarray


def scene_arrays(scene: Scene) -> SceneArrays:
    """Lay a scene out in arrays; raise ValueError for surfaces that are none."""
    surfaces = scene.surfaces()
    _check(scene, surfaces)
    maps = [mip_map(tile) for tile in scene.textures]
    starts = np.cumsum([0, *(len(texels) for texels in maps)])
    sizes = [len(tile) for tile in scene.textures]
    rows = [_row(s, sizes[s.texture]) for s in surfaces]
    kinds = [(ROUND if isinstance(s, Ellipsoid) else FLAT, starts[s.texture], sizes[s.texture],
              s.body) for s in surfaces]
    solids, spheres = [], []
    for solid in (*scene.rectangles, *scene.boxes, *scene.ellipsoids):
        begin = solids[-1][END] if solids else 0
        closed = isinstance(solid, Box)
        solids.append((begin, begin + (6 if closed else 1), solid.body, closed))
        spheres.append((*solid.center, _radius(solid)))
    return SceneArrays(
        np.array(rows, np.float64).reshape(-1, 17), np.array(kinds, np.int64).reshape(-1, 4),
        np.array([np.divide(s.color, np.mean(s.color)) for s in surfaces],
                 np.float32).reshape(-1, 3),
        np.array(solids, np.int64).reshape(-1, 4), np.array(spheres, np.float64).reshape(-1, 4),
        np.concatenate(maps) if maps else np.zeros(0, np.float32))


def _row(surface: Rectangle | Ellipsoid, size: int) -> tuple[float, ...]:
    if isinstance(surface, Ellipsoid):
        c, s = np.cos(surface.yaw), np.sin(surface.yaw)
        right, up, sides = (c, s, 0.0), (-s, c, 0.0), surface.radii
    else:
        right, up = surface.right, surface.up
        sides = surface.width / 2, surface.height / 2, 0.0
    return (*surface.center, *right, *up, *np.cross(right, up), *sides, size / surface.tile_m,
            float(np.mean(surface.color)))


def _radius(solid: Rectangle | Box | Ellipsoid) -> float:
    if isinstance(solid, Ellipsoid):
        return max(solid.radii)
    sides = solid.size if isinstance(solid, Box) else (solid.width, solid.height)
    return float(np.linalg.norm(sides)) / 2


def _check(scene: Scene, surfaces: list[Rectangle | Ellipsoid]) -> None:
    for surface in surfaces:
        if isinstance(surface, Ellipsoid):
            sides = surface.radii
        else:
            right, up = np.array(surface.right), np.array(surface.up)
            products = right @ right - 1, up @ up - 1, right @ up
            if np.abs(products).max() > 1e-9:
                raise ValueError('the sides of a rectangle have to be unit vectors at right '
                                 f'angles, got right = {surface.right}, up = {surface.up}')
            sides = surface.width, surface.height
        if min(sides) <= 0 or surface.tile_m <= 0:
            raise ValueError('the width, height, size, radii and tile_m of a surface have to be '
                             f'positive, got {surface}')
        if min(surface.color) < 0 or not 0 < sum(surface.color) < np.inf:
            raise ValueError(f'a colour has to be positive, got {surface.color}')
        if not 0 <= surface.texture < len(scene.textures):
            raise ValueError(f'a surface names texture {surface.texture}, which the scene lacks; '
                             f'it has {len(scene.textures)}')
        if not 0 <= surface.body <= len(scene.bodies):
            raise ValueError(f'a surface moves with body {surface.body}, which the scene lacks; '
                             f'it has {len(scene.bodies)}, counted from 1')
