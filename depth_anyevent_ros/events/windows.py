# Copyright 2026 depth_anyevent_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""
When windows begin and end.

Windows of time are half-open intervals of sensor time, [end - duration, end), whose ends are
multiples of the period: the same stream gives the same windows live, from a bag, and after a
restart (but which cells of large pixels show an event, see `cell_threshold` of InputConfig, is up
to where the stream began). Rate and length are independent, so windows may overlap or leave gaps.
Windows of count end with every n-th event. Planned windows end when they are told to, such as
at the time of a picture; nothing is decoded beyond the last that was planned.
"""
from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field
from typing import ClassVar

import numpy as np

from depth_anyevent_ros.events.sinks import SurfaceSink

MARK_EVERY_NS = 5_000_000  # between counts of events
AHEAD_NS = 2_000_000_000  # no window is asked for so long before its events come


@dataclass
class OpenWindow:
    """
    A window that events fall into: bounds and first and last event in ns, and a count.

    t_first, t_last: -1 where there is none, and of planned windows.
    """

    t_start: int
    t_end: int
    events: int = 0
    t_first: int = -1
    t_last: int = -1

    def add(self, events: int, t_first: int, t_last: int) -> None:
        """Count a run of events that lies within this window."""
        if not events:
            return
        if not self.events:
            self.t_first = t_first
        self.t_last = t_last
        self.events += events


@dataclass(frozen=True)
class TimeWindows:
    """
    Windows of duration_ns that end at every multiple of period_ns.

    Where sensor time leaps by more than max_gap_ns no windows are made of the time between.
    """

    duration_ns: int
    period_ns: int
    max_gap_ns: int

    def cutter(self) -> TimeCutter:
        """Return the state machine that cuts a stream into these windows."""
        return TimeCutter(self)


@dataclass(frozen=True)
class CountWindows:
    """Windows of `count` events each; a pause of more than max_gap_ns begins a new one."""

    count: int
    max_gap_ns: int

    def cutter(self) -> CountCutter:
        """Return the state machine that cuts a stream into these windows."""
        return CountCutter(self)


@dataclass(frozen=True)
class PlannedWindows:
    """Windows of duration_ns that end at times given one by one; max_gap_ns as above."""

    duration_ns: int
    max_gap_ns: int

    def cutter(self) -> PlannedCutter:
        """Return the state machine that cuts a stream into these windows."""
        return PlannedCutter(self)


@dataclass
class TimeCutter:
    """Cuts windows of time. Only windows that the stream covers from start to end are made."""

    disjoint: ClassVar[bool] = False  # no event is in two windows
    rule: TimeWindows
    interruptions: int = 0
    _open: deque[OpenWindow] = field(default_factory=deque)
    _next_start: int | None = None

    def restart(self) -> None:
        """Forget open windows: the stream was interrupted."""
        self._open.clear()
        self._next_start = None

    def advance(self, decoder, sink: SurfaceSink, final: bool = False):
        """Decode what the decoder was fed; yield each window at the moment when it is full."""
        if self._next_start is None and not self._start(decoder):
            # Reading up to time 0 takes the words before the first time, and no event.
            decoder.decode_until(0, sink, final)
            if not self._start(decoder):
                return
        while True:
            limit = self._limit()
            segment = decoder.decode_until(limit, sink, final)
            for window in self._open:
                window.add(segment.events, segment.t_first, segment.t_last)
            now = decoder.time_ns
            if now is None or now < limit:
                return
            if now - limit > self.rule.max_gap_ns:
                self.interruptions += 1
                self.restart()
                self._start(decoder)
                continue
            while self._open and self._open[0].t_end <= now:
                yield self._open.popleft()
            while self._next_start <= now:
                self._open.append(OpenWindow(self._next_start,
                                             self._next_start + self.rule.duration_ns))
                self._next_start += self.rule.period_ns

    def _start(self, decoder) -> bool:
        """Place the first window after the time that the decoder has reached, if it knows one."""
        if decoder.time_ns is None:
            return False
        period, duration = self.rule.period_ns, self.rule.duration_ns
        end = -(-(decoder.time_ns + duration) // period) * period
        self._next_start = end - duration
        return True

    def _limit(self) -> int:
        """Return the next time at which a window begins or ends."""
        if not self._open:
            return self._next_start
        return min(self._next_start, self._open[0].t_end)


@dataclass
class CountCutter:
    """Cuts windows of count; one word of a vector may put some events more into a window."""

    disjoint: ClassVar[bool] = True  # no event is in two windows
    rule: CountWindows
    interruptions: int = 0
    _window: OpenWindow | None = None
    _last: int | None = None  # time of the last event; a pause may begin with a full window too

    def restart(self) -> None:
        """Forget the open window: the stream was interrupted."""
        self._window = self._last = None

    def advance(self, decoder, sink: SurfaceSink, final: bool = False):
        """Decode what the decoder was fed; yield each window at the moment when it is full."""
        while True:
            if self._last is None:  # from which a pause is counted, so one event alone
                limit, missing = None, 1
            else:
                limit = self._last + self.rule.max_gap_ns
                missing = self.rule.count - (self._window.events if self._window else 0)
            segment = decoder.decode_until(limit, sink, final, missing)
            if segment.events:
                self._last = segment.t_last
                self._window = window = self._window or OpenWindow(segment.t_first, 0)
                window.add(segment.events, segment.t_first, segment.t_last)
                if window.events >= self.rule.count:
                    self._window = None
                    # A damaged stream may fall back a little within a window.
                    window.t_start = min(window.t_first, window.t_last)
                    window.t_end = max(window.t_first, window.t_last) + 1
                    yield window
            elif limit is not None and decoder.time_ns is not None and decoder.time_ns >= limit:
                self.interruptions += 1
                self.restart()
            else:
                return


@dataclass
class PlannedCutter:
    """
    Cuts windows whose ends are planned, in order of time, and decodes no further than they need.

    A window may begin before what was decoded when it was planned, as neighbours overlap: the
    surface still knows the latest event of every cell. `missed` counts planned windows that were
    not made: they ended before what was decoded, or began before the stream did.
    """

    disjoint: ClassVar[bool] = False  # no event is in two windows
    rule: PlannedWindows
    interruptions: int = 0
    missed: int = 0
    _ends: deque[int] = field(default_factory=deque)
    _planned: bool = False  # whether any window was since the stream began
    _begin: int | None = None  # of the stream
    _marks: deque[tuple[int, int]] = field(default_factory=deque)  # time, events before it
    _total: int = 0

    def plan(self, t_end: int) -> None:
        """
        Ask for the window that ends at t_end, ns of sensor time.

        Ends that were asked for before and lie more than AHEAD_NS after it are given up.
        """
        self._planned = True
        while self._ends and self._ends[-1] > t_end + AHEAD_NS:
            self._ends.pop()
            self.missed += 1
        if self._ends and t_end <= self._ends[-1]:
            self.missed += 1
        else:
            self._ends.append(t_end)

    @property
    def waiting(self) -> bool:
        """Whether a planned window was not reached yet."""
        return bool(self._ends)

    def restart(self) -> None:
        """Forget what was planned: the stream was interrupted."""
        self.missed += len(self._ends)
        self._ends.clear()
        self._marks.clear()
        self._begin, self._planned = None, False

    def advance(self, decoder, sink: SurfaceSink, final: bool = False):
        """
        Decode what the decoder was fed as far as windows are planned; yield those reached.

        Before the first is planned all is decoded, so that the stream's time becomes known.
        """
        if decoder.time_ns is None:
            decoder.decode_until(0, sink, final)  # the words before the first time
            if decoder.time_ns is None:
                return
        if self._begin is None:
            self._begin = decoder.time_ns
        if not self._planned:
            self._total += decoder.decode_until(None, sink, final).events
            self._mark(decoder.time_ns)
        while self._ends:
            now = decoder.time_ns
            if self._ends[0] <= now or self._ends[0] - self.rule.duration_ns < self._begin:
                self._ends.popleft()
                self.missed += 1
                continue
            limit = min(self._ends[0], now + MARK_EVERY_NS)
            self._total += decoder.decode_until(limit, sink, final).events
            now = decoder.time_ns
            if now is None or now < limit:
                return
            if now - limit > self.rule.max_gap_ns:
                self.interruptions += 1
                self._begin = now
                self._marks.clear()
            self._mark(now)
            if self._ends[0] <= now and self._begin < now:
                t_end = self._ends.popleft()
                t_start = t_end - self.rule.duration_ns
                yield OpenWindow(t_start, t_end, self._total - self._before(t_start))

    def _mark(self, now: int) -> None:
        """Remember how many events came before now."""
        self._marks.append((now, self._total))
        while self._marks[0][0] < now - 2 * self.rule.duration_ns:
            self._marks.popleft()

    def _before(self, time_ns: int) -> int:
        """Return how many events came before a time, interpolated between marks."""
        return round(float(np.interp(time_ns, *zip(*self._marks))))
