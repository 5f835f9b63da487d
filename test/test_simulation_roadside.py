# Copyright 2026 depth_anyevent_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Walls, open ground and bridges beside a road leave the road free."""
from itertools import pairwise

import numpy as np
import pytest

from depth_anyevent_ros.simulation.layouts_roadside import bridges, field, FIELDS, strips, walls
from depth_anyevent_ros.simulation.layouts_route import wavy_route
from depth_anyevent_ros.simulation.scene import Box

LEFT_M = 6.0


@pytest.fixture(scope='module')
def route():
    return wavy_route(np.random.default_rng(0), 80, (1, 2, 4), 0.3)


def lowest(solid):
    half = solid.size[2] / 2 if isinstance(solid, Box) else solid.radii[2]
    return solid.center[2] - half


def nearest(route, solid):
    """Return how near a box comes to the middle of the road, or an ellipsoid at most, metres."""
    if not isinstance(solid, Box):
        return route.distance(np.array([solid.center[:2]])).min() - max(solid.radii[:2])
    side = np.linspace(-0.5, 0.5, 9)
    u, v = (grid.ravel() for grid in np.meshgrid(side * solid.size[0], side * solid.size[1]))
    c, s = np.cos(solid.yaw), np.sin(solid.yaw)
    return route.distance(np.column_stack([solid.center[0] + c * u - s * v,
                                           solid.center[1] + s * u + c * v])).min()


def test_strips_cover_the_way_and_follow_its_bends(route):
    found = strips(route, 24, 0.09)
    assert found[0][0] == 0 and found[-1][1] >= route.length
    assert all(end == begin for (_, end), (begin, _) in pairwise(found))
    sharpest = np.abs(route.curvature).max()
    for begin, end in found:
        assert 2 <= end - begin <= 25
        # A metre further than the turn that ends a piece, or the shortest piece.
        turned = abs(route.at(end)[2] - route.at(begin)[2])
        assert turned < max(0.09 + sharpest, 3 * sharpest) + 1e-3


@pytest.mark.parametrize('side', [-1, 1])
def test_walls_stand_where_they_should(route, side):
    generator = np.random.default_rng(1)
    whole = walls(generator, route, side, LEFT_M, (1.0, 3.0), 1.0, [0, 1])
    part = walls(generator, route, side, LEFT_M, (1.0, 3.0), 0.4, [0, 1])
    assert not walls(generator, route, side, LEFT_M, (1.0, 3.0), 0.0, [0, 1])
    length = sum(wall.size[0] for wall in whole)
    assert 0.7 * route.length < length < 1.4 * route.length
    assert sum(wall.size[0] for wall in part) < 0.9 * length
    for wall in whole:
        assert 1.0 <= wall.size[2] <= 3.0 and lowest(wall) == pytest.approx(0)
        # A straight piece of a bend comes a little nearer in its middle.
        assert nearest(route, wall) > LEFT_M - 0.9


@pytest.mark.parametrize('kind', FIELDS)
def test_things_of_a_field_keep_off_the_road(route, kind):
    generator = np.random.default_rng(2)
    found = field(generator, route, 1, LEFT_M, kind, 3.0, 25.0, [0, 1])
    assert len(found) > route.length / 6
    assert not field(generator, route, 1, LEFT_M, kind, 0.0, 25.0, [0, 1])
    away = np.array([nearest(route, solid) for solid in found])
    assert away.min() > LEFT_M - 0.5 and np.median(away) > LEFT_M + 3
    assert min(map(lowest, found)) > -0.6


def test_bridges_leave_room_to_drive_under(route):
    found = bridges(np.random.default_rng(3), route, LEFT_M, 60.0, [0])
    assert not bridges(np.random.default_rng(3), route, LEFT_M, 0.0, [0])
    decks = [solid for solid in found if lowest(solid) > 1]
    piers = [solid for solid in found if lowest(solid) <= 1]
    assert len(piers) == 2 * len(decks) and 3 < len(decks) < route.length / 30
    assert min(map(lowest, decks)) >= 4.2
    assert min(nearest(route, pier) for pier in piers) > LEFT_M - 1.2
