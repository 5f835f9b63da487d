# Copyright 2026 depth_anyevent_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""
Encoders of `libcaer`, `libcaer_cmp` and `mono`, for recordings of our own making.

Each packet stands on its own; encode() returns its bytes and its time_base. For the formats see
records.py and libcaer_cmp.py.
"""
from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import replace

import numpy as np

from depth_anyevent_ros.events.jit import njit
from depth_anyevent_ros.events.libcaer_cmp import (
    ADDR_X, ADDR_Y, TIME_HIGH, TIME_LOW, UNIT_US, VECT_8, VECT_BASE_Y)
from depth_anyevent_ros.events.records import ROLL_US
from depth_anyevent_ros.events.types import Events, polarity

LONGEST_PACKET_US = UNIT_US * 4096  # of libcaer_cmp; its high half has 12 bits
LONGEST_MONO_NS = 1 << 32
# Of libcaer: after a longer one the decoder cannot tell whether the time has rolled over.
LONGEST_LIBCAER_US = ROLL_US // 2


class PacketEncoder(ABC):
    """Events in, packets out. start_ns: when the driver began, in the events' time."""

    encoding: str
    largest: int  # coordinate

    def __init__(self, start_ns: int = 0):
        self._start_ns = start_ns

    def encode(self, events: Events) -> tuple[np.ndarray, int]:
        """
        Return the bytes of a packet, uint8 (N,), and its time_base in ns.

        Times are cut to microseconds, in `mono` they are not. Raises ValueError for events that
        are not sorted by time, begin before the driver, do not fit the format, or span too long
        a time for one packet: 17.9 minutes of `libcaer`, 16.7 seconds of `libcaer_cmp`, 4.2
        seconds of `mono`.
        """
        if not len(events):
            return np.empty(0, np.uint8), self._start_ns
        if np.any(events.t[1:] < events.t[:-1]) or events.t[0] < self._start_ns:
            raise ValueError('the events have to be sorted by time and not to begin before '
                             f'{self._start_ns} ns')
        for name in 'xy':
            least, most = getattr(events, name).min(), getattr(events, name).max()
            if least < 0 or most > self.largest:
                raise ValueError(f'{name} has to lie within 0 to {self.largest}, got '
                                 f'{least} to {most}')
        return self._encode(replace(events, p=polarity(events.p)))

    @abstractmethod
    def _encode(self, events: Events) -> tuple[np.ndarray, int]:
        """See `encode`; events are not empty and fit the format."""


class LibcaerEncoder(PacketEncoder):
    """Encodes `libcaer`."""

    encoding = 'libcaer'
    largest = (1 << 15) - 1

    def _encode(self, events: Events) -> tuple[np.ndarray, int]:
        elapsed_us = (events.t - self._start_ns) // 1000
        if elapsed_us[-1] - elapsed_us[0] >= LONGEST_LIBCAER_US:
            raise ValueError('a packet of libcaer spans 1073 seconds at most')
        rolled_us = int(elapsed_us[0]) // ROLL_US * ROLL_US
        words = np.empty((len(events), 2), '<u4')
        words[:, 0] = (events.x.astype(np.uint32) << 17 | events.y.astype(np.uint32) << 2
                       | events.p.astype(np.uint32) << 1 | 1)
        words[:, 1] = elapsed_us % ROLL_US
        return words.reshape(-1).view(np.uint8), self._start_ns + rolled_us * 1000


class MonoEncoder(PacketEncoder):
    """Encodes `mono`."""

    encoding = 'mono'
    largest = (1 << 15) - 1

    def _encode(self, events: Events) -> tuple[np.ndarray, int]:
        base_ns = int(events.t[0])
        if events.t[-1] - base_ns >= LONGEST_MONO_NS:
            raise ValueError('a packet of mono spans 4.2 seconds at most')
        words = np.empty((len(events), 2), '<u4')
        words[:, 0] = events.t - base_ns
        words[:, 1] = (events.p.astype(np.uint32) << 31 | events.y.astype(np.uint32) << 16
                       | events.x)
        return words.reshape(-1).view(np.uint8), base_ns


class LibcaerCmpEncoder(PacketEncoder):
    """Encodes `libcaer_cmp`; events of one time, column and block of rows share a word."""

    encoding = 'libcaer_cmp'
    largest = (1 << 11) - 1

    def _encode(self, events: Events) -> tuple[np.ndarray, int]:
        elapsed_us = (events.t - self._start_ns) // 1000
        elapsed_us -= (first := int(elapsed_us[0]))
        if elapsed_us[-1] >= LONGEST_PACKET_US:
            raise ValueError('a packet of libcaer_cmp spans 16.7 seconds at most')
        words = np.empty(5 * len(events), np.uint16)
        count = _encode_cmp(elapsed_us, events.x, events.y, events.p, words)
        return words[:count].astype('<u2').view(np.uint8), self._start_ns + first * 1000


@njit
def _encode_cmp(times, xs, ys, ps, words):
    """Write a packet into words; return how many were written."""
    n, high, low, x = 0, np.int64(0), np.int64(0), np.int64(-1)
    i = 0
    while i < len(times):
        if times[i] // UNIT_US != high:
            high = times[i] // UNIT_US
            words[n] = TIME_HIGH << 12 | high
            n += 1
        if times[i] % UNIT_US != low:
            low = times[i] % UNIT_US
            words[n] = TIME_LOW << 12 | low
            n += 1
        if xs[i] != x:
            x = np.int64(xs[i])
            words[n] = ADDR_X << 12 | x
            n += 1
        # Rows that rise within a block of eight, so that their order is kept.
        block, bits, k = ys[i] >> 3, 1 << (ys[i] & 7), i + 1
        while (k < len(times) and times[k] == times[i] and xs[k] == xs[i] and ps[k] == ps[i]
               and ys[k] >> 3 == block and ys[k] > ys[k - 1]):
            bits |= 1 << (ys[k] & 7)
            k += 1
        if k == i + 1:
            words[n] = ADDR_Y << 12 | np.int64(ps[i]) << 11 | ys[i]
            n += 1
        else:
            words[n] = VECT_BASE_Y << 12 | np.int64(ps[i]) << 11 | block << 3
            words[n + 1] = VECT_8 << 12 | bits
            n += 2
        i = k
    return n


ENCODERS = {encoder.encoding: encoder
            for encoder in (LibcaerEncoder, LibcaerCmpEncoder, MonoEncoder)}
