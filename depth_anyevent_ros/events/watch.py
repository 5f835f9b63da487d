# Copyright 2026 depth_anyevent_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Looks at a stream of events: what pixels and the rate did for a second, now and then."""
from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from depth_anyevent_ros.events.jit import njit
from depth_anyevent_ros.events.sinks import ArraySink

BINS = 1000  # of a look
BIN_NS = 1_000_000
LOOK_NS = BINS * BIN_NS
EVERY_NS = 4 * LOOK_NS
COUNTED_HZ = 1_000_000  # events a second that are counted over time, by looking more seldom
FIRST_LOOKS = 3  # that come without: what is wrong from the beginning is told soon
SIDE = 4  # the sensor is cut into SIDE x SIDE areas
BACK_NS = 100_000_000  # events of one stream are out of order by less
MOST = np.iinfo(np.uint16).max


@dataclass(frozen=True)
class Look:
    """
    One second of a stream.

    pixels: uint16 (height, width), events of each pixel. areas: int32 (BINS, SIDE * SIDE, 2),
    events of each area by milliseconds, OFF and ON.
    """

    pixels: np.ndarray
    areas: np.ndarray

    def clear(self) -> None:
        """Set the counts to zero."""
        self.pixels[:] = 0
        self.areas[:] = 0


class StreamWatch:
    """
    Counts events for a second in every `every_ns` of sensor time, and hands each Look to judge().

    Counting costs about as much as decoding, so after FIRST_LOOKS a busy stream is looked at more
    seldom, until counted_hz are counted (events a second; None: however many there are, where
    nothing is live). take() gets every piece of events that is decoded, with those of pixels that
    are masked; pass_by() will do where looks() says so. A look that a restart of the stream
    interrupts begins anew; a look is judge()'s only while it is called.
    """

    def __init__(self, width: int, height: int, judge: Callable[[Look], None],
                 every_ns: int = EVERY_NS, counted_hz: int | None = COUNTED_HZ):
        self._judge, self._every_ns, self._counted_hz = judge, every_ns, counted_hz
        self._looks = 0
        self._columns = (np.arange(width) * SIDE // width).astype(np.uint8)
        self._rows = (np.arange(height) * SIDE // height * SIDE).astype(np.uint8)
        self._look = Look(np.zeros((height, width), np.uint16),
                          np.zeros((BINS, SIDE * SIDE, 2), np.int32))
        self._begin: int | None = None
        self._latest = 0

    def looks(self) -> bool:
        """Return whether a look is under way, or may begin."""
        return self._begin is None or self._latest >= self._begin

    def pass_by(self, t_first: int, t_last: int) -> None:
        """Take the times of events between looks; one that begins among them begins after them."""
        self._reach(t_first, t_last)
        self._begin = max(self._begin, t_last)

    def take(self, events: ArraySink, count: int) -> None:
        """Take the first events of a piece, of which there is at least one."""
        latest = int(events.t[count - 1])
        self._reach(int(events.t[0]), latest)
        if latest < self._begin:
            return
        _count(events.t, events.x, events.y, events.p, count, self._begin, self._columns,
               self._rows, self._look.pixels, self._look.areas)
        if latest >= self._begin + LOOK_NS:
            self._looks += 1
            pause = self._every_ns
            if self._counted_hz is not None and self._looks >= FIRST_LOOKS:
                pause = max(pause, int(self._look.areas.sum()) * LOOK_NS // self._counted_hz)
            self._judge(self._look)
            self._begin_look(max(self._begin + pause, latest))

    def _reach(self, t_first: int, t_last: int) -> None:
        """Go on to a time; begin anew where it fell back."""
        if self._begin is None or t_last < self._latest - BACK_NS:
            self._begin_look(t_first)
        self._latest = t_last

    def _begin_look(self, begin: int) -> None:
        self._begin = begin
        self._look.clear()


@njit
def _count(t, x, y, p, count, begin, columns, rows, pixels, areas):
    """Count the events of the look that begins at `begin`; those of other times are left out."""
    # Events are almost in order, so that the bin is found without a division for each.
    number = -1
    low = high = begin
    for i in range(count):
        time = t[i]
        if time < low or time >= high:
            number = (time - begin) // BIN_NS
            low = begin + number * BIN_NS
            high = low + BIN_NS
        if number < 0 or number >= BINS:
            continue
        if pixels[y[i], x[i]] < MOST:
            pixels[y[i], x[i]] += 1
        areas[number, rows[y[i]] + columns[x[i]], p[i]] += 1
