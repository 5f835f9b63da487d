# Copyright 2026 depth_anyevent_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""
The voxel grid of E2Depth and its family (Zhu et al., CVPR 2019): what Tencode is compared with.

An event adds +1 (ON) or -1 (OFF) to its pixel, shared between the two temporal bins next to it.
"""
from __future__ import annotations

import numpy as np

from depth_anyevent_ros.events.types import Events

BINS = 5


def voxel_grid(events: Events, cell_of_pixel: np.ndarray, cells: int, t0: int, t1: int,
               bins: int = BINS) -> np.ndarray:
    """
    Return the voxel grid of a window, float32 (bins, cells), standardised.

    cell_of_pixel: int (height, width), the cell of each sensor pixel, -1 for none. t0, t1: ns,
    the times of the first and of the last bin. Values that are not zero get mean 0 and standard
    deviation 1 together, as in E2Depth; a single value stays as it is.
    """
    cell = cell_of_pixel[events.y, events.x].astype(np.int64)
    inside = cell >= 0
    cell, sign = cell[inside], np.where(events.p[inside] > 0, 1.0, -1.0)
    position = (events.t[inside] - t0) * ((bins - 1) / (t1 - t0)) if t1 > t0 \
        else np.zeros(len(cell))
    position = np.clip(position, 0, bins - 1)
    lower = np.minimum(position.astype(np.int64), bins - 2)
    share = position - lower
    grid = np.bincount(lower * cells + cell, sign * (1 - share), bins * cells)
    grid += np.bincount((lower + 1) * cells + cell, sign * share, bins * cells)
    return _standardised(grid).astype(np.float32).reshape(bins, cells)


def _standardised(grid: np.ndarray) -> np.ndarray:
    filled = grid != 0
    values = grid[filled]
    spread = values.std() if len(values) else 0.0
    if spread > 0:
        grid[filled] = (values - values.mean()) / spread
    return grid
