# Copyright 2026 depth_anyevent_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Where one camera stands, seen from another."""
from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np


@dataclass(frozen=True)
class Transform:
    """
    Takes points of one optical frame to another: q = rotation @ p + translation.

    rotation: float64 (3, 3). translation: float64 (3,), metres.
    """

    rotation: np.ndarray
    translation: np.ndarray

    def __post_init__(self):
        if not (np.allclose(self.rotation @ self.rotation.T, np.eye(3), atol=1e-3)
                and np.linalg.det(self.rotation) > 0):
            raise ValueError('the rotation between the cameras is none: '
                             f'{np.round(self.rotation, 4).tolist()}')
        if not np.isfinite(self.translation).all():
            raise ValueError('the translation between the cameras is not finite')

    @staticmethod
    def identity() -> Transform:
        """Return the transform that changes nothing."""
        return Transform(np.eye(3), np.zeros(3))

    @staticmethod
    def from_quaternion(x: float, y: float, z: float, w: float, translation) -> Transform:
        """Return the transform of a geometry_msgs/Transform; the quaternion is normalised."""
        norm = float(np.linalg.norm((x, y, z, w)))
        if not norm > 1e-6:
            raise ValueError(f'the quaternion ({x}, {y}, {z}, {w}) is no rotation')
        x, y, z, w = (value / norm for value in (x, y, z, w))
        rotation = np.array([
            [1 - 2 * (y * y + z * z), 2 * (x * y - z * w), 2 * (x * z + y * w)],
            [2 * (x * y + z * w), 1 - 2 * (x * x + z * z), 2 * (y * z - x * w)],
            [2 * (x * z - y * w), 2 * (y * z + x * w), 1 - 2 * (x * x + y * y)]])
        return Transform(rotation, np.array(translation, np.float64))

    @property
    def changes_nothing(self) -> bool:
        """Whether both frames are the same."""
        return bool((self.rotation == np.eye(3)).all() and not self.translation.any())

    def quaternion(self) -> tuple[float, float, float, float]:
        """Return the rotation as x, y, z, w."""
        axis = cv2.Rodrigues(self.rotation)[0].ravel()
        angle = float(np.linalg.norm(axis))
        x, y, z = axis * (np.sin(angle / 2) / angle if angle else 0.5)
        return float(x), float(y), float(z), float(np.cos(angle / 2))

    def after(self, first: Transform) -> Transform:
        """Return the transform that does `first`, then this one."""
        return Transform(self.rotation @ first.rotation,
                         self.rotation @ first.translation + self.translation)

    def inverse(self) -> Transform:
        """Return the way back."""
        return Transform(self.rotation.T, -self.rotation.T @ self.translation)
