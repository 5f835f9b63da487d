# Copyright 2026 depth_anyevent_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""A ray caster as one writes it in plain numpy: the baseline of the compiled one."""
from __future__ import annotations

import math

import numpy as np

from depth_anyevent_ros.geometry.camera import CameraModel
from depth_anyevent_ros.simulation.scene import Ellipsoid, Rectangle, Scene
from depth_anyevent_ros.simulation.trajectory import Pose


def cast_depth(scene: Scene, camera: CameraModel, pose: Pose, time_s: float = 0.0) -> np.ndarray:
    """
    Return depth in metres, float64 (H, W), +inf in the sky; no textures, no light.

    Every ray meets every surface. The rays are those of a pinhole camera.
    """
    x = (np.arange(camera.width) - camera.k[0, 2]) / camera.k[0, 0]
    y = (np.arange(camera.height) - camera.k[1, 2]) / camera.k[1, 1]
    rays = np.stack([*np.meshgrid(x, y), np.ones((camera.height, camera.width))], -1)
    rays = rays @ pose.rotation.T  # of length 1 along the optical axis
    depth = np.full(rays.shape[:2], np.inf)
    with np.errstate(divide='ignore', invalid='ignore'):
        for surface in scene.surfaces():
            origin, directions = _in_body(scene, surface.body, pose.position, rays, time_s)
            hit = _ellipsoid if isinstance(surface, Ellipsoid) else _rectangle
            found = hit(surface, origin, directions)
            np.minimum(depth, np.where(found > 0, found, np.inf), out=depth)
    return depth


def _in_body(scene: Scene, body: int, origin: np.ndarray, rays: np.ndarray, time_s: float):
    """Return the eye and the rays in the frame that a surface is given in."""
    if not body:
        return origin, rays
    position, yaw = scene.bodies[body - 1].pose(time_s)
    return _turned(origin - position, yaw), _turned(rays, yaw)


def _turned(vectors: np.ndarray, yaw: float) -> np.ndarray:
    """Return vectors (..., 3) in axes that are turned by yaw about z."""
    c, s = math.cos(yaw), math.sin(yaw)
    return vectors @ np.array([[c, -s, 0], [s, c, 0], [0, 0, 1]])


def _rectangle(surface: Rectangle, origin: np.ndarray, rays: np.ndarray) -> np.ndarray:
    right, up = np.array(surface.right), np.array(surface.up)
    normal = np.cross(right, up)
    offset = np.array(surface.center) - origin
    depth = (offset @ normal) / (rays @ normal)
    u, v = (depth * (rays @ axis) - offset @ axis for axis in (right, up))
    inside = (np.abs(u) <= surface.width / 2) & (np.abs(v) <= surface.height / 2)
    return np.where(inside, depth, np.inf)


def _ellipsoid(surface: Ellipsoid, origin: np.ndarray, rays: np.ndarray) -> np.ndarray:
    radii = np.array(surface.radii)
    start = _turned(origin - np.array(surface.center), surface.yaw) / radii
    ways = _turned(rays, surface.yaw) / radii
    a, b, c = (ways * ways).sum(-1), ways @ start, start @ start - 1
    return (-b - np.sqrt(b * b - a * c)) / a  # NaN where the ray passes by
