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

from functools import partial

import numpy as np

from depth_anyevent_ros.events.jit import njit
from depth_anyevent_ros.events.packet_decoder import (
    BACK_NS, CORRUPT_TIMES, EVENTS, FIRST, FIRST_LEAP_NS, HEIGHT, judge_time, KNOWN, LAST, LEAP_NS,
    NOW, OFFSET, ON, OUT_OF_RANGE, PacketDecoder, REFUSED, UNSYNCHRONISED, WAITING, WIDTH, WITHIN)

ROLL_US = 1 << 31
# What holds within a packet: the last time word, what has rolled over, and whether it is dropped.
LOW, ROLLED, DROPPED = range(WITHIN, WITHIN + 3)
BLOCK = 256  # records that are judged together where they can be
LEAST = 16  # records of the block at the end of a packet
HALF, LOWER = np.uint64(32), np.uint64(0xFFFFFFFF)


@njit
def _split(record, mono):
    """Return the time, in the encoding's unit, and the place of a record, both uint32."""
    lower, upper = np.uint32(record & LOWER), np.uint32(record >> HALF)
    return (lower, upper) if mono else (upper, lower)


@njit
def _place(place, mono):
    """Return (x, y, p) of a place, all uint32."""
    if mono:
        return (place & np.uint32(0xFFFF), place >> np.uint32(16) & np.uint32(0x7FFF),
                place >> np.uint32(31))
    return (place >> np.uint32(17), place >> np.uint32(2) & np.uint32(0x7FFF),
            place >> np.uint32(1) & np.uint32(1))


@njit
def _rolled(word, low, rolled, mono):
    """Return what has rolled over at a time word that follows the time word `low`."""
    return rolled + ROLL_US if not mono and word < low - ROLL_US // 2 else rolled


@njit
def _judge_record(records, i, t, turned, base, unit, mono, following, final, state):
    """
    Judge the leap to time t of record i by the next record, and by the next packet.

    One record may be corrupt, or the time_base of a packet: then all of it is refused.
    """
    if i + 1 < len(records):
        word = np.int64(_split(records[np.uintp(i)], mono)[0])
        next_word = np.int64(_split(records[i + 1], mono)[0])
        as_before = base + (_rolled(next_word, state[LOW], state[ROLLED], mono) + next_word) * unit
        after = base + (_rolled(next_word, word, turned, mono) + next_word) * unit
        normal = state[KNOWN] != 0 and -BACK_NS <= as_before - state[NOW] <= LEAP_NS
        if normal or i > 0 or not -BACK_NS <= after - t <= FIRST_LEAP_NS:
            return judge_time(t, as_before if normal else after, final, state)
    verdict = judge_time(t, following, final, state)
    if verdict == REFUSED and i == 0:
        state[DROPPED] = 1
    return verdict


@njit
def _last_of_plain(block, zero, unit, mono, limit, width, height, state):
    """
    Return the largest time word of a plain block, -1 where it is not plain.

    That is one of events on the sensor only, before the limit, of times that need no judgement and
    do not roll over. A loop that only compares runs on many records at once in the processor; one
    that judges each does not.
    """
    least, most = np.uint32(LOWER), np.uint32(0)
    x_most, y_most = np.uint32(0), np.uint32(0)
    for k in range(len(block)):
        word, place = _split(block[k], mono)
        x, y, _ = _place(place, mono)
        least, most = min(least, word), max(most, word)
        x_most, y_most = max(x_most, np.uint32(x)), max(y_most, np.uint32(y))
    first, last = np.int64(least), np.int64(most)
    now, t_first, t_last = state[NOW], zero + first * unit, zero + last * unit
    plain = (state[KNOWN] != 0 and not state[DROPPED] and x_most < width and y_most < height
             and (mono or last < ROLL_US) and t_last < limit and t_last <= now + LEAP_NS
             and t_first >= max(now, t_last) - BACK_NS)  # so it does not roll over either
    return last if plain else np.int64(-1)


@njit
def _put_in_arrays(block, zero, unit, mono, ts, xs, ys, ps):
    """Put the events of a plain block, of time words since `zero`; return how many are ON."""
    on = np.uint32(0)
    for k in range(len(block)):
        word, place = _split(block[k], mono)
        x, y, p = _place(place, mono)
        ts[k], xs[k], ys[k], ps[k] = zero + np.int64(word) * unit, x, y, p
        on += p
    return on


@njit
def _put_in_cells(block, zero, unit, mono, width, in_part, cells, row, column, left_out, charge):
    """Put the events of a plain block, of time words since `zero`; return how many are ON."""
    on = np.int64(0)
    for k in range(len(block)):
        word, place = _split(block[k], mono)
        x, y, p = _place(place, mono)
        pixel = np.int64(y) * width + x
        if not (in_part and left_out[np.uintp(pixel >> 3)] >> (pixel & 7) & 1):
            t = zero + np.int64(word) * unit
            cell = np.uintp(row[y] + column[x])
            if charge is None:
                cells[cell] = 2 * t + np.int64(p)
            else:
                gathered = charge[cell, 0] + 2 * np.int64(p) - 1
                if abs(gathered) >= charge[cell, 1]:
                    cells[cell] = 2 * t + np.int64(p)
                    gathered = 0
                charge[cell, 0] = gathered
        on += p
    return on


@njit
def _decode(mono, records, begin, base, limit, n, limit_events, following, final, state,
            in_part, cells, row, column, left_out, charge, ts, xs, ys, ps):
    """Decode records from `begin` on; see `PacketDecoder`."""
    unit = np.int64(1) if mono else np.int64(1000)
    start, on = n, np.int64(0)
    width, height = state[WIDTH], state[HEIGHT]
    if n == 0:
        state[FIRST] = state[LAST] = -1
    i = judged_to = begin  # records before judged_to are not plain as a block
    while i < len(records) and n < limit_events:
        if i >= judged_to:
            judged_to = i + BLOCK
            block = records[i:judged_to]
            zero = base + state[OFFSET] + state[ROLLED] * unit
            last = np.int64(-1)
            after = n + len(block)
            if len(block) >= LEAST and after <= limit_events:
                last = _last_of_plain(block, zero, unit, mono, limit, width, height, state)
            if last >= 0:
                if cells is not None:
                    on += _put_in_cells(block, zero, unit, mono, width, in_part, cells, row,
                                        column, left_out, charge)
                if ts is not None:
                    on += _put_in_arrays(block, zero, unit, mono, ts[n:after], xs[n:after],
                                         ys[n:after], ps[n:after])
                state[LOW] = np.int64(_split(block[len(block) - 1], mono)[0])
                state[NOW] = max(state[NOW], zero + last * unit)
                if n == 0:
                    state[FIRST] = zero + np.int64(_split(block[0], mono)[0]) * unit
                state[LAST] = zero + state[LOW] * unit
                i, n = i + len(block), after
                continue
        time_word, place = _split(records[np.uintp(i)], mono)
        word = np.int64(time_word)
        if state[DROPPED] or (word >= ROLL_US and not mono):  # a negative time
            state[UNSYNCHRONISED if state[DROPPED] else CORRUPT_TIMES] += 1
            i += 1
            continue
        turned = _rolled(word, state[LOW], state[ROLLED], mono)
        t = base + state[OFFSET] + (turned + word) * unit
        if state[KNOWN] == 0 or not -BACK_NS <= t - state[NOW] <= LEAP_NS:
            offset = state[OFFSET]
            verdict = _judge_record(records, i, t, turned, base + offset, unit, mono,
                                    following + offset if following >= 0 else following, final,
                                    state)
            if verdict == WAITING:
                break
            if verdict == REFUSED:
                i += 1
                continue
            t += state[OFFSET] - offset
        state[NOW] = max(state[NOW], t)
        if t >= limit:
            break
        state[LOW], state[ROLLED] = word, turned
        x, y, p = _place(place, mono)
        if x < width and y < height:
            if ts is not None:
                at = np.uintp(n)
                ts[at], xs[at], ys[at], ps[at] = t, x, y, p
            if cells is not None:
                pixel = np.int64(y) * width + x
                if not (in_part and left_out[np.uintp(pixel >> 3)] >> (pixel & 7) & 1):
                    cell = np.uintp(row[y] + column[x])
                    if charge is None:
                        cells[cell] = 2 * t + np.int64(p)
                    else:
                        gathered = charge[cell, 0] + 2 * np.int64(p) - 1
                        if abs(gathered) >= charge[cell, 1]:
                            cells[cell] = 2 * t + np.int64(p)
                            gathered = 0
                        charge[cell, 0] = gathered
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
    if i == len(records):
        state[WITHIN:] = 0
    return i, n, state[FIRST], state[LAST]


@njit
def _to_arrays(mono, records, begin, base, limit, n, limit_events, following, final, state,
               ts, xs, ys, ps):
    return _decode(mono, records, begin, base, limit, n, limit_events, following, final, state,
                   False, None, None, None, None, None, ts, xs, ys, ps)


@njit
def _to_grid(mono, records, begin, base, limit, n, limit_events, following, final, state,
             in_part, cells, row, column, left_out, charge):
    return _decode(mono, records, begin, base, limit, n, limit_events, following, final, state,
                   in_part, cells, row, column, left_out, charge, None, None, None, None)


class RecordDecoder(PacketDecoder):
    """What both have in common."""

    max_side = 1 << 12  # coordinates have 15 bits, but no sensor has as many pixels
    word = np.dtype(np.uint64)
    state_size = WITHIN + 3
    mono: bool
    _room = staticmethod(len)

    def _first_time(self, words: np.ndarray, base: int) -> int:
        word = int(_split(words[0], self.mono)[0])
        return base + (word if self.mono else word % ROLL_US * 1000)


class LibcaerDecoder(RecordDecoder):
    """A decoder of `libcaer` from a sensor of width x height pixels."""

    encoding = 'libcaer'
    number = np.dtype(np.uint32)
    mono = False
    to_arrays = staticmethod(partial(_to_arrays, mono))
    to_grid = staticmethod(partial(_to_grid, mono))


class MonoDecoder(RecordDecoder):
    """A decoder of `mono` from a sensor of width x height pixels."""

    encoding = 'mono'
    number = np.dtype(np.uint64)
    mono = True
    to_arrays = staticmethod(partial(_to_arrays, mono))
    to_grid = staticmethod(partial(_to_grid, mono))
