# Copyright 2026 depth_anyevent_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""All that makes one simulated sequence."""
from __future__ import annotations

from dataclasses import dataclass
import math

from depth_anyevent_ros.geometry.camera import CameraModel
from depth_anyevent_ros.simulation.event_camera import EventCameraConfig
from depth_anyevent_ros.simulation.rgb_camera import RgbCameraConfig
from depth_anyevent_ros.simulation.scene import Scene
from depth_anyevent_ros.simulation.trajectory import Trajectory


@dataclass(frozen=True)
class Simulation:
    """
    What is simulated: a scene, how the camera moves in it, its optics, and its pixels.

    Times of a simulation are nanoseconds from its start. max_motion_px: no pixel moves further
    between two renders. max_step_ns: longest time between two renders. rgb: the colour camera
    beside the event camera, None for none. rate_hz: of labels and pictures.
    """

    scene: Scene
    trajectory: Trajectory
    camera: CameraModel
    sensor: EventCameraConfig
    duration_ns: int
    max_motion_px: float = 0.7
    max_step_ns: int = 5_000_000
    rgb: RgbCameraConfig | None = None
    rate_hz: float = 20.0

    def __post_init__(self) -> None:
        # Labels lie at whole microseconds.
        if not 0 < self.rate_hz <= 1e6 or not 0 < self.max_motion_px < math.inf:
            raise ValueError('rate_hz and max_motion_px have to be positive, rate_hz at most 1e6 '
                             'and max_motion_px finite, got '
                             f'{self.rate_hz} and {self.max_motion_px}')

    @property
    def period_ns(self) -> int:
        """Time from label to label."""
        return round(1e9 / self.rate_hz)

    def label_times_ns(self) -> list[int]:
        """Return the times of labels: i / rate_hz from i = 1 on, in whole microseconds."""
        count = int(self.duration_ns * 1e-9 * self.rate_hz + 1e-6)
        times = (round(i * 1e6 / self.rate_hz) * 1000 for i in range(1, count + 1))
        return [time_ns for time_ns in times if time_ns <= self.duration_ns]
