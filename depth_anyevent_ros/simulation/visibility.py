# Copyright 2026 depth_anyevent_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""
Which surface is nearest in every pixel, and how near.

On a row of the picture the conditions for a ray to meet a rectangle are linear in x, so that it
covers one span of pixels: with w = 1/Z, |w c_r - r . d| <= w half for both sides.
"""
from __future__ import annotations

import math

import numpy as np

from depth_anyevent_ros.events.jit import njit
from depth_anyevent_ros.simulation.surfaces import ROUND
from depth_anyevent_ros.simulation.view import (
    COLUMN0, COLUMN1, NEAREST_M, PLANE, ROW0, ROW1, V_FAR, V_HALF, V_NEAR, V_RIGHT,
    V_RIGHT_CENTER, V_SHAPE, V_SQUARE, V_THIN, V_UP, V_UP_CENTER)

SKY = -1
# Spans are longer by this, in pixels, so that rounding leaves no gap between two surfaces.
SLACK_PX = 1e-9


@njit
def cast(views, whole, k, inverse, nearest, thin):
    """
    Find the nearest surface of every pixel.

    inverse: float64 (height, width), filled with 1/Z, 0 for sky. nearest: int32, filled with
    the view's number, SKY for none. thin: int32, filled with the number of a thin view that
    touches the pixel before what its centre sees, SKY for none.
    """
    height, width = inverse.shape
    inverse[:] = 0
    nearest[:] = SKY
    thin[:] = SKY
    xs = (np.arange(width) - k[2]) / k[0]
    limits = np.empty((5, 3))
    any_thin = False
    for i in range(len(views)):
        if whole[i, V_SHAPE] == ROUND:
            _cast_round(views[i], whole[i], i, k, xs, inverse, nearest)
        else:
            _cast_flat(views[i], whole[i], i, k, xs, limits, inverse, nearest)
        any_thin = any_thin or whole[i, V_THIN] > 0
    if any_thin:
        _touch(views, whole, k, xs, limits, inverse, nearest, thin)


@njit
def _limits(view, limits):
    """Fill in the five conditions (a, b, c), a x + b y + c >= 0, of rays that hit a rectangle."""
    for j in range(3):
        w = view[PLANE + j]
        across = view[V_RIGHT + j] - view[V_RIGHT_CENTER] * w
        along = view[V_UP + j] - view[V_UP_CENTER] * w
        limits[0, j] = view[V_HALF] * w + across
        limits[1, j] = view[V_HALF] * w - across
        limits[2, j] = view[V_HALF + 1] * w + along
        limits[3, j] = view[V_HALF + 1] * w - along
        limits[4, j] = -w
    limits[4, 2] += 1 / NEAREST_M


@njit
def _span(limits, y, k, begin, end, slack_x, slack_y):
    """Return the columns [begin, end) in which a row meets the conditions, all within it."""
    low, high = -math.inf, math.inf
    for j in range(5):
        a = limits[j, 0]
        rest = limits[j, 1] * y + limits[j, 2] + abs(a) * slack_x + abs(limits[j, 1]) * slack_y
        if a > 0:
            low = max(low, np.divide(-rest, a))
        elif a < 0:
            high = min(high, np.divide(-rest, a))
        elif rest < 0:
            return 0, 0
    low = max(math.ceil(min(k[0] * low + k[2] - SLACK_PX, float(end))), begin)
    high = min(math.floor(max(k[0] * high + k[2] + SLACK_PX, -1.0)) + 1, end)
    return int(low), int(high)


@njit
def _cast_flat(view, numbers, i, k, xs, limits, inverse, nearest):
    _limits(view, limits)
    a = view[PLANE]
    for row in range(numbers[ROW0], numbers[ROW1]):
        y = np.divide(row - k[3], k[1])
        begin, end = _span(limits, y, k, numbers[COLUMN0], numbers[COLUMN1], 0.0, 0.0)
        rest = view[PLANE + 1] * y + view[PLANE + 2]
        for column in range(begin, end):
            value = a * xs[column] + rest
            closer = value > inverse[row, column]
            inverse[row, column] = value if closer else inverse[row, column]
            nearest[row, column] = i if closer else nearest[row, column]


@njit
def _cast_round(view, numbers, i, k, xs, inverse, nearest):
    l0, l1, l2 = view[PLANE], view[PLANE + 1], view[PLANE + 2]
    s00, s01, s02 = view[V_SQUARE], view[V_SQUARE + 1], view[V_SQUARE + 2]
    s11, s12, s22 = view[V_SQUARE + 3], view[V_SQUARE + 4], view[V_SQUARE + 5]
    for row in range(numbers[ROW0], numbers[ROW1]):
        y = np.divide(row - k[3], k[1])
        half, rest = s01 * y + s02, (s11 * y + 2 * s12) * y + s22
        begin, end = numbers[COLUMN0], numbers[COLUMN1]
        if s00 < 0:
            root = half * half - s00 * rest
            if root < 0:
                continue
            middle, reach = np.divide(half, -s00), np.divide(math.sqrt(root), -s00)
            begin = max(begin, math.ceil(max(k[0] * (middle - reach) + k[2], -1.0)))
            end = min(end, math.floor(min(k[0] * (middle + reach) + k[2], 1e9)) + 1)
        for column in range(begin, end):
            x = xs[column]
            square = (s00 * x + 2 * half) * x + rest
            value = l0 * x + l1 * y + l2 + math.sqrt(max(square, 0.0))
            if square >= 0 and inverse[row, column] < value < 1 / NEAREST_M:
                inverse[row, column] = value
                nearest[row, column] = i


@njit
def _touch(views, whole, k, xs, limits, inverse, nearest, thin):
    """Note thin surfaces that touch a pixel but may miss all pixel centres around it."""
    before = np.zeros_like(inverse)
    for i in range(len(views)):
        if not whole[i, V_THIN]:
            continue
        view, numbers = views[i], whole[i]
        flat = numbers[V_SHAPE] != ROUND
        _limits(view, limits)
        for row in range(numbers[ROW0], numbers[ROW1]):
            y = np.divide(row - k[3], k[1])
            begin, end = numbers[COLUMN0], numbers[COLUMN1]
            if flat:
                begin, end = _span(limits, y, k, begin, end, 0.5 / k[0], 0.5 / k[1])
            rest = view[PLANE + 1] * y + view[PLANE + 2]
            for column in range(begin, end):
                # Half a pixel beside it, the plane of a side may be anywhere.
                value = min(max(view[PLANE] * xs[column] + rest, view[V_FAR]), view[V_NEAR])
                if value > max(inverse[row, column], before[row, column]) \
                        and nearest[row, column] != i:
                    before[row, column] = value
                    thin[row, column] = i
