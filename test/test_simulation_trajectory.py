# Copyright 2026 depth_anyevent_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Poses and their derivatives."""
import numpy as np
import pytest

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
