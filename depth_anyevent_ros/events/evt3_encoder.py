# Copyright 2026 depth_anyevent_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""
Encoder of Prophesee's EVT 3.0 stream (encoding `evt3`), for recordings of our own making.

A stream of little-endian 16-bit words, the upper four bits of which are the type:
https://docs.prophesee.ai/stable/data/encoding_formats/evt3.html.
"""
from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from depth_anyevent_ros.events.jit import njit
from depth_anyevent_ros.events.types import Events, polarity

ADDR_Y = 0x0 << 12
ADDR_X = 0x2 << 12
VECT_BASE_X = 0x3 << 12
VECT_12 = 0x4 << 12
VECT_8 = 0x5 << 12
TIME_LOW = 0x6 << 12
TIME_HIGH = 0x8 << 12
EXT_TRIGGER = 0xA << 12

TIME_HIGH_PERIOD_US = 4096
MAX_COORDINATE = 2047
# A gap of this many pixels within a row ends a vector: the empty word costs what a new one does.
MAX_VECTOR_GAP = 12

# The state between packets, all int64: time of the last TIME_HIGH word and end of the stream so
# far (microseconds, -1 before the first packet), low twelve bits and row last sent (-1: none).
LAST_HIGH_US, END_US, LOW, ROW = range(4)


class Evt3Encoder:
    """
    Events in, packets of evt3 words out; time and row carry over from packet to packet.

    vectors: write runs of one row, time and polarity as vector words, as sensors of the fourth
    generation do. time_high_interval_us: how often TIME_HIGH is repeated, events or not, a
    divisor of 4096; sensors do it every 16 us. self_contained: begin each packet with the whole
    time and the row, so that it can be decoded without those before; no sensor does that.
    """

    def __init__(self, vectors: bool = False, time_high_interval_us: int = 16,
                 self_contained: bool = False) -> None:
        if time_high_interval_us < 1 or TIME_HIGH_PERIOD_US % time_high_interval_us:
            raise ValueError('time_high_interval_us has to divide 4096, got '
                             f'{time_high_interval_us}')
        self._vectors = vectors
        self._interval_us = time_high_interval_us
        self._self_contained = self_contained
        self._state = np.full(4, -1, np.int64)

    def encode(self, events: Events, triggers: Sequence[tuple[int, int, int]] = (),
               end_ns: int | None = None) -> np.ndarray:
        """
        Encode the events and triggers of one packet; return its bytes, uint8 (N,).

        Times are nanoseconds and are cut to microseconds; beyond 24 bits of microseconds they
        wrap, as in the format. triggers: (time, value 0 or 1, id 0 to 15), sorted by time.
        end_ns: repeat TIME_HIGH up to this time, which no later packet may fall behind.
        Raises ValueError for unsorted times, times before the end of the last packet,
        coordinates beyond 11 bits, and polarities that are not 0 or 1.
        """
        marks = np.array(triggers, np.int64).reshape(-1, 3)
        times_us, mark_times_us = events.t // 1000, marks[:, 0] // 1000
        latest = max(int(times[-1]) if len(times) else self._begin_us()
                     for times in (times_us, mark_times_us))
        end_us = latest if end_ns is None else end_ns // 1000
        self._check(events, times_us, marks, mark_times_us, latest, end_us)
        # TIME_HIGH words of the time that passes, at most three words for each event. A stream
        # begins with its first word, whatever time that is.
        begin_us = self._begin_us() if self._state[END_US] >= 0 else min(
            [end_us, *times_us[:1].tolist(), *mark_times_us[:1].tolist()])
        room = (end_us - begin_us) // self._interval_us + 3 * len(events) \
            + 2 * len(marks) + 8
        words = np.empty(max(room, 8), np.uint16)
        if self._self_contained:
            self._state[[LAST_HIGH_US, LOW, ROW]] = -1
        count = _encode(times_us, events.x, events.y, polarity(events.p), mark_times_us,
                        (marks[:, 2] << 8 | marks[:, 1]), end_us, self._interval_us,
                        self._vectors, self._state, words)
        return words[:count].astype('<u2').view(np.uint8)

    def _begin_us(self) -> int:
        return max(int(self._state[END_US]), 0)

    def _check(self, events: Events, times_us: np.ndarray, marks: np.ndarray,
               mark_times_us: np.ndarray, latest: int, end_us: int) -> None:
        for name, times in (('events', times_us), ('triggers', mark_times_us)):
            if len(times) and (np.any(times[1:] < times[:-1]) or times[0] < self._begin_us()):
                raise ValueError(f'the {name} have to be sorted by time and not to begin before '
                                 f'the end of the last packet, {self._begin_us()} us; the first '
                                 f'is at {times[0]} us')
        if end_us < latest:
            raise ValueError(f'the packet ends at {end_us} us, before its last event or the '
                             f'last packet at {latest} us')
        for name, values in (('x', events.x), ('y', events.y)):
            if len(values) and (values.min() < 0 or values.max() > MAX_COORDINATE):
                raise ValueError(f'{name} has to lie within 0 to {MAX_COORDINATE}, as evt3 has '
                                 f'11 bits for it, got {values.min()} to {values.max()}')
        if np.any(marks[:, 1] & ~1) or np.any(marks[:, 2] & ~15):
            raise ValueError('a trigger has to have a value of 0 or 1 and an id of 0 to 15')


@njit
def _encode(times, xs, ys, ps, mark_times, marks, end_us, interval, vectors, state, words):
    """Write the packet into words; return how many were written."""
    n = 0
    i = 0
    mark = 0
    while i < len(times) or mark < len(marks):
        if mark < len(marks) and (i == len(times) or mark_times[mark] <= times[i]):
            n = _put_time(mark_times[mark], interval, state, words, n)
            words[n] = EXT_TRIGGER | marks[mark]
            n += 1
            mark += 1
            continue
        n = _put_time(times[i], interval, state, words, n)
        if ys[i] != state[ROW]:
            state[ROW] = ys[i]
            words[n] = ADDR_Y | ys[i]
            n += 1
        stop = _run_end(i, times, xs, ys, ps) if vectors else i + 1
        # A run goes as vectors where that takes fewer words than its events one by one.
        width = np.int64(xs[stop - 1]) - np.int64(xs[i]) + 1
        if 1 + (width + 11) // 12 < stop - i:
            n = _put_vectors(xs[i:stop], ps[i], words, n)
        else:
            for k in range(i, stop):
                words[n] = ADDR_X | ps[k] << 11 | xs[k]
                n += 1
        i = stop
    n = _put_time_high(end_us, interval, state, words, n)
    state[END_US] = end_us
    return n


@njit
def _put_time_high(time, interval, state, words, n):
    """Write the TIME_HIGH words that are due up to time."""
    if state[LAST_HIGH_US] < 0:
        state[LAST_HIGH_US] = time - time % interval
        words[n] = TIME_HIGH | time >> 12 & 0xFFF
        n += 1
    while state[LAST_HIGH_US] + interval <= time:
        before = state[LAST_HIGH_US] >> 12
        state[LAST_HIGH_US] += interval
        high = state[LAST_HIGH_US] >> 12
        if high != before:
            # The low bits that were sent belong to the time before.
            state[LOW] = -1
        words[n] = TIME_HIGH | high & 0xFFF
        n += 1
    return n


@njit
def _put_time(time, interval, state, words, n):
    n = _put_time_high(time, interval, state, words, n)
    low = time & 0xFFF
    if low != state[LOW]:
        state[LOW] = low
        words[n] = TIME_LOW | low
        n += 1
    return n


@njit
def _run_end(i, times, xs, ys, ps):
    """Return the end of the run of events from i on that may share vector words."""
    k = i + 1
    while (k < len(times) and times[k] == times[i] and ys[k] == ys[i] and ps[k] == ps[i]
           and xs[k] > xs[k - 1] and xs[k] - xs[k - 1] <= MAX_VECTOR_GAP):
        k += 1
    return k


@njit
def _put_vectors(xs, p, words, n):
    """Write the events of one run as a base and as few vector words as cover it."""
    base = np.int64(xs[0])
    words[n] = VECT_BASE_X | p << 11 | base
    n += 1
    k = 0
    while k < len(xs):
        size = 8 if xs[-1] - base < 8 else 12
        bits = 0
        while k < len(xs) and xs[k] - base < size:
            bits |= 1 << (xs[k] - base)
            k += 1
        words[n] = (VECT_8 if size == 8 else VECT_12) | bits
        n += 1
        base += size
    return n
