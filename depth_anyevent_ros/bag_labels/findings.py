# Copyright 2026 depth_anyevent_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""What is noticed about a shard while it is written: counts, coverage, edges, offsets."""
from __future__ import annotations

from collections import Counter, deque
from typing import NamedTuple

import cv2
import numpy as np

from depth_anyevent_ros.bag_labels.offsets import likeness, STEP_NS, STEPS
from depth_anyevent_ros.bag_labels.shard_reader import Shard, Slot, WITHIN
from depth_anyevent_ros.datasets.samples import area_average
from depth_anyevent_ros.distillation.teacher_check import edge_correlations
from depth_anyevent_ros.evaluation.pictures import colorize, tencode_picture
from depth_anyevent_ros.events.types import Events

# Labels, since neighbours say the same; offsets take longer, but a short bag should have some.
EDGES_EVERY, OFFSETS_EVERY, AT_FIRST_EVERY = 3, 24, 4
GROUPS = 6  # of pairs, per shard
COVERAGE_WIDTH = 48
REACH_NS = STEPS * STEP_NS
MOST_EVENTS = 20_000_000  # that are kept for a pair of pictures


class Look(NamedTuple):
    """A picture that was labelled: sensor time, and gray in the event camera's view."""

    time_ns: int
    gray: np.ndarray


class ShardFindings:
    """
    Takes what is written of a shard, in its order.

    counts: labels, events, and pictures that have no label by reason. `example`: of a label in
    the middle of the shard, as bgr8 pictures: picture, events, label.
    """

    def __init__(self, shard: Shard):
        self._shard = shard
        self.counts = Counter(pictures=0, labels=0, events=0)
        self.refused: Counter = Counter()
        self._per_second = Counter()
        self._covered: np.ndarray | None = None
        self._edges: list[dict[str, float]] = []
        self._events: deque[Events] = deque()
        self._kept = 0
        self._size = (0, 0)
        self._last: Look | None = None
        self._pair: tuple[Look, Look] | None = None
        self._volumes: list[np.ndarray] = []
        self.pairs = 0
        self.example: list[np.ndarray] | None = None
        self._example_settled = False  # it is from the middle

    def anew(self) -> None:
        """Say that sensor time begins anew."""
        self._events.clear()
        self._kept, self._last, self._pair = 0, None, None

    def events(self, place: int, events: Events, size: tuple[int, int]) -> None:
        """Take events, one at least, of a sensor of this size; place: see `Slot`."""
        if place == WITHIN:
            self.counts['events'] += len(events)
        self._size = size
        self._events.append(events)
        self._kept += len(events)
        now = int(events.t[-1])
        if self._pair is not None and now > self._pair[1].time_ns + REACH_NS:
            self._compare()
        first = self._pair[0] if self._pair else self._last
        needed = (first.time_ns if first else now) - 3 * REACH_NS
        while len(self._events) > 1 and (self._events[0].t[-1] < needed
                                         or self._kept > MOST_EVENTS):
            self._kept -= len(self._events.popleft())

    def refuse(self, why_not: str) -> None:
        """Take a picture that has no label."""
        self.counts['pictures'] += 1
        self.refused[why_not] += 1

    def label(self, slot: Slot, inverse_depth: np.ndarray, gray: np.ndarray | None) -> None:
        """
        Take a label, float32 (H, W).

        gray: its picture in the event camera's view, float32 (H, W), None where there is none.
        """
        self.counts['pictures'] += 1
        number = self.counts['labels']
        self.counts['labels'] += 1
        self._per_second[(slot.bag_ns - self._shard.begin_ns) // 10**9] += 1
        small = _shrunk(np.isfinite(inverse_depth).astype(np.float32))
        self._covered = small if self._covered is None else self._covered + small
        if number % EDGES_EVERY == 0:
            image = np.rint(np.clip(slot.window.image, 0, 1) * 255).astype(np.uint8)
            found = edge_correlations(image, area_average(inverse_depth, *image.shape[-2:]))
            if found is not None:
                self._edges.append(found)
        middle = (slot.bag_ns - self._shard.begin_ns) * 2 > \
            self._shard.end_ns - self._shard.begin_ns
        if self.example is None or (middle and not self._example_settled):
            self.example, self._example_settled = _example(slot, inverse_depth), middle
        if gray is None:
            return
        look = Look(slot.window.t_end, gray)
        every = AT_FIRST_EVERY if number < OFFSETS_EVERY else OFFSETS_EVERY
        if self._last is not None and self._pair is None and number % every == 1:
            self._pair = self._last, look
        self._last = look

    def record(self) -> dict:
        """Return the findings as JSON values."""
        seconds = max(1, -(-(self._shard.end_ns - self._shard.begin_ns) // 10**9))
        labels = self.counts['labels']
        return {
            **self.counts, 'refused': dict(sorted(self.refused.items())),
            'labels_per_second': [self._per_second[second] for second in range(seconds)],
            'coverage': None if self._covered is None else
            np.round(self._covered / labels, 3).tolist(),
            'edges': {'frames': len(self._edges), 'sums': {
                name: float(sum(item[name] for item in self._edges))
                for name in (self._edges[0] if self._edges else ())}},
            'offset_pairs': self.pairs}

    def volumes(self) -> np.ndarray:
        """Return the likeness of pictures and events, summed over groups of pairs."""
        groups = [np.sum(self._volumes[k::GROUPS], axis=0) for k in range(GROUPS)
                  if self._volumes[k::GROUPS]]
        return np.array(groups, np.float32)

    def _compare(self) -> None:
        (first, second), self._pair = self._pair, None
        found = likeness(first.gray, second.gray, first.time_ns, second.time_ns,
                         Events.concatenate(list(self._events)), self._size)
        if found is not None:
            self._volumes.append(found)
            self.pairs += 1


def _shrunk(values: np.ndarray) -> np.ndarray:
    height, width = values.shape
    size = min(COVERAGE_WIDTH, width), max(1, round(height * min(COVERAGE_WIDTH, width) / width))
    return cv2.resize(values, size, interpolation=cv2.INTER_AREA)


def _example(slot: Slot, inverse_depth: np.ndarray) -> list[np.ndarray]:
    known = inverse_depth[np.isfinite(inverse_depth)]
    low, high = np.percentile(known, (2, 98)).tolist()
    picture = slot.picture[..., ::-1] if slot.picture.ndim == 3 else colorize(
        slot.picture, *np.nanpercentile(slot.picture, (2, 98)).tolist())
    return [np.ascontiguousarray(picture), tencode_picture(slot.window.image),
            colorize(inverse_depth, low, high)]
