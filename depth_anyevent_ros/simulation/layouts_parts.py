# Copyright 2026 depth_anyevent_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Things that stand in a street or a room, made of boxes and ellipsoids."""
from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
import math

import numpy as np

from depth_anyevent_ros.simulation.scene import Box, Ellipsoid, Rectangle
from depth_anyevent_ros.simulation.texture_families import TEXTURE_FAMILIES

Solid = Box | Ellipsoid
GREEN = (0.75, 1.45, 0.8)
BROWN = (1.35, 0.95, 0.7)
# Shares of the contrast that the families have by themselves. With all of it a street made
# some 40 events a second and pixel, several times what drives with real cameras show.
SOFTENED = (0.15, 0.7)


@dataclass
class Parts:
    """What a scene is put together from; see Scene."""

    rectangles: list[Rectangle] = field(default_factory=list)
    boxes: list[Box] = field(default_factory=list)
    ellipsoids: list[Ellipsoid] = field(default_factory=list)
    bodies: list = field(default_factory=list)
    textures: list[np.ndarray] = field(default_factory=list)

    def add(self, solids: Sequence[Solid]) -> None:
        """Add boxes and ellipsoids."""
        for solid in solids:
            (self.boxes if isinstance(solid, Box) else self.ellipsoids).append(solid)

    def add_body(self, solids: Sequence[Solid], motion) -> None:
        """Add solids, in the frame of a body, that move with it."""
        self.bodies.append(motion)
        self.add([replace(solid, body=len(self.bodies)) for solid in solids])

    def add_texture(self, tile: np.ndarray) -> int:
        """Add a texture; return its number."""
        self.textures.append(tile)
        return len(self.textures) - 1

    def draw_textures(self, generator: np.random.Generator, families: Sequence[str],
                      count: int) -> list[int]:
        """Add textures, of each family in turn; return their numbers."""
        start = int(generator.integers(len(families)))
        makers = [TEXTURE_FAMILIES[families[(start + k) % len(families)]] for k in range(count)]
        return [self.add_texture(soften(make(int(generator.integers(2 ** 31))),
                                        generator.uniform(*SOFTENED))) for make in makers]


def soften(tile: np.ndarray, share: float) -> np.ndarray:
    """Return a texture that keeps its mean logarithm and this share of its contrast."""
    mean = np.exp(np.log(tile).mean())
    return (mean * (tile / mean) ** share).astype(np.float32)


def place(solids: Sequence[Solid], x: float, y: float, yaw: float, z: float = 0.0) -> list[Solid]:
    """Return solids turned by yaw about the world's z axis and moved to x, y, z."""
    c, s = math.cos(yaw), math.sin(yaw)
    return [replace(solid, yaw=solid.yaw + yaw, center=(
        x + c * solid.center[0] - s * solid.center[1],
        y + s * solid.center[0] + c * solid.center[1], z + solid.center[2]))
        for solid in solids]


def tint(generator: np.random.Generator, strength: float = 0.35) -> tuple[float, float, float]:
    """Return a colour of mean 1."""
    color = np.exp(generator.normal(0, strength, 3))
    return tuple((color / color.mean()).tolist())


def shade(generator: np.random.Generator, low: float, high: float,
          strength: float = 0.2) -> tuple[float, float, float]:
    """Return a colour whose mean is drawn evenly in the logarithm."""
    brightness = math.exp(generator.uniform(math.log(low), math.log(high)))
    return tuple(brightness * part for part in tint(generator, strength))


def vehicle(generator: np.random.Generator, textures: Sequence[int]) -> list[Solid]:
    """Return a car or a van about the origin, on the ground, its front towards x."""
    van = generator.random() < 0.2
    length, width, height = generator.uniform(*(
        ((4.9, 1.9, 2.0), (6.2, 2.1, 2.6)) if van else ((3.7, 1.65, 1.4), (4.8, 1.85, 1.6))))
    paint, glass = shade(generator, 0.5, 1.9, 0.4), shade(generator, 0.3, 0.5, 0.05)
    texture = textures[int(generator.integers(len(textures)))]
    belt = height * (0.5 if van else 0.6)
    cabin = length * (0.85 if van else generator.uniform(0.5, 0.62))
    back = (cabin - length) * (0.4 if van else 0.25)
    solids: list[Solid] = [
        Box((0, 0, (0.3 + belt) / 2), (length, width, belt - 0.3), 0, texture, 1.7, paint),
        Box((back, 0, (belt + height) / 2), (cabin, width * 0.88, height - belt), 0, texture,
            1.3, paint if van else glass)]
    for axle in (-0.31, 0.31):
        solids.append(Box((axle * length, 0, 0.3), (0.62, width + 0.04, 0.58), 0, texture, 0.9,
                          (0.25, 0.25, 0.25)))
    return solids


def person(generator: np.random.Generator, textures: Sequence[int]) -> list[Solid]:
    """Return a person about the origin, on the ground, walking towards x."""
    height = generator.uniform(1.5, 1.9)
    texture = textures[int(generator.integers(len(textures)))]
    coat, trousers = shade(generator, 0.4, 1.8, 0.4), shade(generator, 0.3, 0.9, 0.3)
    return [Box((0.05, 0, height * 0.24), (0.3, 0.3, height * 0.48), 0, texture, 0.8, trousers),
            Box((0, 0, height * 0.66), (0.27, 0.48, height * 0.36), 0, texture, 0.7, coat),
            Ellipsoid((0.02, 0, height * 0.92), (0.11, 0.09, 0.14), 0, texture, 0.4,
                      (1.3, 1.0, 0.8))]


def tree(generator: np.random.Generator, texture: int) -> list[Solid]:
    """Return a trunk and a crown of one or two ellipsoids."""
    trunk, radius = generator.uniform(1.9, 3.2), generator.uniform(1.0, 2.1)
    thick = generator.uniform(0.18, 0.4)
    green = tuple(generator.uniform(0.6, 1.2) * part for part in GREEN)
    solids: list[Solid] = [Box((0, 0, trunk / 2 + 0.1), (thick, thick, trunk + 0.2),
                               generator.uniform(0, 1.5), texture, 0.9, BROWN)]
    for _ in range(int(generator.integers(1, 3))):
        x, y, z = generator.uniform(-0.35, 0.35, 3) * radius
        solids.append(Ellipsoid((x, y, trunk + radius * 0.7 + z), tuple(
            (radius * generator.uniform(0.8, 1.2, 3)).tolist()), generator.uniform(0, 3),
            texture, generator.uniform(0.8, 1.8), green))
    return solids


def pole(generator: np.random.Generator, texture: int) -> list[Solid]:
    """Return a lamp post, a traffic light or a sign; what it carries is on the right of x."""
    kind = generator.integers(3)
    height = generator.uniform(*((5, 8), (2.8, 3.6), (2.2, 3.0))[kind])
    gray = shade(generator, 0.4, 1.2, 0.05)
    solids: list[Solid] = [Box((0, 0, height / 2), (0.13, 0.13, height), 0, texture, 0.5, gray)]
    if kind == 0:
        solids.append(Box((0, 0.6, height), (0.2, 1.4, 0.12), 0, texture, 0.5, gray))
    elif kind == 1:
        solids.append(Box((0, 0, height + 0.4), (0.25, 0.32, 0.9), 0, texture, 0.5,
                          (0.35, 0.35, 0.35)))
    else:
        solids.append(Box((0, 0, height), (0.04, 0.7, 0.7), 0, texture, 0.7,
                          shade(generator, 0.8, 2.0, 0.6)))
    return solids
