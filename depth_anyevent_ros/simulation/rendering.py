# Copyright 2026 depth_anyevent_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""What a moving camera sees, rendered as often as its motion asks for."""
from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
import math

import numpy as np

from depth_anyevent_ros.geometry.camera import CameraModel
from depth_anyevent_ros.simulation.motion import (
    fastest_pixel, optical_flow, relative_twists)
from depth_anyevent_ros.simulation.raycaster import Frame, RayCaster
from depth_anyevent_ros.simulation.scene import Scene
from depth_anyevent_ros.simulation.trajectory import Trajectory

# How often a lamp's period has to be sampled.
STEPS_PER_FLICKER = 10
LEAST_LAMP = 1e-3  # a lamp that is the only light goes out for a moment


class View:
    """A camera that moves through a scene; times are nanoseconds from the start."""

    def __init__(self, scene: Scene, trajectory: Trajectory, camera: CameraModel) -> None:
        self.camera = camera
        self._caster = RayCaster(scene, camera)
        self._scene, self._trajectory = scene, trajectory
        self._last: tuple[list, int, Frame] | None = None

    def render(self, time_ns: int, keep: bool = True) -> Frame:
        """
        Return what is seen; while nothing moves, the last frame in the light of the time.

        keep: whether later calls may take this one for the last. Light taken over from another
        time is rounded otherwise than rendered light, and must not depend on extra renders.
        """
        time_s = time_ns * 1e-9
        pose = self._trajectory.pose(time_s)
        state = [*pose, *(np.append(*body.pose(time_s)) for body in self._scene.bodies)]
        last = self._last
        if last is None or not all(map(np.array_equal, state, last[0])):
            last = state, time_ns, self._caster.render(pose, time_s)
            if keep:
                self._last = last
        _, rendered_ns, frame = last
        if self._scene.light.flicker == 0 or rendered_ns == time_ns:
            return frame
        return replace(frame, luminance=frame.luminance * self._dimming(time_ns, rendered_ns))

    def between(self, before_ns: int, before: Frame, after_ns: int,
                after: Frame) -> Iterator[tuple[int, Frame]]:
        """
        Yield (time, frame) between two renders, as often as the lamps' flicker asks for.

        Their light is linear in time, as between any two renders, but for the lamps.
        """
        count = math.ceil((after_ns - before_ns) / self.lamp_step_ns)
        for k in range(1, count):
            time_ns = before_ns + (after_ns - before_ns) * k // count
            part = np.float32((time_ns - before_ns) / (after_ns - before_ns))
            luminance = before.luminance * ((1 - part) * self._dimming(time_ns, before_ns))
            luminance += after.luminance * (part * self._dimming(time_ns, after_ns))
            yield time_ns, replace(before, luminance=luminance, exact=False)

    @property
    def lamp_step_ns(self) -> float:
        """How long the lamps' light may be taken for steady; without flicker, for ever."""
        light = self._scene.light
        return 1e9 / (light.flicker_hz * STEPS_PER_FLICKER) if light.flicker else math.inf

    def _dimming(self, time_ns: int, other_ns: int) -> np.float32:
        """Return the light of the lamps at a time, as a share of that at another."""
        lamp = self._scene.light.lamp
        return np.float32(lamp(time_ns * 1e-9) / max(lamp(other_ns * 1e-9), LEAST_LAMP))

    def luminance(self, frame: Frame) -> np.ndarray:
        """Return luminance, float32 (height, width), 1 for white in the full light of a day."""
        return frame.luminance * np.float32(self._scene.light.level)

    def color(self, frame: Frame) -> np.ndarray:
        """Return the same in linear red, green, blue, float32 (height, width, 3)."""
        return self._caster.color(frame) * np.float32(self._scene.light.level)

    def moving(self, frame: Frame) -> np.ndarray:
        """Return which pixels see something that moves by itself, bool (height, width)."""
        return self._caster.moving(frame)

    def flow(self, time_ns: int, frame: Frame) -> np.ndarray:
        """Return how the picture moves, float32 (height, width, 2), pixels a second."""
        return optical_flow(frame.depth, self.camera, self._twists(time_ns), self._bodies(frame))

    def speed(self, time_ns: int, frame: Frame) -> float:
        """Return the largest motion of any pixel, in pixels a second."""
        return fastest_pixel(frame.depth, self.camera, self._twists(time_ns),
                             self._bodies(frame))

    def _twists(self, time_ns: int) -> np.ndarray:
        return relative_twists(self._scene, self._trajectory, time_ns * 1e-9)

    def _bodies(self, frame: Frame) -> np.ndarray | None:
        return self._caster.bodies(frame) if self._scene.bodies else None

    def longest_step_ns(self, speed: float, max_motion_px: float, max_step_ns: int) -> int:
        """Return how long to wait before the next render, in whole microseconds."""
        step_ns = max_step_ns
        if speed > 0:
            step_ns = min(step_ns, int(max_motion_px / speed * 1e9))
        return max(step_ns // 1000 * 1000, 1000)


def sampled_frames(view: View, begin_ns: int, end_ns: int, max_motion_px: float,
                   max_step_ns: int) -> Iterator[tuple[int, Frame]]:
    """
    Yield (time, frame), so close together that no pixel moves by more than max_motion_px.

    That holds within 5 %, and as far as a render each microsecond allows. The first frame is that
    of the beginning, the last that of the end. Where lamps flicker, frames come in between that
    are interpolated.
    """
    time_ns = begin_ns
    frame = view.render(time_ns)
    speed = view.speed(time_ns, frame)
    yield time_ns, frame
    while time_ns < end_ns:
        before = frame
        step_ns = view.longest_step_ns(speed, max_motion_px, max_step_ns)
        while True:
            next_ns = min(time_ns + step_ns, end_ns)
            frame = view.render(next_ns)
            next_speed = view.speed(next_ns, frame)
            # Something near may have come into view, or the camera turned faster.
            step_ns = view.longest_step_ns(max(speed, next_speed), max_motion_px, max_step_ns)
            if next_ns - time_ns <= step_ns * 1.05 or step_ns == 1000:
                break
        yield from view.between(time_ns, before, next_ns, frame)
        time_ns, speed = next_ns, next_speed
        yield time_ns, frame
