# Copyright 2026 depth_anyevent_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Positions that training left alone between those that it saw."""
import torch

from depth_anyevent_ros.distillation.positions import spread_positions
from depth_anyevent_ros.networks.config import network_preset
from depth_anyevent_ros.networks.depth_network import DepthNetwork
from depth_anyevent_ros.networks.initialization import initialize_weights


def test_positions_between_the_trained_ones_become_smooth():
    network = DepthNetwork(network_preset('tiny'))
    initialize_weights(network, 0)
    before = network.pretrained.position_embedding(5, 6).detach()
    spread_positions(network, 70, 84)
    after = network.pretrained.position_embedding(5, 6).detach()
    assert torch.corrcoef(torch.stack([before.flatten(), after.flatten()]))[0, 1] > 0.98
    # At twice the size a position now lies between its neighbours; it was noise before.
    fine = network.pretrained.position_embedding(10, 12).detach()[0, 1:].unflatten(0, (10, 12))
    coarse = after[0, 1:].unflatten(0, (5, 6))
    pooled = fine.unflatten(0, (5, 2)).unflatten(2, (6, 2)).mean((1, 3))
    assert torch.corrcoef(torch.stack([pooled.flatten(), coarse.flatten()]))[0, 1] > 0.95
