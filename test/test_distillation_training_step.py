# Copyright 2026 depth_anyevent_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""A step of the optimizer in place: as in a plain loop, and none where it is not finite."""
import copy
from dataclasses import replace
import math

import pytest
import torch

from depth_anyevent_ros.distillation import trainer, training_step as training_step_module
from depth_anyevent_ros.distillation.losses import depth_loss
from depth_anyevent_ros.distillation.optimizer import new_optimizer
from depth_anyevent_ros.distillation.training_config import OPTIMIZERS, training_config
from depth_anyevent_ros.distillation.training_step import (
    EAGER_STEPS, ready_to_train, TrainingStep)
from depth_anyevent_ros.networks.depth_network import DepthNetwork
from depth_anyevent_ros.networks.initialization import initialize_weights
from depth_anyevent_ros.networks.runtime import Placement

STEPS, LANES, SIZE = 3, 2, (42, 56)
RATE, SHARE = 1e-3, 0.1


def config(preset, kind='adamw'):
    return training_config({
        'name': 'x', 'network': {'preset': preset, 'features': 16}, 'data': {'train': ['.']},
        'stages': [{'height': SIZE[0], 'width': SIZE[1], 'steps': 9}],
        'loss': {'temporal': 0.1, 'gradient': 0.5},
        'optimizer': {'kind': kind, 'weight_decay': 0.01}})


def training_step(preset='tiny-r', device='cpu', precision='fp32', kind='adamw'):
    """Return a network, its average, and steps of it."""
    settings = config(preset, kind)
    network = DepthNetwork(settings.network)
    initialize_weights(network, 0)
    ready_to_train(network, device)
    average = copy.deepcopy(network).requires_grad_(False)
    optimizer = new_optimizer(network, settings, device, precision)
    scaler = torch.amp.GradScaler('cuda', enabled=precision == 'fp16')
    return network, average, TrainingStep(network, average, optimizer, scaler, settings,
                                          precision, (STEPS, LANES, 3, *SIZE))


def batches(count):
    generator = torch.Generator().manual_seed(1)
    for index in range(count):
        target = torch.rand((STEPS, LANES, *SIZE), generator=generator) + 0.1
        target[0, 0, :5] = torch.nan
        yield (torch.rand((STEPS, LANES, 3, *SIZE), generator=generator), target,
               torch.tensor([index == 0, index % 3 == 0]))


def flat(network):
    return torch.cat([weight.detach().flatten() for weight in network.parameters()])


def fill(step, batch):
    for place, value in zip((step.images, step.target, step.starts), batch):
        place.copy_(value)


@pytest.mark.filterwarnings('ignore:.*GradScaler')
@pytest.mark.parametrize('asked, found, used', [
    ('auto', 'fp16', 'fp32'), ('auto', 'bf16', 'bf16'), ('fp16', 'fp16', 'fp16')])
def test_half_precision_is_fp16_only_where_it_is_asked_for(monkeypatch, asked, found, used):
    monkeypatch.setattr(training_step_module, 'placement_here',
                        lambda *_: Placement('cpu', found, None))
    assert trainer.Trainer(replace(config('tiny-r'), precision=asked))._precision == used


@pytest.mark.parametrize('preset', ['tiny-r', 'tiny'])
def test_steps_are_those_of_a_plain_loop(preset):
    network, average, step = training_step(preset)
    plain, mean = copy.deepcopy(network), copy.deepcopy(average)
    begin = flat(network)
    optimizer = torch.optim.AdamW([
        {'params': [weight], 'weight_decay': 0.01 if weight.dim() >= 2 and not name.endswith(
            ('embed', 'token')) else 0} for name, weight in plain.named_parameters()],
        lr=RATE, betas=(0.9, 0.99), foreach=False)
    state, losses = None, []
    for images, target, starts in batches(5):
        fill(step, (images, target, starts))
        step(RATE, SHARE)
        resets = torch.zeros((STEPS, LANES), dtype=torch.bool)
        resets[0] = starts
        prediction, state = plain.forward_sequence(
            images, state, resets if preset == 'tiny-r' else None)
        loss = depth_loss(prediction, target, config(preset).loss).total
        optimizer.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(plain.parameters(), 1.0)
        optimizer.step()
        state = state and state.detach()
        losses.append(loss.item())
        with torch.no_grad():
            for before, now in zip(mean.parameters(), plain.parameters()):
                before.copy_((1 - SHARE) * before + SHARE * now)
    for found, expected in ((network, plain), (average, mean)):
        # As a whole: where a gradient is next to nothing, AdamW blows up how it was rounded.
        moved = (flat(expected) - begin).norm()
        assert moved > 0.1 and (flat(found) - flat(expected)).norm() < 0.01 * moved
    assert step.means()['loss'] == pytest.approx(sum(losses) / 5, rel=1e-4)
    assert step.bad_steps == 0


def _moments(step):
    return [value for state in step.optimizer.state.values() for value in state.values()]


@pytest.mark.parametrize('kind', OPTIMIZERS)
def test_a_gradient_that_is_not_finite_changes_nothing(kind):
    network, average, step = training_step(kind=kind)
    good, bad, other = batches(3)
    fill(step, good)
    step(RATE, SHARE)
    before = [weight.clone() for weight in (*network.parameters(), *average.parameters())]
    moments = [value.clone() for value in _moments(step)]
    assert len(moments) > len(before) / 2
    for count in (1, 2):
        fill(step, (torch.full_like(bad[0], torch.inf), *bad[1:]))
        step(RATE, SHARE)
        assert step.bad_steps == count
    for weight, kept in zip((*network.parameters(), *average.parameters()), before):
        assert torch.equal(weight, kept)
    assert all(map(torch.equal, moments, _moments(step)))
    assert not any(tensor.any() for level in step.state.levels for tensor in level)
    fill(step, other)
    step(RATE, SHARE)
    assert step.bad_steps == 0
    assert not torch.equal(next(network.parameters()), before[0])
    assert all(weight.isfinite().all() for weight in network.parameters())


def test_a_step_that_is_skipped_takes_no_part_in_the_means():
    good, bad = batches(2)
    bad = (torch.full_like(bad[0], torch.inf), *bad[1:])
    found = []
    for steps in ([good], [good, bad], [bad, bad]):
        _, _, step = training_step('tiny')
        for batch in steps:
            fill(step, batch)
            step(RATE, SHARE)
        found.append(step.means())
    alone, beside, none = found
    assert 'skipped_steps' not in alone and all(map(math.isfinite, alone.values()))
    assert beside == {**alone, 'skipped_steps': 1}
    assert none.pop('skipped_steps') == 2 and all(map(math.isnan, none.values()))


def learned(step):
    """Return the losses of three times the same steps."""
    losses = []
    for _ in range(3):
        for batch in batches(EAGER_STEPS + 1):
            fill(step, batch)
            step(RATE, SHARE)
            losses.append(step.means()['loss'])
    return losses


def test_bfloat16_on_a_cpu_learns_as_fp32_does():
    network, average, step = training_step(precision='bf16')
    losses, expected = learned(step), learned(training_step()[2])
    assert losses != expected and losses == pytest.approx(expected, rel=0.05)
    assert losses[-1] < losses[0]
    assert {weight.dtype for one in (network, average) for weight in one.parameters()} == {
        torch.float32}


@pytest.mark.skipif(not torch.cuda.is_available(), reason='needs a GPU')
@pytest.mark.parametrize('precision, kind, close', [
    ('fp32', 'adamw', 0.01), ('bf16', 'adamw', 0.05), ('fp16', 'adamw', 0.05),
    ('fp32', 'muon', 0.05), ('bf16', 'muon', 0.1)])
def test_a_graph_learns_as_the_cpu_does(precision, kind, close):
    network, _, step = training_step('tiny-r', 'cuda', precision, kind)
    losses = learned(step)
    assert losses == pytest.approx(learned(training_step(kind=kind)[2]), rel=close)
    assert losses[-1] < losses[0]
    fill(step, (torch.full_like(step.images, torch.inf), step.target, step.starts))
    before = [weight.clone() for weight in network.parameters()]
    step(RATE, SHARE)
    assert step.bad_steps == 1
    assert all(torch.equal(weight, kept) for weight, kept in zip(network.parameters(), before))
