# Copyright 2026 depth_anyevent_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""
Textures made by seed, and their mip maps.

A texture is a square tile of reflectance, float32 (size, size) within 0 to 1, that repeats
without a seam. Its size is a power of two. Filtering it over the footprint of a pixel is what
keeps far surfaces from flickering, which an event camera would report as motion.
"""
from __future__ import annotations

import math

import numpy as np

from depth_anyevent_ros.events.jit import njit

DARKEST, BRIGHTEST = 0.06, 0.9
# Pixels seen at a grazing angle have long footprints; this many samples follow them.
MAX_SAMPLES = 16
# A texel of a level averages over a box of width w, interpolation over a tent of the same: a
# variance of w^2/12 + w^2/6. That of a pixel's own box, 1/12, is met by w = 1/sqrt(3).
TEXELS_PER_PIXEL = 1 / math.sqrt(3)
OVERSAMPLING = 4


def noise_texture(seed: int, size: int = 512, slope: float = 1.2,
                  contrast: float = 0.35) -> np.ndarray:
    """
    Return noise whose amplitude falls with frequency as f^-slope, as in natural pictures.

    contrast: standard deviation of the natural logarithm of reflectance.
    """
    frequency = np.fft.fftfreq(size) * size
    radius = np.hypot(frequency[:, None], frequency[None, :size // 2 + 1])
    radius[0, 0] = np.inf
    # The finest frequencies fade out before the tile's own raster would show in them.
    amplitude = radius ** -slope * np.exp(-(radius / (0.3 * size)) ** 2)
    spectrum = np.fft.rfft2(np.random.default_rng(seed).standard_normal((size, size)))
    field = np.fft.irfft2(spectrum * amplitude, s=(size, size))
    field *= contrast / field.std()
    return np.clip(0.35 * np.exp(field), DARKEST, BRIGHTEST).astype(np.float32)


def leaves_texture(seed: int, size: int = 512, count: int = 400, smallest: float = 0.015,
                   shades: tuple[float, float] = (DARKEST, BRIGHTEST)) -> np.ndarray:
    """
    Return discs and squares of any size that cover each other: surfaces with sharp edges.

    smallest: their smallest radius, as a share of the tile. shades: the range of reflectance.
    The dead-leaves model, whose radii fall as r^-3, has the statistics of natural pictures (Lee,
    Mumford and Huang, Occlusion models for natural images, 2001).
    """
    generator = np.random.default_rng(seed)
    fine = size * OVERSAMPLING
    darkest, brightest = shades
    tile = np.full((fine, fine), math.sqrt(darkest * brightest))
    inverse_squares = (0.2 * fine) ** -2, (smallest * fine) ** -2
    for _ in range(count):
        radius = 1 / math.sqrt(generator.uniform(*inverse_squares))
        row, column = generator.integers(0, fine, 2)
        shade = math.exp(generator.uniform(math.log(darkest), math.log(brightest)))
        reach = np.arange(-math.ceil(radius), math.ceil(radius) + 1)
        inside = np.ones((len(reach), len(reach)), bool)
        if generator.random() < 0.5:
            inside = np.hypot(reach[:, None], reach[None, :]) <= radius
        rows, columns = (row + reach) % fine, (column + reach) % fine
        patch = tile[np.ix_(rows, columns)]
        patch[inside] = shade
        tile[np.ix_(rows, columns)] = patch
    return _shrink(tile, OVERSAMPLING).astype(np.float32)


def checker_texture(size: int = 256, squares: int = 8, dark: float = 0.1,
                    bright: float = 0.8) -> np.ndarray:
    """Return a checkerboard of an even number of squares along the tile's side."""
    if squares % 2 or size % squares:
        raise ValueError(f'squares has to be even and to divide size, got {squares} and {size}')
    index = np.arange(size) * squares // size
    return np.where((index[:, None] + index[None, :]) % 2, bright, dark).astype(np.float32)


def mip_map(tile: np.ndarray) -> np.ndarray:
    """Return a tile and its halvings down to one texel, one behind the other, float32 (n,)."""
    size = len(tile)
    if tile.shape != (size, size) or size & (size - 1):
        raise ValueError('a texture has to be square with a power of two as its size, got '
                         f'{tile.shape}')
    levels = [tile]
    while len(levels[-1]) > 1:
        levels.append(_shrink(levels[-1], 2))
    return np.concatenate([level.ravel() for level in levels]).astype(np.float32)


def _shrink(tile: np.ndarray, factor: int) -> np.ndarray:
    size = len(tile) // factor
    return tile.reshape(size, factor, size, factor).mean((1, 3))


@njit
def _bilinear(texels, offset, size, s, t):
    """Interpolate one level at (s, t) in its own texels, the tile repeating on all sides."""
    x, y = s - 0.5, t - 0.5
    x0, y0 = math.floor(x), math.floor(y)
    fx, fy = x - x0, y - y0
    mask = size - 1
    left, top = int(x0) & mask, int(y0) & mask
    right, bottom = (left + 1) & mask, (top + 1) & mask
    above = texels[offset + top * size + left] * (1 - fx) \
        + texels[offset + top * size + right] * fx
    below = texels[offset + bottom * size + left] * (1 - fx) \
        + texels[offset + bottom * size + right] * fx
    return above * (1 - fy) + below * fy


@njit
def _trilinear(texels, offset, size, s, t, lod):
    """Interpolate between the two levels next to lod >= 0 (0 the tile itself, 1 its half)."""
    level = int(lod)
    part = lod - level
    side = max(size >> level, 1)
    # The levels before this one sum up as a geometric series.
    offset += (size * size - side * side) * 4 // 3
    scale = side / size
    fine = _bilinear(texels, offset, side, s * scale, t * scale)
    if part == 0 or side == 1:
        return fine
    coarse = _bilinear(
        texels, offset + side * side, side // 2, s * scale / 2, t * scale / 2)
    return fine + (coarse - fine) * part


@njit
def sample(texels, offset, size, s, t, s_u, s_v, t_u, t_v):
    """
    Return the mean reflectance over the footprint of a pixel.

    texels, offset, size: mip maps one behind the other, where this one starts, and its tile's
    size. s, t: the pixel's centre in texels. s_u, s_v, t_u, t_v: how many texels one step of a
    pixel to the right (u) and down (v) moves it. The footprint is an ellipse: its short axis
    chooses the level, and samples along its long axis are averaged; both have the variance of
    the pixel's box.
    """
    total = s_u * s_u + s_v * s_v + t_u * t_u + t_v * t_v
    determinant = s_u * t_v - s_v * t_u
    root = math.sqrt(max(total * total - 4 * determinant * determinant, 0.0))
    major = math.sqrt((total + root) / 2)
    minor = math.sqrt(max((total - root) / 2, 0.0))
    if major * TEXELS_PER_PIXEL <= 1:
        return _bilinear(texels, offset, size, s, t)
    # Rounded: a nearly round footprint takes one sample, at the level of its long axis.
    count = min(max(int(major / max(minor, 1.0) + 0.5), 1), MAX_SAMPLES)
    lod = math.log2(max(max(minor, major / count) * TEXELS_PER_PIXEL, 1.0))
    if count == 1:
        return _trilinear(texels, offset, size, s, t, lod)
    # The long axis in the texture: eigenvector of J J^T for its larger eigenvalue. Of the two
    # ways to write it the longer one is exact.
    a, b, c = s_u * s_u + s_v * s_v, s_u * t_u + s_v * t_v, t_u * t_u + t_v * t_v
    if a >= c:
        along_s, along_t = (total + root) / 2 - c, b
    else:
        along_s, along_t = b, (total + root) / 2 - a
    scale = major / math.hypot(along_s, along_t)
    mean = 0.0
    for k in range(count):
        shift = ((k + 0.5) / count - 0.5) * scale
        mean += _trilinear(texels, offset, size, s + shift * along_s, t + shift * along_t, lod)
    return mean / count
