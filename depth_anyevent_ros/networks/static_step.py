# Copyright 2026 depth_anyevent_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""One frame of a network in tensors that stay where they are, as a CUDA graph needs them."""
from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager
import math

import torch

from depth_anyevent_ros.networks.step import Step


class StaticStep:
    """
    A step whose input, state and output are the same memory in every frame.

    pixels: float32 (C, H, W), to be filled before `advance`. output: float32 (H * W + 1,),
    inverse depth, then 1 where the new state is finite, so that one download tells both.
    autocast(): the arithmetic, without a cache of cast weights, which a graph would outlive.
    """

    def __init__(self, step: Step, size: tuple[int, int], channels: int, device: str,
                 autocast: Callable[[], AbstractContextManager]):
        self._step, self._autocast = step, autocast
        self.size = size
        self.pixels = torch.zeros(channels, *size, device=device)
        # One piece of memory, whose being finite is asked once rather than for each level.
        shapes = step.state_shapes(*size)
        self._memory = torch.zeros(sum(map(math.prod, shapes)), device=device)
        self.state = [part.view(shape) for part, shape in zip(
            self._memory.split(list(map(math.prod, shapes))), shapes)]
        self.output = torch.zeros(size[0] * size[1] + 1, device=device)

    def advance(self) -> None:
        """Predict one frame, and put the new state in the place of the old one."""
        with torch.no_grad(), self._autocast():
            inverse_depth, *after = self._step(self.pixels[None], *self.state)
            self.output[:-1].copy_(inverse_depth.reshape(-1))
            for before, tensor in zip(self.state, after):
                before.copy_(tensor)
            self.output[-1].copy_(self._memory.isfinite().all())

    def reset(self) -> None:
        """Forget the frames so far."""
        self._memory.zero_()
