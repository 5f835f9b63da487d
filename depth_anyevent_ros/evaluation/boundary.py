# Copyright 2026 depth_anyevent_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""
How well the contours of things come out.

Edges are those of Depth Pro (Bochkovskii et al., 2024, arXiv 2410.02073): two neighbouring
pixels whose depths have a ratio above a threshold.
"""
from __future__ import annotations

import cv2
import numpy as np

# Ratios of depth between neighbours, as in Depth Pro from 5 % to 25 %.
RATIOS = (1.05, 1.10, 1.15, 1.20, 1.25)
# Pixels this near to an edge of the truth are the boundary.
NEAR_PIXELS = 3
SMALLEST_M = 1e-3  # where a protocol lets depth reach 0, its logarithm is taken of this


def boundary_mask(depth: np.ndarray) -> np.ndarray:
    """
    Return the pixels within NEAR_PIXELS of an edge with the largest of RATIOS, bool (H, W).

    depth: truth in metres, (H, W), NaN where it does not count; such pixels make no edge.
    """
    edge = np.zeros(depth.shape, np.uint8)
    for steps, axis in zip(_steps(depth), (1, 0)):
        found = np.abs(steps) > np.log(RATIOS[-1])
        for side in ((slice(None, -1), slice(1, None))):
            index = (slice(None), side) if axis == 1 else (side, slice(None))
            edge[index] |= found
    kernel = np.ones((2 * NEAR_PIXELS + 1,) * 2, np.uint8)
    return (cv2.dilate(edge, kernel) > 0) & np.isfinite(depth)


class BoundaryF1:
    """
    F1 of a prediction's edges against the truth's: the mean over RATIOS.

    A pair of neighbours agrees where both have an edge there with the same side nearer. Unlike
    Depth Pro, the mean is not weighted and edges are not thinned. depth: as in `boundary_mask`.
    """

    def __init__(self, depth: np.ndarray):
        self._truth = [_edges(depth, ratio) for ratio in RATIOS]
        self._counts = [int(np.count_nonzero(edges)) for edges in self._truth]

    def score(self, depth: np.ndarray) -> float:
        """Return the F1 of depth (H, W), NaN where the truth has none; NaN if it has no edge."""
        scores = []
        for ratio, truth, count in zip(RATIOS, self._truth, self._counts):
            if count:
                found = _edges(depth, ratio)
                agreed = np.count_nonzero(found & truth)
                scores.append(2 * agreed / (np.count_nonzero(found) + count))
        return float(np.mean(scores)) if scores else float('nan')


def _edges(depth: np.ndarray, ratio: float) -> np.ndarray:
    """Return which ordered pairs of neighbours are edges, bool (n,), always in the same order."""
    steps = np.concatenate([part.ravel() for part in _steps(depth)])
    with np.errstate(invalid='ignore'):
        return np.concatenate([steps > np.log(ratio), steps < -np.log(ratio)])


def _steps(depth: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return the differences of log depth to the right, (H, W - 1), and down, (H - 1, W)."""
    logarithm = np.log(np.maximum(depth, SMALLEST_M), dtype=np.float32)
    return np.diff(logarithm, axis=1), np.diff(logarithm, axis=0)
