# Copyright 2026 depth_anyevent_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Pixels in which several surfaces meet: how much of the pixel each of them covers."""
from __future__ import annotations

import math

import numpy as np

from depth_anyevent_ros.events.jit import njit
from depth_anyevent_ros.simulation.shading import luminance_of, sky
from depth_anyevent_ros.simulation.surfaces import ROUND
from depth_anyevent_ros.simulation.view import (
    NEAREST_M, PLANE, V_HALF, V_RIGHT, V_RIGHT_CENTER, V_SHAPE, V_SOLID, V_SQUARE, V_UP,
    V_UP_CENTER)
from depth_anyevent_ros.simulation.visibility import SKY

# Rays per pixel where surfaces meet: an n-rooks pattern, so that an edge in any direction,
# along the axes as well, uncovers one ray after the other.
RAYS = 16
STRIDE = 7
# Those of nine pixels, and the six faces of a thin box, with room to spare.
MOST_SURFACES = 18


@njit
def blend_edges(views, whole, texels, k, air, nearest, thin, luminance):
    """Mix the surfaces of every pixel in which several meet, by the rays that hit each."""
    height, width = nearest.shape
    found = np.empty(MOST_SURFACES, np.int64)
    hits, hit_x, hit_y = np.empty(MOST_SURFACES), np.empty(MOST_SURFACES), np.empty(MOST_SURFACES)
    rays = np.arange(RAYS)
    dx = ((rays + 0.5) / RAYS - 0.5) / k[0]
    dy = ((rays * STRIDE % RAYS + 0.5) / RAYS - 0.5) / k[1]
    inverse, first = np.empty(RAYS), np.empty(RAYS, np.int64)
    edges = np.empty(width, np.bool_)

    for row in range(height):
        _find_edges(nearest, thin, row, edges)
        y = np.divide(row - k[3], k[1])
        for column in range(width):
            if not edges[column]:
                continue
            count = _surfaces_around(whole, nearest, thin, row, column, found)
            x = np.divide(column - k[2], k[0])
            if not _first_hits(views, whole, found, count, x, y, dx, dy, inverse, first):
                continue
            for j in range(count):
                hits[j] = hit_x[j] = hit_y[j] = 0
            for ray in range(RAYS):
                j = first[ray]
                # A ray may slip between two surfaces by rounding, and is left out.
                if j >= 0:
                    hits[j] += 1
                    hit_x[j] += dx[ray]
                    hit_y[j] += dy[ray]
            total, seen = 0.0, 0.0
            for j in range(count):
                if hits[j] == 0:
                    continue
                at_x, at_y = x + np.divide(hit_x[j], hits[j]), y + np.divide(hit_y[j], hits[j])
                i = found[j]
                value = sky(air, at_x, at_y) if i == SKY else luminance_of(
                    views, whole, i, texels, k, air, at_x, at_y)
                total += hits[j] * value
                seen += hits[j]
            if seen > 0:
                luminance[row, column] = np.divide(total, seen)


@njit
def _find_edges(nearest, thin, row, edges):
    """Mark the pixels of a row whose eight neighbours see other surfaces than they do."""
    height, width = nearest.shape
    above, below = max(row - 1, 0), min(row + 1, height - 1)
    for column in range(width):
        i = nearest[row, column]
        edges[column] = ((thin[row, column] != SKY) | (nearest[above, column] != i)
                         | (nearest[below, column] != i))
    for column in range(1, width):
        i = nearest[row, column]
        edges[column] |= ((nearest[above, column - 1] != i) | (nearest[row, column - 1] != i)
                          | (nearest[below, column - 1] != i))
    for column in range(width - 1):
        i = nearest[row, column]
        edges[column] |= ((nearest[above, column + 1] != i) | (nearest[row, column + 1] != i)
                          | (nearest[below, column + 1] != i))


@njit
def _surfaces_around(whole, nearest, thin, row, column, found):
    """
    List the surfaces of the pixel and its eight neighbours in found; return their number.

    The pixel's own comes first.
    """
    height, width = nearest.shape
    found[0] = nearest[row, column]
    count = 1
    for r in range(max(row - 1, 0), min(row + 2, height)):
        for c in range(max(column - 1, 0), min(column + 2, width)):
            count = _add(nearest[r, c], found, count)
    if thin[row, column] != SKY:
        # With it the other faces of its box, which are as thin.
        i = thin[row, column]
        for other in range(max(i - 5, 0), min(i + 6, len(whole))):
            if whole[other, V_SOLID] == whole[i, V_SOLID]:
                count = _add(other, found, count)
    return count


@njit
def _add(i, found, count):
    for j in range(count):
        if found[j] == i:
            return count
    found[count] = i
    return count + 1


@njit
def _first_hits(views, whole, found, count, x, y, dx, dy, inverse, first):
    """
    Find which of the surfaces found each ray (x + dx, y + dy, 1) meets first, -1 for none.

    Return whether any ray meets another than the first of them.
    """
    behind = -1
    for j in range(count):
        if found[j] == SKY:
            behind = j
    for ray in range(RAYS):
        inverse[ray] = 0
        first[ray] = behind
    for j in range(count):
        i = found[j]
        if i == SKY:
            continue
        if whole[i, V_SHAPE] == ROUND:
            _hit_round(views, i, j, x, y, dx, dy, inverse, first)
        else:
            _hit_flat(views, i, j, x, y, dx, dy, inverse, first)
    others = 0
    for ray in range(RAYS):
        others |= first[ray]
    return others != 0


@njit
def _hit_flat(views, i, j, x, y, dx, dy, inverse, first):
    a, b = views[i, PLANE], views[i, PLANE + 1]
    r0, r1, right = views[i, V_RIGHT], views[i, V_RIGHT + 1], views[i, V_RIGHT_CENTER]
    u0, u1, up = views[i, V_UP], views[i, V_UP + 1], views[i, V_UP_CENTER]
    c = a * x + b * y + views[i, PLANE + 2]
    r2, u2 = r0 * x + r1 * y + views[i, V_RIGHT + 2], u0 * x + u1 * y + views[i, V_UP + 2]
    half_width, half_height = views[i, V_HALF], views[i, V_HALF + 1]
    for ray in range(RAYS):
        value = a * dx[ray] + b * dy[ray] + c
        across = abs(r0 * dx[ray] + r1 * dy[ray] + r2 - right * value)
        along = abs(u0 * dx[ray] + u1 * dy[ray] + u2 - up * value)
        hit = ((across <= half_width * value) & (along <= half_height * value)
               & (value > inverse[ray]) & (value < 1 / NEAREST_M))
        inverse[ray] = value if hit else inverse[ray]
        first[ray] = j if hit else first[ray]


@njit
def _hit_round(views, i, j, x, y, dx, dy, inverse, first):
    l0, l1, l2 = views[i, PLANE], views[i, PLANE + 1], views[i, PLANE + 2]
    s00, s01, s02 = views[i, V_SQUARE], views[i, V_SQUARE + 1], views[i, V_SQUARE + 2]
    s11, s12, s22 = views[i, V_SQUARE + 3], views[i, V_SQUARE + 4], views[i, V_SQUARE + 5]
    for ray in range(RAYS):
        px, py = x + dx[ray], y + dy[ray]
        square = (s00 * px + 2 * (s01 * py + s02)) * px + (s11 * py + 2 * s12) * py + s22
        value = l0 * px + l1 * py + l2 + math.sqrt(max(square, 0.0))
        if square >= 0 and inverse[ray] < value < 1 / NEAREST_M:
            inverse[ray] = value
            first[ray] = j
