# Copyright 2026 depth_anyevent_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Rooms, corridors and halls with what stands and hangs in them."""
from __future__ import annotations

import math

import numpy as np

from depth_anyevent_ros.simulation.factors import DroneFactors
from depth_anyevent_ros.simulation.layouts_furniture import (
    ball, crate, furniture, hanging, pillar, rack, wall_panel)
from depth_anyevent_ros.simulation.layouts_parts import Parts, place, shade, Solid, vehicle
from depth_anyevent_ros.simulation.layouts_plan import Building, Interior
from depth_anyevent_ros.simulation.layouts_structures import (
    beams, deck, machines, pitched_roof, rooms, stands, tables)
from depth_anyevent_ros.simulation.scene import Box, Rectangle


def build_indoor(generator: np.random.Generator, made: Building, factors: DroneFactors) -> Parts:
    """Return all that stands still in a building."""
    parts, interior = Parts(), made.interior
    ground, = parts.draw_textures(generator, factors.grounds, 1)
    walls = parts.draw_textures(generator, factors.walls, 2)
    objects = parts.draw_textures(generator, factors.objects, 5)
    parts.rectangles.extend(_shell(generator, made, ground, walls))
    for begin, end in zip(made.plan, made.plan[1:] + made.plan[:1]):
        _dress_wall(generator, parts, made, begin, end, interior.narrow, objects)
    if interior.racks:
        _racks(generator, parts, made, objects)
    if interior.pillars:
        _pillars(generator, parts, made, generator.uniform(*interior.pillars), objects)
    if interior.vehicles:
        _vehicles(generator, parts, made, objects)
    parts.add(_structures(generator, made, walls, objects))
    _partitions(generator, parts, made, interior.partitions, objects)
    _clutter(generator, parts, made, interior, objects)
    return parts


def _shell(generator: np.random.Generator, made: Building, ground: int,
           walls: list[int]) -> list[Rectangle]:
    """Return floor, ceiling and walls."""
    x0, y0 = np.min(made.plan, axis=0).tolist()
    x1, y1 = np.max(made.plan, axis=0).tolist()
    middle = ((x0 + x1) / 2, (y0 + y1) / 2)
    floor = (0.0, 1.0, ground, (0.7, 1.4))
    ceiling = (made.height, -1.0, walls[1], (1.1, 1.7))
    found = [Rectangle((*middle, z), (1.0, 0, 0), (0, direction, 0), x1 - x0, y1 - y0, texture,
                       generator.uniform(1.5, 3.5), shade(generator, *bright, 0.08))
             for z, direction, texture, bright in ((floor,) if made.rise else (floor, ceiling))]
    if made.rise:
        found += pitched_roof(generator, (x0, y0, x1, y1), made.height, made.rise, walls[1])
    color, tile_m = shade(generator, 0.8, 1.6, 0.12), generator.uniform(1.8, 4)
    for (ax, ay), (bx, by) in zip(made.plan, made.plan[1:] + made.plan[:1]):
        length = math.hypot(bx - ax, by - ay)
        # The ridge runs along x, and walls across it reach up to it, behind the slopes.
        height = made.height + (made.rise if ax == bx else 0.0)
        # Anticlockwise, so that right x up points inward: right runs against the outline.
        found.append(Rectangle(
            ((ax + bx) / 2, (ay + by) / 2, height / 2),
            ((ax - bx) / length, (ay - by) / length, 0.0), (0, 0, 1.0), length, height,
            walls[0], tile_m, color))
    return found


def _structures(generator: np.random.Generator, made: Building, walls: list[int],
                textures: list[int]) -> list[Solid]:
    """Return what divides a building and what fills it in rows."""
    interior, area, found = made.interior, made.areas[0], []
    if interior.beams:
        for each in made.areas:
            found += beams(generator, each, made.height, generator.uniform(*interior.beams),
                           textures)
    if interior.rooms:
        found += rooms(generator, area, made.height, generator.uniform(*interior.rooms), walls[0])
    if interior.deck and made.height > interior.deck[1] + 1.5:
        found += deck(generator, area, generator.uniform(*interior.deck), textures)
    if interior.stands and min(area[2] - area[0], area[3] - area[1]) > 9.0:
        found += stands(generator, area, made.height, textures)
    if interior.tables:
        for index, each in enumerate(made.areas):
            found += tables(generator, each, made.areas[:index],
                            generator.uniform(*interior.tables), textures)
    if interior.machines:
        found += machines(generator, area, made.height, interior.machines, textures)
    return found


def _dress_wall(generator: np.random.Generator, parts: Parts, made: Building,
                begin: tuple[float, float], end: tuple[float, float], narrow: bool,
                textures: list[int]) -> None:
    """Hang panels on a wall and put furniture along it."""
    (ax, ay), (bx, by) = begin, end
    length, yaw = math.hypot(bx - ax, by - ay), math.atan2(by - ay, bx - ax)
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


def _clutter(generator: np.random.Generator, parts: Parts, made: Building, interior: Interior,
             textures: list[int]) -> None:
    """Put things on the floor, away from the walls, and hang things from the ceiling."""
    area = sum((x1 - x0) * (y1 - y0) for x0, y0, x1, y1 in made.areas)
    narrow = interior.narrow
    margin = 0.35 if narrow else 1.1
    for _ in range(round(area * interior.clutter)):
        x0, y0, x1, y1 = made.areas[int(generator.integers(len(made.areas)))]
        x, y = generator.uniform((x0, y0), (x1, y1)).tolist()
        kind = generator.random()
        if kind < 0.3 and not made.rise:
            solids = hanging(generator, made.height, textures)
        elif kind < 0.45:
            solids = ball(generator, textures, 0.12 if narrow else 0.4)
        elif kind < 0.6 and not narrow and not made.rise:
            solids = pillar(generator, made.height, textures, 0.25)
        elif kind < 0.85 or narrow:
            solids = crate(generator, textures, 0.25 if narrow else 0.9)
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


def _pillars(generator: np.random.Generator, parts: Parts, made: Building, distance: float,
             textures: list[int]) -> None:
    """Put pillars of one kind into a grid."""
    half, texture = generator.uniform(0.12, 0.3), [textures[0]]
    for x0, y0, x1, y1 in made.areas:
        for x in np.arange(x0 + distance / 2, x1 - 1, distance).tolist():
            for y in np.arange(y0 + distance / 2, y1 - 1, distance).tolist():
                if generator.random() < 0.85:
                    parts.add(place(pillar(generator, made.height, texture, half), x, y, 0.0))


def _partitions(generator: np.random.Generator, parts: Parts, made: Building, density: float,
                textures: list[int]) -> None:
    """Put up walls that do not reach the ceiling, along the walls' directions."""
    x0, y0, x1, y1 = made.areas[0]
    for _ in range(round((x1 - x0) * (y1 - y0) * density)):
        length, height = generator.uniform((1.2, 1.1), (3.2, min(2.1, made.height - 0.4)))
        x, y = generator.uniform((x0 + 2, y0 + 2), (x1 - 2, y1 - 2)).tolist()
        parts.add([Box((x, y, height / 2), (length, 0.07, height),
                       float(generator.integers(2)) * math.pi / 2,
                       textures[int(generator.integers(len(textures)))],
                       generator.uniform(1, 2.5), shade(generator, 0.6, 1.7))])


def _vehicles(generator: np.random.Generator, parts: Parts, made: Building,
              textures: list[int]) -> None:
    """Park vehicles in two rows, their fronts or backs to the walls."""
    x0, y0, x1, y1 = made.areas[0]
    for y, turn in ((y0 + 3.2, math.pi / 2), (y1 - 3.2, -math.pi / 2)):
        for x in np.arange(x0 + 2.0, x1 - 2.0, generator.uniform(2.6, 3.2)).tolist():
            if generator.random() < 0.6:
                parts.add(place(vehicle(generator, textures), x, y,
                                turn + math.pi * float(generator.integers(2))))
