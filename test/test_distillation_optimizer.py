# Copyright 2026 depth_anyevent_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""What Muon does to matrices, and what it leaves to AdamW."""
import copy
import math

import pytest
import torch

from depth_anyevent_ros.distillation.optimizer import (
    MOMENTUM, new_optimizer, orthogonal, UPDATE_RMS)
from depth_anyevent_ros.distillation.training_config import training_config
from depth_anyevent_ros.networks.depth_network import DepthNetwork
from depth_anyevent_ros.networks.initialization import initialize_weights

RATE, DECAY = 1e-2, 0.5
BY_MUON = 'depth_head.scratch.refinenet1.resConfUnit1.conv1.weight'
BY_ADAMW = ('depth_head.scratch.refinenet1.resConfUnit1.conv1.bias', 'pretrained.pos_embed',
            'pretrained.patch_embed.stages.0.0.weight', 'pretrained.norm.weight',
            'depth_head.scratch.output_conv2.2.weight')


def networks():
    """Return a network, a copy of it, and an optimizer of each: Muon and AdamW."""
    found = []
    for kind in ('muon', 'adamw'):
        settings = training_config({
            'name': 'x', 'network': {'preset': 'tiny-r', 'features': 16},
            'data': {'train': ['.']}, 'stages': [{'height': 42, 'width': 56, 'steps': 9}],
            'optimizer': {'kind': kind, 'weight_decay': DECAY}})
        network = DepthNetwork(settings.network)
        initialize_weights(network, 0)
        new = new_optimizer(network, settings, 'cpu', 'fp32')
        for group in new.param_groups:
            group['lr'] = RATE
        found.append((dict(network.named_parameters()), new))
    return found


def step(weights, optimizer, seed=0):
    """Do a step with random gradients, and return those by name."""
    generator = torch.Generator().manual_seed(seed)
    gradients = {}
    for name, weight in weights.items():
        gradients[name] = torch.randn(weight.shape, generator=generator)
        weight.grad = gradients[name].clone()
    optimizer.step()
    return gradients


@pytest.mark.parametrize('arithmetic', [torch.float32, torch.bfloat16])
@pytest.mark.parametrize('shape', [(32, 288), (192, 24), (64, 64)])
def test_singular_values_become_alike_and_directions_stay(shape, arithmetic):
    matrix = torch.randn(shape, generator=torch.Generator().manual_seed(1))
    matrix *= torch.logspace(0, -1, shape[1])  # of widely different strength
    u, _, v = torch.linalg.svd(matrix, full_matrices=False)
    found = orthogonal(matrix, arithmetic)
    assert found.shape == matrix.shape and found.dtype == matrix.dtype
    values = torch.diagonal(u.T @ found @ v.T)
    assert 0.5 < values.quantile(0.1) and values.max() < 1.3
    off = u.T @ found @ v.T - torch.diag(values)
    assert off.norm() < 0.1 * values.norm()


def test_nothing_comes_of_nothing():
    assert torch.equal(orthogonal(torch.zeros(8, 20)), torch.zeros(8, 20))


def test_matrices_move_by_muon_and_the_rest_as_by_adamw():
    (weights, muon), (others, adamw) = networks()
    begin = copy.deepcopy(weights)
    gradients = step(weights, muon)
    step(others, adamw)
    for name in BY_ADAMW:
        assert torch.equal(weights[name], others[name]), name
        assert not torch.equal(weights[name], begin[name]), name
    update = (begin[BY_MUON] * (1 - RATE * DECAY) - weights[BY_MUON]).detach().flatten(1) / RATE
    # The first momentum is the gradient itself, so that only its direction counts.
    expected = orthogonal(gradients[BY_MUON].flatten(1))
    columns = expected.shape[1]
    assert torch.allclose(update, expected * UPDATE_RMS * math.sqrt(columns), rtol=1e-3, atol=1e-3)
    assert update.square().mean().sqrt() == pytest.approx(UPDATE_RMS, rel=0.25)


def test_momentum_is_kept_between_steps():
    (weights, muon), _ = networks()
    first = step(weights, muon, 0)[BY_MUON]
    second = step(weights, muon, 1)[BY_MUON]
    assert torch.allclose(muon.state[weights[BY_MUON]]['momentum'], MOMENTUM * first + second,
                          atol=1e-6)


def test_what_is_not_trained_stays():
    (weights, muon), _ = networks()
    begin = copy.deepcopy(weights)
    for name, weight in weights.items():
        weight.grad = torch.ones_like(weight) if name == BY_MUON else None
    muon.step()
    moved = [name for name, weight in weights.items() if not torch.equal(weight, begin[name])]
    assert moved == [BY_MUON]
