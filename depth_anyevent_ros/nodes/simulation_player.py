# Copyright 2026 depth_anyevent_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""A simulation that runs ahead on one thread and is published in real time on another."""
from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator
import queue
import threading
import time

from depth_anyevent_ros.simulation.output import Message

# Packets of 4 ms, and pictures: about a second of simulation.
MESSAGES_AHEAD = 300
# Before the first goes out; until there are, loops may have to be compiled.
MESSAGES_BEFORE = 10
POLL_S = 0.05
PATIENCE_S = 1.0
CLOCK_PERIOD_S = 0.01
# Later than this, the rest is put off instead of being made up for in a burst.
LATE_S = 0.02
# The share of real time is that of so many seconds.
SHARE_OVER_S = 5.0
IN_REAL_TIME = 0.95
HANGS_AFTER_S = 0.5  # without a message


class RunAhead:
    """Runs an iterator of messages on a thread of its own, a bounded number of them ahead."""

    def __init__(self, messages: Iterator[Message]):
        self._messages = messages
        self._queue: queue.Queue[Message | None] = queue.Queue(MESSAGES_AHEAD)
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name='simulation', daemon=True)
        self.error: Exception | None = None

    def start(self) -> None:
        """Start the thread."""
        self._thread.start()

    def stop(self) -> None:
        """
        End the thread after the message in hand.

        That may take half a minute while loops are being compiled, which nobody is kept waiting
        for: the thread then ends by itself.
        """
        self._stop.set()
        self._thread.join(PATIENCE_S)

    @property
    def ahead(self) -> int:
        """How many messages wait."""
        return self._queue.qsize()

    @property
    def under_way(self) -> bool:
        """Whether enough messages wait to begin with, or there will be no more."""
        return self.ahead >= MESSAGES_BEFORE or not self._thread.is_alive()

    def get(self) -> Message | None:
        """
        Return the next message, None after the last one.

        Raise queue.Empty after a short time without one, and what the iterator raised.
        """
        message = self._queue.get(timeout=POLL_S)
        if message is None and self.error is not None:
            raise self.error
        return message

    def _run(self) -> None:
        try:
            for message in self._messages:
                if not self._put(message):
                    return
        except Exception as error:  # raised again by get(), on the thread that can tell it
            self.error = error
        self._put(None)

    def _put(self, message: Message | None) -> bool:
        """Put a message when there is room; return False when told to stop."""
        while not self._stop.is_set():
            try:
                self._queue.put(message, timeout=POLL_S)
                return True
            except queue.Full:
                continue
        return False


class SimulationPlayer:
    """
    Publishes messages when it is their time.

    publish(message) sends one, tick(time in ns) the time of the simulation, ready() says whether
    to begin, settle(stopped) waits for what was sent last unless stopped() is true. Where the
    simulation is slower than real time its time stands still meanwhile, so that what follows
    keeps its distances.
    """

    def __init__(self, messages: Iterator[Message], publish: Callable[[Message], None],
                 tick: Callable[[int], None], ready: Callable[[], bool], logger,
                 settle: Callable[[Callable[[], bool]], None] = lambda stopped: None):
        self._source = RunAhead(messages)
        self._publish, self._tick, self._ready, self._logger = publish, tick, ready, logger
        self._settle = settle
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name='publishing', daemon=True)
        self._offset_s: float | None = None
        self._last_tick, self._last_tick_ns = 0.0, 0
        self._passed: deque[tuple[float, int]] = deque()
        self._keeps_up: bool | None = None
        self.finished = self.failed = self._played_all = False
        self.messages = 0

    def start(self) -> None:
        """Start both threads."""
        self._source.start()
        self._thread.start()

    def stop(self) -> None:
        """End both threads after the messages in hand."""
        self._stop.set()
        self._source.stop()
        self._thread.join()

    @property
    def ahead(self) -> int:
        """How many messages are simulated and wait for their time."""
        return self._source.ahead

    @property
    def share_of_real_time(self) -> float | None:
        """Simulated time over real time of late; None before there is enough of it."""
        passed = list(self._passed)
        if len(passed) < 2:
            return None
        now = time.monotonic()
        hangs = not self._played_all and now - passed[-1][0] > HANGS_AFTER_S
        real_s = (now if hangs else passed[-1][0]) - passed[0][0]
        if real_s < SHARE_OVER_S / 5:
            return None
        return (passed[-1][1] - passed[0][1]) / 1e9 / real_s

    def _run(self) -> None:
        try:
            while not (self._ready() and self._source.under_way):
                if self._stop.wait(POLL_S):
                    return
            while not self._stop.is_set():
                try:
                    message = self._source.get()
                except queue.Empty:
                    continue
                if message is None:
                    break
                self._play(message)
            self._played_all = True
            self._settle(self._stop.is_set)
            self._logger.info(f'Published {self.messages} messages.')
        except Exception as error:  # the node goes on to say it, and may be configured anew
            self.failed = True
            self._logger.error(f'The simulation ended early: {type(error).__name__}: {error}')
        finally:
            self.finished = True

    def _play(self, message: Message) -> None:
        time_s, now = message.received_ns / 1e9, time.monotonic()
        if self._offset_s is None or now - (time_s + self._offset_s) > LATE_S:
            self._offset_s = now - time_s
        while (left := time_s + self._offset_s - time.monotonic()) > 0:
            self._send_clock(message.received_ns - round(left * 1e9))
            if self._stop.wait(min(left, CLOCK_PERIOD_S)):
                return
        self._send_clock(message.received_ns)
        self._publish(message)
        self.messages += 1
        self._measure(message.received_ns)

    def _send_clock(self, time_ns: int) -> None:
        now = time.monotonic()
        # A message may be a little late, or older than the one before: clocks do not go back.
        if now - self._last_tick >= CLOCK_PERIOD_S and time_ns > self._last_tick_ns:
            self._last_tick, self._last_tick_ns = now, time_ns
            self._tick(time_ns)

    def _measure(self, time_ns: int) -> None:
        now = time.monotonic()
        if self._passed and now - self._passed[-1][0] < 0.1:
            return
        self._passed.append((now, time_ns))
        while now - self._passed[0][0] > SHARE_OVER_S:
            self._passed.popleft()
        share = self.share_of_real_time
        if share is None:
            return
        keeps_up = share >= IN_REAL_TIME
        if keeps_up != self._keeps_up:
            self._keeps_up = keeps_up
            self._say(share)

    def _say(self, share: float) -> None:
        if self._keeps_up:
            self._logger.info('The simulation holds real time.')
        else:
            self._logger.warning(
                f'The simulation runs at {share:.2f} of real time: its time stands still while '
                'it waits. A larger max_motion_px, a lower rate_hz, images false, or a smaller '
                'sensor make it faster.')
