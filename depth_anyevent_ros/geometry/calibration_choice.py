# Copyright 2026 depth_anyevent_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Which of the calibrations that come holds."""
from __future__ import annotations

from depth_anyevent_ros.geometry.camera import CameraModel

OTHER_SIZE = '(of another size, not used)'
HOLD_S = 1.0  # for which a published calibration must have been silent before another follows it


class CalibrationChoice:
    """
    The calibration of a camera: that of a file, or one of those that are published.

    What the user gave as a file holds whatever is published. Of two that are published in turns
    the first holds: another follows when the first has been silent for HOLD_S. One that is not
    calibrated, or is for another size than the sensor has, never takes the place of one that is.
    camera: the one that holds, None for none. source: none, file or received.
    """

    def __init__(self, from_file: CameraModel | None = None):
        self.camera = from_file
        self.source = 'none' if from_file is None else 'file'
        self._heard_s = 0.0
        self._next: CameraModel | None = None

    def describe(self, size: tuple[int, int] | None) -> str:
        """Return the source, and what is wrong with it for a sensor of size (width, height)."""
        camera = self.camera
        if camera is None:
            return self.source
        if size is not None and (camera.width, camera.height) != size:
            return f'{self.source} {OTHER_SIZE}'
        return self.source if camera.calibrated else f'{self.source} (not calibrated)'

    def contradicts(self, camera: CameraModel) -> bool:
        """Return whether a published calibration differs from the file's."""
        return self.source == 'file' and not self.camera.says_the_same_as(camera)

    def hear(self, camera: CameraModel, now_s: float, size: tuple[int, int] | None) -> bool:
        """
        Take a published calibration; return whether another holds now.

        size: (width, height) of the sensor, None while it is not known.
        """
        if self.source == 'file':
            return False
        held = self.camera
        if held is not None and held.says_the_same_as(camera):
            self._heard_s, self._next = now_s, None
            return False
        if held is not None and _worth(camera, size) < _worth(held, size):
            return False
        if held is not None and _worth(camera, size) == _worth(held, size):
            self._next = camera
            return False
        return self._take(camera, now_s)

    def settle(self, now_s: float) -> bool:
        """Return whether another calibration holds now, since the former has fallen silent."""
        if self._next is None or now_s - self._heard_s < HOLD_S:
            return False
        return self._take(self._next, now_s)

    def _take(self, camera: CameraModel, now_s: float) -> bool:
        self.camera, self.source = camera, 'received'
        self._heard_s, self._next = now_s, None
        return True


def _worth(camera: CameraModel, size: tuple[int, int] | None) -> tuple[bool, bool]:
    return (size is None or (camera.width, camera.height) == size, camera.calibrated)
