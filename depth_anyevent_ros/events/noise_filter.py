# Copyright 2026 depth_anyevent_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""
Events that stand alone are taken for noise, in a Tencode that a CPU holds.

As networks/noise_filter.py does within the network, for programs that would do it in too few bits.
"""
from __future__ import annotations

import numpy as np

from depth_anyevent_ros.events.jit import njit


def supported(image: np.ndarray, within: float) -> np.ndarray:
    """
    Return a Tencode, float32 (3, H, W) in [0, 1] on black, without the cells with no neighbour.

    within: how far apart in age, as a part of the window, two of the nine cells may be.
    """
    result = np.zeros(image.shape, np.float32)
    _keep(np.ascontiguousarray(image, np.float32), np.float32(within), result)
    return result


@njit
def _keep(image, within, result):
    """Copy the cells with a neighbour into result, which is 0."""
    red, age, blue = image
    height, width = age.shape
    for y in range(height):
        for x in range(width):
            scale = red[y, x] + blue[y, x]
            if scale <= 0:
                continue
            near = 0
            for v in range(max(y - 1, 0), min(y + 2, height)):
                for u in range(max(x - 1, 0), min(x + 2, width)):
                    near += (red[v, u] + blue[v, u] > 0
                             and abs(age[v, u] - age[y, x]) < within * scale)
            if near > 1:  # the cell itself is one
                for channel in range(3):
                    result[channel, y, x] = image[channel, y, x]
