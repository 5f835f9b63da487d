# Copyright 2026 depth_anyevent_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""
What decoders share whose packets stand on their own: time is counted from a packet's time_base.

Such a packet needs none of those before it, so losing one costs its events only.
"""
from __future__ import annotations

from abc import abstractmethod
from collections import deque
from typing import NamedTuple

import numpy as np

from depth_anyevent_ros.events.array_decoding import ArrayDecoding
from depth_anyevent_ros.events.evt3 import NO_LIMIT
from depth_anyevent_ros.events.jit import njit
from depth_anyevent_ros.events.sinks import (
    ArraySink, decode_into, GridSink, Segment, SurfaceSink)
from depth_anyevent_ros.events.types import Packet

# The state of the stream, one int64 each; times in ns. OFFSET is added to all times: it keeps
# time from falling back where a sensor's clock was set back under the same time_base.
(NOW, KNOWN, OFFSET, ON, EVENTS, OUT_OF_RANGE, UNKNOWN_WORDS, CORRUPT_TIMES, TIME_JUMPS,
 UNSYNCHRONISED, FIRST, LAST) = range(12)
STATE_SIZE = 12

UNKNOWN = -1  # time of what has not come yet
# Events of one stream are out of order by less.
BACK_NS = 10_000_000
# Over a longer leap the next packet or event has to tell whether it is right.
LEAP_NS = 1_000_000_000
# Between the first two times of a stream.
FIRST_LEAP_NS = 60_000_000_000

REFUSED, ACCEPTED, WAITING = 0, 1, 2


@njit
def judge_time(t, following, final, state):
    """
    Return whether a time is believed: ACCEPTED, REFUSED, or WAITING for what follows.

    t, following: ns, with OFFSET added; following is UNKNOWN where it has not come. One corrupt
    time must not move the clock, so a leap is believed only if the next time agrees with it.
    A leap back that is confirmed moves OFFSET: the caller then has to add it anew.
    """
    known, now = state[KNOWN] != 0, state[NOW]
    if known and -BACK_NS <= t - now <= LEAP_NS:
        return ACCEPTED
    if following < 0:
        if not final:
            return WAITING
        believed = not known or t > now  # nothing comes that it could harm
    elif not known:
        believed = -BACK_NS <= following - t <= FIRST_LEAP_NS
    else:
        believed = following - t >= -BACK_NS and abs(following - t) <= abs(following - now)
    if not believed:
        state[CORRUPT_TIMES] += 1
        return REFUSED
    if known:
        state[TIME_JUMPS] += 1
        if t < now:
            state[OFFSET] += now - t
            return ACCEPTED
    state[KNOWN] = 1
    state[NOW] = t
    return ACCEPTED


class Fed(NamedTuple):
    """The words of a packet, and its time_base in ns."""

    words: np.ndarray
    base: int


class PacketDecoder(ArrayDecoding):
    """
    A decoder of packets that stand on their own, with the interface of `Evt3Decoder`.

    word: dtype of the words, native order.
    """

    encoding: str
    max_side: int
    word: np.dtype

    def __init__(self, width: int, height: int):
        self.width, self.height = width, height
        self._state = np.zeros(STATE_SIZE, np.int64)
        self._fed: deque[Fed] = deque()
        self._next = 0
        self._truncated = 0
        self.reset()

    def reset(self) -> None:
        """
        Forget the stream: the next one starts anew. The counters stay.

        What was fed and waited for what comes after it is counted as unsynchronised.
        """
        self._state[UNSYNCHRONISED] += sum(self._room(fed.words[begin:]) for begin, fed in zip(
            (self._next, *[0] * len(self._fed)), self._fed))
        self._state[[NOW, KNOWN, OFFSET]] = 0
        self._fed.clear()
        self._next = 0
        self._begin_packet()

    def note_gap(self) -> None:
        """Say that packets were lost, which changes nothing for those that follow."""

    @property
    def time_ns(self) -> int | None:
        """Sensor time certainly reached, None before the stream has told one."""
        return self._state.item(NOW) if self._state.item(KNOWN) else None

    def counters(self) -> dict[str, int]:
        """Count since the construction: events, and what was dropped or mended."""
        s = self._state
        return {'events': int(s[EVENTS]), 'on': int(s[ON]), 'triggers': 0,
                'out_of_range': int(s[OUT_OF_RANGE]), 'unknown_words': int(s[UNKNOWN_WORDS]),
                'corrupt_times': int(s[CORRUPT_TIMES]), 'time_jumps': int(s[TIME_JUMPS]),
                'unsynchronised': int(s[UNSYNCHRONISED]), 'truncated': self._truncated}

    def feed(self, packet: Packet) -> None:
        """Take the bytes of the next packet of the stream."""
        data = np.ascontiguousarray(packet.events)
        size = self.word.itemsize
        whole = len(data) // size * size
        self._truncated += whole != len(data)
        if whole:
            self._fed.append(Fed(self._words(data[:whole], packet.is_bigendian),
                                 packet.time_base))

    def decode_until(self, limit_ns: int | None, sink: ArraySink | SurfaceSink,
                     final: bool = False, limit_events: int = NO_LIMIT) -> Segment:
        """
        Put what was fed into the sink, up to events of sensor time limit_ns (None: all of it).

        limit_ns is exclusive. limit_events stops after the word that reaches it. An ArraySink
        must have room for `room()` events. final: nothing follows, so a suspicious time is not
        waited for.
        """
        limit = NO_LIMIT if limit_ns is None else limit_ns
        return decode_into(sink, lambda into, most: self._decode_until(
            limit, into, final, most), limit_events)

    def _decode_until(self, limit: int, sink: ArraySink | GridSink, final: bool,
                      most: int) -> Segment:
        self._state[FIRST] = self._state[LAST] = -1
        n = 0
        while self._fed and n < most:
            fed = self._fed[0]
            following = self._first_time(self._fed[1]) if len(self._fed) > 1 else UNKNOWN
            self._next, n = self._decode(fed, self._next, limit, n, most, following, final,
                                         sink)
            if self._next < len(fed.words):
                break
            self._fed.popleft()
            self._next = 0
            self._begin_packet()
        return Segment(n, self._state.item(FIRST), self._state.item(LAST))

    def room(self) -> int:
        """Return how many events what was fed can hold at most."""
        return sum(self._room(fed.words) for fed in self._fed)

    def _words(self, data: np.ndarray, bigendian: bool) -> np.ndarray:
        """Return bytes as words in native order."""
        words = data.view(self.word.newbyteorder('>' if bigendian else '<')).astype(
            self.word, copy=False)
        return words if words.flags.aligned else words.copy()

    @abstractmethod
    def _begin_packet(self) -> None:
        """Forget what holds within a packet only."""

    @abstractmethod
    def _first_time(self, fed: Fed) -> int:
        """Return the first time of a packet, ns."""

    @abstractmethod
    def _decode(self, fed: Fed, begin: int, limit: int, n: int, limit_events: int,
                following: int, final: bool, sink: ArraySink | GridSink) -> tuple[int, int]:
        """Decode from word `begin` on; return the next word and the number of events so far."""

    @abstractmethod
    def _room(self, words: np.ndarray) -> int:
        """Return how many events words hold at most."""
