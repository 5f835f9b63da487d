# Copyright 2026 depth_anyevent_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Streets along a route: grammars that say what stands where, and the scene that follows."""
from __future__ import annotations

from dataclasses import dataclass
import math

import numpy as np

from depth_anyevent_ros.simulation.factors import CarFactors, cross, draw, vary
from depth_anyevent_ros.simulation.layouts_parts import (
    Parts, person, place, pole, shade, Solid, tree, vehicle)
from depth_anyevent_ros.simulation.layouts_roadside import bridges, field, strips, walls
from depth_anyevent_ros.simulation.layouts_route import polygon_route, Route, wavy_route
from depth_anyevent_ros.simulation.scene import Box, Rectangle

Range = tuple[float, float]
PARKING_M = 2.2


@dataclass(frozen=True)
class Grammar:
    """
    What stands along a street. Lengths are in metres.

    outline: form of the route. pavement: its width. setback: from the pavement to the
    buildings. front, height, depth: of buildings. gap: between them, gaps: how many have one.
    parking: whether there is a lane for it on both sides, parked: share of the places in use.
    trees, poles, things: mean distance between them. wall: height of walls behind the pavement,
    walled: share of the way that has them. field: kind of things that stand behind the pavement,
    spacing: mean distance between them, reach: how far away they are at most. bridges: mean
    distance between those across the road. oncoming: whether cars come towards us. plaza:
    whether the inside of the route is open.
    """

    outline: str
    pavement: Range
    setback: Range
    front: Range
    height: Range
    depth: Range
    gap: Range
    gaps: float
    parking: bool
    parked: float
    trees: float
    poles: float
    things: float
    wall: Range = (1.0, 1.0)
    walled: float = 0.0
    field: str = 'mixed'
    spacing: float = 0.0
    reach: float = 0.0
    bridges: float = 0.0
    oncoming: bool = True
    plaza: bool = False


GRAMMARS = {
    'avenue': Grammar('rectangle', (2.5, 5.0), (0, 1.5), (9, 24), (7, 24), (10, 14), (3, 12),
                      0.2, True, 0.35, 17, 26, 22),
    'bend': Grammar('ring', (1.8, 3.5), (0, 3.0), (8, 16), (5, 13), (8, 12), (2, 9),
                    0.35, True, 0.3, 14, 30, 20),
    'suburb': Grammar('hexagon', (1.4, 2.4), (3, 10), (8, 14), (3.5, 8), (7, 11), (4, 14),
                      0.75, True, 0.12, 11, 34, 13),
    'boulevard': Grammar('oval', (5.0, 7.0), (0, 1.0), (14, 34), (13, 34), (12, 18), (6, 16),
                         0.12, True, 0.5, 8, 20, 16),
    'works': Grammar('triangle', (1.0, 2.0), (2, 14), (22, 55), (4, 9), (14, 24), (10, 30),
                     0.5, False, 0.0, 55, 18, 9),
    'country': Grammar('hexagon', (1.0, 3.0), (3, 18), (7, 16), (3.5, 8), (7, 14), (20, 70),
                       0.9, False, 0.0, 7, 32, 24),
    'park': Grammar('bay', (1.2, 2.6), (20, 40), (8, 16), (4, 12), (8, 14), (40, 120),
                    0.9, False, 0.0, 9, 40, 18, (0.6, 1.6), 0.25, 'trees', 3.0, 30.0),
    'cutting': Grammar('kidney', (0.8, 1.8), (6, 16), (8, 30), (4, 20), (8, 16), (15, 60),
                       0.8, False, 0.0, 45, 24, 35, (1.6, 6.0), 0.85, 'trees', 12.0, 14.0, 70.0),
    'yard': Grammar('rectangle', (1.5, 4.0), (15, 45), (18, 50), (5, 12), (12, 24), (20, 60),
                    0.7, False, 0.0, 60, 30, 12, (0.8, 2.4), 0.1, 'boxes', 2.5, 28.0),
    'highway': Grammar('oval', (2.5, 7.0), (12, 40), (12, 40), (6, 26), (10, 20), (30, 120),
                       0.8, False, 0.0, 40, 28, 60, (0.7, 1.1), 0.9, 'trees', 7.0, 35.0, 55.0),
    'carpark': Grammar('triangle', (1.2, 2.2), (14, 30), (20, 55), (5, 16), (14, 24), (10, 40),
                       0.4, True, 0.6, 26, 22, 30, (1.0, 1.5), 0.0, 'vehicles', 3.4, 22.0),
    'bazaar': Grammar('ring', (2.2, 4.5), (0.5, 2.5), (5, 13), (3, 9), (7, 11), (2, 8),
                      0.4, False, 0.0, 28, 15, 3.0, (1.2, 2.6), 0.3, 'mixed', 9.0, 6.0, 45.0),
    'junction': Grammar('corner', (1.6, 3.0), (1, 9.0), (7, 18), (4, 17), (7, 12), (8, 20),
                        0.45, False, 0.0, 12, 22, 14),
    'lane': Grammar('winding', (0.7, 1.4), (0, 0.8), (5, 11), (5, 11), (6, 9), (1, 5),
                    0.15, False, 0.0, 30, 25, 9, oncoming=False),
    'square': Grammar('square', (3.0, 8.0), (0, 6.0), (12, 28), (9, 28), (10, 16), (3, 14),
                      0.25, False, 0.0, 9, 18, 10, plaza=True)}

# What belongs together where grammars are crossed.
TRAITS = (('outline',), ('pavement',), ('setback',), ('front', 'depth'), ('height',),
          ('gap', 'gaps'), ('parking', 'parked'), ('trees',), ('poles',), ('things',),
          ('wall', 'walled'), ('field', 'spacing', 'reach'), ('bridges',))
# What is longer or shorter where they are varied.
LENGTHS = (('pavement',), ('setback',), ('front', 'depth'), ('height',), ('gap',), ('trees',),
           ('poles',), ('things',), ('wall',), ('spacing',), ('reach',), ('bridges',))


@dataclass(frozen=True)
class Street:
    """A route, its grammar, half of its carriageway and half of all between the kerbs, metres."""

    route: Route
    grammar: Grammar
    half_road_m: float
    kerb_m: float
    pavement_m: float


def street(generator: np.random.Generator, layout: str, factors: CarFactors) -> Street:
    """Draw a street of a grammar, or of one that is crossed from all of the split's."""
    grammar = GRAMMARS[layout]
    if factors.crossed and generator.random() < factors.crossed:
        grammar = cross(generator, grammar, [GRAMMARS[name] for name in factors.layouts], TRAITS)
        grammar = vary(generator, grammar, factors.varied, LENGTHS)
    half = draw(generator, factors.road_m) / 2
    return Street(_outline(generator, grammar.outline), grammar, half,
                  half + (PARKING_M if grammar.parking else 0.3),
                  generator.uniform(*grammar.pavement))


def _outline(generator: np.random.Generator, outline: str) -> Route:
    if outline == 'ring':
        return wavy_route(generator, generator.uniform(65, 90), (2, 3), 0.28)
    if outline in ('bay', 'kidney'):
        waves, amplitude = ((2, 5), 0.24) if outline == 'bay' else ((1, 2, 4), 0.3)
        return wavy_route(generator, generator.uniform(70, 95), waves, amplitude)
    if outline == 'winding':
        return wavy_route(generator, generator.uniform(48, 66), (3, 4, 5, 7), 0.24)
    if outline == 'square':
        a, b = generator.uniform(42, 70, 2)
        return polygon_route([(0, 0), (a, 0), (a, b), (0, b)], generator.uniform(5, 8))
    if outline in ('hexagon', 'triangle'):
        corners = 6 if outline == 'hexagon' else 3
        angle = (np.arange(corners) + generator.uniform(-0.15, 0.15, corners)) \
            * 2 * math.pi / corners
        radius = generator.uniform(60, 95) * generator.uniform(0.85, 1.15, corners)
        return polygon_route(np.column_stack([radius * np.cos(angle), radius * np.sin(angle)]),
                             generator.uniform(6, 12))
    if outline == 'oval':
        return wavy_route(generator, generator.uniform(85, 110), (2,), 0.35)
    a, b = generator.uniform(130, 190), generator.uniform(70, 110)
    if outline == 'rectangle':
        skew = generator.uniform(-20, 20)
        return polygon_route([(0, 0), (a, 0), (a + skew, b), (skew, b)],
                             generator.uniform(6, 11))
    # An L, whose inner corner turns right.
    c, d = a * generator.uniform(0.4, 0.6), b * generator.uniform(0.45, 0.6)
    return polygon_route([(0, 0), (a, 0), (a, d), (c, d), (c, b + 25), (0, b + 25)],
                         generator.uniform(5, 8))


def build_street(generator: np.random.Generator, made: Street, factors: CarFactors) -> Parts:
    """Return everything in a street that stands still."""
    parts = Parts()
    ground, pavement = parts.draw_textures(generator, factors.grounds, 2)
    facades = parts.draw_textures(generator, factors.facades, 4)
    objects = parts.draw_textures(generator, factors.objects, 3)
    middle = made.route.points.mean(0)
    parts.rectangles.append(Rectangle(
        (*middle.tolist(), 0.0), (1.0, 0, 0), (0, 1.0, 0), 1200, 1200, ground,
        generator.uniform(4, 7), shade(generator, 0.6, 1.0, 0.03)))
    parts.rectangles.extend(_markings(generator, made, ground))
    parts.add(_pavements(generator, made, pavement))
    for side in (-1, 1):
        if side < 0 or not made.grammar.plaza:
            parts.add(_buildings(generator, made, side, facades))
        parts.add(_parked(generator, made, side, objects))
        parts.add(_row(generator, made, side, made.grammar.trees, 0.9,
                       lambda: tree(generator, objects[0])))
        parts.add(_row(generator, made, side, made.grammar.poles, 0.45,
                       lambda: pole(generator, objects[1])))
        parts.add(_row(generator, made, side, made.grammar.things, None,
                       lambda: _thing(generator, objects)))
        parts.add(_roadside(generator, made, side, facades, objects))
    if made.grammar.plaza:
        parts.add(_plaza(generator, made, objects, facades))
    if made.grammar.bridges:
        parts.add(bridges(generator, made.route, made.kerb_m + made.pavement_m,
                          made.grammar.bridges, facades))
    parts.add(_skyline(generator, made, facades))
    return parts


def _roadside(generator: np.random.Generator, made: Street, side: int, facades: list[int],
              objects: list[int]) -> list[Solid]:
    """Return walls and things on open ground behind the pavement of one side."""
    grammar, behind = made.grammar, made.kerb_m + made.pavement_m
    return [*walls(generator, made.route, side, behind, grammar.wall, grammar.walled, facades),
            *field(generator, made.route, side, behind + 0.5, grammar.field, grammar.spacing,
                   grammar.reach, objects)]


def _markings(generator: np.random.Generator, made: Street, texture: int) -> list[Rectangle]:
    """Return dashes along the middle and some crossings."""
    paint = shade(generator, 2.0, 3.0, 0.05)
    found = []

    def stripe(along: float, left: float, length: float, width: float) -> None:
        x, y, yaw = made.route.at(along, left).tolist()
        found.append(Rectangle((x, y, 0.01), (math.cos(yaw), math.sin(yaw), 0.0),
                               (-math.sin(yaw), math.cos(yaw), 0.0), length, width, texture,
                               6.0, paint))

    length, period = generator.uniform(2, 4), generator.uniform(7, 11)
    for along in np.arange(0, made.route.length - length, period).tolist():
        if made.grammar.oncoming:
            stripe(along, 0.0, length, 0.16)
    for along in generator.uniform(0, made.route.length, 4).tolist():
        for left in np.arange(-made.half_road_m + 0.5, made.half_road_m, 1.0).tolist():
            stripe(along, left, 3.0, 0.5)
    return found


def _pavements(generator: np.random.Generator, made: Street, texture: int) -> list[Solid]:
    """Return raised strips on both sides, in straight pieces that follow the bends."""
    found: list[Solid] = []
    route, color = made.route, shade(generator, 0.9, 1.5, 0.05)
    tile_m = generator.uniform(2, 4)
    wide = made.pavement_m + min(max(made.grammar.setback[0], 0.5), 6.0)
    for index, (begin, end) in enumerate(strips(route, 24, 0.09)):
        for side in (-1, 1):
            left = side * (made.kerb_m + wide / 2)
            (x0, y0, _), (x1, y1, _) = route.at(np.array([begin, end]), left).tolist()
            yaw = math.atan2(y1 - y0, x1 - x0)
            # Neighbours overlap, and must not lie in one plane.
            height = 0.13 if index % 2 else 0.12
            found.append(Box(((x0 + x1) / 2, (y0 + y1) / 2, height / 2),
                             (math.hypot(x1 - x0, y1 - y0) + 0.4, wide, height), yaw, texture,
                             tile_m, color))
    return found


def _buildings(generator: np.random.Generator, made: Street, side: int,
               textures: list[int]) -> list[Solid]:
    """Return the buildings of one side; none reaches into the street."""
    found: list[Solid] = []
    grammar, along = made.grammar, generator.uniform(0, 8)
    while along < made.route.length:
        front, depth = generator.uniform(*grammar.front), generator.uniform(*grammar.depth)
        height = generator.uniform(*grammar.height)
        line = made.kerb_m + made.pavement_m + generator.uniform(*grammar.setback)
        bend = float(made.route.curvature[int(along / made.route.step_m)
                                          % len(made.route.curvature)])
        # What is further out than the middle of the road has more room in a bend.
        stretch = max(1 - side * line * bend, 0.35)
        x, y, yaw = made.route.at(along + front / 2 / stretch, side * (line + depth / 2)).tolist()
        if along + front / stretch < made.route.length:
            box = Box((x, y, height / 2), (front, depth, height), yaw,
                      textures[int(generator.integers(len(textures)))],
                      generator.uniform(4, 9), shade(generator, 0.6, 1.6))
            if _clear(made.route, box, made.kerb_m + 0.9 * made.pavement_m):
                found.append(box)
                if generator.random() < 0.3:
                    found.append(_awning(generator, box, side, textures))
        along += front / stretch
        if generator.random() < grammar.gaps:
            along += generator.uniform(*grammar.gap)
    return found


def _clear(route: Route, box: Box, distance: float) -> bool:
    """Return whether a box stays a distance away from the middle of the road."""
    side = np.linspace(-0.5, 0.5, 7)
    u, v = (grid.ravel() for grid in np.meshgrid(side * box.size[0], side * box.size[1]))
    c, s = math.cos(box.yaw), math.sin(box.yaw)
    footprint = np.column_stack([box.center[0] + c * u - s * v, box.center[1] + s * u + c * v])
    return bool(route.distance(footprint).min() > distance)


def _awning(generator: np.random.Generator, box: Box, side: int, textures: list[int]) -> Box:
    """Return a balcony or an awning on the street's side of a building."""
    reach = generator.uniform(0.4, 0.9)
    local = Box((generator.uniform(-0.2, 0.2) * box.size[0], -side * (box.size[1] + reach) / 2,
                 generator.uniform(2.6, 4.0)),
                (box.size[0] * generator.uniform(0.3, 0.6), reach, generator.uniform(0.15, 0.9)),
                0, textures[0], 2.0, shade(generator, 0.6, 1.8, 0.4))
    return place([local], box.center[0], box.center[1], box.yaw)[0]


def _parked(generator: np.random.Generator, made: Street, side: int,
            textures: list[int]) -> list[Solid]:
    found: list[Solid] = []
    if not made.grammar.parking:
        return found
    for along in np.arange(3, made.route.length - 4, 6.8).tolist():
        if generator.random() < made.grammar.parked:
            x, y, yaw = made.route.at(along, side * (made.kerb_m - PARKING_M / 2)).tolist()
            yaw += generator.normal(0, 0.02) + (math.pi if side > 0 else 0)
            found.extend(place(vehicle(generator, textures), x, y, yaw))
    return found


def _row(generator: np.random.Generator, made: Street, side: int, distance: float,
         inset: float | None, thing) -> list[Solid]:
    """Return things on the pavement, inset metres from the kerb (None: at any place)."""
    found: list[Solid] = []
    along = generator.uniform(0, distance)
    while along < made.route.length:
        left = min(inset, made.pavement_m / 2) if inset is not None \
            else generator.uniform(0.5, max(made.pavement_m - 0.3, 0.55))
        x, y, yaw = made.route.at(along, side * (made.kerb_m + left)).tolist()
        # x of the thing points along its own side of the street, so that y points to the road
        # on the right and away from it on the left.
        found.extend(place(thing(), x, y, yaw if side < 0 else yaw + math.pi, 0.1))
        along += distance * generator.uniform(0.6, 1.4)
    return found


def _thing(generator: np.random.Generator, textures: list[int]) -> list[Solid]:
    """Return a bin, a bench, a crate, a hedge or a board."""
    size = (0.5, 0.4, 1.0), (1.6, 0.5, 0.5), (0.8, 0.8, 0.8), (2.5, 0.6, 1.1), (0.1, 1.2, 1.7)
    x, y, z = np.array(size[int(generator.integers(5))]) * generator.uniform(0.8, 1.25, 3)
    return [Box((0, 0, z / 2), (x, y, z), generator.normal(0, 0.1),
                textures[int(generator.integers(len(textures)))], generator.uniform(0.8, 1.6),
                shade(generator, 0.5, 1.8, 0.4))]


def _plaza(generator: np.random.Generator, made: Street, objects: list[int],
           facades: list[int]) -> list[Solid]:
    """Return trees, people, kiosks and a monument on the place inside the route."""
    found: list[Solid] = []
    low, high = made.route.points.min(0), made.route.points.max(0)
    for index in range(40):
        x, y = generator.uniform(low, high).tolist()
        if index < 8:
            size = generator.uniform((2, 2, 2.4), (6, 5, 4.5))
            solids: list[Solid] = [Box((0, 0, size[2] / 2), tuple(size.tolist()), 0,
                                       facades[index % 4], 3.0, shade(generator, 0.6, 1.6))]
        elif index < 18:
            solids = person(generator, objects)
        else:
            solids = tree(generator, objects[0])
        away = made.kerb_m + made.pavement_m + 3.5
        if made.route.distance(np.array([[x, y]])).min() > away:
            found.extend(place(solids, x, y, generator.uniform(0, 2 * math.pi)))
    return found


def _skyline(generator: np.random.Generator, made: Street, textures: list[int]) -> list[Solid]:
    """Return towers behind it all."""
    middle = made.route.points.mean(0)
    reach = np.hypot(*(made.route.points - middle).T).max()
    found: list[Solid] = []
    for index in range(12):
        angle = (index + generator.uniform(0, 0.8)) * math.pi / 6
        away = reach + generator.uniform(45, 130)
        height = generator.uniform(18, 60)
        found.append(Box((middle[0] + away * math.cos(angle), middle[1] + away * math.sin(angle),
                          height / 2),
                         (generator.uniform(12, 30), generator.uniform(12, 30), height), angle,
                         textures[index % len(textures)], 14.0, shade(generator, 0.7, 1.4)))
    return found
