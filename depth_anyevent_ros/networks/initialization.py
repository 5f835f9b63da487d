# Copyright 2026 depth_anyevent_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Random weights to start training from, and for a student that nobody has trained yet."""

from __future__ import annotations

import math

import torch
from torch import nn, Tensor

from depth_anyevent_ros.networks.convlstm import ConvLSTM
from depth_anyevent_ros.networks.depth_network import DepthNetwork
from depth_anyevent_ros.networks.dinov2 import LayerScale

VIT_STD = 0.02  # of a ViT's linear layers, tokens and positions (Dosovitskiy et al., 2021)


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
            _normal(module.weight, VIT_STD, generator)
            module.bias.zero_()
        elif isinstance(module, nn.LayerNorm):
            module.weight.fill_(1)
            module.bias.zero_()
        elif isinstance(module, LayerScale):
            # 1, a plain ViT: a small start such as 1e-5 steadies very deep ones, but leaves
            # these few blocks without effect on an untrained output and slow to gain any.
            module.gamma.fill_(1)
        elif isinstance(module, (nn.Conv2d, nn.ConvTranspose2d)):
            # Gain 1, not He's 2: most convolutions here are not followed by a ReLU.
            _normal(module.weight, math.sqrt(1 / _fan_in(module)), generator)
            if module.bias is not None:
                module.bias.zero_()
    for module in network.modules():
        if isinstance(module, ConvLSTM):
            # Forget bias 1, so that a state lasts (Jozefowicz et al., ICML 2015).
            module.Gates.bias.chunk(4)[1].fill_(1)
    output = network.depth_head.scratch.output_conv2[-1]
    output.weight.mul_(0.3)
    output.bias.fill_(1)
    encoder = network.pretrained
    _normal(encoder.cls_token, VIT_STD, generator)
    _normal(encoder.pos_embed, VIT_STD, generator)
    encoder.mask_token.zero_()


def _fan_in(layer: nn.Conv2d | nn.ConvTranspose2d) -> float:
    """Return how many inputs reach one output; a transposed one spreads its kernel by stride."""
    taps = math.prod(layer.kernel_size)
    if isinstance(layer, nn.ConvTranspose2d):
        taps /= math.prod(layer.stride)
    return layer.in_channels * taps


def _normal(tensor: Tensor, std: float, generator: torch.Generator) -> None:
    tensor.normal_(0, std, generator=generator)
