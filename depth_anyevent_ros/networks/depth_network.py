# Copyright 2026 depth_anyevent_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""The network as a whole: DINOv2 encoder and DPT head, teacher and student alike."""

from __future__ import annotations

import torch
from torch import nn, Tensor
import torch.nn.functional as F

from depth_anyevent_ros.networks.config import check_size, ENCODERS, NetworkConfig, PATCH
from depth_anyevent_ros.networks.convlstm import STATE_PARTS
from depth_anyevent_ros.networks.dinov2 import DinoV2
from depth_anyevent_ros.networks.dpt import ALL, DPTHead
from depth_anyevent_ros.networks.state import RecurrentState

NEAREST = 1e-6  # depth, so that none is divided by zero

_ACTIVATIONS = {'relu': F.relu, 'sigmoid': torch.sigmoid, 'softplus': F.softplus,
                'none': lambda x: x}


class DepthNetwork(nn.Module):
    """
    Depth Anything V2, or DepthAnyEvent-R where the configuration names recurrent levels.

    The output is inverse depth, larger is nearer: relative, or in 1/m for metric variants.
    Weights are torch's defaults until `initialize_weights` or a checkpoint sets them.
    """

    def __init__(self, config: NetworkConfig):
        super().__init__()
        self.config = config
        self.pretrained = DinoV2(ENCODERS[config.encoder], config.channels,
                                 config.noise_filter)
        self.depth_head = DPTHead(config)

    def forward(self, image: Tensor, state: RecurrentState | None = None
                ) -> tuple[Tensor, RecurrentState | None]:
        """
        Predict one frame.

        image: (N, C, H, W) float, normalised by the input's mean and std; H and W multiples
        of 14. state: what the frame before returned, None at the start of a sequence.
        Returns inverse depth (N, H, W) and the new state (None if not recurrent).
        Raises ValueError for a size or state that does not fit.
        """
        inverse_depth, state = self.forward_sequence(image.unsqueeze(0), state)
        return inverse_depth.squeeze(0), state

    def forward_sequence(self, images: Tensor, state: RecurrentState | None = None,
                         resets: Tensor | None = None) -> tuple[Tensor, RecurrentState | None]:
        """
        Predict T frames; all but the ConvLSTM cells runs on the T * N images at once.

        images: (T, N, C, H, W). resets: (T, N) bool, true where a lane's state is zeroed
        before that frame. Returns inverse depth (T, N, H, W) and the state after frame T.
        """
        self._check(images, state, resets)
        return self.decode(self.pretrained(images.flatten(0, 1)), images.shape[1], state, resets)

    def decode(self, maps: list[Tensor], lanes: int, state: RecurrentState | None = None,
               resets: Tensor | None = None, drawn: slice = ALL
               ) -> tuple[Tensor, RecurrentState | None]:
        """
        Predict T frames from what the encoder, `pretrained`, made of them.

        maps: four, (T * N, C, h, w) each, shallow first. lanes: N. drawn: which of the T frames
        to return; the others only pass the memory, which costs less. Else as `forward_sequence`;
        sizes are not checked.
        """
        x, state = self.depth_head(maps, lanes, state, resets, drawn)
        return self._inverse_depth(x).unflatten(0, (-1, lanes)), state

    def state_shapes(self, lanes: int, height: int, width: int
                     ) -> dict[int, tuple[tuple[int, ...], ...]]:
        """
        Return the shapes (N, F, h, w) of the tensors of the state by level, coarsest first.

        Raises ValueError where a map is too small for its convolution without padding.
        """
        shapes = {level: [] for level in self.depth_head.state_levels}
        loss = 2 - 2 * self.config.recurrent_padding
        features, cells = self.config.features, len(STATE_PARTS[self.config.recurrent_cell])
        for level, parts in shapes.items():
            sides = [_level_side(level, side // PATCH) for side in (height, width)]
            if self.config.hold:
                parts.append((lanes, features + 1, *sides))
            if level in self.depth_head.recurrent_levels:
                sides = [side - loss for side in sides]
                if min(sides) < 1:
                    raise ValueError(
                        f'An input of {height}x{width} pixels is too small for the ConvLSTM of '
                        f'level {level}: use {5 * PATCH}x{5 * PATCH} or more.')
                parts.extend([(lanes, 1, 1, 1)] * self.config.hold)
                parts.extend([(lanes, features, *sides)] * cells)
        return {level: tuple(parts) for level, parts in shapes.items()}

    @property
    def state_parts(self) -> tuple[int, ...]:
        """How many tensors each level of the state has, coarsest first."""
        return tuple(map(len, self.state_shapes(1, 5 * PATCH, 5 * PATCH).values()))

    def _inverse_depth(self, x: Tensor) -> Tensor:
        if self.config.max_depth is not None:
            # 1 / (max_depth * sigmoid(x)), written so that it cannot divide by zero.
            return (1 + torch.exp(-x.float())) / self.config.max_depth
        x = _ACTIVATIONS[self.config.activation](x)
        if self.config.output == 'inverse_depth':
            return x / self.config.depth_scale if self.config.depth_scale != 1 else x
        # In single precision, since the inverse of a small depth is large.
        depth = x.float() if self.config.output == 'depth' else 1 - x.float()
        return 1 / (self.config.depth_scale * depth + NEAREST)

    def _check(self, images: Tensor, state: RecurrentState | None, resets: Tensor | None):
        channels = self.config.channels
        if images.dim() != 5 or images.shape[2] != channels or 0 in images.shape:
            raise ValueError(f'The network takes images (N, {channels}, H, W), or '
                             f'(T, N, {channels}, H, W) as a sequence; with a time axis '
                             f'in front came {tuple(images.shape)}.')
        if not images.is_floating_point():
            raise ValueError('The network takes normalised floating-point images, not '
                             f'{images.dtype}: divide by 255 and apply mean and std.')
        steps, lanes, _, height, width = images.shape
        check_size(height, width)
        shapes = self.state_shapes(lanes, height, width)
        if not shapes and (state is not None or resets is not None):
            raise ValueError('This network is not recurrent: it takes no state and no resets.')
        if state is not None:
            state.check(shapes)
        if resets is not None and (resets.shape != (steps, lanes) or resets.dtype != torch.bool):
            raise ValueError(f'resets must be booleans of shape {(steps, lanes)}, one per frame '
                             f'and lane, not {resets.dtype} of shape {tuple(resets.shape)}.')


def _level_side(level: int, patches: int) -> int:
    """Return the side of a pyramid level over `patches` patches, before its ConvLSTM."""
    return {1: 4 * patches, 2: 2 * patches, 3: patches, 4: (patches + 1) // 2}[level]
