# Copyright 2026 depth_anyevent_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""
Tencode resized by bicubic interpolation, without the picture at the sensor's resolution.

Equals OpenCV's INTER_CUBIC (a = -0.75, no antialias, edges repeated) of that picture up to
rounding. Interpolation is linear, so each event adds its share to the few places that it reaches,
and what no event has reached costs nothing but a look at its time.
"""
from __future__ import annotations

from typing import NamedTuple

import numpy as np

from depth_anyevent_ros.events.jit import njit

A = -0.75  # of the cubic kernel


class Taps(NamedTuple):
    """
    Where places of the input go along one axis, and with which weight.

    target, weight: (size, K) int32 and float32; where a place reaches fewer than K, the rest
    have the weight 0, since loops of one length are quicker than short ones.
    """

    target: np.ndarray
    weight: np.ndarray


def bicubic_taps(size: int, new_size: int) -> Taps:
    """Return the taps from an axis of `size` places to one of `new_size`."""
    centre = (np.arange(new_size) + 0.5) * (size / new_size) - 0.5
    first = np.floor(centre)
    x = centre - first
    weights = np.stack([_far(1 + x), _near(x), _near(1 - x), _far(2 - x)])
    source = np.clip(first + np.arange(-1, 3)[:, None], 0, size - 1).astype(np.int64)
    # At the edges several taps of a target are one place.
    key, which = np.unique(source * new_size + np.arange(new_size), return_inverse=True)
    total = np.bincount(which.ravel(), weights.ravel())
    source, target = np.divmod(key, new_size)
    count = np.bincount(source, minlength=size)
    slot = np.arange(len(key)) - np.repeat(np.cumsum(count) - count, count)
    taps = Taps(np.zeros((size, count.max()), np.int32),
                np.zeros((size, count.max()), np.float32))
    taps.target[source, slot] = target
    taps.weight[source, slot] = total
    return taps


def _near(x: np.ndarray) -> np.ndarray:
    """Return the cubic kernel at a distance of at most 1."""
    return ((A + 2) * x - (A + 3)) * x * x + 1


def _far(x: np.ndarray) -> np.ndarray:
    """Return the cubic kernel at a distance from 1 to 2."""
    return ((A * x - 5 * A) * x + 8 * A) * x - 4 * A


@njit
def render_resized(cells, width, oldest, newest, t0, t1, background, columns, rows, image):
    """
    Write the resized Tencode of a latest-event surface into image, float32 (3, H, W).

    cells: int64, row by row of `width`, 2 * t + p. columns, rows: Taps. The rest as `render`.
    """
    slope = 1.0 / (t1 - t0) if t1 > t0 else 0.0
    image[:] = background
    row = np.zeros((3, image.shape[2]), np.float32)
    inside = np.empty(width, np.int32)
    for y in range(len(cells) // width):
        line = cells[y * width:(y + 1) * width]
        # Without a branch on what no processor can guess: two to three times as fast where a
        # window has filled half of the pixels.
        count = 0
        for x in range(width):
            t = line[x] >> 1
            inside[count] = x
            count += (oldest <= t) & (t < newest)
        if not count:
            continue
        for x in inside[:count]:
            p = np.float32(line[x] & 1)
            red = p - background
            green = np.float32((t1 - (line[x] >> 1)) * slope) - background
            blue = 1 - p - background
            for i in range(columns.target.shape[1]):
                target, weight = columns.target[x, i], columns.weight[x, i]
                row[0, target] += weight * red
                row[1, target] += weight * green
                row[2, target] += weight * blue
        for i in range(rows.target.shape[1]):
            weight = rows.weight[y, i]
            for channel in range(3):
                into, add = image[channel, rows.target[y, i]], row[channel]
                for j in range(len(add)):
                    into[j] += weight * add[j]
        row[:] = 0
