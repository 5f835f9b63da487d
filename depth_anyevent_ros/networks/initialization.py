# Copyright 2026 depth_anyevent_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Random weights to start training from, and for a student that nobody has trained yet."""

from __future__ import annotations

import math

import torch
from torch import nn, Tensor

from depth_anyevent_ros.networks.convlstm import ConvLSTM
from depth_anyevent_ros.networks.depth_network import DepthNetwork
from depth_anyevent_ros.networks.dinov2 import GRID, LayerScale
from depth_anyevent_ros.networks.holding import HoldGates
from depth_anyevent_ros.networks.hybrid import HybridEmbedding

# What a block adds to its input at first. With 1 the blocks of a tiny student grew one large
# vector, the same for every input, beside which the input's own share vanished in the norms.
LAYER_SCALE = 0.2
OPEN = 2.0  # a gate that holds, before its sigmoid
# Position embedding: waves from a quarter of a turn over the picture to four turns.
POSITION_STD, SLOWEST_TURNS, FASTEST_TURNS = 0.35, 0.25, 4.0


@torch.no_grad()
def initialize_weights(network: DepthNetwork, seed: int = 0) -> None:
    """
    Set every weight of `network`, in place, from `seed` alone (torch's own seed is untouched).

    The output is near 1 everywhere and varies with the input: random output layers would put
    most of a ReLU's output at zero, where no gradient leads away from.
    """
    generator = torch.Generator().manual_seed(seed)
    for module in network.modules():
        if isinstance(module, nn.Linear):
            # Glorot and Bengio (2010); a ViT's usual 0.02 is for widths from 768 on.
            _normal(module.weight, math.sqrt(2 / sum(module.weight.shape)), generator)
            module.bias.zero_()
        elif isinstance(module, nn.LayerNorm):
            module.weight.fill_(1)
            module.bias.zero_()
        elif isinstance(module, LayerScale):
            module.gamma.fill_(LAYER_SCALE)
        elif isinstance(module, (nn.Conv2d, nn.ConvTranspose2d)):
            # Gain 1, not He's 2: most convolutions here are not followed by a ReLU.
            _normal(module.weight, math.sqrt(1 / _fan_in(module)), generator)
            if module.bias is not None:
                module.bias.zero_()
    for module in network.modules():
        if isinstance(module, HybridEmbedding):
            convolutions = [layer for stage in module.stages for layer in stage[::2]]
            for layer in (*convolutions[1:], module.proj):  # a GELU comes before each
                layer.weight.mul_(math.sqrt(2))
        if isinstance(module, ConvLSTM):
            # Forget bias 1, so that a state lasts (Jozefowicz et al., ICML 2015).
            module.Gates.bias.chunk(4)[1].fill_(1)
        if isinstance(module, HoldGates):
            _open(module)
    output = network.depth_head.scratch.output_conv2[-1]
    output.weight.mul_(0.3)
    output.bias.fill_(1)
    encoder = network.pretrained
    _normal(encoder.cls_token, POSITION_STD, generator)
    encoder.pos_embed.copy_(_waves(encoder.pos_embed.shape[-1]))
    encoder.mask_token.zero_()


def _open(gates: HoldGates) -> None:
    """Let them be open alike for all frames, so that a network begins as it is without them."""
    for module in gates.modules():
        if isinstance(module, nn.Conv2d) or module is gates.decide:
            module.weight.zero_()
    gates.decide.bias.fill_(OPEN)


def _waves(width: int) -> Tensor:
    """
    Return a position embedding (1, 1 + 37 * 37, width) of sines along rows and columns.

    Fixed waves as in Vaswani et al. (2017), here over the picture, whatever its size: random
    vectors take far longer to become positions. The class token's is zero.
    """
    quarter = width // 4
    turns = torch.logspace(math.log10(SLOWEST_TURNS), math.log10(FASTEST_TURNS), quarter)
    place = (torch.arange(GRID) + 0.5) / GRID
    angles = 2 * math.pi * place[:, None] * turns
    waves = torch.cat((angles.sin(), angles.cos()), 1)
    grid = torch.cat((waves[None].expand(GRID, -1, -1), waves[:, None].expand(-1, GRID, -1)), 2)
    grid = torch.cat((torch.zeros(1, grid.shape[-1]), grid.flatten(0, 1)))
    padded = torch.zeros(1, 1 + GRID * GRID, width)
    padded[..., :4 * quarter] = POSITION_STD * math.sqrt(2) * grid
    return padded


def _fan_in(layer: nn.Conv2d | nn.ConvTranspose2d) -> float:
    """Return how many inputs reach one output; a transposed one spreads its kernel by stride."""
    taps = math.prod(layer.kernel_size)
    if isinstance(layer, nn.ConvTranspose2d):
        taps /= math.prod(layer.stride)
    return layer.in_channels * taps


def _normal(tensor: Tensor, std: float, generator: torch.Generator) -> None:
    tensor.normal_(0, std, generator=generator)
