# Copyright 2026 depth_anyevent_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""The losses against numpy's least squares and loops, and where a loss has to stay harmless."""
import numpy as np
import pytest
import torch

from depth_anyevent_ros.distillation.loss_config import LossConfig
from depth_anyevent_ros.distillation.losses import (
    align, depth_loss, gradient_matching, log_error, temporal_consistency)

CONFIGS = [LossConfig(temporal=0.3), LossConfig(alignment='clip', normalization='clip'),
           LossConfig(weighting='relative', temporal=0.3), LossConfig(normalization='none'),
           LossConfig(log=1.0, sky_below=0.2, temporal=0.3)]


def scene(seed=0, shape=(3, 2, 24, 32), unknown=0.2):
    """Return a target with holes, and a prediction that resembles it."""
    generator = torch.Generator().manual_seed(seed)
    target = torch.rand(shape, generator=generator)
    target = torch.nn.functional.avg_pool2d(target, 5, 1, 2) + 0.1
    prediction = 2 * target + 1 + 0.1 * torch.rand(shape, generator=generator)
    target[torch.rand(shape, generator=generator) < unknown] = float('nan')
    return prediction, target


def by_loops(prediction, target, gradient):
    """METHOD.md's loss in numpy, with the batch's sums divided by the batch's masks."""
    prediction, target = prediction.numpy().astype(float), target.numpy().astype(float)
    frames = [(p, d) for p, d in zip(prediction.reshape(-1, *prediction.shape[2:]),
                                     target.reshape(-1, *target.shape[2:]))]
    residuals, pixels = [], 0
    for p, d in frames:
        m = np.isfinite(d)
        s, t = np.linalg.lstsq(np.stack([p[m], np.ones(m.sum())], 1), d[m], rcond=None)[0]
        residuals.append(s * p + t - d)
        pixels += m.sum()
    data = sum(np.nansum(r ** 2) for r in residuals) / (2 * pixels)
    total = 0
    for k in (1, 2, 4, 8):
        steps = known = 0
        for r in residuals:
            r = r[::k, ::k]
            steps += np.nansum(np.abs(np.diff(r, axis=0))) + np.nansum(np.abs(np.diff(r, axis=1)))
            known += np.isfinite(r).sum()
        total += steps / known
    return data + gradient * total


def test_the_loss_is_the_published_one():
    prediction, target = scene()
    config = LossConfig(gradient=0.5, normalization='none')
    ours = depth_loss(prediction, target, config).total
    assert float(ours) == pytest.approx(by_loops(prediction, target, 0.5), rel=1e-4)


@pytest.mark.parametrize('config', CONFIGS)
def test_scale_and_shift_of_the_prediction_do_not_count(config):
    prediction, target = scene()
    before = depth_loss(prediction, target, config).total
    after = depth_loss(7 * prediction - 3, target, config).total
    assert float(after) == pytest.approx(float(before), rel=1e-3)
    perfect = target.nan_to_num(0.5)
    assert float(depth_loss(3 * perfect + 2, target, config).total) < 1e-4


@pytest.mark.parametrize('config', [
    LossConfig(temporal=0.3), LossConfig(normalization='none'),
    LossConfig(alignment='clip', normalization='clip')])
def test_a_shift_of_labels_without_unit_does_not_count(config):
    prediction, target = scene()
    below = target - float(target.nanmean()) - 0.02
    assert (below < 0).any() and (below > 0).any()
    for name in ('total', 'data', 'gradient', 'temporal'):
        assert float(getattr(depth_loss(prediction, below, config), name)) == pytest.approx(
            float(getattr(depth_loss(prediction, target, config), name)), rel=1e-3)


def test_frames_of_near_and_far_scenes_count_alike():
    prediction, target = scene()
    near = target.clone()
    near[:, 1] *= 20
    config = LossConfig()
    assert float(depth_loss(prediction, near, config).total) == pytest.approx(
        float(depth_loss(prediction, target, config).total), rel=1e-4)
    plain = LossConfig(normalization='none')
    assert float(depth_loss(prediction, near, plain).data) > \
        50 * float(depth_loss(prediction, target, plain).data)


def test_the_relative_residual_is_the_relative_error_of_depth():
    """With a floor of nearly nothing (D - D*) / D* is AbsRel's numerator to first order."""
    prediction, target = scene(unknown=0)
    config = LossConfig(gradient=0, weighting='relative', relative_floor=1e-4)
    p, d = prediction.numpy().astype(float), target.numpy().astype(float)
    expected = []
    for frame, truth in zip(p.reshape(-1, p[0, 0].size), d.reshape(-1, p[0, 0].size)):
        rows = np.stack([frame, np.ones(len(frame))], 1) / truth[:, None]
        s, t = np.linalg.lstsq(rows, np.ones(len(frame)), rcond=None)[0]
        expected.append(np.mean(((s * frame + t) / truth - 1) ** 2) / 2)
    assert float(depth_loss(prediction, target, config).total) == pytest.approx(
        np.mean(expected), rel=2e-3)


def test_labels_below_0_weigh_no_less_than_what_is_far():
    """As a teacher's labels may be, which have no unit."""
    config = LossConfig(gradient=0, weighting='relative', relative_floor=0.05)
    prediction, target = scene(unknown=0)
    below = target - target.mean()
    assert below.min() < -config.relative_floor
    below[0, 0, 0, 0] = -config.relative_floor
    prediction.requires_grad_()
    loss = depth_loss(prediction, below, config).total
    # Errors are multiplied with 1 / floor at most, and are no larger than the labels' spread.
    assert 0 < loss.item() <= (float(below.std()) / config.relative_floor) ** 2
    loss.backward()
    assert prediction.grad.isfinite().all() and prediction.grad.any()


def test_alignment_is_weighted_least_squares():
    generator = torch.Generator().manual_seed(1)
    p, w = torch.rand((2, 2, 500), generator=generator)
    d = 3 * p - 1 + 0.1 * torch.rand((2, 500), generator=generator)
    scale, shift = align(p, d, w)
    for row in range(2):
        root = w[row].sqrt().double().numpy()
        rows = np.stack([p[row].numpy(), np.ones(500)], 1) * root[:, None]
        expected = np.linalg.lstsq(rows, d[row].numpy() * root, rcond=None)[0]
        np.testing.assert_allclose([scale[row, 0], shift[row, 0]], expected, rtol=1e-4)


def test_minus_the_depth_is_the_worst_not_the_best():
    _, target = scene(unknown=0)
    noise = torch.rand(target.shape, generator=torch.Generator().manual_seed(3))
    right, flat, wrong = (float(depth_loss(p, target, LossConfig()).data)
                          for p in (target, noise, -target))
    assert right < flat < wrong


@pytest.mark.parametrize('config', CONFIGS)
def test_a_prediction_of_the_wrong_sign_finds_its_way_back(config):
    """By gradient descent on the pixels from minus the depth, the correlation becomes positive."""
    _, target = scene(unknown=0)
    noise = torch.rand(target.shape, generator=torch.Generator().manual_seed(5))
    prediction = (-target + 0.02 * noise).requires_grad_()
    optimizer = torch.optim.Adam([prediction], 0.02)
    for _ in range(60):
        optimizer.zero_grad()
        depth_loss(prediction, target, config).total.backward()
        optimizer.step()
    pixels = torch.stack([prediction.detach().flatten(), target.flatten()])
    assert float(torch.corrcoef(pixels)[0, 1]) > 0.5


@pytest.mark.parametrize('config', CONFIGS)
@pytest.mark.parametrize('prediction, target', [
    (torch.full((2, 2, 16, 16), 1.0), scene(shape=(2, 2, 16, 16))[1]),
    (scene(shape=(2, 2, 16, 16))[0], torch.full((2, 2, 16, 16), 0.3)),
    (scene(shape=(2, 2, 16, 16))[0], torch.zeros(2, 2, 16, 16)),
    (scene(shape=(2, 2, 16, 16))[0], torch.full((2, 2, 16, 16), float('nan'))),
    (torch.zeros(1, 1, 16, 16), torch.zeros(1, 1, 16, 16)),
])
def test_degenerate_frames_give_finite_losses_and_gradients(config, prediction, target):
    prediction = prediction.clone().requires_grad_()
    terms = depth_loss(prediction, target, config)
    terms.total.backward()
    assert bool(terms.total.isfinite()) and bool(prediction.grad.isfinite().all())


def test_frames_with_too_few_pixels_do_not_count():
    prediction, target = scene()
    target[0, 0] = float('nan')
    target[0, 0, 0, :10] = 0.4
    lost = prediction.clone().requires_grad_()
    depth_loss(lost, target, LossConfig()).total.backward()
    assert not lost.grad[0, 0].any() and lost.grad[1, 0].any()


def test_a_difference_needs_both_pixels():
    residual = torch.arange(6.0).repeat(2, 1) ** 2
    valid = torch.ones(2, 6, dtype=torch.bool)
    valid[:, 2] = False
    # Of stride 1: (1 - 0) + (16 - 9) + (25 - 16) in two rows of 5; strides of more than 1 see
    # one row: 0 and 4 are neighbours at stride 4, at stride 2 the hole is between them.
    expected = 2 * (1 + 7 + 9) / 10 + 0 + 16 / 2 + 0
    assert float(gradient_matching(residual, valid)) == pytest.approx(expected)


def test_temporal_term_sees_flicker_and_not_motion():
    generator = torch.Generator().manual_seed(2)
    target = torch.rand((6, 1, 20, 20), generator=generator)
    config = LossConfig(temporal=1.0)
    assert float(depth_loss(2 * target + 1, target, config).temporal) < 1e-4
    flicker = target * torch.tensor([1, 2.0] * 3)[:, None, None, None]
    terms = depth_loss(flicker, target, config)
    assert float(terms.data) < 1e-6 and float(terms.temporal) > 0.1


def test_temporal_consistency_counts_pixels_known_in_both():
    residual = torch.tensor([1.0, 4.0, 6.0])[None, :, None, None].expand(1, 3, 1, 2)
    valid = torch.ones(1, 3, 1, 2, dtype=torch.bool)
    valid[0, 1, 0, 1] = False
    assert float(temporal_consistency(residual, valid)) == pytest.approx((3 + 2) / 2)


def with_sky(seed=1):
    """Return prediction and target whose upper half is sky, and where the sky is."""
    prediction, target = scene(seed, unknown=0.1)
    sky = torch.zeros_like(target, dtype=torch.bool)
    sky[..., :12, :] = True
    return prediction, torch.where(sky & target.isfinite(), 0.0, target), sky


def test_of_the_sky_it_only_matters_that_it_is_far():
    config = LossConfig(log=1.0, sky_below=0.02, temporal=0.3, gradient=0)
    prediction, target, sky = with_sky()
    exact = torch.where(target.isfinite(), target, 1.0)
    # Far, beyond infinity, and of any pattern: the same, and no loss at all.
    for behind in (exact, torch.where(sky, -prediction, exact)):
        assert float(depth_loss(behind, target, config).total) == pytest.approx(0, abs=1e-5)
    near = depth_loss(torch.where(sky, 0.5, exact), target, config)
    assert float(near.data) > 0.1
    assert float(near.log) == pytest.approx(0, abs=1e-3)  # the others fit as before
    # Where sky counts as depth, its pattern does matter.
    assert float(depth_loss(torch.where(sky, -prediction, exact), target,
                            LossConfig(gradient=0)).data) > 0.01


def test_the_log_term_is_the_error_of_the_logarithm_of_depth():
    prediction, target, sky = with_sky()
    found = depth_loss(prediction, target, LossConfig(log=1.0, sky_below=0.02)).log
    errors = []
    for p, d in zip(prediction.reshape(-1, 24, 32).numpy(), target.reshape(-1, 24, 32).numpy()):
        m = np.isfinite(d) & (d >= 0.02)
        s, t = np.linalg.lstsq(np.stack([p[m], np.ones(m.sum())], 1), d[m], rcond=None)[0]
        errors.append(np.abs(np.log(1 / (s * p[m] + t)) - np.log(1 / d[m])))
    assert float(found) == pytest.approx(np.concatenate(errors).mean(), rel=1e-3)


def test_the_log_term_leads_back_from_behind_the_camera():
    fitted = torch.tensor([[-3.0, 0.001, 0.5]], requires_grad=True)
    log_error(fitted, torch.tensor([[0.4, 0.4, 0.4]]), torch.ones(1, 3), 0.0125).backward()
    assert (fitted.grad[0, :2] < 0).all() and float(fitted.grad[0, 2]) > 0
    assert torch.isfinite(fitted.grad).all()


def test_a_loss_of_the_log_needs_to_know_what_is_sky():
    with pytest.raises(ValueError, match='needs loss.sky_below'):
        LossConfig(log=1.0)
