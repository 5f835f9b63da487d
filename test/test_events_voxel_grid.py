# Copyright 2026 depth_anyevent_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""The voxel grid event by event."""
import numpy as np
import pytest

from depth_anyevent_ros.events.surface import grid_of_pixels
from depth_anyevent_ros.events.types import Events
from depth_anyevent_ros.events.voxel_grid import voxel_grid


def by_formula(events, grid, width, height, t0, t1, bins):
    """Sum p * max(0, 1 - |bin - position|), then standardise what is not zero."""
    voxels = np.zeros((bins, grid[1], grid[0]))
    for t, x, y, p in zip(events.t, events.x, events.y, events.p):
        position = (bins - 1) * (int(t) - t0) / (t1 - t0)
        for b in range(bins):
            voxels[b, int(y) * grid[1] // height, int(x) * grid[0] // width] += \
                (1 if p else -1) * max(0, 1 - abs(b - position))
    filled = voxels != 0
    voxels[filled] = (voxels[filled] - voxels[filled].mean()) / voxels[filled].std()
    return voxels


@pytest.mark.parametrize('grid', [(40, 30), (13, 11)])
def test_it_is_the_formula(grid):
    rng = np.random.default_rng(0)
    events = Events(np.sort(rng.integers(10**9, 10**9 + 50_000_000, 800)),
                    rng.integers(0, 40, 800, np.uint16), rng.integers(0, 30, 800, np.uint16),
                    rng.integers(0, 2, 800, np.uint8))
    bounds = 10**9, 10**9 + 50_000_000
    cells = np.add.outer(*grid_of_pixels(40, 30, *grid))
    ours = voxel_grid(events, cells, grid[0] * grid[1], *bounds)
    expected = by_formula(events, grid, 40, 30, *bounds, 5)
    # Sums that cancel leave roundings that count as filled in one of the two.
    np.testing.assert_allclose(ours.reshape(expected.shape), expected, atol=2e-2)
    assert np.abs(ours.reshape(expected.shape) - expected).mean() < 1e-3


def test_no_event_and_one_event():
    none = Events.concatenate([])
    cells = np.add.outer(*grid_of_pixels(4, 3, 4, 3))
    assert not voxel_grid(none, cells, 12, 0, 100).any()
    one = Events(np.array([100]), np.array([1], np.uint16), np.array([2], np.uint16),
                 np.array([0], np.uint8))
    grid = voxel_grid(one, cells, 12, 0, 100)
    assert grid[4, 9] == -1 and np.count_nonzero(grid) == 1
    assert np.isfinite(voxel_grid(one, cells, 12, 100, 100)).all()
