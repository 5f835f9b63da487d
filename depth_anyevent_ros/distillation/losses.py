# Copyright 2026 depth_anyevent_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""
Losses on inverse depth that is known up to scale and shift.

After MiDaS (Ranftl et al., TPAMI 2020) with a closed-form least-squares alignment. Arrays are
(T, N, H, W): T frames of N lanes. The target is inverse depth, NaN where it is unknown.
"""
from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor
import torch.nn.functional as F

from depth_anyevent_ros.distillation.loss_config import LossConfig

STRIDES = (1, 2, 4, 8)
LEAST_PIXELS = 16  # known pixels that an alignment needs
# A flat target is not blown up: its spread counts as this share of its mean, or this in 1/m.
LEAST_SPREAD_SHARE, LEAST_SPREAD = 0.01, 1e-4
EPS = 1e-7  # added to the variance of a prediction, which may be constant


@dataclass(frozen=True)
class LossTerms:
    """Scalars: the weighted sum to minimise, and its terms without their weights."""

    total: Tensor
    data: Tensor
    gradient: Tensor
    temporal: Tensor
    log: Tensor


def depth_loss(prediction: Tensor, target: Tensor, config: LossConfig) -> LossTerms:
    """
    Return the loss of predicted inverse depth (T, N, H, W) against a target of the same shape.

    Frames (or clips) with too few known pixels do not count; a batch without any gives zeros
    with zero gradients. Computed in float32.
    """
    prediction, target = (x.float().transpose(0, 1) for x in (prediction, target))
    known = target.isfinite()
    target = target.nan_to_num(0.0)
    # Labels without a unit may lie below 0, and then know no sky.
    near = known & (target >= config.sky_below) if config.sky_below else known
    weight = _error_weight(target, near, config)

    def residual(over: str) -> tuple[Tensor, Tensor]:
        fitted, counts = _fitted(prediction, target, weight, near, over, config.least_correlation)
        # Of the sky it only matters that it is far.
        error = torch.where(near, fitted - target, F.relu(fitted - config.sky_below))
        counts = counts & known
        return torch.where(counts, error * weight, 0), counts

    by_frame, counts = residual(config.alignment)
    data = by_frame.square().sum() / counts.sum().clamp_min(1) / 2
    gradient = temporal = log = data.new_zeros(())
    if config.gradient:
        gradient = gradient_matching(by_frame, counts)
    if config.temporal and prediction.shape[1] > 1:
        temporal = temporal_consistency(*(
            residual('clip') if config.alignment != 'clip' else (by_frame, counts)))
    if config.log:
        fitted, counts = _fitted(prediction, target, near.float(), near, 'frame',
                                 config.least_correlation)
        log = log_error(fitted, target, counts & near, config.sky_below)
    total = data + config.gradient * gradient + config.temporal * temporal + config.log * log
    return LossTerms(total, data, gradient, temporal, log)


def align(prediction: Tensor, target: Tensor, weight: Tensor,
          least_correlation: float = 0.3) -> tuple[Tensor, Tensor]:
    """
    Return scale and shift (G, 1) that fit prediction to target, both (G, K), weights (G, K).

    Weighted least squares, save that the scale is at least least_correlation times the ratio of
    the standard deviations, which keeps it positive. Unsigned least squares would give minus the
    depth the same loss as the depth; and with a scale cut off at zero a prediction of the wrong
    sign would have no gradient. With this bound the squared loss is 1 - r^2 in the correlation
    r above the bound and goes on along its tangent below, so that it falls steadily with r.
    """
    total = weight.sum(1, keepdim=True).clamp_min(1e-12)
    share = weight / total
    mean_p = (share * prediction).sum(1, keepdim=True)
    mean_t = (share * target).sum(1, keepdim=True)
    centred_p, centred_t = prediction - mean_p, target - mean_t
    variance_p = (share * centred_p.square()).sum(1, keepdim=True) + EPS
    variance_t = (share * centred_t.square()).sum(1, keepdim=True)
    covariance = (share * centred_p * centred_t).sum(1, keepdim=True)
    # Two roots, since the root of a quotient of zero has no finite gradient.
    scale = torch.maximum(covariance / variance_p,
                          least_correlation * variance_t.sqrt() / variance_p.sqrt())
    return scale, mean_t - scale * mean_p


def gradient_matching(residual: Tensor, valid: Tensor) -> Tensor:
    """
    Return sum over strides 1, 2, 4, 8 of the mean |dx R| + |dy R| of residual R (..., H, W).

    A difference counts only where both of its pixels are valid, bool (..., H, W).
    """
    total = residual.new_zeros(())
    for stride in STRIDES:
        r, known = residual[..., ::stride, ::stride], valid[..., ::stride, ::stride]
        across = known[..., :, 1:] & known[..., :, :-1]
        down = known[..., 1:, :] & known[..., :-1, :]
        steps = ((r[..., :, 1:] - r[..., :, :-1]).abs() * across).sum() \
            + ((r[..., 1:, :] - r[..., :-1, :]).abs() * down).sum()
        total = total + steps / known.sum().clamp_min(1)
    return total


def temporal_consistency(residual: Tensor, valid: Tensor) -> Tensor:
    """
    Return the mean change of the residual from frame to frame, (N, T, H, W), T > 1.

    The residual is that of one scale and shift for the clip. Its change is what the prediction
    does in time beyond what the target does.
    """
    both = valid[:, 1:] & valid[:, :-1]
    change = (residual[:, 1:] - residual[:, :-1]).abs() * both
    return change.sum() / both.sum().clamp_min(1)


def log_error(fitted: Tensor, target: Tensor, valid: Tensor, least: float) -> Tensor:
    """
    Return the mean |log D' - log D| of inverse depths in 1/m, D at least `least`.

    Below `least` the logarithm goes on along its tangent, so that a prediction too far away, or
    behind the camera, still has a gradient that leads back.
    """
    above = fitted.clamp_min(least)
    error = (above / target.clamp_min(least)).log() + (fitted - above) / least
    return (error.abs() * valid).sum() / valid.sum().clamp_min(1)


def _error_weight(target: Tensor, valid: Tensor, config: LossConfig) -> Tensor:
    """Return what errors are multiplied with; `valid` are the pixels whose spread counts."""
    if config.weighting == 'relative':
        return 1 / (target.clamp_min(0) + config.relative_floor)
    if config.normalization == 'none':
        return torch.ones_like(target)
    over = (2, 3) if config.normalization == 'frame' else (1, 2, 3)
    count = valid.sum(over, keepdim=True).clamp_min(1)
    mean = (target * valid).sum(over, keepdim=True) / count
    spread = (((target - mean).square() * valid).sum(over, keepdim=True) / count).sqrt()
    return (1 / spread.clamp_min(LEAST_SPREAD).maximum(LEAST_SPREAD_SHARE * mean)
            ).expand_as(target)


def _fitted(prediction: Tensor, target: Tensor, weight: Tensor, valid: Tensor, over: str,
            least_correlation: float) -> tuple[Tensor, Tensor]:
    """
    Return s P + t, fitted to the valid pixels, and where it counts, all (N, T, H, W).

    It counts in frames, or clips, with enough valid pixels.
    """
    def grouped(x: Tensor) -> Tensor:
        return x.flatten(0, 1).flatten(1) if over == 'frame' else x.flatten(1)

    known = grouped(valid)
    enough = known.sum(1, keepdim=True) >= LEAST_PIXELS
    p = grouped(prediction)
    # Least squares of weighted errors: the squares are weighted by the squares.
    scale, shift = align(p, grouped(target), grouped(weight * valid).square() * enough,
                         least_correlation)
    return ((scale * p + shift).reshape(prediction.shape),
            enough.expand_as(p).reshape(prediction.shape))
