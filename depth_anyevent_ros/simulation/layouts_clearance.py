# Copyright 2026 depth_anyevent_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""How far points are from the nearest surface of a scene."""
from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from depth_anyevent_ros.simulation.scene import Box, Ellipsoid, Rectangle

FURTHEST_M = 1e3


class Clearance:
    """
    Distances to rectangles, boxes and ellipsoids that stand still.

    Boxes and rectangles are exact, from outside. That to an ellipsoid is a lower bound: at each
    point it lies within the ball of its largest radius, and its smallest radius scales how far
    away a point is in its own measure; the larger of both bounds is taken.
    """

    def __init__(self, rectangles: Sequence[Rectangle], boxes: Sequence[Box],
                 ellipsoids: Sequence[Ellipsoid]) -> None:
        centers, halves, axes = [], [], []
        for flat in rectangles:
            right, up = np.asarray(flat.right), np.asarray(flat.up)
            centers.append(flat.center)
            halves.append((flat.width / 2, flat.height / 2, 0.0))
            axes.append((right, up, np.cross(right, up)))
        for box in boxes:
            centers.append(box.center)
            halves.append(np.asarray(box.size) / 2)
            axes.append(_upright(box.yaw))
        self._centers = np.array(centers, np.float64).reshape(-1, 3)
        self._halves = np.array(halves, np.float64).reshape(-1, 3)
        self._axes = np.array(axes, np.float64).reshape(-1, 3, 3)
        self._middles = np.array([e.center for e in ellipsoids], np.float64).reshape(-1, 3)
        self._radii = np.array([e.radii for e in ellipsoids], np.float64).reshape(-1, 3)
        self._turns = np.array([_upright(e.yaw) for e in ellipsoids]).reshape(-1, 3, 3)

    def __call__(self, points: np.ndarray) -> np.ndarray:
        """Return metres to the nearest surface, float64 (m,), of points, (m, 3); inside 0."""
        found = np.full(len(points), FURTHEST_M)
        if len(self._centers):
            local = np.abs(np.einsum('nij,mnj->mni', self._axes,
                                     points[:, None] - self._centers))
            outside = np.maximum(local - self._halves, 0)
            found = np.minimum(found, np.sqrt((outside ** 2).sum(-1)).min(1))
        if len(self._middles):
            local = np.einsum('nij,mnj->mni', self._turns, points[:, None] - self._middles)
            own = (np.sqrt(((local / self._radii) ** 2).sum(-1)) - 1) * self._radii.min(1)
            ball = np.sqrt((local ** 2).sum(-1)) - self._radii.max(1)
            found = np.minimum(found, np.maximum(np.maximum(own, ball), 0).min(1))
        return found


def _upright(yaw: float) -> np.ndarray:
    c, s = np.cos(yaw), np.sin(yaw)
    return np.array([[c, s, 0], [-s, c, 0], [0, 0, 1.0]])
