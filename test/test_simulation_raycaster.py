# Copyright 2026 depth_anyevent_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""The ray caster against closed forms, plain ray tests in numpy, and finer pictures."""
from dataclasses import replace

import numpy as np
import pytest

from depth_anyevent_ros.geometry.camera import CameraModel
from depth_anyevent_ros.simulation.raycaster import RayCaster
from depth_anyevent_ros.simulation.scene import Box, Ellipsoid, Light, Rectangle, Scene
from depth_anyevent_ros.simulation.texture import checker_texture, leaves_texture, noise_texture
from depth_anyevent_ros.simulation.trajectory import Sway

TILE = checker_texture(64, 4)
PLAIN = np.full((4, 4), 0.5, np.float32)
AHEAD = Sway((0,) * 6).pose(0)


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
    assert np.all(frame.surface[np.isinf(frame.depth)] == -1)
    assert np.all(frame.surface[np.isfinite(frame.depth)] == 0)


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
    scene = Scene((wall(2.0, tile_m=2.0),), (checker_texture(64, 4, 0.2, 0.8),),
                  light=Light(ambient=1.0))
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
    scene = Scene((), (dark,), (Box((4, -2, 0), (0.2, 4, 9)),),
                  light=Light(ambient=1.0, sky_horizon=0.85, sky_zenith=0.85))
    caster = RayCaster(scene, camera(60, 40, 50.0))
    rows = np.array([caster.render(Sway((0, y, 0, 0, 0, 0)).pose(0)).luminance[20]
                     for y in np.linspace(0, 0.078, 32)])
    steps = np.abs(np.diff(rows, axis=0))
    assert steps.max() <= (0.85 - 0.1) / 16 * 2 + 1e-6
    # The covered area grows as the edge moves: one pixel is 0.078 m at 3.9 m.
    assert (rows[0] - rows[-1]).sum() == pytest.approx(-0.75, abs=0.06)


def test_a_far_fine_texture_does_not_flicker():
    scene = Scene((wall(60.0, tile_m=0.5),), (checker_texture(256, 32),),
                  light=Light(ambient=1.0))
    caster = RayCaster(scene, camera())
    pictures = [np.log(caster.render(Sway((0, shift, 0, 0, 0, 0)).pose(0)).luminance)
                for shift in np.linspace(0, 0.3, 7)]
    assert np.ptp(pictures, axis=0).max() < 0.05


class Drive:
    """A body on a straight way that turns as it goes."""

    def pose(self, time_s):
        """Return position and yaw."""
        return np.array([6.0, 3.0 - 2.0 * time_s, 0.2]), 0.3 + 0.9 * time_s


def ellipsoid_depth(model, pose, ball):
    """Return the depth of an ellipsoid by the quadratic formula in its own frame."""
    c, s = np.cos(ball.yaw), np.sin(ball.yaw)
    to_unit = np.array([[c, s, 0], [-s, c, 0], [0, 0, 1]]) / np.array(ball.radii)[:, None]
    origin = to_unit @ (pose.position - ball.center)
    directions = rays(model) @ pose.rotation.T @ to_unit.T
    a, b = (directions ** 2).sum(-1), directions @ origin
    root = b ** 2 - a * (origin @ origin - 1)
    with np.errstate(invalid='ignore'):
        depth = (-b - np.sqrt(root)) / a
    return np.where((root >= 0) & (depth > 0.05), depth, np.inf)


@pytest.mark.parametrize('seed', range(4))
def test_ellipsoids_by_the_quadratic_formula(seed):
    generator = np.random.default_rng(seed)
    # Some of them reach beside the camera, or lie behind it.
    balls = tuple(Ellipsoid(tuple(generator.uniform([-2, -4, -3], [9, 4, 3])),
                            tuple(generator.uniform(0.2, 1.4, 3)), generator.uniform(-3, 3))
                  for _ in range(20))
    model = camera()
    pose = Sway((*generator.uniform(-1, 0.5, 3), *generator.uniform(-0.4, 0.4, 3))).pose(0)
    balls = tuple(ball for ball in balls if np.linalg.norm(
        np.subtract(ball.center, pose.position)) > max(ball.radii) + 0.1)
    depths = np.array([ellipsoid_depth(model, pose, ball) for ball in balls])
    frame = RayCaster(Scene((), (TILE,), (), balls), model).render(pose)
    assert np.isfinite(depths.min(0)).mean() > 0.05
    np.testing.assert_allclose(frame.depth, depths.min(0), rtol=1e-6)
    seen = np.isfinite(frame.depth)
    np.testing.assert_array_equal(frame.surface[seen], depths.argmin(0)[seen])


def test_light_on_a_ball_is_that_of_its_normal():
    light = Light(sun=(-1, 1, 1), ambient=0.3)
    ball, model = Ellipsoid((4, 0, 0), (0.5, 1, 1.2), 0.4), camera(100, 80, 110.0)
    frame = RayCaster(Scene((), (PLAIN,), (), (ball,), light=light), model).render(AHEAD)
    depth = np.where(np.isfinite(frame.depth), frame.depth, np.nan)
    point = rays(model) * depth[..., None] @ AHEAD.rotation.T - ball.center
    turn = np.array([[np.cos(0.4), np.sin(0.4), 0], [-np.sin(0.4), np.cos(0.4), 0], [0, 0, 1]])
    normal = (point @ turn.T / np.array(ball.radii) ** 2) @ turn
    facing = normal @ [-1, 1, 1] / np.linalg.norm(normal, axis=-1) / 3 ** 0.5
    expected = 0.5 * (0.3 + 0.7 * np.clip(facing, 0, None))
    # Away from the rim, where sky mixes in.
    inside = np.isfinite(expected)
    inside[1:-1, 1:-1] &= inside[:-2, 1:-1] & inside[2:, 1:-1] & inside[1:-1, :-2] \
        & inside[1:-1, 2:] & inside[:-2, :-2] & inside[2:, 2:] & inside[:-2, 2:] & inside[2:, :-2]
    assert inside.sum() > 2000
    np.testing.assert_allclose(frame.luminance[inside], expected[inside], atol=1e-6)


def test_the_texture_of_a_ball_keeps_its_area():
    # Lambert's map: everywhere one square metre holds as much texture.
    tile = np.zeros((64, 64), np.float32)
    tile[:32] = 1
    ball = Ellipsoid((4, 0, 0), (1, 1, 1), tile_m=0.4)
    frame = RayCaster(Scene((), (tile,), (), (ball,), light=Light(ambient=1.0)),
                      camera(300, 300, 600.0)).render(AHEAD)
    part = frame.luminance[100:200, 100:200]
    assert part.mean() == pytest.approx(0.5, abs=0.06) and part.std() > 0.3


def test_a_body_moves_and_turns_with_its_surfaces():
    parts = {'boxes': (Box((0.5, 0.2, 0), (1, 2, 1.5), 0.2, body=1),),
             'ellipsoids': (Ellipsoid((-1, 0.5, 0), (0.4, 0.8, 0.6), -0.3, body=1),),
             'rectangles': (Rectangle((0, -1.4, 0), (0.6, 0.8, 0), (0, 0, 1), 1, 2, body=1),)}
    wall_behind = wall(12.0)
    caster = RayCaster(Scene((*parts['rectangles'], wall_behind), (TILE,), parts['boxes'],
                             parts['ellipsoids'], (Drive(),)), camera())
    for time in (0.0, 0.7, 2.0):
        position, yaw = Drive().pose(time)
        c, s = np.cos(yaw), np.sin(yaw)
        turn = np.array([[c, -s, 0], [s, c, 0], [0, 0, 1]])

        def placed(part):
            moved = {'center': tuple(turn @ part.center + position), 'body': 0}
            if isinstance(part, Rectangle):
                return replace(part, right=tuple(turn @ part.right), **moved)
            return replace(part, yaw=part.yaw + yaw, **moved)

        still = RayCaster(Scene(
            (placed(parts['rectangles'][0]), wall_behind), (TILE,), (placed(parts['boxes'][0]),),
            (placed(parts['ellipsoids'][0]),)), camera()).render(AHEAD)
        frame = caster.render(AHEAD, time)
        np.testing.assert_allclose(frame.depth, still.depth, rtol=1e-6)
        np.testing.assert_allclose(frame.luminance, still.luminance, atol=1e-4)
        np.testing.assert_array_equal(caster.moving(frame), frame.depth < 11)
        assert caster.moving(frame).any()


def test_fog_takes_light_by_the_way_through_it():
    light = Light(ambient=1.0, fog_per_m=0.05, sky_horizon=0.8)
    frame = RayCaster(Scene((wall(12.0),), (PLAIN,), light=light), camera()).render(AHEAD)
    clear = np.exp(-0.05 * 12.0 * np.linalg.norm(rays(camera()), axis=-1))
    np.testing.assert_allclose(frame.luminance, 0.8 + (0.5 - 0.8) * clear, atol=2e-5)


def test_the_sky_stands_still_in_the_world():
    light = Light(sky_horizon=0.9, sky_zenith=0.5)
    up = Sway((0, 0, 0, 0, -np.pi / 2, 0)).pose(0)
    model = CameraModel(41, 41, np.array([[20, 0, 20], [0, 20, 20], [0, 0, 1.0]]), np.zeros(5))
    caster = RayCaster(Scene((), (), light=light), model)
    assert caster.render(up).luminance[20, 20] == pytest.approx(0.5)
    assert caster.render(AHEAD).luminance[20, 20] == pytest.approx(0.9)
    column = caster.render(AHEAD).luminance[:21, 20]
    assert np.all(np.diff(column) > 0)
    cloudy = RayCaster(Scene((), (), light=replace(light, clouds=0.5)), model)
    one = cloudy.render(Sway((0, 0, 0, 0, -0.6, 0)).pose(0)).luminance
    far = cloudy.render(Sway((50, 9, 0, 0, -0.6, 0)).pose(0)).luminance
    np.testing.assert_array_equal(one, far)
    assert np.log(one).std() > 0.05 and np.abs(np.diff(np.log(one))).max() < 0.25
    # Turned by 45 degrees, x = 1 is where x = 0 was; 20 pixels at this focal length.
    turned = cloudy.render(Sway((0, 0, 0, np.pi / 4, 0, 0)).pose(0)).luminance
    assert turned[20, 40] == pytest.approx(cloudy.render(AHEAD).luminance[20, 20], rel=1e-4)


def test_lamps_flicker_all_over():
    scene = Scene((wall(5.0, 2.0),), (TILE,), light=Light(flicker=0.5, flicker_hz=50.0))
    caster = RayCaster(scene, camera())
    dark, bright = (caster.render(AHEAD, time).luminance for time in (0.015, 0.005))
    np.testing.assert_allclose(dark, bright * 0.5, rtol=1e-6)


def test_the_event_camera_sees_how_bright_a_colour_is():
    white, gray = (RayCaster(Scene((replace(wall(5.0, 2.0), color=(c, c, c)),), (TILE,)),
                             camera()).render(AHEAD).luminance for c in (1.0, 0.25))
    covered = np.abs(white - gray) > 0
    assert covered.mean() > 0.1
    np.testing.assert_allclose(gray[20, 30], 0.25 * white[20, 30], rtol=1e-6)


def test_color_is_tint_times_luminance():
    rectangle = wall(5.0, 2.0, color=(1.5, 0.9, 0.6))
    for fog in (0.0, 0.1):
        caster = RayCaster(Scene((rectangle,), (TILE,), light=Light(fog_per_m=fog)), camera())
        frame = caster.render(AHEAD)
        picture = caster.color(frame)
        assert picture.dtype == np.float32 and picture.shape == (40, 60, 3)
        np.testing.assert_allclose(picture.mean(-1), frame.luminance, rtol=1e-5)
        tint = picture[20, 30] / frame.luminance[20, 30]
        if fog == 0:
            np.testing.assert_allclose(tint, [1.5, 0.9, 0.6], rtol=1e-5)
        else:
            assert 0.8 < tint[0] < 1.5
        assert picture[0, 0, 2] > picture[0, 0, 1] > picture[0, 0, 0]


def test_a_room_is_seen_from_inside_its_box():
    frame = RayCaster(Scene((), (TILE,), (Box((0, 0, 0), (8, 6, 4)),)), camera()).render(AHEAD)
    assert frame.depth[20, 30] == pytest.approx(4.0) and np.isfinite(frame.depth).all()


def test_a_pole_thinner_than_a_pixel_keeps_its_share():
    # 0.3 pixels wide: its centre ray often misses, the picture must not blink.
    dark = np.full((4, 4), 0.1, np.float32)
    pole = Box((20.15, 0, 0), (0.3, 0.12, 50))
    scene = Scene((), (dark,), (pole,),
                  light=Light(ambient=1.0, sky_horizon=0.9, sky_zenith=0.9))
    caster = RayCaster(scene, camera())
    missing = [(0.9 - caster.render(Sway((0, y, 0, 0.02, 0, 0)).pose(0)).luminance[20]).sum()
               for y in np.linspace(0, 0.8, 33)]
    np.testing.assert_allclose(missing, 0.3 * 0.8, atol=0.075)


def test_the_same_scene_gives_the_same_bytes():
    pose = Sway((0, 0, 0, 0.05, 0.04, 0.03)).pose(0)
    one, other = (RayCaster(world(), camera()).render(pose) for _ in range(2))
    assert one.luminance.tobytes() == other.luminance.tobytes()
    assert one.depth.tobytes() == other.depth.tobytes()


def test_refuses_cameras_without_pinhole():
    with pytest.raises(ValueError, match='without distortion'):
        RayCaster(Scene((), ()), CameraModel(4, 4, camera().k, np.array([0.1, 0, 0, 0, 0])))
    with pytest.raises(ValueError, match='camera matrix'):
        RayCaster(Scene((), ()), CameraModel.uncalibrated(4, 4))
