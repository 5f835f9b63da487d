# Copyright 2026 depth_anyevent_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Which registration a rig allows, by what is known of it."""
from __future__ import annotations

from dataclasses import dataclass
import hashlib
import json

import numpy as np

from depth_anyevent_ros.geometry.camera import CalibrationError, CameraModel
from depth_anyevent_ros.geometry.depth import MetricScale
from depth_anyevent_ros.geometry.registration import Displaced, Rotated, SameView
from depth_anyevent_ros.geometry.transform import Transform

MODES = ('auto', 'same', 'rotation', 'depth')
SAME_ASPECT = 0.02  # of the logarithm of width over height
NO_BASELINE_M = 1e-3


@dataclass(frozen=True)
class Rig:
    """
    What is known of the two cameras; None for what is not.

    mode: one of MODES. color_to_event: takes points of the colour camera's optical frame to
    that of the event camera. scale: from the teacher's inverse depth to 1/m.
    """

    mode: str
    event: CameraModel | None = None
    color: CameraModel | None = None
    color_to_event: Transform | None = None
    scale: MetricScale | None = None

    def settled(self) -> str:
        """
        Return the mode that is used: what `auto` comes to, else the mode itself.

        Raises CalibrationError where that is not possible, saying what is and what is missing.
        """
        missing = [name for name, camera in (('camera_info of the event camera', self.event),
                                             ('image/camera_info', self.color))
                   if camera is None or not camera.calibrated]
        if self.mode == 'same':
            return 'same'
        if missing:
            raise CalibrationError(
                f'labels cannot be brought into the view of the event camera without '
                f'{" and ".join(missing)}. Only registration.mode same is possible then: set it '
                'if both cameras see the very same picture (one sensor, a beam splitter)')
        if self.color_to_event is None:
            raise CalibrationError(
                'the pose of the colour camera is not known: set extrinsics.translation and '
                'extrinsics.rotation, or publish it on TF and set extrinsics.source to tf')
        if self.mode == 'depth' and self.scale is None:
            raise CalibrationError(
                "registration.mode depth needs registration.scale, from the teacher's inverse "
                'depth to 1/m; without it rotation is possible')
        if self.mode != 'auto':
            return self.mode
        return 'depth' if self.scale is not None and self.baseline_m > NO_BASELINE_M \
            else 'rotation'

    @property
    def baseline_m(self) -> float:
        """Distance between the cameras, 0 where it is not known."""
        return 0.0 if self.color_to_event is None else \
            float(np.linalg.norm(self.color_to_event.translation))

    def caution(self) -> str:
        """Return what a user has to know about the mode in use, '' for nothing."""
        if self.settled() == 'rotation' and self.baseline_m > NO_BASELINE_M:
            return (f'the cameras stand {self.baseline_m:.3f} m apart, but labels are turned '
                    'only: near things are labelled beside where they are. Set '
                    'registration.scale, so that they are moved by their depth')
        return ''

    def registration(self, event_size: tuple[int, int], picture_size: tuple[int, int],
                     map_size: tuple[int, int]) -> SameView | Rotated | Displaced:
        """
        Return the registration of maps of map_size (height, width) over the whole picture.

        Sizes of sensor and picture are (width, height). Raises CalibrationError.
        """
        mode = self.settled()
        if mode == 'same':
            _check_aspect(event_size, picture_size)
            return SameView(event_size[1], event_size[0])
        for what, camera, size in (('camera_info', self.event, event_size),
                                   ('image/camera_info', self.color, picture_size)):
            if (camera.width, camera.height) != size:
                raise CalibrationError(f'{what} is for {camera.width}x{camera.height} pixels, '
                                       f'but {size[0]}x{size[1]} come: its width and height '
                                       'have to be those of the whole sensor, of which roi and '
                                       'binning say what is shown')
        if mode == 'rotation':
            return Rotated(self.color, self.event, self.color_to_event, map_size)
        return Displaced(self.color, self.event, self.color_to_event, map_size, self.scale)

    def sha256(self) -> str:
        """Return a hash of all that is known, to tell labels of different rigs apart."""
        def plain(value):
            if isinstance(value, np.ndarray):
                return value.tolist()
            return {key: plain(item) for key, item in vars(value).items()} \
                if hasattr(value, '__dict__') else value
        return hashlib.sha256(json.dumps(plain(self), sort_keys=True).encode()).hexdigest()


def _check_aspect(event_size: tuple[int, int], picture_size: tuple[int, int]) -> None:
    (w, h), (u, v) = event_size, picture_size
    if abs(np.log(w / h * v / u)) > SAME_ASPECT:
        raise CalibrationError(
            f'registration.mode is same, but the events come from {w}x{h} pixels and the picture '
            f'has {u}x{v}, which is of another shape: they cannot be the same picture')
