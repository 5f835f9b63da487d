# Copyright 2026 depth_anyevent_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""
One ray through the centre of every pixel: exact depth, and luminance free of aliasing.

The nearest surface is the one with the largest 1/Z. Luminance is filtered over the pixel:
textures by their mip maps, and where surfaces meet in a pixel by how much of it each of them
covers.
"""
from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from depth_anyevent_ros.events.jit import njit
from depth_anyevent_ros.geometry.camera import CameraModel
from depth_anyevent_ros.simulation.coverage import blend_edges
from depth_anyevent_ros.simulation.scene import Scene
from depth_anyevent_ros.simulation.shading import air, shade, SKY_COLOR
from depth_anyevent_ros.simulation.surfaces import BODY, scene_arrays
from depth_anyevent_ros.simulation.trajectory import Pose
from depth_anyevent_ros.simulation.view import look, V_SURFACE
from depth_anyevent_ros.simulation.visibility import cast, SKY


@dataclass(frozen=True)
class Frame:
    """
    A rendered picture.

    depth: float32 (height, width), metres along the optical axis, +inf where there is only sky
    (REP 117). luminance: float32 (height, width), linear, 1 for white in full light. surface:
    int32 (height, width), index into Scene.surfaces() of what the pixel's centre sees, -1 for
    the sky. exact: False where light was interpolated between two renders, of which depth and
    surface are the earlier one's.
    """

    depth: np.ndarray
    luminance: np.ndarray
    surface: np.ndarray
    exact: bool = True


class RayCaster:
    """Renders a scene through a pinhole camera whose pixel centres are at whole numbers."""

    def __init__(self, scene: Scene, camera: CameraModel) -> None:
        if not camera.calibrated or np.any(camera.d):
            raise ValueError('the ray caster needs a camera with a camera matrix and without '
                             f'distortion, got k = {camera.k.tolist()}, d = {camera.d.tolist()}')
        self._scene, self._arrays = scene, scene_arrays(scene)
        # One more row behind the last, which the sky's index -1 reaches.
        self._color = np.vstack([self._arrays.color, np.float32(SKY_COLOR)])
        self._body = np.append(self._arrays.kinds[:, BODY], 0).astype(np.int32)
        self._size = camera.height, camera.width
        self._k = np.array([camera.k[0, 0], camera.k[1, 1], camera.k[0, 2], camera.k[1, 2]])

    def render(self, pose: Pose, time_s: float = 0.0) -> Frame:
        """Render from a pose of the optical frame in the world, bodies and lamps at time_s."""
        axes, origin, eye = _frames(self._scene, pose, time_s)
        around = air(self._scene.light, pose.rotation)
        height, width = self._size
        # Compiled apart from each other, which takes half the time of compiling them as one.
        views, whole = look(self._arrays, axes, origin, eye, around.sun, around.ambient, self._k,
                            height, width)
        inverse = np.empty(self._size)
        nearest, thin = np.empty(self._size, np.int32), np.empty(self._size, np.int32)
        cast(views, whole, self._k, inverse, nearest, thin)
        luminance, texels = np.empty(self._size, np.float32), self._arrays.texels
        shade(views, whole, texels, self._k, around, inverse, nearest, luminance)
        blend_edges(views, whole, texels, self._k, around, nearest, thin, luminance)
        depth, surface = np.empty(self._size, np.float32), np.empty(self._size, np.int32)
        _finish(whole, inverse, nearest, self._scene.light.lamp(time_s), depth, luminance,
                surface)
        return Frame(depth, luminance, surface)

    def color(self, frame: Frame) -> np.ndarray:
        """Return linear red, green, blue, float32 (height, width, 3): luminance times tint."""
        picture = np.empty((*self._size, 3), np.float32)
        _colorize(frame.depth, frame.luminance, frame.surface, self._color, self._k,
                  self._scene.light.fog_per_m, picture)
        return picture

    def bodies(self, frame: Frame) -> np.ndarray:
        """Return the body that every pixel sees, int32 (height, width), 0 for none."""
        return self._body[frame.surface]

    def moving(self, frame: Frame) -> np.ndarray:
        """Return which pixels see a body that moves, bool (height, width)."""
        return self.bodies(frame) > 0


def _frames(scene: Scene, pose: Pose, time_s: float) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """
    Return the optical frame from each body's, and the camera in each body's frame.

    float64 (bodies + 1, 3, 3), (bodies + 1, 3) and (bodies + 1, 3); the first is the world.
    """
    position, yaw = np.zeros((len(scene.bodies) + 1, 3)), np.zeros(len(scene.bodies) + 1)
    for index, body in enumerate(scene.bodies, 1):
        position[index], yaw[index] = body.pose(time_s)
    turn = np.zeros((len(yaw), 3, 3))
    turn[:, 0, 0] = turn[:, 1, 1] = np.cos(yaw)
    turn[:, 1, 0] = np.sin(yaw)
    turn[:, 0, 1] = -turn[:, 1, 0]
    turn[:, 2, 2] = 1
    relative = position - pose.position
    return (pose.rotation.T @ turn, relative @ pose.rotation,
            -(relative[:, None] @ turn)[:, 0])


@njit
def _finish(whole, inverse, nearest, lamp, depth, luminance, surface):
    """Fill in depth and surface, and dim the luminance by the lamps' flicker."""
    height, width = depth.shape
    for row in range(height):
        for column in range(width):
            i = nearest[row, column]
            depth[row, column] = np.divide(1.0, inverse[row, column])
            surface[row, column] = SKY if i == SKY else whole[i, V_SURFACE]
            luminance[row, column] *= lamp


@njit
def _colorize(depth, luminance, surface, color, k, fog_per_m, picture):
    """Fill in luminance times tint; what fog hides takes the tint of the sky."""
    height, width = depth.shape
    sky = len(color) - 1
    for row in range(height):
        for column in range(width):
            i = surface[row, column]
            i = sky if i == SKY else i
            clear = np.float32(1)
            if fog_per_m > 0 and i != sky:
                x, y = (column - k[2]) / k[0], (row - k[3]) / k[1]
                clear = np.float32(np.exp(
                    -fog_per_m * depth[row, column] * np.sqrt(x * x + y * y + 1)))
            for channel in range(3):
                tint = color[sky, channel] + (color[i, channel] - color[sky, channel]) * clear
                picture[row, column, channel] = luminance[row, column] * tint
