# Copyright 2026 depth_anyevent_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""
Sensor time to ROS time, from when packets arrived.

A packet reaches the host some time after its first event, never before. So the points
(sensor time, arrival - sensor time) lie above the line of the true offset, and the line that
touches them from below estimates it (lower envelope; Zhang, Liu, Xia: "Clock synchronization
algorithms for network measurements", INFOCOM 2002). Its slope is the drift of the two clocks.
The time now() is never asked for, so bags and live streams give the same stamps.
"""
from __future__ import annotations

from collections import deque

MEMORY_NS = 60 * 10**9  # of arrivals that the envelope rests on
DRIFT_AFTER_NS = 10 * 10**9  # too short a record makes a slope out of jitter
MAX_DRIFT = 200e-6  # quartz clocks differ by less


class SensorClock:
    """
    The map from sensor time to ROS time, both in ns.

    observe() takes the sensor time that a packet starts with and its header.stamp; to_ros()
    maps. Before any arrival with a stamp is known, ROS time is sensor time (`synchronised` is
    False then).
    """

    def __init__(self):
        self._hull: deque[tuple[int, int]] = deque()  # lower convex hull of (sensor, offset)
        self._anchor = (0, 0)
        self._drift = 0.0

    def reset(self) -> None:
        """Forget all arrivals."""
        self._hull.clear()
        self._anchor, self._drift = (0, 0), 0.0

    @property
    def synchronised(self) -> bool:
        """Whether an arrival is known."""
        return bool(self._hull)

    @property
    def drift(self) -> float:
        """Seconds that ROS time gains on sensor time per second."""
        return self._drift

    def observe(self, sensor_ns: int, stamp_ns: int) -> None:
        """Take an arrival into account; a stamp of 0 says nothing, and older than the last too."""
        if stamp_ns == 0 or (self._hull and sensor_ns <= self._hull[-1][0]):
            return
        point = (sensor_ns, stamp_ns - sensor_ns)
        hull = self._hull
        while len(hull) >= 2 and _turns_down(hull[-2], hull[-1], point):
            hull.pop()
        hull.append(point)
        while hull[0][0] < sensor_ns - MEMORY_NS and len(hull) > 1:
            hull.popleft()
        self._fit()

    def to_ros(self, sensor_ns: int) -> int:
        """Return the ROS time of a sensor time."""
        t, offset = self._anchor
        return sensor_ns + offset + round((sensor_ns - t) * self._drift)

    def _fit(self) -> None:
        """Lay the line below the record: its slope from the hull edge over the middle."""
        hull = list(self._hull)
        if hull[-1][0] - hull[0][0] >= DRIFT_AFTER_NS:
            middle = (hull[0][0] + hull[-1][0]) // 2
            left, right = next(edge for edge in zip(hull, hull[1:]) if edge[1][0] >= middle)
            drift = (right[1] - left[1]) / (right[0] - left[0])
            self._drift = min(max(drift, -MAX_DRIFT), MAX_DRIFT)
        t0 = hull[0][0]  # keeps the products small enough for float
        self._anchor = min(hull, key=lambda point: point[1] - (point[0] - t0) * self._drift)


def _turns_down(a: tuple[int, int], b: tuple[int, int], c: tuple[int, int]) -> bool:
    """Return whether b lies on or above the line from a to c."""
    return (b[1] - a[1]) * (c[0] - a[0]) >= (c[1] - a[1]) * (b[0] - a[0])
