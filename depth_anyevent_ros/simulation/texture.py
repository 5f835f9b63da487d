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
MAX_SAMPLES = 8
# How far apart they are, in short axes.
SPACING = 1.3
# The share of an octave over which one level of a mip map goes over into the next.
BLEND = 0.4
BIAS = 2.0 ** 30  # whole tiles of any size
LEVEL_SCALE = 0.5 ** np.arange(64)
ONE_BY = 1 / np.maximum(np.arange(MAX_SAMPLES + 1.0), 1)
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
    return shrink(tile, OVERSAMPLING).astype(np.float32)


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
        levels.append(shrink(levels[-1], 2))
    return np.concatenate([level.ravel() for level in levels]).astype(np.float32)


def shrink(tile: np.ndarray, factor: int) -> np.ndarray:
    """Return a tile of which each texel is the mean of factor x factor texels."""
    size = len(tile) // factor
    return tile.reshape(size, factor, size, factor).mean((1, 3))


@njit
def samples_sum(texels, offset, size, s, t, step_s, step_t, count):
    """
    Return the sum of count bilinear samples of one level, the tile repeating on all sides.

    offset, size: where the level starts and its size. s, t: the first sample, in the level's
    own texels, within +-2^30; each is a step away from the one before.
    """
    # Made positive, so that a cast rounds down.
    x, y = s + (BIAS - 0.5), t + (BIAS - 0.5)
    mask, offset, size = np.int64(size - 1), np.int64(offset), np.int64(size)
    total = 0.0
    for _ in range(count):
        x0, y0 = np.int32(x), np.int32(y)
        fx, fy = x - x0, y - y0
        left, top = np.int64(x0) & mask, np.int64(y0) & mask
        right = (left + 1) & mask
        above, below = offset + top * size, offset + ((top + 1) & mask) * size
        # Unsigned: numba takes no time over negative indices then.
        upper, lower = texels[np.uint64(above + left)], texels[np.uint64(below + left)]
        first = upper + (texels[np.uint64(above + right)] - upper) * fx
        last = lower + (texels[np.uint64(below + right)] - lower) * fx
        total += first + (last - first) * fy
        x += step_s
        y += step_t
    return total


@njit
def footprint(s_u, s_v, t_u, t_v):
    """
    Return short and long axis of a pixel's footprint, and the long one as a vector (s, t).

    s_u, s_v, t_u, t_v: how many texels one step of a pixel to the right (u) and down (v) moves
    the place in the texture. All in texels.
    """
    a, b, c = s_u * s_u + s_v * s_v, s_u * t_u + s_v * t_v, t_u * t_u + t_v * t_v
    # Eigenvalues of J J^T are the squares of the axes.
    root = math.sqrt((a - c) * (a - c) + 4 * b * b)
    large = (a + c + root) / 2
    major = math.sqrt(large)
    minor = math.sqrt(max((a + c - root) / 2, 0.0))
    # Its eigenvector for the larger one: of the two ways to write it the longer one is exact.
    if a >= c:
        along_s, along_t = large - c, b
    else:
        along_s, along_t = b, large - a
    norm = along_s * along_s + along_t * along_t
    scale = np.divide(major, math.sqrt(norm)) if norm > 0 else 0.0
    return minor, major, along_s * scale, along_t * scale


@njit
def sample_count(minor, major):
    """Return how many samples along its long axis a footprint takes."""
    # Rounded: a nearly round footprint takes one sample, at the level of its long axis.
    return min(max(int(np.divide(major, max(minor, 1.0) * SPACING) + 0.5), 1), MAX_SAMPLES)


@njit
def level_of_detail(minor, major, count):
    """Return the level (0 the tile itself, 1 its half) for the samples of a footprint."""
    width = max(minor, np.divide(major, float(count))) * TEXELS_PER_PIXEL
    return math.log2(max(width, 1.0))


@njit
def level_at(offset, size, level):
    """Return where a level of a mip map starts, its size, and its texels per texel of level 0."""
    side = max(size >> level, 1)
    # The levels before this one sum up as a geometric series; sizes are powers of two.
    return offset + (size * size - side * side) // 3 * 4, side, LEVEL_SCALE[level]


@njit
def share_of_next(lod, level):
    """
    Return how much the level after this one adds to a sample, 0 to 1.

    Near a level, by 1 - BLEND of the way to the next, it is taken alone, for speed.
    """
    return min(max((lod - level - 0.5) / BLEND + 0.5, 0.0), 1.0)


@njit
def sample_along(texels, start, side, scale, s, t, along_s, along_t, count, part):
    """
    Return the mean of samples spread along (along_s, along_t) about (s, t), in level 0's texels.

    start, side, scale: of a level; part: what the next one adds.
    """
    share = ONE_BY[count]
    step_s, step_t = along_s * share * scale, along_t * share * scale
    back = 0.5 * (count - 1)
    first_s, first_t = s * scale - step_s * back, t * scale - step_t * back
    fine = coarse = 0.0
    if part < 1 or side == 1:
        fine = samples_sum(texels, start, side, first_s, first_t, step_s, step_t, count)
    if part == 0 or side == 1:
        return fine * share
    coarse = samples_sum(texels, start + side * side, side >> 1, first_s * 0.5, first_t * 0.5,
                         step_s * 0.5, step_t * 0.5, count)
    return (fine + (coarse - fine) * part) * share


@njit
def sample(texels, offset, size, s, t, s_u, s_v, t_u, t_v):
    """
    Return the mean reflectance over the footprint of a pixel.

    texels, offset, size: mip maps one behind the other, where this one starts, and its tile's
    size. s, t: the pixel's centre in texels. s_u, s_v, t_u, t_v: as for footprint. The short
    axis chooses the level, and samples along the long axis are averaged; both have the variance
    of the pixel's box.
    """
    minor, major, along_s, along_t = footprint(s_u, s_v, t_u, t_v)
    count = sample_count(minor, major)
    lod = level_of_detail(minor, major, count)
    level = int(lod)
    start, side, scale = level_at(offset, size, level)
    return sample_along(texels, start, side, scale, s, t, along_s, along_t, count,
                        share_of_next(lod, level))
