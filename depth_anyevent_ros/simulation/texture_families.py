# Copyright 2026 depth_anyevent_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""
Families of textures by name, each a function of a seed.

Each returns reflectance within 0 to 1, float32 (SIZE, SIZE), that repeats without a seam.
Patterns are drawn finer and averaged, so that their edges are smooth.
"""
from __future__ import annotations

from collections.abc import Callable
import math

import numpy as np

from depth_anyevent_ros.simulation.texture import (
    BRIGHTEST, checker_texture, DARKEST, leaves_texture, noise_texture, OVERSAMPLING, shrink)

SIZE = 256


def _grid() -> tuple[np.ndarray, np.ndarray]:
    """Return rows (n, 1) and columns (1, n) of the fine grid, as shares of the tile."""
    share = (np.arange(SIZE * OVERSAMPLING) + 0.5) / (SIZE * OVERSAMPLING)
    return share[:, None], share[None, :]


def _shades(generator: np.random.Generator, number: int, spread: float = 1.0) -> np.ndarray:
    """Return reflectances, even in their logarithm, about a random middle."""
    middle = generator.uniform(math.log(0.15), math.log(0.5))
    return np.exp(middle + generator.uniform(-spread, spread, number) * 0.8)


def _finish(tile: np.ndarray, generator: np.random.Generator, grain: float = 0.08) -> np.ndarray:
    """Average a fine tile and put some grain on it."""
    dust = noise_texture(int(generator.integers(2 ** 31)), SIZE, slope=1.0, contrast=grain) / 0.35
    return np.clip(shrink(tile, OVERSAMPLING) * dust, DARKEST, BRIGHTEST).astype(np.float32)


def bricks_texture(seed: int) -> np.ndarray:
    """Return courses of bricks, each course moved by half a brick, with joints of mortar."""
    generator = np.random.default_rng(seed)
    courses, bricks = 2 * int(generator.integers(4, 9)), int(generator.integers(3, 8))
    joint = generator.uniform(0.06, 0.14)
    shades, mortar = _shades(generator, courses * bricks, 0.5), _shades(generator, 1)
    y, x = _grid()
    course = (y * courses).astype(int)
    along = (x * bricks + 0.5 * (course % 2)) % bricks
    brick = along.astype(int)
    in_joint = (y * courses % 1 < joint) | (along % 1 < joint * bricks / courses)
    return _finish(np.where(in_joint, mortar, shades[course * bricks + brick]), generator)


def cells_texture(seed: int) -> np.ndarray:
    """Return Voronoi cells of single shades with dark seams, as of paving or cracked earth."""
    generator = np.random.default_rng(seed)
    count = int(generator.integers(30, 90))
    points, shades = generator.random((count, 2)), _shades(generator, count)
    nearest, second, owner = _two_nearest(points)
    seam = generator.uniform(0.006, 0.015)
    return _finish(np.where(second - nearest < seam, shades.min() * 0.5, shades[owner]),
                   generator)


def _two_nearest(points: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return distances to the nearest and the second of points (n, 2), and which is nearest."""
    y, x = _grid()
    shape = (y.size, x.size)
    nearest, second = np.full(shape, np.inf, np.float32), np.full(shape, np.inf, np.float32)
    owner = np.zeros(shape, np.int32)
    for index, (row, column) in enumerate(points.astype(np.float32)):
        # The tile repeats: the nearest copy of the point counts.
        dy, dx = np.abs(y.astype(np.float32) - row), np.abs(x.astype(np.float32) - column)
        square = np.minimum(dy, 1 - dy) ** 2 + np.minimum(dx, 1 - dx) ** 2
        closer = square < nearest
        second = np.where(closer, nearest, np.minimum(second, square))
        owner[closer] = index
        nearest = np.where(closer, square, nearest)
    return np.sqrt(nearest), np.sqrt(second), owner


def panels_texture(seed: int) -> np.ndarray:
    """Return the windows of a facade: dark or bright panes in frames, in rows and columns."""
    generator = np.random.default_rng(seed)
    rows, columns = int(generator.integers(2, 6)), int(generator.integers(2, 6))
    wide, high = generator.uniform(0.4, 0.75, 2)
    wall, frame = _shades(generator, 2, 0.6)
    panes = np.where(generator.random(rows * columns) < 0.8,
                     generator.uniform(0.06, 0.15, rows * columns), 0.7)
    y, x = _grid()
    pane = panes[(y * rows).astype(int) * columns + (x * columns).astype(int)]
    dy, dx = np.abs(y * rows % 1 - 0.5) / high, np.abs(x * columns % 1 - 0.5) / wide
    tile = np.where((dy < 0.5) & (dx < 0.5), min(frame * 1.6, BRIGHTEST), wall)
    crossbar = dx < 0.05
    return _finish(np.where((dy < 0.44) & (dx < 0.44) & ~crossbar, pane, tile), generator)


def planks_texture(seed: int) -> np.ndarray:
    """Return planks side by side, each with a grain of its own along it."""
    generator = np.random.default_rng(seed)
    planks = int(generator.integers(4, 10))
    shades, shift = _shades(generator, planks, 0.45), generator.random(planks)
    y, x = _grid()
    # A joint at the border would lie half on either side of it.
    x = (x + 0.4 / planks) % 1
    plank = (x * planks).astype(int)
    rings = int(generator.integers(2, 5))
    wave = np.sin(2 * math.pi * (y + shift[plank])) * generator.uniform(0.2, 0.5)
    grain = np.sin(2 * math.pi * (x * planks % 1 * rings + wave))
    tile = shades[plank] * np.exp(0.2 * grain)
    end = np.abs((y + shift[plank]) % 1 - 0.5) < 0.004
    return _finish(np.where((x * planks % 1 < 0.05) | end, DARKEST, tile), generator, 0.05)


def stripes_texture(seed: int) -> np.ndarray:
    """Return stripes of many widths and shades, straight up or across."""
    generator = np.random.default_rng(seed)
    edges = np.sort(generator.random(int(generator.integers(8, 24))))
    shades = _shades(generator, len(edges))
    y, x = _grid()
    # What lies before the first edge is the last stripe going on from the tile before.
    along = shades[np.searchsorted(edges, x.ravel()) - 1]
    tile = np.broadcast_to(along, (y.size, x.size))
    return _finish(tile.T if generator.random() < 0.5 else tile, generator, 0.06)


def marble_texture(seed: int) -> np.ndarray:
    """Return veins: the sine of a slope that noise has bent."""
    generator = np.random.default_rng(seed)
    bend = np.log(noise_texture(seed, SIZE, slope=1.9, contrast=0.5).astype(np.float64))
    bend = (bend - bend.mean()) / bend.std()
    share = (np.arange(SIZE) + 0.5) / SIZE
    across, up = generator.integers(-3, 4), generator.integers(1, 4)
    phase = 2 * math.pi * (across * share[None, :] + up * share[:, None])
    veins = np.abs(np.sin(phase + generator.uniform(1.5, 3.0) * bend)) ** 0.5
    dark, bright = np.sort(_shades(generator, 2, 0.3)) * (0.5, 1.5)
    return np.clip(dark + (bright - dark) * veins, DARKEST, BRIGHTEST).astype(np.float32)


def gravel_texture(seed: int) -> np.ndarray:
    """Return round stones of many sizes on dark ground, lighter towards their middle."""
    generator = np.random.default_rng(seed)
    fine = SIZE * OVERSAMPLING
    tile = np.full((fine, fine), DARKEST * 1.5)
    radii = np.sort(generator.pareto(2.5, 500) * 0.012 + 0.012).clip(max=0.09)
    for radius, shade in zip(radii, generator.permutation(_shades(generator, len(radii), 0.8))):
        stretch, turn = generator.uniform(0.6, 1.0), generator.uniform(0, math.pi)
        reach = np.arange(-int(radius * fine) - 1, int(radius * fine) + 2)
        y, x = reach[:, None] / (radius * fine), reach[None, :] / (radius * fine)
        distance = np.hypot(x * math.cos(turn) + y * math.sin(turn),
                            (y * math.cos(turn) - x * math.sin(turn)) / stretch)
        row, column = generator.integers(0, fine, 2)
        place = np.ix_((row + reach) % fine, (column + reach) % fine)
        tile[place] = np.where(distance < 1, shade * (1.15 - 0.5 * distance ** 2), tile[place])
    return _finish(tile, generator)


def blinds_texture(seed: int) -> np.ndarray:
    """Return slats that shade each other, brighter towards their lower edge."""
    generator = np.random.default_rng(seed)
    slats = int(generator.integers(8, 20))
    shade, depth = _shades(generator, 1)[0], generator.uniform(0.5, 0.85)
    y, x = _grid()
    tile = shade * 1.6 * (1 - depth * (1 - y * slats % 1)) * np.ones_like(x)
    cords = np.abs(x * 4 % 1 - 0.5) < 0.02
    return _finish(np.where(cords, shade * 0.5, tile), generator, 0.04)


def grid_texture(seed: int) -> np.ndarray:
    """Return bright lines of two widths on plain tiles, as in a bathroom or a hangar."""
    generator = np.random.default_rng(seed)
    fields, parts = int(generator.integers(2, 5)), int(generator.integers(2, 5))
    ground, line = np.sort(_shades(generator, 2))
    shades = ground * generator.uniform(0.8, 1.2, fields * fields)
    y, x = _grid()
    tile = shades[(y * fields).astype(int) * fields + (x * fields).astype(int)]
    for number, width, shade in ((fields * parts, 0.03, (ground + line) / 2),
                                 (fields, 0.03, min(line * 1.5, BRIGHTEST))):
        tile = np.where((y * number % 1 < width) | (x * number % 1 < width), shade, tile)
    return _finish(tile, generator)


def _checker(seed: int) -> np.ndarray:
    generator = np.random.default_rng(seed)
    dark, bright = np.sort(_shades(generator, 2)) * (0.7, 1.3)
    return checker_texture(SIZE, 2 ** int(generator.integers(1, 5)), max(dark, DARKEST),
                           min(bright, BRIGHTEST))


def _leaves(seed: int) -> np.ndarray:
    return leaves_texture(seed, SIZE)


def _noise(seed: int) -> np.ndarray:
    generator = np.random.default_rng(seed)
    return noise_texture(seed, SIZE, generator.uniform(0.9, 1.8), generator.uniform(0.3, 0.6))


TEXTURE_FAMILIES: dict[str, Callable[[int], np.ndarray]] = {
    'noise': _noise,
    'leaves': _leaves,
    'checker': _checker,
    'bricks': bricks_texture,
    'cells': cells_texture,
    'panels': panels_texture,
    'planks': planks_texture,
    'stripes': stripes_texture,
    'marble': marble_texture,
    'gravel': gravel_texture,
    'blinds': blinds_texture,
    'grid': grid_texture,
}
