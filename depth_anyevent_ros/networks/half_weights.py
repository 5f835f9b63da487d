# Copyright 2026 depth_anyevent_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""A network made ready for half precision once, where autocast would do it in each frame."""
from __future__ import annotations

import copy

import torch
from torch import nn, Tensor

from depth_anyevent_ros.networks.config import PATCH
from depth_anyevent_ros.networks.dinov2 import DinoV2
from depth_anyevent_ros.networks.noise_filter import supported
from depth_anyevent_ros.networks.step import Step

CAST = (nn.Conv2d, nn.ConvTranspose2d, nn.Linear)  # what autocast runs in half precision


def in_half(step: Step, dtype: torch.dtype, size: tuple[int, int]) -> Step:
    """
    Return a copy of a step, for autocast to dtype and one size, that does the same.

    Weights are cast, factors of LayerScale are part of the weights before them, and positions are
    those of the size. The head's last projection stays as it is: it runs in single precision.
    """
    step = copy.deepcopy(step)
    encoder = step.network.pretrained
    for block in encoder.blocks:
        for scale, linear in ((block.ls1, block.attn.proj), (block.ls2, block.mlp.fc2)):
            with torch.no_grad():
                linear.weight *= scale.gamma[:, None]
                linear.bias *= scale.gamma
        block.ls1 = block.ls2 = nn.Identity()
    last = step.network.depth_head.scratch.output_conv2[-1]
    for module in step.modules():
        if isinstance(module, CAST) and module is not last:
            module.to(dtype)
    step.network.pretrained = _Encoder(encoder, dtype, size)
    return step


class _Encoder(nn.Module):
    """
    An encoder for images of one size.

    In fp16 all of it is; in bf16, whose eight bits are too few to add up in, autocast keeps what
    is added up over the blocks, and their norms, in single precision.
    """

    def __init__(self, encoder: DinoV2, dtype: torch.dtype, size: tuple[int, int]):
        super().__init__()
        with torch.no_grad():
            positions = encoder.position_embedding(size[0] // PATCH, size[1] // PATCH).clone()
        self._dtype = dtype if dtype == torch.float16 else None
        # In single precision, so that it is the same events that are taken for noise.
        self._noise_filter, encoder.noise_filter = encoder.noise_filter, 0.0
        if self._dtype:
            encoder.to(dtype)
            positions = positions.to(dtype)
        encoder.position_embedding = lambda rows, columns: positions
        self._encoder = encoder

    def forward(self, image: Tensor) -> list[Tensor]:
        """Return the maps of an image, as `DinoV2`."""
        if self._noise_filter:
            image = supported(image, self._noise_filter)
        if not self._dtype:
            return self._encoder(image)
        with torch.autocast(image.device.type, enabled=False):
            return self._encoder(image.to(self._dtype))
