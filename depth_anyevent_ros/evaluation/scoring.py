# Copyright 2026 depth_anyevent_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""The scores of one sequence: each frame, each candidate, each part of the picture."""
from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from functools import lru_cache
from typing import NamedTuple

import numpy as np

from depth_anyevent_ros.evaluation.alignment import align, fill, Moments
from depth_anyevent_ros.evaluation.baselines import (
    HeldPrediction, MIN_PIXELS, resize_map, UNKNOWN_WORLD)
from depth_anyevent_ros.evaluation.boundary import boundary_mask, BoundaryF1
from depth_anyevent_ros.evaluation.kept_predictions import KeptPredictions
from depth_anyevent_ros.evaluation.metrics import rank_correlation, SCORES, scores_of

# What is scored, always in this order; the first is the model, the others its baselines.
CANDIDATES = ('model', 'constant', 'mean_map', 'hold_last')
CONSTANT, HOLD_LAST = 1, 3
# Parts of a picture: all of it, truth under 10, 20, 30 m, what moves, what is near an edge.
PARTS = ('all', 'lt10', 'lt20', 'lt30', 'moving', 'boundary')
RANGES_M = (10.0, 20.0, 30.0)
# Windows with fewer events than one in ten pixels are told apart. Driving and flight make several
# times as many in 50 ms; a camera at rest makes up to about as many by noise alone, which is 2 Hz
# a pixel.
FEW_EVENTS_PER_PIXEL = 0.1
RANK_PIXELS = 8192  # ranks are taken of this many pixels, always the same ones for a size


class Frame(NamedTuple):
    """
    One frame to score.

    prediction: relative inverse depth (h, w) at the network's size. label: index of its truth.
    few, paused: whether the window has few events, whether it lies in a pause.
    """

    prediction: np.ndarray
    label: int
    few: bool
    paused: bool


class _Scored(NamedTuple):
    """A frame that was scored; its prediction, and the one held for it, are known by number."""

    label: int
    few: bool
    paused: bool
    number: int
    last: int | None


@dataclass
class SequenceScores:
    """
    Scores of the frames of a sequence, in the order of the frames that could be scored.

    scores: (F, candidates, parts, SCORES), aligned by frame; NaN where a part has fewer
    than MIN_PIXELS pixels.
    fixed: (F, candidates, SCORES) of whole pictures with one alignment for the sequence.
    metric: (F, SCORES) of the model without any alignment, NaN unless it predicts 1/m and the
    protocol is clean.
    rank, f1: (F, candidates). negative, few, paused: bool (F,). skipped: frames by reason.
    non_finite: pixels of the model without a number. unknown: pixels of the truth that are NaN.
    """

    name: str
    world: str
    level: float | None
    scores: np.ndarray
    fixed: np.ndarray
    rank: np.ndarray
    f1: np.ndarray
    negative: np.ndarray
    metric: np.ndarray
    few: np.ndarray
    paused: np.ndarray
    skipped: Counter = field(default_factory=Counter)
    non_finite: int = 0
    unknown: int = 0

    def __len__(self) -> int:
        return len(self.negative)


def score_sequence(sequence, frames: Iterable[Frame], protocol,
                   mean_map: np.ndarray | None, see: Callable | None = None,
                   metric: bool = False) -> SequenceScores:
    """
    Score the frames of a datasets.sequences.Sequence, one after the other as they come.

    mean_map: the map of its world, None where there is none; its scores are NaN then, and where
    depth is aligned, since the mean of inverse depths is no mean of depths. see:
    called as see(frame, inverse_depth, aligned depth, error) for each scored frame, (H, W) each:
    depth in metres, and of the error by pixel, NaN where none is scored, abs_rel is the mean.
    metric: the predictions are in 1/m, so that the clean protocol scores them without alignment
    too.
    """
    scorer = _Scorer(sequence, protocol, mean_map, metric)
    held = HeldPrediction()
    usable: list[_Scored] = []
    rows = []
    with KeptPredictions() as kept:
        for frame in frames:
            number = kept.add(frame.prediction)
            last = held.next(number, frame.few or frame.paused)
            row = scorer.score(frame, None if last is None else kept[last], see)
            if row is not None:
                usable.append(_Scored(frame.label, frame.few, frame.paused, number, last))
                rows.append(row)
        fixed = scorer.fixed(usable, kept)
    stacked = [np.array(values) for values in zip(*rows)] if rows else _no_rows()
    return SequenceScores(
        sequence.name, sequence.world or UNKNOWN_WORLD, sequence.info.get('level'),
        stacked[0], fixed, *stacked[1:],
        few=np.array([frame.few for frame in usable], bool),
        paused=np.array([frame.paused for frame in usable], bool),
        skipped=scorer.skipped, non_finite=scorer.non_finite, unknown=scorer.unknown)


def _no_rows() -> list[np.ndarray]:
    count = len(CANDIDATES)
    return [np.zeros((0, count, len(PARTS), len(SCORES))), np.zeros((0, count)),
            np.zeros((0, count)), np.zeros(0, bool), np.zeros((0, len(SCORES)))]


class _Scorer:
    """What the frames of one sequence share."""

    def __init__(self, sequence, protocol, mean_map: np.ndarray | None, metric: bool):
        self._sequence, self._protocol = sequence, protocol
        self._mean_map = None if protocol.in_depth else mean_map
        # Beside a truth that is scaled or has no unit, metres are nothing to compare.
        self._metric = metric and protocol.metric and not protocol.in_depth
        self._moments = [Moments() for _ in CANDIDATES]
        self.skipped: Counter = Counter()
        self.non_finite = self.unknown = 0

    def score(self, frame: Frame, last: np.ndarray | None, see: Callable | None):
        """Return (scores, rank, f1, negative, metric), None for a frame that is skipped."""
        inverse_depth = self._sequence.label(frame.label)
        truth = self._protocol.truth(inverse_depth)
        self.unknown += int(np.count_nonzero(np.isnan(inverse_depth)))
        if len(truth.depth) < MIN_PIXELS:
            known = np.count_nonzero(np.isfinite(inverse_depth)) >= MIN_PIXELS
            self.skipped[self._protocol.nothing if known else 'unknown_depth'] += 1
            return None
        true_depth = self._picture(truth.mask, truth.depth)
        parts = self._parts(truth, true_depth, self._moving(frame.label))
        f1 = BoundaryF1(true_depth) if self._protocol.metric else None
        subset = _subset(len(truth.depth))
        scores = np.full((len(CANDIDATES), len(PARTS), len(SCORES)), np.nan)
        ranks, f1_scores = np.full((2, len(CANDIDATES)), np.nan)
        negative, metric = False, np.full(len(SCORES), np.nan)
        for c, values in enumerate(
                self._candidates(frame.prediction, last, truth.mask)):
            if values is None:
                continue
            alignment = align(values, truth.target, self._protocol.non_negative)
            depth = self._protocol.depth(alignment.apply(values))
            if c == 0 and self._protocol.in_depth and (
                    alignment.singular
                    # A fit meets a bound wherever the truth meets none only by rounding, where
                    # the prediction has hardly more spread than a constant.
                    or not self._protocol.scored(depth, truth.depth).any()):
                self.skipped['singular_fit'] += 1  # for the baselines too
                return None
            if c != HOLD_LAST or last is not None:
                self._moments[c].add(values, truth.target)
            scores[c] = self._means(depth, truth.depth, parts)
            ranks[c] = rank_correlation(values[subset], truth.target[subset])
            if f1:
                f1_scores[c] = f1.score(self._picture(truth.mask, depth))
            if c == 0:
                negative = alignment.negative
                if self._metric:
                    metric = self._means(
                        self._protocol.depth(values), truth.depth, parts)[0]
                if see:
                    whole = self._whole(frame.prediction, inverse_depth.shape)
                    shown = self._protocol.depth(alignment.apply(whole))
                    shown[truth.mask] = depth  # where the prediction has no number, too
                    scored = self._protocol.scored(depth, truth.depth)
                    error = self._protocol.errors(depth, truth.depth)[SCORES.index('abs_rel')]
                    see(frame, inverse_depth, truth.unit * shown,
                        self._picture(truth.mask, np.where(scored, error, np.nan)))
        return scores, ranks, f1_scores, negative, metric

    def _moving(self, label: int) -> np.ndarray | None:
        moving, rectification = self._sequence.moving(label), self._sequence.rectification
        if moving is None or rectification is None:
            return moving
        return rectification.inverse_depth(moving.astype(np.float32)) > 0

    def fixed(self, usable: list[_Scored], kept: KeptPredictions) -> np.ndarray:
        """Return the scores with one alignment for all frames, (F, candidates, SCORES)."""
        result = np.full((len(usable), len(CANDIDATES), len(SCORES)), np.nan)
        alignments = [m.solve(self._protocol.non_negative) if m.count else None
                      for m in self._moments]
        for f, frame in enumerate(usable):
            last = None if frame.last is None else kept[frame.last]
            truth = self._protocol.truth(self._sequence.label(frame.label))
            everything = np.ones((1, len(truth.depth)), bool)
            for c, values in enumerate(
                    self._candidates(kept[frame.number], last, truth.mask, count=False)):
                if values is not None:
                    # The stand-in of a prediction to hold is aligned as what it is.
                    a = alignments[CONSTANT if c == HOLD_LAST and last is None else c]
                    depth = self._protocol.depth(a.apply(values))
                    result[f, c] = self._means(depth, truth.depth, everything)[0]
        return result

    def _candidates(self, prediction: np.ndarray, last: np.ndarray | None, mask: np.ndarray,
                    count: bool = True):
        """Yield the values of each candidate where the truth is valid, (n,), None for none."""
        yield self._values(prediction, mask, count)
        nothing = np.zeros(int(np.count_nonzero(mask)))
        yield nothing
        yield None if self._mean_map is None else self._map_values(mask)
        # As long as there is nothing to hold, the constant stands in: both see no event.
        yield nothing if last is None else self._values(last, mask, False)

    def _values(self, prediction: np.ndarray, mask: np.ndarray, count: bool) -> np.ndarray:
        values, missing = fill(resize_map(prediction, *mask.shape)[mask])
        self.non_finite += missing if count else 0
        return self._protocol.values(values)

    def _map_values(self, mask: np.ndarray) -> np.ndarray:
        return resize_map(self._mean_map, *mask.shape)[mask].astype(np.float64)

    def _whole(self, prediction: np.ndarray, shape: tuple[int, int]) -> np.ndarray:
        return self._protocol.values(resize_map(prediction, *shape))

    def _parts(self, truth, depth: np.ndarray, moving: np.ndarray | None) -> np.ndarray:
        """Return which of the valid pixels belong to each of PARTS, bool (parts, n)."""
        nothing = np.zeros(len(truth.depth), bool)
        moves = nothing if moving is None else np.asarray(moving, bool)[truth.mask]
        # Ranges and edges of depth need metres.
        *ranges, edges = (*(truth.depth < limit for limit in RANGES_M),
                          boundary_mask(depth)[truth.mask]) if self._protocol.metric else \
            [nothing] * (len(RANGES_M) + 1)
        return np.stack([~nothing, *ranges, moves, edges])

    def _means(self, depth: np.ndarray, truth: np.ndarray, parts: np.ndarray) -> np.ndarray:
        """Return the scores of each part, (parts, SCORES), NaN where it has too few pixels."""
        scored = self._protocol.scored(depth, truth)
        if not scored.all():
            depth, truth, parts = depth[scored], truth[scored], parts[:, scored]
        weights = parts.astype(np.float64)
        sums, counts = self._protocol.errors(depth, truth) @ weights.T, weights.sum(axis=1)
        # The first is the whole picture; of the others each counts as much as a full one.
        least = np.where(np.arange(len(counts)) == 0, 1, MIN_PIXELS)
        return scores_of(sums / np.where(counts >= least, counts, np.nan)).T

    @staticmethod
    def _picture(mask: np.ndarray, values: np.ndarray) -> np.ndarray:
        picture = np.full(mask.shape, np.nan, np.float32)
        picture[mask] = values
        return picture


@lru_cache(maxsize=64)
def _subset(count: int) -> np.ndarray:
    """Return the pixels whose ranks are compared, the same for every frame of this count."""
    if count <= RANK_PIXELS:
        return np.arange(count)
    return np.random.default_rng(0).choice(count, RANK_PIXELS, replace=False)
