# Copyright 2026 depth_anyevent_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Kinds of interiors, and the floor plans that are drawn from them."""
from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from depth_anyevent_ros.simulation.factors import cross, DroneFactors, vary
from depth_anyevent_ros.simulation.layouts_structures import Area


@dataclass(frozen=True)
class Interior:
    """
    What the inside of a building is like. Lengths are in metres.

    shape: of the floor: rectangle, l (two arms), t or cross. low, high: least and greatest length
    and width; but for a rectangle, of the arms and then how wide they are. height: of the
    ceiling. clutter: things a square metre. narrow: whether only small things fit in. pillars:
    distance between those that stand in a grid. partitions: walls of half the height, a square
    metre. racks, vehicles: whether they stand in rows. rise: of a pitched roof above the walls.
    beams: distance between those under the ceiling. rooms: their length, where walls with
    doorways divide the floor. deck: height of a platform at one end. stands: whether there are
    steps to sit on. tables: distance between those that stand in a grid. machines: a square
    metre.
    """

    shape: str
    low: tuple[float, ...]
    high: tuple[float, ...]
    height: tuple[float, float]
    clutter: float
    narrow: bool = False
    pillars: tuple[float, float] | None = None
    partitions: float = 0.0
    racks: bool = False
    vehicles: bool = False
    rise: tuple[float, float] | None = None
    beams: tuple[float, float] | None = None
    rooms: tuple[float, float] | None = None
    deck: tuple[float, float] | None = None
    stands: bool = False
    tables: tuple[float, float] | None = None
    machines: float = 0.0


INTERIORS = {
    'room': Interior('rectangle', (6.0, 5.0), (14.0, 11.0), (2.4, 3.6), 0.4),
    'corridor': Interior('rectangle', (16, 2.1), (34, 4.0), (2.3, 3.0), 0.25, narrow=True),
    'gallery': Interior('rectangle', (13, 9), (24, 16), (3.8, 6.5), 0.1, pillars=(3.2, 5.5)),
    'office': Interior('rectangle', (10, 8), (18, 13), (2.5, 3.3), 0.15, partitions=0.12),
    'garage': Interior('rectangle', (17, 13), (28, 19), (2.3, 3.2), 0.03, pillars=(5.0, 7.5),
                       vehicles=True),
    'cross': Interior('cross', (12, 12, 3.0, 3.0), (22, 22, 6.0, 6.0), (2.6, 4.2), 0.2),
    'apartment': Interior('rectangle', (8.5, 7.5), (15, 12), (2.3, 2.9), 0.12, rooms=(3.0, 5.0)),
    'workshop': Interior('rectangle', (13, 9), (23, 16), (3.4, 6.0), 0.08, beams=(1.8, 4.0),
                         machines=0.05),
    'attic': Interior('rectangle', (9, 6), (18, 10), (1.7, 2.3), 0.2, rise=(1.6, 3.5),
                      beams=(1.5, 3.5)),
    'canteen': Interior('t', (14, 12, 4.0, 5.0), (22, 18, 7.0, 8.0), (2.6, 3.8), 0.05,
                        tables=(2.2, 3.2)),
    'arena': Interior('rectangle', (17, 14), (26, 20), (4.8, 5.9), 0.03, stands=True,
                      beams=(3.0, 5.0)),
    'loft': Interior('rectangle', (11, 8), (18, 12), (4.4, 5.6), 0.15, deck=(2.2, 2.8)),
    'l_hall': Interior('l', (11, 11, 4.5, 4.5), (17, 17, 7, 7), (3.4, 4.6), 0.22),
    'warehouse': Interior('rectangle', (24, 17), (38, 28), (6, 9), 0.06, racks=True)}
# What belongs together where interiors are crossed.
TRAITS = (('shape', 'low', 'high', 'narrow', 'vehicles'), ('height',), ('clutter',), ('pillars',),
          ('partitions',), ('rise',), ('beams',), ('rooms',), ('deck',), ('stands',), ('tables',),
          ('machines',))
# What is longer or shorter where they are varied. Heights stay: below a lower ceiling there may be
# no way to fly.
LENGTHS = (('low', 'high'), ('pillars',), ('beams',), ('rooms',), ('tables',))


@dataclass(frozen=True)
class Building:
    """
    The inside of a building.

    interior: what it is like. plan: corners of its floor, anticlockwise, metres. height: of its
    ceiling, or of its walls where a pitched roof rises above them by rise. areas: upright
    rectangles (x0, y0, x1, y1) that together are the floor.
    """

    interior: Interior
    plan: tuple[tuple[float, float], ...]
    height: float
    areas: tuple[Area, ...]
    rise: float = 0.0

    def inside(self, x: float, y: float, margin: float) -> bool:
        """Return whether a place on the floor is in one of the areas, a margin off its edge."""
        return any(x0 + margin <= x <= x1 - margin and y0 + margin <= y <= y1 - margin
                   for x0, y0, x1, y1 in self.areas)


def building(generator: np.random.Generator, layout: str, factors: DroneFactors) -> Building:
    """Draw the floor plan of a layout, or of one that is crossed from all of the split's."""
    interior = INTERIORS[layout]
    if factors.crossed and generator.random() < factors.crossed:
        interior = cross(generator, interior, [INTERIORS[name] for name in factors.layouts],
                         TRAITS)
        interior = vary(generator, interior, factors.varied, LENGTHS)
        if interior.narrow or interior.shape != 'rectangle':  # they would block the way
            interior = replace(interior, partitions=0.0, rise=None, rooms=None, deck=None,
                               stands=False)
        if interior.narrow:
            interior = replace(interior, tables=None, machines=0.0)
        if interior.vehicles:
            interior = replace(interior, rooms=None, tables=None)
        if interior.rise:  # what reaches to the ceiling would end below the roof
            interior = replace(interior, rooms=None, pillars=None, machines=0.0)
    a, b, *widths = generator.uniform(interior.low, interior.high).tolist()
    height = generator.uniform(*interior.height)
    if interior.shape == 'rectangle':
        rise = generator.uniform(*interior.rise) if interior.rise else 0.0
        return Building(interior, ((0.0, 0.0), (a, 0.0), (a, b), (0.0, b)), height,
                        ((0.0, 0.0, a, b),), rise)
    c, d = widths
    if interior.shape == 'l':
        plan = ((0.0, 0.0), (a, 0.0), (a, d), (c, d), (c, b), (0.0, b))
        return Building(interior, plan, height, ((0, 0, a, d), (0, 0, c, b)))
    if interior.shape == 't':
        # Not near an end: that would be an l, which is the validation split's.
        left = generator.uniform(0.25, 0.75) * (a - c)
        plan = ((left, 0.0), (left + c, 0.0), (left + c, b - d), (a, b - d), (a, b), (0.0, b),
                (0.0, b - d), (left, b - d))
        return Building(interior, plan, height, ((0.0, b - d, a, b), (left, 0.0, left + c, b)))
    left, low = (generator.uniform(0.15, 0.85, 2) * (a - c, b - d)).tolist()
    right, high = left + c, low + d
    plan = ((left, 0.0), (right, 0.0), (right, low), (a, low), (a, high), (right, high),
            (right, b), (left, b), (left, high), (0.0, high), (0.0, low), (left, low))
    return Building(interior, plan, height, ((0.0, low, a, high), (left, 0.0, right, b)))
