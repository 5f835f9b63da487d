# Copyright 2026 depth_anyevent_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""
Where decoders put events: into arrays, or by way of small ones into the latest-event surface.

A decoder's loop only fills arrays. Writing to places all over a large surface from within it is
three times slower: a processor that waits for memory while it guesses the type of the next word
loses both. So a few thousand events are decoded, then written at once, and never stored.
"""
from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import NamedTuple, Protocol

import numpy as np

from depth_anyevent_ros.events.jit import njit

PIECE = 4096  # events that are decoded before they are written
MOST_OF_A_WORD = 12  # events of one word, by which a piece may be exceeded


class ArraySink(NamedTuple):
    """Arrays of events: t int64 ns, x uint16, y uint16, p uint8, each as long as needed."""

    t: np.ndarray
    x: np.ndarray
    y: np.ndarray
    p: np.ndarray

    @staticmethod
    def of_size(size: int) -> ArraySink:
        """Return arrays for so many events."""
        return ArraySink(np.empty(size, np.int64), np.empty(size, np.uint16),
                         np.empty(size, np.uint16), np.empty(size, np.uint8))


class Observer(Protocol):
    """See StreamHealth. mask: bool (height, width), pixels to leave out."""

    mask: np.ndarray

    def take(self, events: ArraySink, count: int) -> bool:
        """Take the first events of a piece; return whether the mask has changed."""


class SurfaceSink:
    """
    The latest event of every cell.

    cells: int64 (H*W,), 2 * t + p with t in ns. cell_of_pixel: int32 (height, width), the
    cell into which a sensor pixel falls, -1 for none. observer: sees every event, and says
    which pixels are left out.
    """

    def __init__(self, cells: np.ndarray, cell_of_pixel: np.ndarray,
                 observer: Observer | None = None):
        self.cells, self.cell_of_pixel = cells, cell_of_pixel
        self._cell_of_all, self._observer = cell_of_pixel, observer
        self.piece = ArraySink.of_size(PIECE + MOST_OF_A_WORD)
        if observer:
            self._leave_out(observer.mask)

    def write(self, count: int) -> None:
        """Write the first events of the piece."""
        _write(self.cells, self.cell_of_pixel, *self.piece, count)
        if self._observer and self._observer.take(self.piece, count):
            self._leave_out(self._observer.mask)

    def _leave_out(self, mask: np.ndarray) -> None:
        self.cell_of_pixel = np.where(mask, np.int32(-1), self._cell_of_all)


@dataclass(frozen=True)
class Segment:
    """What one call of `decode_until` put into the sink: count, and the times in ns."""

    events: int
    t_first: int
    t_last: int


NOTHING = Segment(0, -1, -1)


def decode_into(sink: ArraySink | SurfaceSink, decode: Callable[[ArraySink, int], Segment],
                limit_events: int) -> Segment:
    """
    Fill a sink; decode(arrays, most) puts up to `most` events, and those of a word, into arrays.

    It must return fewer only where it cannot go on.
    """
    if isinstance(sink, ArraySink):
        return decode(sink, limit_events)
    whole = NOTHING
    while whole.events < limit_events:
        most = min(PIECE, limit_events - whole.events)
        part = decode(sink.piece, most)
        if part.events:
            sink.write(part.events)
            whole = Segment(whole.events + part.events,
                            whole.t_first if whole.events else part.t_first, part.t_last)
        if part.events < most:
            break
    return whole


@njit
def _write(cells, cell_of_pixel, t, x, y, p, count):
    """Write events into the cells, in their order."""
    for i in range(count):
        cell = cell_of_pixel[y[i], x[i]]
        if cell >= 0:
            cells[cell] = 2 * t[i] + p[i]
