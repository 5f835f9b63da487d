# Copyright 2026 depth_anyevent_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""How fast the picture moves, which says how often it has to be rendered."""
from __future__ import annotations

import math

import numpy as np

from depth_anyevent_ros.events.jit import njit
from depth_anyevent_ros.geometry.camera import CameraModel


def fastest_pixel(depth: np.ndarray, camera: CameraModel, velocity: np.ndarray,
                  angular_velocity: np.ndarray) -> float:
    """
    Return the largest motion of any pixel, in pixels a second.

    depth: float32 (height, width), metres, +inf where there is nothing. velocity, (3,) m/s, and
    angular_velocity, (3,) rad/s: the camera's own, in its optical frame. For points that stand
    still: Longuet-Higgins and Prazdny, The interpretation of a moving retinal image (1980).
    """
    k = np.array([camera.k[0, 0], camera.k[1, 1], camera.k[0, 2], camera.k[1, 2]])
    return _fastest(depth, k, np.asarray(velocity, np.float64),
                    np.asarray(angular_velocity, np.float64))


@njit
def _fastest(depth, k, v, w):
    height, width = depth.shape
    largest = 0.0
    for row in range(height):
        y = (row - k[3]) / k[1]
        for column in range(width):
            x = (column - k[2]) / k[0]
            inverse = 1 / np.float64(depth[row, column])
            turn = w[0] * y - w[1] * x
            dx = (x * v[2] - v[0]) * inverse - w[1] + w[2] * y + x * turn
            dy = (y * v[2] - v[1]) * inverse + w[0] - w[2] * x + y * turn
            largest = max(largest, (k[0] * dx) ** 2 + (k[1] * dy) ** 2)
    return math.sqrt(largest)
