# Copyright 2026 depth_anyevent_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""What divides and fills a building stays within it and leaves ways through."""
from dataclasses import fields, replace

import numpy as np
import pytest

from depth_anyevent_ros.simulation.factors import FACTORS
from depth_anyevent_ros.simulation.layouts_clearance import Clearance
from depth_anyevent_ros.simulation.layouts_indoor import build_indoor
from depth_anyevent_ros.simulation.layouts_plan import building, INTERIORS
from depth_anyevent_ros.simulation.layouts_structures import (
    beams, deck, machines, pitched_roof, rooms, stands, tables)
from depth_anyevent_ros.simulation.scene import Box

AREA, CEILING = (1.0, 2.0, 17.0, 12.0), 3.0
TEXTURES = [0, 1, 2]


def extent(solids):
    """Return the least and the greatest corner of boxes and ellipsoids, float64 (2, 3)."""
    corners = []
    for solid in solids:
        half = np.asarray(solid.size if isinstance(solid, Box) else solid.radii)
        half = half / 2 if isinstance(solid, Box) else half
        c, s = abs(np.cos(solid.yaw)), abs(np.sin(solid.yaw))
        half = np.array([c * half[0] + s * half[1], s * half[0] + c * half[1], half[2]])
        corners += [solid.center - half, solid.center + half]
    return np.array([np.min(corners, axis=0), np.max(corners, axis=0)])


@pytest.mark.parametrize('make, highest', [
    (lambda g: beams(g, AREA, CEILING, 2.5, TEXTURES), CEILING),
    (lambda g: rooms(g, AREA, CEILING, 4.0, 0), CEILING),
    (lambda g: deck(g, AREA, 2.5, TEXTURES), 3.5),
    (lambda g: stands(g, AREA, CEILING, TEXTURES), CEILING - 1.2),
    (lambda g: tables(g, AREA, (), 2.6, TEXTURES), 1.0),
    (lambda g: machines(g, AREA, CEILING, 0.05, TEXTURES), CEILING),
], ids=['beams', 'rooms', 'deck', 'stands', 'tables', 'machines'])
def test_all_of_it_stays_within_the_walls(make, highest):
    for seed in range(20):
        low, high = extent(make(np.random.default_rng(seed)))
        # Walls are as thick as they are, machines stand 1.5 m off.
        assert np.all(low[:2] > np.array(AREA[:2]) - 0.2), seed
        assert np.all(high[:2] < np.array(AREA[2:]) + 0.2), seed
        assert low[2] > -1e-9 and high[2] < highest + 1e-9, seed


def test_every_room_has_a_way_out():
    cell = 0.1
    for seed in range(20):
        free = Clearance([], rooms(np.random.default_rng(seed), AREA, CEILING, 4.0, 0), [])
        xs, ys = np.arange(AREA[0], AREA[2], cell), np.arange(AREA[1], AREA[3], cell)
        points = np.stack(np.meshgrid(xs, ys, [1.2], indexing='ij'), -1).reshape(-1, 3)
        # A drone is 0.27 m wide about its camera where it is narrow.
        open_ = (free(points) > 0.27).reshape(len(xs), len(ys))
        reached = np.zeros_like(open_)
        reached[tuple(np.argwhere(open_)[0])] = True
        while True:
            grown = reached.copy()
            grown[1:] |= reached[:-1]
            grown[:-1] |= reached[1:]
            grown[:, 1:] |= reached[:, :-1]
            grown[:, :-1] |= reached[:, 1:]
            grown &= open_
            if np.array_equal(grown, reached):
                break
            reached = grown
        assert open_.mean() > 0.6 and np.array_equal(reached, open_), seed


def test_a_roof_reaches_from_the_eaves_to_one_ridge_and_looks_inward():
    slopes = pitched_roof(np.random.default_rng(0), AREA, 2.0, 3.0, 0)
    middle = np.array([9.0, 7.0, 2.0])
    for slope, eaves_y in zip(slopes, (2.0, 12.0)):
        center, right, up = (np.array(v) for v in (slope.center, slope.right, slope.up))
        low, high = (center + sign * slope.height / 2 * up for sign in (-1, 1))
        assert low[1:] == pytest.approx([eaves_y, 2.0])
        assert high[1:] == pytest.approx([7.0, 5.0])
        assert slope.width == 16.0 and np.dot(np.cross(right, up), middle - center) > 0


def test_an_attic_is_closed_up_to_its_ridge():
    factors = replace(FACTORS['train'].drone, crossed=0.0)
    made = building(np.random.default_rng(3), 'attic', factors)
    shell = build_indoor(np.random.default_rng(4), made, factors).rectangles
    # Floor, two slopes, four walls, and no flat ceiling.
    assert len(shell) == 7 and sum(abs(flat.up[2]) == 0 for flat in shell) == 1
    tops = sorted(flat.center[2] + flat.height / 2 for flat in shell if flat.up[2] == 1)
    assert tops == pytest.approx([made.height] * 2 + [made.height + made.rise] * 2)


def test_no_floor_of_the_training_split_is_that_of_the_validation_split():
    factors = replace(FACTORS['train'].drone, crossed=0.0)
    for seed in range(300):
        floor = building(np.random.default_rng(seed), 'canteen', factors)
        bar, stem = floor.areas
        # A t whose stem is at an end is an l.
        assert min(stem[0] - bar[0], bar[2] - stem[2]) > 1.0, seed
    assert INTERIORS['l_hall'].shape not in {
        INTERIORS[name].shape for name in FACTORS['train'].drone.layouts}


def test_tables_of_two_areas_do_not_stand_in_each_other():
    arm = (8.0, 0.0, 13.0, 12.0)
    for seed in range(20):
        found = tables(np.random.default_rng(seed), arm, (AREA,), 2.2, TEXTURES)
        assert not found or extent(found)[1][1] < AREA[1] + 0.5, seed


def test_the_anchor_set_has_only_what_the_bundled_student_knows():
    known, every = FACTORS['anchor'], FACTORS['train']
    assert set(known.drone.layouts) < set(every.drone.layouts) and len(known.drone.layouts) == 6
    assert replace(known.drone, layouts=every.drone.layouts, varied=every.drone.varied) \
        == every.drone
    assert known.car.varied == known.drone.varied == 1 and known.desk == every.desk
    # Every range is made of some of those of the training split.
    for one, other in ((known, every), (known.car, every.car)):
        for field in fields(one):
            spans = getattr(one, field.name)
            if isinstance(spans, tuple):
                assert set(spans) <= set(getattr(other, field.name)), field.name


def test_what_would_block_the_way_is_left_out_where_it_does_not_fit():
    factors = replace(FACTORS['train'].drone, crossed=1.0)
    shapes = set()
    for seed in range(300):
        made = building(np.random.default_rng(seed), 'corridor', factors)
        interior = made.interior
        shapes.add(interior.shape)
        if interior.narrow or interior.shape != 'rectangle':
            assert not (interior.partitions or interior.rooms or interior.deck or made.rise)
        assert not (interior.narrow and (interior.tables or interior.machines))
        assert not (interior.vehicles and interior.rooms)
    assert shapes == {INTERIORS[name].shape for name in factors.layouts}
