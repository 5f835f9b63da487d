# Copyright 2026 depth_anyevent_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""A calibrated camera, in the conventions of sensor_msgs/CameraInfo."""
from __future__ import annotations

from dataclasses import dataclass, replace

import cv2
import numpy as np

POLYNOMIAL_MODELS = ('plumb_bob', 'rational_polynomial')
# How many distortion coefficients each model has.
COEFFICIENTS = {'plumb_bob': (4, 5), 'rational_polynomial': (8, 12, 14),
                'equidistant': (4,), 'fisheye': (4,)}
MOST_SIDE = 16384  # pixels; tables of a damaged calibration would fill the memory
LARGEST_MISS = 0.5  # pixels between a pixel and the projection of its ray


class CalibrationError(ValueError):
    """A calibration that cannot be used; the message says why."""


@dataclass(frozen=True)
class CameraModel:
    """
    Intrinsics of a camera whose pixels (u, v) have their centre at whole numbers.

    k: float64 (3, 3) camera matrix. d: float64 (n,) distortion by the model named.
    r: float64 (3, 3) rectification. p: float64 (3, 4) projection of the rectified camera.
    A k[0, 0] of zero means: not calibrated (REP 104).
    """

    width: int
    height: int
    k: np.ndarray
    d: np.ndarray
    distortion_model: str = 'plumb_bob'
    r: np.ndarray | None = None
    p: np.ndarray | None = None

    @staticmethod
    def uncalibrated(width: int, height: int) -> CameraModel:
        """Return a camera of which only the size is known."""
        return CameraModel(width, height, np.zeros((3, 3)), np.zeros(0), '')

    @staticmethod
    def from_info(info) -> CameraModel:
        """
        Return the camera of the pictures that go with a sensor_msgs/CameraInfo.

        info: as rclpy or rosbags give the message. Its size, K and P are of the whole sensor;
        the pictures show the part roi of it, of which binning joins pixels. Raises
        CalibrationError where these do not belong to such a sensor.
        """
        sensor = CameraModel(info.width, info.height, np.reshape(info.k, (3, 3)),
                             np.array(info.d), info.distortion_model,
                             np.reshape(info.r, (3, 3)), np.reshape(info.p, (3, 4)))
        return sensor._read_out(info.roi, max(info.binning_x, 1), max(info.binning_y, 1))

    @property
    def calibrated(self) -> bool:
        """Whether there is a camera matrix."""
        return bool(self.k[0, 0] > 0 and self.k[1, 1] > 0)

    def check(self) -> None:
        """Raise CalibrationError unless rays and pixels can be told by this calibration."""
        if not self.calibrated:
            raise CalibrationError('the camera is not calibrated: its camera matrix is zero')
        if self.width < 1 or self.height < 1:
            raise CalibrationError(f'the calibration is for {self.width}x{self.height} pixels: '
                                   'whoever publishes it must fill in width and height')
        if max(self.width, self.height) > MOST_SIDE:
            raise CalibrationError(f'the calibration is for {self.width}x{self.height} pixels, '
                                   f'but no side may have more than {MOST_SIDE}')
        self._check_distortion()

    def says_the_same_as(self, other: CameraModel) -> bool:
        """Return whether two calibrations agree in every number, and in what one leaves out."""
        return (self.width, self.height, self.distortion_model) \
            == (other.width, other.height, other.distortion_model) \
            and all(np.array_equal(a, b, equal_nan=True) for a, b in (
                (self.k, other.k), (self.d, other.d), (self.rotation, other.rotation),
                (self.projection, other.projection)))

    @property
    def rotation(self) -> np.ndarray:
        """Return r, float64 (3, 3); where it is not given (all zeros), the identity."""
        return np.asarray(self.r, np.float64) if _given(self.r) else np.eye(3)

    @property
    def projection(self) -> np.ndarray:
        """Return p, float64 (3, 4); where it is not given (all zeros), k."""
        return np.asarray(self.p, np.float64) if _given(self.p) \
            else np.hstack([self.k, np.zeros((3, 1))])

    def scaled(self, width: int, height: int) -> CameraModel:
        """
        Return the camera of the same picture resized to width x height.

        Edges stay edges: u' + 1/2 = (u + 1/2) * width / self.width. Distortion is a property
        of the rays and does not change.
        """
        sx, sy = width / self.width, height / self.height
        resize = np.array([[sx, 0, (sx - 1) / 2], [0, sy, (sy - 1) / 2], [0, 0, 1]])
        if not self.calibrated:
            return replace(self, width=width, height=height)
        return replace(self, width=width, height=height, k=resize @ self.k,
                       p=None if self.p is None else resize @ self.p)

    def _read_out(self, roi, across: int, down: int) -> CameraModel:
        """
        Return the camera of a sensor_msgs/RegionOfInterest, all zeros for the whole sensor.

        across, down: how many of its pixels are joined to one.
        """
        x, y, width, height = roi.x_offset, roi.y_offset, roi.width, roi.height
        if not (x or y or width or height):
            width, height = self.width, self.height
        if (width, height, across, down) == (self.width, self.height, 1, 1):
            return self  # wherever it begins: some drivers tell of the picture itself
        if x + width > self.width or y + height > self.height or across > width or down > height:
            raise CalibrationError(
                f'a region of interest of {width}x{height} pixels at ({x}, {y}) with binning '
                f'{across}x{down} cannot be of a sensor of {self.width}x{self.height} pixels')
        # Joined pixels are seen from the middle of them all, as in `scaled`.
        place = np.array([[1 / across, 0, (0.5 - x) / across - 0.5],
                          [0, 1 / down, (0.5 - y) / down - 0.5], [0, 0, 1]])
        return replace(self, width=width // across, height=height // down,
                       k=place @ self.k if self.calibrated else self.k,
                       p=place @ self.p if _given(self.p) else self.p)

    def rays(self) -> np.ndarray:
        """
        Return (x, y) of the ray (x, y, 1) through every pixel, float32 (height, width, 2).

        In the camera's optical frame (z forward, x right, y down), free of distortion; NaN
        where the distortion model has no inverse. Raises CalibrationError where the camera is
        not calibrated, or its model or coefficients cannot be used.
        """
        self.check()
        u, v = np.meshgrid(np.arange(self.width, dtype=np.float64),
                           np.arange(self.height, dtype=np.float64))
        pixels = np.stack([u, v], -1).reshape(-1, 1, 2)
        if not np.any(self.d):
            x = (u - self.k[0, 2]) / self.k[0, 0]
            y = (v - self.k[1, 2]) / self.k[1, 1]
            return np.stack([x, y], -1).astype(np.float32)
        if self.distortion_model in POLYNOMIAL_MODELS:
            criteria = (cv2.TERM_CRITERIA_COUNT | cv2.TERM_CRITERIA_EPS, 40, 1e-9)
            # OpenCV 5 merged the two functions; that of OpenCV 4 without criteria stops early.
            if hasattr(cv2, 'undistortPointsIter'):
                rays = cv2.undistortPointsIter(pixels, self.k, self.d, None, None, criteria)
            else:
                rays = cv2.undistortPoints(pixels, self.k, self.d, criteria=criteria)
        else:
            rays = cv2.fisheye.undistortPoints(pixels, self.k, self.d)
        rays = rays.reshape(-1, 2)
        # Towards the corners a polynomial may have no inverse, and the solver returns anything.
        missed = np.linalg.norm(self.project(rays) - pixels.reshape(-1, 2), axis=1)
        rays[~(missed < LARGEST_MISS)] = np.nan
        return rays.reshape(self.height, self.width, 2).astype(np.float32)

    def project(self, rays: np.ndarray) -> np.ndarray:
        """
        Return the pixels (u, v), float64 (N, 2), of rays (x, y, 1) given as (N, 2).

        Beyond the edge of the lens a polynomial comes back into the picture: compare with
        `rays`. Raises CalibrationError as `rays` does.
        """
        self.check()
        rays = np.asarray(rays, np.float64)
        if not np.any(self.d):
            return rays * np.diag(self.k)[:2] + self.k[:2, 2]
        spatial, zero = np.c_[rays, np.ones(len(rays))].reshape(-1, 1, 3), np.zeros(3)
        project = cv2.projectPoints if self.distortion_model in POLYNOMIAL_MODELS \
            else cv2.fisheye.projectPoints
        return project(spatial, zero, zero, self.k, self.d)[0].reshape(-1, 2)

    def _check_distortion(self) -> None:
        """Raise CalibrationError unless the coefficients are those of a model known here."""
        if not (np.isfinite(self.k).all() and np.isfinite(self.d).all()):
            raise CalibrationError('the calibration holds numbers that are not finite')
        if not np.any(self.d):
            return
        expected = COEFFICIENTS.get(self.distortion_model)
        if expected is None:
            raise CalibrationError(
                f'the distortion model {self.distortion_model!r} is not known; expected one of '
                f'{", ".join(COEFFICIENTS)}')
        if len(self.d) not in expected:
            raise CalibrationError(
                f'{self.distortion_model} has {" or ".join(map(str, expected))} coefficients, '
                f'but {len(self.d)} came')


def _given(matrix: np.ndarray | None) -> bool:
    return matrix is not None and bool(np.any(matrix))
