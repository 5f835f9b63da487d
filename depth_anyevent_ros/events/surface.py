# Copyright 2026 depth_anyevent_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""The latest-event surface: all that Tencode needs to know of a stream, in one array."""
from __future__ import annotations

import numpy as np

from depth_anyevent_ros.events.sinks import SurfaceSink
from depth_anyevent_ros.events.tencode import render

NEVER = np.iinfo(np.int64).min // 4  # 2 * t + p of a cell without an event: before any time


def grid_of_pixels(width: int, height: int, grid_width: int, grid_height: int) -> np.ndarray:
    """
    Return the cell of every sensor pixel, int32 (height, width), cells counted row by row.

    The sensor is cut into grid_height x grid_width equal cells; pixel (x, y) falls into cell
    (x * grid_width // width, y * grid_height // height).
    """
    column = (np.arange(width) * grid_width // width).astype(np.int32)
    row = (np.arange(height) * grid_height // height).astype(np.int32)
    return row[:, None] * np.int32(grid_width) + column[None, :]


class LatestEventSurface:
    """
    The time and polarity of the latest event of every cell of a grid.

    Events are never stored, and the surface is never cleared between windows: an event belongs
    to a window by its time, so windows may overlap. sink is what decoders write into.
    """

    def __init__(self, width: int, height: int, grid_width: int, grid_height: int):
        self.grid_width, self.grid_height = grid_width, grid_height
        self.cells = np.full(grid_width * grid_height, NEVER, np.int64)
        self.sink = SurfaceSink(self.cells,
                                grid_of_pixels(width, height, grid_width, grid_height))

    def reset(self) -> None:
        """Forget every event."""
        self.cells[:] = NEVER

    def tencode(self, t_start: int, t_end: int, t0: int, t1: int) -> np.ndarray:
        """
        Return the Tencode of the window [t_start, t_end), float32 (3, grid height, width).

        t0, t1: the times in ns that get G = 1 and G = 0 (see `tencode.py`).
        """
        image = np.empty((3, len(self.cells)), np.float32)
        render(self.cells, t_start, t_end, t0, t1, image)
        return image.reshape(3, self.grid_height, self.grid_width)
