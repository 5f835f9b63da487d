# Copyright 2026 depth_anyevent_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""One frame of a network as a function of plain tensors, for programs that know no more."""
from __future__ import annotations

from itertools import chain, islice

from torch import nn, Tensor

from depth_anyevent_ros.networks.depth_network import DepthNetwork
from depth_anyevent_ros.networks.state import RecurrentState


class Step(nn.Module):
    """One frame of a network with its normalisation, and the state as plain tensors."""

    def __init__(self, network: DepthNetwork, mean: Tensor, std: Tensor):
        super().__init__()
        self.network, self.mean, self.std = network, mean, std

    def state_shapes(self, height: int, width: int) -> list[tuple[int, ...]]:
        """Return the shape of each tensor of the state for an input of this size."""
        return list(chain.from_iterable(self.network.state_shapes(1, height, width).values()))

    def forward(self, image: Tensor, *state: Tensor) -> tuple[Tensor, ...]:
        """
        Predict one frame.

        image: (1, C, H, W) in [0, 1]. state: the tensors of each level, coarsest first.
        Returns inverse depth (1, H, W), then the new state.
        """
        parts = iter(state)
        before = RecurrentState(tuple(
            tuple(islice(parts, count)) for count in self.network.state_parts)) if state else None
        maps = self.network.pretrained((image - self.mean) / self.std)
        inverse_depth, after = self.network.decode(maps, 1, before)
        return (inverse_depth[0], *(after.tensors if after else ()))
