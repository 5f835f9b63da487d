# Copyright 2026 depth_anyevent_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Do these weights fit this network? Said in sentences that name the keys at fault."""

from __future__ import annotations

from typing import Mapping

import torch
from torch import Tensor

from depth_anyevent_ros.networks.config import NetworkConfig
from depth_anyevent_ros.networks.depth_network import DepthNetwork

Shape = tuple[int, ...]
NAMED = 3  # keys that a message names before it only counts


class CheckpointError(ValueError):
    """A checkpoint cannot be used; the message says what was expected, came, and to do."""


def expected_shapes(config: NetworkConfig) -> dict[str, Shape]:
    """Return the shape of each entry of the network's state dict; allocates no weights."""
    with torch.device('meta'):
        network = DepthNetwork(config)
    return {key: tuple(tensor.shape) for key, tensor in network.state_dict().items()}


def check_shapes(name: str, expected: Mapping[str, Shape], found: Mapping[str, Shape]) -> None:
    """Raise CheckpointError unless both name the same keys with the same shapes."""
    missing = [key for key in expected if key not in found]
    unexpected = [key for key in found if key not in expected]
    misshaped = [f'{key} is {found[key]} instead of {shape}' for key, shape in expected.items()
                 if key in found and tuple(found[key]) != tuple(shape)]
    problems = [f'{len(items)} {what} ({_first(items)})' for what, items in (
        ('missing', missing), ('unexpected', unexpected), ('mis-shaped', misshaped)) if items]
    if problems:
        raise CheckpointError(
            f'The weights in {name} do not fit the network: of {len(expected)} keys expected and '
            f'{len(found)} found, {"; ".join(problems)}. The file belongs to another '
            'architecture or was altered: use the checkpoint that goes with this model.')


def check_finite(name: str, weights: Mapping[str, Tensor]) -> None:
    """Raise CheckpointError if a weight is NaN or infinite."""
    bad = [key for key, tensor in weights.items() if not bool(tensor.isfinite().all())]
    if bad:
        raise CheckpointError(
            f'{len(bad)} of {len(weights)} tensors for {name} hold NaN or infinite values '
            f'({_first(bad)}); finite numbers were expected. The training that made them '
            'diverged, or the file is damaged: use an earlier checkpoint.')


def build_network(config: NetworkConfig, weights: Mapping[str, Tensor]) -> DepthNetwork:
    """Return a network that owns float32 copies of `weights`, whose shapes were checked."""
    with torch.device('meta'):
        network = DepthNetwork(config)
    copies = {key: tensor.to(torch.float32, copy=True) for key, tensor in weights.items()}
    network.load_state_dict(copies, strict=True, assign=True)
    return network.eval()


def _first(items: list[str]) -> str:
    more = ', ...' if len(items) > NAMED else ''
    return ', '.join(item[:120] for item in items[:NAMED]) + more
