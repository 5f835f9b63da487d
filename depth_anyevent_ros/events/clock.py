# Copyright 2026 depth_anyevent_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""
Sensor time to ROS time, from when packets arrived.

A packet reaches the host some time after what it begins with was sensed, never before. So the
points (sensor time, arrival - sensor time) lie above the line of the true offset, and the line
that touches them from below estimates it (lower envelope; Zhang, Liu, Xia: "Clock
synchronization algorithms for network measurements", INFOCOM 2002). Its slope is the drift of
the two clocks. The time now() is never asked for, so bags and live streams give the same stamps.
"""
from __future__ import annotations

from collections import deque

MEMORY_NS = 60 * 10**9  # of arrivals that the envelope rests on
DRIFT_AFTER_NS = 10 * 10**9  # too short a record makes a slope out of jitter
MAX_DRIFT = 200e-6  # quartz clocks differ by less
# A corrupt time word looks like a packet that came too early, so one alone is not believed.
TOO_EARLY_NS = 10**6
CONFIRMED_WITHIN = 20  # arrivals
# No packet is under way for longer: the host's clock was set, if it stays so for a while.
STEP_NS = 10**9
STEP_STAYS_NS = 500_000_000
# A smaller step is told where all packets, for longer, come so late after what they end with;
# after what they begin with they may, where the sensor sees hardly any events.
SMALL_STEP_NS = 50_000_000
SMALL_STEP_STAYS_NS = 2 * 10**9


class _Lateness:
    """Tells where arrivals are late by least_ns or more, all of them for longer than stays_ns."""

    def __init__(self, least_ns: int, stays_ns: int):
        self._least_ns, self._stays_ns = least_ns, stays_ns
        self._since: int | None = None

    def stays(self, sensor_ns: int, late_ns: int) -> bool:
        """Take an arrival at a sensor time, and by how much it is late."""
        if late_ns < self._least_ns:
            self._since = None
        elif self._since is None:
            self._since = sensor_ns
        else:
            return sensor_ns - self._since > self._stays_ns
        return False


class SensorClock:
    """
    The map from sensor time to ROS time, both in ns.

    observe() takes a sensor time that was reached before a packet began, and the packet's
    header.stamp; to_ros() maps. Before any arrival is known, ROS time is sensor time
    (`synchronised` is False then). steps counts how often the host's clock was set forward.
    """

    def __init__(self):
        self.steps = 0
        self.reset()

    def reset(self) -> None:
        """Forget all arrivals."""
        self._hull: deque[tuple[int, int]] = deque()  # lower convex hull of (sensor, offset)
        self._anchor = (0, 0)
        self._drift = 0.0
        self._early = CONFIRMED_WITHIN  # arrivals since one that was too early
        self._step = _Lateness(STEP_NS, STEP_STAYS_NS)
        self._small_step = _Lateness(SMALL_STEP_NS, SMALL_STEP_STAYS_NS)
        self._last_stamp = 0

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
        if self._hull:
            now = self.to_ros(sensor_ns)
            if not self._believed(stamp_ns - now):
                return
            # The last packet ended with what was sensed before sensor_ns.
            if self._step.stays(sensor_ns, stamp_ns - now) \
                    or self._small_step.stays(sensor_ns, self._last_stamp - now):
                self.steps += 1
                self.reset()
        self._last_stamp = stamp_ns
        hull = self._hull
        point = (sensor_ns, stamp_ns - sensor_ns)
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

    def to_sensor(self, ros_ns: int) -> int:
        """Return the sensor time of a ROS time."""
        t, offset = self._anchor
        # Of (sensor - t) * (1 + drift) = ros - offset - t, in whole numbers as far as it goes.
        since = ros_ns - offset - t
        return t + since - round(since * self._drift / (1 + self._drift))

    def _believed(self, late_ns: int) -> bool:
        """Return whether an arrival that is late_ns above the line counts."""
        self._early += 1
        if late_ns < -TOO_EARLY_NS and self._early > CONFIRMED_WITHIN:
            self._early = 0
            return False
        return True

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
