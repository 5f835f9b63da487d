# Copyright 2026 depth_anyevent_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Optical flow against points that are moved and projected again."""
import numpy as np
import pytest

from depth_anyevent_ros.geometry.camera import CameraModel
from depth_anyevent_ros.simulation.motion import fastest_pixel, optical_flow, relative_twists
from depth_anyevent_ros.simulation.raycaster import RayCaster
from depth_anyevent_ros.simulation.scene import Box, Ellipsoid, Rectangle, Scene
from depth_anyevent_ros.simulation.texture import checker_texture
from depth_anyevent_ros.simulation.trajectory import Sway, twist

SWAY = Sway((0, 0, 1, 0.1, 0.05, 0.1), (1, -0.5, 0.2, 0.4, 0.1, -0.3), (0.1,) * 6,
            (1.0, 0.7, 1.3, 0.9, 1.1, 0.6), (0.0, 1, 2, 3, 4, 5))
CAMERA = CameraModel(40, 30, np.array([[30, 0, 19.5], [0, 33, 14.5], [0, 0, 1.0]]), np.zeros(0))
TIME, STEP = 0.4, 1e-5


class Circle:
    """A body on a circle, which turns with its way."""

    def __init__(self, rate):
        self.rate = rate

    def pose(self, time_s):
        """Return position and yaw, the yaw within half a turn."""
        angle = self.rate * time_s + 1.2
        position = np.array([6 + np.cos(angle), np.sin(angle), 0.8])
        return position, np.arctan2(np.sin(angle + 1.9), np.cos(angle + 1.9))


def scene(bodies=()):
    k = len(bodies)
    return Scene((Rectangle((9, 0, 0), (0, -1, 0), (0, 0, 1), 30, 9),), (checker_texture(8, 2),),
                 (Box((0, 0, 0), (1, 0.8, 1.2), 0.3, body=min(k, 1)),),
                 (Ellipsoid((0, -1.0, 0.5), (0.5, 0.6, 0.9), body=k),), bodies)


def moved_pixels(caster, frame, bodies):
    """Return flow in px/s from where each point is a little earlier and later."""
    index = caster.bodies(frame)
    here = SWAY.pose(TIME)
    rays = np.dstack([CAMERA.rays().astype(np.float64), np.ones((30, 40))])
    depth = np.where(np.isfinite(frame.depth), frame.depth, np.nan)
    points = rays * depth[..., None] @ here.rotation.T + here.position
    pixels = []
    for time in (TIME - STEP, TIME + STEP):
        there, now = SWAY.pose(time), points.copy()
        for number, body in enumerate(bodies, 1):
            (start, yaw), (end, later) = body.pose(TIME), body.pose(time)
            c, s = np.cos(later - yaw), np.sin(later - yaw)
            turn = np.array([[c, -s, 0], [s, c, 0], [0, 0, 1]])
            now[index == number] = (points[index == number] - start) @ turn.T + end
        seen = (now - there.position) @ there.rotation
        pixels.append(seen[..., :2] / seen[..., 2:] * [30, 33])
    return (pixels[1] - pixels[0]) / (2 * STEP)


@pytest.mark.parametrize('bodies', [(), (Circle(1.0),), (Circle(-3.0), Circle(2.0))])
def test_flow_against_projected_points(bodies):
    world = scene(bodies)
    caster = RayCaster(world, CAMERA)
    frame = caster.render(SWAY.pose(TIME), TIME)
    assert set(np.unique(caster.bodies(frame))) == set(range(len(bodies) + 1))
    twists = relative_twists(world, SWAY, TIME)
    flow = optical_flow(frame.depth, CAMERA, twists, caster.bodies(frame))
    assert flow.dtype == np.float32 and flow.shape == (30, 40, 2)
    expected = moved_pixels(caster, frame, bodies)
    finite = np.isfinite(frame.depth)
    np.testing.assert_allclose(flow[finite], expected[finite], atol=2e-3)
    speed = np.linalg.norm(expected[finite], axis=-1).max()
    found = fastest_pixel(frame.depth, CAMERA, twists, caster.bodies(frame))
    assert found == pytest.approx(np.linalg.norm(flow, axis=-1).max(), rel=1e-5)
    assert found >= speed * (1 - 1e-4)
    # The bodies are not as fast as the still scene would be in their place.
    if bodies:
        assert np.abs(optical_flow(frame.depth, CAMERA, twists) - flow).max() > 2


def test_the_sky_flows_with_the_turn_alone():
    depth = np.full((30, 40), np.inf, np.float32)
    _, angular = twist(SWAY, TIME)
    fast, turning = (fastest_pixel(depth, CAMERA, np.concatenate([velocity, angular])[None])
                     for velocity in (np.array([9.0, 9, 9]), np.zeros(3)))
    assert fast == pytest.approx(turning)
    # About the optical axis: the flow is the angular velocity times the distance from it.
    roll = optical_flow(depth, CAMERA, np.array([[0, 0, 0, 0, 0, 2.0]]))
    u, v = np.meshgrid(np.arange(40) - 19.5, np.arange(30) - 14.5)
    np.testing.assert_allclose(roll, np.dstack([v / 33 * 30, -u / 30 * 33]) * 2, rtol=1e-5)


def test_refuses_bodies_that_do_not_fit():
    depth = np.ones((30, 40), np.float32)
    with pytest.raises(ValueError, match='as large as depth'):
        optical_flow(depth, CAMERA, np.zeros((1, 6)), np.ones((30, 40), np.int32))
    with pytest.raises(ValueError, match='as large as depth'):
        optical_flow(depth, CAMERA, np.zeros((1, 6)), np.zeros((2, 2), np.int32))
