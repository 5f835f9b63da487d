# Copyright 2026 depth_anyevent_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""
What decoders share whose packets stand on their own: time is counted from a packet's time_base.

Such a packet needs none of those before it, so losing one costs its events only.
"""
from __future__ import annotations

from abc import abstractmethod
from collections import deque
from collections.abc import Callable

import numpy as np

from depth_anyevent_ros.events.array_decoding import ArrayDecoding, NO_LIMIT
from depth_anyevent_ros.events.jit import njit
from depth_anyevent_ros.events.sinks import ArraySink, GridSink, NOTHING, Segment, SurfaceSink
from depth_anyevent_ros.events.types import Packet

# The size of the sensor and the state of the stream, one int64 each; times in ns. OFFSET is added
# to all times: it keeps time from falling back where a sensor's clock was set back under the same
# time_base. FIRST and LAST are of the events of one call. From WITHIN on is what holds within a
# packet only, which each encoding names itself; a loop that has used up a packet sets it to 0.
(WIDTH, HEIGHT, NOW, KNOWN, OFFSET, ON, EVENTS, OUT_OF_RANGE, UNKNOWN_WORDS, CORRUPT_TIMES,
 TIME_JUMPS, UNSYNCHRONISED, FIRST, LAST, WITHIN) = range(15)

UNKNOWN = -1  # time of what has not come yet
# Events of one stream are out of order by less.
BACK_NS = 10_000_000
# Over a longer leap the next packet or event has to tell whether it is right.
LEAP_NS = 1_000_000_000
# Between the first two times of a stream, of which neither bears the other out over a longer one.
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


class PacketDecoder(ArrayDecoding):
    """
    A decoder of packets that stand on their own, with the interface of `Evt3Decoder`.

    Times that nothing bears out are dropped and counted as corrupt_times, and so is the first
    event of a stream, or its packet, where the next comes more than 60 s later.

    word: dtype of the words, native order. number: dtype of the numbers that they are made of,
    which is what a byte order is about. state_size: of the state. to_arrays, to_grid: the compiled
    loops, of (words, begin, base, limit, n, limit_events, following, final, state, *sink). They
    decode from word `begin` on, where n events were put already, and return (next word, number of
    events, FIRST, LAST).

    Packets of these encodings are short, a microsecond or two of work for a loop. So all else that
    is done for each of them counts: numba takes about 40 ns for an argument, 60 ns for an array,
    which is why the state is one array, and a loop is given what its kind of sink has.
    """

    encoding: str
    max_side: int
    word: np.dtype
    number: np.dtype
    state_size: int
    to_arrays: Callable[..., tuple[int, int, int, int]]
    to_grid: Callable[..., tuple[int, int, int, int]]

    def __init__(self, width: int, height: int):
        self.width, self.height = width, height
        self._little_endian = self.word.newbyteorder('<')
        self._state = np.zeros(self.state_size, np.int64)
        self._state[[WIDTH, HEIGHT]] = width, height
        self._fed: deque[tuple[np.ndarray, int]] = deque()  # words and time_base, ns
        self._next = 0
        self._truncated = 0
        self.reset()

    def reset(self) -> None:
        """
        Forget the stream: the next one starts anew. The counters stay.

        What was fed and waited for what comes after it is counted as unsynchronised.
        """
        self._state[UNSYNCHRONISED] += sum(self._room(words[begin:]) for begin, (words, _) in zip(
            (self._next, *[0] * len(self._fed)), self._fed))
        self._state[[NOW, KNOWN, OFFSET]] = 0
        self._state[WITHIN:] = 0
        self._fed.clear()
        self._next = 0

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
        beyond = len(data) % self.word.itemsize
        if beyond:
            self._truncated += 1
            data = data[:-beyond]
        if not len(data):
            return
        if packet.is_bigendian:
            data = data.view(self.number).byteswap()
        words = data.view(self._little_endian)
        if not (words.flags.aligned and words.dtype.isnative):
            words = words.astype(self.word)
        self._fed.append((words, packet.time_base))

    def decode_until(self, limit_ns: int | None, sink: ArraySink | SurfaceSink,
                     final: bool = False, limit_events: int = NO_LIMIT) -> Segment:
        """
        Put what was fed into the sink, up to events of sensor time limit_ns (None: all of it).

        limit_ns is exclusive. limit_events stops after the word that reaches it. An ArraySink
        must have room for `room()` events. final: nothing follows, so a suspicious time is not
        waited for.
        """
        limit = NO_LIMIT if limit_ns is None else limit_ns
        return Segment(*sink.fill(self._decode_until, limit, final, limit_events))

    def _decode_until(self, sink: ArraySink | GridSink, limit: int, final: bool,
                      limit_events: int) -> tuple[int, int, int]:
        loop = self.to_arrays if isinstance(sink, ArraySink) else self.to_grid
        fed, (n, first, last) = self._fed, NOTHING
        while fed and n < limit_events:
            words, base = fed[0]
            following = self._first_time(*fed[1]) if len(fed) > 1 else UNKNOWN
            self._next, n, first, last = loop(
                words, self._next, base, limit, n, limit_events, following, final, self._state,
                *sink)
            if self._next < len(words):
                break
            fed.popleft()
            self._next = 0
        return n, first, last

    def room(self) -> int:
        """Return how many events what was fed can hold at most."""
        most = 0
        for words, _ in self._fed:
            most += self._room(words)
        return most

    @abstractmethod
    def _first_time(self, words: np.ndarray, base: int) -> int:
        """Return the first time of a packet of these words and this time_base, ns."""

    @staticmethod
    @abstractmethod
    def _room(words: np.ndarray) -> int:
        """Return how many events words hold at most."""
