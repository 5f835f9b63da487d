# Copyright 2026 depth_anyevent_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""What may line a road other than houses: walls, open ground with things on it, bridges."""
from __future__ import annotations

import math

import numpy as np

from depth_anyevent_ros.simulation.layouts_parts import place, shade, Solid, tree, vehicle
from depth_anyevent_ros.simulation.layouts_route import Route
from depth_anyevent_ros.simulation.scene import Box, Ellipsoid

FIELDS = ('boxes', 'trees', 'vehicles', 'mixed')


def strips(route: Route, longest_m: float, turn: float) -> list[tuple[float, float]]:
    """Return (begin, end) of straight pieces along a route that follow its bends."""
    found, begin = [], 0.0
    while begin < route.length:
        end, turned = begin + 2.0, 0.0
        while end < min(begin + longest_m, route.length) and turned < turn:
            end += 1.0
            turned = abs(float(route.at(end)[2] - route.at(begin)[2]))
        found.append((begin, end))
        begin = end
    return found


def walls(generator: np.random.Generator, route: Route, side: int, left_m: float,
          height: tuple[float, float], share: float, textures: list[int]) -> list[Solid]:
    """
    Return walls, hedges or barriers along one side, left_m from the middle of the road.

    height: range in metres, of each piece. share: of the way that has one.
    """
    found: list[Solid] = []
    if not share:
        return found
    tall, thick = generator.uniform(*height), generator.uniform(0.15, 1.2)
    texture = textures[int(generator.integers(len(textures)))]
    color, tile_m, standing = shade(generator, 0.5, 1.6, 0.3), generator.uniform(1.5, 5), True
    for begin, end in strips(route, generator.uniform(8, 24), 0.12):
        if generator.random() < 0.3:
            standing = generator.random() < share
            tall = generator.uniform(*height)
        (x0, y0, _), (x1, y1, _) = route.at(
            np.array([begin, end]), side * (left_m + thick / 2)).tolist()
        if standing:
            found.append(Box(((x0 + x1) / 2, (y0 + y1) / 2, tall / 2),
                             (math.hypot(x1 - x0, y1 - y0) + 0.1, thick, tall),
                             math.atan2(y1 - y0, x1 - x0), texture, tile_m, color))
    return found


def field(generator: np.random.Generator, route: Route, side: int, left_m: float, kind: str,
          spacing_m: float, reach_m: float, textures: list[int]) -> list[Solid]:
    """
    Return things that stand anywhere within reach_m beyond left_m from the middle of the road.

    kind: one of FIELDS. spacing_m: of things along the way, on average; 0 for none.
    """
    found: list[Solid] = []
    if not spacing_m:
        return found
    for along in np.arange(0, route.length, spacing_m).tolist():
        away = left_m + reach_m * generator.random() ** 1.5
        solids, room = _thing(generator, kind, textures)
        along += generator.uniform(0, spacing_m)
        x, y, yaw = route.at(along, side * (away + room)).tolist()
        if route.distance(np.array([[x, y]])).min() > left_m + room - 0.2:
            found.extend(place(solids, x, y, yaw + generator.uniform(0, 2 * math.pi)))
    return found


def _thing(generator: np.random.Generator, kind: str,
           textures: list[int]) -> tuple[list[Solid], float]:
    """Return something and the radius of the circle that it stays in."""
    if kind == 'mixed':
        kind = FIELDS[int(generator.integers(3))]
    texture = textures[int(generator.integers(len(textures)))]
    if kind == 'trees':
        return tree(generator, texture), 2.9
    if kind == 'vehicles':
        return vehicle(generator, textures), 3.3
    size = np.exp(generator.uniform(np.log([0.5, 0.5, 0.5]), np.log([7.0, 3.5, 4.5])))
    color, tile_m = shade(generator, 0.5, 1.7, 0.35), generator.uniform(1.0, 4.0)
    if generator.random() < 0.25:
        return [Ellipsoid((0, 0, size[2] / 2), tuple((size / 2).tolist()), 0, texture, tile_m,
                          color)], float(np.hypot(*size[:2]) / 2)
    return [Box((0, 0, size[2] / 2), tuple(size.tolist()), 0, texture, tile_m, color)], \
        float(np.hypot(*size[:2]) / 2)


def bridges(generator: np.random.Generator, route: Route, half_m: float, spacing_m: float,
            textures: list[int]) -> list[Solid]:
    """
    Return bridges and gantries across the road on their piers.

    half_m: from the middle of the road to the piers. spacing_m: between them, 0 for none.
    """
    found: list[Solid] = []
    along = generator.uniform(0, spacing_m) if spacing_m else route.length
    while along < route.length:
        wide = math.exp(generator.uniform(math.log(0.3), math.log(9.0)))
        under, tall = generator.uniform(4.2, 6.5), generator.uniform(0.4, 1.8)
        pier = generator.uniform(0.25, 1.0)
        texture = textures[int(generator.integers(len(textures)))]
        color, tile_m = shade(generator, 0.5, 1.5, 0.1), generator.uniform(1.5, 4)
        solids: list[Solid] = [Box((0, 0, under + tall / 2), (wide, 2 * half_m + 3, tall), 0,
                                   texture, tile_m, color)]
        for side in (-1, 1):
            solids.append(Box((0, side * (half_m + pier), under / 2),
                              (min(wide, pier * 2), pier, under), 0, texture, tile_m, color))
        x, y, yaw = route.at(along).tolist()
        found.extend(place(solids, x, y, yaw))
        along += spacing_m * generator.uniform(0.6, 1.4)
    return found
