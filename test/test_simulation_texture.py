# Copyright 2026 depth_anyevent_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Textures and their filtering against plain averages over the footprint."""
import numpy as np
import pytest

from depth_anyevent_ros.simulation.texture import (
    checker_texture, leaves_texture, mip_map, noise_texture, sample)
from depth_anyevent_ros.simulation.texture_families import TEXTURE_FAMILIES


@pytest.mark.parametrize('make', [
    lambda seed: noise_texture(seed, 128), lambda seed: leaves_texture(seed, 128, 100)])
def test_textures_are_reflectances_by_seed(make):
    tile = make(5)
    assert tile.shape == (128, 128) and tile.dtype == np.float32
    assert 0.05 < tile.min() and tile.max() <= 0.9 and tile.std() > 0.03
    np.testing.assert_array_equal(tile, make(5))
    assert np.abs(tile - make(6)).max() > 0.1
    # The seam is no rougher than the inside.
    inside = np.abs(np.diff(tile, axis=0)).mean(1)
    assert np.abs(tile[0] - tile[-1]).mean() <= inside.max()


def test_checker():
    tile = checker_texture(16, 4, 0.2, 0.6)
    assert tile[0, 0] == tile[3, 3] == np.float32(0.2) and tile[0, 4] == np.float32(0.6)
    with pytest.raises(ValueError, match='even'):
        checker_texture(16, 3)


def test_mip_map_halves_down_to_the_mean():
    tile = noise_texture(1, 64)
    texels = mip_map(tile)
    assert len(texels) == sum(4 ** level for level in range(7))
    assert texels[-1] == pytest.approx(tile.mean(), rel=1e-5)
    np.testing.assert_allclose(
        texels[64 * 64:64 * 64 + 32 * 32].reshape(32, 32),
        (tile[::2, ::2] + tile[1::2, ::2] + tile[::2, 1::2] + tile[1::2, 1::2]) / 4, rtol=1e-5)
    with pytest.raises(ValueError, match='power of two'):
        mip_map(np.zeros((48, 48), np.float32))


def test_unfiltered_sample_is_bilinear_and_repeats():
    tile = noise_texture(2, 32)
    texels = mip_map(tile)

    def at(s, t):
        return sample(texels, 0, 32, s, t, 0.5, 0, 0, 0.5)

    assert at(10.5, 20.5) == pytest.approx(tile[20, 10])
    assert at(11.0, 20.5) == pytest.approx((tile[20, 10] + tile[20, 11]) / 2, rel=1e-6)
    assert at(0.0, 0.0) == pytest.approx(
        (tile[0, 0] + tile[-1, 0] + tile[0, -1] + tile[-1, -1]) / 4, rel=1e-6)
    for s, t in ((10.5 + 32, 20.5 - 64), (10.5 - 320, 20.5)):
        assert at(s, t) == pytest.approx(tile[20, 10], rel=1e-5)


@pytest.mark.parametrize('jacobian', [
    (4, 0, 0, 4), (3, 3, -3, 3), (20, 0, 0, 2), (0, 1.5, 12, 0), (10, 8, 9, 9), (40, 1, 0, 3)])
def test_filtered_sample_is_near_the_mean_over_the_footprint(jacobian):
    size = 256
    tile = leaves_texture(3, size, 300)
    texels = mip_map(tile)
    s_u, s_v, t_u, t_v = jacobian
    steps = (np.arange(64) + 0.5) / 64 - 0.5
    du, dv = np.meshgrid(steps, steps)
    generator = np.random.default_rng(0)
    errors, plain = [], []
    for s, t in generator.uniform(0, size, (300, 2)):
        column = np.floor(s + s_u * du + s_v * dv).astype(int) % size
        row = np.floor(t + t_u * du + t_v * dv).astype(int) % size
        mean = tile[row, column].mean()
        errors.append(sample(texels, 0, size, s, t, *map(float, jacobian)) - mean)
        plain.append(tile[int(t) % size, int(s) % size] - mean)
    # Without filtering the error is several times larger; the rest is the filter's shape.
    assert np.std(errors) < 0.45 * np.std(plain)
    assert np.std(errors) < 0.05 and abs(np.mean(errors)) < 0.01


@pytest.mark.parametrize('name', TEXTURE_FAMILIES)
def test_families_are_tiles_by_seed(name):
    make = TEXTURE_FAMILIES[name]
    tile, other = make(5), make(6)
    assert tile.dtype == np.float32 and tile.shape == (256, 256)
    assert 0.05 < tile.min() and tile.max() <= 0.9 and tile.std() > 0.02
    np.testing.assert_array_equal(tile, make(5))
    assert np.abs(tile - other).max() > 0.1
    for axis in (0, 1):
        inside = np.abs(np.diff(tile, axis=axis)).mean(1 - axis)
        seam = np.abs(np.take(tile, 0, axis) - np.take(tile, -1, axis)).mean()
        assert seam <= inside.max() * 1.05
    mip_map(tile)


def test_families_differ():
    assert len(TEXTURE_FAMILIES) >= 9
    # How much of the contrast lies in which direction and at which scale tells them apart.
    marks = []
    for make in TEXTURE_FAMILIES.values():
        parts = []
        for seed in range(3):
            log = np.log(make(seed).astype(np.float64))
            steps = [np.abs(log - np.roll(log, shift, axis)).mean() / log.std()
                     for axis in (0, 1) for shift in (1, 4, 16)]
            parts.append([*steps, ((log - log.mean()) ** 3).mean() / log.std() ** 3])
        marks.append(np.mean(parts, axis=0))
    apart = np.abs(np.array(marks)[:, None] - np.array(marks)).max(-1)
    assert apart[~np.eye(len(marks), dtype=bool)].min() > 0.05
