# Copyright 2026 depth_anyevent_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""
One ray through the centre of every pixel: exact depth, and luminance free of aliasing.

The depth Z along the optical axis of a plane n . P = n . P0 seen along the ray (x, y, 1) is
n . P0 / n . (x, y, 1), so that 1/Z is linear in the pixel; the nearest surface is the one with
the largest 1/Z. Luminance is filtered over the pixel: textures by their mip maps, and where
surfaces meet in a pixel by how much of it each of them covers.
"""
from __future__ import annotations

from dataclasses import dataclass
import math

import numpy as np

from depth_anyevent_ros.events.jit import njit
from depth_anyevent_ros.geometry.camera import CameraModel
from depth_anyevent_ros.simulation.scene import Scene, surface_arrays, SurfaceArrays
from depth_anyevent_ros.simulation.texture import sample
from depth_anyevent_ros.simulation.trajectory import Pose

NEAREST_M = 0.05
SKY = -1
# Rays per pixel and axis where surfaces meet: an n-rooks pattern, so that an edge in any
# direction, along the axes as well, uncovers one ray after the other.
COVERAGE_RAYS = 16
COVERAGE_STRIDE = 7

# Columns of what a pose makes of a surface: its plane 1/Z = A x + B y + C, its sides and where
# its centre lies along them, and the rest as in SurfaceArrays.
(A, B, C, RIGHT, _, _, CENTER_RIGHT, UP, _, _, CENTER_UP, HALF_WIDTH, HALF_HEIGHT, LIGHT,
 TEXELS_PER_M) = range(15)


@dataclass(frozen=True)
class Frame:
    """
    A rendered picture.

    depth: float32 (height, width), metres along the optical axis, +inf where there is only sky
    (REP 117). luminance: float32 (height, width), linear, 1 for white in full light.
    """

    depth: np.ndarray
    luminance: np.ndarray


class RayCaster:
    """Renders a scene through a pinhole camera whose pixel centres are at whole numbers."""

    def __init__(self, scene: Scene, camera: CameraModel) -> None:
        if not camera.calibrated or np.any(camera.d):
            raise ValueError('the ray caster needs a camera with a camera matrix and without '
                             f'distortion, got k = {camera.k.tolist()}, d = {camera.d.tolist()}')
        self._surfaces = surface_arrays(scene)
        self._sky = scene.sky
        self._size = camera.height, camera.width
        self._k = np.array([camera.k[0, 0], camera.k[1, 1], camera.k[0, 2], camera.k[1, 2]])

    def render(self, pose: Pose) -> Frame:
        """Render from a pose of the optical frame in the world."""
        seen = _seen_from(self._surfaces, pose)
        corners = _corners(self._surfaces, pose)
        inverse = np.zeros(self._size)
        nearest = np.full(self._size, SKY, np.int32)
        _cast(seen, corners, self._k, inverse, nearest)
        luminance = np.empty(self._size, np.float32)
        _shade(seen, self._surfaces.texture, self._surfaces.texels, self._k, self._sky, inverse,
               nearest, luminance)
        _blend_edges(seen, self._surfaces.texture, self._surfaces.texels, self._k, self._sky,
                     nearest, luminance)
        with np.errstate(divide='ignore'):
            return Frame((1 / inverse).astype(np.float32), luminance)


def _seen_from(surfaces: SurfaceArrays, pose: Pose) -> np.ndarray:
    """
    Return what a pose makes of each surface, float64 (n, 15), in the columns named above.

    A point P of the plane has a x + b y + c = 1/Z, and lies (P - centre) . right from its
    centre; a surface that is seen edge-on gets nan and is never hit.
    """
    center = (surfaces.center - pose.position) @ pose.rotation
    right, up = surfaces.right @ pose.rotation, surfaces.up @ pose.rotation
    normal = np.cross(right, up)
    distance = (normal * center).sum(1, keepdims=True)
    plane = np.divide(normal, distance, out=np.full_like(normal, np.nan), where=distance != 0)
    return np.hstack([
        plane, right, (center * right).sum(1, keepdims=True), up,
        (center * up).sum(1, keepdims=True), surfaces.half, surfaces.light[:, None],
        surfaces.texels_per_m[:, None]])


def _corners(surfaces: SurfaceArrays, pose: Pose) -> np.ndarray:
    """Return the corners of each surface in the optical frame, float64 (n, 4, 3)."""
    signs = np.array([(-1, -1), (-1, 1), (1, 1), (1, -1)]) * surfaces.half[:, None]
    corners = (surfaces.center[:, None] + signs[..., :1] * surfaces.right[:, None]
               + signs[..., 1:] * surfaces.up[:, None])
    return (corners - pose.position) @ pose.rotation


@njit
def _on_surface(seen, i, x, y, z):
    """Return where the ray (x, y, 1) is at depth z, in metres from the centre of surface i."""
    return (z * (x * seen[i, RIGHT] + y * seen[i, RIGHT + 1] + seen[i, RIGHT + 2])
            - seen[i, CENTER_RIGHT],
            z * (x * seen[i, UP] + y * seen[i, UP + 1] + seen[i, UP + 2]) - seen[i, CENTER_UP])


@njit
def _hit(seen, i, x, y, beyond):
    """
    Return the inverse depth of surface i along the ray (x, y, 1).

    Return 0 where the ray misses it, or meets it no nearer than the inverse depth beyond.
    """
    inverse = seen[i, A] * x + seen[i, B] * y + seen[i, C]
    if beyond < inverse < 1 / NEAREST_M:
        across, along = _on_surface(seen, i, x, y, 1 / inverse)
        if abs(across) <= seen[i, HALF_WIDTH] and abs(along) <= seen[i, HALF_HEIGHT]:
            return inverse
    return 0.0


@njit
def _bounds(corners, k, height, width):
    """Return rows and columns (begin, end each) outside of which a surface is not seen."""
    u0, u1, v0, v1 = math.inf, -math.inf, math.inf, -math.inf
    behind = 0
    for j in range(4):
        z = corners[j, 2]
        if z < NEAREST_M:
            behind += 1
            continue
        u = k[0] * corners[j, 0] / z + k[2]
        v = k[1] * corners[j, 1] / z + k[3]
        u0, u1, v0, v1 = min(u0, u), max(u1, u), min(v0, v), max(v1, v)
    if behind == 4:
        return 0, 0, 0, 0
    if behind:
        # It reaches behind the camera; its picture is not the hull of the corners in front.
        return 0, height, 0, width
    return (max(0, int(min(v0, height))), min(height, int(max(v1, -1.0)) + 1),
            max(0, int(min(u0, width))), min(width, int(max(u1, -1.0)) + 1))


@njit
def _cast(seen, corners, k, inverse, nearest):
    """Find the nearest surface and its inverse depth for every pixel."""
    height, width = inverse.shape
    for i in range(len(seen)):
        row_begin, row_end, column_begin, column_end = _bounds(corners[i], k, height, width)
        for row in range(row_begin, row_end):
            y = (row - k[3]) / k[1]
            for column in range(column_begin, column_end):
                value = _hit(seen, i, (column - k[2]) / k[0], y, inverse[row, column])
                if value > 0:
                    inverse[row, column] = value
                    nearest[row, column] = i


@njit
def _luminance(seen, texture, texels, i, k, x, y):
    """Return the luminance of surface i over the pixel about the ray (x, y, 1)."""
    a, b = seen[i, A], seen[i, B]
    z = 1 / (a * x + b * y + seen[i, C])
    across, along = _on_surface(seen, i, x, y, z)
    # d(P)/d(u) = Z ((1, 0, 0) - (x, y, 1) Z a) / fx, by the quotient rule, and alike for v.
    right_0, right_1, up_0, up_1 = seen[i, RIGHT], seen[i, RIGHT + 1], seen[i, UP], seen[i, UP + 1]
    ray_right = z * (x * right_0 + y * right_1 + seen[i, RIGHT + 2])
    ray_up = z * (x * up_0 + y * up_1 + seen[i, UP + 2])
    scale = seen[i, TEXELS_PER_M]
    step_u, step_v = scale * z / k[0], scale * z / k[1]
    return seen[i, LIGHT] * sample(
        texels, texture[i, 0], texture[i, 1], across * scale, -along * scale,
        step_u * (right_0 - ray_right * a), step_v * (right_1 - ray_right * b),
        -step_u * (up_0 - ray_up * a), -step_v * (up_1 - ray_up * b))


@njit
def _shade(seen, texture, texels, k, sky, inverse, nearest, luminance):
    """Fill in the luminance of every pixel as if one surface covered it."""
    height, width = inverse.shape
    for row in range(height):
        y = (row - k[3]) / k[1]
        for column in range(width):
            i = nearest[row, column]
            luminance[row, column] = sky if i == SKY else _luminance(
                seen, texture, texels, i, k, (column - k[2]) / k[0], y)


@njit
def _blend_edges(seen, texture, texels, k, sky, nearest, luminance):
    """Mix the surfaces of every pixel in which several meet, by the rays that hit each."""
    height, width = nearest.shape
    found = np.empty(9, np.int32)
    hits = np.empty(9, np.int64)
    sums = np.empty((9, 2))
    for row in range(height):
        for column in range(width):
            count = _surfaces_around(nearest, row, column, found)
            if count == 1:
                continue
            hits[:count] = 0
            sums[:count] = 0
            for ray in range(COVERAGE_RAYS):
                du = (ray + 0.5) / COVERAGE_RAYS - 0.5
                dv = (ray * COVERAGE_STRIDE % COVERAGE_RAYS + 0.5) / COVERAGE_RAYS - 0.5
                x, y = (column + du - k[2]) / k[0], (row + dv - k[3]) / k[1]
                best = _first_hit(seen, found, count, x, y)
                # A ray may slip between two surfaces by rounding, and is left out.
                if best >= 0:
                    hits[best] += 1
                    sums[best, 0] += x
                    sums[best, 1] += y
            total = 0.0
            for j in range(count):
                if hits[j] and found[j] == SKY:
                    total += hits[j] * sky
                elif hits[j]:
                    total += hits[j] * _luminance(
                        seen, texture, texels, found[j], k, sums[j, 0] / hits[j],
                        sums[j, 1] / hits[j])
            if hits[:count].sum():
                luminance[row, column] = total / hits[:count].sum()


@njit
def _surfaces_around(nearest, row, column, found):
    """List the surfaces of the pixel and its eight neighbours in found; return their number."""
    height, width = nearest.shape
    count = 0
    for r in range(max(row - 1, 0), min(row + 2, height)):
        for c in range(max(column - 1, 0), min(column + 2, width)):
            i = nearest[r, c]
            known = False
            for j in range(count):
                known = known or found[j] == i
            if not known:
                found[count] = i
                count += 1
    return count


@njit
def _first_hit(seen, found, count, x, y):
    """Return which of the surfaces found the ray (x, y, 1) meets first, -1 for none."""
    best, nearest = -1, 0.0
    for j in range(count):
        if found[j] == SKY:
            best = j if best < 0 else best
            continue
        value = _hit(seen, found[j], x, y, nearest)
        if value > 0:
            best, nearest = j, value
    return best
