# Copyright 2026 depth_anyevent_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""From relative inverse depth to metres, once a scale is known."""
from __future__ import annotations

from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class MetricScale:
    """
    1 / depth = scale * inverse depth + shift, with depth in metres along the optical axis.

    min_range, max_range: metres between which depth is stated.
    """

    scale: float
    shift: float = 0.0
    min_range: float = 0.1
    max_range: float = 80.0

    def __post_init__(self):
        if not self.scale > 0:
            raise ValueError(f'metric.scale must be above 0, not {self.scale}')
        if not 0 < self.min_range < self.max_range:
            raise ValueError('metric.min_range must be above 0 and below metric.max_range, not '
                             f'{self.min_range} and {self.max_range}')

    def depth(self, inverse_depth: np.ndarray) -> np.ndarray:
        """
        Return depth in metres, float32 (H, W), in the codes of REP 117 and REP 118.

        NaN where inverse depth is NaN, +Inf beyond max_range, -Inf nearer than min_range.
        """
        metric = inverse_depth.astype(np.float32) * np.float32(self.scale) + np.float32(self.shift)
        near, far = metric > 1 / self.min_range, metric < 1 / self.max_range
        with np.errstate(divide='ignore'):
            depth = 1 / metric
        depth[near] = -np.inf
        depth[far] = np.inf
        return depth


def points(depth: np.ndarray, rays: np.ndarray) -> np.ndarray:
    """
    Return the points of a depth image, float32 (H, W, 3), in the camera's optical frame.

    depth: metres along the optical axis, (H, W). rays: (H, W, 2) of `CameraModel.rays`.
    Points whose depth or ray is not a finite number are NaN.
    """
    known = np.isfinite(depth) & np.isfinite(rays).all(axis=-1)
    z = np.where(known, depth, np.nan).astype(np.float32)
    return np.concatenate([rays * z[..., None], z[..., None]], -1)
