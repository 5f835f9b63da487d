# Copyright 2026 depth_anyevent_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Rooms, corridors and halls with what stands and hangs in them."""
from __future__ import annotations

from dataclasses import dataclass
import math

import numpy as np

from depth_anyevent_ros.simulation.factors import DroneFactors
from depth_anyevent_ros.simulation.layouts_furniture import (
    ball, crate, furniture, hanging, pillar, rack, wall_panel)
from depth_anyevent_ros.simulation.layouts_parts import Parts, place, shade, Solid
from depth_anyevent_ros.simulation.scene import Rectangle

Rectangle2 = tuple[float, float, float, float]


@dataclass(frozen=True)
class Building:
    """
    The inside of a building.

    plan: corners of its floor, anticlockwise, metres. height: of its ceiling. areas: upright
    rectangles (x0, y0, x1, y1) that together are the floor.
    """

    plan: tuple[tuple[float, float], ...]
    height: float
    areas: tuple[Rectangle2, ...]

    def inside(self, x: float, y: float, margin: float) -> bool:
        """Return whether a place on the floor is in one of the areas, a margin off its edge."""
        return any(x0 + margin <= x <= x1 - margin and y0 + margin <= y <= y1 - margin
                   for x0, y0, x1, y1 in self.areas)


def building(generator: np.random.Generator, layout: str) -> Building:
    """Draw the floor plan of a layout: room, corridor, l_hall or warehouse."""
    if layout == 'l_hall':
        a, b = generator.uniform(11, 17, 2)
        c, d = generator.uniform(4.5, 7, 2)
        plan = ((0.0, 0.0), (a, 0.0), (a, d), (c, d), (c, b), (0.0, b))
        return Building(plan, generator.uniform(3.4, 4.6), ((0, 0, a, d), (0, 0, c, b)))
    (low, high), height = {
        'room': (((6.0, 5.0), (14.0, 11.0)), generator.uniform(2.4, 3.6)),
        'corridor': (((16, 2.1), (34, 4.0)), generator.uniform(2.3, 3.0)),
        'warehouse': (((24, 17), (38, 28)), generator.uniform(6, 9))}[layout]
    a, b = generator.uniform(low, high).tolist()
    return Building(((0.0, 0.0), (a, 0.0), (a, b), (0.0, b)), height, ((0.0, 0.0, a, b),))


def build_indoor(generator: np.random.Generator, layout: str, made: Building,
                 factors: DroneFactors) -> Parts:
    """Return all that stands still in a building."""
    parts = Parts()
    ground, = parts.draw_textures(generator, factors.grounds, 1)
    walls = parts.draw_textures(generator, factors.walls, 2)
    objects = parts.draw_textures(generator, factors.objects, 5)
    parts.rectangles.extend(_shell(generator, made, ground, walls))
    for begin, end in zip(made.plan, made.plan[1:] + made.plan[:1]):
        _dress_wall(generator, parts, made, begin, end, layout, objects)
    if layout == 'warehouse':
        _racks(generator, parts, made, objects)
    _clutter(generator, parts, made, layout, objects)
    return parts


def _shell(generator: np.random.Generator, made: Building, ground: int,
           walls: list[int]) -> list[Rectangle]:
    """Return floor, ceiling and walls."""
    x0, y0 = np.min(made.plan, axis=0).tolist()
    x1, y1 = np.max(made.plan, axis=0).tolist()
    middle = ((x0 + x1) / 2, (y0 + y1) / 2)
    found = [Rectangle((*middle, z), (1.0, 0, 0), (0, direction, 0), x1 - x0, y1 - y0, texture,
                       generator.uniform(1.5, 3.5), shade(generator, *bright, 0.08))
             for z, direction, texture, bright in (
                 (0.0, 1.0, ground, (0.7, 1.4)), (made.height, -1.0, walls[1], (1.1, 1.7)))]
    color, tile_m = shade(generator, 0.8, 1.6, 0.12), generator.uniform(1.8, 4)
    for (ax, ay), (bx, by) in zip(made.plan, made.plan[1:] + made.plan[:1]):
        length = math.hypot(bx - ax, by - ay)
        # Anticlockwise, so that right x up points inward: right runs against the outline.
        found.append(Rectangle(
            ((ax + bx) / 2, (ay + by) / 2, made.height / 2),
            ((ax - bx) / length, (ay - by) / length, 0.0), (0, 0, 1.0), length, made.height,
            walls[0], tile_m, color))
    return found


def _dress_wall(generator: np.random.Generator, parts: Parts, made: Building,
                begin: tuple[float, float], end: tuple[float, float], layout: str,
                textures: list[int]) -> None:
    """Hang panels on a wall and put furniture along it."""
    (ax, ay), (bx, by) = begin, end
    length, yaw = math.hypot(bx - ax, by - ay), math.atan2(by - ay, bx - ax)
    narrow = layout == 'corridor'
    along = generator.uniform(0.3, 1.0)
    while along < length - 0.9:
        x, y = ax + math.cos(yaw) * along, ay + math.sin(yaw) * along
        # y of a thing points away from the wall, into the room.
        if generator.random() < (0.55 if narrow else 0.4):
            solids = wall_panel(generator, made.height, textures)
        elif narrow:
            solids = crate(generator, textures, 0.22) if generator.random() < 0.5 else \
                pillar(generator, made.height, textures, 0.1)
        else:
            solids = furniture(generator, textures, made.height)
        reach = max(solid.center[0] + _half(solid, 0) for solid in solids)
        if along + reach + 0.1 < length:
            parts.add(place(solids, x, y, yaw))
        along += reach + generator.uniform(0.1, 1.3)


def _half(solid: Solid, axis: int) -> float:
    return solid.size[axis] / 2 if hasattr(solid, 'size') else solid.radii[axis]


def _clutter(generator: np.random.Generator, parts: Parts, made: Building, layout: str,
             textures: list[int]) -> None:
    """Put things on the floor, away from the walls, and hang things from the ceiling."""
    area = sum((x1 - x0) * (y1 - y0) for x0, y0, x1, y1 in made.areas)
    density = {'room': 0.4, 'corridor': 0.25, 'l_hall': 0.22, 'warehouse': 0.06}[layout]
    margin = 0.35 if layout == 'corridor' else 1.1
    for _ in range(round(area * density)):
        x0, y0, x1, y1 = made.areas[int(generator.integers(len(made.areas)))]
        x, y = generator.uniform((x0, y0), (x1, y1)).tolist()
        kind = generator.random()
        if kind < 0.3:
            solids = hanging(generator, made.height, textures)
        elif kind < 0.45:
            solids = ball(generator, textures, 0.12 if layout == 'corridor' else 0.4)
        elif kind < 0.6 and layout != 'corridor':
            solids = pillar(generator, made.height, textures, 0.25)
        elif kind < 0.85 or layout == 'corridor':
            solids = crate(generator, textures, 0.25 if layout == 'corridor' else 0.9)
        else:
            solids = furniture(generator, textures, made.height)
        if made.inside(x, y, margin):
            parts.add(place(solids, x, y, generator.uniform(0, 2 * math.pi)))


def _racks(generator: np.random.Generator, parts: Parts, made: Building,
           textures: list[int]) -> None:
    """Fill a warehouse with rows of racks, aisles between them."""
    x0, y0, x1, y1 = made.areas[0]
    aisle = generator.uniform(2.6, 4.2)
    y = y0 + aisle + 1.0
    while y < y1 - aisle:
        x = x0 + generator.uniform(3, 4.5)
        levels = int(generator.integers(2, 4))
        while x < x1 - 5.5:
            length = generator.uniform(2.4, 3.4)
            if generator.random() < 0.82:
                parts.add(place(rack(generator, length, levels, made.height, textures), x, y, 0))
            x += length + 0.06
        y += aisle + 1.2
