# Copyright 2026 depth_anyevent_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""The latest-event surface: all that Tencode needs to know of a stream, in one array."""
from __future__ import annotations

import numpy as np

from depth_anyevent_ros.events.bicubic import bicubic_taps, render_resized
from depth_anyevent_ros.events.jit import njit
from depth_anyevent_ros.events.sinks import Observer, SurfaceSink
from depth_anyevent_ros.events.tencode import render
from depth_anyevent_ros.events.types import Events

NEVER = np.iinfo(np.int64).min // 4  # 2 * t + p of a cell without an event: before any time


def grid_of_pixels(width: int, height: int, grid_width: int,
                   grid_height: int) -> tuple[np.ndarray, np.ndarray]:
    """
    Return int32 (height,) and (width,), whose sum is the cell of a pixel, counted row by row.

    The sensor is cut into grid_height x grid_width equal cells; pixel (x, y) falls into cell
    (x * grid_width // width, y * grid_height // height).
    """
    row = np.arange(height) * grid_height // height * grid_width
    return row.astype(np.int32), (np.arange(width) * grid_width // width).astype(np.int32)


def grid_of_coordinates(coordinates: np.ndarray, grid_width: int,
                        grid_height: int) -> np.ndarray:
    """
    Return the cell of every sensor pixel that lies elsewhere in the picture, int32 (h, w).

    coordinates: float (h, w, 2), where (u, v) in a picture of the sensor's size each pixel
    lies; -1 where that is outside or not a number. Edges stay edges, as in `CameraModel.scaled`.
    """
    height, width = coordinates.shape[:2]
    with np.errstate(invalid='ignore'):
        column = np.floor((coordinates[..., 0] + 0.5) * (grid_width / width))
        row = np.floor((coordinates[..., 1] + 0.5) * (grid_height / height))
        inside = (column >= 0) & (column < grid_width) & (row >= 0) & (row < grid_height)
    return np.where(inside, row * grid_width + column, -1).astype(np.int32)


def rectified(events: Events, coordinates: np.ndarray) -> Events:
    """Return those events that stay on a picture of the sensor's size, where they then lie."""
    height, width = coordinates.shape[:2]
    cell = grid_of_coordinates(coordinates, width, height)[events.y, events.x]
    shown = cell >= 0
    y, x = np.divmod(cell[shown], width)
    return Events(events.t[shown], x.astype(events.x.dtype), y.astype(events.y.dtype),
                  events.p[shown])


class LatestEventSurface:
    """
    The time and polarity of the latest event of every cell of a grid.

    Events are never stored, and the surface is never cleared between windows: an event belongs
    to a window by its time, so windows may overlap. sink is what decoders write into.
    coordinates: where each pixel lies (see `grid_of_coordinates`), None for where it is.
    observer: see `SurfaceSink`. size: (height, width) of the picture, to which the grid is resized
    by bicubic interpolation; None for the grid itself. cell_threshold: see `InputConfig`.
    """

    def __init__(self, width: int, height: int, grid_width: int, grid_height: int,
                 coordinates: np.ndarray | None = None, observer: Observer | None = None,
                 size: tuple[int, int] | None = None, cell_threshold: float = 0.0):
        self._shape = size or (grid_height, grid_width)
        self._taps = (bicubic_taps(grid_width, size[1]), bicubic_taps(grid_height, size[0])) \
            if size else None
        self._grid_width = grid_width
        self.cells = np.full(grid_width * grid_height, NEVER, np.int64)
        grid = grid_of_pixels(width, height, grid_width, grid_height) if coordinates is None \
            else grid_of_coordinates(coordinates, grid_width, grid_height)
        self._charge = _charge(_pixels_in_cells(grid, grid_width, len(self.cells)),
                               cell_threshold) if cell_threshold else None
        self._charge_at_first = None if self._charge is None else self._charge.copy()
        self.sink = SurfaceSink(self.cells, grid, observer, self._charge)

    def reset(self) -> None:
        """Forget every event."""
        self.clear()
        if self._charge is not None:
            self._charge[:] = self._charge_at_first

    def clear(self) -> None:
        """Show no event from before; what brings cells nearer to their next one stays."""
        self.cells[:] = NEVER

    def bounds(self, t_start: int, t_end: int) -> tuple[int, int]:
        """
        Return the times of the first and last event in [t_start, t_end), ns; (-1, -1) for none.

        Of the first only what the surface knows: an event is forgotten with the next of its cell.
        """
        return _bounds(self.cells, t_start, t_end)

    def tencode(self, t_start: int, t_end: int, t0: int, t1: int,
                background: str = 'black') -> np.ndarray:
        """
        Return the Tencode of the window [t_start, t_end), float32 (3, height, width).

        t0, t1: the times in ns that get G = 1 and G = 0 (see `tencode.py`). background: of
        places without an event, 'black' or 'white'.
        """
        image = np.empty((3, *self._shape), np.float32)
        empty = np.float32(background == 'white')
        if self._taps:
            render_resized(self.cells, self._grid_width, t_start, t_end, t0, t1, empty,
                           *self._taps, image)
        else:
            render(self.cells, t_start, t_end, t0, t1, empty, image.reshape(3, -1))
        return image


def _pixels_in_cells(cells_of: tuple[np.ndarray, np.ndarray] | np.ndarray, grid_width: int,
                     cells: int) -> np.ndarray:
    """Return how many pixels of the sensor fall into each cell, int64 (cells,)."""
    if not isinstance(cells_of, tuple):
        return np.bincount(cells_of[cells_of >= 0], minlength=cells)
    row, column = cells_of
    return np.outer(np.bincount(row // grid_width), np.bincount(column)).ravel()


def _charge(pixels: np.ndarray, cell_threshold: float) -> np.ndarray:
    """Return what a sink keeps of cells that are large pixels of so many pixels."""
    threshold = np.maximum(np.rint(cell_threshold * pixels), 1).astype(np.int32)
    # Anywhere between the thresholds, as if the sensor had run before, and the same each time.
    sums = np.random.default_rng(0).integers(1 - threshold, threshold, dtype=np.int32)
    return np.stack([sums, threshold], 1)


@njit
def _bounds(cells, oldest, newest):
    first, last = newest, np.int64(-1)
    for cell in cells:
        t = cell >> 1
        if oldest <= t < newest:
            first, last = min(first, t), max(last, t)
    return (first, last) if last >= 0 else (last, last)
