# Copyright 2026 depth_anyevent_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""The thread between packets and pictures that arrive and labels that go out. Knows no ROS."""
from __future__ import annotations

from collections import Counter, deque
from collections.abc import Callable
from dataclasses import dataclass
import threading
import time

import numpy as np

from depth_anyevent_ros.distillation.labelling import Labeller, ProxyLabel
from depth_anyevent_ros.distillation.pairing import FramePairing, Pair
from depth_anyevent_ros.events.types import Packet
from depth_anyevent_ros.geometry.rectification import Rectification
from depth_anyevent_ros.packet_queue import packet_bytes
from depth_anyevent_ros.statistics import RecentTimes, RecentValues

IDLE_WAIT_S = 0.2
PAIRS_WAITING = 8  # for the teacher; more than a hiccup of the machine makes wait


@dataclass(frozen=True)
class Picture:
    """
    A picture as it came. read(): decodes it, RGB uint8 (H, W, 3). nbytes: that it holds.
    arrival_ns: monotonic.
    """

    stamp_ns: int
    read: Callable[[], np.ndarray]
    nbytes: int
    arrival_ns: int


class LabelStream:
    """
    Pairs, labels and delivers on one thread.

    What waits is bounded by max_bytes here and once more in the pairing; beyond it the oldest is
    dropped. Where the teacher is slower than the pictures, PAIRS_WAITING of them wait, and the
    oldest of more are counted as skipped. deliver(label) is called on the thread; report(sentence)
    for what failed; wanted() says whether labels are of use. period_ns: of labels at least, 0 for
    one of each picture.
    """

    def __init__(self, pairing: FramePairing, labeller: Labeller, period_ns: int,
                 wanted: Callable[[], bool], deliver: Callable[[ProxyLabel], None],
                 report: Callable[[str], None], max_bytes: int = 64 << 20):
        self.pairing, self.labeller = pairing, labeller
        self.period_ns = period_ns
        self._wanted, self._deliver, self._report = wanted, deliver, report
        self._arrived: deque[Packet | Picture] = deque()
        self._bytes, self._max_bytes, self._lost = 0, max_bytes, False
        self._find: Callable[[], Rectification | None] | None = None  # to be called by the thread
        self._changed = threading.Condition()
        self._pairs: deque[Pair[Picture]] = deque()
        self._idle = True
        self._size: tuple[int, int] | None = None  # of the event sensor
        self._stop = threading.Event()
        self._last_label_ns: int | None = None
        self._thread = threading.Thread(target=self._run, name='labels', daemon=True)
        self.counts = Counter(skipped=0, unwanted=0, queue_drops=0, problems=0)
        self.times = RecentTimes()
        self.age_ms, self.teacher_ms = RecentValues(), RecentValues()
        self.last_packet_ns = self.last_picture_ns = 0

    def start(self) -> None:
        """Start the thread."""
        self._thread.start()

    @property
    def alive(self) -> bool:
        """Whether the thread runs."""
        return self._thread.is_alive()

    def stop(self) -> None:
        """End the thread after the label in hand."""
        self._stop.set()
        with self._changed:
            self._changed.notify()
        if self._thread.ident is not None:  # it was started
            self._thread.join()

    def rectify(self, find: Callable[[], Rectification | None]) -> None:
        """
        Draw windows and labels without the lens's distortion from now on.

        find(): returns the rectification, None for none. It is called on the thread, since its
        tables take seconds and a calibration may be anything; what it raises is reported.
        """
        with self._changed:
            self._find = find
            self._changed.notify()

    def put(self, item: Packet | Picture) -> None:
        """Take what arrived; never waits for the thread."""
        now = time.monotonic_ns()
        if isinstance(item, Packet):
            self.last_packet_ns = now
        else:
            self.last_picture_ns = now
        with self._changed:
            self._arrived.append(item)
            self._bytes += _size(item)
            while self._bytes > self._max_bytes and len(self._arrived) > 1:
                oldest = self._arrived.popleft()
                self._bytes -= _size(oldest)
                self._lost |= isinstance(oldest, Packet)
                self.counts['queue_drops'] += 1
            self._changed.notify()

    def _run(self) -> None:
        while not self._stop.is_set():
            with self._changed:
                self._changed.wait_for(lambda: self._arrived or self._pairs or self._find
                                       or self._stop.is_set(), IDLE_WAIT_S)
                arrived, lost, find = list(self._arrived), self._lost, self._find
                self._arrived.clear()
                self._bytes, self._lost, self._find = 0, False, None
            if find:
                self._take_rectification(find)
            try:
                if lost:
                    self.pairing.pipeline.note_loss()
                self._step(arrived)
            except Exception as error:  # the thread must outlive a teacher that fails
                self._problem(error)

    def _take_rectification(self, find: Callable[[], Rectification | None]) -> None:
        found = None  # also where it fails: the former one is of another calibration
        try:
            found = find()
        except Exception as error:  # the thread must outlive a calibration that cannot be used
            self._problem(error)
        self._pairs.clear()
        self.labeller.rectification = found
        self.pairing.pipeline.rectify(found.coordinates if found else None)

    def _step(self, arrived: list[Packet | Picture]) -> None:
        if not self._wanted():
            self.counts['unwanted'] += len(self._pairs) \
                + sum(isinstance(item, Picture) for item in arrived)
            self._pairs.clear()  # or the thread would not wait for what arrives
            self._idle = True
            return
        if self._idle:
            # What was not looked at is no loss of the sender's.
            self.pairing.reset()
            self._pairs.clear()
            self._idle = False
        for item in arrived:
            found = self.pairing.add_packet(item) if isinstance(item, Packet) \
                else self.pairing.add_picture(item.stamp_ns, item)
            for pair in found:
                if self._due(pair):
                    self._pairs.append(pair)
        if self.pairing.problem:
            problem, self.pairing.problem = self.pairing.problem, None
            self._problem(problem)
        while len(self._pairs) > PAIRS_WAITING:
            self._pairs.popleft()
            self.counts['skipped'] += 1
        if self._pairs:
            self._label(self._pairs.popleft())

    def _due(self, pair: Pair[Picture]) -> bool:
        """Return whether the pair is not too soon after the last one."""
        t_end, last = pair.window.t_end, self._last_label_ns
        # A tenth of the period early counts, since pictures jitter.
        if last is not None and 0 < t_end - last < 0.9 * self.period_ns:
            return False
        self._last_label_ns = t_end
        return True

    def _label(self, pair: Pair[Picture]) -> None:
        begin = time.monotonic_ns()
        if self.pairing.pipeline.size != self._size:
            self._size = self.pairing.pipeline.size
            self.labeller.forget_registration()
        label = self.labeller.label(pair.picture.read(), pair.window)
        now = time.monotonic_ns()
        if label is None:
            return
        self.teacher_ms.add((now - begin) / 1e6)
        self.age_ms.add((now - pair.picture.arrival_ns) / 1e6)
        self.times.add()
        self._deliver(label)

    def _problem(self, what: Exception | str) -> None:
        self.counts['problems'] += 1
        self._report(what if isinstance(what, str) else f'{type(what).__name__}: {what}')


def _size(item: Packet | Picture) -> int:
    return packet_bytes(item) if isinstance(item, Packet) else item.nbytes
