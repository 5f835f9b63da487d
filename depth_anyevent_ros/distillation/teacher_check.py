# Copyright 2026 depth_anyevent_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""
Whether labels belong to the events, and whether a teacher contradicts itself.

A student learns whatever it is taught, and agrees with a wrong teacher on held-out frames too.
So labels are looked at before they teach: `EdgeAlignment` needs nothing but labels and events
and notices those that are mirrored or shifted, by the teacher or by a wrong calibration.
`flip_disagreement` notices a teacher that treats places of the picture unlike each other.
"""
from __future__ import annotations

from collections import deque
from statistics import median

import cv2
import numpy as np

from depth_anyevent_ros.distillation.replay_buffer import LabelledFrame
from depth_anyevent_ros.distillation.teachers import Teacher
from depth_anyevent_ros.evaluation.alignment import align

MEMORY = 300  # frames that are judged together
ENOUGH = 60  # without so many nothing is said
EVERY = 3  # frames, since neighbours say the same
MARGIN = 0.05  # by which the correlation may be larger where the label is moved
ENOUGH_FOR_NONE = 120  # frames; fewer than the first decision of the trainer needs
LEAST = 0.015  # correlation; mirrored, shifted or other scenes' labels have about 0
SHIFT_SHARE = 0.05  # of the width
FLIP_EVERY = 50  # pictures, since it takes the teacher twice
FLIPS = 3  # that are judged together: of single pictures a right teacher may contradict itself
MOST_FLIP_DISAGREEMENT = 0.7
DETAIL_SHARE = 0.25  # of the width; what is coarser than this says where a scene lies, not edges


class TeacherCheck:
    """
    Both checks over a stream: edges with every few frames, the flip with a picture at times.

    flip: the median of the last flips. to_forget: stretch and time, ns, of the first label that
    the doubt of the last frame is about, where it has just begun or reaches further back than
    before; else None.
    """

    def __init__(self, teacher: Teacher):
        self._teacher, self._edges = teacher, EdgeAlignment()
        self._pictures = 0
        self._flips: deque[tuple[float, tuple[int, int]]] = deque(maxlen=FLIPS)
        self._reaches: tuple[int, int] | None = None  # how far the doubt does that there is
        self.flip = 0.0
        self.to_forget: tuple[int, int] | None = None

    def doubt(self, picture: np.ndarray, frame: LabelledFrame) -> str:
        """
        Return why labels must not teach at present, '' for no reason.

        picture: RGB, uint8 (H, W, 3), or a map that came as it is, which cannot be flipped.
        """
        if picture.ndim == 3:
            if self._pictures % FLIP_EVERY == 0:
                self._flips.append((flip_disagreement(self._teacher, picture),
                                    (frame.stretch, frame.time_ns)))
                self.flip = median(value for value, _ in self._flips)
            self._pictures += 1
        problem, since = self._edges.problem(frame), self._edges.since
        if not problem and self.flip > MOST_FLIP_DISAGREEMENT:
            since = self._flips[0][1]
            problem = (f'the teacher says otherwise of a mirrored picture ({self.flip:.2f} of '
                       'what it tells apart): it knows about places, not about depth')
        self.to_forget = None
        if not problem:
            self._reaches = None
        elif self._reaches is None or since < self._reaches:
            self._reaches = self.to_forget = since
        return problem

    def means(self) -> dict[str, float]:
        """Return the correlations of edges, see `EdgeAlignment`."""
        return self._edges.means()


class EdgeAlignment:
    """
    Compares where labels have edges with where events are, as they are and moved.

    On simulated streams the correlation is 0.15 to 0.2 for true labels, 0.03 to 0.11 for a tiny
    teacher's, and -0.03 to 0.02 for those of a wrong one; single scenes scatter by more, so that
    many frames are judged together.
    """

    def __init__(self):
        self._scores: deque[dict[str, float]] = deque(maxlen=MEMORY // EVERY)
        self._times: deque[tuple[int, int]] = deque(maxlen=MEMORY // EVERY)
        self._count = 0

    def problem(self, frame: LabelledFrame) -> str:
        """Take a frame; return what is wrong with the last ones, '' for nothing."""
        self._count += 1
        if self._count % EVERY == 1:
            found = edge_correlations(frame.image, frame.inverse_depth)
            if found is not None:
                self._scores.append(found)
                self._times.append((frame.stretch, frame.time_ns))
        if len(self._scores) < ENOUGH // EVERY:
            return ''
        means = self.means()
        best = max(means, key=means.get)
        if means[best] > means['as it is'] + MARGIN:
            return (f'the labels fit the events better when they are {best} (correlation of '
                    f'edges {means[best]:.2f}, and {means["as it is"]:.2f} as they are): the '
                    'teacher, the calibration or the extrinsics are wrong')
        if len(self._scores) >= ENOUGH_FOR_NONE // EVERY and means['as it is'] < LEAST:
            return (f'the labels have nothing to do with the events (correlation of edges '
                    f'{means["as it is"]:.3f}): the teacher, the calibration or the extrinsics '
                    'are wrong')
        return ''

    @property
    def since(self) -> tuple[int, int]:
        """Stretch and time, ns, of the first of the frames judged together, 0 without any."""
        return self._times[0] if self._times else (0, 0)

    def means(self) -> dict[str, float]:
        """Return the mean correlation for each way in which the label was moved."""
        scores = list(self._scores)  # in one step: diagnostics ask from another thread
        return {name: float(np.mean([item[name] for item in scores]))
                for name in scores[0]} if scores else {}


def edge_correlations(image: np.ndarray, inverse_depth: np.ndarray) -> dict[str, float] | None:
    """
    Return the correlation of edges and events by how the label was moved.

    image: (C, h, w), 0 where no event is. inverse_depth: (h, w), NaN unknown. None where
    there are too few events or too little of the label.
    """
    label = inverse_depth.astype(np.float32)
    known = np.isfinite(label)
    events = (image != 0).any(0).astype(np.float32)
    if known.mean() < 0.5 or not 0.01 < events.mean() < 0.95 or not label[known].std() > 0:
        return None
    width = label.shape[1]
    shift, coarse = max(round(SHIFT_SHARE * width), 1), round(DETAIL_SHARE * width) | 1
    label = np.where(known, label, np.median(label[known])) / label[known].std()
    edges = np.minimum(np.abs(np.diff(label, axis=1, prepend=label[:, :1]))
                       + np.abs(np.diff(label, axis=0, prepend=label[:1])), 1)
    edges, events = (_detail(values, size, coarse) for values, size in ((edges, 3), (events, 5)))
    moved = {'as it is': edges, 'mirrored': edges[:, ::-1],
             'moved right': np.roll(edges, shift, 1), 'moved left': np.roll(edges, -shift, 1),
             'moved down': np.roll(edges, shift, 0), 'moved up': np.roll(edges, -shift, 0)}
    inner = np.s_[shift:-shift, shift:-shift]
    return {name: _correlation(events[inner], values[inner]) for name, values in moved.items()}


def flip_disagreement(teacher: Teacher, picture: np.ndarray) -> float:
    """
    Return how much a teacher says otherwise of the mirrored picture, from 0 to 1.

    The share of the deviation that the best scale and shift between both answers leave; above
    `MOST_FLIP_DISAGREEMENT` it knows about places in pictures, not about depth.
    """
    one = teacher(picture)
    other = teacher(np.ascontiguousarray(picture[:, ::-1]))[:, ::-1]
    known = np.isfinite(one) & np.isfinite(other)
    values, target = other[known].astype(np.float64), one[known].astype(np.float64)
    if len(values) < 16 or not target.std() > 0:
        return 1.0
    rest = target - align(values, target, non_negative=True).apply(values)
    return float(rest.std() / target.std())


def _detail(values: np.ndarray, fine: int, coarse: int) -> np.ndarray:
    smooth = cv2.blur(values, (fine, fine))
    return smooth - cv2.blur(smooth, (coarse, coarse))


def _correlation(a: np.ndarray, b: np.ndarray) -> float:
    a, b = a - a.mean(), b - b.mean()
    return float((a * b).sum() / np.sqrt((a * a).sum() * (b * b).sum() + 1e-12))
