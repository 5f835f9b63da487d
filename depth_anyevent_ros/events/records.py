# Copyright 2026 depth_anyevent_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""
Decoders of encodings with a record of eight bytes for each event: `libcaer` and `mono`.

`libcaer` is the polarity event of iniVation's library: 32 bits of place and polarity, and 31
bits of microseconds, which roll over after 35.8 minutes. time_base is the ROS time at which the
driver began, and what has rolled over since. Invalid marks are ignored, as the reference decoder
does. `mono` has 32 bits of nanoseconds since time_base, then place and polarity.
"""
from __future__ import annotations

import numpy as np

from depth_anyevent_ros.events.jit import njit
from depth_anyevent_ros.events.packet_decoder import (
    BACK_NS, CORRUPT_TIMES, EVENTS, Fed, FIRST, FIRST_LEAP_NS, judge_time, KNOWN, LAST, LEAP_NS,
    NOW, OFFSET, ON, OUT_OF_RANGE, PacketDecoder, REFUSED, UNSYNCHRONISED, WAITING)
from depth_anyevent_ros.events.sinks import ArraySink, GridSink

ROLL_US = 1 << 31
# What holds within a packet: the last time word, what has rolled over, and whether it is dropped.
LOW, ROLLED, DROPPED = range(3)


@njit
def _time_word(words, i, mono):
    """Return the time of record i, in the encoding's unit."""
    return np.int64(words[2 * i]) if mono else np.int64(words[2 * i + 1])


@njit
def _rolled(word, low, rolled, mono):
    """Return what has rolled over at a time word that follows the time word `low`."""
    return rolled + ROLL_US if not mono and word < low - ROLL_US // 2 else rolled


@njit
def _judge_record(words, i, t, turned, base, unit, mono, following, final, state, inner):
    """
    Judge the leap to time t of record i by the next record, and by the next packet.

    One record may be corrupt, or the time_base of a packet: then all of it is refused.
    """
    if i + 1 < len(words) // 2:
        word, next_word = _time_word(words, i, mono), _time_word(words, i + 1, mono)
        as_before = base + (_rolled(next_word, inner[LOW], inner[ROLLED], mono) + next_word) * unit
        after = base + (_rolled(next_word, word, turned, mono) + next_word) * unit
        normal = state[KNOWN] != 0 and -BACK_NS <= as_before - state[NOW] <= LEAP_NS
        if normal or i > 0 or not -BACK_NS <= after - t <= FIRST_LEAP_NS:
            return judge_time(t, as_before if normal else after, final, state)
    verdict = judge_time(t, following, final, state)
    if verdict == REFUSED and i == 0:
        inner[DROPPED] = 1
    return verdict


@njit
def _decode(words, begin, base, mono, limit, n, limit_events, following, final, width, height,
            state, inner, in_cells, in_part, cells, row, column,
            left_out, ts, xs, ys, ps):
    """Decode records from `begin` on; see `PacketDecoder._decode`."""
    unit = np.int64(1) if mono else np.int64(1000)
    records = len(words) // 2
    start, on = n, np.int64(0)
    i = begin
    while i < records and n < limit_events:
        word = _time_word(words, i, mono)
        if inner[DROPPED] or (word >= ROLL_US and not mono):  # a negative time
            state[UNSYNCHRONISED if inner[DROPPED] else CORRUPT_TIMES] += 1
            i += 1
            continue
        turned = _rolled(word, inner[LOW], inner[ROLLED], mono)
        t = base + state[OFFSET] + (turned + word) * unit
        if state[KNOWN] == 0 or not -BACK_NS <= t - state[NOW] <= LEAP_NS:
            offset = state[OFFSET]
            verdict = _judge_record(words, i, t, turned, base + offset, unit, mono,
                                    following + offset if following >= 0 else following, final,
                                    state, inner)
            if verdict == WAITING:
                break
            if verdict == REFUSED:
                i += 1
                continue
            t += state[OFFSET] - offset
        state[NOW] = max(state[NOW], t)
        if t >= limit:
            break
        inner[LOW], inner[ROLLED] = word, turned
        place = np.int64(words[2 * i + 1]) if mono else np.int64(words[2 * i])
        if mono:
            x, y, p = place & 0xFFFF, place >> 16 & 0x7FFF, place >> 31
        else:
            x, y, p = place >> 17 & 0x7FFF, place >> 2 & 0x7FFF, place >> 1 & 1
        if x < width and y < height:
            if not in_cells:
                ts[n], xs[n], ys[n], ps[n] = t, x, y, p
            else:
                pixel = y * width + x
                if not (in_part and left_out[pixel >> 3] >> (pixel & 7) & 1):
                    cells[row[y] + column[x]] = 2 * t + p
            on += p
            if n == 0:
                state[FIRST] = t
            state[LAST] = t
            n += 1
        else:
            state[OUT_OF_RANGE] += 1
        i += 1
    state[ON] += on
    state[EVENTS] += n - start
    return i, n


class RecordDecoder(PacketDecoder):
    """What both have in common."""

    max_side = 1 << 12  # coordinates have 15 bits, but no sensor has as many pixels
    word = np.dtype(np.uint32)
    granularity = 2
    mono: bool

    def _begin_packet(self) -> None:
        self._inner = np.zeros(3, np.int64)

    def _first_time(self, fed: Fed) -> int:
        word = int(_time_word(fed.words, 0, self.mono))
        return fed.base + (word if self.mono else word % ROLL_US * 1000)

    def _decode(self, fed: Fed, begin: int, limit: int, n: int, limit_events: int,
                following: int, final: bool, sink: ArraySink | GridSink) -> tuple[int, int]:
        record, n = _decode(fed.words, begin // 2, fed.base, self.mono, limit, n, limit_events,
                            following, final, self.width, self.height, self._state, self._inner,
                            *sink.in_loops())
        return 2 * record, n

    def _room(self, words: np.ndarray) -> int:
        return len(words) // 2


class LibcaerDecoder(RecordDecoder):
    """A decoder of `libcaer` from a sensor of width x height pixels."""

    encoding = 'libcaer'
    mono = False


class MonoDecoder(RecordDecoder):
    """A decoder of `mono` from a sensor of width x height pixels."""

    encoding = 'mono'
    mono = True

    def _words(self, data: np.ndarray, bigendian: bool) -> np.ndarray:
        # One number of 64 bits, of which the lower half comes first.
        return data.view('>u8' if bigendian else '<u8').astype('<u8').view(self.word)
