# Copyright 2026 depth_anyevent_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""A picture's grid as a mesh of triangles, drawn into another view with a depth buffer."""
from __future__ import annotations

import numpy as np

from depth_anyevent_ros.events.jit import njit


@njit
def draw_mesh(u, v, inverse, spacing, most_stretch, picture):
    """
    Draw a mesh of inverse depth into `picture`, the larger inverse depth in front.

    u, v: float64 (h, w), where the mesh's points fall in the picture, in pixels, NaN for nowhere.
    inverse: float64 (h, w), their inverse depth seen from there. spacing: pixels between
    neighbours of the mesh if all were infinitely far. Cells whose edges are longer than that by
    more than most_stretch pixels are torn: behind them is what the other camera did not see.
    picture: float32 (H, W), NaN where nothing was drawn yet.

    Inverse depth of a plane is linear in the picture, so that it may be interpolated there.
    """
    h, w = inverse.shape
    longest = spacing + most_stretch
    for i in range(h - 1):
        for j in range(w - 1):
            if _torn(u, v, i, j, longest):
                continue
            _draw_triangle(u[i, j], v[i, j], inverse[i, j], u[i, j + 1], v[i, j + 1],
                           inverse[i, j + 1], u[i + 1, j], v[i + 1, j], inverse[i + 1, j],
                           picture)
            _draw_triangle(u[i + 1, j + 1], v[i + 1, j + 1], inverse[i + 1, j + 1], u[i + 1, j],
                           v[i + 1, j], inverse[i + 1, j], u[i, j + 1], v[i, j + 1],
                           inverse[i, j + 1], picture)


@njit
def _torn(u, v, i, j, longest):
    """Return whether a cell has an edge longer than `longest`, or a corner that is nowhere."""
    corners = ((i, j), (i, j + 1), (i + 1, j + 1), (i + 1, j))
    for k in range(4):
        a, b = corners[k], corners[(k + 1) % 4]
        du, dv = u[a] - u[b], v[a] - v[b]
        # Written so that NaN is torn too.
        if not (du * du + dv * dv <= longest * longest):
            return True
    return False


@njit
def _draw_triangle(u0, v0, d0, u1, v1, d1, u2, v2, d2, picture):
    """Draw a triangle whose corners run clockwise in the picture; one turned away is left out."""
    height, width = picture.shape
    area = (u1 - u0) * (v2 - v0) - (u2 - u0) * (v1 - v0)
    if not area > 1e-9:
        return
    top = max(int(np.ceil(min(v0, v1, v2))), 0)
    bottom = min(int(np.floor(max(v0, v1, v2))), height - 1)
    left = max(int(np.ceil(min(u0, u1, u2))), 0)
    right = min(int(np.floor(max(u0, u1, u2))), width - 1)
    for row in range(top, bottom + 1):
        for column in range(left, right + 1):
            b0 = (u1 - column) * (v2 - row) - (u2 - column) * (v1 - row)
            b1 = (u2 - column) * (v0 - row) - (u0 - column) * (v2 - row)
            b2 = area - b0 - b1
            if b0 >= 0 and b1 >= 0 and b2 >= 0:
                inverse = (b0 * d0 + b1 * d1 + b2 * d2) / area
                if not picture[row, column] >= inverse:
                    picture[row, column] = inverse
