# Copyright 2026 depth_anyevent_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""
Decoder of `libcaer_cmp`, which libcaer_driver publishes by default.

Little-endian 16-bit words, the upper four bits of which are the type, much as evt3 with columns
for rows. Time is counted in microseconds from time_base, which is that of the packet's first
event, and begins with 0 in each packet.
"""
from __future__ import annotations

import numpy as np

from depth_anyevent_ros.events.jit import njit
from depth_anyevent_ros.events.packet_decoder import (
    ACCEPTED, CORRUPT_TIMES, EVENTS, FIRST, HEIGHT, judge_time, LAST, NOW, OFFSET, ON,
    OUT_OF_RANGE, PacketDecoder, REFUSED, UNKNOWN_WORDS, UNSYNCHRONISED, WAITING, WIDTH, WITHIN)

TIME_HIGH, TIME_LOW, ADDR_X, ADDR_Y, VECT_BASE_Y, VECT_8 = range(6)
# What holds within a packet: units of 4096 us and microseconds since time_base, whether the low
# half was sent since the high one, whether the high one has twelve bits, column, base and polarity
# of vectors, and what became of time_base: 0 before it was judged, 1 believed, 2 refused.
HIGH, LOW, LOW_SENT, WIDE, X, BASE_Y, BASE_P, JUDGED = range(WITHIN, WITHIN + 8)
UNIT_US = 4096
WRAP = 4096  # values of a TIME_HIGH word
SHORT_WRAP = 16  # values that libcaer_driver sends: it cuts the time to 16 bits before it shifts
LONGEST_STEP = 244  # one second, between two TIME_HIGH words, without proof


@njit
def _step_high(high, value, wide):
    """Return the high half that a word shows; wide: whether it has twelve bits for certain."""
    step = (value - high) % WRAP
    if step > LONGEST_STEP and value < SHORT_WRAP and not wide:
        step = (value - high) % SHORT_WRAP
    return high + step


@njit
def _judge_step(words, begin, high, before, wide, base, following, final):
    """
    Return whether a long step of the high half is believed, as `judge_time` does.

    The next TIME_HIGH word of the packet tells, which has to be nearer to it than to what was
    before, or else the time of the next packet, which is waited for.
    """
    for i in range(begin, len(words)):
        if words[i] >> 12 == TIME_HIGH:
            value = np.int64(words[i] & 0xFFF)
            # A value that was cut is about as far from one as from the other.
            believed = ((wide or value >= SHORT_WRAP)
                        and (value - high) % WRAP <= (value - before) % WRAP)
            return ACCEPTED if believed else REFUSED
    if following < 0:
        return ACCEPTED if final else WAITING  # nothing comes that it could harm
    return ACCEPTED if following >= base + high * UNIT_US * 1000 else REFUSED


@njit
def _decode(words, begin, base, limit, n, limit_events, following, final, state,
            in_part, cells, row, column, left_out, charge, ts, xs, ys, ps):
    """Decode words from `begin` on; see `PacketDecoder`."""
    width, height = state[WIDTH], state[HEIGHT]
    if n == 0:
        state[FIRST] = state[LAST] = -1
    if state[JUDGED] == 0:
        ahead = following + state[OFFSET] if following >= 0 else following
        verdict = judge_time(base + state[OFFSET], ahead, final, state)
        if verdict == WAITING:
            return begin, n, state[FIRST], state[LAST]
        state[JUDGED] = 2 if verdict == REFUSED else 1
    usable = state[JUDGED] == 1
    base = base + state[OFFSET]
    high, low, x = state[HIGH], state[LOW], state[X]
    now, start, on = state[NOW], n, np.int64(0)
    t = base + (high * UNIT_US + low) * 1000
    i = begin
    while i < len(words) and n < limit_events:
        word = np.int64(words[np.uintp(i)])
        kind = word >> 12
        if kind == ADDR_Y or kind == VECT_8:
            if usable and t > now:
                now = t
            if usable and t >= limit:
                break
            if kind == ADDR_Y:
                bits, y, p = np.int64(1), word & 0x7FF, word >> 11 & 1
            else:
                bits, y, p = word & 0xFF, state[BASE_Y], state[BASE_P]
                state[BASE_Y] += 8
            while bits:
                if bits & 1:
                    if not usable:
                        state[UNSYNCHRONISED] += 1
                    elif x < width and y < height:
                        if ts is not None:
                            at = np.uintp(n)
                            ts[at], xs[at], ys[at], ps[at] = t, x, y, p
                        if cells is not None:
                            pixel = y * width + x
                            if not (in_part and left_out[np.uintp(pixel >> 3)] >> (pixel & 7) & 1):
                                cell = np.uintp(row[np.uintp(y)] + column[np.uintp(x)])
                                if charge is None:
                                    cells[cell] = 2 * t + p
                                else:
                                    gathered = charge[cell, 0] + 2 * p - 1
                                    if abs(gathered) >= charge[cell, 1]:
                                        cells[cell] = 2 * t + p
                                        gathered = 0
                                    charge[cell, 0] = gathered
                        on += p
                        if n == 0:
                            state[FIRST] = t
                        state[LAST] = t
                        n += 1
                    else:
                        state[OUT_OF_RANGE] += 1
                bits >>= 1
                y += 1
        elif kind == ADDR_X:
            x = word & 0x7FF
        elif kind == TIME_LOW:
            # A driver that begins a packet of the camera anew may leave out the high half.
            if word & 0xFFF < low and state[LOW_SENT]:
                high += 1
            low = word & 0xFFF
            state[LOW_SENT] = 1
            t = base + (high * UNIT_US + low) * 1000
        elif kind == TIME_HIGH:
            moved = _step_high(high, word & 0xFFF, state[WIDE] != 0)
            verdict = ACCEPTED
            if moved - high > LONGEST_STEP:
                verdict = _judge_step(
                    words, i + 1, moved, high, state[WIDE] != 0, base,
                    following + state[OFFSET] if following >= 0 else following, final)
            if verdict == WAITING:
                break
            if verdict == REFUSED:
                state[CORRUPT_TIMES] += 1
            elif moved != high:
                state[LOW_SENT], high = 0, moved
                state[WIDE] |= word & 0xFFF >= SHORT_WRAP
                t = base + (high * UNIT_US + low) * 1000
        elif kind == VECT_BASE_Y:
            state[BASE_Y], state[BASE_P] = word & 0x7FF, word >> 11 & 1
        else:
            state[UNKNOWN_WORDS] += 1
        i += 1
    state[HIGH], state[LOW], state[X] = high, low, x
    state[NOW] = now
    state[ON] += on
    state[EVENTS] += n - start
    if i == len(words):
        state[WITHIN:] = 0
    return i, n, state[FIRST], state[LAST]


@njit
def _to_arrays(words, begin, base, limit, n, limit_events, following, final, state,
               ts, xs, ys, ps):
    return _decode(words, begin, base, limit, n, limit_events, following, final, state,
                   False, None, None, None, None, None, ts, xs, ys, ps)


@njit
def _to_grid(words, begin, base, limit, n, limit_events, following, final, state,
             in_part, cells, row, column, left_out, charge):
    return _decode(words, begin, base, limit, n, limit_events, following, final, state,
                   in_part, cells, row, column, left_out, charge, None, None, None, None)


@njit
def _room(words):
    """Return how many events words hold."""
    most = 0
    for word in words:
        kind = word >> 12
        if kind == ADDR_Y:
            most += 1
        elif kind == VECT_8:
            most += 8
    return most


class LibcaerCmpDecoder(PacketDecoder):
    """A decoder of `libcaer_cmp` from a sensor of width x height pixels."""

    encoding = 'libcaer_cmp'
    max_side = 1 << 11  # pixels; coordinates have 11 bits
    word = number = np.dtype(np.uint16)
    state_size = WITHIN + 8
    to_arrays, to_grid = staticmethod(_to_arrays), staticmethod(_to_grid)
    _room = staticmethod(_room)

    def _first_time(self, words: np.ndarray, base: int) -> int:
        return base
