# Copyright 2026 depth_anyevent_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""
Weights moved by powers of two, so that the maps of a head fit into the range of fp16.

Nothing keeps the maps of a head small that was trained from scratch with bounded levels: those of
a former student reached 6e5, where fp16 ends at 65504. But their size does not matter. A level is
divided by its own, and from the last fusion on there are only convolutions, ReLUs and resizes, to
which a factor in front is one behind.
"""
from __future__ import annotations

import torch

from depth_anyevent_ros.networks.depth_network import DepthNetwork
from depth_anyevent_ros.networks.dpt import LEVELS

UNIT = 2.0**-6  # a power of two, so that no bit of the depth in fp32 changes


def fit_half_range(network: DepthNetwork) -> None:
    """Scale the weights of a head with bounded levels in place; its depth stays what it was."""
    head = network.depth_head
    if not head.bound_levels or head.level_unit != 1:
        return
    scratch = head.scratch
    head.level_unit = UNIT
    convolve, _, project = scratch.output_conv2
    with torch.no_grad():
        for level in LEVELS:
            getattr(scratch, f'layer{level}_rn').weight *= UNIT
        for weight in (*scratch.refinenet1.out_conv.parameters(), scratch.output_conv1.bias,
                       convolve.bias):
            weight *= UNIT
        project.weight /= UNIT  # in single precision, see DPTHead.fuse
