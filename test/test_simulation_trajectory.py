# Copyright 2026 depth_anyevent_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Poses, their derivatives, and how fast they move the picture."""
import numpy as np
import pytest

from depth_anyevent_ros.geometry.camera import CameraModel
from depth_anyevent_ros.simulation.motion import fastest_pixel
from depth_anyevent_ros.simulation.trajectory import Sway, twist

SWAY = Sway((1, 2, 3, 0.3, -0.2, 0.1), (1, -0.5, 0.2, 0.4, 0.1, -0.3), (0.3,) * 6,
            (1.0, 0.7, 1.3, 0.9, 1.1, 0.6), (0.0, 1, 2, 3, 4, 5))


def test_at_rest_the_camera_looks_along_x():
    pose = Sway((0,) * 6).pose(1.0)
    np.testing.assert_allclose(pose.rotation @ [0, 0, 1], [1, 0, 0], atol=1e-15)
    np.testing.assert_allclose(pose.rotation @ [1, 0, 0], [0, -1, 0], atol=1e-15)
    np.testing.assert_allclose(pose.rotation @ [0, 1, 0], [0, 0, -1], atol=1e-15)


def test_angles():
    left = Sway((0, 0, 0, np.pi / 2, 0, 0)).pose(0).rotation
    np.testing.assert_allclose(left @ [0, 0, 1], [0, 1, 0], atol=1e-15)
    down = Sway((0, 0, 0, 0, np.pi / 2, 0)).pose(0).rotation
    np.testing.assert_allclose(down @ [0, 0, 1], [0, 0, -1], atol=1e-15)
    rolled = Sway((0, 0, 0, 0, 0, np.pi / 2)).pose(0).rotation
    # Roll to the right: the picture's right is down.
    np.testing.assert_allclose(rolled @ [1, 0, 0], [0, 0, -1], atol=1e-15)


def test_rotations_are_rotations():
    for time in np.linspace(0, 5, 20):
        rotation = SWAY.pose(time).rotation
        np.testing.assert_allclose(rotation @ rotation.T, np.eye(3), atol=1e-12)
        assert np.linalg.det(rotation) == pytest.approx(1)


def test_twist_of_a_steady_motion():
    velocity, angular = twist(Sway((0, 0, 0, 0, 0, 0), (1, 2, 3, 0, 0, 0)), 0.5)
    np.testing.assert_allclose(velocity, [-2, -3, 1], atol=1e-9)
    np.testing.assert_allclose(angular, 0, atol=1e-12)
    _, angular = twist(Sway((0,) * 6, (0, 0, 0, 0.8, 0, 0)), 0.0)
    # A turn to the left about z, which is up, is one about -y of the optical frame.
    np.testing.assert_allclose(angular, [0, -0.8, 0], atol=1e-6)


def test_fastest_pixel_against_projected_points():
    camera = CameraModel(40, 30, np.array([[50, 0, 19.5], [0, 55, 14.5], [0, 0, 1.0]]),
                         np.zeros(0))
    depth = np.random.default_rng(0).uniform(1, 5, (30, 40)).astype(np.float32)
    time, step = 0.4, 1e-5
    rays = camera.rays().astype(np.float64)
    points = np.dstack([rays, np.ones((30, 40))]) * depth[..., None]
    here, there = SWAY.pose(time), SWAY.pose(time + step)
    world = points @ here.rotation.T + here.position
    moved = (world - there.position) @ there.rotation
    pixels = moved[..., :2] / moved[..., 2:] * [50, 55]
    speed = np.linalg.norm(pixels - rays * [50, 55], axis=-1) / step
    assert fastest_pixel(depth, camera, *twist(SWAY, time)) == pytest.approx(
        speed.max(), rel=1e-3)
    depth[:] = np.inf
    _, angular = twist(SWAY, time)
    assert fastest_pixel(depth, camera, np.array([9.0, 9, 9]), angular) == pytest.approx(
        fastest_pixel(depth, camera, np.zeros(3), angular))
