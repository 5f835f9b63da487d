# Copyright 2026 depth_anyevent_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""
Where a decoder puts an event, chosen when the decoder's loop is compiled.

A decoder is written once and calls `put(sink, n, t, x, y, p)`. With an ArraySink it fills
arrays; with a SurfaceSink it writes the latest-event surface and no event is ever stored.
"""
from __future__ import annotations

from typing import NamedTuple

from numba import types
from numba.extending import overload
import numpy as np


class ArraySink(NamedTuple):
    """Arrays of events: t int64 ns, x uint16, y uint16, p uint8, each as long as needed."""

    t: np.ndarray
    x: np.ndarray
    y: np.ndarray
    p: np.ndarray


class SurfaceSink(NamedTuple):
    """
    The latest event of every cell.

    cells: int64 (H*W,), 2 * t + p with t in ns. cell_of_pixel: int32 (height, width), the
    cell into which a sensor pixel falls, -1 for none.
    """

    cells: np.ndarray
    cell_of_pixel: np.ndarray


def put(sink, n, t, x, y, p):
    """Put event number n of this call into the sink (only callable from compiled code)."""
    raise NotImplementedError


@overload(put, inline='always')
def _put(sink, n, t, x, y, p):
    if not isinstance(sink, types.NamedTuple):
        return None
    if sink.instance_class is ArraySink:
        def put_array(sink, n, t, x, y, p):
            sink.t[n] = t
            sink.x[n] = x
            sink.y[n] = y
            sink.p[n] = p
        return put_array

    def put_surface(sink, n, t, x, y, p):
        cell = sink.cell_of_pixel[y, x]
        if cell >= 0:
            sink.cells[cell] = 2 * t + p
    return put_surface
