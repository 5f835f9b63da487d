# Copyright 2026 depth_anyevent_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""
Tables with things on them, before the wall of a room.

Things stand on the table from x = 0 on, at z = 0, and the wall behind them lies towards x. The
camera is before x = 0, mostly above the table, too, whose front edge and the floor below it are
seen by some only.
"""
from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
import math

import numpy as np

from depth_anyevent_ros.simulation.factors import cross, DeskFactors, pick
from depth_anyevent_ros.simulation.layouts_clearance import Clearance
from depth_anyevent_ros.simulation.layouts_furniture import furniture, wall_panel
from depth_anyevent_ros.simulation.layouts_parts import Parts, place, shade, Solid
from depth_anyevent_ros.simulation.scene import Box, Ellipsoid, Rectangle

CLEAR_M = 0.22  # between the camera and a thing
ASIDE_M = 1.1  # further to the side hardly any camera looks
TRIES = 12


@dataclass(frozen=True)
class Table:
    """
    A kind of table and room.

    deep_m, wide_m: of where things stand. front_m: how far the table reaches towards the camera.
    wall_m: from where things begin to the wall, at least as far as the table is deep. things: how
    many stand on it. size_m: of the largest side of a thing. kinds: makers of things, of KINDS.
    shelves: most boards on the wall. behind: whether furniture stands along the wall, where there
    is room for it.
    """

    deep_m: tuple[float, float]
    wide_m: tuple[float, float]
    front_m: tuple[float, float]
    wall_m: tuple[float, float]
    things: tuple[int, int]
    size_m: tuple[float, float]
    kinds: tuple[str, ...]
    shelves: int = 0
    behind: bool = False


TABLES = {
    'office': Table((0.6, 0.8), (1.4, 1.8), (0.1, 0.6), (0.9, 1.6), (7, 14), (0.1, 0.4),
                    ('board', 'stack', 'box'), shelves=2),
    'workbench': Table((0.6, 0.9), (1.6, 2.6), (0.0, 0.4), (0.9, 1.2), (10, 20), (0.06, 0.3),
                       ('box', 'bottle', 'ball', 'board'), shelves=3),
    'kitchen': Table((0.55, 0.7), (1.8, 3.0), (0.0, 0.3), (0.7, 0.9), (8, 18), (0.08, 0.28),
                     ('bottle', 'ball', 'box'), shelves=2),
    'parlour': Table((0.8, 1.2), (1.2, 2.0), (0.3, 0.8), (2.2, 4.5), (4, 9), (0.08, 0.3),
                     ('ball', 'stack', 'bottle'), behind=True),
    'studio': Table((1.0, 1.6), (2.0, 3.2), (0.3, 1.0), (1.8, 3.2), (10, 22), (0.1, 0.5),
                    ('board', 'box', 'ball', 'stack', 'bottle')),
    'archive': Table((0.7, 1.1), (1.4, 2.4), (0.2, 0.8), (1.3, 2.4), (8, 15), (0.15, 0.45),
                     ('stack', 'box'), shelves=4, behind=True),
    'counter': Table((0.65, 0.95), (1.6, 2.6), (0.15, 0.65), (1.1, 2.0), (9, 16), (0.08, 0.35),
                     ('cone', 'box', 'board'), shelves=1),
    'stand': Table((0.9, 1.3), (1.8, 2.8), (0.2, 0.9), (1.4, 2.6), (9, 17), (0.09, 0.42),
                   ('plinth', 'ball', 'board', 'stack'), shelves=1, behind=True)}
# What goes together where tables are crossed.
TRAITS = (('deep_m', 'wide_m'), ('front_m',), ('wall_m', 'behind'), ('things', 'size_m'),
          ('kinds',), ('shelves',))


def table_of(generator: np.random.Generator, layout: str, factors: DeskFactors) -> Table:
    """Return the kind of table of a layout, or one that is crossed from all of the split."""
    if generator.random() < factors.crossed:
        return cross(generator, TABLES[layout], [TABLES[name] for name in factors.layouts],
                     TRAITS)
    return TABLES[layout]


def build_desk(generator: np.random.Generator, kind: Table, factors: DeskFactors,
               way: np.ndarray) -> tuple[Parts, float]:
    """Return what stands still, and the wall's x (m); way: (n, 3), that nothing comes near."""
    parts = Parts()
    ground, top = parts.draw_textures(generator, factors.grounds, 2)
    walls = parts.draw_textures(generator, factors.walls, 2)
    objects = parts.draw_textures(generator, factors.objects, 6)
    deep, wide = generator.uniform(*kind.deep_m), generator.uniform(*kind.wide_m)
    wall = max(generator.uniform(*kind.wall_m), deep + 0.02)
    front, height = generator.uniform(*kind.front_m), generator.uniform(0.68, 0.95)
    ceiling = generator.uniform(2.4, 3.2) - height
    parts.rectangles.extend(_room(generator, wall, -height, ceiling, ground, walls))
    parts.add([Box(((deep - front) / 2, 0, -0.02), (deep + front, wide, 0.04), 0.0, top,
                   generator.uniform(0.4, 1.5), shade(generator, 0.5, 2.0, 0.2))])
    _things(generator, parts, kind, (deep, wide), way, objects)
    _wall(generator, parts, kind, (deep, wall, ceiling, height), way, objects)
    return parts, wall


def _room(generator: np.random.Generator, wall: float, floor: float, ceiling: float, ground: int,
          walls: list[int]) -> list[Rectangle]:
    """Return floor, ceiling and four walls."""
    back, side = -generator.uniform(1.5, 3.0), generator.uniform(2.0, 4.0)
    middle, long, tall = (wall + back) / 2, wall - back, ceiling - floor
    color, tile_m = shade(generator, 0.8, 1.8, 0.12), generator.uniform(0.8, 3.0)
    upright, z = (0.0, 0.0, 1.0), (floor + ceiling) / 2
    return [
        Rectangle((middle, 0, floor), (1.0, 0, 0), (0, 1.0, 0), long, 2 * side, ground,
                  generator.uniform(1.0, 3.0), shade(generator, 0.7, 1.4, 0.08)),
        Rectangle((middle, 0, ceiling), (1.0, 0, 0), (0, -1.0, 0), long, 2 * side, walls[1],
                  generator.uniform(1.0, 3.0), shade(generator, 1.1, 1.7, 0.08)),
        *(Rectangle((x, 0, z), (0, sign, 0), upright, 2 * side, tall, walls[0], tile_m, color)
          for x, sign in ((wall, -1.0), (back, 1.0))),
        *(Rectangle((middle, y, z), (sign, 0, 0), upright, long, tall, walls[0], tile_m, color)
          for y, sign in ((side, 1.0), (-side, -1.0)))]


def _things(generator: np.random.Generator, parts: Parts, kind: Table,
            size: tuple[float, float], way: np.ndarray, textures: list[int]) -> None:
    """Put things on the table, none into another or near the camera's way."""
    (deep, wide), taken = size, []
    half = min(wide / 2, ASIDE_M)
    for _ in range(int(generator.integers(kind.things[0], kind.things[1] + 1))):
        solids, radius = _thing(generator, kind, textures)
        for _ in range(TRIES):
            x, y = (float(generator.uniform(low + radius, max(high - radius, low + radius + 0.01)))
                    for low, high in ((0.0, deep), (-half, half)))
            if all(math.hypot(x - u, y - v) > radius + other for u, v, other in taken):
                placed = place(solids, x, y, generator.uniform(-0.7, 0.7))
                if _clear(placed, way):
                    taken.append((x, y, radius))
                    parts.add(placed)
                    break


def _clear(solids: Sequence[Solid], way: np.ndarray) -> bool:
    return Clearance([], [s for s in solids if isinstance(s, Box)],
                     [s for s in solids if isinstance(s, Ellipsoid)])(way).min() > CLEAR_M


def _wall(generator: np.random.Generator, parts: Parts, kind: Table,
          places: tuple[float, float, float, float], way: np.ndarray,
          textures: list[int]) -> None:
    """Hang panels and shelves on the wall, and put furniture before it."""
    deep, wall, ceiling, height = places
    along = generator.uniform(-2.2, -1.2)
    while along < 1.6:
        behind = kind.behind and wall - deep > 1.0 and generator.random() < 0.6
        solids = furniture(generator, textures, ceiling + height) if behind else \
            wall_panel(generator, ceiling + height, textures)
        placed = place(solids, wall, along, math.pi / 2, -height)
        if _clear(placed, way):
            parts.add(placed)
        along += generator.uniform(0.8, 2.0)
    for _ in range(int(generator.integers(kind.shelves + 1))):
        z, y, long = generator.uniform((0.25, -0.9, 0.5), (0.9, 0.9, 1.4)).tolist()
        shelf: list[Solid] = [Box((wall - 0.12, y, z), (0.24, long, 0.025), 0.0,
                                  pick(generator, textures), 0.6, shade(generator, 0.5, 1.8))]
        for u in np.arange(y - long / 2 + 0.12, y + long / 2 - 0.1, 0.22).tolist():
            if generator.random() < 0.7:
                solids, radius = _thing(generator, kind, textures, 0.2)
                if radius < 0.12:
                    shelf += place(solids, wall - 0.12, u, math.pi, z + 0.0125)
        if _clear(shelf, way):
            parts.add(shelf)


def _thing(generator: np.random.Generator, kind: Table, textures: list[int],
           largest: float = math.inf) -> tuple[list[Solid], float]:
    """Return a thing about the origin, on z = 0, and the radius of its ground."""
    low, high = kind.size_m
    size = math.exp(generator.uniform(math.log(low), math.log(max(min(high, largest), low))))
    return KINDS[pick(generator, kind.kinds)](generator, size, textures)


def _paint(generator: np.random.Generator, textures: list[int], size: float) -> tuple:
    """Return texture, side of its tile and colour."""
    return (pick(generator, textures), size * math.exp(generator.uniform(-0.4, 1.2)),
            shade(generator, 0.4, 2.2, 0.45))


def _box(generator, size, textures) -> tuple[list[Solid], float]:
    x, y, z = (size * generator.uniform(0.35, 1.0, 3)).tolist()
    return [Box((0, 0, z / 2), (x, y, z), 0.0, *_paint(generator, textures, size))], \
        math.hypot(x, y) / 2


def _board(generator, size, textures) -> tuple[list[Solid], float]:
    y, z = (size * generator.uniform(0.6, 1.3, 2)).tolist()
    return [Box((0, 0, z / 2), (0.02, y, z), 0.0, *_paint(generator, textures, size))], y / 2


def _stack(generator, size, textures) -> tuple[list[Solid], float]:
    solids: list[Solid] = []
    base = 0.0
    for _ in range(int(generator.integers(2, 6))):
        x, y, z = (size * generator.uniform((0.5, 0.6, 0.06), (0.7, 0.9, 0.2))).tolist()
        solids.append(Box((0, 0, base + z / 2), (x, y, z), generator.normal(0, 0.2),
                          *_paint(generator, textures, size)))
        base += z
    return solids, 0.57 * size


def _ball(generator, size, textures) -> tuple[list[Solid], float]:
    radii = (size / 2 * generator.uniform(0.6, 1.0, 3)).tolist()
    return [Ellipsoid((0, 0, radii[2]), tuple(radii), 0.0,
                      *_paint(generator, textures, size))], max(radii[:2])


def _bottle(generator, size, textures) -> tuple[list[Solid], float]:
    radius = size * generator.uniform(0.14, 0.3)
    paint = _paint(generator, textures, size)
    return [Ellipsoid((0, 0, size * 0.4), (radius, radius, size * 0.4), 0.0, *paint),
            Box((0, 0, size * 0.85), (radius * 0.5, radius * 0.5, size * 0.3), 0.0, *paint)], \
        radius


def _cone(generator, size, textures) -> tuple[list[Solid], float]:
    """Return what gets thinner in steps, as a lamp's foot or a stack of cups."""
    paint, solids = _paint(generator, textures, size), []
    steps = int(generator.integers(3, 6))
    for k in range(steps):
        wide, tall = size * 0.6 * (1 - k / (steps + 1)), size / steps
        solids.append(Box((0, 0, (k + 0.5) * tall), (wide, wide, tall), 0.3 * k, *paint))
    return solids, 0.43 * size


def _plinth(generator, size, textures) -> tuple[list[Solid], float]:
    """Return something on a pedestal."""
    tall = size * generator.uniform(0.3, 0.8)
    solids, radius = pick(generator, (_ball, _box))(generator, 0.7 * size, textures)
    return [Box((0, 0, tall / 2), (0.5 * size, 0.5 * size, tall), 0.0,
                *_paint(generator, textures, size)), *place(solids, 0, 0, 0, tall)], \
        max(radius, 0.36 * size)


KINDS = {'box': _box, 'board': _board, 'stack': _stack, 'ball': _ball, 'bottle': _bottle,
         'cone': _cone, 'plinth': _plinth}
