# Copyright 2026 depth_anyevent_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Errors of frozen student, teacher and adapting student against the truth, over time."""
from __future__ import annotations

from dataclasses import dataclass
import itertools

import numpy as np

from depth_anyevent_ros.evaluation.baselines import ALL_WORLDS, load_mean_maps, resize_map
from depth_anyevent_ros.evaluation.protocols import frame_metrics
from depth_anyevent_ros.models import bundled_file

FARTHEST_NS = 20_000_000  # between the stamps of a depth image and of its truth
LABEL_NS = 120_000_000  # between a depth image and a label, whose rate may be another
WAIT_NS = 1_000_000_000
RECENT = 100  # pictures that are looked through first
EVERY = 2  # of the pictures one is scored, since the nodes need the processor
NAMES = ('frozen', 'teacher', 'adapting')
BASELINE = 'mean_map'


@dataclass(frozen=True)
class Moment:
    """
    One time at which all are known.

    time_s: from the first truth. errors: AbsRel by the clean protocol where the teacher has a
    label, its own against the truth of its own time, and that of the mean of the training labels
    as `mean_map`; whole: those of both students wherever there is truth.
    """

    stamp_ns: int
    time_s: float
    errors: dict[str, float]
    whole: dict[str, float]


class Scores:
    """Takes pictures of depth by name and stamp, as they come, and scores what is complete."""

    def __init__(self, depths: dict[str, dict[int, np.ndarray]], world: str):
        self._depths = depths
        found = bundled_file('mean_map')
        maps = load_mean_maps(found[0]) if found else {}
        self._mean_map = maps.get(world, maps.get(ALL_WORLDS))
        self._seen = 0  # of the adapting student's pictures, by the order in which they came
        self.moments: list[Moment] = []

    def update(self, everything: bool = False) -> None:
        """Score some of what came, but for the last second, whose others may be on their way."""
        stamps = list(self._depths['adapting'])[self._seen:]
        truths = self._depths['truth']
        for stamp in stamps:
            if not everything and stamp > stamps[-1] - WAIT_NS:
                break
            self._seen += 1
            if self._seen % EVERY:
                continue
            label = self._nearest('teacher', stamp, LABEL_NS)
            images = [self.nearest('frozen', stamp), self.nearest('adapting', stamp),
                      self.nearest('truth', stamp), self.nearest('truth', label[0])] \
                if label else [None]
            if all(image is not None for image in images):
                moment = self._score(stamp, (stamp - min(truths)) / 1e9, label[1], *images)
                if moment:
                    self.moments.append(moment)

    def nearest(self, name: str, stamp_ns: int) -> np.ndarray | None:
        """Return the picture nearest to a time, None where it is none of that time."""
        found = self._nearest(name, stamp_ns, LABEL_NS if name == 'teacher' else FARTHEST_NS)
        return found[1] if found else None

    def _nearest(self, name: str, stamp_ns: int, within_ns: int
                 ) -> tuple[int, np.ndarray] | None:
        # What was looked for lately came lately.
        recent = itertools.islice(reversed(self._depths[name].items()), RECENT)
        found = min(recent, key=lambda item: abs(item[0] - stamp_ns), default=None)
        if found is None or abs(found[0] - stamp_ns) > within_ns:
            found = min(self._depths[name].items(), key=lambda item: abs(item[0] - stamp_ns),
                        default=None)
        if found is None or abs(found[0] - stamp_ns) > within_ns:
            return None
        return found

    def mean(self, name: str, begin_s: float, end_s: float, whole: bool = False) -> float:
        """Return the mean error of a name over a stretch of time, NaN where there is none."""
        found = [(m.whole if whole else m.errors)[name] for m in self.moments
                 if begin_s <= m.time_s < end_s]
        return float(np.mean(found)) if found else float('nan')

    def _score(self, stamp: int, time_s: float, label: np.ndarray, frozen: np.ndarray,
               adapting: np.ndarray, truth: np.ndarray, truth_of_label: np.ndarray
               ) -> Moment | None:
        known = np.isfinite(label)
        values = {'teacher': resize_map(np.nan_to_num(label), *truth.shape),
                  'frozen': resize_map(frozen, *truth.shape),
                  'adapting': resize_map(adapting, *truth.shape)}
        if self._mean_map is not None:
            values[BASELINE] = resize_map(self._mean_map, *truth.shape)
        try:
            return Moment(
                stamp, time_s,
                {name: frame_metrics(value, np.where(
                    known, truth_of_label if name == 'teacher' else truth, np.nan))['abs_rel']
                 for name, value in values.items()},
                {name: frame_metrics(values[name], truth)['abs_rel']
                 for name in ('frozen', 'adapting')})
        except ValueError:  # nothing but sky
            return None
