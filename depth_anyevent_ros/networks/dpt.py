# Copyright 2026 depth_anyevent_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""
DPT head (Ranftl et al., ICCV 2021) as in Depth Anything V2, with ConvLSTM blocks if asked.

Four maps of the encoder become a pyramid (reassemble), each recurrent level of which passes
through its ConvLSTM (recur), and are merged from coarse to fine into one map (fuse). Levels
count from 1, the finest. Names of attributes follow the official state dict, which calls
most of the head `scratch` and a ConvLSTM block `gru_layer`.
"""

from __future__ import annotations

import torch
from torch import nn, Tensor
import torch.nn.functional as F

from depth_anyevent_ros.networks.config import ENCODERS, NetworkConfig, PATCH
from depth_anyevent_ros.networks.convlstm import RecurrentBlock
from depth_anyevent_ros.networks.holding import hold, HoldGates, shares
from depth_anyevent_ros.networks.state import RecurrentState

LEVELS = (1, 2, 3, 4)
ALL = slice(None)
OUTPUT_CHANNELS = 32  # before the last 1x1 convolution, at full resolution


class ResidualUnit(nn.Module):
    """ReLU, convolution, ReLU, convolution, added to the input."""

    def __init__(self, features: int):
        super().__init__()
        self.conv1 = nn.Conv2d(features, features, kernel_size=3, padding=1)
        self.conv2 = nn.Conv2d(features, features, kernel_size=3, padding=1)

    def forward(self, x: Tensor) -> Tensor:
        """Refine x (N, F, h, w)."""
        return x + self.conv2(F.relu(self.conv1(F.relu(x))))


class FusionBlock(nn.Module):
    """Merge one level of the pyramid into the path that comes from the coarser ones."""

    def __init__(self, features: int):
        super().__init__()
        self.out_conv = nn.Conv2d(features, features, kernel_size=1)
        # Level 4 has no coarser path, so its resConfUnit1 has weights and is never used.
        self.resConfUnit1 = ResidualUnit(features)
        self.resConfUnit2 = ResidualUnit(features)

    def forward(self, path: Tensor | None, level: Tensor, size: tuple[int, int]) -> Tensor:
        """Merge level (N, F, h, w) into path, same shape or None; the result has `size`."""
        x = level if path is None else path + self.resConfUnit1(level)
        x = F.interpolate(self.resConfUnit2(x), size, mode='bilinear', align_corners=True)
        return self.out_conv(x)


class Scratch(nn.Module):
    """The layers that the official state dict keeps under `scratch`."""

    def __init__(self, out_channels: tuple[int, ...], features: int):
        super().__init__()
        for level, channels in zip(LEVELS, out_channels):
            self.add_module(f'layer{level}_rn', nn.Conv2d(channels, features, kernel_size=3,
                                                          padding=1, bias=False))
            self.add_module(f'refinenet{level}', FusionBlock(features))
        self.output_conv1 = nn.Conv2d(features, features // 2, kernel_size=3, padding=1)
        self.output_conv2 = nn.Sequential(
            nn.Conv2d(features // 2, OUTPUT_CHANNELS, kernel_size=3, padding=1),
            nn.ReLU(),
            nn.Conv2d(OUTPUT_CHANNELS, 1, kernel_size=1))


class DPTHead(nn.Module):
    """Four encoder maps of T frames of N lanes to one map per frame, without activation."""

    def __init__(self, config: NetworkConfig):
        super().__init__()
        encoder = ENCODERS[config.encoder]
        finest, fine, middle, coarse = config.out_channels
        self.align_corners = config.align_corners
        self.projects = nn.ModuleList(
            nn.Conv2d(width, channels, kernel_size=1)
            for width, channels in zip(encoder.map_widths, config.out_channels))
        # The maps of convolutions have the sizes of levels 1 and 2 already.
        enlarge = [nn.Identity(), nn.Identity()] if encoder.stages else [
            nn.ConvTranspose2d(finest, finest, kernel_size=4, stride=4),
            nn.ConvTranspose2d(fine, fine, kernel_size=2, stride=2)]
        self.resize_layers = nn.ModuleList([
            *enlarge,
            nn.Identity(),
            nn.Conv2d(coarse, coarse, kernel_size=3, stride=2, padding=1)])
        self.scratch = Scratch(config.out_channels, config.features)
        self.bound_levels = config.bound_levels
        self.level_unit = 1.0  # what the weights of a level are multiplied with, see half_range.py
        self.recurrent_residual = config.recurrent_residual
        self.recurrent_levels = tuple(reversed(config.recurrent_levels))
        for level in self.recurrent_levels:
            self.add_module(f'gru_layer_{level}',
                            RecurrentBlock(config.features, config.recurrent_padding,
                                           config.recurrent_cell))
        # Those with a state, coarsest first.
        self.state_levels = tuple(reversed(LEVELS)) if config.hold else self.recurrent_levels
        self.holds = HoldGates(encoder.map_widths, config.features, LEVELS,
                               self.recurrent_levels) if config.hold else None

    def forward(self, maps: list[Tensor], lanes: int, state: RecurrentState | None = None,
                resets: Tensor | None = None, drawn: slice = ALL
                ) -> tuple[Tensor, RecurrentState | None]:
        """
        Decode T frames of N lanes at once.

        maps: four of the encoder's (T * N, ...), shallow first; lanes: N. state: before the
        first frame, None for zeros. resets: (T, N) bool, see `RecurrentBlock`. drawn: which of
        the T frames are wanted; the others only pass the memory.
        Returns a map (D * N, H, W) of the D frames that are wanted and the state after frame T,
        None if not recurrent.
        """
        rows, columns = maps[-1].shape[-2:]
        pyramid = self.reassemble(maps)
        pyramid, state = self.remember(maps, pyramid, lanes, state, resets)
        if drawn != ALL:
            pyramid = {level: x.unflatten(0, (-1, lanes))[drawn].flatten(0, 1)
                       for level, x in pyramid.items()}
        return self.fuse(pyramid, (PATCH * rows, PATCH * columns)), state

    def reassemble(self, maps: list[Tensor]) -> dict[int, Tensor]:
        """Return the pyramid by level, F channels: 4, 2, 1 and 1/2 times the patch grid."""
        levels = {
            level: self._layer('layer{}_rn', level)(resize(project(x)))
            for level, project, resize, x in zip(LEVELS, self.projects, self.resize_layers, maps)}
        if self.bound_levels:
            levels = {level: self._bounded(x) for level, x in levels.items()}
        return levels

    def _bounded(self, x: Tensor) -> Tensor:
        # In single precision, since in half the square of 256 is infinite.
        mean_square = x.float().square().mean(1, keepdim=True)
        return x * (self.level_unit**2 + mean_square).rsqrt().to(x.dtype)

    def remember(self, maps: list[Tensor], pyramid: dict[int, Tensor], lanes: int,
                 state: RecurrentState | None, resets: Tensor | None
                 ) -> tuple[dict[int, Tensor], RecurrentState | None]:
        """
        Hold each level as far as its gate is shut, if there are gates, and let its cell, if it
        has one, put the hidden state in its place, or add it.
        """
        if not self.state_levels:
            return pyramid, None
        levels, states = self.holds(maps, pyramid) if self.holds else ({}, {})
        before = dict(zip(self.state_levels, state.levels)) if state is not None else {}
        pyramid, after = dict(pyramid), []
        for level in self.state_levels:
            frames, gates = pyramid[level].unflatten(0, (-1, lanes)), None
            parts, kept = iter(before.get(level, ())), []
            if self.holds:
                frames, held = hold(frames, levels[level].unflatten(0, (-1, lanes)),
                                    next(parts, None), resets)
                kept.append(held)
            if level in self.recurrent_levels:
                if self.holds:
                    gates, counted = shares(states[level].unflatten(0, (-1, lanes)),
                                            next(parts, None), resets)
                    kept.append(counted)
                hidden, cell = getattr(self, f'gru_layer_{level}')(frames, tuple(parts) or None,
                                                                   resets, gates)
                frames = frames + hidden if self.recurrent_residual else hidden
                kept.extend(cell)
            pyramid[level] = frames.flatten(0, 1)
            after.append(tuple(kept))
        return pyramid, RecurrentState(tuple(after))

    def fuse(self, pyramid: dict[int, Tensor], size: tuple[int, int]) -> Tensor:
        """Merge the pyramid from coarse to fine; the result is (T * N, *size)."""
        path = None
        for level in reversed(LEVELS):
            if level > 1:
                target = pyramid[level - 1].shape[-2:]
            else:
                target = tuple(2 * side for side in pyramid[1].shape[-2:])
            path = self._layer('refinenet{}', level)(path, pyramid[level], target)
        x = F.interpolate(self.scratch.output_conv1(path), size, mode='bilinear',
                          align_corners=self.align_corners)
        convolve, rectify, project = self.scratch.output_conv2
        x = rectify(convolve(x))
        if x.dtype == project.weight.dtype:
            return project(x).squeeze(1)
        # Autocast to half precision ends here: eight bits of depth would show as terraces.
        with torch.autocast(x.device.type, enabled=False):
            return project(x.to(project.weight.dtype)).squeeze(1)

    def _layer(self, name: str, level: int) -> nn.Module:
        return getattr(self.scratch, name.format(level))
