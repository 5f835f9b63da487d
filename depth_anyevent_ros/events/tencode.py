# Copyright 2026 depth_anyevent_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""
Tencode (Huang et al., WACV 2023): one window of events as a three-channel image in [0, 1].

(R, G, B) = (p, 1 - (t - t0) / (t1 - t0), 1 - p) of the latest event of each pixel, p being 1
for ON and 0 for OFF; 0 where there is no event, or 1 on a white background. So the newest event
has G = 0, the oldest 1.
[t0, t1] are the first and last event of the window (`first_last`, as the authors of Depth
AnyEvent normalise) or the window's own bounds (`window`, which a stray event cannot squeeze).
"""
from __future__ import annotations

import numpy as np

from depth_anyevent_ros.events.jit import njit
from depth_anyevent_ros.events.types import Events

TIME_NORMALIZATIONS = ('window', 'first_last')


def tencode(events: Events, width: int, height: int, t0: int, t1: int) -> np.ndarray:
    """
    Return the Tencode of events at sensor resolution, float32 (3, height, width).

    t0, t1: the times in ns that get G = 1 and G = 0. Where they are equal G is 0. Of events at
    one pixel the last in stream order wins. This is the plain path, and the reference that the
    fused one is tested against.
    """
    pixel = events.y.astype(np.int64) * width + events.x
    # The last of equal indices: the first one of the reversed stream.
    pixel, latest = np.unique(pixel[::-1], return_index=True)
    latest = len(events) - 1 - latest
    image = np.zeros((3, height * width), np.float32)
    p = events.p[latest].astype(np.float32)
    image[0, pixel] = p
    if t1 > t0:
        image[1, pixel] = 1 - (events.t[latest] - t0) / (t1 - t0)
    image[2, pixel] = 1 - p
    return image.reshape(3, height, width)


@njit
def render(cells, oldest, newest, t0, t1, background, image):
    """
    Write the Tencode of a latest-event surface into image, float32 (3, cells).

    cells: int64, 2 * t + p. Cells whose latest event lies outside of [oldest, newest) are the
    background, 0 or 1.
    """
    slope = 1.0 / (t1 - t0) if t1 > t0 else 0.0
    for i in range(len(cells)):
        t = cells[i] >> 1
        if oldest <= t < newest:
            p = np.float32(cells[i] & 1)
            image[0, i] = p
            image[1, i] = (t1 - t) * slope
            image[2, i] = 1 - p
        else:
            image[0, i] = background
            image[1, i] = background
            image[2, i] = background
