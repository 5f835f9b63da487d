# Copyright 2026 depth_anyevent_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""
Where decoders put events: into arrays, or into the latest-event surface.

Decoders write into the surface themselves where two short tables tell the cell. Where only a table
as large as the sensor does (events that are rectified), and while somebody looks at the events, a
few thousand are decoded into arrays first: a loop that waits for memory while the processor
guesses the type of the next word loses both, and is twice as slow.

Each loop is compiled twice, for arrays and for the surface: numba leaves out what is asked of
arguments that are None. Where the time of a call counts, two short loops around it give the None
(see `PacketDecoder`); that of evt3 is called itself, as it is slower within another. How a loop
puts an event is written out in each of them: numba counts the references of arrays that a tuple or
a function hands over, for every event, which takes up to ten times as long (what large pixels need
up to twice, inlined or called). Indices are np.uintp, since numba looks whether others are
negative, which takes up to half as long again.
"""
from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple, Protocol

import numpy as np

from depth_anyevent_ros.events.jit import njit
from depth_anyevent_ros.events.types import Events

PIECE = 4096  # events that are decoded before they are written
MOST_OF_A_WORD = 12  # events of one word, by which a piece may be exceeded
# Made once: numpy takes a fifth of the time of a small allocation to make them of classes.
TIMES, PIXELS, POLARITIES = np.dtype(np.int64), np.dtype(np.uint16), np.dtype(np.uint8)


class ArraySink(NamedTuple):
    """Arrays of events: t int64 ns, x uint16, y uint16, p uint8, each as long as needed."""

    t: np.ndarray
    x: np.ndarray
    y: np.ndarray
    p: np.ndarray

    @staticmethod
    def of_size(size: int) -> ArraySink:
        """Return arrays for so many events."""
        return ArraySink(np.empty(size, TIMES), np.empty(size, PIXELS),
                         np.empty(size, PIXELS), np.empty(size, POLARITIES))

    def in_loops(self) -> tuple:
        """Return the arguments of a compiled loop that say where to put events."""
        return False, None, None, None, None, None, *self

    def fill(self, decode: Decode, limit: int, final: bool,
             limit_events: int) -> tuple[int, int, int]:
        """Take what decode puts up to a time, and up to limit_events and those of a word."""
        return decode(self, limit, final, limit_events)


class GridSink(NamedTuple):
    """
    The latest event of every cell of a grid that lies along the rows and columns of the sensor.

    cells: see SurfaceSink; the cell of (x, y) is row[y] + column[x], int32 (height,), (width,).
    left_out: uint8, a bit for each pixel, row by row, set for those that are left out. in_part:
    whether any is. charge: see SurfaceSink.
    """

    in_part: bool
    cells: np.ndarray
    row: np.ndarray
    column: np.ndarray
    left_out: np.ndarray
    charge: np.ndarray | None = None

    def in_loops(self) -> tuple:
        """Return the arguments of a compiled loop that say where to put events."""
        return *self, None, None, None, None


class Observer(Protocol):
    """See StreamHealth. mask: bool (height, width), pixels to leave out."""

    mask: np.ndarray

    def looks(self) -> bool:
        """Return whether it has to see the next events; the others are told by pass_by()."""

    def pass_by(self, t_first: int, t_last: int) -> None:
        """Take the times of events that it did not see."""

    def take(self, events: ArraySink, count: int) -> bool:
        """Take the first events of a piece; return whether the mask has changed."""


class SurfaceSink:
    """
    The latest event of every cell.

    cells: int64 (H*W,), 2 * t + p with t in ns. cells_of: into which cell a sensor pixel falls:
    int32 (height,) and (width,), whose sum it is, or int32 (height, width), -1 for none.
    observer: sees events, and says which pixels are left out. charge: int32 (H*W, 2), how many
    more ON than OFF events the pixels of a cell have had since the cell had one, and how many more
    of either make one; None where each event of a pixel is one of its cell.
    """

    def __init__(self, cells: np.ndarray, cells_of: tuple[np.ndarray, np.ndarray] | np.ndarray,
                 observer: Observer | None = None, charge: np.ndarray | None = None):
        self.cells, self._cells_of, self._observer = cells, cells_of, observer
        self._charge = charge
        self.piece = ArraySink.of_size(PIECE + MOST_OF_A_WORD)
        self._grid: GridSink | None = None
        self._table: np.ndarray | None = None
        if isinstance(cells_of, tuple):
            pixels = len(cells_of[0]) * len(cells_of[1])
            self._grid = GridSink(False, cells, *cells_of, np.zeros(-(-pixels // 8), np.uint8),
                                  charge)
        else:
            self._table = cells_of
        if observer:
            self._leave_out(observer.mask)

    @property
    def cell_of_pixel(self) -> np.ndarray:
        """Return the cell of every pixel, left out or not, int32 (height, width), -1 for none."""
        if self._grid is None:
            return self._cells_of
        return self._grid.row[:, None] + self._grid.column

    def fill(self, decode: Decode, limit: int, final: bool,
             limit_events: int) -> tuple[int, int, int]:
        """Take what decode puts up to a time, and up to limit_events and those of a word."""
        if self._grid and not (self._observer and self._observer.looks()):
            events, t_first, t_last = decode(self._grid, limit, final, limit_events)
            if self._observer and events:
                self._observer.pass_by(t_first, t_last)
            return events, t_first, t_last
        events, t_first, t_last = NOTHING
        while events < limit_events:
            most = min(PIECE, limit_events - events)
            count, first, last = decode(self.piece, limit, final, most)
            if count:
                self.write(count)
                t_first, t_last = t_first if events else first, last
                events += count
            if count < most:
                break
        return events, t_first, t_last

    def write(self, count: int) -> None:
        """Write the first events of the piece."""
        self.put(self.piece, count)
        if self._observer and self._observer.take(self.piece, count):
            self._leave_out(self._observer.mask)

    def put(self, events: ArraySink | Events, count: int) -> None:
        """Write the first of these events, unseen by the observer."""
        of = events.t, events.x, events.y, events.p, count
        if self._grid:
            _write_in_grid(*self._grid, *of)
        else:
            _write(self.cells, self._table, self._charge, *of)

    def _leave_out(self, mask: np.ndarray) -> None:
        if self._grid:
            self._grid = self._grid._replace(
                in_part=bool(mask.any()), left_out=np.packbits(mask, bitorder='little'))
        else:
            self._table = np.where(mask, np.int32(-1), self._cells_of)


class Segment(NamedTuple):
    """What one call of `decode_until` put into the sink: count, and the times in ns."""

    events: int
    t_first: int
    t_last: int


NOTHING = Segment(0, -1, -1)
# decode(sink, limit, final, limit_events) of a decoder. It returns fewer events than limit_events
# only where it cannot go on.
Decode = Callable[[ArraySink | GridSink, int, bool, int], tuple[int, int, int]]


@njit
def _write_in_grid(in_part, cells, row, column, left_out, charge, t, x, y, p, count):
    """Write events into the cells of a grid, in their order."""
    for i in range(count):
        pixel = np.int64(y[i]) * len(column) + x[i]
        if not (in_part and left_out[np.uintp(pixel >> 3)] >> (pixel & 7) & 1):
            cell = np.uintp(row[y[i]] + column[x[i]])
            if charge is None:
                cells[cell] = 2 * t[i] + np.int64(p[i])
            else:
                gathered = charge[cell, 0] + 2 * np.int64(p[i]) - 1
                if abs(gathered) >= charge[cell, 1]:
                    cells[cell] = 2 * t[i] + np.int64(p[i])
                    gathered = 0
                charge[cell, 0] = gathered


@njit
def _write(cells, cell_of_pixel, charge, t, x, y, p, count):
    """Write events into the cells, in their order."""
    for i in range(count):
        place = cell_of_pixel[y[i], x[i]]
        if place >= 0:
            cell = np.uintp(place)
            if charge is None:
                cells[cell] = 2 * t[i] + np.int64(p[i])
            else:
                gathered = charge[cell, 0] + 2 * np.int64(p[i]) - 1
                if abs(gathered) >= charge[cell, 1]:
                    cells[cell] = 2 * t[i] + np.int64(p[i])
                    gathered = 0
                charge[cell, 0] = gathered
