# Copyright 2026 depth_anyevent_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""
What a pose of the camera makes of the surfaces of a scene, and which it can see at all.

Along the ray (x, y, 1) a point at depth Z is P = Z (x, y, 1). On a plane 1/Z = A x + B y + C.
On an ellipsoid (P - c)' Q (P - c) = 1 the nearer of the two points has
1/Z = l . d + sqrt(d' S d), d = (x, y, 1), with k = c' Q c - 1, l = Q c / k and
S = l l' - Q / k, which is the quadratic formula.
"""
from __future__ import annotations

import math

import numpy as np

from depth_anyevent_ros.events.jit import njit
from depth_anyevent_ros.simulation.surfaces import (
    BEGIN, CENTER, CLOSED, END, NORMAL, RIGHT, ROUND, SHAPE, SIZE, SOLID_BODY, TEXELS_PER_M,
    TEXTURE, TEXTURE_SIZE, TONE, UP)

NEAREST_M = 0.05
# A picture of a surface that is thinner than this many pixels may pass between pixel centres.
THIN_PX = 2.0

# Columns of a view: what a pose makes of a surface, in the optical frame.
PLANE = 0  # A, B, C; of an ellipsoid l
# A flat one: direction right, the centre along it; up, the centre along it; half sides; light.
V_RIGHT, V_RIGHT_CENTER, V_UP, V_UP_CENTER, V_HALF, V_LIGHT = 3, 6, 7, 10, 11, 13
# A round one: S by rows of its upper half; centre; axes by radii, of which Q is the square;
# its radii along x and y.
V_SQUARE, V_CENTER, V_AXES, V_RADII = 3, 9, 12, 21
V_SCALE = 23  # texels a metre
V_FAR, V_NEAR = 24, 25  # the range of 1/Z on what is in front of the camera
V_TONE = 26  # what luminance is multiplied by
COLUMNS = 27
# Integer columns of a view.
(V_SURFACE, V_SOLID, V_SHAPE, V_TEXTURE, V_TEXTURE_SIZE, V_THIN, ROW0, ROW1, COLUMN0,
 COLUMN1) = range(10)
INTEGERS = 10


@njit
def look(scene, axes, origin, eye, sun, ambient, k, height, width):
    """
    Return views of the surfaces that may be seen: float64 (m, 27), int64 (m, 10).

    scene: SceneArrays. axes, origin: (bodies + 1, 3, 3) and (bodies + 1, 3), the optical frame
    from each body's, with P' = axes P + origin. eye: (bodies + 1, 3), the camera in each
    body's frame. sun: (3,), its direction in the optical frame. k: fx, fy, cx, cy.
    """
    surfaces, kinds, solids = scene.surfaces, scene.kinds, scene.solids
    views = np.empty((len(surfaces), COLUMNS))
    whole = np.empty((len(surfaces), INTEGERS), np.int64)
    sides = _frustum(k, height, width)
    polygon = np.empty((8, 2))
    count = 0
    for s in range(len(solids)):
        body = solids[s, SOLID_BODY]
        if _outside(scene.spheres[s], axes[body], origin[body], sides):
            continue
        begin, end = solids[s, BEGIN], solids[s, END]
        # Of a box only the faces that are turned to the camera, unless it is inside.
        one_sided = False
        if solids[s, CLOSED]:
            for i in range(begin, end):
                one_sided = one_sided or _height_above(surfaces[i], eye[body]) > 0
        for i in range(begin, end):
            above = _height_above(surfaces[i], eye[body])
            if above == 0 or (one_sided and above < 0):
                continue
            view, numbers = views[count], whole[count]
            if kinds[i, SHAPE] == ROUND:
                seen = _round(surfaces[i], axes[body], origin[body], view) \
                    and _round_bounds(view, k, height, width, numbers)
            else:
                _flat(surfaces[i], axes[body], origin[body], sun, ambient, view)
                seen = _flat_bounds(view, k, height, width, polygon, numbers)
            if seen:
                view[V_SCALE] = surfaces[i, TEXELS_PER_M]
                view[V_TONE] = surfaces[i, TONE]
                numbers[V_SURFACE], numbers[V_SOLID] = i, s
                numbers[V_SHAPE] = kinds[i, SHAPE]
                numbers[V_TEXTURE] = kinds[i, TEXTURE]
                numbers[V_TEXTURE_SIZE] = kinds[i, TEXTURE_SIZE]
                count += 1
    return views[:count], whole[:count]


@njit
def _frustum(k, height, width):
    """Return the inward unit normals (5, 3) of the sides of what is seen, the last forward."""
    sides = np.zeros((5, 3))
    left, right = (-1 - k[2]) / k[0], (width - k[2]) / k[0]
    top, bottom = (-1 - k[3]) / k[1], (height - k[3]) / k[1]
    sides[0, 0], sides[0, 2] = 1, -left
    sides[1, 0], sides[1, 2] = -1, right
    sides[2, 1], sides[2, 2] = 1, -top
    sides[3, 1], sides[3, 2] = -1, bottom
    sides[4, 2] = 1
    for j in range(5):
        sides[j] /= math.sqrt((sides[j] * sides[j]).sum())
    return sides


@njit
def _dot(a, b, at, bt):
    """Return the dot product of a[at:at + 3] and b[bt:bt + 3]."""
    return a[at] * b[bt] + a[at + 1] * b[bt + 1] + a[at + 2] * b[bt + 2]


@njit
def _outside(sphere, axes, origin, sides):
    """Return whether a sphere (centre, radius) lies wholly out of sight."""
    x = _dot(axes[0], sphere, 0, 0) + origin[0]
    y = _dot(axes[1], sphere, 0, 0) + origin[1]
    z = _dot(axes[2], sphere, 0, 0) + origin[2]
    for j in range(5):
        if sides[j, 0] * x + sides[j, 1] * y + sides[j, 2] * z < -sphere[3]:
            return True
    return False


@njit
def _height_above(surface, eye):
    """Return how far the camera lies on the outer side of a surface, metres; 1 if round."""
    if surface[SIZE + 2] > 0:
        return 1.0
    return ((eye[0] - surface[CENTER]) * surface[NORMAL]
            + (eye[1] - surface[CENTER + 1]) * surface[NORMAL + 1]
            + (eye[2] - surface[CENTER + 2]) * surface[NORMAL + 2])


@njit
def _flat(surface, axes, origin, sun, ambient, view):
    """Fill in the view of a rectangle."""
    facing, distance = 0.0, 0.0
    along_right, along_up = 0.0, 0.0
    for j in range(3):
        center = _dot(axes[j], surface, 0, CENTER) + origin[j]
        normal = _dot(axes[j], surface, 0, NORMAL)
        view[V_RIGHT + j] = _dot(axes[j], surface, 0, RIGHT)
        view[V_UP + j] = _dot(axes[j], surface, 0, UP)
        along_right += center * view[V_RIGHT + j]
        along_up += center * view[V_UP + j]
        distance += center * normal
        facing += normal * sun[j]
        view[PLANE + j] = normal
    for j in range(3):
        view[PLANE + j] = np.divide(view[PLANE + j], distance)
    view[V_RIGHT_CENTER], view[V_UP_CENTER] = along_right, along_up
    view[V_HALF], view[V_HALF + 1] = surface[SIZE], surface[SIZE + 1]
    view[V_LIGHT] = surface[TONE] * (ambient + (1 - ambient) * max(facing, 0.0))


@njit
def _flat_bounds(view, k, height, width, polygon, numbers):
    """Fill in rows and columns outside of which a rectangle is not seen; return if any."""
    corners, far, near = 0, math.inf, 0.0
    for j in range(4):
        x, y, z = _corner(view, j)
        after_x, after_y, after_z = _corner(view, (j + 1) % 4)
        if z >= NEAREST_M:
            polygon[corners, 0] = k[0] * x / z + k[2]
            polygon[corners, 1] = k[1] * y / z + k[3]
            far, near = min(far, 1 / z), max(near, 1 / z)
            corners += 1
        if (z >= NEAREST_M) != (after_z >= NEAREST_M):
            part = (NEAREST_M - z) / (after_z - z)
            polygon[corners, 0] = k[0] * (x + part * (after_x - x)) / NEAREST_M + k[2]
            polygon[corners, 1] = k[1] * (y + part * (after_y - y)) / NEAREST_M + k[3]
            far, near = min(far, 1 / NEAREST_M), 1 / NEAREST_M
            corners += 1
    if corners == 0:
        return False
    u0, u1, v0, v1, area = math.inf, -math.inf, math.inf, -math.inf, 0.0
    for j in range(corners):
        u, v = polygon[j, 0], polygon[j, 1]
        after = (j + 1) % corners
        u0, u1, v0, v1 = min(u0, u), max(u1, u), min(v0, v), max(v1, v)
        area += (u * polygon[after, 1] - v * polygon[after, 0]) / 2
    view[V_FAR], view[V_NEAR] = far, near
    numbers[V_THIN] = abs(area) < THIN_PX * max(u1 - u0, v1 - v0)
    return _set_bounds(u0, u1, v0, v1, height, width, numbers)


@njit
def _corner(view, j):
    """Return corner j of four, in order around a rectangle, in the optical frame."""
    across = view[V_RIGHT_CENTER] + (-1.0 if j < 2 else 1.0) * view[V_HALF]
    along = view[V_UP_CENTER] + (1.0 if j == 1 or j == 2 else -1.0) * view[V_HALF + 1]
    # The third coordinate is that of the plane along its normal n = PLANE distance.
    square = _dot(view, view, PLANE, PLANE)
    return (across * view[V_RIGHT] + along * view[V_UP] + view[PLANE] / square,
            across * view[V_RIGHT + 1] + along * view[V_UP + 1] + view[PLANE + 1] / square,
            across * view[V_RIGHT + 2] + along * view[V_UP + 2] + view[PLANE + 2] / square)


@njit
def _set_bounds(u0, u1, v0, v1, height, width, numbers):
    """Fill in rows and columns, one more than needed on each side; return if there are any."""
    numbers[ROW0] = int(min(max(v0, 0.0), height))
    numbers[ROW1] = int(min(max(v1 + 2, 0.0), height))
    numbers[COLUMN0] = int(min(max(u0, 0.0), width))
    numbers[COLUMN1] = int(min(max(u1 + 2, 0.0), width))
    return numbers[ROW0] < numbers[ROW1] and numbers[COLUMN0] < numbers[COLUMN1]


@njit
def _round(surface, axes, origin, view):
    """Fill in the view of an ellipsoid; return whether the camera is outside of it."""
    for j in range(3):
        view[V_CENTER + j] = _dot(axes[j], surface, 0, CENTER) + origin[j]
        for axis, start in enumerate((RIGHT, UP, NORMAL)):
            view[V_AXES + 3 * axis + j] = _dot(axes[j], surface, 0, start) / surface[SIZE + axis]
    view[V_RADII], view[V_RADII + 1] = surface[SIZE], surface[SIZE + 1]
    # The centre in units of the radii: Q c = axes' (axes c), c' Q c its square.
    view[PLANE] = view[PLANE + 1] = view[PLANE + 2] = 0.0
    k = -1.0
    for axis in range(3):
        q = _dot(view, view, V_AXES + 3 * axis, V_CENTER)
        k += q * q
        for j in range(3):
            view[PLANE + j] += q * view[V_AXES + 3 * axis + j]
    if k <= 0:
        return False
    for j in range(3):
        view[PLANE + j] /= k
    at = V_SQUARE
    for i in range(3):
        for j in range(i, 3):
            square = view[V_AXES + i] * view[V_AXES + j] \
                + view[V_AXES + 3 + i] * view[V_AXES + 3 + j] \
                + view[V_AXES + 6 + i] * view[V_AXES + 6 + j]
            view[at] = view[PLANE + i] * view[PLANE + j] - square / k
            at += 1
    return True


@njit
def _round_bounds(view, k, height, width, numbers):
    """
    Fill in rows and columns outside of which an ellipsoid is not seen; return if any.

    The lines x = a that touch its picture fulfil (1, 0, -a) D (1, 0, -a)' = 0 with the dual
    conic D = Q^-1 - c c' (Hartley and Zisserman, Multiple View Geometry, result 8.9).
    """
    dual = np.zeros((3, 3))
    for axis in range(3):
        start = V_AXES + 3 * axis
        square = _dot(view, view, start, start)
        for i in range(3):
            for j in range(3):
                dual[i, j] += view[start + i] * view[start + j] / (square * square)
    deep = math.sqrt(dual[2, 2])
    for i in range(3):
        for j in range(3):
            dual[i, j] -= view[V_CENTER + i] * view[V_CENTER + j]
    numbers[V_THIN] = 0
    view[V_FAR], view[V_NEAR] = 0.0, math.inf
    if view[V_CENTER + 2] + deep < NEAREST_M:
        return False
    if view[V_CENTER + 2] - deep < NEAREST_M:
        # It reaches beside the camera, where its picture has no end.
        return _set_bounds(0.0, width, 0.0, height, height, width, numbers)
    x = math.sqrt(max(dual[0, 2] ** 2 - dual[0, 0] * dual[2, 2], 0.0)) / abs(dual[2, 2])
    y = math.sqrt(max(dual[1, 2] ** 2 - dual[1, 1] * dual[2, 2], 0.0)) / abs(dual[2, 2])
    u, v = k[0] * dual[0, 2] / dual[2, 2] + k[2], k[1] * dual[1, 2] / dual[2, 2] + k[3]
    x, y = k[0] * x, k[1] * y
    numbers[V_THIN] = min(x, y) < THIN_PX
    return _set_bounds(u - x, u + x, v - y, v + y, height, width, numbers)
