# Copyright 2026 depth_anyevent_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Light gathered over the exposure of a picture, whose time is the middle of it."""
from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np

from depth_anyevent_ros.simulation.raycaster import Frame
from depth_anyevent_ros.simulation.rendering import View
from depth_anyevent_ros.simulation.rgb_camera import RgbCamera, RgbCameraConfig
from depth_anyevent_ros.simulation.scene import Scene
from depth_anyevent_ros.simulation.trajectory import Mounted, Trajectory

# Renders at most for a picture of a camera with a view of its own.
MAX_RENDERS = 48


class Picture(NamedTuple):
    """
    A picture of the colour camera.

    image: uint8 (height, width, 3), blue, green, red. time_ns: the middle of the exposure.
    """

    image: np.ndarray
    time_ns: int
    exposure_ns: int
    gain: float

    @property
    def end_ns(self) -> int:
        """When the exposure ends."""
        return self.time_ns + self.exposure_ns // 2


class SharedView:
    """
    Pictures through the optics of the event camera, from the renders made for its events.

    Light between two renders is taken as linear in time, as the event camera takes its
    logarithm. Renders have to come in order, one at each time of a picture among them.
    """

    def __init__(self, config: RgbCameraConfig, view: View, times_ns: list[int],
                 period_ns: int) -> None:
        self._view = view
        self._camera = RgbCamera(config, view.camera.height, view.camera.width, period_ns)
        self._times_ns = list(times_ns)
        self._before: tuple[int, Frame] | None = None
        self._light: np.ndarray | None = None

    @property
    def end_ns(self) -> int:
        """When the exposure of the next picture ends; 0 when there is none to come."""
        return self._times_ns[0] + self._camera.exposure_ns // 2 if self._times_ns else 0

    def add(self, time_ns: int, frame: Frame) -> list[Picture]:
        """Take the next render; return the pictures whose exposure ended."""
        done: list[Picture] = []
        if self._before is None:
            self._camera.meter(float(self._view.luminance(frame).mean()))
        while self._before is not None and self._times_ns and self._gather(time_ns, frame):
            exposure_ns, gain = self._camera.exposure_ns, self._camera.gain
            image = self._camera.develop(self._light)
            done.append(Picture(image, self._times_ns.pop(0), exposure_ns, gain))
            self._light = None
        self._before = time_ns, frame
        return done

    def _gather(self, after_ns: int, after: Frame) -> bool:
        """Add the light of the last stretch; return whether the exposure ended in it."""
        before_ns, before = self._before
        exposure_ns = self._camera.exposure_ns
        opening_ns = self._times_ns[0] - exposure_ns / 2
        closing_ns = opening_ns + exposure_ns
        begin_ns, end_ns = max(before_ns, opening_ns), min(after_ns, closing_ns)
        if begin_ns < end_ns:
            # The integral of what is linear: its value in the middle, times the length.
            part = ((begin_ns + end_ns) / 2 - before_ns) / (after_ns - before_ns)
            share = (end_ns - begin_ns) / exposure_ns
            light = np.float32(share * (1 - part)) * self._view.color(before)
            light += np.float32(share * part) * self._view.color(after)
            self._light = light if self._light is None else self._light + light
        return after_ns >= closing_ns


class OwnView:
    """Pictures of a camera that stands beside the event camera, rendered for themselves."""

    def __init__(self, config: RgbCameraConfig, scene: Scene, trajectory: Trajectory,
                 view: View, period_ns: int) -> None:
        self._view = View(scene, Mounted(trajectory, config.to_event),
                          config.camera or view.camera)
        camera = self._view.camera
        self._camera = RgbCamera(config, camera.height, camera.width, period_ns)
        self._metered = False

    def take(self, time_ns: int, max_motion_px: float, max_step_ns: int) -> Picture:
        """Return the picture whose exposure has its middle at a time."""
        frame = self._view.render(time_ns)
        if not self._metered:
            self._camera.meter(float(self._view.luminance(frame).mean()))
            self._metered = True
        exposure_ns, gain = self._camera.exposure_ns, self._camera.gain
        step_ns = self._view.longest_step_ns(
            self._view.speed(time_ns, frame), max_motion_px, max_step_ns)
        step_ns = min(step_ns, self._view.lamp_step_ns)
        count = min(math.ceil(exposure_ns / step_ns), MAX_RENDERS)
        light = np.zeros((*frame.depth.shape, 3), np.float32)
        for k in range(count):
            moment_ns = time_ns + round(((k + 0.5) / count - 0.5) * exposure_ns)
            light += self._view.color(self._view.render(moment_ns)) / np.float32(count)
        return Picture(self._camera.develop(light), time_ns, exposure_ns, gain)
