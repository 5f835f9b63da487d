# Copyright 2026 depth_anyevent_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""The thread that plays a bag at the pace of the recording."""
from __future__ import annotations

import threading
import time

from builtin_interfaces.msg import Time
from rosgraph_msgs.msg import Clock as ClockMessage

from depth_anyevent_ros.datasets.bags import BagReader, event_topics
from depth_anyevent_ros.nodes.delivery import wait_until_delivered

CLOCK_PERIOD_S = 0.01
POLL_S = 0.05
SAY_AGAIN_S = 5.0


class Player:
    """
    Publishes raw messages when it is their time, and /clock in the time of the bag.

    publishers: by topic; topics without one are left out. start_s is left out at the beginning
    of the bag. Waits until every event topic has wait_for subscribers.
    """

    def __init__(self, reader: BagReader, publishers: dict, clock_publisher, *, rate: float,
                 loop: bool, start_s: float, wait_for: int, logger):
        self._reader, self._publishers, self._clock = reader, publishers, clock_publisher
        self._rate, self._loop, self._wait_for = rate, loop, wait_for
        self._start_ns = (reader.start_ns or 0) + round(start_s * 1e9)
        self._logger = logger
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name='replay', daemon=True)
        self._last_tick = 0.0
        self.finished = self.failed = False
        self.messages = 0

    def start(self) -> None:
        """Start the thread."""
        self._thread.start()

    def stop(self) -> None:
        """End the thread after the message in hand."""
        self._stop.set()
        self._thread.join()

    def _run(self) -> None:
        try:
            self._wait_for_subscribers()
            while not self._stop.is_set():
                before = self.messages
                self._play_once()
                if not self._loop or self.messages == before:
                    break
            if not self.messages and not self._stop.is_set():
                raise ValueError('the bag has no message at or after the parameter start')
            wait_until_delivered(self._publishers.values(), self._stop.is_set)
            self._logger.info(f'Replayed {self.messages} messages.')
        except (ValueError, OSError, RuntimeError) as error:
            self.failed = True
            self._logger.error(f'The replay ended early: {error}')
        finally:
            self.finished = True

    def _wait_for_subscribers(self) -> None:
        names = [name for name in event_topics(self._reader) if name in self._publishers]
        said = float('-inf')
        while not self._stop.wait(POLL_S if said > 0 else 0):
            missing = [name for name in names
                       if self._publishers[name].get_subscription_count() < self._wait_for]
            if not missing:
                return
            if time.monotonic() - said > SAY_AGAIN_S:
                said = time.monotonic()
                topics = ', '.join(self._publishers[name].topic_name for name in missing)
                self._logger.info(f'Waiting for subscribers of {topics} '
                                  '(parameter wait_for_subscribers).')

    def _play_once(self) -> None:
        """Play the bag from start to end; lateness is made up for, never added up."""
        begin, first_ns = None, 0
        for message in self._reader.messages(list(self._publishers), self._start_ns):
            if begin is None:
                begin, first_ns = time.monotonic(), message.timestamp_ns
            due = begin + (message.timestamp_ns - first_ns) / 1e9 / self._rate
            if not self._wait_until(due, message.timestamp_ns):
                return
            self._publishers[message.topic].publish(bytes(message.data))
            self.messages += 1

    def _wait_until(self, due: float, bag_ns: int) -> bool:
        """Wait until a monotonic time, which is bag_ns in the bag; False when told to stop."""
        while (left := due - time.monotonic()) > 0:
            self._tick(bag_ns - round(left * self._rate * 1e9))
            if self._stop.wait(min(left, CLOCK_PERIOD_S)):
                return False
        self._tick(bag_ns)
        return not self._stop.is_set()

    def _tick(self, bag_ns: int) -> None:
        """Publish the time of the bag, not more often than CLOCK_PERIOD_S."""
        now = time.monotonic()
        if self._clock is not None and now - self._last_tick >= CLOCK_PERIOD_S:
            self._last_tick = now
            stamp = Time(sec=bag_ns // 10**9, nanosec=bag_ns % 10**9)
            self._clock.publish(ClockMessage(clock=stamp))
