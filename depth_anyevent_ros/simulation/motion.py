# Copyright 2026 depth_anyevent_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""
How the picture moves: per pixel, and at most.

A point P that stands still moves by dP/dt = -v - w x P in the optical frame of a camera with
velocity v and angular velocity w: Longuet-Higgins and Prazdny, The interpretation of a moving
retinal image (1980). A point of a body that moves does the same with the camera's velocities
relative to that body.
"""
from __future__ import annotations

import math

import numpy as np

from depth_anyevent_ros.events.jit import njit
from depth_anyevent_ros.geometry.camera import CameraModel
from depth_anyevent_ros.simulation.scene import Scene
from depth_anyevent_ros.simulation.trajectory import Trajectory, twist, TWIST_STEP_S


def relative_twists(scene: Scene, trajectory: Trajectory, time_s: float) -> np.ndarray:
    """
    Return how the camera moves relative to what stands still, and to each body.

    float64 (bodies + 1, 6): velocity, m/s, and angular velocity, rad/s, in the optical frame.
    """
    twists = np.tile(np.concatenate(twist(trajectory, time_s)), (len(scene.bodies) + 1, 1))
    if not scene.bodies:
        return twists
    pose = trajectory.pose(time_s)
    before, here, after = (
        np.array([(*position, yaw) for position, yaw in (body.pose(t) for body in scene.bodies)])
        for t in (time_s - TWIST_STEP_S, time_s, time_s + TWIST_STEP_S))
    change = after - before
    # The shorter way round, where a yaw steps by a whole turn.
    change[:, 3] -= 2 * math.pi * np.round(change[:, 3] / (2 * math.pi))
    rates = change / (2 * TWIST_STEP_S)
    arms = pose.position - here[:, :3]
    velocities = rates[:, :3]
    velocities[:, 0] -= rates[:, 3] * arms[:, 1]  # the cross product with a turn about z
    velocities[:, 1] += rates[:, 3] * arms[:, 0]
    twists[1:, :3] -= velocities @ pose.rotation
    twists[1:, 3:] -= rates[:, 3:] * pose.rotation[2]
    return twists


def optical_flow(depth: np.ndarray, camera: CameraModel, twists: np.ndarray,
                 bodies: np.ndarray | None = None) -> np.ndarray:
    """
    Return how every pixel's point moves in the picture, float32 (height, width, 2), px/s.

    depth: float32 (height, width), metres, +inf where there is nothing. twists: float64 (n, 6)
    of relative_twists. bodies: int32 (height, width) of RayCaster.bodies, a row of twists for
    each pixel; without it all of them take row 0.
    """
    twists, bodies = _checked(depth, twists, bodies)
    flow = np.empty((*depth.shape, 2), np.float32)
    _fill_flow(depth, _matrix(camera), twists, bodies, flow)
    return flow


def fastest_pixel(depth: np.ndarray, camera: CameraModel, twists: np.ndarray,
                  bodies: np.ndarray | None = None) -> float:
    """Return the largest motion of any pixel, px/s; the arguments are those of optical_flow."""
    twists, bodies = _checked(depth, twists, bodies)
    return _fastest(depth, _matrix(camera), twists, bodies)


def _matrix(camera: CameraModel) -> np.ndarray:
    return np.array([camera.k[0, 0], camera.k[1, 1], camera.k[0, 2], camera.k[1, 2]])


def _checked(depth: np.ndarray, twists: np.ndarray,
             bodies: np.ndarray | None) -> tuple[np.ndarray, np.ndarray]:
    twists = np.ascontiguousarray(twists, np.float64)
    if bodies is None:
        # One pixel that stands for all.
        return twists, np.zeros((1, 1), np.int32)
    if bodies.shape != depth.shape or bodies.max(initial=0) >= len(twists):
        raise ValueError(f'bodies has to be as large as depth, {depth.shape}, and to hold numbers '
                         f'below {len(twists)}, got {bodies.shape} up to {bodies.max(initial=0)}')
    return twists, np.ascontiguousarray(bodies, np.int32)


@njit
def _pixel_flow(x, y, inverse, vx, vy, vz, wx, wy, wz):
    """
    Return how a point on the ray (x, y, 1) moves on the plane z = 1, 1/s to the right and down.

    Numbers alone: numba counts references to arrays at every call, which took 7 times as long.
    """
    turn = wx * y - wy * x
    return ((x * vz - vx) * inverse - wy + wz * y + x * turn,
            (y * vz - vy) * inverse + wx - wz * x + y * turn)


@njit
def _fill_flow(depth, k, twists, bodies, flow):
    height, width = depth.shape
    still = bodies.size == 1
    for row in range(height):
        y = np.divide(row - k[3], k[1])
        for column in range(width):
            i = 0 if still else bodies[row, column]
            dx, dy = _pixel_flow(
                np.divide(column - k[2], k[0]), y, np.divide(1.0, np.float64(depth[row, column])),
                twists[i, 0], twists[i, 1], twists[i, 2], twists[i, 3], twists[i, 4],
                twists[i, 5])
            flow[row, column, 0], flow[row, column, 1] = k[0] * dx, k[1] * dy


@njit
def _fastest(depth, k, twists, bodies):
    height, width = depth.shape
    still = bodies.size == 1
    largest = 0.0
    for row in range(height):
        y = np.divide(row - k[3], k[1])
        for column in range(width):
            i = 0 if still else bodies[row, column]
            dx, dy = _pixel_flow(
                np.divide(column - k[2], k[0]), y, np.divide(1.0, np.float64(depth[row, column])),
                twists[i, 0], twists[i, 1], twists[i, 2], twists[i, 3], twists[i, 4],
                twists[i, 5])
            dx, dy = k[0] * dx, k[1] * dy
            largest = max(largest, dx * dx + dy * dy)
    return math.sqrt(largest)
