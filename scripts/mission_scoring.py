# Copyright 2026 depth_anyevent_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Errors of frozen student, teacher and adapting student against the truth, over time."""
from __future__ import annotations

from dataclasses import dataclass
import itertools

import numpy as np

from depth_anyevent_ros.evaluation.baselines import resize_map
from depth_anyevent_ros.evaluation.protocols import frame_metrics

FARTHEST_NS = 20_000_000  # between the stamps of a depth image and of its truth
WAIT_NS = 1_000_000_000
RECENT = 100  # pictures that are looked through first
NAMES = ('frozen', 'teacher', 'adapting')


@dataclass(frozen=True)
class Moment:
    """
    One time at which all three are known.

    time_s: from the first truth. errors: AbsRel by the clean protocol where the teacher has a
    label; whole: that of both students wherever there is truth.
    """

    stamp_ns: int
    time_s: float
    errors: dict[str, float]
    whole: dict[str, float]


class Scores:
    """Takes pictures of depth by name and stamp, as they come, and scores what is complete."""

    def __init__(self, depths: dict[str, dict[int, np.ndarray]]):
        self._depths = depths
        self._seen = 0  # of the adapting student's pictures, by the order in which they came
        self.moments: list[Moment] = []

    def update(self, everything: bool = False) -> None:
        """Score what came, but for the last second, whose others may still be on their way."""
        stamps = list(self._depths['adapting'])[self._seen:]
        truths = self._depths['truth']
        for stamp in stamps:
            if not everything and stamp > stamps[-1] - WAIT_NS:
                break
            self._seen += 1
            found = {name: self.nearest(name, stamp) for name in (*NAMES, 'truth')}
            if all(image is not None for image in found.values()):
                moment = self._score(stamp, (stamp - min(truths)) / 1e9, found)
                if moment:
                    self.moments.append(moment)

    def nearest(self, name: str, stamp_ns: int) -> np.ndarray | None:
        """Return a picture of that time, None where there is none."""
        # What was looked for lately came lately.
        recent = itertools.islice(reversed(self._depths[name].items()), RECENT)
        found = min(recent, key=lambda item: abs(item[0] - stamp_ns), default=None)
        if found is None or abs(found[0] - stamp_ns) > FARTHEST_NS:
            found = min(self._depths[name].items(), key=lambda item: abs(item[0] - stamp_ns),
                        default=None)
        if found is None or abs(found[0] - stamp_ns) > FARTHEST_NS:
            return None
        return found[1]

    def mean(self, name: str, begin_s: float, end_s: float, whole: bool = False) -> float:
        """Return the mean error of a name over a stretch of time, NaN where there is none."""
        found = [(m.whole if whole else m.errors)[name] for m in self.moments
                 if begin_s <= m.time_s < end_s]
        return float(np.mean(found)) if found else float('nan')

    @staticmethod
    def _score(stamp: int, time_s: float, found: dict[str, np.ndarray]) -> Moment | None:
        truth, label = found['truth'], found['teacher']
        shape = truth.shape
        labelled = np.where(np.isfinite(label), truth, np.nan)
        values = {name: resize_map(np.nan_to_num(image), *shape)
                  for name, image in found.items()}
        try:
            return Moment(stamp, time_s,
                          {name: frame_metrics(values[name], labelled)['abs_rel']
                           for name in NAMES},
                          {name: frame_metrics(values[name], truth)['abs_rel']
                           for name in ('frozen', 'adapting')})
        except ValueError:  # nothing but sky
            return None
