# Copyright 2026 depth_anyevent_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Errors of frozen student, teacher and adapting student against the truth, over time."""
from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from depth_anyevent_ros.evaluation.baselines import resize_map
from depth_anyevent_ros.evaluation.protocols import frame_metrics

FARTHEST_NS = 20_000_000  # between the stamps of a depth image and of its truth
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
        self._scored: set[int] = set()
        self.moments: list[Moment] = []

    def update(self) -> None:
        """Score the times that became complete."""
        truths = self._depths['truth']
        if not truths:
            return
        stamps, first = np.array(sorted(truths)), min(truths)
        for stamp in sorted(set(self._depths['adapting']) - self._scored):
            found = {name: self.nearest(name, stamp) for name in NAMES}
            at = int(stamps[np.argmin(np.abs(stamps - stamp))])
            if abs(at - stamp) > FARTHEST_NS or any(image is None for image in found.values()):
                continue
            self._scored.add(stamp)
            moment = self._score(stamp, (at - first) / 1e9, truths[at], found)
            if moment:
                self.moments.append(moment)

    def nearest(self, name: str, stamp_ns: int) -> np.ndarray | None:
        """Return a picture of that time, None where there is none."""
        stamps = self._depths[name]
        nearest = min(stamps, key=lambda other: abs(other - stamp_ns), default=None)
        if nearest is None or abs(nearest - stamp_ns) > FARTHEST_NS:
            return None
        return stamps[nearest]

    def mean(self, name: str, begin_s: float, end_s: float, whole: bool = False) -> float:
        """Return the mean error of a name over a stretch of time, NaN where there is none."""
        found = [(m.whole if whole else m.errors)[name] for m in self.moments
                 if begin_s <= m.time_s < end_s]
        return float(np.mean(found)) if found else float('nan')

    @staticmethod
    def _score(stamp: int, time_s: float, truth: np.ndarray,
               found: dict[str, np.ndarray]) -> Moment | None:
        shape = truth.shape
        label = found['teacher']
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
