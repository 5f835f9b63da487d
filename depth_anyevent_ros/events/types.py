# Copyright 2026 depth_anyevent_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""What the rest of the package says about events: arrays of events, and packets of bytes."""
from __future__ import annotations

from dataclasses import dataclass

import numpy as np


class PacketError(ValueError):
    """A packet that cannot be used; the message says what was expected and what came."""


@dataclass(frozen=True)
class Events:
    """
    Events of one camera in stream order.

    t: int64 (N,), nanoseconds of sensor time. x, y: uint16 (N,), pixels from the upper left.
    p: uint8 (N,), 1 for ON (brighter), 0 for OFF (darker).
    """

    t: np.ndarray
    x: np.ndarray
    y: np.ndarray
    p: np.ndarray

    def __len__(self) -> int:
        return len(self.t)

    def part(self, first: int, last: int) -> Events:
        """Return the events of indices first to last, the last not included."""
        return Events(self.t[first:last], self.x[first:last], self.y[first:last],
                      self.p[first:last])

    def outside(self, mask: np.ndarray) -> Events:
        """Return the events of pixels that are not set in mask, bool (height, width)."""
        keep = ~mask[self.y, self.x]
        return Events(self.t[keep], self.x[keep], self.y[keep], self.p[keep])

    @staticmethod
    def concatenate(parts: list[Events]) -> Events:
        """Join parts in order; no part at all gives no events."""
        if not parts:
            return Events(np.empty(0, np.int64), np.empty(0, np.uint16),
                          np.empty(0, np.uint16), np.empty(0, np.uint8))
        return Events(*(np.concatenate([getattr(part, name) for part in parts])
                        for name in ('t', 'x', 'y', 'p')))


def polarity(values: np.ndarray) -> np.ndarray:
    """
    Return polarities as `Events` has them, uint8 (N,), 1 for ON, 0 for OFF.

    values: 0 and 1, -1 and +1, or bool, of any type. Raises ValueError for anything else, also
    for -1 beside 0, where nobody can tell which of them is OFF.
    """
    values = np.asarray(values)
    if values.dtype == np.uint8 and not np.any(values > 1):
        return values
    found = np.unique(values).tolist()
    if not (set(found) <= {0, 1} or set(found) <= {-1, 1}):
        raise ValueError('the polarity has to be 0 or 1, or -1 or 1, got '
                         f'{", ".join(f"{value:g}" for value in found[:4])}'
                         f'{" and others" if len(found) > 4 else ""}')
    return (values > 0).astype(np.uint8)


@dataclass(frozen=True)
class Packet:
    """
    A ROS-free twin of event_camera_msgs/msg/EventPacket.

    events: uint8 (N,), the encoded bytes. seq: the publisher's packet counter.
    time_base: nanoseconds, used by some encodings. stamp_ns: header.stamp, the arrival of the
    packet at the host in ROS time, 0 where unknown.
    """

    events: np.ndarray
    encoding: str
    width: int
    height: int
    seq: int = 0
    time_base: int = 0
    is_bigendian: bool = False
    stamp_ns: int = 0
    frame_id: str = ''
