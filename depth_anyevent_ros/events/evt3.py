# Copyright 2026 depth_anyevent_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""
Decoder of Prophesee's EVT 3.0 stream (encoding `evt3`).

A stream of little-endian 16-bit words, the upper four bits of which are the type. Time, row
and vector base persist from word to word and from packet to packet, so the decoder is a state
machine over the stream: how the bytes are cut into packets makes no difference.
"""
from __future__ import annotations

import numpy as np

from depth_anyevent_ros.events.array_decoding import ArrayDecoding, NO_LIMIT
from depth_anyevent_ros.events.jit import njit
from depth_anyevent_ros.events.sinks import ArraySink, GridSink, Segment, SurfaceSink
from depth_anyevent_ros.events.types import Packet

ADDR_Y, ADDR_X, VECT_BASE_X, VECT_12, VECT_8, TIME_LOW = 0x0, 0x2, 0x3, 0x4, 0x5, 0x6
CONTINUED_4, TIME_HIGH, EXT_TRIGGER, OTHERS, CONTINUED_12 = 0x7, 0x8, 0xA, 0xE, 0xF
KNOWN_TYPES = (1 << ADDR_Y | 1 << ADDR_X | 1 << VECT_BASE_X | 1 << VECT_12 | 1 << VECT_8
               | 1 << TIME_LOW | 1 << CONTINUED_4 | 1 << TIME_HIGH | 1 << EXT_TRIGGER
               | 1 << OTHERS | 1 << CONTINUED_12)

# The state of the stream, one int64 each. Times in microseconds; HIGH counts units of 4096 us
# and carries the wraps. NOW is the time that the stream has certainly reached: when HIGH moves,
# LOW still belongs to the unit before, and events are stamped HIGH, LOW as the format says.
(HIGH, LOW, Y, BASE_X, BASE_P, HAS_HIGH, HAS_LOW, HAS_Y, RESYNC, TRIGGERS, OUT_OF_RANGE,
 UNKNOWN_WORDS, CORRUPT_TIMES, TIME_JUMPS, UNSYNCHRONISED, ON, EVENTS, FIRST, LAST,
 NOW) = range(20)
STATE_SIZE = 20

WRAP = 4096  # values of a TIME_HIGH word
# A sensor repeats TIME_HIGH many times in each of its 4096 us units, so a good word is the same
# as the last or one more. Now and then one falls back a little (seen in recordings; the
# reference decoder allows ten units as well); further back is the wrap of the 24-bit clock.
# Converters may send fewer words than sensors do, so a successor may be some units ahead.
SMALL_STEP = 10
FIRST_STEP = 244  # one second, between the first two words of a stream
# Where a TIME_HIGH was repeated so few words ago, more will come behind events.
NEAR = 64  # words
# Words held back until the next TIME_HIGH tells whether a suspicious one is right. Sensors send
# one every 4 ms at least, so this is reached by garbage only.
MAX_HELD_WORDS = 1 << 21
LITTLE, BIG = np.dtype('<u2'), np.dtype('>u2')  # words in packets


@njit
def _next_time_high(words, begin):
    """Return the value of the first TIME_HIGH word at or after begin, -1 where there is none."""
    for i in range(begin, len(words)):
        if words[i] >> 12 == TIME_HIGH:
            return np.int64(words[i] & 0xFFF)
    return np.int64(-1)


@njit
def _read_time_high(words, i, state, final):
    """
    Take the TIME_HIGH word at i into the state, if it is believed.

    A step of 0 or 1 is normal. Any other step, and the first word of a stream, is believed only
    when the next TIME_HIGH word agrees with it, so that one corrupt word cannot move the clock.
    Returns False if that next word has yet to come; `final` says that none will.
    """
    value = np.int64(words[i] & 0xFFF)
    step = (value - state[HIGH]) % WRAP
    believed = state[HAS_HIGH] != 0 and step <= 1
    if not believed:
        following = _next_time_high(words, i + 1)
        if following < 0:
            if not final:
                return False
            believed = state[HAS_HIGH] == 0 or step <= SMALL_STEP
        elif state[HAS_HIGH] == 0:
            believed = (following - value) % WRAP <= FIRST_STEP
        else:
            ahead, ahead_of_last = (following - value) % WRAP, (following - state[HIGH]) % WRAP
            believed = ahead <= 1 or ahead <= SMALL_STEP and ahead < ahead_of_last
        if not believed:
            state[CORRUPT_TIMES] += 1
            return True
        state[TIME_JUMPS] += state[HAS_HIGH] != 0 and state[RESYNC] == 0
    if state[HAS_HIGH] == 0:
        state[HIGH] = value
    else:
        # To the nearest time that shows this value and is not far back.
        state[HIGH] += step - WRAP if WRAP - step <= SMALL_STEP else step
    state[HAS_HIGH], state[RESYNC] = 1, 0
    return True


@njit
def _decode(words, begin, limit_us, limit_events, final, width, height, state,
            in_part, cells, row, column, left_out, charge, ts, xs, ys, ps):
    """
    Decode words[begin:] into a sink until sensor time reaches limit_us or limit_events came.

    Returns (next word, number of events). All words are used unless a limit was reached or a
    suspicious TIME_HIGH has to wait for its successor (`final` is False).
    FIRST and LAST of the state become the times of the first and last event of this call.
    """
    n = 0
    first, last = np.int64(-1), np.int64(-1)
    # The hot part of the state lives in registers; the rest is rare.
    high, low, y = state[HIGH], state[LOW], state[Y]
    has_low, has_y = state[HAS_LOW] != 0, state[HAS_Y] != 0
    synchronised = state[HAS_HIGH] != 0 and state[RESYNC] == 0
    on, now = np.int64(0), state[NOW]
    t = (high * 4096 + low) * 1000
    repeated = TIME_HIGH << 12 | high & 0xFFF if synchronised else np.int64(-1)
    if has_low and now >= limit_us:
        state[FIRST] = first
        return begin, n
    i = near = begin
    while i < len(words) and n < limit_events:
        word = np.int64(words[np.uintp(i)])
        kind = word >> 12
        if kind == TIME_LOW:
            low = word & 0xFFF
            if synchronised:
                has_low = True
                now = high * 4096 + low
                t = now * 1000
                if now >= limit_us:
                    i += 1
                    break
        elif kind == ADDR_X:
            x = word & 0x7FF
            if not (has_low and has_y):
                state[UNSYNCHRONISED] += 1
            elif x < width and y < height:
                p = word >> 11 & 1
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
                    first = t
                last = t
                n += 1
            else:
                state[OUT_OF_RANGE] += 1
            # Up to two repetitions are passed over without a branch: sensors send none, one or
            # two behind an event, and guessing which costs more than everything else here.
            if i < near and i + 2 < len(words):
                after = i + (np.int64(words[np.uintp(i + 1)]) == repeated)
                after += np.int64(words[np.uintp(after + 1)]) == repeated
                near = after + NEAR if after != i else near
                i = after
        elif kind == ADDR_Y:
            y = word & 0x7FF
            has_y = True
        elif kind == TIME_HIGH:
            # Most repeat the last one.
            near = i + NEAR
            if (word - high) & 0xFFF or not synchronised:
                before = high
                state[HIGH] = high
                if not _read_time_high(words, i, state, final):
                    break
                high = state[HIGH]
                synchronised = state[HAS_HIGH] != 0 and state[RESYNC] == 0
                repeated = TIME_HIGH << 12 | high & 0xFFF if synchronised else np.int64(-1)
                if high != before:
                    t = (high * 4096 + low) * 1000
                    now = high * 4096
                    if has_low and now >= limit_us:
                        i += 1
                        break
        elif kind == VECT_12 or kind == VECT_8:
            lanes = 12 if kind == VECT_12 else 8
            base = state[BASE_X]
            p = state[BASE_P]
            usable = has_low and has_y and base >= 0
            for lane in range(lanes):
                if word >> lane & 1:
                    x = base + lane
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
                            first = t
                        last = t
                        n += 1
                    else:
                        state[OUT_OF_RANGE] += 1
            if base >= 0:
                state[BASE_X] = base + lanes
        elif kind == VECT_BASE_X:
            state[BASE_X] = word & 0x7FF
            state[BASE_P] = word >> 11 & 1
        elif kind == EXT_TRIGGER:
            if has_low:
                state[TRIGGERS] += 1
        elif not KNOWN_TYPES >> kind & 1:
            state[UNKNOWN_WORDS] += 1
        i += 1
    state[HIGH], state[LOW], state[Y] = high, low, y
    state[HAS_LOW], state[HAS_Y] = has_low, has_y
    state[ON] += on
    state[EVENTS] += n
    state[FIRST], state[LAST], state[NOW] = first, last, now
    return i, n


@njit
def _room(words, begin):
    """Return how many events words[begin:] can hold at most."""
    most = 0
    for i in range(begin, len(words)):
        kind = words[i] >> 12
        if kind == ADDR_X:
            most += 1
        elif kind == VECT_12:
            most += 12
        elif kind == VECT_8:
            most += 8
    return most


class Evt3Decoder(ArrayDecoding):
    """
    A stateful decoder of one evt3 stream from a sensor of width x height pixels.

    feed() takes the bytes of a packet, decode_until() turns them into events up to a sensor
    time; decode() does both for a packet at once and returns arrays. Events outside of the
    sensor, before the first row and time of the stream, and words of no known type are
    dropped and counted (`counters()`).
    """

    encoding = 'evt3'
    max_side = 1 << 11  # pixels; coordinates have 11 bits

    def __init__(self, width: int, height: int):
        self.width, self.height = width, height
        self._state = np.zeros(STATE_SIZE, np.int64)
        self._words = np.empty(0, np.uint16)
        self._next = 0
        self._odd_byte: np.ndarray | None = None
        self._truncated = 0
        self.reset()

    def reset(self) -> None:
        """
        Forget the stream: the next one starts anew. The counters stay.

        What was fed and waited for what comes after it is counted as unsynchronised.
        """
        self._state[UNSYNCHRONISED] += self.room()
        self._state[[HIGH, LOW, Y, BASE_P, HAS_HIGH, HAS_LOW, HAS_Y, RESYNC, NOW]] = 0
        self._state[BASE_X] = -1
        self._words = np.empty(0, np.uint16)
        self._next = 0
        self._odd_byte = None

    def note_gap(self) -> None:
        """Say that packets were lost: row, vector base and time are unknown until sent again."""
        self._state[[HAS_LOW, HAS_Y]] = 0
        self._state[BASE_X] = -1
        self._state[RESYNC] = 1
        # What was held back waits for a word that may have been lost.
        self._state[UNSYNCHRONISED] += self.room()
        self._words = np.empty(0, np.uint16)
        self._next = 0
        self._odd_byte = None

    @property
    def time_ns(self) -> int | None:
        """Sensor time certainly reached, None before the stream has told one."""
        return self._state.item(NOW) * 1000 if self._state.item(HAS_LOW) else None

    def counters(self) -> dict[str, int]:
        """Count since the construction: events, triggers, and what was dropped or mended."""
        s = self._state
        return {'events': int(s[EVENTS]), 'on': int(s[ON]), 'triggers': int(s[TRIGGERS]),
                'out_of_range': int(s[OUT_OF_RANGE]), 'unknown_words': int(s[UNKNOWN_WORDS]),
                'corrupt_times': int(s[CORRUPT_TIMES]), 'time_jumps': int(s[TIME_JUMPS]),
                'unsynchronised': int(s[UNSYNCHRONISED]), 'truncated': self._truncated}

    def feed(self, packet: Packet) -> None:
        """Take the bytes of the next packet of the stream."""
        words = self._to_words(packet)
        if self._next == len(self._words):
            self._words = words
        else:
            held = self._words[self._next:]
            if len(held) > MAX_HELD_WORDS:
                held = held[1:]  # gives up on the word that was waited for
                self._state[CORRUPT_TIMES] += 1
            self._words = np.concatenate([held, words])
        self._next = 0

    def decode_until(self, limit_ns: int | None, sink: ArraySink | SurfaceSink,
                     final: bool = False, limit_events: int = NO_LIMIT) -> Segment:
        """
        Put what was fed into the sink, up to events of sensor time limit_ns (None: all of it).

        limit_ns is exclusive and rounded up to the microsecond. limit_events stops after the
        word that reaches it. An ArraySink must have room for `room()` events. final: nothing
        follows, so a suspicious time word is not waited for.
        """
        limit_us = NO_LIMIT if limit_ns is None else -(-limit_ns // 1000)
        return Segment(*sink.fill(self._decode_until, limit_us, final, limit_events))

    def _decode_until(self, sink: ArraySink | GridSink, limit_us: int, final: bool,
                      limit_events: int) -> tuple[int, int, int]:
        self._next, n = _decode(self._words, self._next, limit_us, limit_events, final,
                                self.width, self.height, self._state, *sink.in_loops())
        return n, self._state.item(FIRST), self._state.item(LAST)

    def room(self) -> int:
        """Return how many events what was fed can hold at most."""
        return _room(self._words, self._next)

    def _to_words(self, packet: Packet) -> np.ndarray:
        """Return the packet as uint16 words, the odd byte of the last packet in front."""
        data = np.ascontiguousarray(packet.events)
        if self._odd_byte is not None:
            joined = np.concatenate([self._odd_byte, data])
            # A stream cut between the bytes of a word goes on with the other byte; a packet
            # that lost its end does not. Words that no sensor sends tell the two apart.
            if _unknown_share(joined, packet) <= _unknown_share(data, packet):
                data = joined
            else:
                self._truncated += 1
        if len(data) % 2:
            self._odd_byte, data = data[-1:].copy(), data[:-1]
        else:
            self._odd_byte = None
        words = data.view(BIG if packet.is_bigendian else LITTLE)
        return words.astype(np.uint16) if packet.is_bigendian else words


def _unknown_share(data: np.ndarray, packet: Packet) -> float:
    """Return the share of words of no known type among the first 256."""
    head = data[:min(len(data) // 2 * 2, 512)].view('>u2' if packet.is_bigendian else '<u2')
    if not len(head):
        return 0.0
    return float(np.mean((KNOWN_TYPES >> (head >> 12).astype(np.int64)) & 1 == 0))
