# Copyright 2026 depth_anyevent_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""
Furniture and clutter.

Things for walls begin at x = 0 and reach along x; the wall is at y = 0 and the room at y > 0.
Everything stands on z = 0 or hangs from the ceiling.
"""
from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from depth_anyevent_ros.simulation.factors import pick
from depth_anyevent_ros.simulation.layouts_parts import GREEN, shade, Solid
from depth_anyevent_ros.simulation.scene import Box, Ellipsoid


def block(begin: Sequence[float], end: Sequence[float], texture: int, tile_m: float,
          color: tuple[float, float, float]) -> Box:
    """Return the upright box between two corners."""
    low, high = np.asarray(begin, np.float64), np.asarray(end, np.float64)
    return Box(tuple(((low + high) / 2).tolist()), tuple((high - low).tolist()), 0.0, texture,
               tile_m, color)


def furniture(generator: np.random.Generator, textures: Sequence[int],
              ceiling: float) -> list[Solid]:
    """Return a table, a sofa, a wardrobe, a shelf or a plant."""
    maker = (_table, _sofa, _wardrobe, _shelf, _plant)[int(generator.integers(5))]
    return maker(generator, pick(generator, textures), shade(generator, 0.5, 1.8, 0.3),
                 min(ceiling - 0.2, 2.2), textures)


def _table(generator, texture, color, tallest, textures) -> list[Solid]:
    x, y, z = generator.uniform((0.8, 0.6, 0.55), (1.9, 0.95, 0.95)).tolist()
    solids: list[Solid] = [block((0, 0, z - 0.05), (x, y, z), texture, 1.0, color)]
    for u in (0.03, x - 0.09):
        for v in (0.03, y - 0.09):
            solids.append(block((u, v, 0), (u + 0.06, v + 0.06, z - 0.05), texture, 0.5, color))
    # Something lies on it.
    for _ in range(int(generator.integers(1, 4))):
        u, v = generator.uniform((0.1, 0.1), (x - 0.4, y - 0.35))
        w, d, h = generator.uniform(0.08, 0.3, 3)
        solids.append(block((u, v, z), (u + w, v + d, z + h), pick(generator, textures), 0.5,
                            shade(generator, 0.5, 2.0, 0.5)))
    return solids


def _sofa(generator, texture, color, tallest, textures) -> list[Solid]:
    x = generator.uniform(0.8, 2.2)
    return [block((0, 0, 0.05), (x, 0.85, 0.42), texture, 1.2, color),
            block((0, 0, 0.42), (x, 0.22, 0.85), texture, 1.2, color),
            block((0, 0.22, 0.42), (0.16, 0.85, 0.62), texture, 0.8, color),
            block((x - 0.16, 0.22, 0.42), (x, 0.85, 0.62), texture, 0.8, color)]


def _wardrobe(generator, texture, color, tallest, textures) -> list[Solid]:
    x, y, z = generator.uniform((0.7, 0.35, 1.0), (1.8, 0.65, tallest)).tolist()
    return [block((0, 0, 0), (x, y, z), texture, 1.3, color)]


def _shelf(generator, texture, color, tallest, textures) -> list[Solid]:
    x, z = generator.uniform(0.7, 1.4), generator.uniform(1.2, tallest)
    levels = max(int(z / 0.42), 2)
    solids: list[Solid] = [block((u, 0, 0), (u + 0.03, 0.32, z), texture, 0.9, color)
                           for u in (0, x - 0.03)]
    for level in range(levels + 1):
        height = level * (z - 0.03) / levels
        solids.append(block((0.03, 0, height), (x - 0.03, 0.32, height + 0.03), texture, 0.9,
                            color))
        if level < levels:
            u, w = generator.uniform((0.05, 0.2), (0.3, x - 0.4))
            solids.append(block((u, 0.05, height + 0.03),
                                (u + w, 0.28, height + 0.03 + generator.uniform(0.1, 0.32)),
                                pick(generator, textures), 0.4, shade(generator, 0.5, 2, 0.4)))
    return solids


def _plant(generator, texture, color, tallest, textures) -> list[Solid]:
    radius, stem = generator.uniform(0.2, 0.45), generator.uniform(0.4, 1.0)
    return [block((0.1, 0.1, 0), (0.45, 0.45, 0.4), texture, 0.6, color),
            block((0.25, 0.25, 0.4), (0.3, 0.3, 0.4 + stem), texture, 0.3, (0.6, 0.5, 0.35)),
            Ellipsoid((radius + 0.02, radius + 0.02, 0.4 + stem + radius * 0.7),
                      (radius, radius, radius * 1.3), 0.0, pick(generator, textures), 0.7, GREEN)]


def wall_panel(generator: np.random.Generator, ceiling: float,
               textures: Sequence[int]) -> list[Solid]:
    """Return a door, a window, a picture or a radiator."""
    kind, texture = int(generator.integers(4)), pick(generator, textures)
    if kind == 0:
        return [block((0, 0, 0), (0.95, 0.05, 2.05), texture, 2.2, shade(generator, 0.5, 1.7)),
                block((0.8, 0.05, 1.0), (0.9, 0.12, 1.04), texture, 0.3, (0.4, 0.4, 0.4))]
    if kind == 1:
        x = generator.uniform(0.8, 2.0)
        frame = shade(generator, 0.5, 1.5, 0.05)
        top = min(2.1, ceiling - 0.15)
        return [block((0, 0, 0.85), (x, 0.02, top), texture, 3.0, (2.3, 2.4, 2.6)),
                *(block((u, 0.02, 0.85), (u + 0.06, 0.08, top), texture, 0.5, frame)
                  for u in (0.0, x / 2 - 0.03, x - 0.06)),
                block((0, 0.02, 0.8), (x, 0.14, 0.85), texture, 0.5, frame)]
    if kind == 2:
        w, h = generator.uniform(0.3, 1.2, 2)
        low = generator.uniform(0.9, max(ceiling - h - 0.2, 0.95))
        return [block((0, 0, low), (w, 0.04, low + h), texture, max(w, h),
                      shade(generator, 0.6, 2.2, 0.5))]
    return [block((0, 0.03, 0.12), (generator.uniform(0.6, 1.4), 0.14, 0.7), texture, 0.6,
                  shade(generator, 1.2, 2.0, 0.05))]


def crate(generator: np.random.Generator, textures: Sequence[int], largest: float) -> list[Solid]:
    """Return one to three boxes on each other."""
    solids: list[Solid] = []
    base = 0.0
    for _ in range(int(generator.integers(1, 4))):
        x, y, z = generator.uniform(0.5 * largest, largest, 3).tolist()
        solids.append(Box((largest / 2, largest / 2, base + z / 2), (x, y, z),
                          generator.normal(0, 0.15), pick(generator, textures),
                          max(x, z) * generator.uniform(0.8, 1.6),
                          shade(generator, 0.5, 1.8, 0.4)))
        base += z
    return solids


def ball(generator: np.random.Generator, textures: Sequence[int], largest: float) -> list[Solid]:
    """Return an ellipsoid on the floor."""
    radii = generator.uniform(0.5 * largest, largest, 3).tolist()
    return [Ellipsoid((radii[0], radii[1], radii[2]), tuple(radii), 0.0,
                      pick(generator, textures), 2.5 * largest, shade(generator, 0.5, 1.9, 0.5))]


def pillar(generator: np.random.Generator, ceiling: float, textures: Sequence[int],
           half: float) -> list[Solid]:
    """Return a pillar from the floor to the ceiling."""
    size = 2 * half * generator.uniform(0.6, 1.2)
    return [Box((half, half, ceiling / 2), (size, size, ceiling), 0.0, pick(generator, textures),
                generator.uniform(0.8, 2.0), shade(generator, 0.6, 1.6))]


def hanging(generator: np.random.Generator, ceiling: float,
            textures: Sequence[int]) -> list[Solid]:
    """Return a lamp on a cable, or a beam under the ceiling."""
    texture = pick(generator, textures)
    if generator.random() < 0.3:
        length = generator.uniform(1, 3)
        return [Box((0, 0, ceiling - 0.12), (length, 0.14, 0.2), 0.0, texture, 0.9,
                    shade(generator, 0.5, 1.4))]
    drop, radius = generator.uniform(0.2, 0.35) * ceiling, generator.uniform(0.12, 0.28)
    return [Box((0, 0, ceiling - drop / 2), (0.025, 0.025, drop), 0.0, texture, 0.4,
                (0.4, 0.4, 0.4)),
            Ellipsoid((0, 0, ceiling - drop), (radius, radius, radius * 0.7), 0.0, texture, 0.6,
                      (2.2, 2.1, 1.8))]


def rack(generator: np.random.Generator, length: float, levels: int, ceiling: float,
         textures: Sequence[int]) -> list[Solid]:
    """Return a pallet rack 1.1 m deep with cartons on its boards."""
    step = min(generator.uniform(1.3, 1.9), (ceiling - 1.0) / (levels + 1))
    steel, texture = shade(generator, 0.7, 1.6, 0.5), pick(generator, textures)
    top = levels * step + 0.9
    solids: list[Solid] = [
        block((u, v, 0), (u + 0.1, v + 0.1, top), texture, 0.7, steel)
        for u in (0.0, length - 0.1) for v in (0.0, 1.0)]
    for level in range(levels + 1):
        base = level * step
        if level:
            solids.append(block((0.1, 0, base - 0.12), (length - 0.1, 1.1, base), texture, 1.2,
                                steel))
        u = generator.uniform(0.12, 0.5)
        while u < length - 0.8:
            w, d = generator.uniform(0.5, 1.2), generator.uniform(0.6, 1.0)
            end = min(u + w, length - 0.12)
            if generator.random() < 0.75:
                solids.append(block(
                    (u, (1.1 - d) / 2, base),
                    (end, (1.1 + d) / 2, base + generator.uniform(0.35, 0.8) * step),
                    pick(generator, textures), 1.0, shade(generator, 0.5, 1.8, 0.3)))
            u = end + generator.uniform(0.03, 0.4)
    return solids


def table_with_seats(generator: np.random.Generator, textures: Sequence[int]) -> list[Solid]:
    """Return a table about the origin with a seat or a bench at each long side."""
    x, y, z = generator.uniform((0.8, 0.6, 0.65), (1.6, 0.9, 0.8)).tolist()
    top, seat = pick(generator, textures), pick(generator, textures)
    color, cloth = shade(generator, 0.5, 1.8, 0.3), shade(generator, 0.5, 1.8, 0.4)
    solids: list[Solid] = [
        block((-x / 2, -y / 2, z - 0.05), (x / 2, y / 2, z), top, 1.0, color),
        block((-0.05, -0.05, 0), (0.05, 0.05, z - 0.05), top, 0.5, color)]
    wide, back = generator.uniform(0.4, x), generator.random() < 0.6
    for side in (-1, 1):
        near, far = (side * (y / 2 + away) for away in (0.1, 0.5))
        solids.append(block((-wide / 2, min(near, far), 0.38), (wide / 2, max(near, far), 0.45),
                            seat, 0.6, cloth))
        if back:
            end = far + side * 0.05
            solids.append(block((-wide / 2, min(far, end), 0), (wide / 2, max(far, end), 0.9),
                                seat, 0.6, cloth))
    return solids


def machine(generator: np.random.Generator, ceiling: float,
            textures: Sequence[int]) -> list[Solid]:
    """Return a block about the origin with a housing or a tank on it, and often a pipe up."""
    x, y, z = generator.uniform((0.8, 0.7, 0.5), (2.6, 1.5, 1.2)).tolist()
    paint, tile_m = shade(generator, 0.5, 1.8, 0.4), generator.uniform(0.8, 2)
    solids: list[Solid] = [block((-x / 2, -y / 2, 0), (x / 2, y / 2, z), pick(generator, textures),
                                 tile_m, paint)]
    at, wide = generator.uniform(-0.3 * x, 0.1 * x), generator.uniform(0.3, 0.6) * x
    tall = min(generator.uniform(0.3, 1.2), ceiling - z - 0.3)
    if generator.random() < 0.5:
        solids.append(block((at, -0.4 * y, z), (at + wide, 0.4 * y, z + tall),
                            pick(generator, textures), tile_m, shade(generator, 0.5, 1.8, 0.4)))
    else:
        solids.append(Ellipsoid((at + wide / 2, 0, z + tall / 2), (wide / 2, 0.42 * y, tall / 2),
                                0.0, pick(generator, textures), tile_m,
                                shade(generator, 0.6, 1.9)))
    if generator.random() < 0.6:
        u, thick = generator.uniform(-0.45 * x, 0.3 * x), generator.uniform(0.06, 0.25)
        solids.append(block((u, -thick / 2, z), (u + thick, thick / 2, ceiling),
                            pick(generator, textures), 0.5, shade(generator, 0.6, 1.8)))
    return solids
