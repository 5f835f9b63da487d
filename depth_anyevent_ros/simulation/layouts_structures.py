# Copyright 2026 depth_anyevent_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""What divides and fills a building: roofs, beams, dividing walls, decks, stands, tables."""
from __future__ import annotations

from collections.abc import Sequence
import math

import numpy as np

from depth_anyevent_ros.simulation.factors import pick
from depth_anyevent_ros.simulation.layouts_furniture import block, machine, table_with_seats
from depth_anyevent_ros.simulation.layouts_parts import place, shade, Solid
from depth_anyevent_ros.simulation.scene import Rectangle

# Upright rectangle on the floor: x0, y0, x1, y1, metres.
Area = tuple[float, float, float, float]
DOOR_TOP_M = 2.05


def pitched_roof(generator: np.random.Generator, area: Area, eaves: float, rise: float,
                 texture: int) -> list[Rectangle]:
    """Return two slopes from the eaves to a ridge along x, rise metres higher."""
    x0, y0, x1, y1 = area
    half = (y1 - y0) / 2
    length = math.hypot(half, rise)
    color, tile_m = shade(generator, 0.8, 1.7, 0.1), generator.uniform(1.5, 3.5)
    # right x up points down and inward.
    return [Rectangle(((x0 + x1) / 2, (y0 + y1) / 2 - side * half / 2, eaves + rise / 2),
                      (-side, 0.0, 0.0), (0.0, side * half / length, rise / length), x1 - x0,
                      length, texture, tile_m, color) for side in (1.0, -1.0)]


def beams(generator: np.random.Generator, area: Area, ceiling: float, spacing: float,
          textures: Sequence[int]) -> list[Solid]:
    """Return beams under the ceiling across an area, and a duct or two along it."""
    x0, y0, x1, y1 = area
    wide, tall = generator.uniform((0.08, 0.15), (0.3, 0.45)).tolist()
    texture, color = pick(generator, textures), shade(generator, 0.5, 1.6)
    found: list[Solid] = [
        block((x - wide / 2, y0, ceiling - tall), (x + wide / 2, y1, ceiling), texture, 1.0, color)
        for x in np.arange(x0 + spacing / 2, x1, spacing).tolist()]
    texture, color = pick(generator, textures), shade(generator, 0.6, 1.8)
    for _ in range(int(generator.integers(3))):
        thick = generator.uniform(0.08, 0.5)
        y, top = generator.uniform(y0 + 0.2, y1 - 0.8), ceiling - tall - 0.02
        found.append(block((x0, y, top - thick), (x1, y + thick, top), texture, 0.8, color))
    return found


def rooms(generator: np.random.Generator, area: Area, ceiling: float, size: float,
          texture: int) -> list[Solid]:
    """
    Return walls up to the ceiling, each with a doorway, that divide an area into rooms.

    size: of the rooms along x, metres; most of them are divided across once more.
    """
    x0, y0, x1, y1 = area
    thick, color = generator.uniform(0.08, 0.25), shade(generator, 0.8, 1.7, 0.15)
    edges = np.linspace(x0, x1, max(round((x1 - x0) / size), 1) + 1).tolist()
    found: list[Solid] = []
    for x in edges[1:-1]:
        # Its doorway lies near one end, where no wall across can stand in it.
        found += place(_wall(generator, y1 - y0, ceiling, thick, texture, color, 0.33), x, y0,
                       math.pi / 2)
    for begin, end in zip(edges, edges[1:]):
        if generator.random() < 0.7:
            y = y0 + (y1 - y0) * generator.uniform(0.35, 0.65)
            found += place(_wall(generator, end - begin, ceiling, thick, texture, color), begin, y,
                           0.0)
    return found


def _wall(generator: np.random.Generator, length: float, ceiling: float, thick: float,
          texture: int, color: tuple[float, float, float], part: float = 1.0) -> list[Solid]:
    """Return a wall along x with a doorway somewhere in the first or the last part of it."""
    door = min(generator.uniform(0.9, 1.9), 0.8 * part * length)
    at = generator.uniform(0.1, part * length - door)
    if generator.random() < 0.5:
        at = length - at - door
    spans = [((0.0, 0.0), (at, ceiling)), ((at + door, 0.0), (length, ceiling))]
    if ceiling > DOOR_TOP_M + 0.1:
        spans.append(((at, DOOR_TOP_M), (at + door, ceiling)))
    return [block((u, -thick / 2, low), (v, thick / 2, high), texture, 2.5, color)
            for (u, low), (v, high) in spans]


def deck(generator: np.random.Generator, area: Area, height: float,
         textures: Sequence[int]) -> list[Solid]:
    """Return a platform over the end of an area, on posts, with a railing and stairs to it."""
    x0, y0, x1, y1 = area
    edge = x1 - (x1 - x0) * generator.uniform(0.25, 0.5)
    thick, texture = generator.uniform(0.15, 0.35), pick(generator, textures)
    color, steel = shade(generator, 0.6, 1.6), shade(generator, 0.5, 1.7, 0.4)
    found: list[Solid] = [block((edge, y0, height - thick), (x1, y1, height), texture, 1.5, color),
                          block((edge, y0, height + 0.95), (edge + 0.05, y1, height + 1.0),
                                texture, 0.6, steel)]
    post, spacing = generator.uniform(0.1, 0.3), generator.uniform(2.4, 4.0)
    for y in np.arange(y0 + 0.5, y1 - post, spacing).tolist():
        found.append(block((edge, y, 0), (edge + post, y + post, height - thick), texture, 0.8,
                           steel))
    for y in np.arange(y0 + 0.2, y1, 1.2).tolist():
        found.append(block((edge, y, height), (edge + 0.04, y + 0.04, height + 0.95), texture, 0.5,
                           steel))
    steps = round(height / 0.25)
    y, wide = generator.uniform(y0 + 0.3, y1 - 1.6), generator.uniform(0.9, 1.3)
    for step in range(1, steps):
        x, z = edge - 0.28 * (steps - step), step * height / steps
        found.append(block((x, y, z - 0.06), (x + 0.3, y + wide, z), texture, 0.8, color))
    return found


def stands(generator: np.random.Generator, area: Area, ceiling: float,
           textures: Sequence[int]) -> list[Solid]:
    """Return steps to sit on along one of the walls that run along x, or both in a wide hall."""
    x0, y0, x1, y1 = area
    found: list[Solid] = []
    texture, color = pick(generator, textures), shade(generator, 0.6, 1.6, 0.3)
    steps = int(generator.integers(3, 6))
    deep, tall = generator.uniform((0.6, 0.3), (0.95, 0.5)).tolist()
    tall = min(tall, (ceiling - 1.2) / steps)
    sides = ((y0, 1), (y1, -1))
    both = generator.random() < 0.5 and y1 - y0 > 13
    for wall, inward in sides if both else sides[:1]:
        begin, end = x0 + generator.uniform(0, 3), x1 - generator.uniform(0, 3)
        for step in range(steps):
            near, far = (wall + inward * deep * k for k in (step, step + 1))
            found.append(block((begin, min(near, far), 0), (end, max(near, far),
                                                            (steps - step) * tall),
                               texture, 1.2, color))
    return found


def tables(generator: np.random.Generator, area: Area, others: Sequence[Area], spacing: float,
           textures: Sequence[int]) -> list[Solid]:
    """Return tables of one kind with seats around them, in a grid with gaps, in no other area."""
    x0, y0, x1, y1 = area
    found: list[Solid] = []
    kind = table_with_seats(generator, textures)
    for x in np.arange(x0 + 1.2, x1 - 1.2, spacing).tolist():
        for y in np.arange(y0 + 1.2, y1 - 1.2, 0.8 * spacing).tolist():
            if generator.random() < 0.75 and not any(
                    u0 - 1 < x < u1 + 1 and v0 - 1 < y < v1 + 1 for u0, v0, u1, v1 in others):
                shift, turn = generator.normal(0, 0.06, 2), generator.normal(0, 0.05)
                found += place(kind, x + shift[0], y + shift[1], turn)
    return found


def machines(generator: np.random.Generator, area: Area, ceiling: float, density: float,
             textures: Sequence[int]) -> list[Solid]:
    """Return machines that stand about, density of them a square metre, along x or y."""
    x0, y0, x1, y1 = area
    found: list[Solid] = []
    for _ in range(round((x1 - x0) * (y1 - y0) * density)):
        x, y = generator.uniform((x0 + 1.5, y0 + 1.5), (x1 - 1.5, y1 - 1.5)).tolist()
        found += place(machine(generator, ceiling, textures), x, y,
                       float(generator.integers(4)) * math.pi / 2)
    return found
