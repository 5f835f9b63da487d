# Copyright 2026 depth_anyevent_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""
DINOv2 vision transformer as an encoder of feature maps (Oquab et al., TMLR 2024).

Patches of 14 pixels, class token, no registers, pre-norm blocks with LayerScale. Names of
attributes follow the official state dict, so published weights load as they are.
"""

from __future__ import annotations

import contextlib

import torch
from torch import nn, Tensor
import torch.nn.functional as F

from depth_anyevent_ros.networks.config import EncoderConfig, PATCH
from depth_anyevent_ros.networks.hybrid import HybridEmbedding
from depth_anyevent_ros.networks.noise_filter import supported

GRID = 37  # patches along a side of the position embedding: 518 pixels / 14
EPS = 1e-6  # of every LayerNorm


class Attention(nn.Module):
    """Multi-head self-attention over tokens (N, L, width)."""

    def __init__(self, width: int, heads: int):
        super().__init__()
        self.heads = heads
        self.qkv = nn.Linear(width, 3 * width)
        self.proj = nn.Linear(width, width)

    def forward(self, tokens: Tensor) -> Tensor:
        """Mix tokens (N, L, width) among each other; the same shape comes back."""
        qkv = self.qkv(tokens).unflatten(-1, (3, self.heads, -1))
        query, key, value = qkv.permute(2, 0, 3, 1, 4).unbind(0)
        mixed = F.scaled_dot_product_attention(query, key, value)
        return self.proj(mixed.transpose(1, 2).flatten(2))


class Mlp(nn.Module):
    """Two linear layers with a GELU between, four times as wide inside."""

    def __init__(self, width: int):
        super().__init__()
        self.fc1 = nn.Linear(width, 4 * width)
        self.fc2 = nn.Linear(4 * width, width)

    def forward(self, tokens: Tensor) -> Tensor:
        """Transform each token (..., width) by itself."""
        return self.fc2(F.gelu(self.fc1(tokens)))


class LayerScale(nn.Module):
    """A learned factor per channel on a residual branch."""

    def __init__(self, width: int):
        super().__init__()
        self.gamma = nn.Parameter(torch.ones(width))

    def forward(self, tokens: Tensor) -> Tensor:
        """Scale tokens (..., width)."""
        return tokens * self.gamma


class Block(nn.Module):
    """Pre-norm transformer block: attention, then MLP, each added to its input."""

    def __init__(self, width: int, heads: int):
        super().__init__()
        self.norm1 = nn.LayerNorm(width, eps=EPS)
        self.attn = Attention(width, heads)
        self.ls1 = LayerScale(width)
        self.norm2 = nn.LayerNorm(width, eps=EPS)
        self.mlp = Mlp(width)
        self.ls2 = LayerScale(width)

    def forward(self, tokens: Tensor) -> Tensor:
        """Transform tokens (N, L, width)."""
        tokens = tokens + self.ls1(self.attn(self.norm1(tokens)))
        return tokens + self.ls2(self.mlp(self.norm2(tokens)))


class PatchEmbedding(nn.Module):
    """One linear map of each patch of 14 by 14 pixels to a token."""

    def __init__(self, width: int, channels: int):
        super().__init__()
        self.proj = nn.Conv2d(channels, width, kernel_size=PATCH, stride=PATCH)

    def forward(self, image: Tensor) -> tuple[Tensor, list[Tensor]]:
        """Turn image (N, C, H, W) into tokens (N, H/14 * W/14, width), row by row; no maps."""
        return self.proj(image).flatten(2).transpose(1, 2), []


class DinoV2(nn.Module):
    """
    Encoder: image to four maps, the normalised patch tokens of some of its blocks.

    noise_filter: see `supported`, 0 for none.
    """

    def __init__(self, config: EncoderConfig, channels: int = 3, noise_filter: float = 0.0):
        super().__init__()
        self.noise_filter = noise_filter
        width = config.width
        self.taps = config.taps
        self.cls_token = nn.Parameter(torch.zeros(1, 1, width))
        self.pos_embed = nn.Parameter(torch.zeros(1, 1 + GRID * GRID, width))
        # Only pre-training used the mask token; it is here because published weights have it.
        self.mask_token = nn.Parameter(torch.zeros(1, width))
        self.patch_embed = HybridEmbedding(width, channels, config.stages) if config.stages \
            else PatchEmbedding(width, channels)
        self.blocks = nn.ModuleList(Block(width, config.heads) for _ in range(config.depth))
        self.norm = nn.LayerNorm(width, eps=EPS)

    def forward(self, image: Tensor) -> list[Tensor]:
        """
        Return four maps, shallow first, of image (N, C, H, W).

        They are (N, width, H/14, W/14), but for the first two of an encoder with convolutions,
        see `HybridEmbedding`.
        """
        rows, columns = (int(side) // PATCH for side in image.shape[-2:])  # int: when traced
        if self.noise_filter:
            image = supported(image, self.noise_filter)
        tokens, maps = self.patch_embed(image)
        tokens = torch.cat((self.cls_token.expand(len(tokens), -1, -1), tokens), dim=1)
        tokens = tokens + self.position_embedding(rows, columns)
        for index, block in enumerate(self.blocks):
            tokens = block(tokens)
            if index in self.taps:
                patches = self.norm(tokens)[:, 1:]
                maps.append(patches.transpose(1, 2).unflatten(2, (rows, columns)))
        return maps

    def position_embedding(self, rows: int, columns: int) -> Tensor:
        """
        Return the position embedding (1, 1 + rows * columns, width) of a patch grid.

        Bicubic by the scale factor (n + 0.1) / 37, as the official code has it: sampling by
        that factor, not by n / 37, is what the published weights were used with.
        """
        if rows == columns == GRID:
            return self.pos_embed
        # As two products with constant matrices, since torch's bicubic kernel took half of the
        # time of a frame on a GPU. In single precision also under autocast.
        device = self.pos_embed.device.type
        with contextlib.nullcontext() if device == 'meta' else \
                torch.autocast(device, enabled=False):
            down, across = (_bicubic(count, self.pos_embed.device, self.pos_embed.dtype)
                            for count in (rows, columns))
            grid = self.pos_embed[:, 1:].unflatten(1, (GRID, GRID))
            grid = across @ (down @ grid.flatten(2)).unflatten(2, (GRID, -1))
            return torch.cat((self.pos_embed[:, :1], grid.flatten(1, 2)), dim=1)


# Never forgotten, since CUDA graphs read them where they are.
_MATRICES: dict[tuple[int, torch.device, torch.dtype], Tensor] = {}


def _bicubic(count: int, device: torch.device, dtype: torch.dtype) -> Tensor:
    """Return the matrix (count, GRID) that resizes a side of the embedding's grid."""
    # A tracer that found one made before would see another graph than the first time, and what
    # an exporter makes are no numbers.
    if torch.jit.is_tracing() or torch.compiler.is_compiling():
        return _new_bicubic(count, device, dtype)
    key = count, device, dtype
    if key not in _MATRICES:
        matrix = _new_bicubic(count, device, dtype)
        if type(matrix) is not Tensor:  # an exporter of an older torch
            return matrix
        _MATRICES[key] = matrix
    return _MATRICES[key]


def _new_bicubic(count: int, device: torch.device, dtype: torch.dtype) -> Tensor:
    # Made outside of inference mode, since training may ask for the same one later.
    with torch.inference_mode(False), torch.no_grad():
        places = torch.eye(GRID, dtype=torch.float64)[None, :, :, None]
        matrix = F.interpolate(places, scale_factor=((count + 0.1) / GRID, 1.0), mode='bicubic',
                               antialias=False)[0, :, :, 0].T
        return matrix.to(device, dtype).contiguous()
