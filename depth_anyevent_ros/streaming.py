# Copyright 2026 depth_anyevent_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""The thread between packets that arrive and depth that goes out. Knows no ROS."""
from __future__ import annotations

from collections import Counter, deque
from collections.abc import Callable
from dataclasses import dataclass
import threading
import time

import numpy as np

from depth_anyevent_ros.depth_estimator import DepthEstimator
from depth_anyevent_ros.events.pipeline import Window
from depth_anyevent_ros.events.types import Packet
from depth_anyevent_ros.geometry.camera import CameraModel
from depth_anyevent_ros.packet_queue import PacketQueue

IDLE_WAIT_S = 0.2
MOST_WAITING = 32  # windows
MAKE_UP_MS = 1000  # of inference that may wait after a hiccup of the machine
RECENT = 16  # windows over which the pace is judged
ENOUGH = 6  # windows without which it is not


@dataclass(frozen=True)
class Result:
    """
    Inverse depth of one window.

    inverse_depth: float32 (H, W). size: (width, height) of the sensor. frame_id: of the events.
    arrival_ns: monotonic time at which the packet that completed the window came in.
    inference_ms: time that the student took. camera: of the picture that the window shows, at
    the size of the sensor; None where it is not known.
    """

    inverse_depth: np.ndarray
    window: Window
    size: tuple[int, int]
    frame_id: str
    arrival_ns: int
    inference_ms: float
    camera: CameraModel | None = None


@dataclass
class Waiting:
    """A window on its way to the student; interrupted: it or a skipped one before it was."""

    window: Window
    packet: Packet
    arrival_ns: int
    interrupted: bool


class Pace:
    """Whether the student is faster than the stream, over the last windows."""

    def __init__(self):
        self._arrivals: deque[int] = deque(maxlen=RECENT)
        self._ends: deque[int] = deque(maxlen=RECENT)
        self._took_ms: deque[float] = deque(maxlen=RECENT)

    def window_arrived(self, arrival_ns: int, end_ns: int) -> None:
        """Take the arrival of the packet that completed a window, and the window's end, ns."""
        self._arrivals.append(arrival_ns)
        self._ends.append(end_ns)

    def inference_took(self, milliseconds: float) -> None:
        """Take the time of an inference."""
        self._took_ms.append(milliseconds)

    def most_waiting(self) -> int:
        """Return how many windows may wait: those that can be made up for, else the newest."""
        if min(len(self._arrivals), len(self._took_ms)) < ENOUGH:
            return MOST_WAITING
        span = self._arrivals[-1] - self._arrivals[0]
        if len(self._arrivals) < RECENT:
            # A few that a busy machine delivered in one burst say nothing about the stream.
            span = max(span, self._ends[-1] - self._ends[0])
        between_ms = span / 1e6 / (len(self._arrivals) - 1)
        took_ms = float(np.median(self._took_ms))
        if took_ms > 0.9 * between_ms:
            return 1
        return min(MOST_WAITING, max(1, int(MAKE_UP_MS / took_ms)))


class StreamWorker:
    """
    Decodes packets, cuts windows and runs the student, on one thread of its own.

    All that has arrived is decoded before the student runs again. Where windows wait for it,
    they are inferred in order as long as the student is faster than the stream, so that a
    hiccup costs nothing; otherwise only the newest is, and the others are counted as skipped,
    so that a slow student lowers the rate and never builds up delay.

    wanted(): whether anybody listens. deliver(result): called on the worker's thread.
    report(problem): called with a sentence for each packet or window that failed.
    """

    def __init__(self, estimator: DepthEstimator, queue: PacketQueue,
                 wanted: Callable[[], bool], deliver: Callable[[Result], None],
                 report: Callable[[str], None]):
        self.estimator = estimator
        self._queue = queue
        self._wanted, self._deliver, self._report = wanted, deliver, report
        self._requests: deque[Callable[[], None]] = deque()
        self._waiting: deque[Waiting] = deque()
        self._pace = Pace()
        self._idle = True
        self._size: tuple[int, int] | None = None
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name='inference', daemon=True)
        self.counts = Counter(inferred=0, skipped=0, failed=0, unheard_packets=0)
        self.last_packet_ns = 0

    def start(self) -> None:
        """Start the thread."""
        self._thread.start()

    @property
    def alive(self) -> bool:
        """Whether the thread runs."""
        return self._thread.is_alive()

    def stop(self) -> None:
        """End the thread after the window in hand."""
        self._stop.set()
        self._queue.close()
        self._thread.join()

    def request(self, action: Callable[[], None]) -> None:
        """Run the action on the worker's thread; windows that wait before it are dropped."""
        self._requests.append(action)

    def _run(self) -> None:
        self._guarded(self.estimator.settle_on_this_thread)
        while not self._stop.is_set():
            packets, lost = self._queue.take_all(0.0 if self._waiting else IDLE_WAIT_S)
            self._guarded(lambda: self._step(packets, lost))

    def _guarded(self, action: Callable[[], None]) -> None:
        """Run the action; whatever goes wrong is told, and the stream begins anew after it."""
        try:
            action()
        except Exception as error:  # the thread must outlive a lost device or a lack of memory
            self._tell(error)
            self._waiting.clear()
            try:
                self.estimator.reset()
            except Exception as next_error:  # as of a device that is lost; a window may do better
                self._tell(next_error)

    def _tell(self, error: Exception) -> None:
        self.counts['failed'] += 1
        self._report(f'{type(error).__name__}: {error}')

    def _step(self, packets: list[tuple[Packet, int]], lost: bool) -> None:
        if self._requests:
            self._waiting.clear()  # they belong to what is about to change
        while self._requests:
            self._requests.popleft()()
        if packets:
            self.last_packet_ns = packets[-1][1]
        if not self._wanted():
            self.counts['unheard_packets'] += len(packets)
            self._idle = True
            self._waiting.clear()
            return
        if self._idle:
            self.estimator.reset()
            self._idle = False
        elif lost:
            self.estimator.pipeline.note_loss()
        for packet, arrival_ns in packets:
            self._decode(packet, arrival_ns)
        self._skip(self._pace.most_waiting())
        if self._waiting:
            self._infer(self._waiting.popleft())

    def _decode(self, packet: Packet, arrival_ns: int) -> None:
        try:
            for window in self.estimator.push(packet):
                self._pace.window_arrived(arrival_ns, window.t_end)
                self._waiting.append(Waiting(window, packet, arrival_ns, window.interrupted))
                self._skip(MOST_WAITING)  # at once: a full queue may hold those of minutes
        except ValueError as error:  # a PacketError, or a sensor too small for the student
            self._report(str(error))
        if self.estimator.pipeline.size != self._size:
            self._size = self.estimator.pipeline.size
            self.estimator.adapt_to_sensor()

    def _skip(self, most: int) -> None:
        """Drop the oldest of the waiting windows, so that so many are left."""
        while len(self._waiting) > most:
            skipped = self._waiting.popleft()
            self._waiting[0].interrupted |= skipped.interrupted
            self.counts['skipped'] += 1

    def _infer(self, item: Waiting) -> None:
        begin = time.perf_counter()
        inverse_depth = self.estimator.infer(item.window, reset=item.interrupted)
        inference_ms = (time.perf_counter() - begin) * 1e3
        self._pace.inference_took(inference_ms)
        self.counts['inferred'] += 1
        packet = item.packet
        self._deliver(Result(inverse_depth, item.window, (packet.width, packet.height),
                             packet.frame_id, item.arrival_ns, inference_ms,
                             self.estimator.camera))
