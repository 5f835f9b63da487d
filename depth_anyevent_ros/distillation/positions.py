# Copyright 2026 depth_anyevent_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""The position embedding between sizes of the input."""
from __future__ import annotations

import torch
import torch.nn.functional as F

from depth_anyevent_ros.networks.config import PATCH
from depth_anyevent_ros.networks.depth_network import DepthNetwork
from depth_anyevent_ros.networks.dinov2 import GRID


@torch.no_grad()
def spread_positions(network: DepthNetwork, height: int, width: int) -> None:
    """
    Make the position embedding between the points that an input of this size uses smooth.

    height, width: pixels. The embedding is a grid of 37 x 37 of which a small input samples a
    few points; those between are never trained, and would be noise to an input of another size
    or shape. They get what lies between their trained neighbours.
    """
    encoder = network.pretrained
    rows, columns = height // PATCH, width // PATCH
    if rows == columns == GRID:
        return
    used = encoder.position_embedding(rows, columns)
    grid = used[:, 1:].unflatten(1, (rows, columns)).permute(0, 3, 1, 2)
    grid = F.interpolate(grid, (GRID, GRID), mode='bicubic', align_corners=False)
    encoder.pos_embed[:, 1:] = grid.flatten(2).transpose(1, 2)
