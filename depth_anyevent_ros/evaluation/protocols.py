# Copyright 2026 depth_anyevent_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""
The protocols of evaluation; they differ in every step, so their figures are never mixed.

`clean`: truth of known depth up to 80 m; alignment in inverse depth with a scale that is not
negative; no mask on the prediction; the usual metrics. `paper`: what the released evaluation
code of Depth AnyEvent does (arXiv 2509.15224), for comparison with its tables. `teacher`: labels
without a unit, as a teacher gives them, for recordings without truth.
"""
from __future__ import annotations

from typing import NamedTuple

import numpy as np

from depth_anyevent_ros.evaluation.alignment import align, fill
from depth_anyevent_ros.evaluation.baselines import MAX_DEPTH_M, valid_truth
from depth_anyevent_ros.evaluation.metrics import METRICS, pixel_errors, scores_of

# An aligned inverse depth has no upper bound; a depth of 0 would only break the logarithm.
NEAREST_M = 1e-3


class Truth(NamedTuple):
    """
    The pixels of a frame that count.

    mask: bool (H, W). depth: (n,), in metres but for `unit`. target: what the alignment aims at,
    (n,). unit: how many metres a depth of 1 is; 1 unless the protocol scales the truth.
    """

    mask: np.ndarray
    depth: np.ndarray
    target: np.ndarray
    unit: float = 1.0


class CleanProtocol:
    """Alignment in inverse depth, scale >= 0, depth clamped to 80 m, all valid pixels scored."""

    name = 'clean'
    non_negative = True
    in_depth = False  # whether depth is what is aligned, and not inverse depth
    metric, main, nothing = True, 'abs_rel', 'sky'
    headline = 'metrics'

    def truth(self, inverse_depth: np.ndarray) -> Truth:
        """Return the truth of a label in 1/m, (H, W); the sky and the unknown are left out."""
        mask = valid_truth(inverse_depth)
        target = inverse_depth[mask].astype(np.float64)
        return Truth(mask, 1 / target, target)

    def values(self, prediction: np.ndarray) -> np.ndarray:
        """Return relative inverse depth, (n,), in the space of the alignment."""
        return prediction

    def depth(self, aligned: np.ndarray) -> np.ndarray:
        """Return depth in metres of aligned values."""
        return 1 / np.clip(aligned, 1 / MAX_DEPTH_M, 1 / NEAREST_M)

    def scored(self, depth: np.ndarray, truth: np.ndarray) -> np.ndarray:
        """Return which pixels count, bool (n,): all of them."""
        return np.ones(len(depth), bool)

    def errors(self, depth: np.ndarray, truth: np.ndarray) -> np.ndarray:
        """Return the errors of pixels, float64 (9, n); see `pixel_errors`."""
        return pixel_errors(depth, truth)


class PaperProtocol:
    """
    Alignment in depth by unsigned least squares, with the paper's masks and its own sq_rel.

    Truth is clipped to 80 m (the sky too) and scaled so that its largest value is 80; pixels
    where truth or prediction reach a bound are not scored; eps stands in every ratio. A frame
    whose fit is singular, or leaves no pixel to score, is skipped. What counts is the mean over
    sequences.
    """

    name = 'paper'
    non_negative = False
    in_depth = True
    metric, main, nothing = True, 'abs_rel', 'sky'
    headline = 'sequence_mean'
    eps = 1e-5

    def truth(self, inverse_depth: np.ndarray) -> Truth:
        """Return the truth of a label in 1/m, (H, W), clipped and scaled; none if all alike."""
        with np.errstate(invalid='ignore'):
            mask = np.isfinite(inverse_depth) & (inverse_depth >= 0)
        depth = 1 / np.maximum(inverse_depth[mask].astype(np.float64), 1 / MAX_DEPTH_M)
        if not np.any(depth < depth.max(initial=0)):  # nothing but sky: no pixel would be scored
            return Truth(np.zeros_like(mask), depth[:0], depth[:0])
        unit = depth.max() / MAX_DEPTH_M
        depth /= unit
        return Truth(mask, depth, depth, unit)

    def values(self, prediction: np.ndarray) -> np.ndarray:
        """Return depth up to scale of relative inverse depth, (n,)."""
        # Something below 0 is beyond infinitely far, so it stands at the far end with 0.
        return 1 / (np.maximum(prediction, 0) + 1e-6)

    def depth(self, aligned: np.ndarray) -> np.ndarray:
        """Return depth in metres of aligned values."""
        return np.clip(aligned, 0, MAX_DEPTH_M)

    def scored(self, depth: np.ndarray, truth: np.ndarray) -> np.ndarray:
        """Return which pixels count, bool (n,): neither truth nor prediction at a bound."""
        most = truth.max() if len(truth) else 0
        return (truth > 0) & (truth < most) & (depth > 0) & (depth < most)

    def errors(self, depth: np.ndarray, truth: np.ndarray) -> np.ndarray:
        """Return the errors of pixels, float64 (9, n), in the order of `pixel_errors`."""
        difference = depth - truth
        log = np.log(depth + self.eps) - np.log(truth + self.eps)
        ratio = np.maximum((truth + self.eps) / (depth + self.eps),
                           (depth + self.eps) / (truth + self.eps))
        squared = difference * difference
        return np.stack([np.abs(difference) / (truth + self.eps),
                         squared / (truth * truth + self.eps), squared, log * log, log,
                         *(ratio <= 1.25 ** k for k in (1, 2, 3)), np.abs(difference)])


class TeacherProtocol(CleanProtocol):
    """
    Alignment in inverse depth, scale >= 0, with labels that are known up to scale and shift.

    Labels are standardised by frame (mean 0, deviation 1), so rmse is the share of their
    deviation that the prediction leaves unexplained: 0 is the label itself, 1 no better than a
    constant. The other metrics need metres: they are NaN. What is called depth is the
    standardised inverse depth here.
    """

    name = 'teacher'
    metric, main, nothing = False, 'rmse', 'flat'

    def truth(self, inverse_depth: np.ndarray) -> Truth:
        """Return the known pixels of a label without unit, (H, W); none where all are alike."""
        mask = np.isfinite(inverse_depth)
        values = inverse_depth[mask].astype(np.float64)
        deviation = values.std() if len(values) else 0.0
        if not deviation > 1e-6 * np.abs(values).max(initial=0):
            return Truth(np.zeros_like(mask), values[:0], values[:0])
        values = (values - values.mean()) / deviation
        return Truth(mask, values, values)

    def depth(self, aligned: np.ndarray) -> np.ndarray:
        """Return the aligned values as they are."""
        return aligned

    def errors(self, depth: np.ndarray, truth: np.ndarray) -> np.ndarray:
        """Return the errors of pixels, float64 (9, n), in the order of `pixel_errors`."""
        errors = np.full((9, len(depth)), np.nan)
        errors[2] = np.square(depth - truth)
        return errors


PROTOCOLS = {protocol.name: protocol
             for protocol in (CleanProtocol(), PaperProtocol(), TeacherProtocol())}


def frame_metrics(prediction: np.ndarray, inverse_depth: np.ndarray,
                  protocol: str = 'clean') -> dict[str, float]:
    """
    Return the metrics of one frame.

    prediction: relative inverse depth (H, W), larger is nearer. inverse_depth: truth in 1/m,
    (H, W), 0 far, NaN unknown; for the protocol teacher a label without unit. Raises ValueError
    where no pixel of the truth is valid.
    """
    chosen = PROTOCOLS[protocol]
    truth = chosen.truth(inverse_depth)
    values, _ = fill(prediction[truth.mask])
    values = chosen.values(values)
    depth = chosen.depth(align(values, truth.target, chosen.non_negative).apply(values))
    scored = chosen.scored(depth, truth.depth)
    errors = chosen.errors(depth[scored], truth.depth[scored])
    return dict(zip(METRICS, scores_of(errors.mean(axis=1)).tolist()))
