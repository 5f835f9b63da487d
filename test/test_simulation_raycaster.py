# Copyright 2026 depth_anyevent_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""The ray caster against closed forms, plain ray tests in numpy, and finer pictures."""
import numpy as np
import pytest

from depth_anyevent_ros.geometry.camera import CameraModel
from depth_anyevent_ros.simulation.raycaster import RayCaster
from depth_anyevent_ros.simulation.scene import Box, Rectangle, Scene
from depth_anyevent_ros.simulation.texture import checker_texture, leaves_texture, noise_texture
from depth_anyevent_ros.simulation.trajectory import Sway

TILE = checker_texture(64, 4)


def camera(width=60, height=40, focal=50.0):
    k = np.array([[focal, 0, width / 2 - 0.7], [0, focal * 1.1, height / 2 - 0.2], [0, 0, 1]])
    return CameraModel(width, height, k, np.zeros(5))


def rays(model):
    u, v = np.meshgrid(np.arange(model.width), np.arange(model.height))
    return np.dstack([(u - model.k[0, 2]) / model.k[0, 0], (v - model.k[1, 2]) / model.k[1, 1],
                      np.ones(u.shape)])


def wall(distance, size=1000.0, **values):
    return Rectangle((distance, 0, 0), (0, -1, 0), (0, 0, 1), size, size, **values)


def test_wall_ahead_is_as_far_everywhere():
    frame = RayCaster(Scene((wall(7.0),), (TILE,)), camera()).render(Sway((0,) * 6).pose(0))
    assert frame.depth.dtype == np.float32 and frame.depth.shape == (40, 60)
    np.testing.assert_allclose(frame.depth, 7.0, rtol=1e-6)


def test_ground_by_the_horizon_formula():
    ground = Rectangle((0, 0, 0), (0, -1, 0), (1, 0, 0), 1e4, 1e4)
    model = camera()
    frame = RayCaster(Scene((ground,), (TILE,)), model).render(Sway((0, 0, 1.5, 0, 0, 0)).pose(0))
    v = np.arange(model.height)
    with np.errstate(divide='ignore'):
        depth = 1.5 * model.k[1, 1] / (v - model.k[1, 2])
    depth[(depth < 0) | (depth > 5000)] = np.inf
    np.testing.assert_allclose(frame.depth, np.tile(depth[:, None], (1, 60)), rtol=1e-6)
    assert np.all(frame.luminance[np.isinf(frame.depth[:, 0])][:-1] == np.float32(0.85))


@pytest.mark.parametrize('seed', range(6))
def test_boxes_by_plain_slab_tests(seed):
    generator = np.random.default_rng(seed)
    boxes = tuple(Box(tuple(generator.uniform([2, -3, -2], [8, 3, 2])),
                      tuple(generator.uniform(0.3, 2, 3)), generator.uniform(-3, 3))
                  for _ in range(12))
    model = camera()
    pose = Sway((*generator.uniform(-1, 0.5, 3), *generator.uniform(-0.4, 0.4, 3))).pose(0)
    directions = rays(model) @ pose.rotation.T
    expected = np.full((model.height, model.width), np.inf)
    for box in boxes:
        c, s = np.cos(box.yaw), np.sin(box.yaw)
        to_box = np.array([[c, s, 0], [-s, c, 0], [0, 0, 1]])
        origin = to_box @ (pose.position - box.center)
        slopes = directions @ to_box.T
        one, other = ((sign * np.array(box.size) / 2 - origin) / slopes for sign in (-1, 1))
        enter = np.minimum(one, other).max(-1)
        leave = np.maximum(one, other).min(-1)
        hit = (enter <= leave) & (enter > 0.05)
        expected = np.where(hit, np.minimum(expected, enter), expected)
    frame = RayCaster(Scene((), (TILE,), boxes), model).render(pose)
    assert np.isfinite(expected).mean() > 0.1
    np.testing.assert_allclose(frame.depth, expected, rtol=1e-6)


def test_a_surface_that_reaches_behind_the_camera():
    ground = Rectangle((0, 0, -1), (0, -1, 0), (1, 0, 0), 30, 30)
    pose = Sway((0, 0, 0, 0.4, 0.5, 0.2)).pose(0)
    model = camera()
    frame = RayCaster(Scene((ground,), (TILE,)), model).render(pose)
    directions = rays(model) @ pose.rotation.T
    with np.errstate(divide='ignore'):
        depth = -1 / directions[..., 2]
    point = directions * depth[..., None]
    depth[(depth < 0) | (np.abs(point[..., :2]).max(-1) > 15)] = np.inf
    np.testing.assert_allclose(frame.depth, depth, rtol=1e-6)


def test_texture_lies_where_it_should():
    # Squares of 0.5 m, the corner of four at the wall's centre, straight ahead.
    model = CameraModel(41, 41, np.array([[40, 0, 20], [0, 40, 20], [0, 0, 1.0]]), np.zeros(5))
    scene = Scene((wall(2.0, tile_m=2.0),), (checker_texture(64, 4, 0.2, 0.8),), ambient=1.0)
    luminance = RayCaster(scene, model).render(Sway((0,) * 6).pose(0)).luminance
    assert luminance[25, 25] == luminance[15, 15] == pytest.approx(0.2, abs=1e-6)
    assert luminance[25, 15] == luminance[15, 25] == pytest.approx(0.8, abs=1e-6)
    assert luminance[20, 20] == pytest.approx(0.5, abs=0.01)
    # Moved 0.25 m to the left, the corner is 5 pixels to the right.
    luminance = RayCaster(scene, model).render(Sway((0, 0.25, 0, 0, 0, 0)).pose(0)).luminance
    assert luminance[20, 25] == pytest.approx(0.5, abs=0.01)


def world():
    return Scene(
        (Rectangle((10, 0, -1), (0, -1, 0), (1, 0, 0), 30, 40, texture=1, tile_m=3.0),
         wall(14.0, 12.0, tile_m=4.0)),
        (leaves_texture(1), noise_texture(2, slope=0.8, contrast=0.6)),
        (Box((5, 1, -0.4), (1, 1, 1.2), 0.5), Box((4, -1, 0), (0.5, 0.6, 2), 0.2, 1)))


def fine(model, factor):
    k = model.k.copy()
    k[:2] *= factor
    k[:2, 2] += (factor - 1) / 2
    return CameraModel(model.width * factor, model.height * factor, k, np.zeros(5))


def test_luminance_is_the_mean_over_the_pixel():
    factor = 8
    model, scene = camera(120, 90, 90.0), world()
    pose = Sway((0, 0, 0, 0.05, 0.04, 0.03)).pose(0)
    mean = RayCaster(scene, fine(model, factor)).render(pose).luminance.astype(np.float64)
    centres = mean[factor // 2::factor, factor // 2::factor]
    mean = mean.reshape(90, factor, 120, factor).mean((1, 3))
    error = np.log(RayCaster(scene, model).render(pose).luminance / mean)
    # One ray a pixel, unfiltered, is off by several times that.
    assert np.sqrt(np.mean(error ** 2)) < 0.065
    assert 0.2 < np.sqrt(np.mean(np.log(centres / mean) ** 2))
    assert np.percentile(np.abs(error), 99) < 0.25


def test_edges_between_surfaces_move_smoothly():
    # A dark box before the bright sky: its edge crosses a pixel in small steps.
    dark = np.full((4, 4), 0.1, np.float32)
    scene = Scene((), (dark,), (Box((4, -2, 0), (0.2, 4, 9)),), ambient=1.0)
    caster = RayCaster(scene, camera(60, 40, 50.0))
    rows = np.array([caster.render(Sway((0, y, 0, 0, 0, 0)).pose(0)).luminance[20]
                     for y in np.linspace(0, 0.078, 32)])
    steps = np.abs(np.diff(rows, axis=0))
    assert steps.max() <= (0.85 - 0.1) / 16 * 2 + 1e-6
    # The covered area grows as the edge moves: one pixel is 0.078 m at 3.9 m.
    assert (rows[0] - rows[-1]).sum() == pytest.approx(-0.75, abs=0.06)


def test_a_far_fine_texture_does_not_flicker():
    scene = Scene((wall(60.0, tile_m=0.5),), (checker_texture(256, 32),), ambient=1.0)
    caster = RayCaster(scene, camera())
    pictures = [np.log(caster.render(Sway((0, shift, 0, 0, 0, 0)).pose(0)).luminance)
                for shift in np.linspace(0, 0.3, 7)]
    assert np.ptp(pictures, axis=0).max() < 0.05


def test_refuses_cameras_without_pinhole():
    with pytest.raises(ValueError, match='without distortion'):
        RayCaster(Scene((), ()), CameraModel(4, 4, camera().k, np.array([0.1, 0, 0, 0, 0])))
    with pytest.raises(ValueError, match='camera matrix'):
        RayCaster(Scene((), ()), CameraModel.uncalibrated(4, 4))
