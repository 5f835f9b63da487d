# Copyright 2026 depth_anyevent_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""
From the view of the colour camera to that of the event camera: inverse depth, pixel by pixel.

Three ways, by what is known of the rig. `SameView`: both see the same picture (one sensor, or a
beam splitter). `Rotated`: they stand so close together, or everything is so far away, that only
the direction differs. `Displaced`: with the distance between them, and a scale for the depth.

A map of inverse depth in the colour camera's view is float32 (h, w), of any size: the colour
camera's picture resized. NaN is unknown, 0 infinitely far. What comes out is float32 (H, W) of
the event camera's size, distorted as it is, NaN where there is no label. All that depends on the
calibration alone is computed once.
"""
from __future__ import annotations

import cv2
import numpy as np

from depth_anyevent_ros.geometry.camera import CameraModel
from depth_anyevent_ros.geometry.depth import MetricScale
from depth_anyevent_ros.geometry.mesh import draw_mesh
from depth_anyevent_ros.geometry.transform import Transform

# A ray that comes back as another one by more than this was outside of the lens model.
LARGEST_MISS = 0.01
# Pixels by which neighbours may drift apart and still be one surface.
MOST_STRETCH = 1.5


class SameView:
    """Both cameras see the same picture; sizes may differ, shapes may not."""

    def __init__(self, height: int, width: int):
        self._size = height, width

    def register(self, inverse_depth: np.ndarray) -> np.ndarray:
        """Return the map resized to the event camera's grid."""
        return resized(inverse_depth, *self._size)

    def picture(self, gray: np.ndarray, _label: np.ndarray) -> np.ndarray:
        """Return a picture, float32 (h, w), as the event camera sees it."""
        return resized(gray, *self._size)


class Rotated:
    """Cameras that look another way from the same place: a table of where to look."""

    def __init__(self, color: CameraModel, event: CameraModel, color_to_event: Transform,
                 map_size: tuple[int, int]):
        """
        Compute the table.

        color, event: the cameras, event at the size of the labels. map_size: height and width of
        the maps. Raises CalibrationError.
        """
        self._map_size = _like_labels(color, event, map_size)
        color = color.scaled(self._map_size[1], self._map_size[0])
        event_rays = event.rays().astype(np.float64)
        turned = np.concatenate([event_rays, np.ones_like(event_rays[..., :1])], -1) \
            @ color_to_event.rotation  # its transpose, from the left
        ahead = turned[..., 2]
        with np.errstate(invalid='ignore', divide='ignore'):
            rays = turned[..., :2] / ahead[..., None]
            seen = (ahead > 0) & np.isfinite(rays).all(-1)
        pixels = np.full(rays.shape, np.nan)
        pixels[seen] = color.project(rays[seen])
        seen &= _within_lens(color, pixels, rays)
        self._table = np.where(seen[..., None], pixels, -10).astype(np.float32)
        # Inverse depth is along the optical axis, which points elsewhere.
        self._factor = np.where(seen, ahead, np.nan).astype(np.float32)

    def register(self, inverse_depth: np.ndarray) -> np.ndarray:
        """Return the map as it is seen from the event camera if all is far away."""
        return self._factor * self.picture(inverse_depth)

    def picture(self, gray: np.ndarray, _label: np.ndarray | None = None) -> np.ndarray:
        """Return a picture, float32 (h, w), as the event camera sees it, NaN where it does not."""
        return _looked_up(resized(gray, *self._map_size), self._table)


class Displaced:
    """Cameras that stand apart: surfaces are moved by their depth, and hide each other."""

    def __init__(self, color: CameraModel, event: CameraModel, color_to_event: Transform,
                 map_size: tuple[int, int], scale: MetricScale):
        """
        Compute what depends on the calibration.

        scale: from the maps to 1/m, without which a distance says nothing.
        """
        self._color = color.scaled(map_size[1], map_size[0])
        self._event, self._scale, self._pose = event, scale, color_to_event
        rays = self._color.rays().astype(np.float64)
        self._turned = np.concatenate([rays, np.ones_like(rays[..., :1])], -1) \
            @ color_to_event.rotation.T
        self._translation = color_to_event.translation
        far_u, far_v = self._place(self._turned)
        with np.errstate(invalid='ignore'):
            self._spacing = float(np.nanmax([
                np.nanpercentile(np.hypot(np.diff(far_u, axis=axis), np.diff(far_v, axis=axis)),
                                 99) for axis in (0, 1)]))

    def register(self, inverse_depth: np.ndarray) -> np.ndarray:
        """Return the map in 1/m as it is seen from the event camera, NaN where it was hidden."""
        inverse = np.maximum(self._scale.scale * inverse_depth.astype(np.float64)
                             + self._scale.shift, 0)
        # Homogeneous, with inverse depth as the last coordinate: what is infinitely far moves
        # by the rotation alone.
        moved = self._turned + inverse[..., None] * self._translation
        with np.errstate(invalid='ignore', divide='ignore'):
            seen = inverse / np.where(moved[..., 2] > 0, moved[..., 2], np.nan)
        u, v = self._place(moved)
        picture = np.full((self._event.height, self._event.width), np.nan, np.float32)
        draw_mesh(u, v, seen, self._spacing, MOST_STRETCH, picture)
        return picture

    def picture(self, gray: np.ndarray, label: np.ndarray) -> np.ndarray:
        """
        Return a picture, float32 (h, w), as the event camera sees it, NaN where it has no label.

        label: what `register` made of the map that belongs to the picture.
        """
        rays = np.concatenate([self._event.rays(), np.ones((*label.shape, 1))], -1)
        directions = (rays - label[..., None] * self._pose.translation) @ self._pose.rotation
        with np.errstate(invalid='ignore', divide='ignore'):
            seen = np.isfinite(directions).all(-1) & (directions[..., 2] > 0)
            rays = directions[..., :2] / directions[..., 2:]
        table = np.full((*label.shape, 2), -10, np.float32)
        table[seen] = self._color.project(rays[seen])
        return _looked_up(resized(gray, self._color.height, self._color.width), table)

    def _place(self, directions: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Return where directions (h, w, 3) fall in the event camera, u and v, NaN for nowhere."""
        with np.errstate(invalid='ignore', divide='ignore'):
            rays = directions[..., :2] / directions[..., 2:]
            ahead = (directions[..., 2] > 0) & np.isfinite(rays).all(-1)
        pixels = np.full(rays.shape, np.nan)
        pixels[ahead] = self._event.project(rays[ahead])
        if np.any(self._event.d):
            pixels[~_within_lens(self._event, pixels, rays)] = np.nan
        return pixels[..., 0], pixels[..., 1]


def _looked_up(source: np.ndarray, table: np.ndarray) -> np.ndarray:
    return cv2.remap(source, table, None, cv2.INTER_LINEAR, borderMode=cv2.BORDER_CONSTANT,
                     borderValue=np.nan)


def resized(inverse_depth: np.ndarray, height: int, width: int) -> np.ndarray:
    """Return a map at another size; what lies beside an unknown pixel becomes unknown."""
    if inverse_depth.shape == (height, width):
        return inverse_depth
    smaller = height * width < inverse_depth.size
    return cv2.resize(inverse_depth, (width, height),
                      interpolation=cv2.INTER_AREA if smaller else cv2.INTER_LINEAR)


def _like_labels(color: CameraModel, event: CameraModel,
                 map_size: tuple[int, int]) -> tuple[int, int]:
    """Return the size of maps whose pixels are about as fine as those of the labels."""
    height, width = map_size
    finer = min(color.k[0, 0] * width / color.width / event.k[0, 0],
                color.k[1, 1] * height / color.height / event.k[1, 1])
    if finer <= 1.5:
        return height, width
    return max(round(height / finer), 1), max(round(width / finer), 1)


def _within_lens(camera: CameraModel, pixels: np.ndarray, rays: np.ndarray) -> np.ndarray:
    """Return which pixels (h, w, 2) lie in the picture and belong to their rays, bool."""
    table = cv2.remap(camera.rays(), pixels.astype(np.float32), None, cv2.INTER_LINEAR,
                      borderMode=cv2.BORDER_CONSTANT, borderValue=(np.nan, np.nan))
    with np.errstate(invalid='ignore'):
        return np.abs(table - rays).max(-1) < LARGEST_MISS * (1 + np.square(rays).sum(-1))
