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


def depth_loss(prediction: Tensor, target: Tensor, config: LossConfig) -> LossTerms:
    """
    Return the loss of predicted inverse depth (T, N, H, W) against a target of the same shape.

    Frames (or clips) with too few known pixels do not count; a batch without any gives zeros
    with zero gradients. Computed in float32.
    """
    prediction, target = (x.float().transpose(0, 1) for x in (prediction, target))
    valid = target.isfinite()
    target = target.nan_to_num(0.0)
    weight = _error_weight(target, valid, config)
    residual, known = _residual(prediction, target, weight, valid, config.alignment,
                                config.least_correlation)
    data = residual.square().sum() / known.sum().clamp_min(1) / 2
    gradient = gradient_matching(residual, known) if config.gradient else data.new_zeros(())
    temporal = data.new_zeros(())
    if config.temporal and prediction.shape[1] > 1:
        if config.alignment != 'clip':
            residual, known = _residual(prediction, target, weight, valid, 'clip',
                                        config.least_correlation)
        temporal = temporal_consistency(residual, known)
    total = data + config.gradient * gradient + config.temporal * temporal
    return LossTerms(total, data, gradient, temporal)


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


def _error_weight(target: Tensor, valid: Tensor, config: LossConfig) -> Tensor:
    """Return what errors are multiplied with, 0 where the target (N, T, H, W) is unknown."""
    if config.weighting == 'relative':
        return valid / (target + config.relative_floor)
    if config.normalization == 'none':
        return valid.float()
    over = (2, 3) if config.normalization == 'frame' else (1, 2, 3)
    count = valid.sum(over, keepdim=True).clamp_min(1)
    mean = target.sum(over, keepdim=True) / count  # unknown pixels hold zero
    spread = (((target - mean).square() * valid).sum(over, keepdim=True) / count).sqrt()
    return valid / spread.clamp_min(LEAST_SPREAD).maximum(LEAST_SPREAD_SHARE * mean)


def _residual(prediction: Tensor, target: Tensor, weight: Tensor, valid: Tensor, over: str,
              least_correlation: float) -> tuple[Tensor, Tensor]:
    """Return weight * (s P + t - D) and which pixels count, all (N, T, H, W)."""
    def grouped(x: Tensor) -> Tensor:
        return x.flatten(0, 1).flatten(1) if over == 'frame' else x.flatten(1)

    known = grouped(valid)
    known = known & (known.sum(1, keepdim=True) >= LEAST_PIXELS)
    error_weight = grouped(weight)
    p, d = grouped(prediction), grouped(target)
    # Least squares of weighted errors: the squares are weighted by the squares.
    scale, shift = align(p, d, error_weight.square(), least_correlation)
    residual = torch.where(known, (scale * p + shift - d) * error_weight, 0)
    return residual.reshape(prediction.shape), known.reshape(prediction.shape)
