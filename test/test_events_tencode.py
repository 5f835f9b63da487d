# Copyright 2026 depth_anyevent_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Tencode by its formula, event by event, and the fused surface against the plain path."""
import numpy as np
import pytest

from depth_anyevent_ros.events.surface import grid_of_pixels, LatestEventSurface
from depth_anyevent_ros.events.tencode import tencode
from depth_anyevent_ros.events.types import Events


def random_events(seed, count=4000, width=40, height=30, span=50_000_000):
    rng = np.random.default_rng(seed)
    return Events(np.sort(rng.integers(0, span, count)), rng.integers(0, width, count, np.uint16),
                  rng.integers(0, height, count, np.uint16), rng.integers(0, 2, count, np.uint8))


def by_formula(events, width, height, t0, t1):
    """Walk through the events as the formula says it, in double precision."""
    image = np.zeros((3, height, width))
    for t, x, y, p in zip(events.t, events.x, events.y, events.p):
        g = 1 - (int(t) - t0) / (t1 - t0) if t1 > t0 else 0
        image[:, y, x] = (p, g, 1 - p)
    return image


@pytest.mark.parametrize('seed', range(3))
def test_plain_path_is_the_formula(seed):
    events = random_events(seed, 600)
    for t0, t1 in ((0, 50_000_000), (int(events.t[0]), int(events.t[-1]))):
        expected = by_formula(events, 40, 30, t0, t1)
        np.testing.assert_allclose(tencode(events, 40, 30, t0, t1), expected, atol=1e-6)


def test_one_event_and_equal_stamps_have_no_age():
    one = Events(np.array([7]), np.array([3], np.uint16), np.array([2], np.uint16),
                 np.array([1], np.uint8))
    assert tencode(one, 5, 4, 7, 7)[:, 2, 3].tolist() == [1, 0, 0]


def test_of_equal_stamps_at_a_pixel_the_later_in_the_stream_wins():
    twice = Events(np.array([7, 7]), np.array([3, 3], np.uint16), np.array([2, 2], np.uint16),
                   np.array([1, 0], np.uint8))
    assert tencode(twice, 5, 4, 0, 10)[:, 2, 3] == pytest.approx([0, 0.3, 1])


def write(surface, events):
    """Put events into a surface, as decoders do."""
    for array, values in zip(surface.sink.piece, (events.t, events.x, events.y, events.p)):
        array[:len(values)] = values
    surface.sink.write(len(events))


@pytest.mark.parametrize('grid', [(40, 30), (20, 15), (14, 7)])
def test_surface_renders_the_latest_event_of_each_cell(grid):
    events = random_events(5)
    surface = LatestEventSurface(40, 30, *grid)
    write(surface, events)
    inside = (events.t >= 20_000_000) & (events.t < 40_000_000)
    # Cells whose latest event came after the window are empty, so take the stream up to its end.
    surface = LatestEventSurface(40, 30, *grid)
    write(surface, Events(*(getattr(events, n)[events.t < 40_000_000] for n in 'txyp')))
    in_grid = Events(events.t[inside], events.x[inside].astype(int) * grid[0] // 40,
                     events.y[inside].astype(int) * grid[1] // 30, events.p[inside])
    image = surface.tencode(20_000_000, 40_000_000, 20_000_000, 40_000_000)
    expected = by_formula(in_grid, *grid, 20_000_000, 40_000_000)
    np.testing.assert_allclose(image, expected, atol=1e-6)


def test_a_large_pixel_fires_when_its_pixels_agree_by_enough():
    # Cells of 2x3 pixels, three quarters of which are 4.5, so 4 by the even of the two.
    surface = LatestEventSurface(4, 6, 2, 2, cell_threshold=0.75)
    charge = surface.sink._charge
    assert charge[:, 1].tolist() == [4] * 4 and (np.abs(charge[:, 0]) < 4).all()
    charge[:, 0] = 0
    p = [1, 1, 0, 1, 1, 1, 0, 0, 0, 0, 0, 0, 0]  # of cell 3: 4 more of ON at the sixth
    count = len(p)
    write(surface, Events(np.arange(1, count + 1), np.full(count, 3, np.uint16),
                          np.full(count, 5, np.uint16), np.array(p, np.uint8)))
    # Again at the fourth after it, of OFF; three more OFF are not enough.
    assert (surface.cells >> 1).tolist()[3] == 10 and surface.cells[3] & 1 == 0
    assert (surface.cells[:3] < 0).all() and charge[:, 0].tolist() == [0, 0, 0, -3]
    surface.clear()
    assert (surface.cells < 0).all() and charge[3, 0] == -3
    write(surface, Events(np.array([20]), np.array([3], np.uint16), np.array([5], np.uint16),
                          np.array([0], np.uint8)))
    assert surface.cells[3] == 40
    surface.reset()
    assert (surface.cells < 0).all()
    again = LatestEventSurface(4, 6, 2, 2, cell_threshold=0.75)
    np.testing.assert_array_equal(charge, again.sink._charge)


def test_a_large_pixel_of_one_pixel_sees_what_that_sees():
    events = random_events(6)
    for coordinates in (None, np.stack(np.meshgrid(np.arange(40.0), np.arange(30.0)), -1)):
        plain = LatestEventSurface(40, 30, 40, 30, coordinates)
        large = LatestEventSurface(40, 30, 40, 30, coordinates, cell_threshold=1.0)
        write(plain, events)
        write(large, events)
        np.testing.assert_array_equal(plain.cells, large.cells)


def test_grid_has_equal_cells_and_no_hole():
    cells = np.add.outer(*grid_of_pixels(346, 260, 252, 196))
    assert cells.shape == (260, 346)
    counts = np.bincount(cells.ravel(), minlength=252 * 196)
    assert counts.min() >= 1 and counts.max() <= 4
    assert cells[0, 0] == 0 and cells[-1, -1] == 252 * 196 - 1


def test_reset_forgets_every_event():
    surface = LatestEventSurface(40, 30, 40, 30)
    write(surface, random_events(1))
    surface.reset()
    assert not surface.tencode(0, 10**9, 0, 10**9).any()
