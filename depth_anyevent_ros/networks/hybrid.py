# Copyright 2026 depth_anyevent_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""
Convolutions before the transformer, as in DPT-Hybrid (Ranftl et al., ICCV 2021).

A transformer from scratch learns slowly where a picture's edges are; convolutions see them at
once. They make the tokens, and the two finest maps of the pyramid in place of tapped blocks.
"""
from __future__ import annotations

from torch import nn, Tensor
import torch.nn.functional as F

from depth_anyevent_ros.networks.config import PATCH


class HybridEmbedding(nn.Module):
    """
    Two convolutions each at 7, 4 and 2 times the patch grid, then 2 by 2 cells to a token.

    Nothing is normalised here: how few events a window has must remain to be seen.
    """

    def __init__(self, width: int, channels: int, stages: tuple[int, int, int]):
        super().__init__()
        inputs = (channels, *stages)
        self.stages = nn.ModuleList(
            nn.Sequential(
                nn.Conv2d(before, after, kernel_size=3, stride=2 if first else 1, padding=1),
                nn.GELU(),
                nn.Conv2d(after, after, kernel_size=3, padding=1),
                nn.GELU())
            for first, before, after in zip((True, False, False), inputs, stages))
        self.proj = nn.Conv2d(stages[-1], width, kernel_size=2, stride=2)

    def forward(self, image: Tensor) -> tuple[Tensor, list[Tensor]]:
        """
        Turn image (N, C, H, W) into tokens (N, H/14 * W/14, width), row by row, and two maps.

        The maps are (N, stages[1], 4 H/14, 4 W/14) and (N, stages[2], 2 H/14, 2 W/14).
        """
        rows, columns = (side // PATCH for side in image.shape[-2:])
        half, quarter, eighth = self.stages
        x = half(image)
        x = fine = quarter(F.adaptive_avg_pool2d(x, (4 * rows, 4 * columns)))
        x = middle = eighth(F.avg_pool2d(x, 2))
        return self.proj(x).flatten(2).transpose(1, 2), [fine, middle]
