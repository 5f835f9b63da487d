# Copyright 2026 depth_anyevent_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""The picture of a camera without its distortion: where pixels go, and what it shows."""
from __future__ import annotations

from functools import cached_property

import cv2
import numpy as np

from depth_anyevent_ros.geometry.camera import CalibrationError, CameraModel

LEAST_INSIDE = 0.05  # share of the pixels that a calibration has to leave in the picture


def is_rectified(camera: CameraModel) -> bool:
    """Return whether the pixels of a calibrated camera are those of the rectified picture."""
    return not np.any(camera.d) and np.allclose(camera.rotation, np.eye(3), atol=1e-9) \
        and np.allclose(camera.projection[:, :3], camera.k)


def rectification_of(camera: CameraModel | None) -> Rectification | None:
    """Return how a camera's pixels are rectified, None where they are or where it is unknown."""
    if camera is None or not camera.calibrated or is_rectified(camera):
        return None
    return Rectification(camera)


class Rectification:
    """
    The way from the pixels of a camera to those of its rectified picture of the same size.

    As image_proc has it: a pixel's ray, free of distortion (k, d), turned by r and projected by
    the left of p; where r or p is not given (all zeros), the identity and k stand for it.
    camera: the camera of the rectified picture; its frame is the camera's own turned by r.
    coordinates: float32 (height, width, 2), where (u, v) each pixel of the sensor lies in the
    rectified picture, which may be outside; NaN where the distortion has no inverse.
    Raises CalibrationError for a calibration that cannot be used.
    """

    def __init__(self, source: CameraModel):
        self._source = source
        self._rotation, matrix = source.rotation, source.projection[:, :3]
        if not np.allclose(self._rotation @ self._rotation.T, np.eye(3), atol=1e-3):
            raise CalibrationError('the rectification matrix R of the calibration is no rotation')
        if not (np.isfinite(matrix).all() and matrix[0, 0] > 0 and matrix[1, 1] > 0):
            raise CalibrationError('the projection matrix P of the calibration has no focal '
                                   'lengths above 0')
        self.camera = CameraModel(source.width, source.height, matrix, np.zeros(5), 'plumb_bob',
                                  np.eye(3), source.projection)
        self.coordinates = self._table(source.rays())
        self._tables: dict[tuple[int, int], np.ndarray] = {}  # where to look, by size

    def _table(self, rays: np.ndarray) -> np.ndarray:
        turned = np.concatenate([rays, np.ones_like(rays[..., :1])], -1) @ (
            self.camera.k @ self._rotation).T
        with np.errstate(invalid='ignore', divide='ignore'):
            turned[turned[..., 2] <= 0] = np.nan  # behind the rectified camera
            coordinates = (turned[..., :2] / turned[..., 2:]).astype(np.float32)
            size = np.array([self._source.width, self._source.height])
            inside = np.all((coordinates > -0.5) & (coordinates < size - 0.5), axis=-1)
        if inside.mean() < LEAST_INSIDE:
            raise CalibrationError(
                f'by the calibration only {inside.mean():.1%} of the pixels lie within the '
                'rectified picture: its matrices K and P do not belong together')
        return coordinates

    def fits(self, width: int, height: int) -> bool:
        """Return whether the calibration is for a sensor of this size."""
        return (self.camera.width, self.camera.height) == (width, height)

    def seen(self, width: int, height: int) -> np.ndarray:
        """
        Return which pixels of the rectified picture, resized to this, the sensor sees.

        bool (height, width). The others lie beyond its edge or beyond the lens model.
        """
        return self._sources(width, height)[1].reshape(height, width)

    def inverse_depth(self, values: np.ndarray) -> np.ndarray:
        """
        Return a map of inverse depth over the sensor's pixels in the rectified picture.

        values: float (height, width) of the sensor; each pixel takes that of the nearest, so
        that no two depths are mixed. NaN where the sensor does not see.
        """
        inside, source, depth = self._map
        found = np.full(len(inside), np.nan, np.float32)
        found[inside] = values.reshape(-1)[source] * depth
        return found.reshape(self.camera.height, self.camera.width)

    def picture(self, picture: np.ndarray) -> np.ndarray:
        """
        Return what the sensor sees, uint8 (h, w, 3) of any size, in the rectified picture.

        Black where the sensor does not see.
        """
        height, width = picture.shape[:2]
        if (height, width) not in self._tables:
            pixels, inside, _ = self._sources(width, height)
            finer = np.array([width / self.camera.width, height / self.camera.height])
            pixels = np.where(inside[:, None], (pixels + 0.5) * finer - 0.5, -10)
            self._tables[height, width] = pixels.reshape(height, width, 2).astype(np.float32)
        return cv2.remap(picture, self._tables[height, width], None, cv2.INTER_LINEAR,
                         borderMode=cv2.BORDER_CONSTANT)

    @cached_property
    def _map(self) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """
        Return which pixels are seen, bool (N,), and of those the sensor's pixel and a factor.

        The factor is for inverse depth: depth is along the optical axis, and r may turn that.
        """
        pixels, inside, depth = self._sources(self.camera.width, self.camera.height)
        u, v = np.rint(pixels[inside]).astype(int).T
        return inside, v * self.camera.width + u, depth[inside].astype(np.float32)

    def _sources(self, width: int, height: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """
        Return where on the sensor each pixel of the rectified picture, resized, comes from.

        pixels: (N, 2). inside: bool (N,), whether the sensor sees it. depth: (N,), along the
        sensor's axis of what lies at 1 along that of the picture.
        """
        size = np.array([self._source.width, self._source.height])
        rays = self.camera.scaled(width, height).rays().reshape(-1, 2).astype(np.float64)
        spatial = np.c_[rays, np.ones(len(rays))] @ self._rotation
        pixels = np.full((len(rays), 2), -1.0)
        front = spatial[:, 2] > 0
        pixels[front] = self._source.project(spatial[front, :2] / spatial[front, 2:])
        inside = np.all((pixels >= -0.5) & (pixels <= size - 0.5), axis=1)
        pixels = np.clip(pixels, 0, size - 1)
        u, v = np.rint(pixels[inside]).astype(int).T
        # A polynomial comes back into the picture beyond the edge of the lens.
        asked = rays[inside] * np.diag(self.camera.k)[:2] + self.camera.k[:2, 2]
        miss = np.abs(self.coordinates[v, u] - asked).max(axis=1)
        inside[inside] = miss <= 2 + 2 * self._step()[v, u]
        return pixels, inside, spatial[:, 2]

    def _step(self) -> np.ndarray:
        """Return how far neighbouring pixels lie apart in the rectified picture, (H, W)."""
        return np.max([np.abs(np.gradient(self.coordinates, axis=axis)).max(axis=-1)
                       for axis in (0, 1)], axis=0)
